"""The analysis as a whole: one document, reproducible, complete, honest about what was planned."""

import json
import unittest

from study_support import StudyTestCase, requires_cohort
from test_cli import run
from test_study_outcomes import requires_lifelines

from TARECOMETLib.study.analysis import analyse
from TARECOMETLib.study.plan import StudyPlan


@requires_cohort
@requires_lifelines
class TestAnalysis(StudyTestCase):
    def setUp(self):
        super().setUp()
        self.study = self.reference_study()
        self.plan = StudyPlan(bootstraps=200)

    def by_key(self, document):
        return {result["key"]: result for result in document["results"]}

    def test_the_reference_cohort_gives_back_what_made_it(self):
        found = self.by_key(analyse(self.study, self.plan))
        # truth.json: logit P = -7.2 + 1.55 ln dose + N(0, 0.7): D50 = exp(7.2 / 1.55) = 104 Gy.
        fit = found["dose-response.lesion.random-intercept"]
        self.assertLess(fit["confidence_interval"]["low"], 104.0)
        self.assertGreater(fit["confidence_interval"]["high"], 104.0)
        self.assertTrue(fit["slope_low"] < 1.55 < fit["slope_high"])
        # delivered over predicted: mean of the log -0.12, SD 0.32
        ratio = found["concordance.tumours"]
        self.assertTrue(ratio["confidence_interval"]["low"] < 0.887 < ratio["confidence_interval"]["high"])
        self.assertAlmostEqual(ratio["sd_log_ratio"], 0.32, delta=0.04)
        self.assertIn("Not estimable", found["dose-response.patient.logistic"]["sentence"])
        self.assertNotIn("estimate", found["dose-response.patient.logistic"])

    def test_every_result_is_complete_and_one_is_primary(self):
        document = analyse(self.study, self.plan)
        json.dumps(document, allow_nan=False)
        for result in document["results"]:
            with self.subTest(key=result["key"]):
                self.assertTrue({"title", "role", "n", "method", "sentence", "assumptions", "warnings"} <= set(result))
                self.assertTrue(result["sentence"].rstrip().endswith("."), result["sentence"])
                if "confidence_interval" in result and {"low", "high"} <= set(result["confidence_interval"]):
                    low, high = (result["confidence_interval"][k] for k in ("low", "high"))
                    self.assertTrue(low <= result["estimate"] <= high, result["key"])
        keys = [result["key"] for result in document["results"]]
        self.assertEqual(len(keys), len(set(keys)))
        primary = [r["key"] for r in document["results"] if r["role"] == "primary"]
        self.assertEqual(primary, ["difference.patient"])
        self.assertEqual(document["flow"][0], {"label": "In the study file", "patients": 90})

    def test_the_same_again_gives_the_same_and_a_changed_plan_is_post_hoc(self):
        first, second = analyse(self.study, self.plan), analyse(self.study, self.plan)
        self.assertEqual(first, second)
        self.assertFalse(first["post_hoc"])
        groups = StudyPlan(bootstraps=200, dose_groups_gy=(120.0,))
        third = analyse(self.study, groups)
        self.assertTrue(third["post_hoc"] and all(result["post_hoc"] for result in third["results"]))
        self.assertNotIn("p_log_rank", self.by_key(third)["progression.overall"]["groups"])

    def test_groups_of_the_locked_plan_get_their_p(self):
        document = analyse(self.study, StudyPlan(bootstraps=200, dose_groups_gy=(120.0,)))
        groups = self.by_key(document)["progression.overall"]["groups"]
        self.assertEqual(sum(g["patients"] for g in groups["curves"]), 90)
        self.assertTrue(0.0 < groups["p_log_rank"] < 1.0)

    def test_the_command_prints_one_json_and_writes_the_same(self):
        code, out, err = run(
            "study", "analyse", self.study.path, "--bootstraps", 60, "--out", self.folder / "out", "--json"
        )
        self.assertEqual(code, 0, err)
        written = json.loads((self.folder / "out" / "analysis.json").read_text(encoding="utf-8"))
        self.assertEqual(json.loads(out), written)


class TestEmpty(StudyTestCase):
    def test_an_empty_study_is_refused(self):
        study = self.new_study()
        code, _, err = run("study", "analyse", study.path)
        self.assertEqual(code, 2)
        self.assertIn("no patients", err)

    def test_a_study_without_outcomes_says_what_is_not_computed(self):
        study = self.new_study()
        with study.transaction("test"):
            for name in ("TC001", "TC002"):
                study.put("patients", {"patient_id": name})
        document = analyse(study, StudyPlan(bootstraps=50))
        self.assertTrue(all("estimate" not in r or r["key"] == "response" for r in document["results"]))


@requires_lifelines
class TestStrangeCohorts(StudyTestCase):
    """Cohorts in which something cannot be computed: that is said, and everything else goes on."""

    def cohort(self, name, dose, responds, patients=12, grade=lambda n: 0):
        study = self.new_study(f"{name}.study")
        with study.transaction("test"):
            for n in range(patients):
                patient = f"TC{n:03}"
                study.put("patients", {"patient_id": patient, "last_contact_date": "2025-01-01"})
                study.put("treatments", {"patient_id": patient, "session": 1, "date": "2024-01-01"})
                for lesion in ("L1", "L2", "Whole normal liver"):
                    is_liver = lesion == "Whole normal liver"
                    kind = lesion if is_liver else "tumour"
                    row = {"patient_id": patient, "name": lesion}
                    study.put("compartments", {**row, "kind": kind, "volume_ml": 10.0})
                    study.put("doses", {**row, "phase": "post", "method": "local", "mean_gy": dose(n)})
                    if not is_liver:
                        study.put("lesion_visits", {**row, "visit": "baseline", "diameter_mm": 40.0})
                        now = 20.0 if responds(n) else 41.0
                        study.put("lesion_visits", {**row, "visit": "month3", "diameter_mm": now})
                row = {"patient_id": patient, "visit": "month6", "term": "bilirubin"}
                study.put("toxicities", {**row, "grade": grade(n)})
        return {r["key"]: r for r in analyse(study, StudyPlan(bootstraps=50))["results"]}

    def test_everybody_responds(self):
        found = self.cohort("all", lambda n: 80.0 + n, lambda n: True)
        self.assertEqual(found["dose-response.lesion"]["method"], "none")
        self.assertEqual(found["response"]["estimate"], 1.0)

    def test_one_patient(self):
        found = self.cohort("one", lambda n: 80.0, lambda n: True, patients=1)
        self.assertIn("Not computed", found["progression.overall"]["sentence"])

    def test_a_dose_of_zero_has_no_logarithm(self):
        found = self.cohort("zero", lambda n: 10.0 * n, lambda n: n % 2 == 0)
        self.assertIn("logarithm", found["dose-response.lesion"]["sentence"])
        self.assertIn("estimate", found["difference.lesion"])

    def test_perfect_separation_is_answered_with_firth(self):
        found = self.cohort("firth", lambda n: 80.0 + 5 * n, lambda n: n >= 6, grade=lambda n: 3 if n >= 9 else 0)
        self.assertIn("Firth", found["dose-response.lesion.firth"]["method"])
        self.assertNotIn("dose-response.lesion.bootstrap", found)
        self.assertIn("Firth", found["toxicity.whole"]["method"])
        self.assertTrue(any("events" in warning for warning in found["toxicity.whole"]["warnings"]))

    def test_equal_doses_have_no_curve(self):
        found = self.cohort("equal", lambda n: 100.0, lambda n: n % 2 == 0, grade=lambda n: 3 * (n % 2))
        for key in ("difference.patient", "dose-response.lesion", "toxicity.whole"):
            self.assertNotIn("estimate", found[key])


if __name__ == "__main__":
    unittest.main()
