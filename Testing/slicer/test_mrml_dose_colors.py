"""The dose colors say "more" by getting lighter, for every eye."""

import unittest

import numpy as np
import scene_support  # noqa: F401 - finds the library

from TARECOMETLib.report.dose_colors import dose_color_rgb, dose_color_table, isodose_line_colors, lightness_of_rgb

# Linear RGB seen with one kind of cone missing (Vienot, Brettel and Mollon 1999, doi:10.1002/(SICI)1520-6378(199908)
# 24:4<243::AID-COL5>3.0.CO;2-3): red-blind and green-blind.
PROTAN = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTAN = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def seen_with(matrix: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """The sRGB colors as a person with a missing kind of cone sees them."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ matrix.T
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


class DoseColors(unittest.TestCase):
    def test_lightness_rises_in_equal_steps(self) -> None:
        steps = np.diff(lightness_of_rgb(dose_color_table()))
        np.testing.assert_allclose(steps, steps.mean(), atol=1e-6)
        self.assertGreater(steps.mean() * 255, 75.0)

    def test_lightness_never_falls_for_red_blind_and_green_blind(self) -> None:
        for matrix in (PROTAN, DEUTAN):
            lightness = lightness_of_rgb(seen_with(matrix, dose_color_table()))
            self.assertGreater(np.diff(lightness[::8]).min(), 0.0)

    def test_neighbors_are_close_so_that_no_edge_appears_where_the_dose_has_none(self) -> None:
        self.assertLess(np.abs(np.diff(dose_color_table() * 255.0, axis=0)).max(), 2.5)

    def test_ends_and_outside(self) -> None:
        self.assertEqual(dose_color_rgb(-1.0), dose_color_rgb(0.0))
        self.assertEqual(dose_color_rgb(7.0), dose_color_rgb(1.0))
        np.testing.assert_array_equal(dose_color_rgb(1.0), dose_color_table()[-1])

    def test_isodose_lines_stand_apart_from_the_colors_under_them(self) -> None:
        lines = np.array(isodose_line_colors(5))
        distance = np.linalg.norm(lines[:, np.newaxis] - dose_color_table(), axis=-1).min(axis=1)
        self.assertGreater(distance.min(), 0.3)
        self.assertTrue(np.all(np.diff(lightness_of_rgb(lines)) > 5.0))
        self.assertEqual(isodose_line_colors(0), [])


if __name__ == "__main__":
    unittest.main()
