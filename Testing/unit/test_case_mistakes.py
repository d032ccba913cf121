"""Deliberate mistakes on a patient: each is named, none changes a number silently.

The patient is case A of ../shared (a real anatomy with simulated uptake). A mistake is made in a copy of its headers,
files, contours or treatment, and must bring up the finding or the refusal that names it, which the unmodified case does
not. Where a tag gives a mistake away it is made once more with that tag removed: then physics must tell.
"""

import copy
import functools
import os
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from dicom_support import NO_SHARED, SHARED, load, propose, set_tags
from scipy.ndimage import distance_transform_edt

from TARECOMETLib.case.checks import check_case
from TARECOMETLib.case.document import Injection
from TARECOMETLib.case.findings import NOTE, sort_findings
from TARECOMETLib.case.inputs import Inputs
from TARECOMETLib.case.new_case import dicom_entry, new_case
from TARECOMETLib.case.results import finding_document
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.undetectable import UNDETECTABLE
from TARECOMETLib.case.workflow import run_case
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.dicom_series import read_series, scan_dicom
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.physics.nuclides import constants_set

PATIENT = SHARED / "data" / "cases" / "case-a"
# From the injections to the scan, with the half-life that the scanner was set to.
SCAN_AFTER_H = 18.0
GROWTH = 2.0 ** (SCAN_AFTER_H / 64.05)


@functools.lru_cache(maxsize=1)
def patient():
    """The case proposed for it, its inputs and its PET series, read once and never changed."""
    made = propose(PATIENT)
    scan = scan_dicom(sorted((PATIENT / "y90-pet-ct" / "pet").rglob("*.dcm")))
    return made, load(made.case, made.files, PATIENT), scan.series[0]


@unittest.skipUnless(PATIENT.is_dir(), NO_SHARED)
class MistakesTestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made, cls.loaded, cls.pet = patient()
        cls.usual = {f.code for f in check_case(cls.made.case, cls.loaded)}

    def inputs(self, **images):
        return Inputs(dict(self.loaded.images) | images, dict(self.loaded.contours), [])

    def contours(self, **arrays):
        changed = dict(self.loaded.contours)
        for name, array in arrays.items():
            drawn = name.replace("_", "-")
            changed[drawn] = Volume(array, changed[drawn].geometry)
        return Inputs(dict(self.loaded.images), changed, [])

    def array(self, name):
        return self.loaded.contours[name].array.copy()

    def scaled_pet(self, factor):
        pet = self.loaded.images["y90_pet"]
        return self.inputs(y90_pet=Volume(pet.array * np.float32(factor), pet.geometry))

    def with_header(self, change):
        """The case with the PET's facts read again from changed headers."""
        headers = copy.deepcopy(self.pet.headers)
        for header in headers:
            change(header)
        entry = dicom_entry(replace(self.pet, headers=headers))
        images = dict(self.made.case.images)
        images["y90_pet"] = replace(entry, content_sha256=images["y90_pet"].content_sha256)
        return replace(self.made.case, images=images)

    def with_tags(self, drug=None, **tags):
        def change(header):
            set_tags(**tags)(header)
            if drug:
                set_tags(**drug)(header.RadiopharmaceuticalInformationSequence[0])

        return self.with_header(change)

    def with_injections(self, *changes):
        injections = tuple(replace(i, **c) for i, c in zip(self.made.case.injections, changes, strict=True))
        return replace(self.made.case, injections=injections)

    def codes(self, case, inputs=None):
        return {f.code for f in check_case(case, inputs or self.loaded)} - self.usual

    def finding(self, code, case, inputs=None):
        return next(f for f in check_case(case, inputs or self.loaded) if f.code == code)

    def linked(self, part, damage):
        """A folder with links to one part of the patient, damaged by the caller."""
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        for path in sorted((PATIENT / part).rglob("*.dcm")):
            os.symlink(path, Path(scratch.name) / path.name)
        damage(sorted(Path(scratch.name).glob("*.dcm")))
        return Path(scratch.name)

    def refusal(self, action):
        with self.assertRaises(InputError) as caught:
            action()
        return caught.exception.code

    def read_damaged(self, part, damage):
        series = scan_dicom(sorted(self.linked(part, damage).glob("*.dcm"))).series
        return self.refusal(lambda: read_series(series[0]))


def rewrite(path, change):
    """Change a linked file without touching what it links to."""
    dataset = pydicom.dcmread(path)
    path.unlink()
    change(dataset)
    dataset.save_as(path)


class TestInHeaders(MistakesTestCase):
    """Wrong, missing and contradicting tags of the PET."""

    def test_are_named(self):
        for expected, drug, tags in (
            ("units", None, {"Units": None}),
            ("units", None, {"Units": "CNTS"}),
            ("units", None, {"Units": "PROPCPS"}),
            ("units", None, {"Units": "GML", "SUVType": "IBW"}),
            ("units", {"RadionuclideTotalDose": None}, {"Units": "GML"}),
            ("units", None, {"Units": "GML", "PatientWeight": None}),
            ("field-activity", None, {"Units": "GML"}),  # Bq/mL taken for SUV
            ("decay-correction", None, {"DecayCorrection": None}),
            ("decay-correction", None, {"DecayCorrection": "SCAN"}),
            ("decay-listed", None, {"DecayCorrection": "NONE"}),
            ("decay-not-listed", None, {"CorrectedImage": ["ATTN", "SCAT", "RAN", "NORM"]}),
            ("no-attenuation-correction", None, {"CorrectedImage": ["SCAT", "RAN", "NORM", "DECY"]}),
            ("decay-factor", None, {"DecayFactor": f"{GROWTH:.6f}"}),
            ("time", None, {"SeriesTime": None, "AcquisitionTime": None}),
            ("reprocessed-series", None, {"SeriesTime": "140000"}),
            ("series-ahead", None, {"SeriesTime": "030000"}),
            ("dates", None, {"SeriesDate": "20260309", "AcquisitionDate": "20260309"}),
            ("late-scan", None, {"SeriesDate": "20260411", "AcquisitionDate": "20260411"}),
            ("wrong-half-life", {"RadionuclideHalfLife": "6586.2"}, {}),
            ("wrong-half-life", {"RadionuclideHalfLife": "64.05"}, {}),
            ("branching-ratio", {"RadionuclidePositronFraction": "0.967"}, {}),
            ("dose-in-mbq", {"RadionuclideTotalDose": "2386.4"}, {}),
            ("administered-activity", {"RadionuclideTotalDose": "1700000000"}, {}),
            ("administration-attributes", {"RadiopharmaceuticalStartTime": "142000"}, {}),
            (
                "administration-time",
                {"RadiopharmaceuticalStartTime": "152000", "RadiopharmaceuticalStartDateTime": "20260310152000"},
                {},
            ),
            ("several-patients", None, {"PatientID": "SOMEBODY-ELSE"}),
        ):
            with self.subTest(expected, drug=drug, **tags):
                self.assertIn(expected, self.codes(self.with_tags(drug, **tags)))

    def test_of_another_nuclide_are_named(self):
        def change(header):
            item = header.RadiopharmaceuticalInformationSequence[0]
            item.RadionuclideCodeSequence[0].CodeValue = "77004003"
            item.RadionuclideCodeSequence[0].CodeMeaning = "^18^Fluorine"
            del item.RadionuclideHalfLife

        self.assertIn("nuclide", self.codes(self.with_header(change)))

    def test_that_only_reprocessing_made_leave_the_factor_as_it_is(self):
        case = self.with_tags(SeriesTime="140000")
        self.assertEqual(case.images["y90_pet"].emission.scan_start, "2026-03-11T05:20:00")


class TestInValues(MistakesTestCase):
    """Values in other units than their tag says: the field's activity tells, and says what would fit."""

    def assert_named(self, case, inputs, *words):
        found = self.finding("field-activity", case, inputs)
        for word in words:
            self.assertIn(word, found.mend)
        self.assertEqual(found.severity, "block")

    def test_in_mbq_or_kbq(self):
        self.assert_named(self.made.case, self.scaled_pet(1e-6), "MBq/mL that are labelled Bq/mL")
        self.assert_named(self.made.case, self.scaled_pet(1e-3), "kBq/mL")
        self.assertIn("units", self.codes(self.with_tags(Units=None), self.scaled_pet(1e-6)))

    def test_in_suv(self):
        # 71 kg; 2386 MBq decayed by 18 h to 1964 MBq.
        factor = 71000.0 / (2386.4e6 / GROWTH)
        self.assert_named(self.made.case, self.scaled_pet(factor), "SUV that is labelled Bq/mL")
        self.assertIn("units", self.codes(self.with_tags(Units=None), self.scaled_pet(factor)))

    def test_from_a_scanner_set_to_fluorine(self):
        fluorine = {"RadionuclideHalfLife": "6586.2", "RadionuclidePositronFraction": "0.967"}
        scaled = self.scaled_pet(3.186e-5 / 0.967)
        self.assertIn("wrong-half-life", self.codes(self.with_tags(fluorine), scaled))
        bare = {"RadionuclideHalfLife": None, "RadionuclidePositronFraction": None, "RadionuclideCodeSequence": None}
        self.assert_named(self.with_tags(bare), scaled, "18F instead of 90Y")

    def test_whose_slices_lost_their_own_slope(self):
        pet = self.loaded.images["y90_pet"]
        highest = pet.array.max(axis=(1, 2), keepdims=True)
        stored = np.where(highest > 0.0, pet.array / np.maximum(highest, 1e-9) * 32767.0, 0.0)
        inputs = self.inputs(y90_pet=Volume(np.rint(stored).astype(np.float32), pet.geometry))
        self.assertIn("slice-scale", self.codes(self.made.case, inputs))

    def test_of_a_ct_that_are_not_hounsfield_units(self):
        ct = self.loaded.images["diagnostic"]
        inputs = self.inputs(diagnostic=Volume(ct.array + 1024.0, ct.geometry))
        self.assertLessEqual({"ct-values", "contour-values"}, self.codes(self.made.case, inputs))

    def test_that_are_mostly_missing_are_named(self):
        self.assert_named(self.made.case, self.scaled_pet(0.1), "Check units")


class TestInFiles(MistakesTestCase):
    """Series that lost, doubled or mixed slices."""

    def test_are_named(self):
        pet, ct = "y90-pet-ct/pet", "diagnostic-ct"

        def shear(paths):
            for number, path in enumerate(paths):

                def tilt(dataset, n=number):
                    x, y, z = dataset.ImagePositionPatient
                    dataset.ImagePositionPatient = [x, float(y) + 0.5 * n, z]

                rewrite(path, tilt)

        for expected, part, damage in (
            ("missing-slice", pet, lambda paths: paths[60].unlink()),
            ("missing-slice", pet, lambda paths: [p.unlink() for p in paths[100:]]),
            ("duplicate-slice", pet, lambda paths: os.symlink(paths[3].resolve(), paths[3].with_name("copy.dcm"))),
            ("mixed-slices", pet, lambda p: rewrite(p[5], lambda d: setattr(d, "PixelSpacing", [2.0, 2.0]))),
            (
                "mixed-slices",
                ct,
                lambda p: rewrite(p[5], lambda d: setattr(d, "ImageOrientationPatient", [0, 1, 0, 0, 0, -1])),
            ),
            ("gantry-tilt", ct, shear),
            ("dicom-pixels", pet, lambda p: rewrite(p[7], lambda d: setattr(d, "PixelData", d.PixelData[:100]))),
            ("dicom-header", ct, lambda p: rewrite(p[9], lambda d: delattr(d, "ImagePositionPatient"))),
        ):
            with self.subTest(expected, part=part):
                self.assertEqual(self.read_damaged(part, damage), expected)

    def test_that_changed_after_the_case_was_made_are_named(self):
        images = dict(self.made.case.images)
        images["y90_pet"] = replace(images["y90_pet"], content_sha256="0" * 64)
        inputs = load(replace(self.made.case, images=images, contours=()), self.made.files, PATIENT)
        self.assertEqual([f.code for f in inputs.findings], ["content-changed"])


class TestInTheTreatment(MistakesTestCase):
    """What a person types."""

    def test_is_named(self):
        first = self.made.case.injections[0]
        for expected, case in (
            (
                "field-activity",
                self.with_injections(
                    {"vial_mbq": 1.77, "residual_mbq": 0.08}, {"vial_mbq": 0.71, "residual_mbq": 0.018}
                ),
            ),
            ("administered-activity", self.with_injections({"vial_mbq": 1770.0 / 37.0, "residual_mbq": 0.0}, {})),
            ("administered-activity", replace(self.made.case, injections=(first,))),
            ("dates", self.with_injections({"time": "2026-03-12T11:20:00"}, {})),
            ("administration-time", self.with_injections({"time": "2026-03-09T11:20:00"}, {})),
            ("lung-shunt-high", replace(self.made.case, lung_shunt_fraction=0.266)),
            ("territory", self.with_injections({"territory": "middle lobe"}, {})),
            ("no-injection", replace(self.made.case, injections=())),
        ):
            with self.subTest(expected):
                self.assertIn(expected, self.codes(case))

    def test_in_gbq_for_mbq_says_so(self):
        case = self.with_injections({"vial_mbq": 1.77, "residual_mbq": 0.08}, {"vial_mbq": 0.71, "residual_mbq": 0.018})
        self.assertIn("GBq that was entered as MBq", self.finding("field-activity", case).mend)

    def test_that_cannot_be_is_refused(self):
        first = self.made.case.injections[0]
        for expected, action in (
            ("residual", lambda: replace(first, residual_mbq=1800.0)),
            ("lung-shunt", lambda: replace(self.made.case, lung_shunt_fraction=2.66)),
            ("time", lambda: replace(first, time="10.03.2026 11:20")),
            ("input", lambda: Injection("x", "right", "2026-03-10T11:20:00", -5.0)),
            ("input", lambda: replace(self.made.case.settings, resolution_fwhm_mm={"y90_pet": 0.65})),
        ):
            with self.subTest(expected):
                self.assertEqual(self.refusal(action), expected)


class TestInContours(MistakesTestCase):
    def test_are_named(self):
        liver, tumour, lungs = (self.array(n) for n in ("liver", "metastasis-t1", "lungs"))
        far = np.roll(tumour, -60, axis=0)
        holed = liver.copy()
        deep = distance_transform_edt(liver)
        k, j, i = (int(x) for x in np.unravel_index(int(np.argmax(deep)), deep.shape))
        holed[k - 4 : k + 5, j - 4 : j + 5, i - 4 : i + 5] = False
        island = liver.copy()
        island[20:30, 60:70, 100:110] = True
        at_edge = liver.copy()
        at_edge[:60] |= liver.any(axis=0)
        for expected, inputs in (
            ("empty-contour", self.contours(metastasis_t1=np.zeros_like(tumour))),
            ("outside-liver", self.contours(metastasis_t1=far)),
            ("holes", self.contours(liver=holed)),
            ("islands", self.contours(liver=island)),
            ("at-field-edge", self.contours(liver=at_edge)),
            ("contours-overlap", self.contours(metastasis_t2=np.roll(tumour, 2, axis=0) & liver)),
            ("contour-values", self.contours(liver=lungs, lungs=liver)),
            ("liver-size", self.contours(liver=tumour)),
        ):
            with self.subTest(expected):
                self.assertIn(expected, self.codes(self.made.case, inputs))

    def test_without_tumours_in_the_liver_are_named(self):
        liver = self.array("liver")
        for name in ("t1", "t2", "t3", "t4", "t5"):
            liver &= ~self.array(f"metastasis-{name}")
        self.assertIn("outside-liver", self.codes(self.made.case, self.contours(liver=liver)))

    def test_of_another_frame_are_named(self):
        inputs = self.contours()
        tumour = inputs.contours["metastasis-t1"]
        away = np.eye(4)
        away[:3, 3] = (0.0, 0.0, 900.0)
        inputs.contours["metastasis-t1"] = Volume(tumour.array, tumour.geometry.transformed(away))
        self.assertIn("outside-image", self.codes(self.made.case, inputs))

    def test_whose_role_is_wrong_are_named(self):
        contours = tuple(replace(c, role="tumour") if c.name == "liver" else c for c in self.made.case.contours)
        self.assertIn("no-liver", self.codes(replace(self.made.case, contours=contours)))


class TestInTheActivity(MistakesTestCase):
    """Mistakes that only the activity balance, or where the counts are, can tell."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        settings = replace(cls.made.case.settings, dose_grid_mm=6.0)
        case = replace(cls.made.case, settings=settings)
        results = finish(run_case(case, cls.loaded))
        fixed = {
            name: tuple(tuple(float(x) for x in row) for row in phase.registration.matrix_lps)
            for name, phase in results.phases.items()
        }
        cls.case = replace(case, registration_lps=fixed)
        cls.whole = results

    def post_only(self, case, inputs):
        """Findings of the phase after treatment, the other left out for speed."""
        keep = ("diagnostic", "y90_pet", "y90_ct")
        case = replace(
            case,
            images={role: entry for role, entry in case.images.items() if role in keep},
            registration_lps={"post": self.case.registration_lps["post"]},
            accepted={"activity-balance": "to see the rest"},
        )
        return finish(run_case(case, inputs)).findings["post"]

    def on_this_grid(self, case):
        return replace(case, settings=self.case.settings, registration_lps=self.case.registration_lps)

    def balance(self, case, inputs=None):
        found = self.post_only(case, inputs or self.loaded)
        return next((f for f in found if f.code == "activity-balance"), None)

    def test_of_the_patient_as_given_is_quiet(self):
        for findings in self.whole.findings.values():
            self.assertEqual([f for f in findings if f.severity != NOTE], [])

    def test_with_decay_counted_twice_is_named_where_the_scan_is_late_enough(self):
        # A day and more: the balance leaves its quiet range and names the cause. At 18 h it does not (listed below).
        case = self.on_this_grid(self.with_tags(SeriesDate="20260312", AcquisitionDate="20260312"))
        constants = constants_set(case.constants_set)
        later = constants.decay_factor(24.0)
        right = self.scaled_pet(later)
        self.assertIsNone(self.balance(case, right))
        twice = self.balance(case, self.scaled_pet(later / constants.decay_factor(42.0)))
        self.assertIn("counted twice", twice.mend)
        self.assertIsNone(self.balance(self.case, self.scaled_pet(GROWTH)))
        self.assertIn("decay-twice-soon", {item.code for item in UNDETECTABLE})

    def test_with_decay_not_undone_is_named(self):
        found = self.balance(self.on_this_grid(self.with_tags(DecayCorrection="ADMIN")))
        self.assertIn("decay over 18 h not undone", found.mend)

    def test_with_a_wrong_reference_time_is_named(self):
        late = self.on_this_grid(self.with_injections({"time": "2026-03-11T04:20:00"}, {"time": "2026-03-11T04:20:00"}))
        self.assertIn("administration-time", self.codes(late))
        images = dict(late.images)
        emission = replace(images["y90_pet"].emission, administration_time=None)
        images["y90_pet"] = replace(images["y90_pet"], emission=emission)
        bare = replace(late, images=images)
        self.assertNotIn("administration-time", self.codes(bare))
        self.assertIn("12 h too late", self.balance(bare).mend)

    def test_with_an_injection_missing_is_named(self):
        case = replace(self.case, injections=self.case.injections[:1])
        found = {f.code for f in self.post_only(case, self.loaded)}
        self.assertIn("outside-territories", found)

    def test_with_injections_exchanged_is_named(self):
        first, second = self.case.injections
        swapped = (replace(first, territory=second.territory), replace(second, territory=first.territory))
        found = {f.code for f in self.post_only(replace(self.case, injections=swapped), self.loaded)}
        self.assertIn("territory-activity", found)

    def test_with_the_liver_cut_off_is_named(self):
        pet = self.loaded.images["y90_pet"]
        for keep, severity in ((slice(70, None), "doubt"), (slice(95, None), "block")):
            part = pet.array[keep]
            geometry = pet.geometry.cropped((keep.start, 0, 0), part.shape)
            inputs = self.inputs(y90_pet=Volume(part, geometry))
            try:
                found = {f.code: f.severity for f in self.post_only(self.case, inputs)}
            except InputError as error:
                found = {error.code: "block"}
            self.assertIn(found.get("liver-cut"), ("doubt", "block"), (severity, found))

    def test_turned_upside_down_or_moved_is_named(self):
        spect = self.loaded.images["maa_spect"]
        keep = ("diagnostic", "maa_spect", "maa_ct")
        case = replace(
            self.case,
            images={role: entry for role, entry in self.case.images.items() if role in keep},
            registration_lps={"pre": self.case.registration_lps["pre"]},
        )
        inputs = self.inputs(maa_spect=Volume(spect.array[::-1].copy(), spect.geometry))
        found = {f.code for f in finish(run_case(case, inputs)).findings["pre"]}
        self.assertIn("counts-elsewhere", found)
        moved = np.array(self.case.registration_lps["pre"])
        moved[0, 3] += 20.0
        case = replace(case, registration_lps={"pre": tuple(map(tuple, moved.tolist()))})
        self.assertIn("registration", {f.code for f in finish(run_case(case, self.loaded)).findings["pre"]})

    def test_with_too_much_in_the_lungs_is_named(self):
        case = replace(self.case, lung_shunt_fraction=0.3)
        self.assertIn("lung-limit", {f.code for f in self.post_only(case, self.loaded)})


class TestTheList(MistakesTestCase):
    def test_is_sorted_worst_first_with_a_mend_for_each(self):
        case = replace(self.with_tags(Units=None, SeriesTime="140000"), injections=())
        findings = sort_findings(check_case(case, self.loaded), {})
        order = [{"block": 0, "doubt": 1, "note": 2}[f.severity] for f in findings]
        self.assertEqual(order, sorted(order))
        self.assertTrue(all(f.where and f.message for f in findings))
        self.assertTrue(all(f.mend for f in findings if f.severity != NOTE))

    def test_gives_the_reference_of_each_rule_that_has_one(self):
        finding = self.finding("decay-correction", self.with_tags(DecayCorrection=None))
        self.assertIn("PS3.3", finding_document(finding)["reference"])
        self.assertNotIn(
            "reference", finding_document(self.finding("no-injection", replace(self.made.case, injections=())))
        )

    def test_of_what_cannot_be_found_says_when_and_where_to_look(self):
        self.assertEqual(len({item.code for item in UNDETECTABLE}), len(UNDETECTABLE))
        for item in UNDETECTABLE:
            self.assertTrue(item.what and item.when and item.effect and item.look)

    def test_of_a_new_case_refuses_a_folder_of_two_patients(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        folder = Path(scratch.name)
        os.symlink(PATIENT / "diagnostic-ct", folder / "ct", target_is_directory=True)
        (folder / "other").mkdir()
        for path in sorted((PATIENT / "maa-spect-ct" / "spect").rglob("*.dcm")):
            dataset = pydicom.dcmread(path)
            dataset.PatientID = "OTHER"
            dataset.save_as(folder / "other" / path.name)
        for path in sorted((PATIENT / "y90-pet-ct" / "pet").rglob("*.dcm"))[:20]:
            os.symlink(path, folder / "other" / path.name)
        self.assertIn(self.refusal(lambda: finish(new_case(folder, folder))), ("several-patients", "missing-slice"))


if __name__ == "__main__":
    unittest.main()
