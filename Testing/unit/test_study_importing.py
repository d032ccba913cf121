"""Import of tables: what is proposed, what is asked, and forty kinds of files that must not get in."""

import json
import unittest

from study_support import COHORT, StudyTestCase, requires_cohort
from test_cli import run

from TARECOMETLib.errors import InputError
from TARECOMETLib.study.consistency import inconsistencies
from TARECOMETLib.study.dates import DAY_FIRST, ISO, MONTH_FIRST, find_order, parse_date
from TARECOMETLib.study.importing import ImportProblems, read_file, write_plans
from TARECOMETLib.study.mapping import propose_mapping, visit_of

HEAD = "record_id,sex,age,treatment_date,death_date,last_follow_up_date\n"
GOOD = HEAD + "TC001,M,61,2024-01-05,,2024-09-01\n"
LESIONS = "record_id,lesion_id,volume_ml,dose_post_gy,diameter_baseline_mm\n"


class TestImport(StudyTestCase):
    def load(self, *texts, **options):
        study = self.new_study(f"{len(list(self.folder.iterdir()))}.study")
        names = (f"{study.path.stem}-{n}.csv" for n in range(9))
        files = [self.write(name, text) for name, text in zip(names, texts, strict=False)]
        write_plans(study, [read_file(file) for file in files], **options)
        return study

    @requires_cohort
    def test_every_cell_of_the_reference_cohort_arrives(self):
        study = self.reference_study()
        # Counted with `tail -n +2 FILE | wc -l` and, for progressions, cells of progression_date that are not empty.
        self.assertEqual(study.count("patients"), 90)
        self.assertEqual(sum(r["kind"] == "tumour" for r in study.rows("compartments")), 304)
        self.assertEqual(study.count("progressions"), 69)
        self.assertEqual(study.row("doses", "TC001", "L1", "post", "unstated")["mean_gy"], 126.8)
        self.assertEqual(study.row("doses", "TC001", "L1", "post", "unstated")["d70_gy"], 83.3)
        self.assertEqual(study.row("treatments", "TC001", 1)["net_activity_mbq"], 2180.0)
        self.assertAlmostEqual(study.row("treatments", "TC002", 1)["lung_shunt_fraction"], 0.064, places=12)
        self.assertEqual(study.row("doses", "TC002", "Whole normal liver", "pre", "unstated")["mean_gy"], 38.6)
        self.assertEqual(study.row("toxicities", "TC003", "month6", "bilirubin")["grade"], 2)
        self.assertEqual([f for f in inconsistencies(study) if f.severity == "block"], [])
        for file in ("patients.csv", "lesions.csv"):
            self.assertEqual(read_file(COHORT / file).mapping.ignored, ())

    def test_importing_the_same_again_changes_nothing_and_another_value_is_a_conflict(self):
        study = self.load(GOOD)
        again = read_file(self.write("again.csv", GOOD))
        self.assertEqual(write_plans(study, [again]).changes, 0)
        other = read_file(self.write("other.csv", GOOD.replace("61", "62")))
        with self.assertRaises(ImportProblems):
            write_plans(study, [other])
        self.assertEqual(write_plans(study, [other], overwrite=True).changes, 1)
        self.assertEqual(study.audit_rows()[-1]["old"], "61.0")

    def test_redcap_events_become_visits(self):
        study = self.load(
            GOOD,
            "record_id,redcap_event_name,new_lesion,bilirubin_mg_dl,patients_complete\n"
            "TC001,baseline_arm_1,,0.8,2\nTC001,month_3_arm_1,1,1.1,2\n",
        )
        self.assertEqual(
            [(r["visit"], r["value"]) for r in study.rows("laboratory")], [("baseline", 0.8), ("month3", 1.1)]
        )
        self.assertEqual([r["visit"] for r in study.rows("patient_visits")], ["month3"])

    def test_repeating_instruments_of_redcap_become_tumours(self):
        study = self.new_study()
        text = (
            "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,sex,treatment_date,volume_ml,"
            "dose_post_gy,diameter_mm\n"
            "TC001,baseline_arm_1,,,F,2024-01-05,,,\n"
            "TC001,baseline_arm_1,lesions,1,,,12,100,40\nTC001,baseline_arm_1,lesions,2,,,8,90,30\n"
            "TC001,month_3_arm_1,lesions,1,,,,,20\n"
        )
        code, _, err = run("study", "import", study.path, self.write("redcap.csv", text))
        self.assertEqual(code, 0, err)
        self.assertEqual([(r["name"], r["volume_ml"]) for r in study.rows("compartments")], [("L1", 12.0), ("L2", 8.0)])
        visits = [(r["name"], r["visit"], r["diameter_mm"]) for r in study.rows("lesion_visits")]
        self.assertEqual(visits, [("L1", "baseline", 40.0), ("L1", "month3", 20.0), ("L2", "baseline", 30.0)])
        self.assertEqual(study.row("patients", "TC001")["sex"], "F")

    def test_tables_of_one_event_a_row(self):
        study = self.load(
            GOOD,
            "record_id,visit,ae_term,ae_grade,ae_date\nTC001,baseline,bilirubin,0,\nTC001,,bilirubin,3,2024-03-01\n",
            "record_id,lab_test,lab_value,lab_unit,lab_date\nTC001,albumin,35,g/L,2024-02-01\n",
        )
        found = [(r["visit"], r["term"], r["grade"]) for r in study.rows("toxicities")]
        self.assertEqual(found, [("2024-03-01", "bilirubin", 3), ("baseline", "bilirubin", 0)])
        self.assertEqual(study.rows("laboratory")[0]["value"], 35.0)
        with self.assertRaises(ImportProblems):
            self.load(GOOD, "record_id,ae_term,ae_grade\nTC001,bilirubin,3\n")

    def test_decimal_commas_and_tabs_are_read(self):
        study = self.load(GOOD.replace(",", "\t"), LESIONS.replace(",", ";") + "TC001;L1;12,5;130,25;40\n")
        self.assertEqual(study.row("compartments", "TC001", "L1")["volume_ml"], 12.5)
        self.assertEqual(study.row("doses", "TC001", "L1", "post", "unstated")["mean_gy"], 130.25)

    def test_units_in_names_are_converted(self):
        study = self.load(
            "patient_id,injected_activity_MBq,lung shunt fraction\nTC001,2500,0.05\n",
            "patient_id,tumor,Diameter month 3 (cm),mean dose post Gy\nTC001,T1,2.5,100\n",
        )
        self.assertEqual(study.row("treatments", "TC001", 1)["net_activity_mbq"], 2500.0)
        self.assertEqual(study.row("lesion_visits", "TC001", "T1", "month3")["diameter_mm"], 25.0)

    def test_bad_rows_can_be_left_out_on_request(self):
        text = GOOD + "TC002,M,161,2024-01-05,,\n"
        with self.assertRaises(ImportProblems):
            self.load(text)
        study = self.load(text, skip_bad_rows=True)
        self.assertEqual([r["patient_id"] for r in study.rows("patients")], ["TC001"])

    def test_hostile_files_are_refused_in_one_sentence_and_leave_no_trace(self):
        row = "TC001,M,61,2024-01-05,,2024-09-01\n"
        files = {
            "empty": b"",
            "blank lines": b"\n\n\n",
            "header alone": HEAD.encode(),
            "one column": b"record_id\nTC001\n",
            "latin-1": (HEAD + "TC001,M,61,2024-01-05,,\n").encode().replace(b"sex", b"s\xe9x"),
            "zero bytes": GOOD.encode().replace(b"61", b"6\x001"),
            "workbook": b"PK\x03\x04" + bytes(99),
            "utf-16 cut short": b"\xff\xfer\x00e",
            "column twice": ("sex," + HEAD + "M," + row).encode(),
            "column without name": HEAD.replace("sex", "").encode() + row.encode(),
            "too few cells": (HEAD + "TC001,M\n").encode(),
            "too many cells": (HEAD + row.replace("\n", ",1,2\n")).encode(),
            "unclosed quote": (HEAD + '"TC001,M\n' + row).encode(),
            "text after quote": (HEAD + '"TC"001,M,61,,,\n').encode(),
            "huge cell": (HEAD + "T" * 200000 + ",M,61,,,\n").encode(),
            "no patient column": GOOD.replace("record_id", "nothing").encode(),
            "no known column": b"record_id,foo\nTC001,1\n",
            "empty patient": (HEAD + ",M,61,,,\n").encode(),
            "name as patient": (HEAD + row.replace("TC001", "Smith")).encode(),
            "birth date as patient": (HEAD + row.replace("TC001", "19510203")).encode(),
            "name column": GOOD.replace("sex", "patient_name").encode(),
            "birth column": GOOD.replace("sex", "date_of_birth").encode(),
            "unknown sex": (HEAD + row.replace("M", "5")).encode(),
            "age with unit": (HEAD + row.replace("61", "61 y")).encode(),
            "age below zero": (HEAD + row.replace("61", "-1")).encode(),
            "age above all": (HEAD + row.replace("61", "161")).encode(),
            "nan in disguise": (HEAD + row.replace("61", "1e999")).encode(),
            "infinity": (HEAD + row.replace("61", "inf")).encode(),
            "hexadecimal": (HEAD + row.replace("61", "0x3d")).encode(),
            "underscore number": (HEAD + row.replace("61", "6_1")).encode(),
            "arabic digits": (HEAD + row.replace("61", "٦١")).encode(),
            "formula": (HEAD + row.replace("61", "=1+60")).encode(),
            "thousands separator": (HEAD + row.replace("61", '"1,061"')).encode(),
            "no such day": (HEAD + row.replace("2024-01-05", "2024-02-30")).encode(),
            "two-digit year": (HEAD + row.replace("2024-01-05", "05.01.24")).encode(),
            "day number": (HEAD + row.replace("2024-01-05", "45296")).encode(),
            "ambiguous dates": (HEAD + row.replace("2024-01-05", "05/01/2024")).encode(),
            "mixed dates": (
                HEAD + row.replace("2024-01-05", "25/01/2024").replace("2024-09-01", "09/21/2024")
            ).encode(),
            "future": (HEAD + row.replace("2024-09-01", "2924-09-01")).encode(),
            "death before treatment": (HEAD + "TC001,M,61,2024-01-05,2023-01-05,2023-01-05\n").encode(),
            "contact after death": (HEAD + "TC001,M,61,2024-01-05,2024-02-05,2024-03-05\n").encode(),
            "contradicting lines": (HEAD + row + row.replace("61", "62")).encode(),
        }
        self.assertGreaterEqual(len(files), 40)
        for name, content in files.items():
            study = self.new_study(f"{name}.study")
            path = self.folder / f"{name}.csv"
            path.write_bytes(content)
            with self.subTest(file=name):
                code, _, err = run("study", "import", study.path, path)
                self.assertEqual(code, 2, err)
                self.assertEqual(len([line for line in err.splitlines() if line.startswith("tarecomet:")]), 1, err)
                self.assertNotIn("Traceback", err)
                self.assertEqual(study.count("patients"), 0)
                self.assertEqual(study.audit_rows(), [])
        self.load(GOOD)  # the valid twin

    def test_hostile_lesion_files_are_refused(self):
        good = "TC001,L1,12.5,100,40\n"
        for name, text in {
            "unknown patient": LESIONS + good.replace("TC001", "TC002"),
            "no lesion": LESIONS + good.replace("L1", ""),
            "dose below zero": LESIONS + good.replace("100", "-5"),
            "dose in cGy": LESIONS + good.replace("100", "90000"),
            "no volume": LESIONS + good.replace("12.5", "0"),
            "diameter in km": LESIONS + good.replace(",40", ",4000"),
            "lesion is a name": LESIONS + good.replace("L1", "Doe^Jane"),
            "twice": LESIONS + good + good.replace("100", "90"),
        }.items():
            with self.subTest(file=name), self.assertRaises(InputError):
                self.load(GOOD, text)
        self.assertEqual(self.load(GOOD, LESIONS + good).count("doses"), 1)

    def test_the_mapping_is_saved_and_can_be_edited(self):
        study = self.new_study()
        file = self.write("odd.csv", "record_id,geschlecht,age\nTC001,w,61\n")
        code, out, _ = run("study", "import", study.path, file, "--json")
        document = json.loads(out)
        self.assertEqual((code, document["files"][0]["ignored"]), (0, ["geschlecht"]))
        mapping = json.loads((self.folder / "trial.odd.csv.mapping.json").read_text(encoding="utf-8"))
        mapping["columns"]["geschlecht"] = {"table": "patients", "field": "sex", "codes": {"w": "F"}}
        edited = self.write("edited.json", json.dumps(mapping))
        code, _, err = run("study", "import", study.path, file, "--mapping", edited)
        self.assertEqual((code, study.rows("patients")[0]["sex"]), (0, "F"), err)

    def test_dry_run_imports_nothing(self):
        study = self.new_study()
        code, _, _ = run("study", "import", study.path, self.write("a.csv", GOOD), "--dry-run")
        self.assertEqual((code, study.count("patients")), (0, 0))


class TestDates(unittest.TestCase):
    def test_the_order_is_found_where_only_one_fits(self):
        self.assertEqual(find_order(["2024-01-05", "2024/2/3"], "x"), ISO)
        self.assertEqual(find_order(["05.01.2024", "25.01.2024"], "x"), DAY_FIRST)
        self.assertEqual(find_order(["05/01/2024", "01/25/2024"], "x"), MONTH_FIRST)
        self.assertEqual(parse_date("05.01.2024", DAY_FIRST, "x").isoformat(), "2024-01-05")
        self.assertEqual(parse_date("05/01/2024 12:30", MONTH_FIRST, "x").isoformat(), "2024-05-01")

    def test_visits_are_read_from_names(self):
        for text, visit in (
            ("diameter_month3_mm", "month3"),
            ("month_3_arm_1", "month3"),
            ("M6", "month6"),
            ("baseline_arm_1", "baseline"),
            ("week_2", "week2"),
            ("3 months", "month3"),
            ("d70_post", None),
            ("volume_ml", None),
        ):
            with self.subTest(text=text):
                self.assertEqual(visit_of(text), visit)

    def test_the_proposal_tells_lesions_from_patients(self):
        mapping = propose_mapping(("record_id", "lesion", "D70 post (Gy)", "size_month3_cm", "comment"))
        self.assertEqual(mapping.columns["D70 post (Gy)"].field, "d70_gy")
        self.assertEqual((mapping.columns["size_month3_cm"].factor, mapping.ignored), (10.0, ("comment",)))
