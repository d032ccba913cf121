"""What is drawn is where it belongs and has the color that the color bar says."""

import unittest

import numpy as np
from scene_support import SceneTestCase, ball, oblique_geometry, positions_lps_mm
from test_mrml_isodose import radius_mm, spherical_dose

from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.report.dose_colors import dose_color_rgb

CENTER = (-40.0, 12.0, 25.0)
TOP_GY = 200.0
GRADIENT_GY_PER_MM = np.array([1.1, -0.7, 0.9])


def dose_at(points_lps_mm: np.ndarray) -> np.ndarray:
    """A dose that changes linearly in space, so that linear interpolation is exact: 100 Gy in the middle."""
    return 100.0 + (points_lps_mm - np.array(CENTER)) @ GRADIENT_GY_PER_MM


def in_slice(orientation: str, across_mm: float, up_mm: float) -> tuple[float, float, float]:
    """LPS point of a slice through CENTER."""
    x, y, z = CENTER
    return {
        "Axial": (x + across_mm, y - up_mm, z),
        "Coronal": (x + across_mm, y, z + up_mm),
        "Sagittal": (x, y + across_mm, z + up_mm),
    }[orientation]


class Rendering(SceneTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.require_rendering()

    def _linear_dose_node(self) -> object:
        from TARECOMETLib.mrml.volumes import write_dose_volume

        geometry = oblique_geometry((30, 40, 44), (2.0, 2.2, 3.0))
        dose = Volume(dose_at(positions_lps_mm(geometry)), geometry)
        return write_dose_volume(self.scene, dose, "Dose", window_top_gy=TOP_GY, threshold_gy=0.0)

    def _black_ct_node(self) -> object:
        from TARECOMETLib.mrml.volumes import write_ct_volume

        geometry = VolumeGeometry.from_components(
            (40, 60, 60), spacing_mm=(4.0, 4.0, 4.0), origin_lps_mm=(-160.0, -106.0, -53.0)
        )
        return write_ct_volume(self.scene, Volume(np.full(geometry.shape_kji, -1000.0), geometry), "CT")

    def test_colors_at_known_points_are_those_of_the_table(self) -> None:
        from TARECOMETLib.mrml.rendering import render_slice

        dose, ct = self._linear_dose_node(), self._black_ct_node()
        for background, annotations in ((None, False), (ct, False), (ct, True)):
            for orientation in ("Axial", "Coronal", "Sagittal"):
                picture = render_slice(
                    self.headless, background, dose, None, orientation, CENTER, (420, 360), 110.0,
                    foreground_opacity=1.0, annotations=annotations, title="Linear dose",
                )  # fmt: skip
                for across in (-24.0, -12.0, 0.0, 12.0, 24.0):
                    for up in (-20.0, -10.0, 0.0, 10.0, 20.0):
                        wanted = in_slice(orientation, across, up)
                        row, column = (round(n) for n in picture.pixel_of_world_point(wanted))
                        # The color belongs to the pixel's center, which lies up to half a pixel beside the point.
                        center = np.linalg.inv(picture.ras_to_pixel) @ [column, row, 0.0, 1.0]
                        expected = dose_color_rgb(float(dose_at(center[:3] * [-1, -1, 1])) / TOP_GY)
                        difference = picture.rgb[row, column] - 255.0 * np.array(expected)
                        self.assertLessEqual(np.abs(difference).max(), 2.0, f"{orientation} {wanted}")

    def test_pictures_are_radiological(self) -> None:
        from TARECOMETLib.mrml.rendering import render_slice

        x, y, z = CENTER
        for orientation, toward_left, toward_top in (
            ("Axial", (x - 10, y, z), (x, y - 10, z)),
            ("Coronal", (x - 10, y, z), (x, y, z + 10)),
            ("Sagittal", (x, y - 10, z), (x, y, z + 10)),
        ):
            picture = render_slice(self.headless, self._black_ct_node(), None, None, orientation, CENTER, (300, 240))
            row, column = picture.pixel_of_world_point(CENTER)
            self.assertLess(picture.pixel_of_world_point(toward_left)[1], column)
            self.assertLess(picture.pixel_of_world_point(toward_top)[0], row)
            self.assertAlmostEqual(picture.distance_from_slice_mm(CENTER), 0.0)

    def test_letters_name_the_patients_side(self) -> None:
        from TARECOMETLib.mrml.frame import direction_letter
        from TARECOMETLib.mrml.slice_view import slice_to_ras

        letters = {}
        for orientation in ("Axial", "Coronal", "Sagittal"):
            place = slice_to_ras(orientation, CENTER)
            letters[orientation] = direction_letter(-place[:3, 0]) + direction_letter(place[:3, 1])
        self.assertEqual(letters, {"Axial": "RA", "Coronal": "RS", "Sagittal": "AS"})

    def test_doses_below_the_threshold_are_not_painted(self) -> None:
        from TARECOMETLib.mrml.rendering import render_slice
        from TARECOMETLib.mrml.volumes import show_as_dose

        dose = self._linear_dose_node()
        show_as_dose(dose, TOP_GY, 100.0)
        picture = render_slice(
            self.headless, self._black_ct_node(), dose, None, "Axial", CENTER, (300, 240), 110.0,
            foreground_opacity=1.0, annotations=False,
        )  # fmt: skip
        for across, painted in ((-20.0, False), (20.0, True)):
            row, column = (round(n) for n in picture.pixel_of_world_point(in_slice("Axial", across, 0.0)))
            self.assertEqual(bool(picture.rgb[row, column].any()), painted)

    def test_outline_of_a_segment_is_drawn_on_its_surface_in_its_color(self) -> None:
        from TARECOMETLib.mrml.rendering import render_slice
        from TARECOMETLib.mrml.segmentations import Segment, write_segmentation

        geometry = VolumeGeometry.from_components(
            (90, 120, 120), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(-100.0, -48.0, -20.0)
        )
        mask = ball(geometry, CENTER, 30.0)
        node = write_segmentation(self.scene, [Segment("Liver", "liver", mask, (0.0, 1.0, 0.0))], "Contours")
        hidden = write_segmentation(
            self.scene, [Segment("Other", "other", ball(geometry, CENTER, 20.0), (1.0, 0.0, 0.0))], "Other"
        )
        picture = render_slice(
            self.headless, self._black_ct_node(), None, node, "Axial", CENTER, (400, 400), 100.0, annotations=False
        )
        self._assert_circle(picture, 30.0, (0.0, 1.0, 0.0), 4)
        self.assertLess(picture.rgb[..., 0].max(), 100, "a segmentation that was not asked for is not drawn")
        self.assertTrue(hidden.GetDisplayNode().GetVisibility(), "and is as visible as before")

    def test_isodose_line_is_drawn_where_the_dose_is(self) -> None:
        from TARECOMETLib.mrml.isodose import write_isodoses
        from TARECOMETLib.mrml.rendering import render_slice

        models = write_isodoses(self.scene, spherical_dose(), [100.0], "Dose")
        color = models[100.0].GetDisplayNode().GetColor()
        picture = render_slice(
            self.headless, self._black_ct_node(), None, None, "Axial", CENTER, (400, 400), 100.0,
            models=list(models.values()), annotations=False,
        )  # fmt: skip
        self._assert_circle(picture, radius_mm(100.0), color, 2)

    def test_legend_names_what_the_slice_meets(self) -> None:
        from TARECOMETLib.mrml.crossings import model_meets_slice, segment_meets_slice
        from TARECOMETLib.mrml.isodose import write_isodoses
        from TARECOMETLib.mrml.segmentations import Segment, segment_ids, write_segmentation
        from TARECOMETLib.mrml.slice_view import slice_to_ras

        geometry = oblique_geometry((40, 60, 64), (2.0, 2.2, 3.0))
        nothing = Volume(np.zeros(geometry.shape_kji, dtype=bool), geometry)
        segments = [
            Segment("Ball", "tumour", ball(geometry, CENTER, 20.0), (0.0, 1.0, 0.0)),
            Segment("Nothing", "tumour", nothing, (0.0, 1.0, 0.0)),
        ]
        node = write_segmentation(self.scene, segments, "Contours")
        ball_id, nothing_id = segment_ids(node)
        model = write_isodoses(self.scene, spherical_dose(), [100.0], "Dose")[100.0]
        x, y, z = CENTER
        # The ball reaches 20 mm and the 100 Gy isodose 31 mm (see radius_mm) up from the middle.
        for up_mm, in_ball, in_isodose in ((0.0, True, True), (25.0, False, True), (34.0, False, False)):
            place = slice_to_ras("Axial", (x, y, z + up_mm))
            self.assertEqual(segment_meets_slice(node, ball_id, place), in_ball)
            self.assertEqual(model_meets_slice(model, place), in_isodose)
            self.assertFalse(segment_meets_slice(node, nothing_id, place))

    def _assert_circle(self, picture: object, radius: float, color: tuple[float, float, float], reach_px: int) -> None:
        for angle in np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False):
            point = in_slice("Axial", radius * np.cos(angle), radius * np.sin(angle))
            row, column = (round(n) for n in picture.pixel_of_world_point(point))
            around = slice(row - reach_px, row + reach_px + 1), slice(column - reach_px, column + reach_px + 1)
            distance = np.abs(picture.rgb[around] - 255.0 * np.array(color)).max(axis=-1)
            self.assertLess(distance.min(), 90.0, f"no line at {point}")
            inside = in_slice("Axial", 0.7 * radius * np.cos(angle), 0.7 * radius * np.sin(angle))
            row, column = (round(n) for n in picture.pixel_of_world_point(inside))
            self.assertFalse(picture.rgb[row, column].any(), "nothing is drawn away from the line")

    def test_views_leave_no_node_behind_and_are_not_saved(self) -> None:
        from TARECOMETLib.mrml.rendering import render_3d, render_slice

        dose = self._linear_dose_node()
        render_slice(self.headless, None, dose, None, "Axial", CENTER, (300, 240))
        render_3d(self.headless, None)
        names = self.node_names()
        render_slice(self.headless, None, dose, None, "Sagittal", CENTER, (300, 240))
        render_3d(self.headless, None)
        self.assertEqual(self.node_names(), names)
        views = [
            self.scene.GetNthNode(n)
            for n in range(self.scene.GetNumberOfNodes())
            if self.scene.GetNthNode(n).IsA("vtkMRMLAbstractViewNode")
        ]
        self.assertEqual(len(views), 2)
        self.assertFalse(any(view.GetSaveWithScene() for view in views))

    def test_3d_view_shows_a_segment_from_the_side_asked_for(self) -> None:
        from TARECOMETLib.mrml.rendering import render_3d
        from TARECOMETLib.mrml.segmentations import Segment, write_segmentation

        geometry = oblique_geometry((40, 60, 64), (2.0, 2.2, 3.0))
        x, y, z = CENTER
        segments = [
            Segment("Right", "tumour", ball(geometry, (x - 40, y, z), 15.0), (0.0, 1.0, 0.0)),
            Segment("Left", "tumour", ball(geometry, (x + 40, y, z), 15.0), (1.0, 0.0, 1.0)),
        ]
        node = write_segmentation(self.scene, segments, "Contours")
        for viewpoint, right_is_on_the_left in (("Anterior", True), ("Posterior", False)):
            rgb = render_3d(self.headless, node, viewpoint=viewpoint, size_px=(400, 300)).astype(int)[:, :280]
            green = np.argwhere(rgb[..., 1] > rgb[..., 0] + 30)[:, 1].mean()
            pink = np.argwhere(rgb[..., 0] > rgb[..., 1] + 30)[:, 1].mean()
            self.assertEqual(green < pink, right_is_on_the_left)

    def test_unknown_orientation_and_tiny_picture_are_refused(self) -> None:
        from TARECOMETLib.mrml.rendering import render_slice

        with self.assertRaisesRegex(InputError, "Axial, Coronal, Sagittal"):
            render_slice(self.headless, None, None, None, "axial", CENTER)
        with self.assertRaisesRegex(InputError, "200 x 200"):
            render_slice(self.headless, None, None, None, "Axial", CENTER, (100, 100))


class Frame(SceneTestCase):
    def test_color_bar_shows_the_table_and_its_ticks_are_round(self) -> None:
        from TARECOMETLib.mrml.frame import ColorBar, Legend, compose, plan_layout, tick_values
        from TARECOMETLib.report.dose_colors import dose_color_table

        self.assertEqual(tick_values(300.0), [0.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0])
        self.assertEqual(tick_values(0.9, 3), [0.0, 0.5])
        legend = Legend(ColorBar("Absorbed dose", "Gy", 300.0, 15.0, dose_color_table()))
        layout = plan_layout((600, 400), "Title", legend)
        columns, rows = layout.view_size_px
        rgb = compose(np.zeros((rows, columns, 3), dtype=np.uint8), layout, "Title", legend)
        strip = rgb[:, columns + layout.font_px + 3]
        for fraction in (0.1, 0.5, 0.9):
            distance = np.abs(strip - 255.0 * np.array(dose_color_rgb(fraction))).max(axis=-1)
            self.assertLess(distance.min(), 4.0)

    def test_long_names_are_shortened_and_nothing_leaves_the_picture(self) -> None:
        from TARECOMETLib.mrml.frame import Legend, compose, plan_layout
        from TARECOMETLib.mrml.picture_text import fitted, text_width

        names = [(f"A structure with a very long name indeed, number {n}", (1.0, 1.0, 1.0)) for n in range(40)]
        legend = Legend(groups=[("Contours", names)])
        layout = plan_layout((400, 300), "A title that is much longer than the picture is wide, by far " * 3, legend)
        columns, rows = layout.view_size_px
        self.assertGreaterEqual(columns, 240)
        rgb = compose(np.zeros((rows, columns, 3), dtype=np.uint8), layout, "Title " * 60, legend)
        self.assertEqual(rgb.shape, (300, 400, 3))
        short = fitted(names[0][0], 12, 90)
        self.assertTrue(short.endswith("..."))
        self.assertLessEqual(text_width(short, 12), 90)


if __name__ == "__main__":
    unittest.main()
