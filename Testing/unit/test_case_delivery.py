"""Assay, waste jar, planar counts and earlier treatments in a case and in treatment.json."""

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from dicom_support import RefusalMixin, coarse_case, coarse_patient, copy_of, propose

from TARECOMETLib.case.document import case_from_json, case_to_json
from TARECOMETLib.case.evidence import check_evidence
from TARECOMETLib.dosimetry.delivery import VialAssay, WasteMeasurement
from TARECOMETLib.dosimetry.lung_shunt import PlanarShunt, RegionCounts
from TARECOMETLib.physics.nuclides import constants_set


class TestEvidence(RefusalMixin, unittest.TestCase):
    def setUp(self):
        self.made = coarse_case()[0]
        self.case = self.made.case
        self.first = self.case.injections[0]  # 1720 MBq, residual 50 MBq, at 14:05

    def codes(self, **changes):
        injections = (replace(self.first, **changes), *self.case.injections[1:])
        return [f.code for f in check_evidence(replace(self.case, injections=injections))]

    def test_that_agrees_brings_nothing_up(self):
        growth = 1.0 / constants_set().decay_factor(6.0)
        assay = VialAssay(1720.0 * growth / 1.02, "2026-04-14T08:05:00", 1.02)
        waste = WasteMeasurement(10.0, 10.0 * 50.0 / 1720.0)
        self.assertEqual(self.codes(assay=assay, waste=waste), [])

    def test_that_differs_is_a_doubt(self):
        self.assertEqual(self.codes(assay=VialAssay(1720.0, "2026-04-13T14:05:00")), ["vial-assay"])
        self.assertEqual(self.codes(waste=WasteMeasurement(10.0, 1.0)), ["residual-measured"])
        counts = PlanarShunt(RegionCounts(1e5, 1e5), RegionCounts(9e5, 9e5))
        self.assertEqual(
            [f.code for f in check_evidence(replace(self.case, planar_counts=counts))], ["lung-shunt-counts"]
        )

    def test_that_cannot_be_blocks(self):
        found = list(
            check_evidence(replace(self.case, injections=(replace(self.first, waste=WasteMeasurement(1.0, 3.0)),)))
        )
        self.assertEqual([(f.severity, f.code) for f in found], [("block", "waste")])

    def test_is_kept_in_the_case_file_and_leaves_hashes_without_it_as_they_are(self):
        before = self.case.sha256()
        full = replace(
            self.case,
            planar_counts=PlanarShunt(RegionCounts(1, 2), RegionCounts(3, 4), RegionCounts(5, 6, 7)),
            earlier_lung_gy={"2025-11-04": 12.5},
            injections=(
                replace(self.first, assay=VialAssay(5.0, "2026-04-14T08:05:00"), waste=WasteMeasurement(3.0, 0.1)),
            ),
        )
        again = case_from_json(case_to_json(full, self.made.files), "case.json")[0]
        self.assertEqual(again, full)
        self.assertNotEqual(full.sha256(), before)
        self.assertNotIn("assay", case_to_json(self.case, self.made.files))
        self.assertNotIn("earlier_lung_gy", case_to_json(self.case, self.made.files))

    def test_of_earlier_treatments_must_be_doses(self):
        self.assert_refused(lambda: replace(self.case, earlier_lung_gy={"2025": -1.0}), "earlier_lung_gy")


class TestTheTreatmentFile(RefusalMixin, unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = copy_of(coarse_patient(), Path(scratch.name) / "patient")
        self.path = self.folder / "treatment.json"
        self.data = json.loads(self.path.read_text())

    def propose(self):
        self.path.write_text(json.dumps(self.data))
        return propose(self.folder).case

    def test_may_give_assay_and_waste_instead_of_activities(self):
        item = self.data["injections"][0]
        for name in ("vial_gbq", "vial_mbq", "residual_gbq", "residual_mbq"):
            item.pop(name, None)
        item["assay"] = {"reading_mbq": 1800.0, "time": item["time"], "calibration_factor": 0.95}
        item["waste"] = {"before_rate": 20.0, "after_rate": 0.7, "background_rate": 0.2}
        injection = self.propose().injections[0]
        self.assertAlmostEqual(injection.vial_mbq, 1710.0, places=6)
        self.assertAlmostEqual(injection.residual_mbq, 1710.0 * 0.5 / 19.8, places=6)

    def test_may_give_planar_counts_instead_of_a_fraction(self):
        self.data.pop("lung_shunt_fraction_planar", None)
        self.data["planar_counts"] = {
            "lungs": {"anterior": 40000, "posterior": 90000},
            "liver": {"anterior": 1600000, "posterior": 900000},
        }
        self.data["earlier_lung_gy"] = {"2025-11-04": 12.5}
        case = self.propose()
        self.assertAlmostEqual(case.lung_shunt_fraction, 60.0 / 1260.0, places=9)
        self.assertEqual((case.lung_shunt_method, case.earlier_lung_gy), ("planar", {"2025-11-04": 12.5}))

    def test_with_a_wrong_assay_names_the_field(self):
        self.data["injections"][0]["assay"] = {"reading": 3}
        self.assert_refused(self.propose, "injections[0]", "assay.reading")


if __name__ == "__main__":
    unittest.main()
