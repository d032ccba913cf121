"""Voxels divided by contours: exact volumes where grids nest, set operations that add up, any orientation."""

from __future__ import annotations

import unittest

import numpy as np
from support import AgreementTestCase, ball_occupancy, box_volume, rotation

from TARECOMETLib.dosimetry.compartments import derive_compartments
from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.dosimetry.parcels import MAXIMUM_CONTOURS, Parcels, divide
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume

CONTOUR_GRID = VolumeGeometry.from_components(
    (30, 36, 42), spacing_mm=(1.0, 1.0, 2.0), origin_lps_mm=(-20.0, 15.0, 100.0)
)


def random_blobs(geometry: VolumeGeometry, seed: int, share: float = 0.4) -> Volume:
    """Rough, random, but connected enough to have an inside and a border."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=geometry.shape_kji), 2.0)
    return Volume(noise > np.quantile(noise, 1.0 - share), geometry)


def ball(geometry: VolumeGeometry, center_lps_mm: np.ndarray, radius_mm: float) -> Volume:
    """Voxels whose centers lie in a ball."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape_kji), indexing="ij")
    points = np.stack((i, j, k, np.ones_like(i)), axis=-1) @ geometry.ijk_to_lps.T
    return Volume(np.linalg.norm(points[..., :3] - center_lps_mm, axis=-1) <= radius_mm, geometry)


def volume_ml(parcels: Parcels, name: str) -> float:
    """Volume of all pieces in a contour."""
    return float(parcels.volume_ml[(parcels.code & parcels.bit(name)) != 0].sum())


def drawn_ml(volume: Volume) -> float:
    """Voxels times their volume."""
    return float(np.count_nonzero(volume.array)) * volume.geometry.voxel_volume_ml


class NestedGridTestCase(unittest.TestCase):
    """Where target voxels are whole blocks or whole parts of contour voxels, nothing is approximate."""

    def test_blocks_of_contour_voxels_keep_every_volume(self) -> None:
        contours = [("a", random_blobs(CONTOUR_GRID, 1)), ("b", random_blobs(CONTOUR_GRID, 2))]
        target = CONTOUR_GRID.coarsened((2, 3, 3))
        parcels = divide(contours, target, (2, 3, 3))
        for name, drawn in contours:
            self.assertAlmostEqual(volume_ml(parcels, name), drawn_ml(drawn), delta=1e-12)
            blocks = drawn.array.reshape(15, 2, 12, 3, 14, 3).mean(axis=(1, 3, 5))
            inside = (parcels.code & parcels.bit(name)) != 0
            np.testing.assert_allclose(parcels.occupancy(inside), blocks, atol=1e-12)

    def test_parts_of_contour_voxels_keep_every_volume(self) -> None:
        drawn = random_blobs(CONTOUR_GRID, 3)
        matrix = CONTOUR_GRID.ijk_to_lps.copy()
        matrix[:3, 2] /= 2.0
        matrix[:3, 3] = (CONTOUR_GRID.ijk_to_lps @ np.array([0.0, 0.0, -0.25, 1.0]))[:3]
        target = VolumeGeometry((60, 36, 42), matrix)
        parcels = divide([("a", drawn)], target, (1, 1, 1))
        self.assertAlmostEqual(volume_ml(parcels, "a"), drawn_ml(drawn), delta=1e-12)
        chosen = np.ones(parcels.voxel.size, dtype=bool)
        np.testing.assert_allclose(parcels.occupancy(chosen), np.repeat(drawn.array, 2, axis=0), atol=1e-12)

    def test_the_same_grid_gives_one_whole_parcel_per_voxel(self) -> None:
        drawn = random_blobs(CONTOUR_GRID, 4)
        parcels = divide([("a", drawn)], CONTOUR_GRID, (1, 1, 1))
        np.testing.assert_array_equal(np.sort(parcels.voxel), np.flatnonzero(drawn.array))
        np.testing.assert_allclose(parcels.volume_ml, 0.002, rtol=1e-12)  # 1 x 1 x 2 mm

    def test_mirrored_and_permuted_axes_are_followed(self) -> None:
        drawn = random_blobs(CONTOUR_GRID, 5)
        # The same voxels stored the other way round along j and k.
        matrix = CONTOUR_GRID.ijk_to_lps.copy()
        matrix[:3, 3] = (CONTOUR_GRID.ijk_to_lps @ np.array([0.0, 35.0, 29.0, 1.0]))[:3]
        matrix[:3, 1:3] *= -1.0
        target = VolumeGeometry(CONTOUR_GRID.shape_kji, matrix)
        parcels = divide([("a", drawn)], target, (1, 1, 1))
        occupancy = parcels.occupancy(np.ones(parcels.voxel.size, dtype=bool))
        np.testing.assert_allclose(occupancy, drawn.array[::-1, ::-1, :], atol=1e-12)

    def test_a_contour_that_reaches_beyond_the_target_is_cut_there(self) -> None:
        drawn = Volume(np.ones(CONTOUR_GRID.shape_kji, dtype=bool), CONTOUR_GRID)
        target = CONTOUR_GRID.cropped((-3, 10, 20), (8, 9, 40))
        parcels = divide([("a", drawn)], target, (1, 1, 1))
        # Of 8 x 9 x 40 target voxels, 3 slices and 18 columns (20 + 40 - 42) lie outside: 5 x 9 x 22 of 0.002 mL.
        self.assertAlmostEqual(volume_ml(parcels, "a"), 5 * 9 * 22 * 0.002, delta=1e-12)


class SetOperationTestCase(AgreementTestCase):
    def test_the_liver_is_its_tumours_its_perfused_and_its_non_perfused_part(self) -> None:
        liver = ball(CONTOUR_GRID, np.array([0.0, 32.0, 130.0]), 15.0)
        inside = liver.array
        left, right = inside.copy(), inside.copy()
        left[:, :, 17:] = False
        right[:, :, :25] = False
        tumours = random_blobs(CONTOUR_GRID, 6, 0.1).array & inside
        contours = [
            ("Liver", liver),
            ("Left", Volume(left, CONTOUR_GRID)),
            ("Right", Volume(right, CONTOUR_GRID)),
            ("T1", Volume(tumours & left, CONTOUR_GRID)),
            ("T2", Volume(tumours & ~left, CONTOUR_GRID)),
        ]
        roles = {"Liver": "liver", "Left": "territory", "Right": "territory", "T1": "tumour", "T2": "tumour"}
        direction = rotation((1.0, 2.0, 3.0), 25.0)
        oblique = VolumeGeometry.from_components(
            (20, 20, 20), spacing_mm=(3.0, 3.0, 4.0), origin_lps_mm=(-10.0, -10.0, 90.0), direction_lps=direction
        )
        for target, samples in ((CONTOUR_GRID.coarsened((2, 3, 3)), (2, 3, 3)), (oblique, (3, 3, 3))):
            parcels = divide(contours, target, samples)
            holds = {c.name: c.holds(parcels.code, parcels.names) for c in derive_compartments(roles)}
            parts = np.stack(
                [holds["All tumours"], holds["Normal perfused liver"], holds["Non-perfused liver"]]
            ).astype(int)
            with self.subTest(target=target.shape_kji):
                np.testing.assert_array_equal(parts.sum(axis=0), holds["Liver"].astype(int))
                np.testing.assert_array_equal(parts[1:].sum(axis=0), holds["Whole normal liver"].astype(int))

    def test_volumes_of_set_operations_are_those_of_the_arrays(self) -> None:
        a, b = random_blobs(CONTOUR_GRID, 7), random_blobs(CONTOUR_GRID, 8)
        parcels = divide([("a", a), ("b", b)], CONTOUR_GRID.coarsened((3, 2, 6)), (3, 2, 6))
        both = (parcels.code & parcels.bit("a") != 0) & (parcels.code & parcels.bit("b") != 0)
        # coarsened() leaves no remainder here: 30, 36 and 42 are divisible.
        self.assertAlmostEqual(
            float(parcels.volume_ml[both].sum()), float(np.count_nonzero(a.array & b.array)) * 0.002, delta=1e-12
        )
        self.assertEqual(int(parcels.bits(("a", "b"))), 3)

    def test_a_place_is_counted_once(self) -> None:
        parcels = divide(
            [("a", random_blobs(CONTOUR_GRID, 9)), ("b", random_blobs(CONTOUR_GRID, 10))],
            CONTOUR_GRID.coarsened((2, 2, 2)),
            (2, 2, 2),
        )
        self.assertLessEqual(parcels.occupancy(np.ones(parcels.voxel.size, dtype=bool)).max(), 1.0 + 1e-12)
        pairs = np.stack((parcels.voxel.astype(np.int64), parcels.code.astype(np.int64)))
        self.assertEqual(np.unique(pairs, axis=1).shape[1], parcels.voxel.size)


class AnyGridTestCase(AgreementTestCase):
    def test_an_oblique_target_keeps_the_volume(self) -> None:
        drawn = ball(CONTOUR_GRID, np.array([0.5, 32.0, 130.0]), 13.0)
        worst = 0.0
        for degrees in (10.0, 33.0, 45.0):
            target = VolumeGeometry.from_components(
                (30, 30, 30),
                spacing_mm=(4.0, 4.0, 3.0),
                origin_lps_mm=tuple(
                    np.array([0.5, 32.0, 130.0]) - rotation((3.0, -1.0, 2.0), degrees) @ np.array([58.0, 58.0, 43.5])
                ),
                direction_lps=rotation((3.0, -1.0, 2.0), degrees),
            )
            parcels = divide([("a", drawn)], target, (4, 4, 4))
            worst = max(worst, abs(volume_ml(parcels, "a") / drawn_ml(drawn) - 1.0))
        # 12,000 points of about 1 mm³ in 9.2 mL, those at the border random: 0.5 of the square root of 2,000 points.
        self.assert_agrees("Volume of a 9 mL ball on oblique 4x4x3 mm", "its voxels", 100.0 * worst, 0.5, "%")

    def test_an_oblique_target_keeps_the_place(self) -> None:
        center = np.array([0.5, 32.0, 130.0])
        drawn = ball(CONTOUR_GRID, center, 10.0)
        direction = rotation((3.0, -1.0, 2.0), 40.0)
        target = VolumeGeometry.from_components(
            (24, 24, 24),
            spacing_mm=(3.0, 2.0, 4.0),
            origin_lps_mm=tuple(center - direction @ np.array([34.5, 23.0, 46.0])),
            direction_lps=direction,
        )
        parcels = divide([("a", drawn)], target, (4, 3, 4))
        k, j, i = np.unravel_index(parcels.voxel, target.shape_kji)
        points = np.stack((i, j, k, np.ones_like(i)), axis=-1) @ target.ijk_to_lps.T
        middle = np.average(points[:, :3], axis=0, weights=parcels.volume_ml)
        index = np.argwhere(drawn.array)[:, ::-1].mean(axis=0)
        expected = (CONTOUR_GRID.ijk_to_lps @ np.array([*index, 1.0]))[:3]
        # 4,000 points with a spread of half a voxel each: far below 0.1 mm.
        np.testing.assert_allclose(middle, expected, atol=0.1)

    def test_contours_on_different_grids_are_combined_in_space(self) -> None:
        fine = VolumeGeometry.from_components(
            (50, 50, 50), spacing_mm=(0.7, 0.7, 0.9), origin_lps_mm=(-17.3, 14.8, 108.2)
        )
        center = np.array([0.0, 32.0, 130.0])
        liver, tumour = ball(CONTOUR_GRID, center, 14.0), ball(fine, center, 7.0)
        parcels = divide([("liver", liver), ("tumour", tumour)], CONTOUR_GRID.coarsened((2, 2, 2)), (8, 6, 6))
        in_tumour = (parcels.code & parcels.bit("tumour")) != 0
        in_liver = (parcels.code & parcels.bit("liver")) != 0
        self.assertTrue(np.all(in_liver[in_tumour]))
        # About two points along each edge of the 0.7 x 0.7 x 0.9 mm voxels: a regular pattern counts each once to
        # eight times, which a ball of 3,260 voxels evens out to 1 %.
        self.assertAlmostEqual(volume_ml(parcels, "tumour") / drawn_ml(tumour), 1.0, delta=0.01)
        # The liver's own voxels hold whole numbers of points.
        self.assertAlmostEqual(volume_ml(parcels, "liver") / drawn_ml(liver), 1.0, delta=1e-12)

    def test_neighbors_that_share_a_border_leave_no_gap_and_no_overlap(self) -> None:
        # Points on the border between two contour voxels belong to exactly one of them, whatever the rounding.
        for shift in (0.0, 0.5, 1.0 / 3.0, 0.1):
            grid = CONTOUR_GRID
            left = box_volume(grid, (0, 0, 0), (30, 36, 20))
            right = box_volume(grid, (0, 0, 20), (30, 36, 42))
            target = grid.cropped((2, 2, 2), (20, 30, 36))
            matrix = target.ijk_to_lps.copy()
            matrix[:3, 3] += shift * np.array(grid.spacing_mm)
            target = VolumeGeometry(target.shape_kji, matrix)
            parcels = divide([("l", left), ("r", right)], target, (2, 2, 2))
            with self.subTest(shift=shift):
                self.assertNotIn(3, set(parcels.code.tolist()))
                self.assertAlmostEqual(float(parcels.volume_ml.sum()), 20 * 30 * 36 * 0.002, delta=1e-9)

    def test_contours_outside_the_target_give_no_parcels(self) -> None:
        far = CONTOUR_GRID.cropped((500, 0, 0), (10, 10, 10))
        parcels = divide([("a", random_blobs(CONTOUR_GRID, 11))], far, (2, 2, 2))
        self.assertEqual((parcels.voxel.size, parcels.code.dtype, parcels.voxel.dtype), (0, np.uint64, np.int64))
        self.assertEqual(divide([], CONTOUR_GRID, (1, 1, 1)).voxel.size, 0)
        empty = Volume(np.zeros(CONTOUR_GRID.shape_kji, dtype=bool), CONTOUR_GRID)
        self.assertEqual(divide([("a", empty)], CONTOUR_GRID, (1, 1, 1)).voxel.size, 0)

    def test_a_contour_between_all_points_gives_no_parcels(self) -> None:
        # One voxel of 1 x 1 x 2 mm at the corner of a 10 mm target voxel that is probed at its center alone.
        drawn = box_volume(CONTOUR_GRID, (0, 0, 0), (1, 1, 1))
        parcels = divide([("a", drawn)], CONTOUR_GRID.coarsened((5, 10, 10)), (1, 1, 1))
        self.assertEqual(parcels.voxel.size, 0)


class SmallLesionTestCase(AgreementTestCase):
    def test_a_lesion_of_0_3_ml_on_a_4_mm_grid_has_finite_and_sensible_metrics(self) -> None:
        # Radius (3 * 300 mm³ / 4 pi)^(1/3) = 4.153 mm, drawn on 1 mm CT voxels.
        fine = VolumeGeometry.from_components((24, 24, 24), spacing_mm=(1.0, 1.0, 1.0))
        target = VolumeGeometry.from_components((6, 6, 6), spacing_mm=(4.0, 4.0, 4.0), origin_lps_mm=(1.5, 1.5, 1.5))
        for center in ((11.5, 11.5, 11.5), (12.1, 10.7, 11.3), (9.5, 9.5, 9.5)):
            lesion = ball(fine, np.array(center), 4.153)
            parcels = divide([("lesion", lesion)], target, (4, 4, 4))
            with self.subTest(center=center):
                self.assertAlmostEqual(volume_ml(parcels, "lesion"), drawn_ml(lesion), delta=1e-12)
                self.assertAlmostEqual(volume_ml(parcels, "lesion"), 0.3, delta=0.03)
                dose = 100.0 + 10.0 * np.arange(216.0)[parcels.voxel] / 216.0
                dvh = make_dvh(dose, parcels.volume_ml, 1.05)
                numbers = [dvh.mean_gy(), dvh.sd_gy(), dvh.min_gy(), dvh.max_gy(), dvh.volume_at_dose_percent(50.0)]
                numbers += [dvh.dose_to_volume_gy(x) for x in (2.0, 50.0, 70.0, 95.0, 98.0)]
                self.assertTrue(np.all(np.isfinite(numbers)))
                self.assertTrue(100.0 <= dvh.min_gy() <= dvh.mean_gy() <= dvh.max_gy() <= 110.0)
                self.assertGreater(dvh.total_volume_ml, 0.0)

    def test_it_holds_a_part_of_a_voxel_smaller_than_the_grid(self) -> None:
        # 1 mL ball occupancy by points equals that by parcels: independent counting, 5 mm voxels.
        radius = (3.0 * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
        occupancy = ball_occupancy(radius, (5.0, 5.0, 5.0), 10)
        n = occupancy.shape[0]
        fine = VolumeGeometry.from_components((10 * n,) * 3, spacing_mm=(0.5, 0.5, 0.5))
        lesion = ball(fine, np.full(3, (10 * n - 1) / 4.0), radius)
        target = fine.coarsened((10, 10, 10))
        parcels = divide([("a", lesion)], target, (10, 10, 10))
        found = parcels.occupancy(np.ones(parcels.voxel.size, dtype=bool))
        np.testing.assert_allclose(found, occupancy, atol=1e-3)


class LimitTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.grid = VolumeGeometry.from_components((1, 1, 70), spacing_mm=(1.0, 1.0, 1.0))

    def boxes(self, count: int) -> list[tuple[str, Volume]]:
        return [(f"c{n}", box_volume(self.grid, (0, 0, n), (1, 1, n + 2))) for n in range(count)]

    def test_63_contours_keep_their_own_bits(self) -> None:
        self.assertEqual(MAXIMUM_CONTOURS, 63)
        parcels = divide(self.boxes(63), self.grid, (1, 1, 1))
        for n in (0, 31, 32, 61, 62):
            inside = (parcels.code & parcels.bit(f"c{n}")) != 0
            np.testing.assert_array_equal(np.sort(parcels.voxel[inside]), [n, n + 1])

    def test_more_contours_than_bits_are_refused(self) -> None:
        with self.assertRaises(InputError) as caught:
            divide(self.boxes(64), self.grid, (1, 1, 1))
        self.assertIn("63", str(caught.exception))

    def test_two_contours_of_one_name_are_refused(self) -> None:
        boxes = self.boxes(2)
        with self.assertRaises(InputError):
            divide([boxes[0], ("c0", boxes[1][1])], self.grid, (1, 1, 1))


if __name__ == "__main__":
    unittest.main()
