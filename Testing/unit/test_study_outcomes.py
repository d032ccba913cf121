"""Toxicity with competing events, time to progression against R's survival, dose error, power."""

import unittest

import numpy as np
from study_support import StudyTestCase, requires_cohort

from TARECOMETLib.study.cohort import read_cohort
from TARECOMETLib.study.plan import StudyPlan
from TARECOMETLib.study.power import patients_needed, power_of_comparison
from TARECOMETLib.study.schema import WHOLE_NORMAL
from TARECOMETLib.study.simex import error_on_scale, simex_slope
from TARECOMETLib.study.survival import DIED, OVERALL, PROGRESSED, Times, cumulative_incidence, times_to_progression
from TARECOMETLib.study.toxicity import dose_toxicity, toxicity_status

try:
    import lifelines
except ImportError:
    lifelines = None
requires_lifelines = unittest.skipIf(lifelines is None, "needs lifelines, extra [study]")


class TestToxicityStatus(StudyTestCase):
    number = 0

    def status(self, *toxicities, progression=None, death=None, event=None, plan=None):
        TestToxicityStatus.number += 1
        study = self.new_study(f"{TestToxicityStatus.number}.study")
        with study.transaction("test"):
            study.put("patients", {"patient_id": "TC001", "death_date": death})
            study.put("treatments", {"patient_id": "TC001", "session": 1, "date": "2024-01-01"})
            for visit, grade, more in toxicities:
                row = {"patient_id": "TC001", "visit": visit, "term": "bilirubin", "grade": grade}
                study.put("toxicities", {**row, **more})
            if progression:
                study.put("progressions", {"patient_id": "TC001", "date": progression, "kind": "target"})
            if event:
                study.put("other_events", {"patient_id": "TC001", "date": event, "kind": "biliary obstruction"})
        cohort = read_cohort(study, plan or StudyPlan())
        return toxicity_status(cohort.patients[0], cohort).status

    def test_the_grade_must_be_reached_and_be_worse_than_before(self):
        self.assertEqual(self.status(("month6", 3, {})), "toxicity")
        self.assertEqual(self.status(("month6", 2, {})), "none")
        self.assertEqual(self.status(("baseline", 3, {}), ("month6", 3, {})), "none")
        self.assertEqual(self.status(("baseline", 2, {}), ("month6", 3, {})), "toxicity")
        self.assertEqual(self.status(("month6", 2, {}), plan=StudyPlan(toxicity_grade=2)), "toxicity")

    def test_competing_events_are_never_no_toxicity(self):
        self.assertEqual(self.status(("month3", 1, {}), progression="2024-05-01"), "competing event")
        self.assertEqual(self.status(("month3", 1, {}), death="2024-05-01"), "competing event")
        self.assertEqual(self.status(("month3", 1, {}), event="2024-05-01"), "competing event")
        self.assertEqual(self.status(("month6", 4, {}), progression="2024-05-01"), "competing event")
        self.assertEqual(self.status(("month3", 4, {}), progression="2024-05-01"), "toxicity")
        self.assertEqual(self.status(("month6", 1, {}), progression="2024-08-01"), "none")

    def test_other_causes_and_late_or_missing_grades(self):
        self.assertEqual(self.status(("month6", 4, {"caused_by": "progression"})), "none")
        self.assertEqual(self.status(("month9", 4, {})), "not known")
        self.assertEqual(self.status(("month3", 1, {})), "not known")
        self.assertEqual(self.status(), "not known")

    def test_the_safe_dose_keeps_the_upper_bound_below_the_risk(self):
        study = self.new_study("many.study")
        generator = np.random.default_rng(11)
        with study.transaction("test"):
            for number in range(400):
                name, dose = f"TC{number:04}", float(generator.uniform(10.0, 110.0))
                grade = 3 if generator.random() < 1.0 / (1.0 + np.exp(6.0 - 0.075 * dose)) else 0
                study.put("patients", {"patient_id": name})
                study.put("treatments", {"patient_id": name, "session": 1, "date": "2024-01-01"})
                study.put("compartments", {"patient_id": name, "name": WHOLE_NORMAL, "kind": WHOLE_NORMAL})
                row = {"patient_id": name, "name": WHOLE_NORMAL, "phase": "post", "method": "local", "mean_gy": dose}
                study.put("doses", row)
                study.put("toxicities", {"patient_id": name, "visit": "month6", "term": "bilirubin", "grade": grade})
        found = dose_toxicity(read_cohort(study, StudyPlan(chosen_risk_percent=15.0)), WHOLE_NORMAL)
        truth = (np.log(0.15 / 0.85) + 6.0) / 0.075
        level = next(d for d in found.levels if d.level_percent == 15.0)
        self.assertTrue(level.low_gy < truth < level.high_gy)
        self.assertLess(found.safe.estimate_gy, truth)
        _, upper = found.fit.band(np.array([[1.0, found.safe.estimate_gy]]), 1.959963985)
        self.assertAlmostEqual(upper[0], 0.15, places=6)
        # TD50 of the truth is 80 Gy; a probit and a logit curve agree near the middle, n = 400 knows it to about 5 Gy.
        self.assertAlmostEqual(found.lkb["td50_gy"], 80.0, delta=10.0)


@requires_cohort
class TestProgressionAgainstR(StudyTestCase):
    """R 4.2.2, survival 3.5-3; time in months of 30.4375 days from treatment_date.

    time <- (ifelse(progressed, progression, last follow-up) - treatment) / 30.4375
    """

    def setUp(self):
        super().setUp()
        self.times = times_to_progression(read_cohort(self.reference_study(), StudyPlan()), OVERALL)

    @requires_lifelines
    def test_the_median_is_that_of_survfit(self):
        from TARECOMETLib.study.survival import kaplan_meier

        # summary(survfit(Surv(time, ev) ~ 1, conf.type = "log-log"))$table: 69 events of 90
        curve = kaplan_meier(self.times.months, self.times.is_event)
        found = [curve.median, curve.median_low, curve.median_high]
        np.testing.assert_allclose(found, [3.7125256674, 2.9240246407, 4.7310061602], rtol=1e-9)
        self.assertEqual((len(self.times.months), int(self.times.is_event.sum())), (90, 69))

    @requires_lifelines
    def test_cox_is_that_of_coxph(self):
        from TARECOMETLib.study.survival import cox

        mean = np.log([p.tumour_dose_gy["plan"] for p in self.times.patients])
        least = np.log([p.smallest_tumour_dose_gy for p in self.times.patients])
        # coef(summary(coxph(Surv(time, ev) ~ log(dose), ties = "efron"))), dose weighted by volume; and of the tumour
        # with the least dose. lifelines stops at 1e-7 of the step: 1e-5.
        for x, expected in ((mean, (-0.4648002711, 0.3000553656)), (least, (-0.6725545269, 0.2361392544))):
            found = cox(self.times.months, self.times.is_event, {"x": x})["x"]
            np.testing.assert_allclose([found.coefficient, found.standard_error], expected, rtol=1e-5)
        # cox.zph(..., transform = "rank"): p = 0.54 for the first; R's test is the exact score test, ours approximates.
        self.assertAlmostEqual(
            cox(self.times.months, self.times.is_event, {"x": mean})["x"].p_proportional, 0.54, delta=0.1
        )

    def test_cumulative_incidence_is_that_of_survfit(self):
        # survfit(Surv(time, factor(status)) ~ 1)$pstate at 3, 6 and 12 months, progression and death
        for cause, expected in (
            (PROGRESSED, (0.3777777778, 0.6111111111, 0.7425396825)),
            (DIED, (0.0888888889, 0.1555555556, 0.1804232804)),
        ):
            curve = cumulative_incidence(self.times, cause)
            found = [curve.value[np.searchsorted(curve.months, m, "right") - 1] for m in (3.0, 6.0, 12.0)]
            np.testing.assert_allclose(found, expected, rtol=1e-8)

    def test_without_censoring_the_incidence_is_a_share_with_its_binomial_error(self):
        months = np.arange(1.0, 41.0)
        status = np.where(np.arange(40) % 4 == 0, DIED, PROGRESSED)
        curve = cumulative_incidence(Times(months, status, ()), PROGRESSED)
        self.assertAlmostEqual(curve.value[-21], np.mean((months <= 20) & (status == PROGRESSED)), places=12)
        share = curve.value[-21]
        error = np.sqrt(share * (1 - share) / 40)
        log_error = error / ((1 - share) * abs(np.log(1 - share)))
        self.assertAlmostEqual(curve.low[-21], 1 - (1 - share) ** np.exp(-1.959963985 * log_error), delta=1e-3)


class TestSimex(unittest.TestCase):
    def test_known_error_flattens_the_slope_and_simex_restores_it(self):
        generator = np.random.default_rng(21)
        covered, naive, corrected = 0, [], []
        for _ in range(12):
            clusters = np.repeat(np.arange(90), 4)
            x = generator.normal(4.6, 0.55, 360)
            u = generator.normal(0.0, 0.7, 90)[clusters]
            y = (generator.random(360) < 1.0 / (1.0 + np.exp(7.2 - 1.55 * x - u))).astype(float)
            error = np.full(360, 0.3)
            seen = x + error * generator.standard_normal(360)
            found = simex_slope(seen, error, y, clusters, generator, replicates=6)
            naive.append(found.naive)
            corrected.append(found.corrected)
            covered += found.low <= 1.55 <= found.high
        # Reliability is 0.55^2 / (0.55^2 + 0.3^2) = 0.77: about that share of the slope is left.
        self.assertAlmostEqual(np.mean(naive) / 1.55, 0.77, delta=0.1)
        self.assertAlmostEqual(np.mean(corrected), 1.55, delta=0.2)
        # 12 intervals at 95 %: 9 or fewer cover with probability 0.002.
        self.assertGreaterEqual(covered, 10)

    def test_the_error_of_a_logarithm(self):
        # ln D of a log-normal with 30 % coefficient of variation: sqrt(ln 1.09) = 0.29356.
        self.assertAlmostEqual(float(error_on_scale(np.array(100.0), np.array(30.0), "log")), 0.29356, places=5)


class TestPower(unittest.TestCase):
    def test_power_is_that_of_r(self):
        # power.t.test(n = 20, delta = 1, sd = 1): power = 0.8689528
        self.assertAlmostEqual(power_of_comparison(20, 20, 1.0, 1.0), 0.8689528, places=6)
        # power.t.test(power = .90, delta = 1, sd = 1): n = 22.02110 in each group: 45 in all
        self.assertEqual(patients_needed(1.0, 1.0, 0.5, 0.9), 45)

    def test_clustering_and_those_not_evaluable_ask_for_more(self):
        self.assertEqual(patients_needed(1.0, 1.0, 0.5, 0.9, not_evaluable_share=0.25), 60)
        by_lesion = patients_needed(1.0, 1.0, 0.5, 0.9, lesions_per_patient=3.0)
        self.assertEqual(by_lesion, 15)
        self.assertGreater(
            patients_needed(1.0, 1.0, 0.5, 0.9, lesions_per_patient=3.0, intraclass_correlation=0.5), 2 * by_lesion - 1
        )
