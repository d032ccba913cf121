"""Planes through volumes: where a picture's right and top lie in the patient, and what is sampled there."""

from __future__ import annotations

import unittest

import numpy as np
from test_report_content import ball, grid, positions_mm

from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.report.slicing import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    Plane,
    center_inside,
    contour_lines,
    filled_box,
    sample,
)


def plane(name: str, center: tuple[float, float, float] = (0.0, 0.0, 0.0), step_mm: float = 1.0) -> Plane:
    return Plane(name, center, (101, 81), step_mm)


class PlaneTestCase(unittest.TestCase):
    def test_patient_left_is_right_and_superior_is_up(self) -> None:
        left_posterior_superior = np.array([10.0, 20.0, 30.0])
        for name, expected in ((AXIAL, (60, 60)), (CORONAL, (60, 10)), (SAGITTAL, (70, 10))):
            with self.subTest(plane=name):
                np.testing.assert_allclose(plane(name).to_pixel(left_posterior_superior), expected)

    def test_pixels_and_points_go_both_ways(self) -> None:
        for name in (AXIAL, CORONAL, SAGITTAL):
            cut = plane(name, (3.0, -4.0, 5.0), 0.7)
            pixels = np.array([[0.0, 0.0], [12.5, 70.25]])
            np.testing.assert_allclose(cut.to_pixel(cut.to_lps(pixels)), pixels, atol=1e-9)

    def test_place_names_the_side(self) -> None:
        self.assertEqual(plane(AXIAL, (0.0, 0.0, -12.0)).place(), "I 12 mm")
        self.assertEqual(plane(CORONAL, (0.0, 7.0, 0.0)).place(), "P 7 mm")
        self.assertEqual(plane(SAGITTAL, (-5.0, 0.0, 0.0)).place(), "R 5 mm")


class SampleTestCase(unittest.TestCase):
    def test_linear_field_on_an_oblique_anisotropic_grid_is_sampled_exactly(self) -> None:
        tilt = np.deg2rad(25.0)
        matrix = grid((40, 60, 70), (2.0, 3.0, 4.0), turn_deg=30.0).ijk_to_lps.copy()
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
        geometry = VolumeGeometry((40, 60, 70), turn @ matrix)
        slope = np.array([0.5, -0.3, 0.8])
        volume = Volume(positions_mm(geometry) @ slope + 100.0, geometry)
        for name in (AXIAL, CORONAL, SAGITTAL):
            cut = Plane(name, (2.0, -3.0, 4.0), (31, 21), 0.9)
            columns, rows = np.meshgrid(np.arange(31), np.arange(21))
            expected = cut.to_lps(np.stack((columns, rows), axis=-1)) @ slope + 100.0
            with self.subTest(plane=name):
                np.testing.assert_allclose(sample(volume, cut), expected, atol=1e-3)

    def test_outside_the_grid_is_the_given_value_and_border_centers_are_inside(self) -> None:
        volume = Volume(np.full((3, 3, 3), 7.0), grid((3, 3, 3), (1.1, 1.1, 1.1)))
        values = sample(volume, Plane(AXIAL, (0.0, 0.0, 1.1), (5, 3), 1.1), outside=-1.0)
        np.testing.assert_allclose(values, [[-1, 7, 7, 7, -1]] * 3)


class ContourTestCase(unittest.TestCase):
    def test_isodose_of_an_analytic_sphere_lies_within_half_a_voxel(self) -> None:
        geometry = grid((50, 50, 50), (3.0, 3.0, 3.0), turn_deg=17.0)
        center = np.array([4.0, -6.0, 3.0])
        distance = np.linalg.norm(positions_mm(geometry) - center, axis=-1)
        dose = Volume((100.0 * np.exp(-((distance / 25.0) ** 2))).astype(np.float32), geometry)
        radius = 25.0 * np.sqrt(np.log(100.0 / 40.0))
        for name in (AXIAL, CORONAL, SAGITTAL):
            cut = Plane(name, tuple(center), (141, 141), 1.0)
            (line,) = contour_lines(sample(dose, cut), 40.0)
            off = np.abs(np.linalg.norm(cut.to_lps(line) - center, axis=-1) - radius)
            with self.subTest(plane=name):
                self.assertLess(off.max(), 1.5)
                self.assertGreater(len(line), 50)

    def test_contour_of_a_drawn_ball_lies_within_a_voxel(self) -> None:
        drawn = ball(grid((50, 50, 50), (2.0, 2.0, 2.0)), (3.0, 2.0, 1.0), 20.0)
        cut = Plane(AXIAL, (3.0, 2.0, 1.0), (101, 101), 0.7)
        (line,) = contour_lines(sample(drawn, cut), 0.5)
        off = np.linalg.norm(cut.to_lps(line) - np.array([3.0, 2.0, 1.0]), axis=-1) - 20.0
        self.assertLess(np.abs(off).max(), 2.0)

    def test_level_that_is_not_reached_gives_no_line(self) -> None:
        self.assertEqual(contour_lines(np.zeros((5, 5)), 1.0), [])
        self.assertEqual(contour_lines(np.full((5, 5), 3.0), 1.0), [])


class BoxTestCase(unittest.TestCase):
    def test_box_is_around_voxel_edges_and_none_where_all_is_empty(self) -> None:
        geometry = grid((5, 5, 5), (2.0, 2.0, 2.0))
        array = np.zeros((5, 5, 5), dtype=bool)
        self.assertIsNone(filled_box([Volume(array, geometry)]))
        array[2, 2, 3] = True
        box = filled_box([Volume(array, geometry)])
        assert box is not None
        np.testing.assert_allclose(box, [[1.0, -1.0, -1.0], [3.0, 1.0, 1.0]])

    def test_center_lies_inside_also_where_the_center_of_gravity_does_not(self) -> None:
        geometry = grid((1, 9, 9), (1.0, 1.0, 1.0))
        array = np.ones((1, 9, 9), dtype=bool)
        array[0, 1:8, 1:8] = False
        i, j, _ = np.rint(np.array(center_inside(Volume(array, geometry))) + 4.0).astype(int)
        self.assertTrue(array[0, j, i])


if __name__ == "__main__":
    unittest.main()
