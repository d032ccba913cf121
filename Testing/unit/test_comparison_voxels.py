"""Two dose maps voxel by voxel: figures by hand."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
from scipy import ndimage
from typer.testing import CliRunner
from unit.support import box_volume

from TARECOMETLib.cli.main import app
from TARECOMETLib.comparison.voxels import isodose_agreement, joint_histogram, match_resolution, voxel_agreement
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.image_files import write_image
from TARECOMETLib.imaging.volume import Volume


class VoxelTestCase(unittest.TestCase):
    def test_statistics_by_hand(self) -> None:
        # Doses 10, 20, 30 and 14, 18, 40 with volumes 1, 1, 2: differences 4, -2, 10, weighted mean 22/4 = 5.5,
        # variance (2.25 + 56.25 + 2 · 20.25)/4 = 24.75, mean absolute 26/4 over a mean of 22.5.
        found = voxel_agreement(np.array([10.0, 20, 30]), np.array([14.0, 18, 40]), np.array([1.0, 1, 2]))
        self.assertAlmostEqual(found.mean_difference_gy, 5.5, 12)
        self.assertAlmostEqual(found.sd_difference_gy, np.sqrt(24.75), 12)
        self.assertAlmostEqual(found.nmad, 6.5 / 22.5, 12)
        # The sorted doses pair as they stand: area (4 + 2 + 2 · 10)/4.
        self.assertAlmostEqual(found.dvh_area_gy, 6.5, 12)
        # Deviations -12.5, -2.5, 7.5 and -14, -10, 12: (175 + 25 + 180)/sqrt((156.25+6.25+112.5)(196+100+288)).
        self.assertAlmostEqual(found.pearson, 380.0 / np.sqrt(275.0 * 584.0), 12)
        self.assertAlmostEqual(found.spearman, 1.0, 12)

    def test_dvh_area_does_not_see_where_the_dose_lies(self) -> None:
        a = np.array([10.0, 20.0, 30.0])
        found = voxel_agreement(a, a[::-1], np.ones(3))
        self.assertAlmostEqual(found.dvh_area_gy, 0.0, 12)
        self.assertAlmostEqual(found.pearson, -1.0, 12)

    def test_a_constant_map_has_no_correlation_and_a_nearly_constant_one_has(self) -> None:
        a = np.array([10.0, 20.0, 30.0])
        self.assertIsNone(voxel_agreement(np.full(3, 5.0), a, np.ones(3)).pearson)
        self.assertIsNotNone(voxel_agreement(np.array([5.0, 5.0, 5.1]), a, np.ones(3)).pearson)
        for doses in (np.zeros(3), a[:1]):
            with self.assertRaises(InputError):
                voxel_agreement(doses, a[: doses.size], np.ones(doses.size))

    def test_joint_histogram_keeps_the_volume(self) -> None:
        edges, volume = joint_histogram(np.array([1.0, 9.0]), np.array([9.0, 10.0]), np.array([2.0, 3.0]), bins=2)
        np.testing.assert_allclose(edges, [0.0, 5.0, 10.0])
        np.testing.assert_allclose(volume, [[0.0, 2.0], [0.0, 3.0]])

    def test_isodoses_of_shifted_slabs(self) -> None:
        # Slabs of 6 voxels, the second 2 voxels of 3 mm further along i: Dice 2·4/12.
        first = np.zeros((8, 8, 14))
        first[:, :, 3:9] = 100.0
        second = np.roll(first, 2, axis=2)
        found = isodose_agreement(first, second, np.ones(first.shape, dtype=bool), (3.0, 1.0, 1.0), [50.0, 150.0])
        self.assertAlmostEqual(found[0].dice, 8.0 / 12.0, 12)
        self.assertIsNone(found[1].dice)
        self.assertLessEqual(found[0].mean_surface_distance_mm, 6.0)
        same = isodose_agreement(first, first, np.ones(first.shape, dtype=bool), (3.0, 1.0, 1.0), [50.0])[0]
        self.assertEqual((same.dice, same.mean_surface_distance_mm), (1.0, 0.0))
        # Single voxels 2 apart along i: each border is the voxel itself, 6 mm from the other.
        first, second = np.zeros((3, 3, 5)), np.zeros((3, 3, 5))
        first[1, 1, 1] = second[1, 1, 3] = 10.0
        apart = isodose_agreement(first, second, np.ones(first.shape, dtype=bool), (3.0, 1.0, 1.0), [5.0])[0]
        self.assertEqual((apart.dice, apart.mean_surface_distance_mm), (0.0, 6.0))

    def test_matched_resolution_is_that_of_the_blurrier_map(self) -> None:
        # A point blurred to 6 mm and then matched to 10 mm is a point blurred to 10 mm: variances add.
        point = np.zeros((41, 41, 41))
        point[20, 20, 20] = 1.0
        sigma = np.array([6.0, 10.0]) / 2.354820045
        sharp, coarse = (ndimage.gaussian_filter(point, s / 2.0, truncate=5.0) for s in sigma)
        matched = match_resolution(sharp, (2.0, 2.0, 2.0), 6.0, 10.0)
        # Sampling Gaussians this wide at 2 mm leaves below 1 % of the peak.
        self.assertLess(float(np.abs(matched - coarse).max()) / float(coarse.max()), 0.01)
        with self.assertRaises(InputError):
            match_resolution(sharp, (2.0, 2.0, 2.0), 10.0, 6.0)


class CommandTestCase(unittest.TestCase):
    def test_two_doses_in_a_contour_and_refusal_of_distant_grids(self) -> None:
        shape = (8, 9, 10)
        geometry = VolumeGeometry.from_components(shape, spacing_mm=(3.0, 3.0, 3.0))
        far = VolumeGeometry.from_components(shape, spacing_mm=(3.0, 3.0, 3.0), origin_lps_mm=(500.0, 0.0, 0.0))
        dose = np.full(shape, 50.0, dtype=np.float32) + np.arange(10, dtype=np.float32)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_image(folder / "a.nrrd", Volume(dose, geometry))
            write_image(folder / "b.nrrd", Volume(dose + np.float32(2.0), geometry))
            write_image(folder / "far.nrrd", Volume(dose, far))
            label = box_volume(geometry, (2, 2, 2), (6, 6, 8))
            write_image(folder / "c.nrrd", Volume(label.array.astype(np.uint8), geometry))
            paths = [str(folder / f"{part}.nrrd") for part in "abc"]
            result = CliRunner().invoke(app, ["compare", *paths, "--json"])
            self.assertEqual(result.exit_code, 0, result.output)
            row = json.loads(result.stdout)["contours"][0]
            self.assertAlmostEqual(row["difference_gy"], 2.0, 4)
            self.assertEqual(row["gamma_pass_rate"], 1.0)
            self.assertAlmostEqual(row["voxels"]["pearson"], 1.0, 6)
            refused = CliRunner().invoke(app, ["compare", paths[0], str(folder / "far.nrrd"), paths[2]])
            self.assertIsInstance(refused.exception, InputError)
            self.assertIn("no common frame", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
