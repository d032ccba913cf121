"""The case document: to text and back, refused by field, hashed over inputs and nothing else."""

import json
import math
import unittest
from dataclasses import replace

import numpy as np
from dicom_support import RefusalMixin

from TARECOMETLib.case.codec import decode, encode
from TARECOMETLib.case.document import (
    Case,
    CaseFiles,
    ContourEntry,
    ImageEntry,
    Injection,
    Settings,
    Tissue,
    case_from_json,
    case_to_json,
)
from TARECOMETLib.imaging.emission import EmissionFacts

RIGID = ((0.0, -1.0, 0.0, 5.0), (1.0, 0.0, 0.0, -3.0), (0.0, 0.0, 1.0, 7.5), (0.0, 0.0, 0.0, 1.0))


def full_case(**changes):
    """A case with every field set."""
    case = Case(
        case_id="P-01 Ä",
        images={
            "diagnostic": ImageEntry("CT", "venous", "1.2.3", "1.2", "P", "ab" * 32),
            "y90_pet": ImageEntry("PT", "PET", emission=EmissionFacts("Bq/mL", "START", "2026-03-11T05:20:00")),
        },
        contours=(ContourEntry("Liver", "liver"), ContourEntry("肝 T1", "tumour", "MR", "y90_pet", "cd" * 32)),
        injections=(Injection("1", "Liver", "2026-03-10T11:20:00", 1770.0, 80.0, 1820.0, 0.05),),
        lung_shunt_fraction=0.0266,
        lung_shunt_method="planar",
        settings=Settings(resolution_fwhm_mm={"y90_pet": 6.5}, tumour_tissue=Tissue(10.0, 1.5, -5.0)),
        registration_lps={"post": RIGID},
        accepted={"activity-balance": "residual was measured late"},
    )
    return replace(case, **changes)


FILES = CaseFiles({"diagnostic": "../ct", "y90_pet": "../pet"}, {"Liver": "liver.nrrd", "肝 T1": "t1.nrrd"})


def document(**changes):
    """The case file as an object, with fields changed; a dotted name reaches inside."""
    data = json.loads(case_to_json(full_case(), FILES))
    for name, value in changes.items():
        place, parts = data, name.split("__")
        for part in parts[:-1]:
            place = place[int(part) if part.isdigit() else part]
        place[int(parts[-1]) if parts[-1].isdigit() else parts[-1]] = value
    return data


def read(data):
    return case_from_json(json.dumps(data), "case.json")


class TestTheCaseFile(RefusalMixin, unittest.TestCase):
    def test_comes_back_as_it_was(self):
        text = case_to_json(full_case(), FILES)
        case, files = case_from_json(text, "case.json")
        self.assertEqual((case, files), (full_case(), FILES))
        self.assertEqual(case_to_json(case, files), text)
        self.assertEqual(list(json.loads(text))[:2], ["schema_version", "case_id"])
        self.assertIn("肝", text)

    def test_leaves_out_what_is_not_known(self):
        data = encode(full_case())
        self.assertNotIn("half_life_h", data["images"]["y90_pet"]["emission"])
        self.assertNotIn("emission", data["images"]["diagnostic"])

    def test_may_leave_out_every_field_with_a_default(self):
        case, files = read({"case_id": "x", "images": {}, "contours": []})
        self.assertEqual((case, files), (Case("x", {}, ()), CaseFiles()))

    def test_names_the_field_that_is_unknown_missing_or_mistyped(self):
        for change, words in (
            ({"lungshunt": 0.1}, ("case.lungshunt", "no such field", "lung_shunt_fraction")),
            ({"settings__dose_grid": 2}, ("case.settings.dose_grid", "dose_grid_mm")),
            ({"injections__0__vial_mbq": "1.77 GBq"}, ("case.injections[0].vial_mbq", "number", "1.77 GBq")),
            ({"injections__0__vial_mbq": True}, ("case.injections[0].vial_mbq", "number", "true/false")),
            ({"injections__0__vial_mbq": None}, ("case.injections[0].vial_mbq", "number", "null")),
            ({"injections": {}}, ("case.injections", "a list", "an object")),
            ({"contours__0": "Liver"}, ("case.contours[0]", "an object", "text")),
            ({"contours__0__name": 5}, ("case.contours[0].name", "text")),
            ({"images": []}, ("case.images", "an object", "a list")),
            ({"images__diagnostic__modality": None}, ("case.images.diagnostic.modality", "text", "null")),
            ({"schema_version": 1.5}, ("case.schema_version", "a whole number")),
            ({"registration_lps__post": [[1, 2], "x"]}, ("case.registration_lps.post[1]", "a list")),
            ({"accepted__activity-balance": 5}, ("case.accepted.activity-balance", "text")),
            ({"files__images": "here"}, ("files.images", "an object")),
            ({"files": 3}, ("files", "an object")),
        ):
            with self.subTest(change):
                self.assert_refused(lambda c=change: read(document(**c)), *words, code="case-field")
        read(document(injections__0__vial_mbq=1770))

    def test_refuses_numbers_that_are_none(self):
        for bad in ("NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400):
            text = json.dumps(document()).replace("1770.0", bad)
            self.assertNotEqual(text, json.dumps(document()))
            with self.subTest(bad[:20]):
                self.assert_refused(lambda t=text: case_from_json(t, "case.json"), "vial_mbq", "finite number")

    def test_refuses_what_is_no_json_object_and_says_where(self):
        self.assert_refused(lambda: case_from_json('{"a": 1,\n "b" 2}', "case.json"), "line 2", "column 6", code="json")
        for text in ("", "[]", "null", "3", '"x"', "[" * 100000, "9" * 5000, "\ufeff{}", "{" * 3):
            with self.subTest(text[:10]):
                self.assert_refused(lambda t=text: case_from_json(t, "case.json"), "case.json", code="json")

    def test_refuses_another_schema_version(self):
        self.assert_refused(lambda: read(document(schema_version=2)), "schema version is 2, expected 1")

    def test_can_hold_a_path_that_is_not_utf8(self):
        files = CaseFiles({"diagnostic": "L\udce4ber/ct"}, {})
        text = case_to_json(full_case(), files)
        text.encode("utf-8")
        self.assertEqual(case_from_json(text, "case.json")[1], files)


class TestWhatACaseRefuses(RefusalMixin, unittest.TestCase):
    def assert_twin(self, make, good, bad, *words, code=None):
        make(good)
        return self.assert_refused(lambda: make(bad), *words, code=code)

    def injection(self, **changes):
        return Injection(**({"id": "1", "territory": "R", "time": "2026-03-10T11:20:00", "vial_mbq": 100.0} | changes))

    def test_residual_above_or_at_the_vial(self):
        for bad in (100.0, 100.1, -0.1, math.nan, math.inf):
            self.assert_twin(lambda r: self.injection(residual_mbq=r), 99.9, bad, 'injection "1"', "residual")
        self.assert_refused(lambda: self.injection(residual_mbq=180.0), "180 MBq", "100 MBq", code="residual")

    def test_a_vial_without_activity(self):
        for bad in (0.0, -1.0, math.nan, math.inf):
            self.assert_twin(lambda v: self.injection(vial_mbq=v), 0.001, bad, "vial")

    def test_a_lung_shunt_that_is_no_fraction(self):
        for bad in (140.0, 1.0, 5.0, -0.01, math.nan):
            for make in (
                lambda f: self.injection(lung_shunt_fraction=f),
                lambda f: full_case(lung_shunt_fraction=f),
            ):
                self.assert_twin(make, 0.999, bad, "lung shunt fraction", "0.05", code="lung-shunt")

    def test_times_that_are_not_local_date_and_time(self):
        for bad in ("", "10.3.2026 11:20", "2026-03-10", "2026-03-10T11:20:00+01:00", "2026-02-30T11:20:00", "None"):
            self.assert_twin(
                lambda t: self.injection(time=t), "2026-03-10T00:00", bad, 'injection "1"', "time", code="time"
            )

    def test_roles_names_and_ids_that_are_unknown_or_twice(self):
        self.assert_twin(lambda r: ContourEntry("x", r), "other", "lesion", "lesion", "tumour")
        self.assert_twin(lambda n: ContourEntry(n, "liver"), "x", " ", "no name")
        self.assert_twin(lambda r: ContourEntry("x", "liver", drawn_on=r), "maa_ct", "ct", "drawn_on", "diagnostic")
        self.assert_twin(lambda r: full_case(images={r: ImageEntry("CT")}), "y90_ct", "ct", "images.ct", "y90_ct")
        self.assert_twin(
            lambda n: full_case(contours=(ContourEntry("Liver", "liver"), ContourEntry(n, "tumour"))),
            "T",
            "Liver",
            "Rename",
        )
        first = full_case().injections[0]
        self.assert_twin(lambda i: full_case(injections=(first, replace(first, id=i))), "2", "1", "two injections")
        self.assert_twin(lambda n: full_case(constants_set=n), "mird 49.67", "MIRD 50", "MIRD 49.67")

    def test_more_contours_than_can_be_told_apart(self):
        def make(count):
            return full_case(contours=tuple(ContourEntry(f"T{n}", "tumour") for n in range(count)))

        self.assert_twin(make, 63, 64, "at most 63, got 64")

    def test_settings_out_of_range(self):
        for name, good, bad in (
            ("liver_density_g_ml", 1.06, 1060.0),
            ("lung_mass_g", 800.0, 1.0),
            ("dose_grid_mm", 1.0, 0.1),
            ("dose_grid_mm", 6.0, math.nan),
            ("pre_calibration", "absolute", "suv"),
            ("resolution_fwhm_mm", {"maa_spect": 12.0}, {"maa_spect": 0.0}),
            ("resolution_fwhm_mm", {"maa_spect": 12.0}, {"spect": 12.0}),
        ):
            with self.subTest(name=name, bad=bad):
                self.assert_twin(lambda v, n=name: Settings(**{n: v}), good, bad, f"settings.{name}")

    def test_tissue_that_would_divide_by_zero(self):
        self.assert_twin(lambda v: Tissue(v, 2.5), 10.0, 0.0, "alpha_beta_gy")
        self.assert_twin(lambda v: Tissue(10.0, v), 2.5, -1.0, "repair_half_time_h")
        self.assert_twin(lambda v: Tissue(10.0, 2.5, v), -1.0, 0.0, "eud_exponent")

    def test_registrations_that_are_no_movement_of_a_phase(self):
        mirrored = np.diag([-1.0, 1.0, 1.0, 1.0]).tolist()
        for bad in (
            RIGID[:3],
            ((1.0,),) * 4,
            np.diag([2.0, 1, 1, 1]).tolist(),
            mirrored,
            (*RIGID[:3], (0, 0, 1.0, 1.0)),
        ):
            with self.subTest(bad):
                self.assert_twin(lambda m: full_case(registration_lps={"pre": m}), RIGID, bad, "rigid 4x4")
        self.assert_twin(lambda p: full_case(registration_lps={p: RIGID}), "pre", "before", "no such phase")

    def test_a_doubt_accepted_without_a_reason(self):
        self.assert_twin(lambda r: full_case(accepted={"liver-cut": r}), "dome only", "  ", "no reason")


class TestTheHash(unittest.TestCase):
    def test_does_not_depend_on_where_files_are_or_on_the_texts_layout(self):
        text = case_to_json(full_case(), FILES)
        elsewhere = case_to_json(full_case(), CaseFiles({"diagnostic": "D:/x"}, {}))
        shuffled = json.dumps(dict(reversed(list(json.loads(text).items()))), indent=None)
        hashes = {case_from_json(t, "case.json")[0].sha256() for t in (text, elsewhere, shuffled)}
        self.assertEqual(hashes, {full_case().sha256()})

    def test_is_the_same_for_whole_numbers_however_they_are_written(self):
        # A program says 1770, the file 1770.0.
        whole = full_case(injections=(Injection("1", "Liver", "2026-03-10T11:20:00", 1770, 80, 1820, 0.05),))
        self.assertEqual(whole.sha256(), full_case().sha256())
        self.assertEqual(case_from_json(case_to_json(whole, FILES), "c")[0].sha256(), whole.sha256())

    def test_changes_with_any_input(self):
        """Every leaf of the document in turn."""
        base = json.loads(case_to_json(full_case(), FILES))
        del base["files"]
        swaps = {
            "relative": "absolute", "absolute": "relative", "liver": "tumour", "tumour": "other",
            "diagnostic": "maa_ct",
            "y90_pet": "maa_ct", "MIRD 49.67": "ICRP 107", "2026-03-10T11:20:00": "2026-03-10T11:21:00",
            "2026-03-11T05:20:00": "2026-03-11T05:21:00",
        }  # fmt: skip
        seen, count = {full_case().sha256()}, 0

        def leaves(node, path):
            items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
            if items is None:
                yield path, node
            else:
                for key, value in items:
                    yield from leaves(value, [*path, key])

        for path, value in leaves(base, []):
            if path[0] in ("schema_version", "registration_lps"):
                continue
            data = json.loads(json.dumps(base))
            place = data
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = swaps.get(value, value + "x") if isinstance(value, str) else value * 1.001
            with self.subTest(path):
                seen.add(decode(Case, data, "case").sha256())
                count += 1
                self.assertEqual(len(seen), count + 1)
        self.assertGreater(count, 30)
        moved = ((*RIGID[0][:3], 5.001), *RIGID[1:])
        self.assertNotIn(full_case(registration_lps={"post": moved}).sha256(), seen)


if __name__ == "__main__":
    unittest.main()
