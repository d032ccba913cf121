"""The Study step without Qt, and what an analysis leaves on disk: figures, tables, report."""

import csv
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

from study_support import StudyTestCase, requires_cohort
from test_study_outcomes import requires_lifelines

from TARECOMETLib.case import study_panel
from TARECOMETLib.case.study_panel import ADD, ANALYSE
from TARECOMETLib.errors import InputError
from TARECOMETLib.study.database import open_study
from TARECOMETLib.study.plan import StudyPlan, lock


class TestStep(StudyTestCase):
    def test_each_action_says_why_it_cannot_be_done(self):
        path = self.folder / "trial.study"
        step = study_panel.study_step(None, True, False)
        self.assertEqual((step.badge, step.actions[ADD].enabled), ("to do", False))
        study_panel.open_or_make(path)
        step = study_panel.study_step(path, False, False)
        self.assertEqual((step.badge, step.actions[ADD].reason), ("ready", "Compute the open case first"))
        self.assertFalse(step.actions[ANALYSE].enabled)
        self.assertIn("out of date", study_panel.study_step(path, True, True).actions[ADD].reason)
        self.assertTrue(study_panel.study_step(path, True, False).actions[ADD].enabled)
        self.assertEqual(study_panel.study_step(self.write("x.study", "text"), True, False).badge, "problem")
        self.assertTrue(
            all(not a.enabled for a in study_panel.study_step(path, True, False, "analysing").actions.values())
        )

    def test_the_scene_keeps_path_and_hash_and_sees_changes(self):
        path = self.folder / "trial.study"
        reference = study_panel.open_or_make(path)
        self.assertFalse(study_panel.has_changed(reference))
        with open_study(path) as study, study.transaction("test"):
            study.put("patients", {"patient_id": "TC001"})
        self.assertTrue(study_panel.has_changed(reference))

    def test_follow_up_is_edited_as_text_and_contradictions_are_refused(self):
        study = self.new_study()
        path = study.path
        with study.transaction("test"):
            study.put("patients", {"patient_id": "TC001"})
            study.put("treatments", {"patient_id": "TC001", "session": 1, "date": "2024-01-01"})
        key = {"patient_id": "TC001"}
        self.assertEqual(study_panel.edit_follow_up(path, "patients", key, {"death_date": "2024-06-01"}, "reader"), 1)
        visit = {**key, "visit": "month3"}
        study_panel.edit_follow_up(path, "patient_visits", visit, {"new_lesion": "yes", "date": "2024-04-02"})
        rows = {row.table: row for row in study_panel.follow_up(path, "TC001")}
        self.assertEqual(rows["patient_visits"].values["new_lesion"], "1")
        for table, where, values in (
            ("patients", key, {"death_date": "2023-06-01"}),
            ("patients", key, {"ecog": "nine"}),
            ("patients", key, {"death_date": "01.06.2024"}),
            ("patient_visits", visit, {"new_lesion": "maybe"}),
            ("doses", key, {"mean_gy": "1"}),
        ):
            with self.subTest(values=values), self.assertRaises(InputError):
                study_panel.edit_follow_up(path, table, where, values)
        self.assertEqual(study.row("patients", "TC001")["death_date"], "2024-06-01")
        self.assertTrue(study_panel.remove_follow_up(path, "patient_visits", visit))
        self.assertEqual(study.audit_rows()[2]["who"], "reader")

    @requires_cohort
    def test_outcomes_are_shown_once_the_plan_is_locked(self):
        study = self.reference_study()
        columns, rows = study_panel.cohort_table(study.path)
        self.assertEqual((len(columns), len(rows)), (9, 90))
        self.assertEqual({row[5:] for row in rows}, {("", "", "", "")})
        self.assertEqual(study_panel.cohort_flow(study.path), [])
        lock(study, StudyPlan())
        _, rows = study_panel.cohort_table(study.path)
        # TC001: 38.65 mL at 126.8 Gy and 104.78 mL at 115.8 Gy: 118.8 Gy; 100.4 to 59.8 mm is -40 %: PR.
        self.assertEqual(rows[0][:6], ("TC001", "2023-10-28", "2", "119", "43", "PR"))
        self.assertEqual(study_panel.cohort_flow(study.path)[0], ("In the study file", 90))


@requires_cohort
@requires_lifelines
class TestOutput(StudyTestCase):
    def analysed(self, out: Path):
        study = (
            self.reference_study()
            if not (self.folder / "trial.study").exists()
            else open_study(self.folder / "trial.study")
        )
        plan = self.write("plan.json", StudyPlan(bootstraps=60).text())
        steps = study_panel.analysing(study.path, out, plan)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value

    def test_figures_tables_and_report_are_there_and_the_same_each_time(self):
        first, second = self.folder / "first", self.folder / "second"
        document = self.analysed(first)
        self.analysed(second)
        names = {path.name for path in (first / "figures").iterdir()}
        for name in (
            "dose-response-lesion",
            "roc-lesion",
            "toxicity-whole",
            "progression-overall",
            "concordance-tumours",
            "window-whole",
        ):
            self.assertLessEqual({f"{name}.svg", f"{name}.pdf"}, names)
        for path in (first / "figures").glob("*.svg"):
            ET.parse(path)
        self.assertEqual(len(study_panel.figure_list(first)), len(names) // 2)
        self.assertTrue((first / "report.pdf").read_bytes().startswith(b"%PDF"))
        for path in sorted(p for p in first.rglob("*") if p.is_file()):
            with self.subTest(file=path.name):
                self.assertEqual(path.read_bytes(), (second / path.relative_to(first)).read_bytes())
        with (first / "tables" / "results.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        self.assertEqual([row["key"] for row in rows], [r["key"] for r in document["results"]])
        charts = study_panel.charts(document)
        self.assertGreaterEqual(len(charts), 10)
        self.assertTrue(all(len(x) == len(y) > 1 for chart in charts for _, x, y in chart.lines))


if __name__ == "__main__":
    unittest.main()
