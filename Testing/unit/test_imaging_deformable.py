"""Deformable registration against a deformation that was made, and transport that keeps the activity."""

import unittest

import numpy as np
from dicom_support import coarse_case
from scipy.ndimage import gaussian_filter, map_coordinates

from TARECOMETLib.case.steps import finish
from TARECOMETLib.imaging.deformable import (
    Deformation,
    jacobian_determinant,
    registering_deformable,
    transport_density,
)
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume


def bump(geometry, center, width_mm, height_mm):
    """A smooth displacement along z that dies out to all sides."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape_kji), indexing="ij")
    points = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ geometry.ijk_to_lps.T
    square = ((points[..., :3] - center) ** 2).sum(axis=-1)
    field = np.zeros((*geometry.shape_kji, 3))
    field[..., 2] = height_mm * np.exp(-square / (2.0 * width_mm**2))
    return field


class TestTheJacobian(unittest.TestCase):
    def test_of_a_stretch_is_the_product_of_its_factors_on_a_turned_grid(self):
        turn = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
        grid = VolumeGeometry.from_components((6, 7, 8), spacing_mm=(2.0, 3.0, 4.0), direction_lps=turn)
        k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape_kji), indexing="ij")
        points = (np.stack([i, j, k, np.ones_like(i)], axis=-1) @ grid.ijk_to_lps.T)[..., :3]
        stretch = np.array([0.1, -0.2, 0.05])
        np.testing.assert_allclose(jacobian_determinant(points * stretch, grid), 1.1 * 0.8 * 1.05, rtol=1e-9)


class TestTransport(unittest.TestCase):
    def test_keeps_the_activity(self):
        grid = VolumeGeometry.from_components((40, 40, 40), spacing_mm=(3.0, 3.0, 3.0))
        rng = np.random.default_rng(3)
        array = np.zeros(grid.shape_kji)
        array[12:28, 12:28, 12:28] = 1.0 + rng.random((16, 16, 16))
        density = Volume(gaussian_filter(array, 1.5), grid)
        field = bump(grid, np.array([58.0, 58.0, 70.0]), 20.0, 9.0)
        jacobian = jacobian_determinant(field, grid)
        made = Deformation(field, grid, np.eye(4), (float(jacobian.min()), float(jacobian.max())), 9.0, 1.0, 1.0)
        self.assertTrue(made.within_limits)
        carried = transport_density(density, made)
        # Linear interpolation of voxels of 3 mm: well within half a percent in all.
        self.assertAlmostEqual(float(carried.array.sum() / density.array.sum()), 1.0, delta=0.005)
        unweighted = carried.array / jacobian
        self.assertGreater(abs(float(unweighted.sum() / density.array.sum()) - 1.0), 1e-4)

    def test_beyond_the_limits_is_said(self):
        grid = VolumeGeometry.from_components((20, 20, 20), spacing_mm=(3.0, 3.0, 3.0))
        made = Deformation(np.zeros((20, 20, 20, 3)), grid, np.eye(4), (-0.1, 1.2), 30.0, 0.9, 0.8)
        self.assertFalse(made.within_limits)


class TestAFit(unittest.TestCase):
    def test_finds_a_deformation_that_was_made(self):
        _, loaded = coarse_case()
        fixed, liver = loaded.images["diagnostic"], loaded.contours["liver"]
        index = np.argwhere(liver.array).mean(axis=0)[::-1]
        center = (liver.geometry.ijk_to_lps @ [*index, 1.0])[:3]
        # moving(y) with y = x + u(x) shows what fixed shows at x: made by sampling fixed at x - u.
        field = bump(fixed.geometry, center, 35.0, 8.0)
        k, j, i = np.meshgrid(*(np.arange(n) for n in fixed.array.shape), indexing="ij")
        step = field @ fixed.geometry.lps_to_ijk[:3, :3].T
        moved = map_coordinates(
            fixed.array.astype(np.float32),
            [k - step[..., 2], j - step[..., 1], i - step[..., 0]],
            order=1,
            cval=-1000.0,
        )
        moving = Volume(moved, fixed.geometry)
        made = finish(registering_deformable(fixed, moving, liver, np.eye(4)))
        again = finish(registering_deformable(fixed, moving, liver, np.eye(4)))
        np.testing.assert_array_equal(made.displacement_lps_mm, again.displacement_lps_mm)
        self.assertTrue(made.within_limits, made.jacobian_range)
        self.assertGreater(made.quality, made.quality_rigid)
        # At the bump's top, found to 2.5 mm of 8 mm (voxels of 5 mm, control points 40 mm apart).
        there = (made.geometry.lps_to_ijk @ [*center, 1.0])[2::-1]
        found = made.displacement_lps_mm[tuple(np.rint(there).astype(int))]
        np.testing.assert_allclose(found, [0.0, 0.0, 8.0], atol=2.5)


if __name__ == "__main__":
    unittest.main()
