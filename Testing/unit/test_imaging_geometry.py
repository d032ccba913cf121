"""Grids in patient space, volumes on them, and resampling between them."""

import unittest

import numpy as np
from dicom_support import OBLIQUE, ramp

from TARECOMETLib.errors import GeometryError
from TARECOMETLib.imaging.geometry import SAME_GRID_TOLERANCE, VolumeGeometry, require_same_grid, same_grid
from TARECOMETLib.imaging.sitk_images import resample, to_sitk
from TARECOMETLib.imaging.volume import Volume

TURN = np.array([[0.0, -1.0, 0.0, 12.0], [1.0, 0.0, 0.0, -7.0], [0.0, 0.0, 1.0, 30.0], [0.0, 0.0, 0.0, 1.0]])


def rigid(degrees, axis, shift):
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * np.asarray(axis) / np.linalg.norm(axis)).as_matrix()
    matrix[:3, 3] = shift
    return matrix


class TestAGrid(unittest.TestCase):
    def setUp(self):
        self.grid = VolumeGeometry.from_components(
            (4, 5, 6), spacing_mm=(2.0, 3.0, 5.0), origin_lps_mm=(10.0, 20.0, 30.0), direction_lps=OBLIQUE
        )

    def test_gives_back_what_it_was_made_of(self):
        np.testing.assert_allclose(self.grid.spacing_mm, (2.0, 3.0, 5.0))
        np.testing.assert_allclose(self.grid.origin_lps_mm, (10.0, 20.0, 30.0))
        np.testing.assert_allclose(self.grid.direction_lps, OBLIQUE, atol=1e-15)
        self.assertAlmostEqual(self.grid.voxel_volume_ml, 2.0 * 3.0 * 5.0 / 1000.0, places=12)

    def test_places_a_voxel_where_the_dicom_equation_does(self):
        # PS3.3 C.7.6.2.1.1: origin + i * spacing * row direction + j * spacing * column direction, i = 2, j = 1, k = 3.
        expected = (
            np.array([10.0, 20.0, 30.0]) + 2 * 2.0 * OBLIQUE[:, 0] + 1 * 3.0 * OBLIQUE[:, 1] + 3 * 5.0 * OBLIQUE[:, 2]
        )
        np.testing.assert_allclose((self.grid.ijk_to_lps @ [2, 1, 3, 1])[:3], expected)

    def test_agrees_with_simpleitk_about_every_voxels_place(self):
        image = to_sitk(Volume(np.zeros((4, 5, 6)), self.grid))
        for index in ((0, 0, 0), (5, 4, 3), (1, 2, 3)):
            np.testing.assert_allclose(
                image.TransformIndexToPhysicalPoint(index), (self.grid.ijk_to_lps @ [*index, 1])[:3], atol=1e-12
            )

    def test_moves_without_changing_its_voxels(self):
        moved = self.grid.transformed(TURN)
        np.testing.assert_allclose(moved.spacing_mm, self.grid.spacing_mm)
        np.testing.assert_allclose(moved.ijk_to_lps @ [1, 2, 3, 1], TURN @ self.grid.ijk_to_lps @ [1, 2, 3, 1])
        self.assertTrue(same_grid(moved.transformed(np.linalg.inv(TURN)), self.grid))

    def test_cropped_starts_at_the_voxel_asked_for_even_outside(self):
        for lower in ((1, 2, 3), (-2, 0, -1)):
            part = self.grid.cropped(lower, (2, 2, 2))
            np.testing.assert_allclose(part.origin_lps_mm, (self.grid.ijk_to_lps @ [*lower[::-1], 1])[:3])

    def test_coarsened_keeps_the_outer_corner_and_the_blocks_volume(self):
        coarse = self.grid.coarsened((2, 2, 3))
        self.assertEqual(coarse.shape_kji, (2, 2, 2))
        np.testing.assert_allclose(coarse.corners_lps_mm()[0], self.grid.corners_lps_mm()[0])
        self.assertAlmostEqual(coarse.voxel_volume_ml, 12 * self.grid.voxel_volume_ml, places=12)
        # Center of a block: mean of its voxels' centers.
        block = [(self.grid.ijk_to_lps @ [i, j, k, 1])[:3] for i in range(3) for j in range(2) for k in range(2)]
        np.testing.assert_allclose(coarse.origin_lps_mm, np.mean(block, axis=0))

    def test_refuses_blocks_larger_than_itself(self):
        with self.assertRaises(GeometryError):
            self.grid.coarsened((5, 1, 1))
        self.assertEqual(self.grid.coarsened((4, 1, 1)).shape_kji, (1, 5, 6))

    def test_refuses_missing_sizes_and_directions(self):
        for shape, matrix in (((0, 1, 1), np.eye(4)), ((2, 2), np.eye(4)), ((1, 1, 1), np.zeros((4, 4)))):
            with self.assertRaises(GeometryError):
                VolumeGeometry(shape, matrix)
        with self.assertRaises(GeometryError):
            VolumeGeometry((1, 1, 1), np.diag([1.0, np.nan, 1.0, 1.0]))
        VolumeGeometry((1, 1, 1), np.eye(4))

    def test_cannot_be_changed_after_it_was_made(self):
        with self.assertRaises(ValueError):
            self.grid.ijk_to_lps[0, 0] = 9.0


class TestTwoGrids(unittest.TestCase):
    def setUp(self):
        self.grid = VolumeGeometry.from_components((10, 10, 10), spacing_mm=(2.0, 2.0, 4.0))

    def shifted(self, mm):
        matrix = np.eye(4)
        matrix[0, 3] = mm
        return self.grid.transformed(matrix)

    def test_are_the_same_within_a_thousandth_of_the_smallest_edge(self):
        limit_mm = SAME_GRID_TOLERANCE * 2.0
        self.assertTrue(same_grid(self.grid, self.shifted(0.99 * limit_mm)))
        self.assertFalse(same_grid(self.grid, self.shifted(1.01 * limit_mm)))

    def test_differ_when_a_small_error_of_spacing_adds_up_over_the_field(self):
        # 0.0005 mm per voxel is within the tolerance of one voxel, but 0.05 mm at the far corner of 100 voxels.
        long = VolumeGeometry.from_components((100, 1, 1), spacing_mm=(2.0, 2.0, 4.0))
        self.assertFalse(same_grid(long, VolumeGeometry.from_components((100, 1, 1), spacing_mm=(2.0, 2.0, 4.0005))))

    def test_differ_by_orientation_even_where_their_boxes_coincide(self):
        flip = np.diag([-1.0, 1.0, 1.0, 1.0])
        flip[0, 3] = 18.0
        flipped = self.grid.transformed(flip)
        np.testing.assert_allclose(flipped.corners_lps_mm().min(axis=0), self.grid.corners_lps_mm().min(axis=0))
        self.assertFalse(same_grid(self.grid, flipped))

    def test_that_differ_are_refused_with_expected_and_actual(self):
        require_same_grid(self.grid, self.shifted(0.0), "dose.nrrd")
        with self.assertRaises(GeometryError) as caught:
            require_same_grid(self.grid, self.shifted(1.0), "dose.nrrd")
        for part in ("dose.nrrd", "expected 10 x 10 x 10 voxels of 2 x 2 x 4 mm from (0, 0, 0)", "got", "(1, 0, 0)"):
            self.assertIn(part, str(caught.exception))


class TestAVolume(unittest.TestCase):
    def test_refuses_an_array_of_another_shape(self):
        with self.assertRaises(GeometryError):
            Volume(np.zeros((3, 4, 5)), ramp((5, 4, 3)).geometry)

    def test_has_a_hash_that_depends_on_values_and_place_alone(self):
        volume = ramp(direction=OBLIQUE)
        self.assertEqual(volume.content_hash(), ramp(direction=OBLIQUE).content_hash())
        fortran = Volume(np.asfortranarray(volume.array), volume.geometry)
        big_endian = Volume(volume.array.astype(">f4"), volume.geometry)
        for same in (fortran, big_endian):
            self.assertEqual(same.content_hash(), volume.content_hash())
        one_voxel = volume.array.copy()
        one_voxel[0, 0, 0] += 1.0
        nudged = np.eye(4)
        nudged[0, 3] = 0.001
        for other in (
            Volume(one_voxel, volume.geometry),
            Volume(volume.array, volume.geometry.transformed(nudged)),
            ramp((3, 4, 5)),
        ):
            self.assertNotEqual(other.content_hash(), volume.content_hash())

    def test_keeps_its_hash_when_rounding_in_a_file_moves_it_by_a_nanometer(self):
        volume = ramp()
        nudged = np.eye(4)
        nudged[:3, 3] = 1e-7
        self.assertEqual(
            Volume(volume.array, volume.geometry.transformed(nudged)).content_hash(), volume.content_hash()
        )

    def test_has_a_hash_without_negative_zero(self):
        # cos(90 degrees) is 6e-17 or -6e-17, depending on who computes it.
        matrix = np.eye(4)
        matrix[0, 1] = -1e-17
        array = np.ones((2, 2, 2), dtype=bool)
        self.assertEqual(
            Volume(array, VolumeGeometry((2, 2, 2), matrix)).content_hash(),
            Volume(array, VolumeGeometry((2, 2, 2), np.eye(4))).content_hash(),
        )


class TestResampling(unittest.TestCase):
    def setUp(self):
        # A blob that ends well inside the field, on 4 x 4 x 5 mm as of a PET; 12 mm wide: samples resolve it.
        geometry = VolumeGeometry.from_components(
            (24, 30, 30), spacing_mm=(4.0, 4.0, 5.0), origin_lps_mm=(-60.0, -60.0, -60.0)
        )
        k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape_kji), indexing="ij")
        x, y, z = i * 4.0 - 60.0, j * 4.0 - 60.0, k * 5.0 - 60.0
        self.blob = Volume(np.exp(-((x - 3) ** 2 + (y + 5) ** 2 + (z - 2) ** 2) / (2 * 12.0**2)), geometry)

    def total(self, volume):
        return float(volume.array.sum(dtype=np.float64)) * volume.geometry.voxel_volume_ml

    def test_keeps_the_sum_of_concentration_times_volume(self):
        for cubic in (False, True):
            for spacing, matrix in (
                ((3.0, 3.0, 3.0), np.eye(4)),
                ((2.5, 3.5, 4.5), rigid(11.0, (1, 2, 3), (4.0, -6.0, 5.0))),
                ((5.0, 5.0, 3.0), rigid(-17.0, (3, -1, 1), (-8.0, 3.0, 2.0))),
            ):
                with self.subTest(cubic=cubic, spacing=spacing):
                    target = VolumeGeometry.from_components(
                        tuple(int(220 / s) for s in spacing[::-1]),
                        spacing_mm=spacing,
                        origin_lps_mm=(-110.0, -110.0, -110.0),
                        direction_lps=rigid(7.0, (0, 1, 1), (0, 0, 0))[:3, :3],
                    )
                    got = resample(self.blob, target, matrix, cubic=cubic, outside=0.0)
                    # A smooth blob's sum over any lattice fine against its width is its integral (Poisson summation).
                    self.assertAlmostEqual(self.total(got) / self.total(self.blob), 1.0, delta=2e-3)

    def test_carries_points_from_the_images_space_to_the_targets(self):
        matrix = rigid(20.0, (0, 0, 1), (15.0, -10.0, 5.0))
        target = VolumeGeometry.from_components((64, 64, 64), spacing_mm=(2.5,) * 3, origin_lps_mm=(-80.0,) * 3)
        got = resample(self.blob, target, matrix, cubic=True, outside=0.0).array
        index = np.meshgrid(*(np.arange(64) * 2.5 - 80.0 for _ in range(3)), indexing="ij")
        center = [float((axis * got).sum() / got.sum()) for axis in index[::-1]]
        np.testing.assert_allclose(center, (matrix @ [3.0, -5.0, 2.0, 1.0])[:3], atol=0.05)

    def test_leaves_an_image_on_its_own_grid_as_it_is(self):
        for cubic in (False, True):
            got = resample(self.blob, self.blob.geometry, np.eye(4), cubic=cubic, outside=0.0)
            np.testing.assert_allclose(got.array, self.blob.array, atol=2e-6)

    def test_says_outside_where_the_image_does_not_reach(self):
        target = VolumeGeometry.from_components((2, 2, 2), spacing_mm=(1.0,) * 3, origin_lps_mm=(500.0, 0.0, 0.0))
        self.assertTrue((resample(self.blob, target, np.eye(4), outside=-1000.0).array == -1000.0).all())


if __name__ == "__main__":
    unittest.main()
