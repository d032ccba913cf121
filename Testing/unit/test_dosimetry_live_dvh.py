"""DVHs after strokes: equal to a full recompute, and to the DVH of parcels where both apply."""

from __future__ import annotations

import unittest

import numpy as np

from TARECOMETLib.dosimetry.compartments import derive_compartments
from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.dosimetry.live_dvh import Box, LiveDvh
from TARECOMETLib.dosimetry.parcels import divide
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume

ROLES = {"liver": "liver", "right": "territory", "T1": "tumour", "T2": "tumour", "lungs": "lung"}
CONTOURS = VolumeGeometry.from_components((32, 40, 36), spacing_mm=(1.5, 1.5, 2.0), origin_lps_mm=(-20.0, 5.0, 3.0))


def dose_grid(block: int) -> VolumeGeometry:
    """Voxels of whole blocks of contour voxels, on the same corner."""
    matrix = CONTOURS.ijk_to_lps.copy()
    matrix[:3, :3] *= block
    matrix[:3, 3] = (CONTOURS.ijk_to_lps @ np.array([*([(block - 1) / 2.0] * 3), 1.0]))[:3]
    k, j, i = (n // block for n in CONTOURS.shape_kji)
    return VolumeGeometry((k, j, i), matrix)


def ball(center_kji: tuple[float, float, float], radius: float) -> np.ndarray:
    """A sphere in voxels."""
    grid = np.indices(CONTOURS.shape_kji)
    return sum((axis - c) ** 2 for axis, c in zip(grid, center_kji, strict=True)) <= radius**2


def masks() -> dict[str, np.ndarray]:
    """Overlapping structures."""
    liver = ball((16, 20, 18), 14)
    right = liver & (np.indices(CONTOURS.shape_kji)[2] < 20)
    return {"liver": liver, "right": right, "T1": ball((14, 18, 12), 4), "T2": ball((18, 22, 24), 3)}


def box(mask: np.ndarray) -> Box:
    """A mask cropped to what is filled."""
    index = np.argwhere(mask)
    if not len(index):
        return Box((0, 0, 0), np.zeros((0, 0, 0), dtype=bool))
    low, high = index.min(axis=0), index.max(axis=0) + 1
    return Box(tuple(int(n) for n in low), mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])


def live(geometry: VolumeGeometry, dose: np.ndarray, drawn: dict[str, np.ndarray]) -> LiveDvh:
    """Counted from nothing."""
    engine = LiveDvh(geometry, {"post": dose}, CONTOURS, ROLES)
    for name, mask in drawn.items():
        engine.set_contour(name, box(mask))
    return engine


class LiveDvhTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.geometry = dose_grid(2)
        self.dose = np.random.default_rng(5).gamma(2.0, 40.0, self.geometry.shape_kji).astype(np.float32)

    def assert_equal(self, first: LiveDvh, second: LiveDvh) -> None:
        for compartment in first.compartments:
            a, b = first.dvh("post", compartment.name), second.dvh("post", compartment.name)
            if a is None or b is None:
                self.assertIs(a, b, compartment.name)
                continue
            # The same whole numbers in the same order; only the order among equal doses may differ.
            self.assertAlmostEqual(a.mean_gy(), b.mean_gy(), delta=1e-9 * a.mean_gy())
            self.assertAlmostEqual(a.total_volume_ml, b.total_volume_ml, delta=1e-9 * a.total_volume_ml)
            for percent in (2.0, 50.0, 70.0, 95.0, 98.0):
                self.assertEqual(a.dose_to_volume_gy(percent), b.dose_to_volume_gy(percent))
            self.assertAlmostEqual(a.volume_at_dose_ml(100.0), b.volume_at_dose_ml(100.0), places=9)

    def test_where_grids_nest_it_equals_the_dvh_of_parcels(self) -> None:
        drawn = masks()
        engine = live(self.geometry, self.dose, drawn)
        volumes = [(name, Volume(mask, CONTOURS)) for name, mask in drawn.items()]
        parcels = divide(volumes, self.geometry, (2, 2, 2))
        at = self.dose.ravel()[parcels.voxel].astype(float)
        for compartment in derive_compartments({n: r for n, r in ROLES.items() if n != "lungs"}):
            chosen = compartment.holds(parcels.code, parcels.names)
            expected = make_dvh(at[chosen], parcels.volume_ml[chosen], 1.0)
            found = engine.dvh("post", compartment.name)
            assert found is not None
            with self.subTest(compartment=compartment.name):
                self.assertAlmostEqual(found.mean_gy(), expected.mean_gy(), delta=1e-9 * expected.mean_gy())
                self.assertAlmostEqual(found.total_volume_ml, expected.total_volume_ml, places=9)
                for percent in (2.0, 50.0, 95.0):
                    self.assertEqual(found.dose_to_volume_gy(percent), expected.dose_to_volume_gy(percent))

    def test_a_hundred_random_strokes_equal_a_full_recompute(self) -> None:
        rng = np.random.default_rng(11)
        drawn = masks()
        engine = live(self.geometry, self.dose, drawn)
        for _ in range(100):
            name = str(rng.choice(list(drawn)))
            stroke = ball(tuple(rng.uniform(4, 30, 3)), float(rng.uniform(1, 5)))
            drawn[name] = drawn[name] & ~stroke if rng.random() < 0.5 else drawn[name] | stroke
            engine.set_contour(name, box(drawn[name]))
        self.assert_equal(engine, live(self.geometry, self.dose, drawn))

    def test_a_contour_voxel_larger_than_a_dose_voxel_is_counted_in_parts(self) -> None:
        fine = VolumeGeometry.from_components((64, 60, 54), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(-20.0, 5.0, 3.0))
        dose = np.random.default_rng(2).uniform(1.0, 9.0, fine.shape_kji)
        drawn = masks()
        engine = live(fine, dose, drawn)
        for name, mask in drawn.items():
            self.assertAlmostEqual(engine.volume_ml(name), mask.sum() * CONTOURS.voxel_volume_ml, places=9)

    def test_only_what_changed_is_named_and_an_unchanged_contour_names_nothing(self) -> None:
        drawn = masks()
        engine = live(self.geometry, self.dose, drawn)
        self.assertEqual(engine.set_contour("T2", box(drawn["T2"])), set())
        changed = engine.set_contour("T2", box(ball((18, 22, 24), 4)))
        self.assertIn("T2", changed)
        self.assertIn("Whole normal liver", changed)
        self.assertNotIn("T1", changed)
        self.assertNotIn("liver", changed)
        self.assertEqual(engine.set_contour("T2", box(np.zeros(CONTOURS.shape_kji, dtype=bool))) >= {"T2"}, True)
        self.assertIsNone(engine.dvh("post", "T2"))

    def test_an_oblique_dose_grid_keeps_volumes_to_the_voxels_at_its_border(self) -> None:
        a = np.deg2rad(12.0)
        turn = np.array([[np.cos(a), -np.sin(a), 0.0], [np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]])
        oblique = VolumeGeometry.from_components(
            (30, 30, 30), spacing_mm=(3.0, 3.0, 3.0), origin_lps_mm=(-30.0, -12.0, -6.0), direction_lps=turn
        )
        drawn = masks()
        engine = live(oblique, np.ones(oblique.shape_kji), drawn)
        expected = drawn["T1"].sum() * CONTOURS.voxel_volume_ml
        self.assertAlmostEqual(engine.volume_ml("T1"), expected, places=9)
        found = engine.dvh("post", "T1")
        assert found is not None
        self.assertAlmostEqual(found.mean_gy(), 1.0, places=12)


if __name__ == "__main__":
    unittest.main()
