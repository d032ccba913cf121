"""What a case is refused for before any dose is computed, each beside the nearest case that passes."""

import json
import unittest
from dataclasses import replace

import numpy as np
from dicom_support import RefusalMixin, coarse_case, coarse_patient, load
from scipy.ndimage import shift as shifted

from TARECOMETLib.case.checks import check_case
from TARECOMETLib.case.findings import BLOCK, DOUBT, NOTE, Finding, from_error, refuse_blocks, sort_findings
from TARECOMETLib.case.inputs import Inputs
from TARECOMETLib.case.lung import is_cut
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.workflow import run_case
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume


class LoadedCase(RefusalMixin, unittest.TestCase):
    """One coarse patient, loaded once; tests change copies."""

    @classmethod
    def setUpClass(cls):
        cls.folder = coarse_patient()
        cls.made, cls.loaded = coarse_case()

    def case(self, **changes):
        return replace(self.made.case, **changes)

    def inputs(self, **contours):
        """The loaded inputs, with contours' arrays replaced."""
        changed = dict(self.loaded.contours)
        for name, array in contours.items():
            drawn = name.replace("_", "-")
            changed[drawn] = Volume(array, changed[drawn].geometry)
        return Inputs(dict(self.loaded.images), changed, [])

    def with_facts(self, role, **changes):
        entry = self.made.case.images[role]
        images = dict(self.made.case.images)
        images[role] = replace(entry, emission=replace(entry.emission, **changes))
        return self.case(images=images)

    def found(self, case, inputs=None, at_least=DOUBT):
        severities = {BLOCK: (BLOCK,), DOUBT: (BLOCK, DOUBT)}[at_least]
        return [(f.severity, f.code) for f in check_case(case, inputs or self.loaded) if f.severity in severities]

    def assert_blocked(self, case, inputs, code, *words):
        findings = [f for f in check_case(case, inputs) if f.severity == BLOCK]
        self.assertEqual([f.code for f in findings], [code])
        error = self.assert_refused(lambda: finish(run_case(case, inputs)), *words, code=code)
        self.assertTrue(findings[0].mend, "no mend")
        return error


class TestTheWholePatient(LoadedCase):
    def test_has_nothing_to_block_or_doubt(self):
        self.assertEqual(self.found(self.made.case), [])

    def test_without_liver_injections_or_emission_images_is_blocked(self):
        contours = tuple(c for c in self.made.case.contours if c.role != "liver")
        self.assertEqual(self.found(self.case(contours=contours)), [(BLOCK, "no-liver")])
        self.assertEqual(self.found(self.case(injections=())), [(BLOCK, "no-injection")])
        images = {role: entry for role, entry in self.made.case.images.items() if entry.emission is None}
        self.assertEqual(self.found(self.case(images=images)), [(BLOCK, "no-emission-image")])

    def test_with_an_injection_into_no_contour_is_blocked(self):
        injection = replace(self.made.case.injections[0], territory="segment 4")
        self.assertIn((BLOCK, "territory"), self.found(self.case(injections=(injection,))))
        into_liver = replace(injection, territory="liver")
        # One of two injections is left: only the header's dose tells of it.
        self.assertEqual(self.found(self.case(injections=(into_liver,))), [(DOUBT, "administered-activity")])

    def test_of_two_persons_images_is_blocked(self):
        images = dict(self.made.case.images)
        images["y90_ct"] = replace(images["y90_ct"], patient_id="OTHER")
        self.assertEqual(self.found(self.case(images=images)), [(BLOCK, "several-patients")])


class TestDates(LoadedCase):
    def at(self, *times):
        injections = tuple(replace(i, time=t) for i, t in zip(self.made.case.injections, times, strict=True))
        case = self.with_facts("y90_pet", administration_time=None)
        return replace(case, injections=injections)

    def test_of_injections_lie_between_maa_and_pet(self):
        # MAA on 2 April 10:40, injections on 14 April, PET on 15 April 8:05.
        apart = self.at("2026-04-02T10:41", "2026-04-15T08:04")
        self.assertEqual([code for _, code in self.found(apart) if code == "dates"], [])
        self.assertIn((DOUBT, "late-scan"), self.found(apart))
        late = self.at("2026-04-14T14:05", "2026-04-15T08:06")
        self.assert_blocked(late, self.loaded, "dates", "before injection", "2026-04-15T08:06")
        early = self.at("2026-04-02T10:39", "2026-04-14T14:50")
        # Thirteen days of decay do not fit the PET's activity either.
        self.assertEqual([c for s, c in self.found(early) if s == BLOCK], ["dates", "field-activity"])
        self.assert_refused(lambda: finish(run_case(early, self.loaded)), "after injection", code="dates")

    def test_of_header_and_case_that_differ_by_over_an_hour_are_a_doubt(self):
        for time, expected in (("2026-04-14T13:06", []), ("2026-04-14T12:04", [(DOUBT, "administration-time")])):
            self.assertEqual(self.found(self.with_facts("y90_pet", administration_time=time)), expected)

    def test_are_compared_as_times_not_as_text(self):
        # A blank sorts before a T: 14:50 of the 14th with a blank must not come before 14:05 with a T.
        first, second = self.made.case.injections
        injections = (replace(second, time="2026-04-14 14:50"), first)
        case = replace(self.with_facts("y90_pet", administration_time="2026-04-14T13:10"), injections=injections)
        self.assertEqual(self.found(case), [])


class TestEmissionImages(LoadedCase):
    def test_in_units_that_tags_cannot_convert_are_blocked(self):
        for units in ("PROPCPS", "SUVlbm", None):
            self.assert_blocked(self.with_facts("y90_pet", units=units), self.loaded, "units", "y90_pet", "Bq/mL")
        # Bq/mL taken for SUV is 1500 MBq / 56 kg too much, and said.
        suv = self.with_facts("y90_pet", units="SUVbw (g/mL)")
        self.assertEqual(self.found(suv), [(BLOCK, "field-activity")])

    def test_decayed_with_another_nuclides_half_life_are_blocked(self):
        self.assert_blocked(
            self.with_facts("y90_pet", half_life_h=1.8295), self.loaded, "wrong-half-life", "1.829", "Y-90"
        )
        self.assertEqual(self.found(self.with_facts("y90_pet", half_life_h=64.2)), [])
        self.assertEqual(self.found(self.with_facts("y90_pet", half_life_h=None)), [])

    def test_without_times_or_decay_correction_are_blocked(self):
        self.assert_blocked(self.with_facts("y90_pet", scan_start=None), self.loaded, "time", "scan_start")
        self.assert_blocked(self.with_facts("y90_pet", decay_correction=None), self.loaded, "decay-correction")

    def test_of_another_nuclide_are_blocked_or_doubted(self):
        self.assertEqual(self.found(self.with_facts("y90_pet", radionuclide="^18^Fluorine")), [(BLOCK, "nuclide")])
        self.assertEqual(self.found(self.with_facts("maa_spect", radionuclide="Y-90")), [(DOUBT, "nuclide")])

    def test_of_maa_are_never_absolute(self):
        settings = replace(self.made.case.settings, pre_calibration="absolute")
        self.assertEqual(self.found(self.case(settings=settings)), [(BLOCK, "units")])

    def test_with_no_counts_in_a_territory_are_refused(self):
        inputs = self.inputs()
        spect = inputs.images["maa_spect"]
        inputs.images["maa_spect"] = Volume(np.zeros_like(spect.array), spect.geometry)
        here = tuple(tuple(row) for row in np.eye(4).tolist())
        case = self.case(registration_lps={"pre": here, "post": here})  # nothing to wait for
        self.assert_refused(lambda: finish(run_case(case, inputs)), "no counts", code="no-counts")


class TestContours(LoadedCase):
    def test_that_are_empty_are_blocked_and_of_one_voxel_pass(self):
        name = "metastasis_1"
        array = np.zeros_like(self.loaded.contours["metastasis-1"].array)
        self.assert_blocked(self.made.case, self.inputs(**{name: array}), "empty-contour", "metastasis-1", "empty")
        array[tuple(np.argwhere(self.loaded.contours["metastasis-1"].array)[0])] = True
        self.assertEqual(self.found(self.made.case, self.inputs(**{name: array})), [])

    def test_outside_their_image_are_blocked(self):
        inputs = self.inputs()
        tumour = inputs.contours["metastasis-1"]
        far = np.eye(4)
        far[2, 3] = 2000.0
        inputs.contours["metastasis-1"] = Volume(tumour.array, tumour.geometry.transformed(far))
        self.assert_blocked(self.made.case, inputs, "outside-image", "metastasis-1", "100 %", "diagnostic")

    def test_on_the_very_edge_of_their_image_pass(self):
        inputs = self.inputs()
        lungs = inputs.contours["lungs"]
        edge = np.zeros_like(lungs.array)
        edge[0, 0, :], edge[-1, -1, -1] = True, True
        inputs.contours["lungs"] = Volume(edge, lungs.geometry)
        self.assertEqual(self.found(self.made.case, inputs), [(DOUBT, "contour-values")])  # air and skin, no lung

    def tumour_beside_liver(self, share_outside):
        """A row of voxels that leaves the liver."""
        liver = self.loaded.contours["liver"].array
        k, j, _ = (int(x) for x in np.argwhere(liver)[len(np.argwhere(liver)) // 2])
        row = np.flatnonzero(liver[k, j])
        last = int(row[np.flatnonzero(np.diff(row) > 1)[0]]) if np.any(np.diff(row) > 1) else int(row[-1])
        count, outside = 10, round(10 * share_outside)
        array = np.zeros_like(liver)
        array[k, j, last + 1 - (count - outside) : last + 1 + outside] = True
        self.assertEqual(int((array & ~liver).sum()), outside)
        return self.inputs(metastasis_1=array)

    def test_of_tumours_mostly_outside_the_liver_are_blocked_and_partly_are_a_doubt(self):
        self.assert_blocked(self.made.case, self.tumour_beside_liver(0.6), "outside-liver", "60 %", "metastasis-1")
        for share, expected in (
            (0.5, [(DOUBT, "partly-outside-liver")]),
            (0.1, [(DOUBT, "partly-outside-liver")]),
            (0.0, []),
        ):
            self.assertEqual(self.found(self.made.case, self.tumour_beside_liver(share)), expected)

    def test_drawn_on_another_grid_are_compared_by_place(self):
        inputs = self.inputs()
        tumour = inputs.contours["metastasis-1"]
        fine = VolumeGeometry.from_components(
            tuple(2 * n for n in tumour.array.shape),
            spacing_mm=tuple(s / 2 for s in tumour.geometry.spacing_mm),
            origin_lps_mm=tuple(
                o - s / 4 for o, s in zip(tumour.geometry.origin_lps_mm, tumour.geometry.spacing_mm, strict=True)
            ),
        )
        array = tumour.array.repeat(2, 0).repeat(2, 1).repeat(2, 2)
        inputs.contours["metastasis-1"] = Volume(array, fine)
        self.assertEqual(self.found(self.made.case, inputs), self.found(self.made.case))

    def test_that_are_not_drawn_are_notes(self):
        contours = tuple(c for c in self.made.case.contours if c.role not in ("tumour", "lung"))
        notes = {f.code for f in check_case(self.case(contours=contours), self.loaded) if f.severity == NOTE}
        self.assertEqual(notes, {"no-tumour", "no-lungs"})


class TestFiles(LoadedCase):
    def test_that_the_case_does_not_name_or_that_are_gone_are_refused(self):
        case, files = self.made.case, self.made.files
        for change, words in (
            ({"images": {}}, ("files.images.", "path is missing")),
            ({"images": dict(files.images, y90_ct="gone")}, ("gone", "no such file")),
            ({"images": dict(files.images, y90_ct="contours/liver.nrrd/x")}, ("no such file",)),
            ({"images": dict(files.images, y90_ct="a\x00b")}, ("no such file",)),
            ({"images": dict(files.images, y90_ct="contours")}, ("expected series",)),
            ({"images": dict(files.images, y90_ct="treatment.json")}, ("expected series",)),
            ({"contours": {}}, ("files.contours", "path is missing")),
            ({"contours": dict(files.contours, liver="contours")}, ("no such file",)),
            ({"contours": dict(files.contours, liver="treatment.json")}, ("cannot be read",)),
        ):
            with self.subTest(words):
                self.assert_refused(lambda c=change: load(case, replace(files, **c), self.folder), *words)
        load(case, files, self.folder)

    def test_may_hold_another_name_where_they_hold_one_contour_only(self):
        contours = tuple(replace(c, name="My liver") if c.name == "liver" else c for c in self.made.case.contours)
        paths = {"My liver" if name == "liver" else name: path for name, path in self.made.files.contours.items()}
        inputs = load(self.case(contours=contours), replace(self.made.files, contours=paths), self.folder)
        np.testing.assert_array_equal(inputs.contours["My liver"].array, self.loaded.contours["liver"].array)


class TestFindings(unittest.TestCase):
    def test_are_sorted_worst_first_and_doubts_carry_their_reason(self):
        given = [Finding(NOTE, "n", "a", "b"), Finding(DOUBT, "d", "a", "b"), Finding(BLOCK, "x", "a", "b", "c")]
        found = sort_findings(given, {"d": "seen", "x": "no"})
        self.assertEqual([(f.code, f.accepted) for f in found], [("x", None), ("d", "seen"), ("n", None)])

    def test_are_one_sentence_each(self):
        self.assertEqual(Finding(NOTE, "n", "liver", "it is cut.", "Look").sentence(), "liver: it is cut. Look.")
        self.assertEqual(from_error(InputError("a", "b", "c", "d")), Finding(BLOCK, "d", "a", "b", "c"))

    def test_that_block_are_raised_with_how_many_there_are(self):
        refuse_blocks([Finding(DOUBT, "d", "a", "b")])
        with self.assertRaises(InputError) as caught:
            refuse_blocks([Finding(BLOCK, "x", "a", "b", "c"), Finding(BLOCK, "y", "a", "b", "c")])
        self.assertEqual(caught.exception.code, "x")
        self.assertIn("1 more", str(caught.exception))


class TestLungs(unittest.TestCase):
    def lung(self, cut, upside_down=False):
        """A cone of 20 slices with its apex at the top; cut in the middle where asked."""
        z, y, x = np.meshgrid(np.arange(20), np.arange(21) - 10, np.arange(21) - 10, indexing="ij")
        array = np.hypot(x, y) <= 10.0 * (1.0 - z / 19.0)
        array = array[:10] if cut else array
        geometry = VolumeGeometry.from_components(array.shape, spacing_mm=(2.0, 2.0, 2.0))
        if upside_down:
            flip = np.diag([1.0, 1.0, -1.0, 1.0])
            return Volume(array[::-1], geometry.transformed(flip))
        return Volume(array, geometry)

    def test_are_cut_where_they_end_without_an_apex(self):
        for upside_down in (False, True):
            self.assertFalse(is_cut([self.lung(False, upside_down)]))
            self.assertTrue(is_cut([self.lung(True, upside_down)]))

    def test_of_different_height_are_summed_by_slice(self):
        whole = self.lung(False)
        lower = Volume(shifted(whole.array.astype(float), (-3, 0, 0), order=0) > 0.5, whole.geometry)
        self.assertFalse(is_cut([whole, lower]))
        self.assertTrue(is_cut([Volume(np.zeros_like(whole.array), whole.geometry)]))


class TestTheTreatmentFile(LoadedCase):
    def test_of_the_sample_patient_is_what_the_case_says(self):
        written = json.loads((self.folder / "treatment.json").read_text())
        self.assertEqual(self.made.case.lung_shunt_fraction, written["lung_shunt_fraction_planar"])
        self.assertEqual(self.made.case.settings.resolution_fwhm_mm, {"maa_spect": 12.0, "y90_pet": 6.5})


if __name__ == "__main__":
    unittest.main()
