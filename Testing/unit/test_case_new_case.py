"""A case from a folder: roles proposed by tags and names, treatment read, what is damaged refused."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import ClassVar

import numpy as np
import SimpleITK as sitk
from dicom_support import (
    NO_SHARED,
    SHARED,
    RefusalMixin,
    coarse_patient,
    copy_of,
    ct_folder,
    edit,
    edit_all,
    load,
    nm_folder,
    pet_folder,
    propose,
    ramp,
    series_info,
    set_drug,
    set_tags,
)
from test_imaging_files import write_segmentation

from TARECOMETLib.case.document import case_from_json, case_to_json
from TARECOMETLib.case.roles import contour_role, match_territory, words
from TARECOMETLib.imaging.image_files import write_image
from TARECOMETLib.imaging.volume import Volume


class TestNamesOfContours(unittest.TestCase):
    def test_propose_roles(self):
        for role, names in {
            "liver": ("Liver", "LIVER_v2", "liver-final", "Foie", "Leber", "whole liver"),
            "tumour": (
                "GTV1", "gtv_liver", "Tumor 3", "tumour", "metastasis-t1", "Metastasis T2", "T4", "M2", "Lesion 12",
                "Läsion 3", "Métastase 2", "liver tumor", "HCC seg 8",
            ),
            "territory": ("Right lobe", "left-lobe-perfused", "Perfused volume", "Territory A", "Right liver"),
            "lung": ("Lungs", "left lung", "Lunge", "Poumon droit"),
            "other": ("Segment 2", "normal liver", "healthy_liver", "Liver minus GTV", "non-tumour liver", "spleen",
                      "Segmentation", "肝", "", "123"),
        }.items():  # fmt: skip
            for name in names:
                with self.subTest(name):
                    self.assertEqual(contour_role(name), role)

    def test_are_split_into_words_without_accents(self):
        self.assertEqual(words("GTV1_Läsion-Ärm 肝"), ["gtv", "1", "lasion", "arm", "肝"])


class TestTheTerritoryOfAnInjection(unittest.TestCase):
    def test_is_found_by_its_words(self):
        both = ["right-lobe-perfused", "left-lobe-perfused"]
        self.assertEqual(match_territory("right lobe", both), both[0])
        self.assertEqual(match_territory("LEFT", both), both[1])
        self.assertEqual(match_territory("Right lobe", ["right lobe", "right lobe 2"]), "right lobe")
        self.assertEqual(match_territory("右叶", ["左叶", "右叶"]), "右叶")

    def test_is_not_guessed(self):
        both = ["right-lobe-perfused", "left-lobe-perfused"]
        for wanted in ("lobe", "segment 4", "", "middle"):
            self.assertIsNone(match_territory(wanted, both))
        self.assertEqual(match_territory("", both[:1]), both[0])


class PatientTestCase(RefusalMixin, unittest.TestCase):
    """One coarse patient for all; each test damages its own copy."""

    @classmethod
    def setUpClass(cls):
        cls.patient = coarse_patient()

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)

    def copied(self):
        return copy_of(self.patient, self.root / "patient")


class TestTheSamplePatient(PatientTestCase):
    def test_is_understood_without_a_remark(self):
        made = propose(self.patient)
        self.assertEqual(made.remarks, ())
        self.assertEqual(
            {role: entry.modality for role, entry in made.case.images.items()},
            {"diagnostic": "CT", "maa_spect": "NM", "maa_ct": "CT", "y90_pet": "PT", "y90_ct": "CT"},
        )
        self.assertEqual([i.territory for i in made.case.injections], ["right-lobe", "left-lobe"])
        self.assertEqual([round(i.net_mbq, 9) for i in made.case.injections], [1670.0, 466.0])
        self.assertEqual(made.case.contours_of("liver"), ["liver"])
        self.assertEqual(len(made.case.contours_of("tumour")), 4)
        self.assertEqual(made.case.images["maa_spect"].emission.radionuclide, "Tc-99m")
        self.assertEqual(made.case.images["y90_pet"].emission.radionuclide, "Y-90")

    def test_reads_back_from_its_case_file_with_the_same_voxels(self):
        made = propose(self.patient)
        case, files = case_from_json(case_to_json(made.case, made.files), "case.json")
        inputs = load(case, files, self.patient)
        self.assertEqual(inputs.findings, [])
        self.assertEqual(
            (set(inputs.images), set(inputs.contours)), (set(case.images), {c.name for c in case.contours})
        )

    def test_is_the_same_case_wherever_it_lies_and_however_its_files_are_named(self):
        folder = self.root / "elsewhere"
        flat = folder / "dicom"
        flat.mkdir(parents=True)
        for number, path in enumerate(sorted(self.patient.rglob("*.dcm"), key=lambda p: p.name)):
            shutil.copy(path, flat / f"I{number * 7919 % 10007:05d}")
        shutil.copytree(self.patient / "contours", folder / "contours")
        shutil.copy(self.patient / "treatment.json", folder)
        moved, original = propose(folder), propose(self.patient)
        self.assertEqual(moved.case.sha256(), original.case.sha256())
        self.assertEqual(load(moved.case, moved.files, folder).findings, [])

    def test_may_have_a_series_spread_over_folders(self):
        folder = self.copied()
        second = folder / "diagnostic-ct" / "more"
        second.mkdir()
        for path in sorted((folder / "diagnostic-ct").glob("*.dcm"))[::2]:
            path.rename(second / path.name)
        made = propose(folder)
        self.assertEqual(made.case.sha256(), propose(self.patient).case.sha256())
        self.assertEqual(load(made.case, made.files, folder).findings, [])

    def test_changed_after_the_case_was_made_is_a_doubt(self):
        folder = self.copied()
        made = propose(folder)
        edit(next((folder / "maa-spect-ct" / "spect").iterdir()), set_tags(RescaleSlope="2"))
        findings = load(made.case, made.files, folder).findings
        self.assertEqual([(f.severity, f.code, f.where) for f in findings], [("doubt", "content-changed", "maa_spect")])

    def test_in_a_folder_called_contours_is_still_images(self):
        folder = copy_of(self.patient, self.root / "contours" / "P1")
        image = sitk.GetImageFromArray(np.zeros((3, 3, 3), dtype=np.float32))
        sitk.WriteImage(image, str(folder / "pet.nrrd"))
        self.assertTrue(any("pet.nrrd" in remark for remark in propose(folder).remarks))

    def test_of_two_patients_is_refused(self):
        folder = self.copied()
        edit_all(folder / "y90-pet-ct", set_tags(PatientID="SOMEONE-ELSE"))
        self.assert_refused(lambda: propose(folder), "SOMEONE-ELSE", "several patients", code="several-patients")
        edit_all(folder / "y90-pet-ct", set_tags(PatientID=""))
        propose(folder)


class TestImagesAmongOthers(PatientTestCase):
    """What real studies hold beside the images wanted."""

    def test_scouts_of_the_scanners_are_not_taken_for_their_ct(self):
        folder = self.copied()
        for name in ("maa-spect-ct", "y90-pet-ct"):
            header_of = sorted((folder / name / "ct").iterdir())[0]
            scout = folder / name / "scout.dcm"
            shutil.copy(header_of, scout)
            edit(
                scout,
                set_tags(
                    SeriesInstanceUID=f"1.2.{len(name)}",
                    SeriesDescription="Topogram",
                    ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
                    ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
                ),
            )
        self.assertEqual(propose(folder).case.sha256(), propose(self.patient).case.sha256())

    def test_planar_views_and_projections_are_not_taken_for_the_spect(self):
        folder = self.copied()
        for number, kind in enumerate(("STATIC", "WHOLE BODY", "TOMO")):
            path = folder / f"planar{number}.dcm"
            shutil.copy(next((folder / "maa-spect-ct" / "spect").iterdir()), path)
            edit(
                path,
                set_tags(
                    SeriesInstanceUID=f"1.2.3.{number}",
                    SeriesDescription="MAA lung shunt AC",
                    ImageType=["ORIGINAL", "PRIMARY", kind, "EMISSION"],
                ),
            )
        self.assertEqual(propose(folder).case.sha256(), propose(self.patient).case.sha256())

    def test_an_fdg_pet_gives_way_to_the_90y_pet(self):
        folder = self.copied()
        shutil.copytree(folder / "y90-pet-ct" / "pet", folder / "a-pet")
        edit_all(folder / "a-pet", set_tags(SeriesInstanceUID="1.2.9", SeriesDescription="PET AC"))

        def fluorine(dataset):
            item = dataset.RadiopharmaceuticalInformationSequence[0]
            item.RadionuclideCodeSequence[0].CodeValue = "77004003"
            item.RadionuclideCodeSequence[0].CodeMeaning = "^18^Fluorine"

        edit_all(folder / "a-pet", fluorine)
        edit_all(folder / "a-pet", set_drug(RadionuclideHalfLife="6586.2", Radiopharmaceutical="FDG"))
        made = propose(folder)
        self.assertEqual(made.case.images["y90_pet"].description, "Y90 PET liver AC")
        self.assertTrue(any("could be y90_pet too" in remark for remark in made.remarks), made.remarks)

    def test_a_bremsstrahlung_spect_is_told_from_maa(self):
        volume = ramp((6, 5, 4))
        info = series_info("brems", description="Y90 Bremsstrahlung SPECT AC")
        nm_folder(self.root / "spect", volume, info)
        edit_all(
            self.root / "spect",
            lambda d: setattr(
                d.RadiopharmaceuticalInformationSequence[0].RadionuclideCodeSequence[0], "CodeValue", "14691008"
            ),
        )
        self.assertEqual(list(propose(self.root).case.images), ["y90_spect"])

    def test_structures_in_dicom_are_mentioned(self):
        folder = self.copied()
        path = folder / "rt.dcm"
        shutil.copy(sorted((folder / "diagnostic-ct").iterdir())[0], path)
        edit(path, set_tags(Modality="RTSTRUCT", SeriesInstanceUID="1.2.7"))
        self.assertTrue(any("RTSTRUCT" in remark for remark in propose(folder).remarks))


class TestFilesWithoutTags(PatientTestCase):
    def folder(self):
        for name in ("ct.nrrd", "maa-spect.nii.gz", "y90-pet.nrrd"):
            write_image(self.root / name, ramp((8, 7, 6)))
        inside = np.zeros((8, 7, 6), dtype=np.uint8)
        inside[2:6, 2:6, 1:5] = 1
        write_image(self.root / "liver.nrrd", Volume(inside, ramp((8, 7, 6)).geometry))
        return self.root

    def test_get_roles_by_their_names_and_say_what_is_open(self):
        made = propose(self.folder())
        self.assertEqual(set(made.case.images), {"diagnostic", "maa_spect", "y90_pet"})
        self.assertEqual([(c.name, c.role) for c in made.case.contours], [("liver", "liver")])
        self.assertTrue(any("y90-pet.nrrd has no tags" in remark for remark in made.remarks))
        self.assertEqual(made.case.images["maa_spect"].emission.units, "counts")
        self.assertEqual(load(made.case, made.files, self.root).findings, [])

    def test_with_nan_or_infinity_are_refused(self):
        folder = self.folder()
        volume = ramp((8, 7, 6))
        for bad in (np.nan, np.inf):
            array = volume.array.copy()
            array[1, 2, 3] = bad
            write_image(folder / "y90-pet.nrrd", Volume(array, volume.geometry))
            self.assert_refused(lambda: propose(folder), "y90-pet.nrrd", "1 of 336 voxels", code="not-finite")

    def test_and_a_segmentation_of_slicer_with_overlaps(self):
        self.folder()
        (self.root / "liver.nrrd").unlink()
        first, second = np.zeros((2, 8, 7, 6), dtype=np.uint8)
        first[1:7], second[2:4, 2:4, 2:4], second[5, 5, 5] = 1, 1, 2
        segments = [("Liver", 0, 1), ("Tumor 3", 1, 1), ("Segment 2", 1, 2)]
        write_segmentation(self.root / "Segmentation.seg.nrrd", [first, second], segments)
        (self.root / "treatment.json").write_text(
            json.dumps({"injections": [{"territory": "segment 2", "vial_gbq": 1, "time": "2026-03-10T11:20:00"}]})
        )
        made = propose(self.root)
        roles = {c.name: c.role for c in made.case.contours}
        # Segment 2 is nothing by its name alone; the injection says that it is a territory.
        self.assertEqual(roles, {"Liver": "liver", "Tumor 3": "tumour", "Segment 2": "territory"})
        inputs = load(made.case, made.files, self.root)
        self.assertEqual(
            {n: int(v.array.sum()) for n, v in inputs.contours.items()}, {"Liver": 252, "Tumor 3": 8, "Segment 2": 1}
        )

    def test_with_an_empty_contour_are_refused(self):
        folder = self.folder()
        write_image(folder / "tumour.nrrd", Volume(np.zeros((8, 7, 6), dtype=np.uint8), ramp((8, 7, 6)).geometry))
        self.assert_refused(lambda: propose(folder), "tumour", "empty", code="empty-contour")

    def test_with_one_name_twice_are_refused(self):
        folder = self.folder()
        (folder / "contours").mkdir()
        shutil.copy(folder / "liver.nrrd", folder / "contours" / "liver.nrrd")
        self.assert_refused(lambda: propose(folder), 'contour "liver"', "two files")


class TestNoImages(PatientTestCase):
    def test_no_folder_an_empty_one_and_one_without_images_are_refused(self):
        self.assert_refused(lambda: propose(self.root / "nowhere"), "no such folder", code="no-file")
        self.assert_refused(lambda: propose(self.root), "no image found among 0", code="no-images")
        (self.root / "notes.txt").write_text("x")
        (self.root / "photo").write_bytes(bytes(3000))
        self.assert_refused(lambda: propose(self.root), "no image found among 2", code="no-images")
        ct_folder(self.root / "ct", ramp())
        self.assertEqual(list(propose(self.root).case.images), ["diagnostic"])

    def test_a_corrupt_folder_is_refused_by_file(self):
        pet_folder(self.root / "pet", ramp())
        path = sorted((self.root / "pet").iterdir())[1]
        path.write_bytes(path.read_bytes()[:200] + b"\xff" * 400)
        self.assert_refused(lambda: propose(self.root), "PT0002.dcm", code="corrupt-dicom")


class TestTreatmentJson(RefusalMixin, unittest.TestCase):
    """Beside a CT and two lobes of a few voxels."""

    TREATMENT: ClassVar = {
        "patient": "P",
        "device": "TheraSphere",
        "lung_shunt_fraction_planar": 0.05,
        "injections": [
            {"id": "right", "territory": "right lobe", "vial_gbq": 1.72, "residual_gbq": 0.05, "planned_gbq": 1.75,
             "time": "2026-04-14T14:05:00"},
            {"id": "left", "territory": "left lobe", "vial_gbq": 0.48, "residual_gbq": 0.014, "planned_gbq": 0.5,
             "time": "2026-04-14T14:50:00"},
        ],
        "resolution_fwhm_mm": {"spect": 12.0, "pet": 6.5},
    }  # fmt: skip

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        volume = ramp()
        ct_folder(self.folder / "ct", volume)
        nm_folder(self.folder / "spect", volume)
        for number, name in enumerate(("liver", "right-lobe", "left-lobe")):
            inside = np.zeros(volume.array.shape, dtype=np.uint8)
            inside[number] = 1
            write_image(self.folder / "contours" / f"{name}.nrrd", Volume(inside, volume.geometry))
        self.with_treatment(lambda data: None)
        self.whole = propose(self.folder).case.sha256()

    def with_treatment(self, change):
        data = json.loads(json.dumps(self.TREATMENT))
        change(data)
        (self.folder / "treatment.json").write_text(json.dumps(data))
        return self.folder

    def assert_treatment_refused(self, change, *words, code="case-field"):
        folder = self.with_treatment(change)
        return self.assert_refused(lambda: propose(folder), *words, code=code)

    def test_may_give_activities_in_gbq_or_mbq_and_be_written_by_notepad(self):
        def in_mbq(data):
            for item in data["injections"]:
                for name in ("vial", "residual", "planned"):
                    item[f"{name}_mbq"] = item.pop(f"{name}_gbq") * 1000.0

        folder = self.with_treatment(in_mbq)
        path = folder / "treatment.json"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        self.assertEqual(propose(folder).case.sha256(), self.whole)

    def test_of_the_wrong_types_names_the_field(self):
        def item(**changes):
            return lambda data: data["injections"][1].update(changes)

        for change, place in (
            (item(vial_gbq="1.77 GBq"), "injections[1], vial_gbq"),
            (item(vial_gbq=[1.77]), "injections[1], vial_gbq"),
            (item(vial_gbq=True), "injections[1], vial_gbq"),
            (item(residual_gbq={"value": 1}), "injections[1], residual_gbq"),
            (item(residual_gbq=float("nan")), "injections[1], residual_gbq"),
            (item(planned_gbq=float("inf")), "injections[1], planned_gbq"),
            (item(lung_shunt_fraction="5 %"), "injections[1], lung_shunt_fraction"),
            (item(time=["2026-03-10"]), "injections[1], time"),
            (item(territory=["left"]), "injections[1], territory"),
            (item(id={}), "injections[1], id"),
            (item(vial_gbq=None), "vial activity is missing"),
            (lambda d: d.update(injections=None), "injections"),
            (lambda d: d.update(injections={"right": 1}), "injections"),
            (lambda d: d.update(injections=[1.5]), "injections"),
            (lambda d: d.update(lung_shunt_fraction_planar="low"), "lung_shunt_fraction_planar"),
            (lambda d: d.update(resolution_fwhm_mm=[12, 6]), "resolution_fwhm_mm"),
            (lambda d: d["resolution_fwhm_mm"].update(pet="6 mm"), "resolution_fwhm_mm, pet"),
            (lambda d: d.update(patient={"name": "x"}), "patient"),
            (lambda d: d.update(device=[1]), "device"),
        ):
            with self.subTest(place):
                self.assert_treatment_refused(change, "treatment.json", place)
        propose(self.with_treatment(lambda data: None))

    def test_with_impossible_values_is_refused_beside_ones_that_pass(self):
        for bad, good, parts in (
            ({"residual_gbq": 2.0}, {"residual_gbq": 0.4}, ("residual of 2000 MBq", "480 MBq")),
            ({"residual_gbq": -0.1}, {"residual_gbq": 0.0}, ("residual",)),
            ({"vial_gbq": 0}, {"vial_gbq": 0.1}, ("vial",)),
            ({"lung_shunt_fraction": 140}, {"lung_shunt_fraction": 0.14}, ("140", "0.05")),
            ({"time": "14.4.2026"}, {"time": "2026-04-14 14:50"}, ("time",)),
            ({"time": None}, {"time": "2026-04-14T14:50"}, ("time",)),
            ({"id": "right"}, {"id": "L"}, ("two injections",)),
            ({"territory": "segment 4"}, {"territory": "LEFT LOBE"}, ("segment 4", "left-lobe, right-lobe")),
            ({"territory": "lobe"}, {"territory": "left"}, ("lobe", "left-lobe, right-lobe")),
        ):
            with self.subTest(bad):
                folder = self.with_treatment(lambda d, b=bad: d["injections"][1].update(b))
                self.assert_refused(lambda f=folder: propose(f), *parts)
                propose(self.with_treatment(lambda d, g=good: d["injections"][1].update(g)))

    def test_with_a_lung_shunt_of_140_is_refused(self):
        folder = self.with_treatment(lambda d: d.update(lung_shunt_fraction_planar=140))
        self.assert_refused(lambda: propose(folder), "140", "Write 5 % as 0.05", code="lung-shunt")
        folder = self.with_treatment(lambda d: d.update(lung_shunt_fraction_planar=0.14))
        self.assertEqual(propose(folder).case.lung_shunt_fraction, 0.14)

    def test_that_is_no_json_object_is_refused(self):
        folder = self.folder
        for content in (b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 50000, b"9" * 5000, b"{'a': 1}"):
            with self.subTest(content[:8]):
                (folder / "treatment.json").write_bytes(content)
                self.assert_refused(lambda: propose(folder), "treatment.json", code="json")

    def test_beside_an_older_one_counts_and_two_others_are_refused(self):
        folder = self.folder
        (folder / "treatment-draft.json").write_text("{}")
        self.assertEqual(propose(folder).case.sha256(), self.whole)
        (folder / "treatment.json").rename(folder / "treatment-final.json")
        self.assert_refused(lambda: propose(folder), "2 files", code="several-treatments")

    def test_may_be_missing(self):
        folder = self.folder
        (folder / "treatment.json").unlink()
        made = propose(folder)
        self.assertEqual(made.case.injections, ())
        self.assertTrue(any("treatment.json" in remark for remark in made.remarks))

    def test_may_send_everything_into_the_liver(self):
        def whole(data):
            data["injections"] = [data["injections"][0] | {"territory": "liver"}]

        self.assertEqual([i.territory for i in propose(self.with_treatment(whole)).case.injections], ["liver"])


@unittest.skipUnless((SHARED / "data" / "cases").is_dir(), NO_SHARED)
class TestTheSharedCases(unittest.TestCase):
    def test_are_understood_without_a_remark(self):
        for name, territories, delay_h in (
            ("case-a", ["right-lobe-perfused", "left-lobe-perfused"], 18.0),
            ("case-b", ["right-lobe-perfused"], 23.0),
        ):
            with self.subTest(name):
                folder = SHARED / "data" / "cases" / name
                made = propose(folder)
                self.assertEqual(made.remarks, ())
                self.assertEqual(set(made.case.images), {"diagnostic", "maa_spect", "maa_ct", "y90_pet", "y90_ct"})
                self.assertEqual([i.territory for i in made.case.injections], territories)
                self.assertEqual(len(made.case.contours_of("tumour")), 5)
                written = json.loads((folder / "treatment.json").read_text())
                self.assertEqual(made.case.lung_shunt_fraction, written["lung_shunt_fraction_planar"])
                facts = made.case.images["y90_pet"].emission
                self.assertEqual(facts.scan_start, written["pet_scan_start"])
                self.assertEqual(facts.decay_correction, "START" if name == "case-a" else "ADMIN")
                self.assertAlmostEqual(
                    (np.datetime64(facts.scan_start) - np.datetime64(made.case.injections[0].time))
                    / np.timedelta64(1, "h"),
                    delay_h,
                )


if __name__ == "__main__":
    unittest.main()
