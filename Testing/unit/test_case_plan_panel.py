"""The step "Plan" without Qt: typing, dragging, choosing a vial, and what goes on to the treatment."""

import unittest
from dataclasses import replace

import numpy as np

from TARECOMETLib.case.document import Case
from TARECOMETLib.case.panel_state import DONE, PROBLEM, READY, TO_DO
from TARECOMETLib.case.plan import computing_inputs, finish_plan, settings_of
from TARECOMETLib.case.plan_document import PlannedEntry, PlanSettings, VialOrder
from TARECOMETLib.case.plan_panel import (
    CRITERION_HEADINGS,
    MODEL_HEADINGS,
    PREDICTION_HEADINGS,
    VIAL_HEADINGS,
    PlanPresenter,
    plan_state,
    view_of,
)
from TARECOMETLib.case.plan_texts import (
    GOAL_COLUMNS,
    PlanTexts,
    goal_from_texts,
    goal_texts,
    settings_from_texts,
    texts_of,
)
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.typed_injection import injection_from_text
from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.errors import InputError
from TARECOMETLib.planning.goals import Goal
from TARECOMETLib.planning.patient import TypedTerritory, TypedTumour
from TARECOMETLib.planning.presets import preset_goals
from TARECOMETLib.planning.quick_dvh import cumulative_curve, doses_to_volume_gy
from TARECOMETLib.planning.treatment_calendar import WorkingHours
from TARECOMETLib.planning.uncertain import Uncertainty

SETTINGS = PlanSettings(
    injections=(
        PlannedEntry("1", "right", "2026-03-09", expected_residual=0.02),
        PlannedEntry("2", "left", "2026-03-30", expected_residual=0.02),
    ),
    typed=(
        TypedTerritory("right", 800.0, (TypedTumour("A", 150.0, 3.0), TypedTumour("tiny", 3.0, 0.5))),
        TypedTerritory("left", 400.0, (TypedTumour("C", 60.0, 4.0),)),
    ),
    vials=VialOrder(WorkingHours("Europe/Madrid"), tolerance=0.1),
)


def presenter(voxels=False, **changes):
    case = Case("P1", {}, (), lung_shunt_fraction=0.05, plan=replace(SETTINGS, **changes))
    inputs, _ = finish(computing_inputs(case, None))
    if voxels:
        rng = np.random.default_rng(4)
        regions = []
        for region in inputs.regions:
            spread = rng.gamma(4.0, 0.25, (500, 1))
            rates = spread / spread.mean() * inputs.rates_gy_per_gbq(region)
            sizes = np.full(500, region.volume_ml / 500)
            regions.append(replace(region, rate_gy_per_gbq=rates, voxel_ml=sizes))
        inputs = replace(inputs, regions=tuple(regions))
    return PlanPresenter(case, inputs)


class PresenterTestCase(unittest.TestCase):
    def test_rows_fit_their_headings(self):
        view = presenter().view
        for rows, headings in (
            (view.models, MODEL_HEADINGS),
            (view.criteria, CRITERION_HEADINGS),
            (view.predictions, PREDICTION_HEADINGS),
            (view.vials, VIAL_HEADINGS),
        ):
            self.assertTrue(rows)
            self.assertEqual({len(row) for row in rows}, {len(headings)})
        self.assertEqual(len(view.vials), len(view.vial_choices))
        self.assertIn("tiny (smaller than 5 mL)", " ".join(view.notes))

    def test_dragging_gives_what_planning_at_that_point_gives(self):
        shown = presenter(voxels=True)
        for at in (20.0, 55.5, 74.0):
            view = shown.drag(at)
            plan = finish_plan(replace(shown.case, plan=replace(SETTINGS, normal_liver_gy=at)), shown.inputs).plan
            np.testing.assert_allclose([a for _, a in view.activities], plan.activity_gbq, rtol=1e-12)
            self.assertAlmostEqual(view.point[0], at, places=6)
            self.assertEqual(
                [row[1] for row in view.criteria],
                [f"{s.value:.1f} {s.criterion.goal.unit}" for s in plan.statuses],
            )
            on_curve = np.interp(at, *view.curve)
            self.assertAlmostEqual(view.point[1], on_curve, places=6)
        self.assertEqual(settings_of(shown.case).normal_liver_gy, 74.0)

    def test_dragging_stays_on_the_curve(self):
        shown = presenter()
        self.assertAlmostEqual(shown.drag(1000.0).point[0], 75.0, places=5)
        self.assertEqual([a for _, a in shown.drag(-5.0).activities], [0.0, 0.0])
        self.assertEqual(shown.view.vials, ())

    def test_dvh_follows_and_is_the_exact_one_at_its_points(self):
        shown = presenter(voxels=True)
        before = shown.view.dvh["Whole normal liver"]
        view = shown.drag(30.0)
        self.assertEqual(set(view.dvh), {"A", "C", "All tumours", "Normal perfused liver", "Whole normal liver"})
        for name, (dose, percent) in view.dvh.items():
            region = shown.inputs.region(name)
            exact = make_dvh(region.rate_gy_per_gbq @ np.array([a for _, a in view.activities]), region.voxel_ml, 1.05)
            for number in range(0, len(dose), 17):
                self.assertAlmostEqual(percent[number], exact.volume_at_dose_percent(dose[number] - 1e-6), places=6)
        self.assertLess(view.dvh["Whole normal liver"][0][-1], before[0][-1])

    def test_typed_activity_is_kept_until_the_point_is_dragged(self):
        shown = presenter()
        view = shown.prescribe(1, 0.9)
        self.assertEqual(view.activities[1], ("2", 0.9))
        self.assertNotEqual(shown.prescribe(1, None).activities[1], ("2", 0.9))
        shown.prescribe(0, 1.5)
        self.assertNotEqual(shown.drag(40.0).activities[0], ("1", 1.5))
        self.assertTrue(shown.prescribe(0, -1.0).problem)
        self.assertFalse(shown.prescribe(0, 1.0).problem)

    def test_what_cannot_be_planned_keeps_the_last_plan_and_says_why(self):
        shown = presenter()
        before = shown.view.activities
        view = shown.change(replace(SETTINGS, target_tumours=("nobody",)))
        self.assertIn("there is no tumour", view.problem)
        self.assertEqual(view.activities, before)
        self.assertEqual(plan_state(shown.case, shown).badge, PROBLEM)
        self.assertEqual(shown.change(SETTINGS).problem, "")

    def test_shunt_residual_and_date_change_without_new_uptake(self):
        shown = presenter(voxels=True)
        entries = (
            replace(SETTINGS.injections[0], lung_shunt_fraction=0.2, expected_residual=0.1, date="2026-03-16"),
            SETTINGS.injections[1],
        )
        view = shown.change(replace(SETTINGS, injections=entries))
        self.assertFalse(view.problem)
        case = Case("P1", {}, (), lung_shunt_fraction=0.05, plan=replace(SETTINGS, injections=entries))
        fresh = finish_plan(case, finish(computing_inputs(case, None))[0]).plan
        np.testing.assert_allclose([a for _, a in view.activities], fresh.activity_gbq, rtol=1e-9)
        region = shown.inputs.region("A")
        self.assertAlmostEqual(
            float(region.rate_gy_per_gbq[:, 0].mean()), float(shown.inputs.rates_gy_per_gbq(region)[0]), places=9
        )
        moved = (replace(SETTINGS.injections[0], territory="left"), SETTINGS.injections[1])
        self.assertIn("compute the uptake again", shown.change(replace(SETTINGS, injections=moved)).problem)

    def test_chosen_vial_goes_to_the_treatment_step(self):
        shown = presenter()
        number = next(n for n, (injection, _) in enumerate(shown.view.vial_choices) if injection == 0)
        _, choice = shown.view.vial_choices[number]
        shown.pick(0, choice)
        self.assertFalse(shown.view.problem)
        rows = shown.treatment_rows()
        self.assertEqual(rows[0][:2], ["1", "right"])
        self.assertEqual(rows[0][5], f"{choice.hour:%Y-%m-%d %H:%M}")
        typed = injection_from_text(*rows[0])
        self.assertAlmostEqual(typed.vial_mbq, 1000.0 * choice.vial_gbq, delta=0.1)
        self.assertAlmostEqual(typed.net_mbq, 1000.0 * choice.delivered_gbq, delta=0.2)

    def test_dragging_keeps_the_band_and_lets_a_picked_vial_go(self):
        shown = presenter(uncertainty=Uncertainty(0.2, 0.2, 0.1))
        shown.pick(*shown.view.vial_choices[0])
        self.assertIsNotNone(settings_of(shown.case).injections[0].vial)
        view = shown.drag(60.0)
        self.assertIsNone(settings_of(shown.case).injections[0].vial)
        fresh = finish_plan(shown.case, shown.inputs)
        self.assertEqual(view.windows, view_of(fresh).windows)
        self.assertIn("percentile", " ".join(view.windows))

    def test_badges(self):
        self.assertEqual(plan_state(Case("P1", {}, ())).badge, TO_DO)
        shown = presenter()
        state = plan_state(shown.case, shown)
        self.assertEqual((state.badge, state.actions["order"].enabled), (DONE, True))
        self.assertEqual(plan_state(shown.case).badge, READY)
        self.assertFalse(plan_state(shown.case, shown, busy="computing").actions["plan"].enabled)
        bare = presenter(vials=None)
        self.assertIn("time zone", plan_state(bare.case, bare).actions["order"].reason)


class QuickDvhTestCase(unittest.TestCase):
    def test_same_figures_as_the_sorted_dvh(self):
        rng = np.random.default_rng(8)
        for dose in (rng.gamma(2.0, 30.0, 20000), np.round(rng.gamma(2.0, 3.0, 20000)), np.full(50, 7.0), np.zeros(9)):
            volume = rng.uniform(0.1, 1.0, dose.size)
            dvh = make_dvh(dose, volume, 1.0)
            wanted = (0.01, 2.0, 50.0, 70.0, 95.0, 100.0)
            self.assertEqual(
                doses_to_volume_gy(dose, volume, wanted), [dvh.dose_to_volume_gy(percent) for percent in wanted]
            )

    def test_curve_begins_at_all_and_ends_at_the_highest(self):
        dose, percent = cumulative_curve(np.array([1.0, 2.0, 4.0]), np.ones(3), 5)
        np.testing.assert_allclose(dose, [0.0, 1.0, 2.0, 3.0, 4.0])
        np.testing.assert_allclose(percent, [100.0, 100.0, 200.0 / 3.0, 100.0 / 3.0, 100.0 / 3.0])


class TextsTestCase(unittest.TestCase):
    def test_typing_the_shown_texts_changes_nothing(self):
        settings = replace(SETTINGS, bilirubin=19.25, bilirubin_unit="µmol/L", target_tumours=("A",))
        self.assertEqual(settings_from_texts(texts_of(settings), settings), settings)
        self.assertEqual(settings_from_texts(texts_of(PlanSettings()), PlanSettings()), PlanSettings())

    def test_each_wrong_text_names_its_field(self):
        texts = texts_of(SETTINGS)
        for change, words in (
            ({"bilirubin": "high"}, "bilirubin"),
            ({"bilirubin": "1", "bilirubin_unit": "µmol/L"}, "bilirubin"),
            ({"minimum_target_ml": "-1"}, "minimum_target_ml"),
            ({"tolerance_percent": "0"}, "tolerance"),
            ({"first_hour": "8.5"}, "first working hour"),
            ({"sizes_gbq": "3 x"}, "vial sizes"),
            ({"weeks": "next week"}, "weeks"),
            ({"time_zone": "Mars/Olympus"}, "time zone"),
        ):
            with self.subTest(change=change), self.assertRaisesRegex(InputError, words):
                settings_from_texts(replace(texts, **change), SETTINGS)
        settings_from_texts(replace(texts, bilirubin="1,0", tolerance_percent="7.5"), SETTINGS)
        self.assertIsNone(settings_from_texts(replace(PlanTexts(), time_zone=" "), SETTINGS).vials)

    def test_goals_keep_their_source_until_their_figures_change(self):
        for goal in preset_goals("mcrc-glass-unilobar", 0.8):
            cells = goal_texts(goal)
            self.assertEqual(len(cells), len(GOAL_COLUMNS))
            self.assertEqual(goal_from_texts(cells, goal), goal)
            cells[2 if goal.at_least is not None else 3] = "99"
            changed = goal_from_texts(cells, goal) if goal.at_least is None or goal.at_most is None else None
            if changed is not None:
                self.assertEqual((changed.origin, changed.level_of_evidence), ("typed", ""))
        with self.assertRaises(InputError):
            goal_from_texts(["normal liver", "mean", "", "75", "", "yes", ""])
        self.assertEqual(goal_from_texts(["tumour", "D70", "100", "", "", "no", "x"]).at_least, 100.0)
        self.assertEqual(
            Goal("tumour", "D70", at_least=100.0, cumulative=False, reference="x"),
            goal_from_texts(["tumour", "D70", "100", "", "", "no", "x"]),
        )


if __name__ == "__main__":
    unittest.main()
