"""The study's own statistics against R on the reference cohort, and against what was put into simulated ones.

R 4.2.2, lme4 1.1-31, geepack 1.3.9, pROC 1.18.0, brglm2 0.9. All R values come from:

    L <- read.csv("lesions.csv"); L$x <- log(L$dose_post_gy); L$id <- as.integer(factor(L$record_id))
    L$y <- as.integer((L$diameter_month3_mm - L$diameter_baseline_mm) / L$diameter_baseline_mm <= -0.3)
"""

import csv
import unittest

import numpy as np
from study_support import COHORT, requires_cohort

from TARECOMETLib.errors import InputError
from TARECOMETLib.study.analysis_response import Pairs, difference_result
from TARECOMETLib.study.gee import fit_exchangeable
from TARECOMETLib.study.group_difference import cluster_bootstrap, exchangeable_gee, linear_mixed, mann_whitney, welch
from TARECOMETLib.study.inverse_dose import dose_at, dose_of_upper_bound, gamma50
from TARECOMETLib.study.logistic import design_of, firth_interval, fit_firth, fit_logistic
from TARECOMETLib.study.plan import StudyPlan
from TARECOMETLib.study.random_intercept import fit_random_intercept
from TARECOMETLib.study.resampling import patient_weights
from TARECOMETLib.study.roc import WeightedRoc, area, validated_cut_offs, wilson_interval
from TARECOMETLib.study.toxicity import _lkb


def simulated(seed, patients=120, lesions=4, intercept=-7.2, slope=1.55, patient_sd=1.2):
    """Patient, ln dose and response of a random-intercept logit."""
    generator = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(patients), lesions)
    u = generator.normal(0.0, patient_sd, patients)[clusters]
    x = np.log(generator.lognormal(4.6, 0.6, patients * lesions))
    y = (generator.random(len(x)) < 1.0 / (1.0 + np.exp(-(intercept + slope * x + u)))).astype(float)
    return clusters, x, y


def patient_columns(*names):
    """Columns of the reference cohort's patients."""
    with (COHORT / "patients.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [np.array([float(row[name]) for row in rows]) for name in names]


@requires_cohort
class TestAgainstR(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with (COHORT / "lesions.csv").open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        before, after, cls.dose = (
            np.array([float(row[name]) for row in rows])
            for name in ("diameter_baseline_mm", "diameter_month3_mm", "dose_post_gy")
        )
        cls.y = ((after - before) / before <= -0.3).astype(float)
        cls.clusters = np.array([row["record_id"] for row in rows])
        cls.design = design_of(np.log(cls.dose))

    def assert_close(self, found, expected, relative):
        np.testing.assert_allclose(np.asarray(found, dtype=float), expected, rtol=relative)

    def test_logistic_regression_is_that_of_glm(self):
        fit = fit_logistic(self.design, self.y)
        # coef(summary(glm(y ~ x, binomial, L))); glm stops at 1e-8 of the deviance: 1e-6 is its own precision.
        self.assert_close(fit.coefficients, [-6.331959002, 1.367123165], 1e-7)
        self.assert_close(fit.standard_errors, [1.198417561, 0.247234754], 1e-5)

    def test_independence_gee_is_that_of_geepack(self):
        fit = fit_logistic(self.design, self.y, self.clusters)
        # coef(summary(geeglm(y ~ x, binomial, L, id = id, corstr = "independence")))
        self.assert_close(fit.coefficients, [-6.331959002, 1.367123165], 1e-5)
        self.assert_close(fit.standard_errors, [1.1496748568, 0.2373699833], 1e-5)

    def test_exchangeable_gee_is_that_of_geepack(self):
        fit = fit_exchangeable(self.design, self.y, self.clusters)
        # g <- geeglm(y ~ x, binomial, L, id = id, corstr = "exchangeable", control = geese.control(epsilon = 1e-10))
        self.assert_close(fit.coefficients, [-6.328889891, 1.366601005], 1e-5)
        self.assert_close(fit.standard_errors, [1.1478310992, 0.2370250224], 1e-5)
        self.assertAlmostEqual(fit.correlation, -0.004398169, delta=1e-6)

    def test_random_intercept_on_its_boundary_is_that_of_glmer(self):
        fit = fit_random_intercept(self.design, self.y, self.clusters, 10)
        # glmer(y ~ x + (1 | record_id), L, binomial, nAGQ = 10): singular, sd 8.8e-08, log-likelihood -189.4005554
        self.assert_close(fit.coefficients, [-6.331957432, 1.367122827], 1e-5)
        self.assert_close(fit.standard_errors, [1.1984213222, 0.2472355235], 1e-5)
        self.assertAlmostEqual(fit.log_likelihood, -189.4005554, places=6)
        self.assertEqual(fit.patient_sd, 0.0)

    def test_welch_and_mann_whitney_are_those_of_r(self):
        found = welch(self.dose, self.y > 0.5)
        # t.test(dose_post_gy ~ y, L); wilcox.test(dose_post_gy ~ y, L, exact = FALSE)
        self.assert_close(
            [found.p, found.low, found.high, dict(found.more)["degrees_of_freedom"]],
            [2.64185e-09, 38.36398960, 74.57123587, 299.64471],
            1e-6,
        )
        self.assert_close(mann_whitney(self.dose, self.y > 0.5).p, 5.951999827e-09, 1e-8)

    def test_mixed_model_is_that_of_lmer(self):
        found = linear_mixed(self.dose, self.y > 0.5, self.clusters)
        # lmer(dose_post_gy ~ y + (1 | record_id), L): 56.1437874, se 9.690979423, SDs 12.841417 and 82.712219;
        # lmer's optimizer stops at about 1e-5 of the SD.
        error = (found.high - found.low) / (2 * 1.959963985)
        more = dict(found.more)
        self.assert_close([found.estimate, error], [56.1437874, 9.690979423], 1e-5)
        self.assert_close([more["patient_sd_gy"], more["residual_sd_gy"]], [12.841417, 82.712219], 1e-4)

    def test_firth_is_that_of_brglm2(self):
        # glm(y ~ x, binomial, L, method = "brglmFit", type = "AS_mean", epsilon = 1e-12)
        fit = fit_firth(self.design, self.y)
        self.assert_close(fit.coefficients, [-6.248248263, 1.349400636], 1e-7)
        self.assert_close(fit.standard_errors, [1.1939250191, 0.2462625619], 1e-6)

    def test_firth_with_three_events_is_that_of_brglm2(self):
        # P <- read.csv("patients.csv"); t <- as.integer(P$toxicity_bilirubin_grade_month6 >= 4): 3 events of 90
        # glm(t ~ normal_liver_dose_post_gy, binomial, P, method = "brglmFit", type = "AS_mean", epsilon = 1e-12)
        dose, grade = patient_columns("normal_liver_dose_post_gy", "toxicity_bilirubin_grade_month6")
        fit = fit_firth(design_of(dose), (grade >= 4).astype(float))
        self.assert_close(fit.coefficients, [-3.66954233001, 0.01070409614], 1e-7)
        self.assert_close(fit.standard_errors, [1.50529356939, 0.02540459786], 1e-6)

    def test_lymans_model_is_the_probit_of_glm(self):
        # glm(grade >= 3 ~ normal_liver_dose_post_gy, binomial(probit), P): TD50 = -a / b = 82.25238979,
        # m = -1 / a = 0.3277846214, log-likelihood -33.34059746; glm stops at 1e-8 of the deviance.
        dose, grade = patient_columns("normal_liver_dose_post_gy", "toxicity_bilirubin_grade_month6")
        found = _lkb(dose, grade >= 3)
        self.assert_close(
            [found["td50_gy"], found["m"], found["log_likelihood"]], [82.25238979, 0.3277846214, -33.34059746], 1e-5
        )

    def test_linear_gee_is_that_of_geepack(self):
        found = exchangeable_gee(self.dose, self.y > 0.5, self.clusters)
        # geeglm(dose_post_gy ~ y, gaussian, L, id = id, corstr = "exchangeable", ...epsilon = 1e-12): 56.24226372,
        # 8.459724158
        self.assert_close(
            [found.estimate, (found.high - found.low) / (2 * 1.959963985)], [56.24226372, 8.459724158], 1e-5
        )


class TestSimulated(unittest.TestCase):
    def test_random_intercept_with_clustering_is_that_of_glmer(self):
        clusters, x, y = simulated(4)
        fit = fit_random_intercept(design_of(x), y, clusters, 10)
        # The same numbers written with %.17g and read by R: glmer(y ~ x + (1 | g), binomial, nAGQ = 10, bobyqa with
        # rhoend 1e-9): coefficients, standard errors, SD, log-likelihood. The bar is 1e-3.
        np.testing.assert_allclose(fit.coefficients, [-8.137590040, 1.764813889], rtol=1e-5)
        np.testing.assert_allclose(fit.standard_errors, [1.2568103559, 0.2686684283], rtol=1e-4)
        self.assertAlmostEqual(fit.patient_sd, 1.677435367, delta=1e-5)
        self.assertAlmostEqual(fit.log_likelihood, -283.270856, places=5)

    def test_intervals_cover_the_truth_as_often_as_they_say(self):
        truth = np.exp(7.2 / 1.55)
        slope = d50 = 0
        for seed in range(40):
            clusters, x, y = simulated(1000 + seed, patients=90, lesions=3, patient_sd=0.7)
            fit = fit_random_intercept(design_of(x), y, clusters, 7)
            half = 1.96 * fit.standard_errors[1]
            slope += abs(fit.coefficients[1] - 1.55) <= half
            found = dose_at(fit, 50.0, "log", (1.0, 5000.0), 0.95)
            d50 += found.low_gy <= truth <= found.high_gy
        # Of 40 intervals at 95 %, 34 or fewer cover with probability 0.0034 (binomial).
        self.assertGreaterEqual(slope, 35)
        self.assertGreaterEqual(d50, 35)

    def test_the_marginal_slope_is_flatter_than_the_conditional(self):
        clusters, x, y = simulated(4)
        inner = fit_random_intercept(design_of(x), y, clusters)
        outer = fit_logistic(design_of(x), y, clusters)
        # Zeger, Liang and Albert 1988 (doi:10.2307/2531734): about 1 / sqrt(1 + (16 sqrt 3 / 15 pi)^2 sd^2).
        expected = 1.0 / np.sqrt(1.0 + (16.0 * np.sqrt(3.0) / (15.0 * np.pi)) ** 2 * inner.patient_sd**2)
        self.assertAlmostEqual(outer.coefficients[1] / inner.coefficients[1], expected, delta=0.1)
        self.assertLess(inner.p_no_clustering, 1e-6)


class TestFirth(unittest.TestCase):
    # Heinze and Schemper's situation: no event among the unexposed.
    DESIGN = design_of(np.array([0.0] * 10 + [1.0] * 10))
    Y = np.array([0.0] * 10 + [1.0] * 4 + [0.0] * 6)

    def test_a_separated_table_gets_half_an_event_in_each_cell(self):
        # For a saturated 2x2 table Firth's estimate adds 1/2 to each cell: by hand log(4.5/6.5) - log(0.5/10.5).
        fit = fit_firth(self.DESIGN, self.Y)
        by_hand = [np.log(0.5 / 10.5), np.log(4.5 / 6.5) - np.log(0.5 / 10.5)]
        np.testing.assert_allclose(fit.coefficients, by_hand, rtol=1e-8)
        self.assertTrue(fit_logistic(self.DESIGN, self.Y).is_separated)

    def test_its_profile_interval_is_finite_and_holds_the_estimate(self):
        low, high, p = firth_interval(self.DESIGN, self.Y, 1, 0.95)
        estimate = fit_firth(self.DESIGN, self.Y).coefficients[1]
        self.assertTrue(0.0 < low < estimate < high < 12.0)
        self.assertTrue(0.001 < p < 0.05)

    def test_one_kind_of_outcome_is_refused(self):
        with self.assertRaises(InputError):
            fit_logistic(self.DESIGN, np.zeros(20))


class TestRoc(unittest.TestCase):
    SCORE = np.array([1.0, 2.0, 3.0, 4.0, 4.0, 5.0, 6.0, 7.0])
    Y = np.array([0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0])

    def test_the_area_counts_pairs_and_ties_half(self):
        # By hand, non-events below each event: 2, 2.5, 4, 4 of 4: 12.5 / 16.
        self.assertAlmostEqual(area(self.SCORE, self.Y).value, 12.5 / 16.0, places=12)
        self.assertAlmostEqual(WeightedRoc(self.SCORE, self.Y).area(), 12.5 / 16.0, places=12)

    def test_one_row_per_patient_makes_obuchowski_equal_delong(self):
        generator = np.random.default_rng(1)
        y = (generator.random(60) < 0.4).astype(float)
        score = generator.normal(y, 1.0)
        # A second row that stands for nothing would change the method: two equal patients, each doubled, instead.
        doubled = area(np.repeat(score, 2), np.repeat(y, 2), np.repeat(np.arange(60), 2))
        single = area(score, y, np.arange(60))
        self.assertEqual(single.method, "DeLong")
        # Doubled rows carry no information: Obuchowski's variance must see that, DeLong's would halve it.
        self.assertAlmostEqual(doubled.standard_error / single.standard_error, 1.0, delta=0.03)

    @requires_cohort
    def test_delong_is_that_of_proc(self):
        rows = {}
        with (COHORT / "lesions.csv").open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                rows.setdefault(row["record_id"], row)
        score = np.array([float(r["dose_post_gy"]) for r in rows.values()])
        y = np.array(
            [float(float(r["diameter_month3_mm"]) <= 0.7 * float(r["diameter_baseline_mm"])) for r in rows.values()]
        )
        found = area(score, y)
        # F <- L[!duplicated(L$record_id), ]; r <- roc(F$y, F$dose_post_gy, direction = "<"); auc(r);
        # sqrt(var(r, method = "delong"))
        self.assertAlmostEqual(found.value, 0.7075, places=8)
        self.assertAlmostEqual(found.standard_error, 0.0560598259151, places=8)

    def test_cut_offs_lose_their_optimism(self):
        generator = np.random.default_rng(3)
        apparent, corrected = [], []
        for _ in range(25):
            y = (np.arange(40) % 2).astype(float)
            score = generator.normal(0.0, 1.0, 40)  # knows nothing of y: the true Youden index is 0
            weights = patient_weights(40, 100, generator)
            youden, fixed = validated_cut_offs(score, y, np.arange(40), 0.9, weights)
            apparent.append(youden.apparent.youden)
            corrected.append(youden.corrected_sensitivity + youden.corrected_specificity - 1.0)
            self.assertGreaterEqual(fixed.apparent.specificity, 0.9)
        self.assertGreater(np.mean(apparent), 0.1)
        self.assertLess(abs(np.mean(corrected)), 0.6 * np.mean(apparent))

    def test_levillains_table_is_recomputed(self):
        # Levillain 2018 (doi:10.1186/s13550-018-0419-z), 60 Gy, n = 57: TP 26 FN 11 FP 1 TN 19; sensitivity .703,
        # specificity .950, PPV .963, NPV .633; Wilson 95 % .542-.825 and .764-.991. Printed to three digits.
        dose = np.concatenate([np.full(26, 80.0), np.full(11, 40.0), [80.0], np.full(19, 40.0)])
        y = np.concatenate([np.ones(37), np.zeros(20)])
        cut = WeightedRoc(dose, y).cut_off(0)
        self.assertAlmostEqual(cut.threshold, 60.0)
        self.assertAlmostEqual(cut.sensitivity, 0.703, delta=5e-4)
        self.assertAlmostEqual(cut.specificity, 0.950, delta=5e-4)
        np.testing.assert_allclose(wilson_interval(26, 37), [0.542, 0.825], atol=5e-4)
        np.testing.assert_allclose(wilson_interval(19, 20), [0.764, 0.991], atol=5e-4)


class TestDoseAt(unittest.TestCase):
    def test_fieller_bounds_are_where_the_band_crosses(self):
        _, x, y = simulated(7)
        fit = fit_logistic(design_of(x), y)
        found = dose_at(fit, 50.0, "log", (1.0, 5000.0), 0.95)
        low, _ = fit.band(design_of(np.log([found.high_gy])), 1.959963985)
        _, high = fit.band(design_of(np.log([found.low_gy])), 1.959963985)
        np.testing.assert_allclose(
            [low[0], high[0], fit.probability(design_of(np.log([found.estimate_gy])))[0]], 0.5, atol=1e-8
        )
        safe = dose_of_upper_bound(fit, 50.0, "log", (1.0, 5000.0), 0.95)
        self.assertAlmostEqual(safe.estimate_gy, found.low_gy, places=8)

    def test_nothing_is_extrapolated(self):
        _, x, y = simulated(7)
        fit = fit_logistic(design_of(x), y)
        found = dose_at(fit, 50.0, "log", (1.0, 5000.0), 0.95)
        beyond = dose_at(fit, 50.0, "log", (1.0, found.estimate_gy - 1.0), 0.95)
        self.assertEqual((beyond.estimate_gy, beyond.low_gy, beyond.high_gy), (None, None, None))
        self.assertIn("Not estimable in [1, ", beyond.sentence)
        half = dose_at(fit, 50.0, "log", (1.0, found.estimate_gy + 0.1), 0.95)
        self.assertEqual((half.estimate_gy, half.low_gy, half.high_gy), (found.estimate_gy, found.low_gy, None))
        self.assertIn("upper bound not estimable", half.sentence)

    def test_a_slope_that_may_be_zero_gives_no_dose(self):
        generator = np.random.default_rng(5)
        x = generator.normal(4.6, 0.6, 100)
        fit = fit_logistic(design_of(x), (generator.random(100) < 0.5).astype(float))
        self.assertIsNone(dose_at(fit, 50.0, "log", (1.0, 5000.0), 0.95).estimate_gy)
        self.assertIsNone(dose_of_upper_bound(fit, 50.0, "log", (1.0, 5000.0), 0.95).estimate_gy)

    def test_gamma50_is_the_normalized_slope(self):
        _, x, y = simulated(7)
        for scale, design in (("log", design_of(x)), ("linear", design_of(np.exp(x)))):
            fit = fit_logistic(design, y)
            d50 = dose_at(fit, 50.0, scale, (1.0, 5000.0), 0.95).estimate_gy
            near = np.array([d50 * 0.9999, d50 * 1.0001])
            p = fit.probability(design_of(np.log(near) if scale == "log" else near))
            self.assertAlmostEqual(gamma50(fit, scale, d50, 0.95)[0], (p[1] - p[0]) / 0.0002, places=6)


class TestAlikeDoses(unittest.TestCase):
    def test_doses_without_spread_give_no_comparison_and_a_little_spread_does(self):
        responder = np.arange(20) < 8
        plan = StudyPlan(bootstraps=50)
        for noise, method in ((0.0, "none"), (1e-3, "Welch t test")):
            dose = 100.0 + noise * np.arange(20.0)
            pairs = Pairs(dose, responder, np.arange(20).astype(str))
            found = difference_result("key", "title", pairs, plan, role="exploratory", dose="delivered")
            self.assertEqual(found.method, method)

    def test_a_volume_is_no_dose(self):
        pairs = Pairs(np.linspace(10.0, 90.0, 20), np.arange(20) >= 8, np.arange(20).astype(str))
        plan = StudyPlan(dose_metric="v100_percent", bootstraps=50)
        found = difference_result("key", "title", pairs, plan, role="exploratory", dose="delivered")
        self.assertEqual(found.unit, "%")
        self.assertIn(" % on average", found.sentence)


class TestClusters(unittest.TestCase):
    def test_doubled_rows_do_not_make_the_interval_narrower(self):
        generator = np.random.default_rng(2)
        dose, responder = generator.normal(100.0, 30.0, 50), generator.random(50) < 0.5
        weights = patient_weights(50, 2000, generator)
        once = cluster_bootstrap(dose, responder, np.arange(50), weights)
        twice = cluster_bootstrap(np.repeat(dose, 2), np.repeat(responder, 2), np.repeat(np.arange(50), 2), weights)
        self.assertAlmostEqual(once.low, twice.low, places=9)
        self.assertAlmostEqual(once.high, twice.high, places=9)
        self.assertLess(twice.high - twice.low, 1.2 * (welch(dose, responder).high - welch(dose, responder).low))
