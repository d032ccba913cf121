"""A case's plan: from contours and MAA counts, from typed masses, and through the command."""

import csv
import json
import re
import unittest
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from test_cli import CommandTestCase, run

from TARECOMETLib.case.document import Case, CaseFiles, ContourEntry, case_from_json, case_to_json
from TARECOMETLib.case.inputs import load_inputs
from TARECOMETLib.case.new_case import new_case
from TARECOMETLib.case.outputs import write_results
from TARECOMETLib.case.plan import computing_inputs, finish_plan, plan_of_results
from TARECOMETLib.case.plan_document import PlannedEntry, PlanSettings, VialOrder, VialPick, plan_goals
from TARECOMETLib.case.plan_results import plan_document
from TARECOMETLib.case.plan_sheet import order_sheet
from TARECOMETLib.case.reporting import report_content
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.workflow import run_case
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.phantom.sample_patient import PhantomParameters, make_sample_patient
from TARECOMETLib.phantom.treatment import TreatmentParameters
from TARECOMETLib.physics.nuclides import constants_set
from TARECOMETLib.planning.goals import Goal
from TARECOMETLib.planning.patient import TypedTerritory, TypedTumour
from TARECOMETLib.planning.plan import predictions
from TARECOMETLib.planning.retreatment import EarlierTreatment
from TARECOMETLib.planning.treatment_calendar import WorkingHours
from TARECOMETLib.planning.uncertain import Uncertainty
from TARECOMETLib.report.order_sheet import order_rows, write_order_pdf
from TARECOMETLib.report.pdf_data import page_data

TYPED = PlanSettings(
    injections=(PlannedEntry("1", "right", "2026-03-09", expected_residual=0.02),),
    typed=(TypedTerritory("right", 824.0, (TypedTumour("A", 206.0, 3.0),)),),
    vials=VialOrder(WorkingHours("Europe/Madrid")),
    uncertainty=Uncertainty(tumour_to_normal_relative_sd=0.2),
)


def typed_case(**changes):
    return Case("P1", {}, (), lung_shunt_fraction=0.10, plan=replace(TYPED, **changes))


class DocumentTestCase(unittest.TestCase):
    def test_case_without_a_plan_keeps_its_text_and_hash(self):
        case = Case("P1", {}, ())
        self.assertNotIn("plan", json.loads(case_to_json(case, CaseFiles())))
        # A goal moves no dose: results stay current, while the plan's own hash changes.
        self.assertEqual(case.sha256(), typed_case_hash_without_shunt())
        self.assertNotEqual(case.plan_sha256(), replace(case, plan=TYPED).plan_sha256())

    def test_every_field_survives_the_file(self):
        case = typed_case(
            goals=(Goal("tumour", "gEUD", at_least=100.0, exponent=-5.0),),
            earlier=(EarlierTreatment("2025", {"Whole normal liver": 10.0, "Lungs": 1.0}),),
            bilirubin=19.0,
            bilirubin_unit="µmol/L",
        )
        back, _ = case_from_json(case_to_json(case, CaseFiles()), "case.json")
        self.assertEqual(back, case)

    def test_wrong_fields_are_refused_when_they_are_written(self):
        for bad in (
            {"goals": (Goal("tumour", at_most=100.0),)},  # against the preset's 189 Gy
            {"bilirubin": 1.0, "bilirubin_unit": "µmol/L"},
            {"preset": "nobody's"},
            {"spheres": "gold"},
            {"perfused_gy": (0.0,)},
        ):
            with self.subTest(bad=bad), self.assertRaises(InputError):
                replace(TYPED, **bad)
        with self.assertRaises(InputError):
            PlannedEntry("1", "right", "10.3.2026")
        with self.assertRaises(InputError):
            PlannedEntry("1", "right", expected_residual=1.0)
        PlannedEntry("1", "right", expected_residual=0.99)

    def test_typed_goal_replaces_the_preset_one_of_its_kind_only(self):
        typed = replace(TYPED, goals=(Goal("whole normal liver", at_most=60.0), Goal("lungs", at_most=40.0)))
        goals = plan_goals(typed, 1)
        self.assertEqual([g.at_most for g in goals if g.volume == "whole normal liver"], [60.0])
        # 30 Gy per treatment stays, 50 Gy over all becomes 40.
        self.assertEqual(sorted(g.at_most for g in goals if g.volume == "lungs"), [30.0, 40.0])
        self.assertEqual(len(plan_goals(replace(typed, preset="none"), 1)), 2)


def typed_case_hash_without_shunt():
    return Case("P1", {}, (), plan=TYPED).sha256()


class TypedPlanTestCase(unittest.TestCase):
    """Example (b) of the worked examples: 200 mL at 1.03 g/mL, T/N 3, LSF 10 %: 300 Gy need 3.2257 GBq."""

    def plan(self, **changes):
        case = typed_case(**changes)
        inputs, _ = finish(computing_inputs(case, None))
        return finish_plan(case, inputs)

    def test_models_windows_and_vials_in_one_document(self):
        made = self.plan(goals=(Goal("tumour", at_least=300.0, cumulative=False),))
        document = plan_document(made)
        partition = next(row for row in document["models"] if row["model"] == "partition")
        self.assertAlmostEqual(partition["net_gbq"], 3.2257, delta=5e-5)
        self.assertAlmostEqual(partition["normal_perfused_gy"], 100.0, places=9)
        self.assertAlmostEqual(partition["lung_gy"], 16.022, delta=5e-4)
        # Whole normal liver is all perfused here: 75 Gy bind at 75 % of it, and the goal is missed by 75 Gy.
        (window,) = document["windows"]
        self.assertFalse(window["open"])
        self.assertAlmostEqual(window["high_gbq"], 0.75 * 3.22567, delta=1e-4)
        self.assertAlmostEqual(window["misses"][0]["missed_by"], 75.0, places=6)
        self.assertIn("Whole normal liver", window["binding_limit"])
        self.assertIn("high_gbq", window["band"])
        vials = document["vials"]["injections"][0]
        self.assertTrue(vials["choices"])
        for choice in vials["choices"]:
            self.assertTrue(choice["hour"].startswith("2026-03-09"))
            self.assertLessEqual(abs(choice["deviation"]), 0.05)
        self.assertIn("shelf_life_days", document["vials"]["facts"]["to_be_confirmed_by_the_site"])
        json.dumps(document, allow_nan=False)

    def test_what_a_person_prescribes_is_what_is_predicted_and_ordered(self):
        entry = PlannedEntry("1", "right", "2026-03-10", expected_residual=0.02, prescribed_gbq=1.5)
        document = plan_document(self.plan(injections=(entry,)))
        self.assertEqual(document["chosen"], {"by": "typed", "injections": [{"name": "1", "net_gbq": 1.5}]})
        tumour = next(row for row in document["predictions"] if row["name"] == "A")
        # By hand: 3 x 49.67 x 1.5 x 0.9 / (0.618 + 0.824).
        self.assertAlmostEqual(tumour["mean_gy"], 3.0 * 49.67 * 1.5 * 0.9 / 1.442, places=9)

    def test_where_no_vial_fits_the_nearest_one_is_named(self):
        # On Tuesday a 3 GBq vial of Sunday holds 1.8 to 2.0 GBq, one of 5 GBq 3.0 to 3.3: neither is near 2.4.
        document = plan_document(self.plan(injections=(replace(TYPED.injections[0], date="2026-03-10"),)))
        (line,) = document["vials"]["injections"]
        self.assertEqual(line["choices"], [])
        self.assertGreater(abs(line["proposed"]["deviation"]), 0.05)

    def test_chosen_point_of_the_curve(self):
        document = plan_document(self.plan(normal_liver_gy=40.0))
        normal = next(row for row in document["predictions"] if row["name"] == "Whole normal liver")
        self.assertAlmostEqual(normal["mean_gy"], 40.0, places=6)

    def test_no_time_zone_no_vials_and_the_reason(self):
        document = plan_document(self.plan(vials=None))
        self.assertNotIn("vials", document)
        self.assertIn("time zone", document["no_vials"])

    def test_earlier_treatment_is_counted(self):
        earlier = (EarlierTreatment("2025", {"Whole normal liver": 30.0, "Lungs": 5.0}),)
        fresh, later = self.plan(), self.plan(earlier=earlier)
        self.assertAlmostEqual(later.plan.windows[0].high_gbq / fresh.plan.windows[0].high_gbq, 45.0 / 75.0, places=9)


class SheetTestCase(unittest.TestCase):
    """The sheet as a technologist reads it; every figure by hand from the vial's size and the clock."""

    def made(self, **changes):
        pick = VialPick((3.0,), "2026-03-08", "2026-03-09T11:00")
        entry = PlannedEntry("1", "right", "2026-03-09", expected_residual=0.02, prescribed_gbq=2.3, vial=pick)
        case = typed_case(injections=(replace(entry, **changes),))
        inputs, _ = finish(computing_inputs(case, None))
        return finish_plan(case, inputs)

    def test_every_line(self):
        (block,) = order_sheet(self.made()).blocks
        lines = {line.item: line.value for line in (*block.order, *block.administration, *block.predicted)}
        # Noon in New York on 8 March 2026 (UTC-4) is 17:00 in Madrid (UTC+1); 11:00 the next day is 18 h later.
        left = 3.0 * 2.0 ** (-18.0 / constants_set().half_life_h)
        self.assertEqual(lines["Vial size at calibration"], "3 GBq (81 mCi)")
        self.assertEqual(lines["Calibration"], "Sun 2026-03-08 12:00 EDT = Sun 2026-03-08 17:00 CET")
        self.assertEqual(lines["Use before"], "Fri 2026-03-20 17:00 (12 days)")
        self.assertEqual(lines["Spheres"], "1.20 million at 2500 Bq each at calibration")
        self.assertEqual(lines["Prescribed net activity"], "2.300 GBq (62.2 mCi)")
        self.assertEqual(lines["Needed in the vial"], f"{2.3 / 0.98:.3f} GBq ({2300.0 / 0.98 / 37.0:.1f} mCi)")
        self.assertEqual(lines["Planned hour"], "Mon 2026-03-09 11:00 CET (UTC 10:00)")
        self.assertEqual(lines["In the vial at that hour"], f"{left:.3f} GBq ({left * 1000.0 / 37.0:.1f} mCi)")
        self.assertEqual(lines["Net at that hour"][:9], f"{0.98 * left:.3f} GBq")
        self.assertEqual(lines["Net against prescription"], f"{100.0 * (0.98 * left / 2.3 - 1.0):+.1f} %")
        self.assertEqual(lines["Activity per sphere at that hour"], f"{2500.0 * left / 3.0:.0f} Bq")
        self.assertEqual(lines["Mean dose, A"], f"{3.0 * 49.67 * 2.3 * 0.9 / 1.442:.1f}")
        self.assertTrue({line.item for line in block.order if line.unsure} >= {"Calibration", "Use before"})
        (planned,) = [line for line in block.hours if line.planned]
        self.assertEqual((planned.hour, planned.vial_gbq), ("11:00", f"{left:.3f}"))
        self.assertEqual(len(block.hours), 10)
        self.assertIn("Order 3 GBq", block.headline)

    def test_broken_limits_are_on_the_sheet(self):
        (block,) = order_sheet(self.made()).blocks
        # 2.3 GBq give 71.3 Gy to whole normal liver: kept; the tumour's 189 Gy: kept. 2.6 GBq give 80.6 Gy.
        self.assertFalse([text for text in block.warnings if text.startswith("Not met")])
        (block,) = order_sheet(self.made(prescribed_gbq=2.6)).blocks
        self.assertTrue([text for text in block.warnings if "Whole normal liver at most 75 Gy" in text])

    def test_one_page_an_injection_also_with_much_to_say(self):
        tumours = tuple(TypedTumour(f"Metastasis {n}", 20.0, 2.0) for n in range(2, 14))
        case = typed_case(
            typed=(TypedTerritory("right", 824.0, (TypedTumour("A", 206.0, 3.0), *tumours)),),
            injections=(PlannedEntry("1", "right", "2026-03-09"),),
            vials=VialOrder(WorkingHours("Europe/Madrid", 7, 19), most_vials=2),
        )
        inputs, _ = finish(computing_inputs(case, None))
        sheet = order_sheet(finish_plan(case, inputs))
        self.assertTrue([text for text in sheet.blocks[0].warnings if "more goals or limits are not met" in text])
        with TemporaryDirectory() as folder:
            write_order_pdf(Path(folder) / "a.pdf", sheet)
            pages = re.findall(rb"/Type\s*/Page(?![A-Za-z])", (Path(folder) / "a.pdf").read_bytes())
        self.assertEqual(len(pages), 1)

    def test_proposed_vial_bears_an_hours_delay(self):
        case = typed_case(vials=VialOrder(WorkingHours("Europe/Madrid"), tolerance=0.1))
        inputs, _ = finish(computing_inputs(case, None))
        (line,) = finish_plan(case, inputs).orders
        near = [choice for choice in line.choices if abs(choice.deviation) <= 0.05]
        self.assertTrue(near)
        self.assertEqual(sum(line.proposed.sizes_gbq), min(sum(choice.sizes_gbq) for choice in near))
        self.assertLessEqual(abs(line.proposed.deviation), 0.05)

    def test_each_of_several_vials_has_its_own_activity(self):
        pick = VialPick((3.0, 5.0), "2026-03-08", "2026-03-09T11:00")
        (block,) = order_sheet(self.made(vial=pick, prescribed_gbq=2.4)).blocks
        lines = {line.item: line.value for line in block.administration}
        left = 2.0 ** (-18.0 / constants_set().half_life_h)
        self.assertEqual(lines["In each of them"], f"{3.0 * left:.3f} + {5.0 * left:.3f} GBq")
        self.assertEqual(lines["In the vials at that hour"][:9], f"{8.0 * left:.3f} GBq")

    def test_vial_before_calibration_past_shelf_life_and_in_a_skipped_hour_are_refused(self):
        with self.assertRaisesRegex(InputError, "not on the day of treatment"):
            self.made(vial=VialPick((3.0,), "2026-03-08", "2026-03-10T11:00"))
        for hour, code in (
            ("2026-03-08T16:00", "vial-early"),
            ("2026-03-20T18:00", "vial-expired"),
            ("2026-03-29T02:30", "time"),
            ("noon", "time"),
        ):
            with self.subTest(hour=hour), self.assertRaises(InputError) as caught:
                self.made(vial=VialPick((3.0,), "2026-03-08", hour), date="")
            self.assertEqual(caught.exception.code, code)
        for hour in ("2026-03-08T17:00", "2026-03-20T17:00"):
            self.made(vial=VialPick((3.0,), "2026-03-08", hour), date="")

    def test_pdf_and_table_say_the_same_and_are_the_same_each_time(self):
        sheet = order_sheet(self.made())
        with TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("a.pdf", "b.pdf")]
            for path in paths:
                write_order_pdf(path, sheet)
            self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes())
            self.assertTrue(paths[0].read_bytes().startswith(b"%PDF"))
            self.assertEqual(len(re.findall(rb"/Type\s*/Page(?![A-Za-z])", paths[0].read_bytes())), 1)
        rows = order_rows(sheet)
        (block,) = sheet.blocks
        values = {row["value"] for row in rows}
        for line in (*block.order, *block.administration, *block.predicted):
            self.assertIn(line.value, values)
        for hour in block.hours:
            self.assertIn(hour.vial_gbq, values)

    def test_any_names_make_a_sheet(self):
        for nasty in ("#set page(width: 1pt)", "*_`$\\[]", "肝臓 右葉", "x" * 300):
            case = typed_case(
                typed=(TypedTerritory(nasty, 824.0, (TypedTumour(nasty + "t", 206.0, 3.0),)),),
                injections=(PlannedEntry(nasty, nasty, "2026-03-09"),),
            )
            inputs, _ = finish(computing_inputs(case, None))
            with TemporaryDirectory() as folder, self.subTest(name=nasty[:20]):
                write_order_pdf(Path(folder) / "a.pdf", order_sheet(finish_plan(case, inputs)))


class CommandPlanTestCase(CommandTestCase):
    def write(self, case):
        (self.folder / "case.json").write_text(case_to_json(case, CaseFiles()), encoding="utf-8")
        return self.folder

    def test_json_alone_on_standard_output(self):
        code, out, err = run("plan", self.write(typed_case()), "--json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out)["case_id"], "P1")

    def test_text_names_window_and_vials(self):
        code, out, _ = run("plan", self.write(typed_case()))
        self.assertEqual(code, 0)
        for words in ("partition", "window 1:", "Whole normal liver at most 75 Gy", "to be confirmed by the site"):
            self.assertIn(words, out)

    def test_files_are_written_whole_and_agree(self):
        out = self.folder / "plan"
        code, _, _ = run("plan", self.write(typed_case()), "--out", out)
        self.assertEqual(code, 0)
        document = json.loads((out / "plan.json").read_text(encoding="utf-8"))
        with (out / "vials.csv").open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        self.assertEqual(len(rows), len(document["vials"]["injections"][0]["choices"]))
        with (out / "models.csv").open(encoding="utf-8") as lines:
            self.assertEqual(len(list(csv.DictReader(lines))), len(document["models"]))
        self.assertEqual([p.name for p in self.folder.iterdir() if p.name.startswith(".")], [])
        run("plan", self.write(typed_case(vials=None)), "--out", out)
        self.assertFalse((out / "vials.csv").exists())

    def test_earlier_treatment_is_loaded_from_its_results(self):
        earlier = {
            "case_id": "P0",
            "post": {
                "lung": {"mean_gy": 5.0},
                "compartments": [
                    {"name": "Whole normal liver", "role": "derived", "dose": {"local": {"mean_gy": 30.0}}}
                ],
            },
        }
        file = self.folder / "results.json"
        file.write_text(json.dumps(earlier), encoding="utf-8")
        case = self.write(typed_case())
        highs = []
        for words in ([], ["--earlier", file]):
            code, out, _ = run("plan", case, "--json", *words)
            self.assertEqual(code, 0)
            highs.append(json.loads(out)["windows"][0]["high_gbq"])
        self.assertAlmostEqual(highs[1] / highs[0], 45.0 / 75.0, places=9)
        for text, words in (("[]", "not the results"), ("{", "not the results"), ("{}", "no doses")):
            file.write_text(text, encoding="utf-8")
            self.assert_refused(["plan", case, "--earlier", file], words)
        self.assert_refused(["plan", case, "--earlier", self.folder / "nowhere"], "no results here")

    def test_resin_has_its_own_goals_the_body_surface_model_and_no_glass_vials(self):
        case = replace(typed_case(height_cm=170.0, weight_kg=70.0), device="SIR-Spheres")
        code, out, _ = run("plan", self.write(case), "--json")
        document = json.loads(out)
        self.assertEqual((code, document["spheres"]), (0, "resin"))
        self.assertIn("BSA", [row["model"] for row in document["models"]])
        self.assertIn(100.0, [goal.get("at_least") for goal in document["goals"]])
        self.assertIn("glass", document["no_vials"])
        glass = json.loads(run("plan", self.write(typed_case(height_cm=170.0, weight_kg=70.0)), "--json")[1])
        self.assertNotIn("BSA", [row["model"] for row in glass["models"]])
        case = replace(case, plan=replace(case.plan, preset="mcrc-glass-unilobar"))
        self.assert_refused(["plan", self.write(case)], "not for resin")

    def test_refusals_are_one_line_each_and_leave_nothing(self):
        text = json.loads(case_to_json(typed_case(), CaseFiles()))
        for change, words in (
            (lambda d: d["plan"]["typed"][0]["tumours"][0].update(tumour_to_normal=0.0), "tumour-to-normal"),
            (lambda d: d["plan"]["typed"][0]["tumours"][0].update(mass_g=0.0), "mass"),
            (lambda d: d["plan"]["injections"][0].update(expected_residual=1.2), "residual"),
            (lambda d: d.update(lung_shunt_fraction=1.0), "shunt"),
            (lambda d: d["plan"]["injections"][0].update(territory="left"), "territory"),
            (lambda d: d["plan"].update(goals=[{"volume": "tumour", "at_most": 100.0}]), "contradict"),
            (lambda d: d["plan"]["vials"]["working"].update(time_zone="Europe/Atlantis"), "time zone"),
            (lambda d: d["plan"].update(typed=[]), "MAA SPECT"),
        ):
            bad = json.loads(json.dumps(text))
            change(bad)
            (self.folder / "case.json").write_text(json.dumps(bad), encoding="utf-8")
            with self.subTest(words=words):
                self.assert_refused(["plan", self.folder, "--out", self.folder / "out"], words)
                self.assertFalse((self.folder / "out").exists())


class PhantomPlanTestCase(unittest.TestCase):
    """Plan from the sample patient's MAA, treat as planned, and compute what was delivered."""

    @classmethod
    def setUpClass(cls):
        temporary = TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        folder = make_sample_patient(Path(temporary.name) / "patient")
        made = finish(new_case(folder, Path(temporary.name)))
        cls.inputs = finish(load_inputs(made.case, made.files, Path(temporary.name)))
        cls.case = replace(made.case, plan=PlanSettings(bilirubin=0.8))
        planned, findings = finish(computing_inputs(cls.case, cls.inputs))
        cls.plan = finish_plan(cls.case, planned, findings).plan
        given = tuple(
            replace(injection, vial_mbq=1000.0 * float(net) / 0.97, residual_mbq=30.0 * float(net) / 0.97)
            for injection, net in zip(cls.case.injections, cls.plan.activity_gbq, strict=True)
        )
        # The sample's PET measured another treatment: it would rightly block by the activity balance.
        images = {role: entry for role, entry in cls.case.images.items() if not role.startswith("y90")}
        cls.results = finish(run_case(replace(cls.case, injections=given, images=images), cls.inputs))
        # Registered once: the other tests start from here.
        matrix = tuple(tuple(row) for row in cls.results.phases["pre"].registration.matrix_lps.tolist())
        cls.case = replace(cls.case, registration_lps={"pre": matrix})

    def test_plan_treatment_delivered_is_a_closed_circle(self):
        self.assertIsNotNone(self.plan.optimum, self.plan.no_optimum)
        compared = 0
        for entry in predictions(self.plan):
            if entry.region.name not in self.results.phases["pre"].dvh:
                continue
            delivered = self.results.phases["pre"].dvh[entry.region.name]["local"]
            compared += 1
            # The same counts and masses: only the order of sums differs.
            self.assertAlmostEqual(entry.mean_gy / delivered.mean_gy(), 1.0, delta=1e-6, msg=entry.region.name)
            self.assertAlmostEqual(entry.d70_gy, delivered.dose_to_volume_gy(70.0), delta=1e-4)
        self.assertGreater(compared, 5)
        again = plan_of_results(self.results)
        self.assertAlmostEqual(again.plan.optimum.worst_margin, self.plan.optimum.worst_margin, delta=1e-6)

    def test_what_a_scanner_then_measures_is_what_was_planned_within_its_blur(self):
        """The sample patient is treated as planned: its 90Y PET is made from the planned activities."""
        usual = TreatmentParameters()
        given = tuple(
            replace(i, vial_gbq=float(net) / 0.98, residual_gbq=0.02 * float(net) / 0.98, planned_gbq=float(net))
            for i, net in zip(usual.injections, self.plan.activity_gbq, strict=True)
        )
        with TemporaryDirectory() as name:
            folder = make_sample_patient(
                Path(name) / "treated", parameters=PhantomParameters(treatment=replace(usual, injections=given))
            )
            made = finish(new_case(folder, Path(name)))
            inputs = finish(load_inputs(made.case, made.files, Path(name)))
        results = finish(run_case(made.case, inputs))
        for region in self.plan.inputs.regions:
            if region.name not in results.phases["post"].dvh:
                continue
            planned = self.plan.dose_gy(region)
            # Another noise of the same MAA image: under 1 %.
            self.assertAlmostEqual(results.phases["pre"].dvh[region.name]["local"].mean_gy() / planned, 1.0, delta=0.01)
            if "ormal" in region.name:
                # Measured normal liver: the bar of the whole-case tests. Tumours took up 90Y unlike MAA, by design.
                measured = results.phases["post"].dvh[region.name]["local"].mean_gy()
                self.assertAlmostEqual(measured / planned, 1.0, delta=0.08, msg=region.name)

    def test_results_and_report_of_a_planned_case_hold_the_plan(self):
        with TemporaryDirectory() as folder:
            written = finish(write_results(self.results, self.inputs, Path(folder)))
            document = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))
            self.assertIn(Path(folder) / "report.pdf", written.paths)
        self.assertEqual(document["plan"]["provenance"]["plan_sha256"], self.results.case.plan_sha256())
        self.assertIn("Whole normal liver at most 90 Gy", " ".join(c["words"] for c in document["plan"]["criteria"]))
        content = report_content(self.results, document, self.inputs, plan_of_results(self.results))
        data = page_data(content, 20, 20, 20)["plan"]
        self.assertTrue(any("multicompartment" in row[0] for row in data["models"]))
        self.assertTrue(any("not validated after chemotherapy" in row[4] for row in data["criteria"]))

    def test_territory_that_is_all_tumour_can_be_planned(self):
        tumour = next(c.name for c in self.case.contours if c.role == "tumour")
        contours = tuple(c for c in self.case.contours if c.role != "territory")
        aimed = ContourEntry("aimed at", "territory")
        settings = PlanSettings(injections=(PlannedEntry("1", "aimed at"),), preset="mcrc-glass-segmentectomy")
        case = replace(self.case, contours=(*contours, aimed), plan=settings)
        inputs = replace(self.inputs, contours={**self.inputs.contours, "aimed at": self.inputs.contours[tumour]})
        planned, _ = finish(computing_inputs(case, inputs))
        document = plan_document(finish_plan(case, planned))
        self.assertNotIn("tumour_to_normal", document["inputs"]["injections"][0])
        self.assertIn("MIRD single compartment", [row["model"] for row in document["models"]])
        self.assertTrue(document["windows"][0]["open"])

    def test_plan_without_territories_goes_to_the_whole_liver(self):
        contours = tuple(c for c in self.case.contours if c.role != "territory")
        case = replace(self.case, contours=contours, injections=(), plan=None)
        planned, _ = finish(computing_inputs(case, self.inputs))
        plan = finish_plan(case, planned).plan
        self.assertIsNotNone(plan.optimum)
        self.assertEqual(plan.inputs.non_perfused_share, 0.0)
        whole, perfused = (plan.inputs.region(name) for name in ("Whole normal liver", "Normal perfused liver"))
        self.assertAlmostEqual(whole.mass_g, perfused.mass_g, places=6)

    def test_plan_needs_no_treatment_and_no_image_after_it(self):
        bare = replace(self.case, injections=())
        inputs, _ = finish(computing_inputs(bare, self.inputs))
        plan = finish_plan(bare, inputs).plan
        self.assertEqual(len(plan.inputs.injections), 2)
        self.assertIsNotNone(plan.optimum)

    def test_territory_without_counts_is_refused(self):
        maa = self.inputs.images["maa_spect"]
        empty = replace(self.inputs, images={**self.inputs.images, "maa_spect": Volume(maa.array * 0, maa.geometry)})
        with self.assertRaises(InputError) as caught:
            finish(computing_inputs(self.case, empty))
        self.assertEqual(caught.exception.code, "no-counts")


if __name__ == "__main__":
    unittest.main()
