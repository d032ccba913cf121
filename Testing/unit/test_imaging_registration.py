"""Registration: sub-voxel over the liver's surface, from far away too, the same matrix every time."""

import json
import unittest

import numpy as np
from dicom_support import NO_SHARED, SHARED, RefusalMixin, coarse_patient, read_folder
from scipy.ndimage import binary_erosion
from scipy.spatial.transform import Rotation

from TARECOMETLib.imaging.image_files import read_contours
from TARECOMETLib.imaging.registration import identity, register_rigid
from TARECOMETLib.imaging.volume import Volume

HALF_A_VOXEL_MM = 3.5


def surface_points(liver):
    """Homogeneous LPS points of a contour's surface voxels."""
    index = np.argwhere(liver.array & ~binary_erosion(liver.array))[:, ::-1]
    return np.c_[index, np.ones(len(index))] @ liver.geometry.ijk_to_lps.T


def error_mm(found, true, points):
    """DEFINITIONS 10: the largest displacement against truth over the liver's surface."""
    there = points @ np.linalg.inv(true).T  # in the image's frame
    return float(np.linalg.norm((there @ found.T - points)[:, :3], axis=1).max())


def moved_by(degrees, shift_mm, center, seed):
    axis = np.random.default_rng(seed).normal(size=3)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix()
    matrix[:3, 3] = np.asarray(center) + shift_mm - matrix[:3, :3] @ center
    return matrix


class TestTheSamplePatient(RefusalMixin, unittest.TestCase):
    """Diagnostic CT of 5 mm voxels, the others 7 mm in plane; at clinical voxels the bar is 2 mm (DEFINITIONS 10)."""

    @classmethod
    def setUpClass(cls):
        patient = coarse_patient()
        truth = json.loads((patient / "phantom.truth.json").read_text())
        cls.fixed = read_folder(patient / "diagnostic-ct")
        cls.spect_ct, cls.pet_ct = (read_folder(patient / f / "ct") for f in ("maa-spect-ct", "y90-pet-ct"))
        cls.true_spect = np.array(truth["spect_to_ct_matrix_lps"])
        cls.true_pet = np.array(truth["pet_to_ct_matrix_lps"])
        cls.liver = read_contours(patient / "contours" / "liver.nrrd")[0][1]
        cls.points = surface_points(cls.liver)

    def test_lies_within_half_a_voxel_of_the_truth(self):
        for moving, true in ((self.spect_ct, self.true_spect), (self.pet_ct, self.true_pet)):
            got = register_rigid(self.fixed, moving, self.liver)
            self.assertGreater(error_mm(np.eye(4), true, self.points), 5.0, "there was nothing to find")
            self.assertLess(error_mm(got.matrix_lps, true, self.points), HALF_A_VOXEL_MM)
            self.assertGreater(got.quality, got.quality_before + 0.1)
            np.testing.assert_allclose(got.matrix_lps[:3, :3] @ got.matrix_lps[:3, :3].T, np.eye(3), atol=1e-9)

    def test_finds_the_patient_wherever_the_scanner_put_its_origin(self):
        center = self.points[:, :3].mean(axis=0)
        # 58 mm and 15 degrees overlap as they stand; 900 mm is another scanner's origin.
        for number, (degrees, shift) in enumerate(((15.0, (-40.0, 30.0, 30.0)), (6.0, (150.0, -200.0, -900.0)))):
            with self.subTest(degrees=degrees, shift=shift):
                extra = moved_by(degrees, shift, center, number)
                moving = Volume(self.pet_ct.array, self.pet_ct.geometry.transformed(extra))
                got = register_rigid(self.fixed, moving, self.liver)
                self.assertLess(
                    error_mm(got.matrix_lps, self.true_pet @ np.linalg.inv(extra), self.points), HALF_A_VOXEL_MM
                )

    def test_gives_the_same_matrix_every_time_on_whatever_grid_the_liver_was_drawn(self):
        index = np.argwhere(self.liver.array)
        lower, upper = index.min(axis=0), index.max(axis=0) + 1
        box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
        cropped = Volume(self.liver.array[box], self.liver.geometry.cropped(tuple(lower), tuple(upper - lower)))
        by_crop = register_rigid(self.fixed, self.pet_ct, cropped)
        by_array = register_rigid(self.fixed, self.pet_ct, self.liver.array)
        np.testing.assert_array_equal(by_crop.matrix_lps, by_array.matrix_lps)

    def test_works_without_a_liver_by_the_body(self):
        got = register_rigid(self.fixed, self.pet_ct)
        self.assertLess(error_mm(got.matrix_lps, self.true_pet, self.points), 5.0)

    def test_lays_ct_on_mr_by_mutual_information(self):
        # An MR-like image: fat and liver bright, muscle and bone dark, air 0, no Hounsfield units anywhere.
        hounsfield = self.fixed.array
        signal = np.interp(hounsfield, [-950, -150, -80, 20, 60, 130, 400], [0, 600, 900, 250, 300, 700, 80])
        mr = Volume(signal.astype(np.float32), self.fixed.geometry)
        got = register_rigid(mr, self.pet_ct, self.liver, fixed_is_ct=False)
        self.assertLess(error_mm(got.matrix_lps, self.true_pet, self.points), 4.0)
        self.assertTrue(0.0 < got.quality_before < got.quality <= 1.0)
        self.assertIn("MR", got.method)

    def test_refuses_images_with_nothing_in_common(self):
        empty = Volume(np.full(self.pet_ct.array.shape, -1000.0, dtype=np.float32), self.pet_ct.geometry)
        self.assert_refused(
            lambda: register_rigid(self.fixed, empty, self.liver, where="y90_ct"), "y90_ct", code="cannot-register"
        )

    def test_of_a_shared_frame_is_no_movement(self):
        np.testing.assert_array_equal(identity("shared").matrix_lps, np.eye(4))


@unittest.skipUnless((SHARED / "data" / "cases" / "case-a").is_dir(), NO_SHARED)
class TestTheSharedCase(unittest.TestCase):
    def test_is_registered_to_far_less_than_2_mm(self):
        import SimpleITK as sitk

        case = SHARED / "data" / "cases" / "case-a"
        truth = json.loads((case / "case-a.truth.json").read_text())
        fixed = read_folder(case / "diagnostic-ct")
        liver = read_contours(case / "contours" / "liver.nrrd")[0][1]
        points = surface_points(liver)
        center = fixed.geometry.ijk_to_lps @ [*(np.array(fixed.geometry.shape_kji[::-1]) - 1) / 2, 1.0]
        # The SPECT's CT is registered by the tests of the whole case.
        for key, folder in (("pet_to_ct", "y90-pet-ct"),):
            with self.subTest(key):
                angles, shift = truth[key]
                move = sitk.Euler3DTransform()
                move.SetCenter(center[:3].tolist())
                move.SetRotation(*np.radians(angles).tolist())
                move.SetTranslation(shift)
                true = np.eye(4)
                true[:3, :3] = np.reshape(move.GetMatrix(), (3, 3))
                true[:3, 3] = move.TransformPoint((0.0, 0.0, 0.0))
                got = register_rigid(fixed, read_folder(case / folder / "ct"), liver)
                self.assertLess(error_mm(got.matrix_lps, true, points), 1.0)
                self.assertGreater(got.quality, 0.95)


if __name__ == "__main__":
    unittest.main()
