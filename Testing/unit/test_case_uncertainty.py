"""Intervals in a case: from the image on disk to results, and what they are asked for."""

from __future__ import annotations

import json
import unittest
from types import SimpleNamespace

import numpy as np

from TARECOMETLib.case.document import (
    Case,
    CaseFiles,
    ContourEntry,
    ImageEntry,
    Injection,
    Settings,
    case_from_json,
    case_to_json,
)
from TARECOMETLib.case.phase import LOCAL, compute_phase, prepare_ground
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.uncertainty import inputs_document, lung_uncertainty_gy, uncertainty_document
from TARECOMETLib.case.uncertainty_check import after_stroke, sample_case, sampling_document
from TARECOMETLib.dosimetry.compartments import derive_compartments
from TARECOMETLib.dosimetry.parcels import divide
from TARECOMETLib.dosimetry.uncertainty_inputs import InputUncertainties
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.emission import EmissionFacts
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.registration import identity
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.physics.nuclides import constants_set

ROLES = {"liver": "liver", "m1": "tumour", "speck": "tumour"}
GRID = VolumeGeometry.from_components((44, 44, 44), spacing_mm=(3.0, 3.0, 3.0), origin_lps_mm=(0.0, 0.0, 0.0))


def ball(center_mm, radius_mm):
    axes = np.indices(GRID.shape_kji) * 3.0
    inside = sum((axis - c) ** 2 for axis, c in zip(axes, center_mm, strict=True)) < radius_mm**2
    return Volume(inside, GRID)


CONTOURS = {"liver": ball((66, 66, 66), 51.0), "m1": ball((66, 54, 84), 15.0), "speck": ball((60, 84, 54), 4.0)}


def a_case(resolution=True, **settings):
    """Relative calibration of a SPECT in counts, so that nothing but the image and one injection is needed."""
    return Case(
        "p",
        {"maa_spect": ImageEntry("NM", emission=EmissionFacts(units="counts"))},
        tuple(ContourEntry(name, role, "CT") for name, role in ROLES.items()),
        (Injection("one", "liver", "2026-04-14T14:05:00", 1050.0, 50.0),),
        lung_shunt_fraction=0.05,
        settings=Settings(resolution_fwhm_mm={"maa_spect": 9.0} if resolution else {}, **settings),
    )


def computed(case, seed=3):
    """A phase of the case, from a blurred image with Poisson noise."""
    from scipy.ndimage import gaussian_filter

    sharp = np.where(CONTOURS["liver"].array, 30.0, 0.0)
    sharp[CONTOURS["m1"].array] = 120.0
    rng = np.random.default_rng(seed)
    image = Volume(rng.poisson(gaussian_filter(sharp, 9.0 / 2.3548 / 3.0)).astype(np.float32), GRID)
    parcels = divide(list(CONTOURS.items()), GRID, (1, 1, 1))
    ground = prepare_ground(case, parcels, tuple(derive_compartments(ROLES)), CONTOURS, None)
    return finish(compute_phase(case, constants_set(), "maa_spect", image, identity("same frame"), ground))


class PhaseUncertaintyTestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.phase = computed(a_case())

    def test_every_compartment_with_an_edge_has_its_interval(self):
        self.assertEqual(
            set(self.phase.uncertainty.doses), {"liver", "m1", "All tumours", "Whole normal liver"}
        )  # the speck of a few voxels has none, and no number stands in its place
        self.assertEqual(uncertainty_document(self.phase, "speck"), {})

    def test_it_stands_on_the_mean_that_is_reported(self):
        for name, found in self.phase.uncertainty.doses.items():
            self.assertAlmostEqual(found.mean_gy, self.phase.dvh[name][LOCAL].mean_gy(), delta=1e-9)

    def test_the_budget_names_what_a_shared_out_dose_depends_on(self):
        document = uncertainty_document(self.phase, "m1")
        shares = {line["source"]: line["share"] for line in document["budget"]}
        self.assertAlmostEqual(sum(shares.values()), 1.0, delta=1e-9)
        expected = {"Contour", "Registration", "Counting noise", "Dose calibrator (vial)", "Residual", "Lung shunt"}
        self.assertLessEqual(expected, set(shares))
        self.assertNotIn("PET calibration", shares)
        self.assertEqual(document["main_source"], document["budget"][0]["source"])
        # Vial 5 % of 1050 over a net of 1000 MBq; residual 10 % of 50; shunt 20 % of 0.05 / 0.95, by hand.
        of = {line["source"]: line["uncertainty_gy"] / document["mean_gy"] for line in document["budget"]}
        self.assertAlmostEqual(of["Dose calibrator (vial)"], 0.0525, delta=1e-9)
        self.assertAlmostEqual(of["Residual"], 0.005, delta=1e-9)
        self.assertAlmostEqual(of["Lung shunt"], 0.2 * 0.05 / 0.95, delta=1e-9)

    def test_counting_noise_is_that_of_the_counts(self):
        # Poisson: variance 1 per count, so 1 / 27 mm³ = 37.04 per (counts / mL); the estimate to 25 %.
        noise = self.phase.uncertainty.noise
        self.assertAlmostEqual(noise.variance_per_signal * 0.027, 1.0, delta=0.25)

    def test_margins_show_what_a_contour_does(self):
        margins = {m["margin_mm"]: m["mean_gy"] for m in uncertainty_document(self.phase, "m1")["margins"]}
        self.assertEqual(sorted(margins), [-2.0, -1.0, 0.0, 1.0, 2.0])
        self.assertGreater(margins[-2.0], margins[2.0])

    def test_a_wider_input_widens_the_interval_and_its_source_is_said(self):
        wide = computed(a_case(uncertainty=InputUncertainties(contour_mm=3.0)))
        self.assertGreater(
            wide.uncertainty.doses["m1"].uncertainty_gy, 1.2 * self.phase.uncertainty.doses["m1"].uncertainty_gy
        )
        self.assertEqual(inputs_document(wide)["inputs"]["contour_mm"]["source"], "given in the case")
        self.assertIn("doi", inputs_document(self.phase)["inputs"]["contour_mm"]["source"])

    def test_tumours_are_given_corrected_for_blur_beside_what_was_measured(self):
        document = uncertainty_document(self.phase, "m1")
        better = document["blur_corrected"]
        # True contrast 4 in the perfused liver, net (1 - LSF) 950 MBq shared over 30 and 120 counts: mean of the
        # lesion by hand from the volumes of the digital spheres; a sphere's recovery is good to 6 %, noise to 4 %, and
        # the counts that blur takes out of the liver, 7 % here, raise all shared-out doses.
        liver, lesion = (int(np.count_nonzero(CONTOURS[n].array)) for n in ("liver", "m1"))
        total = 30.0 * (liver - lesion) + 120.0 * lesion
        truth = 49.67 * 950.0 * 120.0 / total / (0.027 * 1.05)
        self.assertLess(document["mean_gy"], 0.85 * truth)
        self.assertAlmostEqual(better["mean_gy"] / truth, 1.0, delta=0.15)
        low, high = better["interval_95_gy"]
        self.assertLess(low, truth)
        self.assertGreater(high, truth)
        self.assertIn("Recovery", [line["source"] for line in better["budget"]])
        self.assertGreater(better["mean_uncertainty_gy"], document["mean_uncertainty_gy"])
        self.assertNotIn("blur_corrected", uncertainty_document(self.phase, "liver"))

    def test_without_a_resolution_there_is_no_number(self):
        phase = computed(a_case(resolution=False))
        self.assertIsNone(phase.uncertainty)
        self.assertEqual((uncertainty_document(phase, "m1"), inputs_document(phase)), ({}, {}))

    def test_sampling_agrees_and_leaves_its_seed_and_bands(self):
        results = SimpleNamespace(phases={"pre": self.phase})
        finish(sample_case(results, 60, seed=5))
        document = sampling_document(self.phase.sampling, "m1")
        self.assertEqual((document["samples"], document["seed"]), (60, 5))
        # 60 draws give a standard deviation to 9 %: two of them and the 15 % that are allowed.
        quick = self.phase.uncertainty.doses["m1"].uncertainty_gy
        self.assertAlmostEqual(document["mean_uncertainty_gy"] / quick, 1.0, delta=0.33)
        self.assertEqual(len(document["dvh_band"]["low_gy"]), 99)
        self.assertEqual(sampling_document(self.phase.sampling, "speck"), {})
        unset = SimpleNamespace(phases={"pre": SimpleNamespace(uncertainty=None)})
        with self.assertRaisesRegex(InputError, "no image has one"):
            finish(sample_case(unset, 60))

    def test_a_stroke_gives_a_new_interval_of_its_contour(self):
        whole = self.phase.uncertainty
        same = after_stroke(whole, "m1", CONTOURS["m1"].array)
        # The one in results stands on the mean of the dose map, this one on the box's own: 1 %.
        self.assertAlmostEqual(same.uncertainty_gy / whole.doses["m1"].uncertainty_gy, 1.0, delta=0.01)
        larger = after_stroke(whole, "m1", ball((66, 54, 84), 21.0).array)
        self.assertLess(larger.mean_gy, same.mean_gy)
        with self.assertRaisesRegex(InputError, "1 voxels"):
            after_stroke(whole, "m1", np.arange(44**3).reshape(44, 44, 44) == 22 * 44 * 44 + 22 * 44 + 22)

    def test_lung_dose_by_hand(self):
        # sqrt(0.2² + 0.2² + 0.0525² + 0.0036²) of 10 Gy.
        self.assertAlmostEqual(lung_uncertainty_gy(a_case(), 10.0), 2.8773, delta=1e-3)


class DocumentTestCase(unittest.TestCase):
    def test_inputs_are_read_back_and_absent_by_default(self):
        case = a_case(uncertainty=InputUncertainties(registration_mm=4.0))
        self.assertEqual(case_from_json(case_to_json(case, CaseFiles()), "case.json")[0], case)
        self.assertNotIn("uncertainty", json.loads(case_to_json(a_case(), CaseFiles()))["settings"])

    def test_a_bad_input_names_its_field(self):
        text = case_to_json(a_case(uncertainty=InputUncertainties(registration_mm=4.0)), CaseFiles())
        with self.assertRaisesRegex(InputError, "uncertainty of registration_mm"):
            case_from_json(text.replace('"registration_mm": 4.0', '"registration_mm": -4.0'), "case.json")

    def test_a_resolution_that_is_not_set_is_asked_for_with_a_proposal(self):
        from TARECOMETLib.case.after_checks import _blur

        phase = SimpleNamespace(image_role="maa_spect")
        (finding,) = _blur(a_case(resolution=False), phase, None)  # type: ignore[arg-type]
        self.assertIn("12 mm is usual for this kind of image: a proposal, not measured", finding.mend)


if __name__ == "__main__":
    unittest.main()
