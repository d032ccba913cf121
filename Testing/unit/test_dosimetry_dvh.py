"""DVH metrics against hand examples, plain computing, numpy's percentiles and dicompyler-core."""

from __future__ import annotations

import importlib.util
import unittest

import numpy as np
from support import AgreementTestCase

from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.errors import InputError

requires_dicompyler = unittest.skipUnless(
    importlib.util.find_spec("dicompylercore") is not None, "needs dicompyler-core as the independent DVH"
)
PERCENTS = (2.0, 10.0, 33.3, 50.0, 70.0, 95.0, 98.0, 100.0)


def plain_dose_to_volume(dose: np.ndarray, volume: np.ndarray, percent: float) -> float:
    """The highest dose that at least ``percent`` of the volume receives, by trying every dose."""
    wanted = percent / 100.0 * volume.sum() * (1.0 - 1e-9)
    return float(max(d for d in np.unique(dose) if volume[dose >= d].sum() >= wanted))


class HandExampleTestCase(unittest.TestCase):
    """Doses 40, 30, 20, 10 Gy in 1, 2, 3, 4 mL of 1, 2, 1, 1 g/mL; given out of order."""

    def setUp(self) -> None:
        self.dvh = make_dvh(
            np.array([20.0, 40.0, 10.0, 30.0]), np.array([3.0, 1.0, 4.0, 2.0]), np.array([1.0, 1.0, 1.0, 2.0])
        )

    def test_the_mean_is_energy_over_mass(self) -> None:
        # (40*1 + 30*4 + 20*3 + 10*4) / 12 = 260 / 12.
        self.assertAlmostEqual(self.dvh.mean_gy(), 260.0 / 12.0, delta=1e-12)

    def test_the_standard_deviation_is_weighted_by_mass(self) -> None:
        # Mean of squares (1600 + 3600 + 1200 + 400) / 12 = 6800 / 12, less the mean squared.
        self.assertAlmostEqual(self.dvh.sd_gy(), (6800.0 / 12.0 - (260.0 / 12.0) ** 2) ** 0.5, delta=1e-12)

    def test_d_x_is_the_highest_dose_that_x_per_cent_of_the_volume_receive(self) -> None:
        # Of 10 mL: 40 Gy in 10 %, 30 Gy or more in 30 %, 20 in 60 %, 10 in 100 %. A share met exactly counts.
        for percent, dose in (
            (0.0, 40.0), (2.0, 40.0), (10.0, 40.0), (10.1, 30.0), (30.0, 30.0), (30.1, 20.0),
            (60.0, 20.0), (60.1, 10.0), (98.0, 10.0), (100.0, 10.0),
        ):  # fmt: skip
            with self.subTest(percent=percent):
                self.assertEqual(self.dvh.dose_to_volume_gy(percent), dose)

    def test_v_x_is_the_volume_at_or_above_x(self) -> None:
        for dose, ml in ((0.0, 10.0), (10.0, 10.0), (10.1, 6.0), (20.0, 6.0), (30.0, 3.0), (40.0, 1.0), (40.1, 0.0)):
            with self.subTest(dose=dose):
                self.assertAlmostEqual(self.dvh.volume_at_dose_ml(dose), ml, delta=1e-12)
                self.assertAlmostEqual(self.dvh.volume_at_dose_percent(dose), 10.0 * ml, delta=1e-12)

    def test_volume_and_extremes(self) -> None:
        self.assertAlmostEqual(self.dvh.total_volume_ml, 10.0, delta=1e-12)
        self.assertEqual((self.dvh.min_gy(), self.dvh.max_gy()), (10.0, 40.0))


class PlainComputingTestCase(AgreementTestCase):
    def test_metrics_are_those_of_a_plain_loop_over_all_doses(self) -> None:
        generator = np.random.default_rng(12)
        dose = np.round(generator.gamma(3.0, 25.0, 400), 0)  # rounded, so that doses repeat
        volume = generator.uniform(0.0, 0.03, 400)
        volume[generator.random(400) < 0.2] = 0.0
        density = generator.uniform(0.26, 1.05, 400)
        dvh = make_dvh(dose, volume, density)
        kept = volume > 0.0
        worst = 0.0
        for percent in PERCENTS:
            expected = plain_dose_to_volume(dose[kept], volume[kept], percent)
            worst = max(worst, abs(dvh.dose_to_volume_gy(percent) - expected))
        for level in (0.0, 50.0, 51.0, 100.0, 1000.0):
            expected = 100.0 * volume[dose >= level].sum() / volume.sum()
            worst = max(worst, abs(dvh.volume_at_dose_percent(level) - expected))
        worst = max(worst, abs(dvh.mean_gy() - np.average(dose, weights=volume * density)))
        variance = np.average((dose - dvh.mean_gy()) ** 2, weights=volume * density)
        worst = max(worst, abs(dvh.sd_gy() - np.sqrt(variance)))
        self.assert_agrees("DVH metrics, unequal volumes and masses", "plain numpy", worst, 1e-9, "Gy or %")

    def test_equal_voxels_give_numpys_percentiles(self) -> None:
        generator = np.random.default_rng(13)
        worst = 0.0
        for count in (1, 2, 7, 100, 1000, 99_991):
            dose = generator.gamma(2.0, 40.0, count)
            dvh = make_dvh(dose, np.full(count, 0.008), 1.05)
            for percent in PERCENTS:
                # D_x counts from the highest dose down: the inverted cumulative distribution of minus the dose.
                expected = -np.percentile(-dose, percent, method="inverted_cdf")
                worst = max(worst, abs(dvh.dose_to_volume_gy(percent) - expected))
            worst = max(worst, abs(dvh.mean_gy() - dose.mean()), abs(dvh.sd_gy() - dose.std()))
        self.assert_agrees("DVH metrics, up to 1e5 equal voxels", "numpy percentile", worst, 1e-9, "Gy")

    def test_volume_weights_differ_from_mass_weights_only_in_mean_and_sd(self) -> None:
        dose, volume = np.array([100.0, 0.0]), np.array([1.0, 1.0])
        light = make_dvh(dose, volume, np.array([0.25, 1.0]))
        even = make_dvh(dose, volume, 1.0)
        self.assertAlmostEqual(light.mean_gy(), 20.0, delta=1e-12)
        self.assertAlmostEqual(even.mean_gy(), 50.0, delta=1e-12)
        self.assertEqual(light.dose_to_volume_gy(50.0), even.dose_to_volume_gy(50.0))
        self.assertEqual(light.volume_at_dose_percent(50.0), even.volume_at_dose_percent(50.0))

    def test_a_voxel_cut_in_two_changes_nothing(self) -> None:
        generator = np.random.default_rng(14)
        dose, volume = generator.gamma(2.0, 40.0, 300), generator.uniform(0.1, 1.0, 300)
        share = generator.uniform(0.1, 0.9, 300)
        whole = make_dvh(dose, volume, 1.05)
        cut = make_dvh(np.tile(dose, 2), np.concatenate((volume * share, volume * (1.0 - share))), 1.05)
        for percent in PERCENTS:
            self.assertEqual(whole.dose_to_volume_gy(percent), cut.dose_to_volume_gy(percent))
        self.assertAlmostEqual(whole.mean_gy(), cut.mean_gy(), delta=1e-10)
        self.assertAlmostEqual(whole.volume_at_dose_ml(60.0), cut.volume_at_dose_ml(60.0), delta=1e-10)

    def test_negative_doses_are_kept_in_mean_and_minimum_and_receive_no_dose(self) -> None:
        dvh = make_dvh(np.array([10.0, -2.0, 4.0]), np.ones(3), 1.0)
        self.assertAlmostEqual(dvh.mean_gy(), 4.0, delta=1e-12)
        self.assertEqual((dvh.min_gy(), dvh.dose_to_volume_gy(100.0)), (-2.0, -2.0))
        self.assertAlmostEqual(dvh.volume_at_dose_percent(0.0), 200.0 / 3.0, delta=1e-12)

    def test_one_voxel_has_every_metric(self) -> None:
        dvh = make_dvh(np.array([7.0]), np.array([1e-6]), 1.05)
        self.assertEqual({dvh.mean_gy(), dvh.min_gy(), dvh.max_gy(), *map(dvh.dose_to_volume_gy, PERCENTS)}, {7.0})
        self.assertEqual(dvh.sd_gy(), 0.0)


class CurveTestCase(unittest.TestCase):
    def test_it_falls_from_all_of_the_volume_to_that_of_the_maximum(self) -> None:
        dvh = make_dvh(np.random.default_rng(15).gamma(3.0, 20.0, 500), np.ones(500), 1.05)
        dose, percent = dvh.curve()
        self.assertEqual((dose.size, dose[0], dose[-1]), (400, 0.0, dvh.max_gy()))
        self.assertTrue(np.all(np.diff(dose) > 0.0) and np.all(np.diff(percent) <= 0.0))
        self.assertAlmostEqual(percent[0], 100.0, delta=1e-12)
        self.assertAlmostEqual(percent[-1], 0.2, delta=1e-12)  # one of 500 voxels

    def test_every_point_of_it_is_v_x(self) -> None:
        generator = np.random.default_rng(16)
        dvh = make_dvh(np.round(generator.gamma(3.0, 20.0, 200)), generator.uniform(0.1, 1.0, 200), 1.05)
        for dose, percent in zip(*dvh.curve(57), strict=True):
            self.assertAlmostEqual(percent, dvh.volume_at_dose_percent(dose), delta=1e-9)

    def test_negative_and_zero_doses_do_not_break_it(self) -> None:
        dose, percent = make_dvh(np.array([-1.0, 3.0]), np.ones(2), 1.0).curve()
        self.assertEqual((percent[0], percent[-1]), (50.0, 50.0))
        dose, percent = make_dvh(np.zeros(4), np.ones(4), 1.0).curve()
        self.assertTrue(np.all(np.isfinite(dose)) and percent[0] == 100.0 and percent[-1] == 0.0)


@requires_dicompyler
class DicompylerTestCase(AgreementTestCase):
    """dicompyler-core bins the doses; its metrics are read from bins of 0.05 Gy."""

    WIDTH_GY = 0.05

    def setUp(self) -> None:
        from dicompylercore.dvh import DVH

        generator = np.random.default_rng(17)
        self.dose = generator.gamma(4.0, 30.0, 400_000)
        self.ours = make_dvh(self.dose, np.full(400_000, 0.01), 1.05)
        # DVH.from_data fails for bins under 1 Gy: it appends the maximum behind edges that lie beyond it.
        edges = np.arange(0.0, self.dose.max() + 2.0 * self.WIDTH_GY, self.WIDTH_GY)
        volume_per_bin = np.histogram(self.dose, edges)[0] * 0.01
        self.theirs = DVH(volume_per_bin, edges, dvh_type="differential", dose_units="Gy", volume_units="cm3")

    def test_doses_to_a_volume_agree_within_two_bins(self) -> None:
        relative = self.theirs.cumulative.relative_volume
        # One bin's width, and the gap between neighboring voxels in the sparse tail at D2 (about 0.01 Gy of 4e5
        # voxels): any bin in it has the same volume above.
        worst = max(
            abs(self.ours.dose_to_volume_gy(x) - float(relative.dose_constraint(x).value)) for x in (2, 50, 70, 95, 98)
        )
        self.assert_agrees("D2-D98, 0.05 Gy bins", "dicompyler-core", worst, 2.0 * self.WIDTH_GY, "Gy")

    def test_volumes_at_a_dose_agree_within_what_one_bin_holds(self) -> None:
        relative = self.theirs.cumulative.relative_volume
        worst, allowed = 0.0, 0.0
        for level in (50.0, 100.0, 150.0, 200.0):
            worst = max(
                worst,
                abs(self.ours.volume_at_dose_percent(level) - float(relative.volume_constraint(level, "Gy").value)),
            )
            near = np.abs(self.dose - level) <= self.WIDTH_GY
            allowed = max(allowed, 100.0 * float(near.mean()))
        self.assert_agrees("V50-V200, 0.05 Gy bins", "dicompyler-core", worst, allowed, "% of volume")

    def test_means_agree_within_half_a_bin(self) -> None:
        deviation = self.ours.mean_gy() - float(self.theirs.mean)
        self.assert_agrees("Mean dose, 0.05 Gy bins", "dicompyler-core", deviation, self.WIDTH_GY / 2.0, "Gy")


class RefusalTestCase(unittest.TestCase):
    def test_a_structure_without_volume_is_refused(self) -> None:
        for dose, volume in ((np.zeros(0), np.zeros(0)), (np.ones(3), np.zeros(3))):
            with self.assertRaises(InputError) as caught:
                make_dvh(dose, volume, 1.05)
            self.assertEqual(caught.exception.code, "empty-contour")

    def test_doses_that_are_not_numbers_are_refused_where_they_count(self) -> None:
        for bad in (np.nan, np.inf):
            with self.assertRaises(InputError) as caught:
                make_dvh(np.array([1.0, bad]), np.ones(2), 1.05)
            self.assertEqual(caught.exception.code, "not-finite")
        # Outside the structure they do not.
        self.assertEqual(make_dvh(np.array([1.0, np.nan]), np.array([1.0, 0.0]), 1.05).mean_gy(), 1.0)

    def test_a_tissue_without_mass_is_refused(self) -> None:
        for density in (0.0, np.nan, np.array([1.05, 0.0])):
            with self.assertRaises(InputError):
                make_dvh(np.ones(2), np.ones(2), density)
        # Outside the structure it does not count.
        make_dvh(np.ones(2), np.array([1.0, 0.0]), np.array([1.05, 0.0]))

    def test_inputs_of_any_shape_are_taken_and_not_changed(self) -> None:
        dose, volume = np.arange(8.0).reshape(2, 2, 2), np.ones((2, 2, 2))
        density = np.full((2, 2, 2), 1.05)
        density[0] = 0.5
        before = dose.copy()
        dvh = make_dvh(dose, volume, density)
        # 0, 1, 2, 3 at half and 4, 5, 6, 7 at 1.05: (3 + 23.1) / 6.2.
        self.assertAlmostEqual(dvh.mean_gy(), 26.1 / 6.2, delta=1e-12)
        np.testing.assert_array_equal(dose, before)


if __name__ == "__main__":
    unittest.main()
