"""BED and gEUD against hand calculations and their limits."""

from __future__ import annotations

import unittest

import numpy as np
from support import AgreementTestCase

from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.dosimetry.radiobiology import Radiobiology, bed_gy, generalized_eud_gy, mean_bed_gy
from TARECOMETLib.errors import InputError

HALF_LIFE_H = 64.1
# D (1 + D Tr / ((Tr + Tp) ab)) for Tp = 64.1 h: (alpha/beta, repair half-time) to dose and BED in Gy, by hand
# (shared/docs/FACTS.md section 4.2, two decimals).
BED_TABLE = {
    (10.0, 1.5): {50.0: 55.72, 75.0: 87.86, 100.0: 122.87, 139.0: 183.18, 189.0: 270.68},
    (2.5, 1.5): {50.0: 72.87, 75.0: 126.45, 100.0: 191.46, 139.0: 315.72, 189.0: 515.72},
    (2.5, 2.5): {50.0: 87.54, 75.0: 159.46, 100.0: 250.15},
}


class BedTestCase(AgreementTestCase):
    def test_it_is_the_hand_calculated_table(self) -> None:
        worst = max(
            abs(float(bed_gy(dose, Radiobiology(*parameters), HALF_LIFE_H)) - expected)
            for parameters, row in BED_TABLE.items()
            for dose, expected in row.items()
        )
        self.assert_agrees("BED, 50-189 Gy", "13 hand-calculated values", worst, 0.006, "Gy")

    def test_it_is_the_lea_catcheside_integral_of_complete_decay(self) -> None:
        # BED = D + (2 / ab) integral of R(t) integral of R(s) exp(-mu (t - s)) ds dt with R = D lambda exp(-lambda t):
        # numerically on a fine grid, as the definition says (Dale 1985, doi:10.1259/0007-1285-58-690-515).
        dose, ratio, repair_h = 120.0, 8.0, 2.0
        decay, repair = np.log(2.0) / HALF_LIFE_H, np.log(2.0) / repair_h
        step = 0.02
        time = np.arange(0.0, 1500.0, step) + step / 2.0
        rate = dose * decay * np.exp(-decay * time)
        # The inner integral obeys dU/dt = R - mu U; its solution for this R:
        inner = dose * decay / (repair - decay) * (np.exp(-decay * time) - np.exp(-repair * time))
        expected = dose + 2.0 / ratio * float(np.sum(rate * inner)) * step
        # Midpoint rule of 0.02 h over 2 h: 1e-5.
        found = float(bed_gy(dose, Radiobiology(ratio, repair_h), HALF_LIFE_H))
        self.assertAlmostEqual(found / expected, 1.0, delta=1e-5)

    def test_without_unrepaired_damage_it_is_the_dose(self) -> None:
        dose = np.array([0.0, 10.0, 200.0])
        np.testing.assert_allclose(bed_gy(dose, Radiobiology(10.0, 0.0), HALF_LIFE_H), dose, rtol=1e-15)
        np.testing.assert_allclose(bed_gy(dose, Radiobiology(1e12, 1.5), HALF_LIFE_H), dose, rtol=1e-10)

    def test_without_repair_it_is_that_of_one_fraction(self) -> None:
        # Tr far above Tp: D (1 + D / ab): 20 (1 + 20 / 10) = 60.
        self.assertAlmostEqual(float(bed_gy(20.0, Radiobiology(10.0, 1e12), HALF_LIFE_H)), 60.0, delta=1e-6)

    def test_the_mean_of_voxel_bed_exceeds_the_bed_of_the_mean(self) -> None:
        tissue = Radiobiology(2.5, 1.5)
        dvh = make_dvh(np.array([50.0, 100.0]), np.ones(2), 1.05)
        # (72.87 + 191.46) / 2 from the table, to its two decimals.
        self.assertAlmostEqual(mean_bed_gy(dvh, tissue, HALF_LIFE_H), 132.165, delta=0.006)
        self.assertGreater(mean_bed_gy(dvh, tissue, HALF_LIFE_H), float(bed_gy(75.0, tissue, HALF_LIFE_H)))

    def test_the_mean_is_weighted_by_mass(self) -> None:
        dvh = make_dvh(np.array([50.0, 100.0]), np.array([1.0, 1.0]), np.array([3.0, 1.0]))
        # (3 * 72.87 + 191.46) / 4.
        self.assertAlmostEqual(mean_bed_gy(dvh, Radiobiology(2.5, 1.5), HALF_LIFE_H), 102.5175, delta=0.006)

    def test_parameters_that_mean_nothing_are_refused(self) -> None:
        for ratio, repair_h in ((0.0, 1.5), (-1.0, 1.5), (float("nan"), 1.5), (10.0, -0.1), (10.0, float("nan"))):
            with self.subTest(ratio=ratio, repair_h=repair_h), self.assertRaises(InputError):
                Radiobiology(ratio, repair_h)
        Radiobiology(1e-9, 0.0)


class GeneralizedEudTestCase(AgreementTestCase):
    def test_a_uniform_dose_is_its_own_eud(self) -> None:
        dvh = make_dvh(np.full(7, 63.0), np.arange(1.0, 8.0), 1.05)
        for exponent in (-20.0, -1.0, 0.5, 1.0, 8.0, 100.0):
            with self.subTest(exponent=exponent):
                self.assertAlmostEqual(generalized_eud_gy(dvh, exponent), 63.0, delta=1e-10)

    def test_exponent_one_is_the_mean(self) -> None:
        dvh = make_dvh(np.array([10.0, 20.0, 60.0]), np.array([1.0, 2.0, 1.0]), 1.05)
        self.assertAlmostEqual(generalized_eud_gy(dvh, 1.0), 27.5, delta=1e-12)
        self.assertAlmostEqual(generalized_eud_gy(dvh, 1.0), dvh.mean_gy(), delta=1e-12)

    def test_hand_examples(self) -> None:
        dvh = make_dvh(np.array([10.0, 40.0]), np.ones(2), 1.05)
        # a = 2: sqrt((100 + 1600) / 2) = 29.1548; a = -1: 2 / (1/10 + 1/40) = 16;
        # a = 1/2: ((sqrt 10 + sqrt 40) / 2)² = 22.5.
        for exponent, expected in ((2.0, 29.15476), (-1.0, 16.0), (0.5, 22.5)):
            self.assertAlmostEqual(generalized_eud_gy(dvh, exponent), expected, delta=1e-5)

    def test_large_exponents_lead_to_the_extremes_without_overflow(self) -> None:
        dvh = make_dvh(np.array([1e-6, 40.0, 300.0]), np.ones(3), 1.05)
        with np.errstate(all="raise", under="ignore"):
            self.assertAlmostEqual(generalized_eud_gy(dvh, 500.0), 300.0, delta=1.0)  # 300 * 3^(-1/500)
            self.assertAlmostEqual(generalized_eud_gy(dvh, -500.0), 1e-6, delta=1e-8)

    def test_a_voxel_without_dose_takes_the_eud_of_a_negative_exponent_to_zero(self) -> None:
        for lowest in (0.0, -1.0):
            dvh = make_dvh(np.array([lowest, 40.0]), np.ones(2), 1.05)
            self.assertEqual(generalized_eud_gy(dvh, -10.0), 0.0)
        self.assertEqual(generalized_eud_gy(make_dvh(np.zeros(3), np.ones(3), 1.0), 4.0), 0.0)

    def test_exponents_without_a_meaning_are_refused(self) -> None:
        for exponent in (0.0, float("nan"), float("inf")):
            with self.assertRaises(InputError):
                generalized_eud_gy(make_dvh(np.ones(2), np.ones(2), 1.0), exponent)


if __name__ == "__main__":
    unittest.main()
