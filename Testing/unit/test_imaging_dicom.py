"""DICOM series as they come: any order, name and layout; damaged ones refused in one line, their neighbors read."""

import random
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from dicom_support import (
    NO_SHARED,
    OBLIQUE,
    SHARED,
    RefusalMixin,
    ct_folder,
    edit,
    edit_all,
    nm_folder,
    only_series,
    pet_folder,
    ramp,
    read_folder,
    series_info,
    set_tags,
)
from pydicom.uid import ExplicitVRLittleEndian

from TARECOMETLib.imaging.dicom_series import read_series, scan_dicom
from TARECOMETLib.imaging.geometry import same_grid


class FolderTestCase(RefusalMixin, unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        self.folder = self.root / "series"

    def files(self):
        return sorted(p for p in self.folder.rglob("*") if p.is_file())

    def assert_same(self, got, expected, atol=0.0):
        self.assertTrue(same_grid(expected.geometry, got.geometry), got.geometry.ijk_to_lps)
        np.testing.assert_allclose(got.array, expected.array, atol=atol)


def simpleitk_reads(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


class TestSlicesOfASeries(FolderTestCase):
    def test_come_back_with_values_and_places(self):
        for direction in (None, OBLIQUE, OBLIQUE[:, [2, 0, 1]]):
            shutil.rmtree(self.folder, ignore_errors=True)
            volume = ramp(direction=direction)
            self.assert_same(read_folder(ct_folder(self.folder, volume)), volume)

    def test_agree_with_simpleitk(self):
        for direction in (None, OBLIQUE):
            shutil.rmtree(self.folder, ignore_errors=True)
            got = read_folder(ct_folder(self.folder, ramp(direction=direction)))
            image = simpleitk_reads(self.folder)
            np.testing.assert_allclose(got.geometry.spacing_mm, image.GetSpacing(), rtol=1e-5)
            np.testing.assert_allclose(got.geometry.origin_lps_mm, image.GetOrigin(), atol=1e-4)
            np.testing.assert_allclose(got.geometry.direction_lps.ravel(), image.GetDirection(), atol=1e-5)
            np.testing.assert_array_equal(got.array, sitk.GetArrayFromImage(image))

    def test_are_sorted_by_place_whatever_their_names_and_numbers(self):
        volume = ramp((9, 4, 3))
        ct_folder(self.folder, volume)
        order = list(range(9))
        random.Random(3).shuffle(order)
        for number, path in zip(order, self.files(), strict=True):
            edit(path, set_tags(InstanceNumber=number))
            path.rename(self.folder / f"IM{number:06d}")  # no extension, as on a CD
        self.assert_same(read_folder(self.folder), volume)

    def test_stacked_from_head_to_feet_are_the_same_image(self):
        volume = ramp()
        ct_folder(self.folder, volume)
        paths = self.files()
        for number, path in enumerate(paths):
            edit(path, set_tags(InstanceNumber=len(paths) - number))
            path.rename(self.folder / f"z{len(paths) - number}.dcm")
        self.assert_same(read_folder(self.folder), volume)

    def test_are_rescaled_slice_by_slice(self):
        volume = ramp((6, 4, 3))
        pet_folder(self.folder, volume)
        slopes = {float(pydicom.dcmread(p).RescaleSlope) for p in self.files()}
        self.assertEqual(len(slopes), 6)
        # One stored step of the brightest slice: 71 / 32767.
        self.assert_same(read_folder(self.folder), volume, atol=71.0 / 32767)

    def test_take_slope_and_intercept_as_one_and_zero_where_they_are_missing(self):
        volume = ramp()
        ct_folder(self.folder, volume)
        edit_all(self.folder, set_tags(RescaleSlope=None, RescaleIntercept=None))
        self.assert_same(read_folder(self.folder), volume)

    def test_are_read_where_the_network_compressed_them(self):
        volume = ramp()
        ct_folder(self.folder, volume)
        for path in self.files():
            dataset = pydicom.dcmread(path)
            dataset.compress(pydicom.uid.RLELossless)
            dataset.save_as(path)
        self.assert_same(read_folder(self.folder), volume)

    def test_are_read_where_pydicom_has_no_decoder(self):
        volume = ramp((3, 16, 16))
        ct_folder(self.folder, volume)
        for path in self.files():
            plain = pydicom.dcmread(path)
            image = sitk.ReadImage(str(path))
            writer = sitk.ImageFileWriter()
            writer.SetFileName(str(path))
            writer.UseCompressionOn()
            writer.SetCompressor("JPEG2000")
            writer.KeepOriginalImageUIDOn()
            writer.Execute(image)
            packed = pydicom.dcmread(path)
            self.assertTrue(packed.file_meta.TransferSyntaxUID.is_compressed)
            for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Modality"):
                setattr(packed, name, plain[name].value)
            packed.save_as(path)
        self.assert_same(read_folder(self.folder), volume)

    def test_may_have_positions_rounded_to_a_tenth_of_a_millimeter(self):
        # Some scanners write 1.25 mm slices at 0.0, 1.2, 2.5, 3.8: gaps of 1.2 and 1.3 mm, none missing.
        volume = ramp((9, 4, 3), spacing=(2.0, 2.0, 1.25))
        ct_folder(self.folder, volume)

        def rounded(dataset):
            dataset.ImagePositionPatient = [f"{float(x):.1f}" for x in dataset.ImagePositionPatient]

        edit_all(self.folder, rounded)
        got = read_folder(self.folder)
        self.assertAlmostEqual(got.geometry.spacing_mm[2], 1.25, delta=0.1 / 8)
        np.testing.assert_array_equal(got.array, volume.array)


class TestAFolder(FolderTestCase):
    def test_may_hold_several_series_mixed_with_other_files(self):
        ct, pet = ramp(), ramp((4, 3, 5))
        ct_folder(self.folder, ct)
        pet_folder(self.folder, pet)
        for number, path in enumerate(self.files()):
            path.rename(self.folder / f"{(number * 7) % 11:03d}")
        (self.folder / "README.txt").write_text("hello")
        (self.folder / "Thumbs.db").write_bytes(bytes(range(256)) * 9)
        (self.folder / "empty").write_bytes(b"")
        (self.folder / "viewer.exe").write_bytes(b"MZ" + bytes(5000))
        scan = scan_dicom(self.files())
        self.assertEqual(scan.unreadable, [])
        self.assertEqual({s.modality: len(s.files) for s in scan.series}, {"CT": 5, "PT": 4})
        by_modality = {s.modality: read_series(s) for s in scan.series}
        self.assert_same(by_modality["CT"], ct)
        self.assertEqual(by_modality["PT"].geometry.shape_kji, (4, 3, 5))

    def test_may_hold_a_dicomdir(self):
        from pydicom.fileset import FileSet

        ct_folder(self.root / "loose", ramp())
        files = FileSet()
        for path in sorted((self.root / "loose").iterdir()):
            files.add(path)
        files.write(self.folder)
        self.assertTrue((self.folder / "DICOMDIR").is_file())
        self.assert_same(read_folder(self.folder), ramp())

    def test_lists_what_begins_as_dicom_and_cannot_be_read(self):
        ct_folder(self.folder, ramp())
        (self.folder / "broken.dcm").write_bytes(b"this is not DICOM")
        self.assertEqual([p.name for p in scan_dicom(self.files()).unreadable], ["broken.dcm"])

    def test_tells_structures_and_reports_from_images(self):
        ct_folder(self.folder, ramp())
        shutil.copy(self.files()[0], self.folder / "rt.dcm")
        edit(self.folder / "rt.dcm", set_tags(Modality="RTSTRUCT", SeriesInstanceUID="1.2.3"))
        scan = scan_dicom(self.files())
        self.assertEqual((len(scan.series), list(scan.other_objects)), (1, ["RTSTRUCT"]))


class TestADamagedSeries(FolderTestCase):
    """Each refusal beside the nearest series that passes: the same one before the damage."""

    def setUp(self):
        super().setUp()
        self.volume = ramp((7, 8, 6), spacing=(2.0, 2.0, 4.0))
        ct_folder(self.folder, self.volume)
        self.assert_same(read_folder(self.folder), self.volume)

    def assert_series_refused(self, *words, code=None):
        return self.assert_refused(lambda: read_folder(self.folder), *words, code=code)

    def test_without_a_middle_slice_says_after_which_one(self):
        self.files()[3].unlink()
        self.assert_series_refused(
            "a slice is missing", "CT0003.dcm", "expected 4 mm", "found 8 mm", code="missing-slice"
        )

    def test_without_every_third_slice_is_refused_too(self):
        for path in self.files()[1::3]:
            path.unlink()
        self.assert_series_refused("a slice is missing", code="missing-slice")

    def test_without_an_end_slice_is_a_shorter_series(self):
        self.files()[-1].unlink()
        self.assertEqual(read_folder(self.folder).geometry.shape_kji, (6, 8, 6))

    def test_with_a_slice_twice_names_it(self):
        shutil.copy(self.files()[2], self.folder / "again.dcm")
        self.assert_series_refused("two slices lie at the same position", code="duplicate-slice")

    def test_with_one_slice_moved_by_a_third_is_uneven(self):
        def moved(dataset):
            x, y, z = (float(v) for v in dataset.ImagePositionPatient)
            dataset.ImagePositionPatient = [x, y, z + 0.6]

        edit(self.files()[3], moved)
        self.assert_series_refused("unevenly spaced", code="uneven-slices")

    def test_with_one_slice_beside_the_others(self):
        def moved(dataset):
            x, y, z = (float(v) for v in dataset.ImagePositionPatient)
            dataset.ImagePositionPatient = [x + 3.0, y, z]

        edit(self.files()[3], moved)
        self.assert_series_refused("CT0004.dcm", "3 mm beside", code="mixed-slices")

    def test_with_a_scout_among_its_slices_names_the_odd_one(self):
        edit(self.files()[4], set_tags(ImageOrientationPatient=[1, 0, 0, 0, 0, -1]))
        self.assert_series_refused("CT0005.dcm", "orientation", code="mixed-slices")

    def test_with_another_pixel_spacing(self):
        edit(self.files()[4], set_tags(PixelSpacing=[1.0, 1.0]))
        self.assert_series_refused("CT0005.dcm", "pixel spacing", code="mixed-slices")

    def test_with_a_tilted_gantry(self):
        # 10 degrees: every slice lies 4 mm tan(10) = 0.71 mm lower than the one before.
        for number, path in enumerate(self.files()):
            x, y, z = -11.0, 7.5, 103.25
            edit(path, set_tags(ImagePositionPatient=[x, f"{y + 0.7053 * number:.4f}", z + 4.0 * number]))
        self.assert_series_refused("gantry tilt", code="gantry-tilt")

    def test_of_a_single_slice(self):
        for path in self.files()[1:]:
            path.unlink()
        self.assert_series_refused("single slice", code="missing-slice")

    def test_with_pixels_cut_off(self):
        path = self.files()[2]
        path.write_bytes(path.read_bytes()[:-40])
        self.assert_series_refused("CT0003.dcm", "pixels cannot be read", code="dicom-pixels")

    def test_with_a_header_cut_off(self):
        path = self.files()[2]
        path.write_bytes(path.read_bytes()[:700])
        self.assertEqual([p.name for p in scan_dicom(self.files()).unreadable], ["CT0003.dcm"])

    def test_without_position_orientation_or_spacing(self):
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            with self.subTest(name):
                kept = self.files()[2].read_bytes()
                edit(self.files()[2], set_tags(**{name: None}))
                self.assert_series_refused("CT0003.dcm", name, code="dicom-header")
                self.files()[2].write_bytes(kept)

    def test_with_directions_that_are_not_unit_vectors(self):
        edit_all(self.folder, set_tags(ImageOrientationPatient=[0.5, 0, 0, 0, 1, 0]))
        self.assert_series_refused("right angles", code="dicom-header")

    def test_with_a_slice_of_another_size(self):
        def wider(dataset):
            dataset.Columns = 12
            dataset.Rows = 4

        edit(self.files()[2], wider)
        self.assert_series_refused("CT0003.dcm", "size differs")

    def test_with_words_where_numbers_belong_is_listed_as_unreadable(self):
        raw = self.files()[2].read_bytes()
        spoiled = raw.replace(b"-11.00000", b"-11.0O0x0", 1)
        self.assertNotEqual(raw, spoiled)
        self.files()[2].write_bytes(spoiled)
        self.assertEqual([p.name for p in scan_dicom(self.files()).unreadable], ["CT0003.dcm"])

    def test_of_color_pictures(self):
        def colored(dataset):
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
            dataset.BitsAllocated = dataset.BitsStored = 8
            dataset.HighBit, dataset.PixelRepresentation = 7, 0
            dataset.PixelData = bytes(3 * dataset.Rows * dataset.Columns)

        edit_all(self.folder, colored)
        self.assert_series_refused("color picture")

    def test_of_an_enhanced_object_without_its_groups_is_refused(self):
        for path in self.files()[1:]:
            path.unlink()

        def enhanced(dataset):
            dataset.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
            dataset.NumberOfFrames = 7

        edit(self.files()[0], enhanced)
        self.assert_series_refused("functional groups", "export", code="dicom-header")

    def test_says_that_pet_slices_are_missing_at_the_end_where_its_header_counts_them(self):
        shutil.rmtree(self.folder)
        pet_folder(self.folder, self.volume)
        self.files()[-1].unlink()
        self.assert_series_refused("header states 7, found 6", code="missing-slice")


class TestASpectInOneFile(FolderTestCase):
    def read_with(self, **tags):
        nm_folder(self.folder, ramp())
        edit(self.folder / "SPECT.dcm", set_tags(**tags))
        return read_folder(self.folder)

    def test_comes_back_with_values_and_places(self):
        self.assert_same(self.read_with(), ramp())

    def test_with_negative_spacing_runs_against_the_normal(self):
        # PS3.3 C.8.4.15: the sign of SpacingBetweenSlices says to which side of the first frame the others lie.
        got = self.read_with(SpacingBetweenSlices=-4.0)
        np.testing.assert_allclose(got.geometry.ijk_to_lps[:3, 2], [0.0, 0.0, -4.0])
        np.testing.assert_allclose(got.geometry.origin_lps_mm, ramp().geometry.origin_lps_mm)
        np.testing.assert_array_equal(got.array, ramp().array)

    def test_takes_its_place_from_the_detector_where_the_image_has_none(self):
        self.assert_same(self.read_with(ImagePositionPatient=None, ImageOrientationPatient=None), ramp())

    def test_takes_the_thickness_where_the_spacing_is_missing_or_empty(self):
        self.assert_same(self.read_with(SpacingBetweenSlices=None), ramp())
        self.assert_same(self.read_with(SpacingBetweenSlices=""), ramp())

    def test_is_refused_without_any_spacing_between_slices(self):
        self.assert_refused(
            lambda: self.read_with(SpacingBetweenSlices=None, SliceThickness=None), "spacing between slices is missing"
        )

    def test_is_refused_with_a_spacing_of_zero_within_slices(self):
        self.assert_refused(lambda: self.read_with(PixelSpacing=[0.0, 2.0]), "spacing is not positive")

    def test_is_refused_with_another_number_of_frames_than_stated(self):
        self.assert_refused(lambda: self.read_with(NumberOfFrames=9), code="dicom-pixels")

    def test_of_several_reconstructions_in_one_series_is_refused(self):
        nm_folder(self.folder, ramp())
        shutil.copy(self.folder / "SPECT.dcm", self.folder / "NAC.dcm")
        self.assert_refused(
            lambda: read_folder(self.folder), "2 files of several frames", code="several-reconstructions"
        )

    def test_of_projections_without_a_place_is_refused(self):
        nm_folder(self.folder, ramp())

        def projections(dataset):
            for holder in (dataset, dataset.DetectorInformationSequence[0]):
                for name in ("ImagePositionPatient", "ImageOrientationPatient"):
                    delattr(holder, name)

        edit(self.folder / "SPECT.dcm", projections)
        self.assert_refused(lambda: read_folder(self.folder), "ImagePositionPatient", code="dicom-header")


@unittest.skipUnless((SHARED / "data" / "cases" / "case-a").is_dir(), NO_SHARED)
class TestTheSharedCase(FolderTestCase):
    def test_ct_and_pet_agree_with_simpleitk(self):
        case = SHARED / "data" / "cases" / "case-a"
        for folder in (case / "maa-spect-ct" / "ct", case / "y90-pet-ct" / "pet"):
            got, image = read_folder(folder), simpleitk_reads(folder)
            np.testing.assert_allclose(got.geometry.spacing_mm, image.GetSpacing(), rtol=1e-5)
            np.testing.assert_allclose(got.geometry.origin_lps_mm, image.GetOrigin(), atol=1e-3)
            np.testing.assert_allclose(got.geometry.direction_lps.ravel(), image.GetDirection(), atol=1e-5)
            expected = sitk.GetArrayFromImage(image)
            self.assertGreater(float(expected.max()), 100.0)
            np.testing.assert_allclose(got.array, expected, rtol=1e-5, atol=1e-3)

    def test_is_found_in_one_flat_folder_of_all_its_files(self):
        case = SHARED / "data" / "cases" / "case-b"
        self.folder.mkdir()
        for number, path in enumerate(sorted(case.rglob("*.dcm"))):
            (self.folder / f"{number:05d}").symlink_to(path)
        scan = scan_dicom(self.files())
        self.assertEqual(
            sorted((s.modality, len(s.files)) for s in scan.series),
            sorted([("CT", 199), ("CT", 91), ("CT", 133), ("NM", 1), ("PT", 133)]),
        )


class TestAHeaderOfAnotherTransferSyntax(FolderTestCase):
    def test_is_read_where_values_have_no_stated_kind(self):
        # Implicit VR, as most archives store.
        ct_folder(self.folder, ramp())
        for path in self.files():
            dataset = pydicom.dcmread(path)
            self.assertEqual(dataset.file_meta.TransferSyntaxUID, ExplicitVRLittleEndian)
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            dataset.save_as(path, implicit_vr=True, little_endian=True)
        self.assert_same(read_folder(self.folder), ramp())
        self.assertEqual(only_series(self.folder).description, series_info().description)


if __name__ == "__main__":
    unittest.main()
