"""Export, merge, cases into the study, many cases at once."""

import csv
import json
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from study_support import StudyTestCase, requires_cohort
from test_cli import run

from TARECOMETLib.case import batch
from TARECOMETLib.case.study_rows import _differential
from TARECOMETLib.dosimetry.dose import transform_threads
from TARECOMETLib.errors import InputError
from TARECOMETLib.study.database import open_study
from TARECOMETLib.study.exporting import data_dictionary, export_study
from TARECOMETLib.study.merging import MergeConflicts, merge
from TARECOMETLib.study.schema import TABLES

try:
    from pyarrow import parquet
except ImportError:
    parquet = None
try:
    import distributed
except ImportError:
    distributed = None


def read(path):
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


class TestExport(StudyTestCase):
    @requires_cohort
    def test_every_value_leaves_as_it_is(self):
        study = self.reference_study()
        export_study(study, self.folder / "out")
        for name, table in TABLES.items():
            rows = read(self.folder / "out" / f"{name}.csv")
            self.assertEqual(len(rows), study.count(name))
            for row, stored in zip(rows, study.rows(name), strict=True):
                for field in table.names:
                    value = stored[field]
                    if isinstance(value, float):
                        self.assertEqual(float(row[field]), value)
                    else:
                        self.assertEqual(row[field], "" if value is None else str(value))

    def test_formulas_are_made_harmless(self):
        study = self.new_study()
        with study.transaction("test"):
            study.put("patients", {"patient_id": "TC001", "site": '=HYPERLINK("x")'})
        export_study(study, self.folder / "out")
        self.assertEqual(read(self.folder / "out" / "patients.csv")[0]["site"], '\'=HYPERLINK("x")')

    def test_the_dictionary_has_redcaps_columns_and_unique_names(self):
        study = self.new_study()
        export_study(study, self.folder / "out")
        rows = read(self.folder / "out" / "redcap_data_dictionary.csv")
        # REDCap accepts lower case letters, digits and underscores, and these field types and validations.
        names = [row["Variable / Field Name"] for row in rows]
        self.assertEqual(names[0], "record_id")
        self.assertEqual(len(names), len(set(names)))
        for row in rows:
            self.assertRegex(row["Variable / Field Name"], r"^[a-z][a-z0-9_]*$")
            self.assertIn(row["Field Type"], ("text", "notes", "dropdown", "yesno"))
            self.assertIn(row["Text Validation Type OR Show Slider Number"], ("", "number", "integer", "date_ymd"))
            self.assertTrue(row["Field Label"])
        self.assertEqual(len(rows), 1 + sum(len(t.fields) - 1 for t in TABLES.values()))
        self.assertTrue(all(len(row) == 18 for row in data_dictionary()))

    @unittest.skipIf(parquet is None, "needs pyarrow")
    def test_parquet_keeps_kinds(self):
        study = self.new_study()
        with study.transaction("test"):
            study.put("patients", {"patient_id": "TC001", "age_years": 60.5, "ecog": 1})
        export_study(study, self.folder / "out")
        rows = parquet.read_table(self.folder / "out" / "patients.parquet").to_pylist()
        self.assertEqual((rows[0]["age_years"], rows[0]["ecog"], rows[0]["sex"]), (60.5, 1, None))


class TestMerge(StudyTestCase):
    def pair(self):
        ours, theirs = self.new_study("ours.study"), self.new_study("theirs.study")
        with ours.transaction("test"):
            ours.put("patients", {"patient_id": "TC001", "age_years": 60})
            ours.put("patients", {"patient_id": "TC002"})
        with theirs.transaction("test"):
            theirs.put("patients", {"patient_id": "TC001", "age_years": 60, "sex": "F"})
            theirs.put("patients", {"patient_id": "S2-01"})
            theirs.put("treatments", {"patient_id": "S2-01", "session": 1, "date": "2024-01-01"})
        return ours, theirs

    def test_rows_are_added_gaps_filled_and_the_trail_says_from_where(self):
        ours, theirs = self.pair()
        done = merge(ours, theirs)
        self.assertEqual((done.added, done.filled, done.changed, done.conflicts), (2, 1, 0, ()))
        self.assertEqual(ours.row("patients", "TC001")["sex"], "F")
        self.assertTrue(ours.audit_rows()[-1]["how"].startswith("merge theirs.study"))
        again = merge(ours, theirs)
        self.assertEqual((again.added, again.filled, again.same), (0, 0, 3))

    def test_contradictions_are_listed_and_nothing_is_merged(self):
        ours, theirs = self.pair()
        with theirs.transaction("test"):
            theirs.put("patients", {"patient_id": "TC001", "age_years": 61})
        with self.assertRaises(MergeConflicts) as caught:
            merge(ours, theirs)
        self.assertEqual([(c.field, c.ours, c.theirs) for c in caught.exception.conflicts], [("age_years", 60.0, 61.0)])
        self.assertEqual(ours.count("patients"), 2)
        code, _, err = run("study", "merge", ours.path, theirs.path)
        self.assertEqual((code, "age_years: 60.0 here, 61.0 there" in err), (2, True))
        self.assertEqual(merge(ours, theirs, "theirs").changed, 1)
        self.assertEqual(ours.row("patients", "TC001")["age_years"], 61.0)

    def test_a_study_is_not_merged_into_itself(self):
        ours, _ = self.pair()
        with open_study(ours.path) as same, self.assertRaises(InputError):
            merge(ours, same)


class TestBatch(StudyTestCase):
    def cases(self, *names):
        for name in names:
            (self.folder / name).mkdir()
            (self.folder / name / "case.json").write_text("{}", encoding="utf-8")
        return batch.find_cases(self.folder)

    def test_a_case_that_fails_says_why_and_the_rest_go_on(self):
        cases = self.cases("a", "b")
        # Both fail, by the real command in a real process.
        code, out, _ = run("study", "run", self.folder, "--workers", 2, "--json")
        document = json.loads(out)
        self.assertEqual((code, document["counts"]["failed"], len(cases)), (2, 2, 2))
        self.assertIn("case", document["cases"][0]["message"])
        self.assertTrue((self.folder / "batch.json").is_file())

    def test_order_progress_and_the_most_at_once(self):
        cases = self.cases(*(f"c{n}" for n in range(7)))
        running, most, told = [], [], []

        def compute(case):
            running.append(case)
            most.append(len(running))
            running.remove(case)
            return ("failed", 0.1, "broken") if case.endswith("c3") else ("done", 0.1, "")

        with mock.patch.object(batch, "compute_case", compute):
            found = batch.run_cases(cases, 2, tell=lambda *values: told.append(values))
        self.assertEqual([o.case for o in found], cases)
        self.assertEqual([o.status for o in found].count("failed"), 1)
        self.assertLessEqual(max(most), 2)
        self.assertEqual([entry[1] for entry in told], list(range(1, 8)))
        self.assertEqual(told[-1][3], 0.0)

    def test_cases_with_results_are_not_computed_again(self):
        cases = self.cases("a", "b")
        calls = []
        with (
            mock.patch.object(batch, "is_up_to_date", lambda case: case.name == "a"),
            mock.patch.object(batch, "compute_case", lambda case: calls.append(Path(case).name) or ("done", 0.0, "")),
        ):
            found = batch.run_cases(cases, 1)
            self.assertEqual(([o.status for o in found], calls), (["up to date", "done"], ["b"]))
            batch.run_cases(cases, 1, again=True)
        self.assertEqual(calls, ["b", "a", "b"])

    def test_a_folder_without_cases_and_no_workers_are_refused(self):
        for words in (("study", "run", self.folder), ("study", "run", self.folder / "none")):
            self.assertEqual(run(*words)[0], 2)
        self.cases("a")
        self.assertEqual(run("study", "run", self.folder, "--workers", 0)[0], 2)

    @unittest.skipIf(distributed is None, "needs dask.distributed, extra [cluster]")
    def test_a_dask_cluster_gives_the_same_outcomes(self):
        cases = self.cases("a")
        with distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster:
            found = batch.run_cases(cases, scheduler=cluster.scheduler_address)
        self.assertEqual([o.status for o in found], ["failed"])
        self.assertIn("case", found[0].message)


class TestHistograms(unittest.TestCase):
    def test_bins_keep_volume_and_mean(self):
        # A cumulative curve that falls linearly from 10 mL at 0 Gy to 0 at 100 Gy: uniform doses, mean 50 Gy.
        dose = np.linspace(0.0, 100.0, 201)
        middle, volume = _differential(dose, 10.0 * (1.0 - dose / 100.0))
        self.assertAlmostEqual(volume.sum(), 10.0, places=9)
        self.assertAlmostEqual(float(np.sum(middle * volume) / volume.sum()), 50.0, places=9)

    def test_threads_follow_the_environment(self):
        for value, expected in (("3", 3), ("2,1", 2)):
            with mock.patch.dict("os.environ", {"OMP_NUM_THREADS": value}):
                self.assertEqual(transform_threads(), expected)
        for value in ("", "x", "0"):
            with mock.patch.dict("os.environ", {"OMP_NUM_THREADS": value}):
                self.assertGreaterEqual(transform_threads(), 1)
