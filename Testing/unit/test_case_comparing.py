"""Predicted against delivered dose of a case: a small patient whose figures follow from the phases."""

import dataclasses
import json
import unittest
from types import SimpleNamespace

import numpy as np
from unit.support import box_volume

from TARECOMETLib.case.comparing import comparison_document
from TARECOMETLib.case.document import Case, CaseFiles, ContourEntry, Injection, Settings, case_from_json, case_to_json
from TARECOMETLib.case.phase import KERNEL, LOCAL, Phase, prepare_ground
from TARECOMETLib.dosimetry.activity import Delivery
from TARECOMETLib.dosimetry.compartments import derive_compartments
from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.dosimetry.parcels import divide
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.registration import Registration

GEOMETRY = VolumeGeometry.from_components((16, 16, 16), spacing_mm=(3.0, 3.0, 3.0))
CONTOURS = (ContourEntry("liver", "liver"), ContourEntry("t1", "tumour"))
CASE = Case(
    case_id="p",
    images={},
    contours=CONTOURS,
    injections=(Injection("i1", "liver", "2026-01-05T10:00:00", 1050.0, 50.0, planned_mbq=1200.0),),
)


def computed(case: Case = CASE, **post: object) -> SimpleNamespace:
    """Results with 50 Gy predicted in the liver and 100 Gy in the tumour, 60 and 90 Gy measured."""
    boxes = {"liver": box_volume(GEOMETRY, (2, 2, 2), (14, 14, 14)), "t1": box_volume(GEOMETRY, (5, 5, 5), (9, 9, 9))}
    parcels = divide(list(boxes.items()), GEOMETRY, (1, 1, 1))
    compartments = tuple(derive_compartments({c.name: c.role for c in case.contours}))
    ground = prepare_ground(case, parcels, compartments, boxes, None)
    phases = {}
    for name, role, calibration, doses in (
        ("pre", "maa_spect", "relative", (50.0, 100.0)),
        ("post", "y90_pet", "absolute", (60.0, 90.0)),
    ):
        dose = np.where(boxes["t1"].array, doses[1], doses[0]).astype(np.float32)
        registration = Registration(np.eye(4), 0.97 if name == "pre" else 0.4, 0.2, "rigid")
        delivery = Delivery("i1", "liver", 1000.0, 0.05, 5.0 if name == "post" else None)
        phase = Phase(role, calibration, registration, [delivery], {LOCAL: dose, KERNEL: dose})
        for compartment in compartments:
            chosen = ground.holding(compartment)
            dvh = make_dvh(dose.ravel()[parcels.voxel[chosen]], parcels.volume_ml[chosen], 1.05)
            phase.dvh[compartment.name] = {LOCAL: dvh, KERNEL: dvh}
        phase.balance = {"net_injected_mbq": 1000.0, "liver_mbq": 760.0}
        phases[name] = phase
    return SimpleNamespace(case=case, ground=ground, phases=phases)


class ComparisonTestCase(unittest.TestCase):
    def test_four_quantities_difference_ratio_and_tumour_to_normal(self) -> None:
        document = comparison_document(computed())
        tumour = next(c for c in document["compartments"] if c["name"] == "t1")
        # Planned 1200 of 1000 MBq net; scaled to 1000 · 0.95 of the 760 MBq seen in the liver.
        expected = {
            "predicted_as_planned": 120.0,
            "predicted_at_delivered_net": 100.0,
            "measured_absolute": 90.0,
            "measured_scaled": 112.5,
        }
        self.assertEqual(set(tumour["mean_gy"]), set(expected))
        for quantity, value in expected.items():
            self.assertAlmostEqual(tumour["mean_gy"][quantity], value, 6)
        self.assertAlmostEqual(document["measured_scaled_factor"], 1.25, 12)
        self.assertAlmostEqual(tumour["difference_gy"], -10.0, 6)
        self.assertAlmostEqual(tumour["ratio"], 0.9, 6)
        self.assertAlmostEqual(tumour["tumour_to_normal"]["pre"], 2.0, 6)
        self.assertAlmostEqual(tumour["tumour_to_normal"]["post"], 1.5, 6)

    def test_poor_registration_stands_beside_the_voxel_figures(self) -> None:
        document = comparison_document(computed())
        self.assertEqual(document["registration_quality"], {"pre": 0.97, "post": 0.4})

    def test_matched_and_unmatched_stand_together_or_the_reason_does(self) -> None:
        self.assertIn("resolution", comparison_document(computed())["matched_absent"])
        settings = Settings(resolution_fwhm_mm={"maa_spect": 12.0, "y90_pet": 6.0})
        document = comparison_document(computed(dataclasses.replace(CASE, settings=settings)))
        self.assertNotIn("matched_absent", document)
        liver = next(c for c in document["compartments"] if c["name"] == "liver")
        self.assertEqual(set(liver["voxels"]), {"unmatched", "matched"})
        # Both maps are one pattern: the correlation is 1 until one of them alone is blurred.
        self.assertAlmostEqual(liver["voxels"]["unmatched"]["pearson"], 1.0, 6)
        self.assertLess(liver["voxels"]["matched"]["pearson"], 0.99)

    def test_one_phase_alone_has_no_comparison(self) -> None:
        results = computed()
        del results.phases["pre"]
        self.assertIsNone(comparison_document(results))

    def test_recorded_factors_are_optional_and_leave_old_hashes(self) -> None:
        self.assertNotIn("catheter_position", json.loads(case_to_json(CASE, CaseFiles())))
        changed = dataclasses.replace(CASE, catheter_position="changed", primary_resolution="matched")
        self.assertNotEqual(changed.sha256(), CASE.sha256())
        again, _ = case_from_json(case_to_json(changed, CaseFiles()), "case.json")
        self.assertEqual(again, changed)
        document = comparison_document(computed(changed))
        self.assertEqual((document["catheter_position"], document["primary_resolution"]), ("changed", "matched"))
        for name in ("catheter_position", "primary_resolution"):
            with self.assertRaises(InputError) as caught:
                dataclasses.replace(CASE, **{name: "moved"})
            self.assertIn(name, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
