"""The sample patient: conserved activity, true doses, readable DICOM, equal files for equal seeds."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import unittest
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from scipy.ndimage import binary_erosion, map_coordinates

from TARECOMETLib.errors import GeometryError, InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.phantom.acquisition import (
    AcquisitionParameters,
    RigidMove,
    deposit,
    emission_image,
    surrounding_grid,
)
from TARECOMETLib.phantom.anatomy import AnatomyParameters, build_anatomy
from TARECOMETLib.phantom.sample_patient import PhantomParameters, TreatmentParameters, make_sample_patient
from TARECOMETLib.phantom.uptake import UptakeParameters, make_distributions

SEED = 7
# The same code as the full patient's, with larger voxels.
MEDIUM = PhantomParameters(anatomy=AnatomyParameters(spacing_mm=(3.0, 3.0, 3.0)))
COARSE = PhantomParameters(
    anatomy=AnatomyParameters(spacing_mm=(5.0, 5.0, 5.0)),
    acquisition=AcquisitionParameters(
        spect_spacing_mm=(9.0, 9.0, 9.0), pet_spacing_mm=(8.0, 8.0, 7.0), ct_in_plane_mm=7.0
    ),
)


def read_series(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def geometry_of(image: sitk.Image) -> VolumeGeometry:
    return VolumeGeometry.from_components(
        image.GetSize()[::-1],
        spacing_mm=image.GetSpacing(),
        origin_lps_mm=image.GetOrigin(),
        direction_lps=np.reshape(image.GetDirection(), (3, 3)),
    )


def file_hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


class AnatomyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.anatomy = build_anatomy(AnatomyParameters(), seed=SEED)

    def volume_ml(self, mask: np.ndarray) -> float:
        return float(mask.sum()) * self.anatomy.geometry.voxel_volume_ml

    def test_organs_have_a_patients_sizes(self) -> None:
        self.assertTrue(1400.0 < self.volume_ml(self.anatomy.liver) < 1600.0)
        self.assertTrue(2700.0 < self.volume_ml(self.anatomy.lungs) < 3300.0)
        for plan in AnatomyParameters().tumours:
            self.assertAlmostEqual(self.volume_ml(self.anatomy.tumours[plan.name]), plan.volume_ml, delta=0.005)

    def test_lobes_part_the_liver_and_each_holds_a_tumour(self) -> None:
        a = self.anatomy
        self.assertTrue(np.array_equal(a.right_lobe | a.left_lobe, a.liver))
        self.assertFalse(np.any(a.right_lobe & a.left_lobe))
        self.assertFalse(np.any(a.liver & a.lungs))
        self.assertFalse(np.any(a.all_tumours & ~a.liver))
        for lobe in (a.right_lobe, a.left_lobe):
            self.assertTrue(any(not np.any(mask & ~lobe) for mask in a.tumours.values()))

    def test_axes_are_lps(self) -> None:
        def center(mask: np.ndarray) -> np.ndarray:
            index = np.argwhere(mask).mean(axis=0)[::-1]
            return (self.anatomy.geometry.ijk_to_lps @ np.append(index, 1.0))[:3]

        liver, lungs = center(self.anatomy.liver), center(self.anatomy.lungs)
        self.assertLess(liver[0], -30.0)
        self.assertGreater(lungs[2], liver[2] + 50.0)
        self.assertGreater(center(self.anatomy.left_lobe)[0], center(self.anatomy.right_lobe)[0])

    def test_no_organ_is_cut_by_the_field(self) -> None:
        for name, mask in self.anatomy.structures().items():
            for axis in range(3):
                for end in (0, -1):
                    self.assertFalse(mask.take(end, axis=axis).any(), name)

    def test_ct_numbers(self) -> None:
        hu = self.anatomy.to_field(self.anatomy.world_hounsfield(contrast=True))
        self.assertAlmostEqual(float(hu[self.anatomy.lungs].mean()), -730.0, delta=30.0)
        deep = binary_erosion(self.anatomy.tumours["2"], iterations=3)
        self.assertAlmostEqual(float(hu[deep].mean()), 70.0, delta=3.0)
        self.assertGreater(float(hu[self.anatomy.liver & ~self.anatomy.all_tumours].mean()), 95.0)

    def test_a_tumour_that_does_not_fit_is_refused(self) -> None:
        plans = AnatomyParameters().tumours
        huge = type(plans[0])("huge", (110.0, 0.0, 50.0), 20.0)
        with self.assertRaises(InputError):
            build_anatomy(AnatomyParameters(spacing_mm=(5.0, 5.0, 5.0), tumours=(*plans, huge)))


class EmissionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.anatomy = build_anatomy(MEDIUM.anatomy, seed=SEED)
        cls.injections = TreatmentParameters().injections
        cls.y90, cls.maa = make_distributions(cls.anatomy, cls.injections, UptakeParameters(), seed=SEED)

    def test_injections_are_spread_without_loss(self) -> None:
        net = sum(i.net_mbq for i in self.injections)
        for distribution in (self.y90, self.maa):
            total = distribution.total_mbq()
            self.assertAlmostEqual(total.sum() / net, 1.0, places=9)
            self.assertAlmostEqual(total[self.anatomy.lungs].sum() / net, 0.041, places=9)

    def test_tumour_to_normal_ratios_are_met(self) -> None:
        total = self.y90.total_mbq()
        for name, mask in self.anatomy.tumours.items():
            lobe = self.anatomy.left_lobe if np.any(mask & self.anatomy.left_lobe) else self.anatomy.right_lobe
            normal = lobe & ~self.anatomy.all_tumours
            self.assertAlmostEqual(total[mask].mean() / total[normal].mean(), self.y90.tumour_to_normal[name], places=6)
        self.assertNotEqual(self.y90.tumour_to_normal, self.maa.tumour_to_normal)

    def test_emission_images_keep_the_activity_and_its_place(self) -> None:
        p = AcquisitionParameters()
        activity = Volume(self.y90.total_mbq(), self.anatomy.geometry)
        for spacing, fwhm, move in (
            (p.spect_spacing_mm, p.spect_fwhm_mm, p.spect_to_ct),
            (p.pet_spacing_mm, p.pet_fwhm_mm, p.pet_to_ct),
        ):
            matrix = move.matrix_lps(self.anatomy.center_lps_mm)
            grid = surrounding_grid(self.anatomy.geometry, spacing, p.margin_mm)
            image = emission_image(activity, grid, matrix, fwhm)
            self.assertAlmostEqual(image.sum() / activity.array.sum(), 1.0, delta=1e-4)
            places = [
                (g.ijk_to_lps @ np.append([(np.indices(a.shape)[n] * a).sum() / a.sum() for n in (2, 1, 0)], 1.0))
                for a, g in ((image, grid), (activity.array, self.anatomy.geometry))
            ]
            np.testing.assert_allclose((matrix @ places[0])[:3], places[1][:3], atol=0.02)

    def test_resolution_is_the_stated_one(self) -> None:
        point = np.zeros((1, 1, 1)) + 5.0
        source = Volume(point, VolumeGeometry.from_components((1, 1, 1), spacing_mm=(1, 1, 1), origin_lps_mm=(1, 2, 3)))
        grid = VolumeGeometry.from_components((41, 41, 41), spacing_mm=(3, 3, 3), origin_lps_mm=(-60, -60, -60))
        image = emission_image(source, grid, np.eye(4), 12.0).sum(axis=(0, 1))
        x = -60.0 + 3.0 * np.arange(41)
        sigma = math.sqrt((image * (x - 1.0) ** 2).sum() / image.sum())
        self.assertAlmostEqual(sigma * 2.3548, 12.0, delta=0.15)

    def test_activity_outside_the_field_is_refused(self) -> None:
        activity = Volume(np.ones((4, 4, 4)), VolumeGeometry.from_components((4, 4, 4), spacing_mm=(2, 2, 2)))
        larger = VolumeGeometry.from_components((4, 4, 4), spacing_mm=(4, 4, 4), origin_lps_mm=(-4, -4, -4))
        with self.assertRaises(GeometryError):
            deposit(activity, larger.transformed(np.array([[1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])),
                    np.eye(4))  # fmt: skip
        self.assertAlmostEqual(deposit(activity, larger, np.eye(4)).sum(), 64.0)

    def test_move_is_simpleitks_euler_transform(self) -> None:
        move, center = RigidMove((3.0, -2.0, 4.0), (1.0, 2.0, 3.0)), np.array([5.0, -7.0, 30.0])
        transform = sitk.Euler3DTransform(center.tolist(), *np.radians(move.angles_deg).tolist(), move.shift_mm)
        point = (40.0, -20.0, 10.0)
        ours = move.matrix_lps(center) @ np.append(point, 1.0)
        np.testing.assert_allclose(ours[:3], transform.TransformPoint(point), atol=1e-9)


class SamplePatientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.keep = tempfile.TemporaryDirectory()
        cls.steps: list[float] = []
        cls.folder = make_sample_patient(
            Path(cls.keep.name) / "patient",
            seed=SEED,
            parameters=MEDIUM,
            progress=lambda share, text: cls.steps.append(share),
        )
        cls.truth = json.loads((cls.folder / "phantom.truth.json").read_text())
        cls.treatment = json.loads((cls.folder / "treatment.json").read_text())

    @classmethod
    def tearDownClass(cls) -> None:
        cls.keep.cleanup()

    def contour(self, name: str) -> np.ndarray:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(self.folder / "contours" / f"{name}.nrrd"))) > 0

    def test_folder_has_the_hospital_shape(self) -> None:
        for part in ("diagnostic-ct", "maa-spect-ct/ct", "maa-spect-ct/spect", "y90-pet-ct/ct", "y90-pet-ct/pet"):
            self.assertTrue(list((self.folder / part).glob("*.dcm")), part)
        names = {p.name for p in (self.folder / "contours").iterdir()}
        expected = ["liver", "right-lobe", "left-lobe", "lungs", *(f"metastasis-{n}" for n in range(1, 5))]
        self.assertEqual(names, {f"{name}.nrrd" for name in expected})
        self.assertEqual([p.name for p in self.folder.parent.iterdir()], ["patient"])
        self.assertEqual((self.steps[0], self.steps[-1]), (0.0, 1.0))
        self.assertEqual(self.steps, sorted(self.steps))

    def test_truth_doses_follow_from_activity_and_mass(self) -> None:
        for table in (self.truth["y90"], self.truth["maa_scaled"]):
            for name, row in table.items():
                self.assertAlmostEqual(
                    row["dose_local_gy"], 49.67 * row["activity_mbq"] / row["mass_g"], places=6, msg=name
                )
                if name != "Lungs":
                    self.assertAlmostEqual(row["mass_g"], 1.05 * row["volume_ml"], places=6)
        y90 = self.truth["y90"]
        for n in range(1, 5):
            self.assertTrue(150.0 < y90[f"Metastasis {n}"]["dose_local_gy"] < 350.0)
        for name in ("Normal liver", "Normal right", "Normal left"):
            self.assertTrue(40.0 < y90[name]["dose_local_gy"] < 80.0)
        net = sum(1000.0 * (i["vial_gbq"] - i["residual_gbq"]) for i in self.treatment["injections"])
        self.assertAlmostEqual(y90["Liver"]["activity_mbq"] + y90["Lungs"]["activity_mbq"], net, places=6)

    def test_truth_volumes_are_the_contours(self) -> None:
        image = sitk.ReadImage(str(self.folder / "contours" / "liver.nrrd"))
        self.assertEqual(image.GetPixelID(), sitk.sitkUInt8)
        ct = read_series(self.folder / "diagnostic-ct")
        self.assertEqual(image.GetSize(), ct.GetSize())
        np.testing.assert_allclose(image.GetOrigin(), ct.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(image.GetSpacing(), ct.GetSpacing(), atol=1e-4)
        voxel_ml = math.prod(image.GetSpacing()) / 1000.0
        self.assertAlmostEqual(
            self.contour("liver").sum() * voxel_ml, self.truth["y90"]["Liver"]["volume_ml"], places=6
        )

    def test_dicom_is_complete_and_three_frames_of_reference_differ(self) -> None:
        frames, sop = {}, set()
        for path in sorted(self.folder.rglob("*.dcm")):
            ds = pydicom.dcmread(path)
            self.assertEqual((str(ds.PatientName), ds.PatientID), ("TARE-PHANTOM", "TARE-PHANTOM"))
            sop.add(ds.SOPInstanceUID)
            frames.setdefault(path.relative_to(self.folder).parts[0], set()).add(ds.FrameOfReferenceUID)
        self.assertEqual(len(sop), len(list(self.folder.rglob("*.dcm"))))
        self.assertTrue(all(len(uids) == 1 for uids in frames.values()))
        self.assertEqual(len(set.union(*frames.values())), 3)

    def test_pet_header(self) -> None:
        files = sorted((self.folder / "y90-pet-ct" / "pet").glob("*.dcm"))
        ds = pydicom.dcmread(files[0], stop_before_pixels=True)
        drug = ds.RadiopharmaceuticalInformationSequence[0]
        self.assertEqual((ds.Units, ds.DecayCorrection, ds.NumberOfSlices), ("BQML", "START", len(files)))
        self.assertEqual(drug.RadionuclideHalfLife, 230580)
        start = datetime.strptime(ds.SeriesDate + ds.SeriesTime, "%Y%m%d%H%M%S")
        self.assertEqual(start.isoformat(), self.treatment["pet_scan_start"])
        injected = datetime.strptime(str(drug.RadiopharmaceuticalStartDateTime), "%Y%m%d%H%M%S")
        self.assertEqual((start - injected).total_seconds(), 18 * 3600)
        slopes = {float(pydicom.dcmread(f, stop_before_pixels=True).RescaleSlope) for f in files}
        self.assertGreater(len(slopes), len(files) // 2)

    def test_spect_is_in_whole_counts(self) -> None:
        path = self.folder / "maa-spect-ct" / "spect" / "SPECT.dcm"
        ds, image = pydicom.dcmread(path), sitk.ReadImage(str(path))
        counts = ds.pixel_array
        self.assertEqual(ds.CountsAccumulated, counts.sum(dtype=np.int64))
        self.assertAlmostEqual(counts.sum(dtype=np.int64) / 6.0e6, 1.0, delta=0.005)
        self.assertEqual(image.GetSize()[::-1], counts.shape)
        np.testing.assert_allclose(image.GetSpacing(), (4.4196,) * 3, atol=1e-4)
        np.testing.assert_allclose(image.GetOrigin(), ds.ImagePositionPatient, atol=1e-4)

    def test_pet_decayed_back_is_the_truth(self) -> None:
        pet = read_series(self.folder / "y90-pet-ct" / "pet")
        values, grid = sitk.GetArrayFromImage(pet), geometry_of(pet)
        ct = geometry_of(read_series(self.folder / "diagnostic-ct"))
        matrix = ct.lps_to_ijk @ np.array(self.truth["pet_to_ct_matrix_lps"]) @ grid.ijk_to_lps
        index = np.indices(grid.shape_kji)[::-1].reshape(3, -1)
        place = (matrix[:3, :3] @ index + matrix[:3, 3:])[::-1]

        def on_pet(mask: np.ndarray) -> np.ndarray:
            found = map_coordinates(mask.astype(np.uint8), place, order=0, mode="constant", cval=0)
            return found.reshape(grid.shape_kji) > 0

        left = {i["id"]: 0.5 ** (h / 64.05) for i, h in zip(self.treatment["injections"], (18.0, 17.25), strict=True)}
        tumours = np.any([self.contour(f"metastasis-{n}") for n in range(1, 5)], axis=0)
        for side in ("right", "left"):
            # Well inside a lobe's normal liver neither edges nor neighbours matter.
            lobe = self.contour(f"{side}-lobe") & ~tumours
            inside = on_pet(binary_erosion(lobe, iterations=3))
            row = self.truth["y90"][f"Normal {side}"]
            expected = row["activity_mbq"] / row["volume_ml"] * left[side] * 1e6
            self.assertAlmostEqual(values[inside].mean() / expected, 1.0, delta=0.06, msg=side)
        # All of the field holds the decayed activity and the stated bias (a body of 14-24 L).
        total_mbq = values.sum() * grid.voxel_volume_ml / 1e6
        true_mbq = self.truth["net_mbq_at_t0"] * left["right"]
        self.assertTrue(14.0 * 4.0 < total_mbq - true_mbq < 24.0 * 4.0 + 20.0, total_mbq - true_mbq)

    def test_a_folder_that_is_not_empty_is_refused_and_left_alone(self) -> None:
        before = file_hashes(self.folder / "contours")
        with self.assertRaises(InputError) as caught:
            make_sample_patient(self.folder, parameters=COARSE)
        self.assertIn(str(self.folder), str(caught.exception))
        self.assertEqual(file_hashes(self.folder / "contours"), before)


class RepeatTest(unittest.TestCase):
    def test_equal_seeds_give_equal_files_and_other_seeds_do_not(self) -> None:
        with tempfile.TemporaryDirectory() as keep:
            (Path(keep) / "a").mkdir()  # an empty folder is as good as none
            a, b, c = (
                file_hashes(make_sample_patient(Path(keep) / name, seed=seed, parameters=COARSE))
                for name, seed in (("a", 1), ("b", 1), ("c", 2))
            )
        self.assertEqual(a, b)
        self.assertEqual(a.keys(), c.keys())
        self.assertNotEqual(a["y90-pet-ct/pet/PT0030.dcm"], c["y90-pet-ct/pet/PT0030.dcm"])

    def test_nothing_half_written_stays(self) -> None:
        def stop(share: float, text: str) -> None:
            if share > 0.3:
                raise KeyboardInterrupt

        with tempfile.TemporaryDirectory() as keep:
            with self.assertRaises(KeyboardInterrupt):
                make_sample_patient(Path(keep) / "patient", parameters=COARSE, progress=stop)
            self.assertEqual(list(Path(keep).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
