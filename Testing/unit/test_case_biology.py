"""Radiobiology in a case: which tissue a compartment is, maps of BED, probabilities, and the panel's box."""

from __future__ import annotations

import json
import unittest
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from support import box_volume

from TARECOMETLib.case.biology import (
    bed_map_gy,
    biological_metrics,
    curves_in_bed,
    effects_of,
    radiobiology_document,
    tissue_of,
)
from TARECOMETLib.case.biology_box import (
    box_state,
    with_effect,
    with_published_effect,
    with_tissue,
    without_effect,
)
from TARECOMETLib.case.document import Case, CaseFiles, ContourEntry, Settings, Tissue, case_from_json, case_to_json
from TARECOMETLib.case.phase import prepare_ground
from TARECOMETLib.case.results import dose_metrics
from TARECOMETLib.dosimetry.compartments import derive_compartments
from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.dosimetry.effect import EffectModel
from TARECOMETLib.dosimetry.parcels import divide
from TARECOMETLib.dosimetry.radiobiology import Radiobiology, bed_dvh
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.report.content import CompartmentDose, LungLine, PhaseReport
from TARECOMETLib.report.dvh_figure import write_dvh_figure

HALF_LIFE_H = 64.2
ROLES = {"liver": "liver", "right": "territory", "m1": "tumour", "lungs": "lung"}
TUMOUR, LIVER = Tissue(10.0, 1.5, -8.0, 0.02), Tissue(2.5, 2.5)
GRID = VolumeGeometry.from_components((4, 4, 8), spacing_mm=(2.0, 2.0, 2.0), origin_lps_mm=(0.0, 0.0, 0.0))
BOXES = {
    "liver": ((0, 0, 0), (4, 4, 6)),
    "right": ((0, 0, 0), (4, 4, 3)),
    "m1": ((0, 0, 0), (4, 4, 2)),
    "lungs": ((0, 0, 6), (4, 4, 8)),
}


def a_case(**settings: object) -> Case:
    """A case of four contours."""
    contours = tuple(ContourEntry(name, role) for name, role in ROLES.items())
    return Case("p", {}, contours, settings=Settings(**settings))  # type: ignore[arg-type]


def compartment(name: str) -> object:
    """One of the case's compartments."""
    return next(c for c in derive_compartments(ROLES) if c.name == name)


def bed(dose: float, tissue: Tissue) -> float:
    """By hand."""
    share = tissue.repair_half_time_h / (tissue.repair_half_time_h + HALF_LIFE_H)
    return dose * (1.0 + dose * share / tissue.alpha_beta_gy)


class BiologyTestCase(unittest.TestCase):
    def test_each_compartment_takes_its_own_tissue(self) -> None:
        case = a_case(tumour_tissue=TUMOUR, liver_tissue=LIVER)
        expected = {"m1": TUMOUR, "All tumours": TUMOUR, "liver": LIVER, "Whole normal liver": LIVER, "lungs": None}
        found = {name: tissue_of(case, compartment(name)) for name in expected}  # type: ignore[arg-type]
        self.assertEqual(found, expected)

    def test_metrics_are_there_only_with_their_parameters(self) -> None:
        dvh = make_dvh(np.array([80.0, 120.0]), np.ones(2), 1.05)
        full = dose_metrics(dvh, TUMOUR, HALF_LIFE_H)
        self.assertAlmostEqual(full["bed_gy"], (bed(80.0, TUMOUR) + bed(120.0, TUMOUR)) / 2.0, delta=1e-9)
        self.assertAlmostEqual(full["eqd2_gy"], full["bed_gy"] / 1.2, delta=1e-9)
        self.assertEqual((full["eud_exponent"], full["alpha_per_gy"]), (-8.0, 0.02))
        self.assertLess(full["survival_eud_gy"], 100.0)
        self.assertLess(full["eubed_gy"], full["bed_gy"])
        self.assertNotIn("eud_gy", biological_metrics(dvh, LIVER, HALF_LIFE_H))
        self.assertNotIn("eubed_gy", biological_metrics(dvh, LIVER, HALF_LIFE_H))
        self.assertNotIn("bed_gy", dose_metrics(dvh, None, HALF_LIFE_H))

    def test_the_map_of_bed_takes_each_voxels_tissue(self) -> None:
        case = a_case(tumour_tissue=TUMOUR, liver_tissue=LIVER)
        contours = {name: box_volume(GRID, *corners) for name, corners in BOXES.items()}
        parcels = divide(list(contours.items()), GRID, (1, 1, 1))
        ground = prepare_ground(case, parcels, tuple(derive_compartments(ROLES)), contours, None)
        found = bed_map_gy(case, ground, np.full(GRID.shape_kji, 100.0), HALF_LIFE_H)
        assert found is not None
        self.assertEqual(found.shape, GRID.shape_kji)
        # float32: 1e-7 relative.
        np.testing.assert_allclose(found[..., :2], bed(100.0, TUMOUR), rtol=1e-6)
        np.testing.assert_allclose(found[..., 2:6], bed(100.0, LIVER), rtol=1e-6)
        self.assertFalse(found[..., 6:].any())
        self.assertIsNone(bed_map_gy(a_case(), ground, np.ones(GRID.shape_kji), HALF_LIFE_H))

    def test_curves_over_bed_keep_their_volumes(self) -> None:
        case = a_case(tumour_tissue=TUMOUR)
        compartments = {c.name: c for c in derive_compartments(ROLES)}
        axis_gy = np.linspace(0.0, 200.0, 201)
        curve = 100.0 - axis_gy / 2.0
        curves = {("m1", "post"): curve, ("liver", "post"): curve}
        axis, found = curves_in_bed(case, compartments, axis_gy, curves, HALF_LIFE_H)
        self.assertEqual(list(found), [("m1", "post")])
        self.assertAlmostEqual(axis[-1], bed(200.0, TUMOUR), delta=1e-9)
        # At the BED of 100 Gy half the volume is left, whatever the axis.
        self.assertAlmostEqual(float(np.interp(bed(100.0, TUMOUR), axis, found["m1", "post"])), 50.0, delta=0.01)
        self.assertEqual(curves_in_bed(a_case(), compartments, axis_gy, curves, HALF_LIFE_H)[1], {})

    def test_models_speak_of_their_compartment_and_need_their_tissue(self) -> None:
        dose = EffectModel("d", "logit", "tumour", {"d50_gy": 100.0, "slope_per_gy": 0.02})
        in_bed = EffectModel("b", "logit", "Whole normal liver", {"d50_gy": 100.0, "slope_per_gy": 0.02}, "bed")
        dvh = make_dvh(np.full(3, 100.0), np.ones(3), 1.05)
        case = a_case(effects=(dose, in_bed))
        lesion, normal = compartment("m1"), compartment("Whole normal liver")
        self.assertEqual([e["model"] for e in effects_of(case, lesion, dvh, HALF_LIFE_H)], ["d"])  # type: ignore[arg-type]
        self.assertAlmostEqual(effects_of(case, lesion, dvh, HALF_LIFE_H)[0]["probability"], 0.5, delta=1e-12)  # type: ignore[arg-type]
        self.assertEqual(effects_of(case, normal, dvh, HALF_LIFE_H), [])  # type: ignore[arg-type]
        case = replace(case, settings=replace(case.settings, liver_tissue=LIVER))
        self.assertEqual([e["model"] for e in effects_of(case, normal, dvh, HALF_LIFE_H)], ["b"])  # type: ignore[arg-type]

    def test_results_say_what_is_out_of_scope(self) -> None:
        self.assertEqual(radiobiology_document(a_case()), {})
        document = radiobiology_document(a_case(tumour_tissue=TUMOUR))
        self.assertIn("out of scope", document["scope"])
        self.assertEqual(document["tumour"]["alpha_per_gy"], 0.02)


class DocumentTestCase(unittest.TestCase):
    def test_a_case_without_them_has_the_text_it_always_had(self) -> None:
        settings = json.loads(case_to_json(a_case(), CaseFiles()))["settings"]
        self.assertNotIn("effects", settings)
        tissue = json.loads(case_to_json(a_case(tumour_tissue=Tissue(10.0, 1.5)), CaseFiles()))["settings"]
        self.assertEqual(tissue["tumour_tissue"], {"alpha_beta_gy": 10.0, "repair_half_time_h": 1.5})

    def test_models_and_tissues_are_read_back(self) -> None:
        case = with_published_effect(a_case(tumour_tissue=TUMOUR), "Dewaraja 2020, BED", {"slope_per_gy": 0.01})
        self.assertEqual(case_from_json(case_to_json(case, CaseFiles()), "case.json")[0], case)

    def test_bad_numbers_are_refused_and_the_nearest_good_ones_are_not(self) -> None:
        for ratio in (0.0, -3.0, float("nan")):
            with self.subTest(ratio=ratio), self.assertRaisesRegex(InputError, "alpha_beta_gy: expected above 0"):
                Tissue(ratio, 1.5)
        with self.assertRaisesRegex(InputError, "repair_half_time_h"):
            Tissue(10.0, -0.1)
        Tissue(1e-6, 0.0)
        text = case_to_json(a_case(tumour_tissue=Tissue(10.0, 1.5)), CaseFiles())
        with self.assertRaisesRegex(InputError, "alpha_beta_gy"):
            case_from_json(text.replace('"alpha_beta_gy": 10.0', '"alpha_beta_gy": -10.0'), "case.json")


class BoxTestCase(unittest.TestCase):
    def test_it_shows_what_the_case_holds_and_what_can_be_chosen(self) -> None:
        empty = box_state(a_case())
        self.assertEqual((empty["tumour_tissue"], empty["effects"]), ({}, []))
        presets = {name: to_give for name, _, to_give in empty["presets"]}
        self.assertEqual(presets["Dewaraja 2020, dose"], [("slope_per_gy", "slope (1/Gy)")])
        self.assertTrue(all(words for _, words, _ in empty["presets"]))
        self.assertEqual(box_state(a_case(tumour_tissue=TUMOUR))["tumour_tissue"]["alpha_per_gy"], 0.02)

    def test_what_is_typed_reaches_the_case_and_can_be_taken_back(self) -> None:
        start = a_case()
        case = with_tissue(start, "tumour_tissue", 10.0, 1.5)
        self.assertEqual(case.settings.tumour_tissue, Tissue(10.0, 1.5))
        self.assertEqual(with_tissue(case, "tumour_tissue", None, None), start)
        mine = EffectModel("mine", "lkb", "Whole normal liver", {"td50_gy": 90.0, "m": 0.2, "n": 1.0})
        case = with_effect(with_effect(start, mine), replace(mine, endpoint="decompensation"))
        self.assertEqual([model.endpoint for model in case.settings.effects or ()], ["decompensation"])
        self.assertEqual(without_effect(case, "mine").sha256(), start.sha256())

    def test_half_a_tissue_is_refused(self) -> None:
        with self.assertRaisesRegex(InputError, "one of α/β and repair half-time is missing"):
            with_tissue(a_case(), "liver_tissue", 2.5, None)
        with self.assertRaisesRegex(InputError, "lacks slope_per_gy"):
            with_published_effect(a_case(), "Dewaraja 2020, dose", {})


class FigureTestCase(unittest.TestCase):
    def test_the_histogram_in_bed_is_drawn_on_its_own_axis(self) -> None:
        dvh = make_dvh(np.linspace(20.0, 180.0, 50), np.ones(50), 1.05)
        tissue = Radiobiology(10.0, 1.5)
        entry = CompartmentDose(
            "m1", "tumour", 50.0, 100.0, {"kernel": dvh}, bed_dvh={"kernel": bed_dvh(dvh, tissue, 64.2)}
        )
        lung = LungLine(1.0, 1.0, 1000.0, "assumed", "planar")
        phase = PhaseReport("pre", "predicted", "SPECT", "relative", "CT", 0.9, {}, lung, (entry,), 0.99)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "figure.png"
            pictures = {}
            for in_bed in (False, True):
                write_dvh_figure(path, [phase], "kernel", in_bed=in_bed)
                pictures[in_bed] = path.read_bytes()
        self.assertNotEqual(pictures[False], pictures[True])


if __name__ == "__main__":
    unittest.main()
