"""Dose-effect models and survival doses against hand calculations and their limits."""

from __future__ import annotations

import math
import unittest

import numpy as np
from support import AgreementTestCase

from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.dosimetry.effect import (
    KINDS,
    EffectModel,
    effect_probability,
    fitted_logit,
    logistic,
    logit,
    lyman,
    parallel,
    poisson,
    poisson_voxel,
)
from TARECOMETLib.dosimetry.effect_sets import published_model, published_models, published_tissues
from TARECOMETLib.dosimetry.radiobiology import (
    Radiobiology,
    bed_dvh,
    bed_gy,
    dose_of_bed_gy,
    eqd2_gy,
    generalized_eud_gy,
    mean_bed_gy,
    survival_eud_gy,
    two_treatments_bed_gy,
    uniform_bed_gy,
)
from TARECOMETLib.errors import InputError

HALF_LIFE_H = 64.2
TISSUE = Radiobiology(10.0, 1.5)
TWO_VOXELS = make_dvh(np.array([10.0, 40.0]), np.ones(2), 1.05)


def uniform(dose_gy: float) -> object:
    """Seven voxels of different size with one dose."""
    return make_dvh(np.full(7, dose_gy), np.arange(1.0, 8.0), 1.05)


class EquivalentDoseTestCase(AgreementTestCase):
    def test_bed_is_the_hand_calculation_to_a_billionth(self) -> None:
        # 100 (1 + 100 * 1.5 / ((1.5 + 64.2) * 10)) = 100 + 15000 / 657 = 122.831050228310...
        expected = 100.0 + 15000.0 / 657.0
        deviation = abs(float(bed_gy(100.0, TISSUE, HALF_LIFE_H)) - expected)
        self.assert_agrees("BED of 100 Gy", "hand calculation", deviation, 1e-9, "Gy")
        # EQD2 with alpha/beta 10: BED / 1.2.
        self.assertAlmostEqual(float(eqd2_gy(expected, 10.0)), expected / 1.2, delta=1e-9)

    def test_the_limits_of_bed(self) -> None:
        dose = 150.0
        for tissue, expected in (
            (Radiobiology(1e15, 1.5), dose),
            (Radiobiology(3.0, 0.0), dose),
            (Radiobiology(3.0, 1e15), dose * (1.0 + dose / 3.0)),
        ):
            with self.subTest(tissue=tissue):
                self.assertAlmostEqual(float(bed_gy(dose, tissue, HALF_LIFE_H)), expected, delta=1e-9 * expected)

    def test_eqd2_of_fractions_of_2_gy_is_their_dose(self) -> None:
        # 30 x 2 Gy at alpha/beta 3: BED = 60 (1 + 2/3) = 100, EQD2 = 60.
        self.assertAlmostEqual(float(eqd2_gy(100.0, 3.0)), 60.0, delta=1e-12)

    def test_a_uniform_dose_is_its_own_equivalent(self) -> None:
        dvh = uniform(120.0)
        expected = float(bed_gy(120.0, TISSUE, HALF_LIFE_H))
        for alpha in (0.001, 0.05, 1.0, 30.0):
            with self.subTest(alpha=alpha):
                self.assertAlmostEqual(uniform_bed_gy(dvh, alpha, TISSUE, HALF_LIFE_H), expected, delta=1e-9)
                self.assertAlmostEqual(survival_eud_gy(dvh, alpha, TISSUE, HALF_LIFE_H), 120.0, delta=1e-9)

    def test_survival_eud_without_quadratic_cell_kill_is_niemierkos(self) -> None:
        # -ln((exp(-0.1 * 10) + exp(-0.1 * 40)) / 2) / 0.1 = -10 ln((0.36787944117 + 0.01831563889) / 2) = 16.444119…
        expected = -10.0 * math.log((math.exp(-1.0) + math.exp(-4.0)) / 2.0)
        found = survival_eud_gy(TWO_VOXELS, 0.1, Radiobiology(1e15, 1.5), HALF_LIFE_H)
        self.assert_agrees("survival EUD", "hand calculation", abs(found - expected), 1e-9, "Gy")

    def test_eubed_lies_between_the_lowest_voxel_and_the_mean(self) -> None:
        mean = mean_bed_gy(TWO_VOXELS, TISSUE, HALF_LIFE_H)
        # alpha -> 0: the mean BED; alpha -> infinity: the lowest voxel's BED + ln 2 / alpha.
        self.assertAlmostEqual(uniform_bed_gy(TWO_VOXELS, 1e-7, TISSUE, HALF_LIFE_H), mean, delta=1e-4)
        lowest = float(bed_gy(10.0, TISSUE, HALF_LIFE_H))
        self.assertAlmostEqual(
            uniform_bed_gy(TWO_VOXELS, 50.0, TISSUE, HALF_LIFE_H), lowest + math.log(2.0) / 50.0, delta=1e-9
        )

    def test_very_high_doses_do_not_vanish(self) -> None:
        dvh = make_dvh(np.array([5000.0, 9000.0]), np.ones(2), 1.05)
        expected = float(bed_gy(5000.0, TISSUE, HALF_LIFE_H)) + math.log(2.0)
        self.assertAlmostEqual(uniform_bed_gy(dvh, 1.0, TISSUE, HALF_LIFE_H), expected, delta=1e-6)

    def test_the_dose_of_a_bed_is_the_way_back(self) -> None:
        for dose in (1e-6, 0.5, 80.0, 2000.0):
            bed = float(bed_gy(dose, TISSUE, HALF_LIFE_H))
            self.assertAlmostEqual(dose_of_bed_gy(bed, TISSUE, HALF_LIFE_H) / dose, 1.0, delta=1e-12)

    def test_the_histogram_of_bed_holds_the_same_volume(self) -> None:
        curve = bed_dvh(TWO_VOXELS, TISSUE, HALF_LIFE_H)
        self.assertAlmostEqual(curve.total_volume_ml, 2.0, delta=1e-12)
        self.assertAlmostEqual(curve.max_gy(), float(bed_gy(40.0, TISSUE, HALF_LIFE_H)), delta=1e-12)
        self.assertAlmostEqual(curve.mean_gy(), mean_bed_gy(TWO_VOXELS, TISSUE, HALF_LIFE_H), delta=1e-12)

    def test_an_alpha_that_means_nothing_is_refused(self) -> None:
        for alpha in (0.0, -0.1, math.nan, math.inf):
            with self.subTest(alpha=alpha), self.assertRaisesRegex(InputError, "alpha"):
                uniform_bed_gy(TWO_VOXELS, alpha, TISSUE, HALF_LIFE_H)
        uniform_bed_gy(TWO_VOXELS, 1e-6, TISSUE, HALF_LIFE_H)


class TwoTreatmentsTestCase(unittest.TestCase):
    def test_far_apart_their_bed_adds(self) -> None:
        expected = float(bed_gy(60.0, TISSUE, HALF_LIFE_H)) + float(bed_gy(90.0, TISSUE, HALF_LIFE_H))
        self.assertAlmostEqual(float(two_treatments_bed_gy(60.0, 90.0, TISSUE, HALF_LIFE_H)), expected, delta=1e-12)
        # Six weeks are 15.7 half-lives: the first source has 2e-5 of its rate left.
        late = float(two_treatments_bed_gy(60.0, 90.0, TISSUE, HALF_LIFE_H, 6.0 * 168.0))
        self.assertAlmostEqual(late, expected, delta=1e-3)

    def test_without_a_gap_it_is_the_bed_of_the_sum(self) -> None:
        for repair_h in (0.5, 1.5, 30.0, 64.2, 500.0):
            tissue = Radiobiology(4.0, repair_h)
            with self.subTest(repair_h=repair_h):
                together = float(two_treatments_bed_gy(60.0, 90.0, tissue, HALF_LIFE_H, 0.0))
                expected = float(bed_gy(150.0, tissue, HALF_LIFE_H))
                # 1e-5 where repair and decay are as fast: the closed form is taken a little beside its gap.
                self.assertAlmostEqual(together / expected, 1.0, delta=1e-5)

    def test_a_week_apart_it_is_the_lea_catcheside_integral(self) -> None:
        # Both dose rates on a grid of 0.01 h; inner integral U by its own equation dU/dt = R - mu U, step by step.
        tissue, gap_h, step = Radiobiology(3.0, 2.5), 168.0, 0.01
        decay, repair = math.log(2.0) / HALF_LIFE_H, math.log(2.0) / 2.5
        time = np.arange(0.0, 1600.0, step) + step / 2.0
        rate = 60.0 * decay * np.exp(-decay * time)
        rate += np.where(time > gap_h, 90.0 * decay * np.exp(-decay * (time - gap_h)), 0.0)
        from scipy.signal import lfilter

        keep = math.exp(-repair * step)
        inner = lfilter([(1.0 - keep) / repair], [1.0, -keep], rate)
        expected = float(np.sum(rate)) * step + 2.0 / 3.0 * float(np.sum(rate * inner)) * step
        found = float(two_treatments_bed_gy(60.0, 90.0, tissue, HALF_LIFE_H, gap_h))
        # The filter's half step of 0.005 h against 2.5 h: 0.2 % of the quadratic part, a third of the whole.
        self.assertAlmostEqual(found / expected, 1.0, delta=1.5e-3)
        # What both do together, 2 D1 D2 lambda^2 / ((mu - lambda) ab) (...), is three times that tolerance here.
        self.assertGreater(found - float(two_treatments_bed_gy(60.0, 90.0, tissue, HALF_LIFE_H)), 0.005 * found)

    def test_a_negative_gap_is_refused_and_none_is_not(self) -> None:
        with self.assertRaisesRegex(InputError, "gap"):
            two_treatments_bed_gy(60.0, 90.0, TISSUE, HALF_LIFE_H, -1.0)
        two_treatments_bed_gy(60.0, 90.0, TISSUE, HALF_LIFE_H, 0.0)


class ModelsTestCase(AgreementTestCase):
    def test_each_is_one_half_at_its_half_dose(self) -> None:
        for value in (logistic(80.0, 80.0, 1.7), logit(80.0, 80.0, 0.03), poisson(80.0, 80.0, 1.7)):
            self.assertAlmostEqual(value, 0.5, delta=1e-12)
        self.assertAlmostEqual(lyman(uniform(45.0), 45.0, 0.12, 0.97), 0.5, delta=1e-9)  # type: ignore[arg-type]
        self.assertAlmostEqual(parallel(uniform(45.0), 45.0, 2.0, 0.5, 0.1), 0.5, delta=1e-9)  # type: ignore[arg-type]

    def test_hand_calculations_to_a_billionth(self) -> None:
        worst = max(
            abs(found - expected)
            for found, expected in (
                (logistic(100.0, 80.0, 1.5), 1.0 / (1.0 + 0.8**6)),
                (logit(250.0, 292.0, 0.01), 1.0 / (1.0 + math.exp(0.42))),
                (poisson(100.0, 80.0, 1.5), 2.0 ** -math.exp(math.e * 1.5 * (1.0 - 100.0 / 80.0))),
                # 1 mL each with 1e3 clonogens: exp(-1000 (exp(-5) + exp(-20))).
                (poisson_voxel(TWO_VOXELS, 0.5, 1000.0), math.exp(-1000.0 * (math.exp(-5.0) + math.exp(-20.0)))),
                # Mean 25 (n = 1) against TD50 20, m 0.25: Phi(1) = 0.841344746068543 (standard normal table).
                (lyman(TWO_VOXELS, 20.0, 0.25, 1.0), 0.841344746068543),
                # Dead shares 1 / (1 + 2²) and 1 / (1 + (1/2)²): mean 0.5; Phi((0.5 - 0.4) / 0.1) = Phi(1).
                (parallel(TWO_VOXELS, 20.0, 2.0, 0.4, 0.1), 0.841344746068543),
            )
        )
        self.assert_agrees("TCP and NTCP models", "hand calculation", worst, 1e-9)

    def test_the_normalized_slope_of_logistic_is_gamma50(self) -> None:
        step = 1e-4
        slope = (logistic(80.0 + step, 80.0, 1.3) - logistic(80.0 - step, 80.0, 1.3)) / (2.0 * step) * 80.0
        self.assertAlmostEqual(slope, 1.3, delta=1e-6)

    def test_extremes_stay_probabilities(self) -> None:
        for dose in (0.0, 1e-9, 1e6):
            for value in (logistic(dose, 80.0, 5.0), logit(dose, 80.0, 5.0), poisson(dose, 80.0, 500.0)):
                self.assertTrue(0.0 <= value <= 1.0)
        empty = uniform(0.0)
        for kind, keys in KINDS.items():
            model = EffectModel("x", kind, "tumour", dict.fromkeys(keys, 0.5))
            self.assertTrue(0.0 <= effect_probability(model, empty) <= 1.0, kind)  # type: ignore[arg-type]

    def test_a_model_in_bed_sees_bed(self) -> None:
        bed = float(bed_gy(200.0, TISSUE, HALF_LIFE_H))
        for quantity, half in (("bed", bed), ("eqd2", bed / 1.2), ("dose", 200.0)):
            model = EffectModel("x", "logit", "tumour", {"d50_gy": half, "slope_per_gy": 0.02}, quantity)
            found = effect_probability(model, uniform(200.0), TISSUE, HALF_LIFE_H)  # type: ignore[arg-type]
            self.assertAlmostEqual(found, 0.5, delta=1e-9)
        with self.assertRaisesRegex(InputError, "α/β and repair half-time are not given"):
            effect_probability(
                EffectModel("x", "logit", "tumour", {"d50_gy": 1.0, "slope_per_gy": 1.0}, "bed"), TWO_VOXELS
            )

    def test_parameters_are_checked_by_name_and_range(self) -> None:
        good = {"td50_gy": 40.0, "m": 0.15, "n": 0.9}
        EffectModel("mine", "lkb", "Whole normal liver", good)
        for change, words in (
            ({"m": None}, "lacks m"),
            ({"k": 1.0}, "has no parameter k"),
            ({"td50_gy": 0.0}, "expected above 0"),
            ({"n": math.nan}, "expected above 0"),
        ):
            parameters = {key: value for key, value in {**good, **change}.items() if value is not None}
            with self.subTest(change=change), self.assertRaisesRegex(InputError, words):
                EffectModel("mine", "lkb", "Whole normal liver", parameters)
        with self.assertRaisesRegex(InputError, "no kind"):
            EffectModel("mine", "probit", "tumour", {})


class FittedTestCase(unittest.TestCase):
    def test_a_studys_logistic_fit_becomes_a_model(self) -> None:
        # logit p = -2.92 + 0.01 D: one half at 292 Gy, 1 / (1 + e) at 192 Gy.
        model = fitted_logit("study", -2.92, 0.01, endpoint="response at 3 months")
        self.assertAlmostEqual(model.parameters["d50_gy"], 292.0, delta=1e-9)
        found = effect_probability(model, uniform(192.0))  # type: ignore[arg-type]
        self.assertAlmostEqual(found, 1.0 / (1.0 + math.e), delta=1e-9)
        for intercept, slope in ((-1.0, -0.01), (1.0, 0.01), (-1.0, 0.0)):
            with self.assertRaisesRegex(InputError, "no dose of half effect"):
                fitted_logit("study", intercept, slope)


class PublishedTestCase(unittest.TestCase):
    def test_the_published_half_doses(self) -> None:
        # Dewaraja 2020 (J Nucl Med 61:104), abstract: 50 % TCP at 292 Gy and at a BED of 441 Gy; any slope.
        for slope in (0.003, 0.02):
            model = published_model("dewaraja 2020, dose").model(slope_per_gy=slope)
            self.assertAlmostEqual(effect_probability(model, uniform(292.0)), 0.5, delta=1e-9)  # type: ignore[arg-type]
        in_bed = published_model("Dewaraja 2020, BED").model(slope_per_gy=0.01)
        dose = dose_of_bed_gy(441.0, TISSUE, HALF_LIFE_H)
        found = effect_probability(in_bed, uniform(dose), TISSUE, HALF_LIFE_H)  # type: ignore[arg-type]
        self.assertAlmostEqual(found, 0.5, delta=1e-9)

    def test_each_names_device_end_point_and_reference(self) -> None:
        self.assertTrue(published_models())
        for model in published_models():
            with self.subTest(model=model.name):
                self.assertTrue(model.device and model.endpoint and model.reference)
                self.assertTrue(set(model.parameters) <= set(KINDS[model.kind]))
                complete = model.model(**dict.fromkeys(model.to_give, 1.0))
                self.assertEqual(complete.reference, model.reference)
        self.assertTrue(all(tissue.reference for tissue in published_tissues()))

    def test_what_a_source_does_not_state_must_be_given(self) -> None:
        published = published_model("Dewaraja 2020, dose")
        self.assertEqual(published.to_give, ("slope_per_gy",))
        with self.assertRaisesRegex(InputError, "lacks slope_per_gy"):
            published.model()
        with self.assertRaisesRegex(InputError, "its source states d50_gy"):
            published.model(d50_gy=300.0, slope_per_gy=0.01)
        with self.assertRaisesRegex(InputError, "Dewaraja"):
            published_model("Strigari 2010")

    def test_gen_eud_of_a_uniform_dose_is_the_dose(self) -> None:
        self.assertAlmostEqual(generalized_eud_gy(uniform(63.0), -8.0), 63.0, delta=1e-10)  # type: ignore[arg-type]


if __name__ == "__main__":
    unittest.main()
