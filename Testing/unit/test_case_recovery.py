"""Corrected beside measured in results and tables, scaled beside absolute, and bremsstrahlung SPECT after treatment."""

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
from dicom_support import RefusalMixin, coarse_case, coarse_patient, copy_of, propose

from TARECOMETLib.case.document import RecoverySettings, case_from_json, case_to_json
from TARECOMETLib.case.inputs import Inputs
from TARECOMETLib.case.reporting import report_content
from TARECOMETLib.case.results import results_document
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.workflow import run_case
from TARECOMETLib.dosimetry.recovery import RecoveryPoint
from TARECOMETLib.imaging.emission import EmissionFacts
from TARECOMETLib.report.tables import compartment_rows


class TestACorrectedCase(RefusalMixin, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made, cls.loaded = coarse_case()
        case = cls.made.case
        cls.settings = replace(case.settings, dose_grid_mm=6.0, recovery=RecoverySettings())
        cls.case = replace(case, settings=cls.settings)
        cls.results = finish(run_case(cls.case, cls.loaded))
        cls.document = results_document(cls.results)

    def entries(self, phase, document=None):
        return {c["name"]: c for c in (document or self.document)[phase]["compartments"]}

    def test_has_measured_and_corrected_side_by_side(self):
        for phase in ("pre", "post"):
            entries = self.entries(phase)
            tumours = {n: e for n, e in entries.items() if e["role"] == "tumour" and "recovery_corrected" in e}
            self.assertTrue(tumours)
            for entry in tumours.values():
                both = entry["recovery_corrected"]
                self.assertAlmostEqual(both["measured_mean_gy"], entry["multicompartment"]["mean_gy"], places=9)
                self.assertGreater(both["mean_gy"], both["measured_mean_gy"])  # hot lesions lose by blur
                self.assertLess(both["recovery_coefficient"], 1.0)
                self.assertGreater(both["noise_amplification"], 1.0)
        self.assertIn("transfer matrix", self.document["post"]["recovery_correction"]["method"])

    def test_keeps_what_relative_calibration_injected(self):
        entry = self.entries("pre")["liver"]
        self.assertAlmostEqual(
            entry["recovery_corrected"]["activity_mbq"] / entry["multicompartment"]["activity_mbq"], 1.0, places=6
        )

    def test_leaves_every_measured_figure_as_it_is(self):
        case = replace(self.case, settings=replace(self.settings, recovery=None))
        plain = results_document(finish(run_case(case, self.loaded)))
        for phase in ("pre", "post"):
            self.assertNotIn("recovery_correction", plain[phase])
            for name, entry in self.entries(phase, plain).items():
                self.assertNotIn("recovery_corrected", entry)
                other = self.entries(phase)[name]
                self.assertEqual(entry.get("dose"), other.get("dose"))
                self.assertEqual(entry.get("multicompartment"), other.get("multicompartment"))

    def test_stands_in_the_tables_with_what_is_scaled_to_net(self):
        content = report_content(self.results, self.document, self.loaded)
        rows = compartment_rows(content)
        name = next(n for n, e in self.entries("post").items() if e["role"] == "tumour" and "recovery_corrected" in e)
        mine = [r for r in rows if r["phase"] == "post" and r["compartment"] == name]
        methods = {(r["quantity"], r["method"]) for r in mine}
        scaled = "measured scaled to net × (1 - LSF)"
        self.assertLessEqual(
            {
                ("measured absolute", "multicompartment"),
                ("measured absolute", "multicompartment, recovery-corrected"),
                (scaled, "local"),
                (scaled, "kernel"),
            },
            methods,
        )

    def test_scaled_to_net_makes_the_liver_hold_what_stayed_in_it(self):
        post = self.document["post"]
        factor = post["scaled_to_net"]["factor"]
        left = sum(i["net_mbq"] * (1.0 - i["lung_shunt_fraction"]) for i in post["injections"])
        liver = self.entries("post")["liver"]
        # All tumours of the sample lie in its liver, so the liver is all that is scaled to.
        self.assertAlmostEqual(factor * liver["multicompartment"]["activity_mbq"] / left, 1.0, delta=0.01)
        self.assertAlmostEqual(
            liver["scaled_to_net"]["mean_gy"]["local"], factor * liver["dose"]["local"]["mean_gy"], places=9
        )
        self.assertNotIn("scaled_to_net", self.document["pre"])

    def test_by_a_phantoms_table_corrects_the_tumours_alone(self):
        table = (RecoveryPoint(10.0, 0.5), RecoveryPoint(40.0, 0.85))
        case = replace(self.case, settings=replace(self.settings, recovery=RecoverySettings("table", None, table)))
        document = results_document(finish(run_case(case, self.loaded)))
        corrected = {n for n, e in self.entries("post", document).items() if "recovery_corrected" in e}
        self.assertIn("All tumours", corrected)
        self.assertNotIn("Whole normal liver", corrected)
        again = case_from_json(case_to_json(case, self.made.files), "case.json")[0]
        self.assertEqual(again, case)

    def test_settings_that_cannot_be_are_refused(self):
        for action in (
            lambda: RecoverySettings("other"),
            lambda: RecoverySettings("table"),
            lambda: RecoverySettings("resolution", (6.0, 6.0)),
        ):
            self.assert_refused(action, "settings.recovery")


class TestBremsstrahlung(RefusalMixin, unittest.TestCase):
    """The 90Y image as counts: relatively calibrated, the same ratios, no absolute balance."""

    def test_spect_gives_the_doses_of_what_was_injected(self):
        made, loaded = coarse_case()
        case = made.case
        images = dict(case.images)
        pet_entry = images.pop("y90_pet")
        facts = EmissionFacts(units="counts", radionuclide="Y-90", scan_start=pet_entry.emission.scan_start)
        images["y90_spect"] = replace(pet_entry, modality="NM", emission=facts)
        settings = replace(case.settings, dose_grid_mm=6.0, post_calibration="relative")
        inputs = Inputs(dict(loaded.images), loaded.contours, [])
        inputs.images["y90_spect"] = inputs.images.pop("y90_pet")
        keep = ("diagnostic", "y90_spect", "y90_ct")
        case = replace(case, images={r: e for r, e in images.items() if r in keep}, settings=settings)
        document = results_document(finish(run_case(case, inputs)))
        post = document["post"]
        self.assertEqual((post["image"], post["calibration"]), ("y90_spect", "relative"))
        self.assertNotIn("scaled_to_net", post)
        liver = next(c for c in post["compartments"] if c["name"] == "liver")
        left = sum(i.net_mbq * (1.0 - case.lung_shunt_fraction) for i in case.injections)
        self.assertAlmostEqual(liver["activity_mbq"] / left, 1.0, places=6)
        # Absolute calibration of counts is refused.
        absolute = replace(case, settings=replace(settings, post_calibration="absolute"))
        self.assert_refused(lambda: finish(run_case(absolute, inputs)), "counts", code="units")
        self.assertTrue(np.isfinite(liver["dose"]["local"]["mean_gy"]))


class TestTheTreatmentFile(RefusalMixin, unittest.TestCase):
    def test_may_ask_for_it_by_word_or_by_a_csv(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        folder = copy_of(coarse_patient(), Path(scratch.name) / "patient")
        path = folder / "treatment.json"
        data = json.loads(path.read_text())
        path.write_text(json.dumps(data | {"recovery": "resolution"}))
        self.assertEqual(propose(folder).case.settings.recovery, RecoverySettings())
        (folder / "rc.csv").write_text("diameter_mm,recovery_coefficient\n10,0.5\n37,0.9\n")
        path.write_text(json.dumps(data | {"recovery": "rc.csv"}))
        self.assertEqual(propose(folder).case.settings.recovery.table[1], RecoveryPoint(37.0, 0.9))
        path.write_text(json.dumps(data | {"recovery": "gone.csv"}))
        self.assert_refused(lambda: propose(folder), "gone.csv", code="no-file")


if __name__ == "__main__":
    unittest.main()
