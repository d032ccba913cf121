"""Response by each criterion at its limits, the plan and its lock, and who is evaluable."""

import unittest

from study_support import StudyTestCase, requires_cohort

from TARECOMETLib.errors import InputError
from TARECOMETLib.study.cohort import read_cohort
from TARECOMETLib.study.flow import flow
from TARECOMETLib.study.plan import MRECIST, PERCIST, RECIST, TLG, StudyPlan, lock, plan_from_text
from TARECOMETLib.study.response import Measured, choose_targets, lesion_response, patient_response


def lesion(name, before, after=None, **more):
    values = {"baseline": before} | ({} if after is None else {"month3": after})
    return Measured(name, values=values | more.pop("values", {}), size_mm=more.pop("size_mm", before), **more)


class TestCriteria(unittest.TestCase):
    def recist(self, *lesions, **more):
        return patient_response(RECIST, lesions, "month3", more.pop("earlier", ()), **more).category

    def test_recist_at_its_limits(self):
        # Eisenhauer 2009: PR at -30 % of baseline, PD at +20 % AND +5 mm of the nadir, CR when all are gone.
        self.assertEqual(self.recist(lesion("a", 50.0, 35.0), lesion("b", 50.0, 35.0)), "PR")
        self.assertEqual(self.recist(lesion("a", 50.0, 35.0), lesion("b", 50.0, 35.1)), "SD")
        self.assertEqual(self.recist(lesion("a", 50.0, 60.0), lesion("b", 50.0, 60.0)), "PD")
        self.assertEqual(self.recist(lesion("a", 50.0, 59.9), lesion("b", 50.0, 60.0)), "SD")
        self.assertEqual(self.recist(lesion("a", 20.0, 24.9)), "SD")  # +24.5 % but under 5 mm
        self.assertEqual(self.recist(lesion("a", 20.0, 25.0)), "PD")
        self.assertEqual(self.recist(lesion("a", 20.0, 0.0)), "CR")

    def test_progression_is_against_the_nadir(self):
        shrunk = lesion("a", 50.0, 40.0, values={"month1": 30.0})
        self.assertEqual(self.recist(shrunk), "SD")
        self.assertEqual(self.recist(shrunk, earlier=("month1",)), "PD")

    def test_new_lesions_progress_and_missing_targets_are_not_evaluable(self):
        self.assertEqual(self.recist(lesion("a", 50.0, 20.0), new_lesion=True), "PD")
        self.assertEqual(self.recist(lesion("a", 50.0, 20.0), lesion("b", 30.0)), "NE")
        self.assertEqual(self.recist(lesion("a", 30.0, 90.0), lesion("b", 30.0)), "PD")

    def test_targets_are_two_per_organ_and_five_in_all(self):
        liver = [lesion(f"l{n}", 40.0 - n) for n in range(4)] + [lesion("small", 9.9)]
        nodes = [lesion("n1", 15.0, is_node=True), lesion("n2", 14.9, is_node=True)]
        lungs = [lesion("p1", 12.0, organ="lung")]
        self.assertEqual([m.name for m in choose_targets([*liver, *nodes, *lungs])], ["l0", "l1", "n1", "p1"])

    def test_a_node_below_10_mm_is_gone(self):
        self.assertEqual(self.recist(lesion("n", 20.0, 9.9, is_node=True)), "CR")
        self.assertEqual(self.recist(lesion("n", 20.0, 10.0, is_node=True)), "PR")

    def test_mrecist_reads_the_viable_part_of_targets_chosen_by_size(self):
        self.assertEqual(patient_response(MRECIST, [lesion("a", 30.0, 0.0, size_mm=50.0)], "month3").category, "CR")

    def test_percist_follows_the_hottest_tumour_and_asks_for_an_absolute_fall(self):
        # PMR is a fall of at least 30 % and 0.8 SUL (1 SUL elsewhere: a parameter).
        def percist(*lesions, **more):
            return patient_response(PERCIST, lesions, "month3", **more).category

        self.assertEqual(percist(lesion("a", 10.0, 7.0), lesion("b", 5.0, 6.0)), "PR")
        self.assertEqual(percist(lesion("a", 2.5, 1.72)), "SD")  # -31 % but 0.78 SUL
        self.assertEqual(percist(lesion("a", 2.5, 1.65)), "PR")
        self.assertEqual(percist(lesion("a", 2.5, 1.65), percist_least_sul=1.0), "SD")
        self.assertEqual(percist(lesion("a", 10.0, 13.1)), "PD")
        self.assertEqual(percist(lesion("a", 10.0, 1.0), liver_sul={"baseline": 2.0, "month3": 2.0}), "CR")
        self.assertEqual(percist(lesion("a", 2.5, 1.0), liver_sul={"baseline": 2.0}), "NE")

    def test_tlg_sums_all_tumours(self):
        self.assertEqual(
            patient_response(TLG, [lesion("a", 100.0, 20.0), lesion("b", 50.0, 55.0)], "month3").category, "PR"
        )
        self.assertEqual(patient_response(TLG, [lesion("a", 100.0, 20.0), lesion("b", 50.0)], "month3").category, "NE")

    def test_one_tumour_is_judged_by_the_adapted_criterion(self):
        self.assertEqual(lesion_response(RECIST, 40.0, 28.0), (True, -30.0))
        self.assertEqual(lesion_response(RECIST, 40.0, 28.1)[0], False)
        self.assertEqual(lesion_response(TLG, 40.0, 28.0)[0], False)
        self.assertEqual(lesion_response(RECIST, None, 28.0), (None, None))


class TestPlan(StudyTestCase):
    def test_a_later_change_is_post_hoc_and_both_plans_are_kept(self):
        study = self.new_study()
        first = lock(study, StudyPlan())
        self.assertFalse(first.is_post_hoc)
        self.assertFalse(lock(study, StudyPlan()).is_post_hoc)
        second = lock(study, StudyPlan(response_criterion=PERCIST))
        self.assertEqual(second.changed, ("response_criterion: RECIST 1.1 → PERCIST",))
        self.assertFalse(lock(study, StudyPlan()).is_post_hoc)
        self.assertEqual(len(study.plans()), 2)
        self.assertFalse(lock(study, StudyPlan(bootstraps=100)).is_post_hoc)

    def test_a_plan_is_read_back_and_bad_ones_are_refused(self):
        plan = StudyPlan(dose_groups_gy=(100.0, 150.0), covariates=("ecog",))
        self.assertEqual(plan_from_text(plan.text(), "x"), plan)
        self.assertEqual(plan_from_text('{"response_month": 3.0}', "x").sha256(), StudyPlan().sha256())
        for text in (
            "[]",
            "{",
            '{"foo": 1}',
            '{"seed": "x"}',
            '{"confidence": 95}',
            '{"covariates": ["blood"]}',
            '{"response_month": 3.5}',
            '{"dose_groups_gy": [150, 100]}',
            '{"dose_scale": "cube"}',
            '{"include_unresolved": 1}',
        ):
            with self.subTest(text=text), self.assertRaises(InputError):
                plan_from_text(text, "x")


class TestCohort(StudyTestCase):
    def cohort(self, patient, visits=(("month3", "2024-04-05", 20.0),), plan=None):
        study = self.new_study()
        with study.transaction("test"):
            study.put("patients", {"patient_id": "TC001", **patient})
            study.put("treatments", {"patient_id": "TC001", "session": 1, "date": "2024-01-05"})
            for name, mass, dose in (("L1", 30.0, 100.0), ("L2", 10.0, 200.0)):
                study.put("compartments", {"patient_id": "TC001", "name": name, "kind": "tumour", "mass_g": mass})
                study.put(
                    "doses", {"patient_id": "TC001", "name": name, "phase": "post", "method": "local", "mean_gy": dose}
                )
                for visit, day, size in (("baseline", "2024-01-02", 40.0), *visits):
                    study.put(
                        "lesion_visits",
                        {"patient_id": "TC001", "name": name, "visit": visit, "date": day, "diameter_mm": size},
                    )
        return read_cohort(study, plan or StudyPlan()).patients[0]

    def test_the_patient_dose_is_weighted_by_mass(self):
        self.assertAlmostEqual(self.cohort({}).tumour_dose_gy["plan"], (30 * 100 + 10 * 200) / 40)

    def test_any_metric_is_read_from_the_kept_histogram(self):
        # By hand: 4 mL at 50 Gy and 6 mL at 100 Gy: 60 % of the volume gets 100 Gy, all of it 50 Gy; the mean of the
        # squares is 0.4 x 2500 + 0.6 x 10000 = 7000.
        for plan, expected in (
            (StudyPlan(dose_metric="d30_gy"), 100.0),
            (StudyPlan(dose_metric="d61_gy"), 50.0),
            (StudyPlan(dose_metric="v75_percent"), 60.0),
            (StudyPlan(dose_metric="eud_gy", eud_exponent=2.0), 7000.0**0.5),
        ):
            study = self.new_study()
            with study.transaction("test"):
                study.put("patients", {"patient_id": "TC001"})
                study.put("compartments", {"patient_id": "TC001", "name": "L1", "kind": "tumour", "volume_ml": 10.0})
                row = {"patient_id": "TC001", "name": "L1", "phase": "post", "method": "local"}
                study.put("doses", {**row, "dvh_dose_gy": "[50, 100]", "dvh_volume_ml": "[4, 6]"})
            with self.subTest(metric=plan.dose_metric):
                found = read_cohort(study, plan).patients[0].tumour_dose_gy["plan"]
                self.assertAlmostEqual(found, expected, places=9)
        with self.assertRaises(InputError):
            StudyPlan(dose_metric="d300_gy")

    def test_evaluable_patients_and_the_reasons_of_the_others(self):
        self.assertEqual(self.cohort({}).not_evaluable, "")
        self.assertTrue(self.cohort({}).is_responder)
        self.assertEqual(self.cohort({"death_date": "2024-02-20"}, ()).not_evaluable, "death")
        self.assertEqual(self.cohort({}, ()).not_evaluable, "no scan")
        # Month 3 is 2024-04-05 (91 days); the window is 30 days: 2024-05-05 lies in it, the day after does not.
        self.assertEqual(self.cohort({}, (("month3", "2024-05-05", 20.0),)).not_evaluable, "")
        self.assertEqual(self.cohort({}, (("month3", "2024-05-06", 20.0),)).not_evaluable, "scan outside the window")
        self.assertIsNone(self.cohort({}, ()).is_responder)

    @requires_cohort
    def test_the_flow_of_the_reference_cohort_counts_everyone_once(self):
        study = self.reference_study()
        counts = flow(read_cohort(study, StudyPlan()))
        self.assertEqual((counts.enrolled, counts.treated, counts.with_dose), (90, 90, 90))
        self.assertEqual(counts.evaluable + sum(counts.not_evaluable.values()), 90)
        # R: sum(as.Date(P$death_date) - as.Date(P$treatment_date) <= 61, na.rm = TRUE); 91 - 30 days.
        self.assertEqual(counts.not_evaluable, {"death": 7})

    def setUp(self):
        super().setUp()
        self.number = 0

    def new_study(self, name=""):
        self.number += 1
        return super().new_study(name or f"{self.number}.study")
