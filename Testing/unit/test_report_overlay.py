"""Dose on CT: the picture file itself is probed at known places in the patient."""

from __future__ import annotations

import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
from test_report_content import NASTY, grid, positions_mm, sample_content

from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.report.dose_colors import dose_color_rgb
from TARECOMETLib.report.label_places import LabelPlaces, around
from TARECOMETLib.report.line_styles import isodose_styles, structure_style
from TARECOMETLib.report.overlay_figure import DPI, WIDTH_IN, DoseRow, default_style, write_overlay_figure
from TARECOMETLib.report.overlay_panel import CT_WINDOW_HU, OverlayStyle, dose_rgb


def read_png(path: Path) -> np.ndarray:
    """Pixels as 0..255 integers, shape (rows, columns, 3)."""
    from matplotlib.image import imread

    return np.rint(255.0 * imread(path)[..., :3]).astype(int)


class OverlayTestCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "overlay.png"

    def test_pixels_have_the_table_color_of_the_dose_at_their_place(self) -> None:
        geometry = grid((60, 60, 60), (3.0, 3.0, 3.0), turn_deg=25.0)
        slope = np.array([0.4, 0.3, 0.2])
        dose = Volume(positions_mm(geometry) @ slope + 60.0, geometry)
        ct = Volume(np.full((60, 60, 60), 40.0), grid((60, 60, 60), (4.0, 4.0, 4.0)))
        gray = (40.0 - CT_WINDOW_HU[0]) / (CT_WINDOW_HU[1] - CT_WINDOW_HU[0])
        for opacity in (1.0, 0.6):
            style = OverlayStyle(120.0, 10.0, opacity)
            places = write_overlay_figure(
                self.path, [DoseRow("linear", dose)], ct, [], style=style, center_lps_mm=(0.0, 0.0, 0.0)
            )
            picture = read_png(self.path)
            for place in places:
                for column, row in ((0.3, 0.4), (0.7, 0.35), (0.6, 0.7)):
                    pixel = np.round(np.array(place.plane.size_px) * (column, row))
                    value = float(place.plane.to_lps(pixel) @ slope + 60.0)
                    color = np.array(dose_color_rgb(value / 120.0)) * opacity + gray * (1.0 - opacity)
                    seen = picture[place.top_px + int(pixel[1]), place.left_px + int(pixel[0])]
                    with self.subTest(plane=place.plane.name, dose=value, opacity=opacity):
                        self.assertLessEqual(np.abs(seen - 255.0 * color).max(), 2.0)

    def test_hot_spot_at_left_posterior_superior_shows_at_the_right_side_and_height(self) -> None:
        geometry = grid((60, 60, 60), (3.0, 3.0, 3.0))
        hot = np.array([40.0, 30.0, 35.0])
        near = np.linalg.norm(positions_mm(geometry) - hot, axis=-1) < 14.0
        dose = Volume(np.where(near, 100.0, 0.0), geometry)
        ct = Volume(np.full((60, 60, 60), -1000.0), geometry)
        style = OverlayStyle(100.0, 10.0, 1.0)
        places = write_overlay_figure(self.path, [DoseRow("spot", dose)], ct, [], style=style, center_lps_mm=tuple(hot))
        picture = read_png(self.path)
        for place, (is_right, is_low) in zip(places, ((True, True), (True, False), (True, False)), strict=True):
            columns, rows = place.plane.size_px
            panel = picture[place.top_px : place.top_px + rows, place.left_px : place.left_px + columns]
            y, x = np.nonzero(panel[..., 0] - panel[..., 2] > 60)
            with self.subTest(plane=place.plane.name):
                self.assertGreater(len(x), 200)
                self.assertEqual(x.mean() > columns / 2, is_right)
                self.assertEqual(y.mean() > rows / 2, is_low)
                np.testing.assert_allclose(
                    place.pixel_of(hot), (place.top_px + y.mean(), place.left_px + x.mean()), atol=4
                )

    def test_dose_below_the_threshold_leaves_the_ct_alone(self) -> None:
        geometry = grid((40, 40, 40), (4.0, 4.0, 4.0))
        dose, ct = Volume(np.full((40, 40, 40), 9.0), geometry), Volume(np.full((40, 40, 40), 40.0), geometry)
        style = OverlayStyle(100.0, 10.0)
        (place, *_) = write_overlay_figure(
            self.path, [DoseRow("low", dose)], ct, [], style=style, center_lps_mm=(0.0, 0.0, 0.0)
        )
        row, column = place.pixel_of((20.0, 20.0, 0.0))
        np.testing.assert_allclose(read_png(self.path)[row, column], round(255 * 150 / 300), atol=1)

    def test_rows_share_one_scale_and_the_file_has_the_promised_width(self) -> None:
        content = sample_content()
        rows = [DoseRow(phase.phase, phase.dose["kernel"]) for phase in content.phases]
        places = write_overlay_figure(self.path, rows, content.ct, content.structures)
        self.assertEqual(len(places), 6)
        self.assertEqual(len({place.plane.step_mm for place in places}), 1)
        self.assertEqual([p.plane for p in places[:3]], [p.plane for p in places[3:]])
        picture = read_png(self.path)
        self.assertEqual(picture.shape[1], int(WIDTH_IN * DPI))
        for place in places:
            self.assertLessEqual(place.top_px + place.plane.size_px[1], picture.shape[0])
        first = self.path.read_bytes()
        write_overlay_figure(self.path, rows, content.ct, content.structures)
        self.assertEqual(self.path.read_bytes(), first)

    def test_any_name_is_drawn_without_a_warning_and_an_old_result_is_stamped(self) -> None:
        content = sample_content(list(NASTY))
        rows = [DoseRow(NASTY[0], content.phases[0].dose["local"])]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            write_overlay_figure(self.path, rows, None, content.structures)
            plain = read_png(self.path)
            write_overlay_figure(self.path, rows, None, content.structures, stale=True)
        self.assertGreater(np.count_nonzero(np.any(read_png(self.path) != plain, axis=-1)), 1000)

    def test_contours_show_where_the_structures_are(self) -> None:
        content = sample_content(["one"])
        style = OverlayStyle(200.0, 1e6)
        tumour = [s for s in content.structures if s.role == "tumour"]
        rows = [DoseRow("no dose shown", content.phases[0].dose["local"])]
        (place, *_) = write_overlay_figure(self.path, rows, None, tumour, style=style, center_lps_mm=(20.0, 15.0, 10.0))
        row, column = place.pixel_of((20.0, 15.0 + 14.0, 10.0))
        around_edge = read_png(self.path)[row - 8 : row + 9, column]
        wanted = 255.0 * np.array(structure_style("tumour").color)
        self.assertLess(np.abs(around_edge - wanted).max(axis=-1).min(), 20)


class StyleTestCase(unittest.TestCase):
    def test_many_colors_at_once_are_those_one_by_one(self) -> None:
        doses = np.array([-5.0, 0.0, 12.3, 50.0, 99.99, 100.0, 140.0])
        np.testing.assert_allclose(dose_rgb(doses, 100.0), [dose_color_rgb(d / 100.0) for d in doses])

    def test_default_window_and_isodoses_are_round(self) -> None:
        dose = Volume(np.linspace(0.0, 390.0, 1000).reshape(10, 10, 10), grid((10, 10, 10), (1.0, 1.0, 1.0)))
        style = default_style([dose])
        self.assertEqual((style.window_top_gy, style.isodoses_gy), (400.0, (40.0, 80.0, 160.0, 320.0)))
        self.assertEqual(style.threshold_gy, 10.0)

    def test_dose_of_zero_everywhere_still_has_a_window(self) -> None:
        dose = Volume(np.zeros((3, 3, 3)), grid((3, 3, 3), (1.0, 1.0, 1.0)))
        self.assertGreater(default_style([dose]).window_top_gy, 0.0)

    def test_roles_differ_in_width_or_dashes_for_gray_prints(self) -> None:
        styles = [structure_style("liver"), structure_style("tumour")]
        styles += [structure_style("territory", n) for n in range(4)]
        self.assertEqual(len({(s.width_pt, s.dashes) for s in styles}), len(styles))
        widths = [s.width_pt for s in isodose_styles(4)]
        self.assertEqual(widths, sorted(set(widths)))


class LabelPlacesTestCase(unittest.TestCase):
    def test_labels_do_not_overlap_and_stay_inside(self) -> None:
        places = LabelPlaces(300, 200)
        line = np.array([[140.0, 90.0], [160.0, 110.0]])
        found = [places.find(around(line, (60.0, 12.0)), (60.0, 12.0)) for _ in range(12)]
        boxes = [spot for spot in found if spot is not None]
        self.assertGreater(len(boxes), 6)
        for number, (x, y) in enumerate(boxes):
            self.assertTrue(30 <= x <= 270 and 6 <= y <= 194)
            for a, b in boxes[:number]:
                self.assertTrue(abs(a - x) >= 60 or abs(b - y) >= 12)


if __name__ == "__main__":
    unittest.main()
