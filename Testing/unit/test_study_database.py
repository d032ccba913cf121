"""The study file: nothing lost, nothing unseen, nobody named."""

import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
import unittest
from unittest import mock

from study_support import StudyTestCase

from TARECOMETLib.errors import InputError
from TARECOMETLib.study import database as module
from TARECOMETLib.study.database import create_study, open_study
from TARECOMETLib.study.privacy import identifying_columns, require_harmless_text, require_pseudonym

# Writes pairs of rows, each pair in one transaction, and says so after each; killed at any time.
WRITER = """
import sys
from pathlib import Path
from TARECOMETLib.study.database import open_study
study = open_study(Path(sys.argv[1]), sys.argv[2])
for number in range(int(sys.argv[3]), int(sys.argv[4])):
    name = f"{sys.argv[2]}{number}"
    with study.transaction("test"):
        study.put("patients", {"patient_id": name, "age_years": 60})
        study.put("treatments", {"patient_id": name, "session": 1, "date": "2024-01-01"})
    print(name, flush=True)
"""


class TestStudyFile(StudyTestCase):
    def test_the_audit_trail_says_who_changed_what_from_which_value(self):
        study = self.new_study()
        with study.transaction("first"):
            study.put("patients", {"patient_id": "TC001", "age_years": 60, "sex": "F"})
        with study.transaction("second"):
            self.assertEqual(study.put("patients", {"patient_id": "TC001", "age_years": 61}), 1)
            self.assertEqual(study.put("patients", {"patient_id": "TC001", "age_years": 61.0}), 0)
            self.assertTrue(study.remove("patients", {"patient_id": "TC001"}))
        added, changed, removed = study.audit_rows()
        self.assertEqual(json.loads(added["new"]), {"patient_id": "TC001", "age_years": 60.0, "sex": "F"})
        self.assertEqual(
            [changed[k] for k in ("who", "how", "what", "row_key", "field", "old", "new")],
            ["tester", "second", "patients", '["TC001"]', "age_years", "60.0", "61.0"],
        )
        self.assertEqual((json.loads(removed["old"])["age_years"], removed["new"]), (61.0, None))
        with self.assertRaises(sqlite3.Error):
            study._connection.execute("UPDATE audit SET who = 'somebody else'")

    def test_a_transaction_that_fails_changes_nothing(self):
        study = self.new_study()
        with self.assertRaises(InputError), study.transaction("test"):
            study.put("patients", {"patient_id": "TC001"})
            study.put(
                "doses", {"patient_id": "TC001", "name": "L1", "phase": "post", "method": "local", "mean_gy": 100}
            )
        self.assertEqual((study.count("patients"), study.audit_rows()), (0, []))

    def test_values_out_of_range_are_refused_and_the_nearest_valid_are_kept(self):
        study = self.new_study()
        for bad, good in (
            ({"ecog": 6}, {"ecog": 5}),
            ({"sex": "male"}, {"sex": "M"}),
            ({"ecog": 1.5}, {"ecog": 1.0}),
            ({"age_years": float("nan")}, {"age_years": 0}),
            ({"death_date": "2024-02-30"}, {"death_date": "2024-02-29"}),
            ({"death_date": "1951-02-03"}, {"death_date": "2021-02-03"}),
            ({"site": "x" * 401}, {"site": "x" * 400}),
        ):
            with self.subTest(bad=bad):
                with self.assertRaises(InputError), study.transaction("test"):
                    study.put("patients", {"patient_id": "TC001", **bad})
                with study.transaction("test"):
                    study.put("patients", {"patient_id": "TC001", **good})

    def test_a_full_disk_loses_nothing_and_is_told_so(self):
        study = self.new_study()
        with study.transaction("test"):
            study.put("patients", {"patient_id": "TC001"})
        pages = study._connection.execute("PRAGMA page_count").fetchone()[0]
        study._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then answers as with a full disk
        with self.assertRaises(InputError) as caught, study.transaction("test"):
            for number in range(2000):
                study.put("patients", {"patient_id": f"TC1{number:04}", "site": "S" * 300})
        self.assertEqual(caught.exception.code, "disk-full")
        self.assertEqual([row["patient_id"] for row in study.rows("patients")], ["TC001"])
        self.assertEqual(study.integrity_problems(), [])

    def test_a_read_only_file_is_told_so_and_can_still_be_read(self):
        study = self.new_study()
        study._connection.execute("PRAGMA query_only = ON")  # root writes to any file: SQLite's own lock stands for it
        with self.assertRaises(InputError) as caught, study.transaction("test"):
            study.put("patients", {"patient_id": "TC001"})
        self.assertEqual(caught.exception.code, "read-only")
        self.assertEqual(study.rows("patients"), [])

    def test_a_study_in_a_place_that_cannot_be_written_to_is_read_as_it_stands(self):
        study = self.new_study()
        with study.transaction("test"):
            study.put("patients", {"patient_id": "TC001"})
        study.close()
        with mock.patch.object(module.os, "access", return_value=False), open_study(study.path) as reader:
            self.assertEqual(reader.count("patients"), 1)
            with self.assertRaises(InputError) as caught, reader.transaction("test"):
                reader.put("patients", {"patient_id": "TC002"})
            self.assertEqual(caught.exception.code, "read-only")

    def test_what_is_no_study_is_refused(self):
        other = self.folder / "other.sqlite"
        sqlite3.connect(other).execute("CREATE TABLE t (a)")
        text = self.write("text.study", "patients " * 1000)
        empty = self.write("empty.study", "")
        for path, code in (
            (other, "not-a-study"),
            (text, "not-a-study"),
            (empty, "not-a-study"),
            (self.folder / "no.study", "no-file"),
        ):
            with self.subTest(path=path.name), self.assertRaises(InputError) as caught:
                open_study(path)
            self.assertEqual(caught.exception.code, code)

    def test_a_damaged_study_is_found_on_opening(self):
        study = self.new_study()
        with study.transaction("test"):
            for number in range(3000):
                study.put("patients", {"patient_id": f"TC{number:05}"})
        study.close()
        content = bytearray(study.path.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 8192] = b"\xa5" * 8192
        study.path.write_bytes(content)
        with self.assertRaises(InputError) as caught:
            open_study(study.path)
        self.assertEqual(caught.exception.code, "damaged")

    def test_a_study_is_not_made_over_another(self):
        study = self.new_study()
        with self.assertRaises(InputError):
            create_study(study.path)

    def test_an_older_version_is_migrated_after_a_backup_and_a_newer_one_refused(self):
        study = self.new_study()
        with study.transaction("test"):
            study.put("patients", {"patient_id": "TC001"})
        study.close()

        def migrate(connection):
            connection.execute("ALTER TABLE settings ADD COLUMN remark TEXT")

        patched = mock.patch.object(module, "SCHEMA_VERSION", 2), mock.patch.dict(module.MIGRATIONS, {1: migrate})
        with patched[0], patched[1], open_study(study.path) as newer:
            self.assertEqual(newer.count("patients"), 1)
            self.assertEqual(newer.audit_rows()[-1]["what"], "schema")
        backup = study.path.with_name("trial.study.backup-version-1")
        with open_study(backup) as old:
            self.assertEqual(old.count("patients"), 1)
        with self.assertRaises(InputError) as caught:
            open_study(study.path)
        self.assertEqual(caught.exception.code, "too-new")

    def test_a_migration_that_fails_leaves_the_old_version(self):
        study = self.new_study()
        study.close()

        def migrate(connection):
            connection.execute("CREATE TABLE half (a)")
            connection.execute("CREATE TABLE half (a)")

        patched = mock.patch.object(module, "SCHEMA_VERSION", 2), mock.patch.dict(module.MIGRATIONS, {1: migrate})
        with patched[0], patched[1], self.assertRaises(InputError):
            open_study(study.path)
        with open_study(study.path) as old:
            self.assertEqual(old.integrity_problems(), [])
            self.assertEqual(
                old._connection.execute("SELECT count(*) FROM sqlite_master WHERE name='half'").fetchone()[0], 0
            )


class TestCrashes(StudyTestCase):
    def writer(self, who, first, last):
        words = [
            sys.executable,
            "-c",
            textwrap.dedent(WRITER),
            str(self.folder / "trial.study"),
            who,
            str(first),
            str(last),
        ]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def test_two_processes_that_write_at_once_lose_nothing(self):
        study = self.new_study()
        writers = [self.writer("TCA", 0, 60), self.writer("TCB", 0, 60)]
        for process in writers:
            process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0)
        self.assertEqual((study.count("patients"), study.count("treatments")), (120, 120))
        self.assertEqual({row["who"] for row in study.audit_rows()}, {"TCA", "TCB"})

    def test_a_kill_in_the_middle_loses_nothing_that_was_told_as_written(self):
        study = self.new_study()
        told: set[str] = set()
        for round_ in range(8):
            process = self.writer("TCA", round_ * 10000, round_ * 10000 + 10000)
            for _ in range(1 + 7 * round_ % 23):
                told.add(process.stdout.readline().strip())
            process.send_signal(signal.SIGKILL)
            told.update(process.communicate()[0].split())
        with open_study(study.path) as after:
            self.assertEqual(after.integrity_problems(), [])
            patients = {row["patient_id"] for row in after.rows("patients")}
            self.assertLessEqual(told, patients)
            self.assertEqual(patients, {row["patient_id"] for row in after.rows("treatments")})
            self.assertEqual(len(after.audit_rows()), 2 * len(patients))


class TestPrivacy(unittest.TestCase):
    def test_names_birth_dates_and_civil_numbers_are_no_pseudonyms(self):
        for text in (
            "Smith",
            "SMITH",
            "JOHN",
            "Mueller01",
            "Doe^John",
            "Anna Maria",
            "19510203",
            "03021951",
            "1951-02-03",
            "03.02.1951",
            "JOHN1951",
            "010251-1234",
            "123-45-6789",
            "Łukasz1",
            "",
            "x" * 41,
            "Patient Smith",
        ):
            with self.subTest(text=text), self.assertRaises(InputError) as caught:
                require_pseudonym(text, "here")
            if len(text) > 3:
                self.assertNotIn(text, str(caught.exception))

    def test_pseudonyms_are_kept_as_they_are(self):
        for text in (
            "TC001",
            "case-a",
            "CASE-A",
            "Patient_12",
            "S01-007",
            "TARE2023-001",
            "20260001",
            "P1",
            "17",
            "site2.013",
        ):
            with self.subTest(text=text):
                self.assertEqual(require_pseudonym(text, "here"), text)

    def test_free_texts_with_a_birth_date_or_name_are_refused(self):
        for text in ("born 03.02.1951", "Doe^Jane", "Doe, Jane"):
            with self.subTest(text=text), self.assertRaises(InputError):
                require_harmless_text(text, "here")
        for text in ("segment 4/5", "seen 2024-03-02", "VII"):
            self.assertEqual(require_harmless_text(text, "here"), text)

    def test_identifying_columns_are_found_by_name(self):
        bad = ["Patient Name", "DOB", "date_of_birth", "surname", "MRN", "e-mail", "Geburtsdatum"]
        good = ["record_id", "lesion_name", "treatment_date", "progression_kind", "segment", "redcap_event_name"]
        self.assertEqual(identifying_columns(bad + good), bad)
