"""Several frames in one object: enhanced PET and CT by their functional groups, NM by position, spacing and vector."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import pydicom
from dicom_support import GIVEN, RefusalMixin, edit, nm_folder, only_series, pet_folder, ramp, read_folder, set_tags
from pydicom import Dataset

from TARECOMETLib.errors import TarecometError
from TARECOMETLib.imaging.dicom_series import read_series, scan_dicom
from TARECOMETLib.imaging.emission import concentration_factor
from TARECOMETLib.imaging.emission_header import emission_facts
from TARECOMETLib.imaging.geometry import same_grid


def item(**values):
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def made_enhanced(folder, shuffled=False, real_world=None):
    """Join a classic PET series into one enhanced object as PS3.3 A.56 lays it out; each frame keeps its slope."""
    paths = sorted(folder.glob("*.dcm"))
    sets = [pydicom.dcmread(p) for p in paths]
    order = np.random.default_rng(3).permutation(len(sets)) if shuffled else range(len(sets))
    whole = sets[0].copy()
    sets = [sets[n] for n in order]
    pixels = b"".join(d.PixelData for d in sets)
    frames = []
    for dataset in sets:
        frame = item(
            PlanePositionSequence=[item(ImagePositionPatient=dataset.ImagePositionPatient)],
            PixelValueTransformationSequence=[
                item(RescaleSlope=dataset.RescaleSlope, RescaleIntercept="0", RescaleType="US")
            ],
            FrameContentSequence=[item(FrameAcquisitionDateTime="20260415080500", FrameAcquisitionDuration=1200000.0)],
        )
        if real_world:
            units, factor = real_world
            code = item(CodeValue=units, CodingSchemeDesignator="UCUM", CodeMeaning=units)
            frame.RealWorldValueMappingSequence = [
                item(
                    RealWorldValueSlope=float(dataset.RescaleSlope) * factor,
                    RealWorldValueIntercept=0.0,
                    MeasurementUnitsCodeSequence=[code],
                )
            ]
        frames.append(frame)
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=whole.PixelSpacing, SliceThickness=whole.SliceThickness)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=whole.ImageOrientationPatient)],
    )
    for name in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
        "Units",
        "DecayCorrection",
        "AcquisitionDate",
        "AcquisitionTime",
        "CorrectedImage",
        "ActualFrameDuration",
        "NumberOfSlices",
    ):
        delattr(whole, name)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.130"
    whole.NumberOfFrames, whole.PixelData = len(sets), pixels
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = [shared], frames
    whole.DecayCorrected, whole.DecayCorrectionDateTime = "YES", "20260415080500"
    whole.AttenuationCorrected = whole.ScatterCorrected = "YES"
    for path in paths:
        path.unlink()
    whole.save_as(folder / "enhanced.dcm")


class ScratchTestCase(RefusalMixin, unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name) / "series"


class TestEnhancedPet(ScratchTestCase):
    def test_has_the_voxels_grid_and_facts_of_the_classic_series(self):
        for shuffled in (False, True):
            for real_world in (("Bq/ml", 1.0), ("kBq/ml", 1.0e-3)):
                pet_folder(self.folder, ramp((6, 5, 4)))
                classic, facts = read_folder(self.folder), emission_facts(only_series(self.folder).headers)
                made_enhanced(self.folder, shuffled, real_world)
                volume, got = read_folder(self.folder), emission_facts(only_series(self.folder).headers)
                np.testing.assert_allclose(volume.array, classic.array, rtol=1e-6)
                self.assertTrue(same_grid(volume.geometry, classic.geometry))
                self.assertEqual(
                    (got.units, got.decay_correction, got.scan_start, got.frame_duration_s, got.half_life_h),
                    ("Bq/mL", "START", "2026-04-15T08:05:00", facts.frame_duration_s, facts.half_life_h),
                )
                self.assertEqual(concentration_factor(got, 64.2, "pet"), 1.0)
                self.assertIsNone(got.remarks)
                (self.folder / "enhanced.dcm").unlink()

    def test_without_a_measurement_unit_is_not_taken_for_bq_per_ml(self):
        pet_folder(self.folder, ramp((6, 5, 4)))
        made_enhanced(self.folder)
        self.assert_refused(
            lambda: concentration_factor(emission_facts(only_series(self.folder).headers), 64.2, "pet"), code="units"
        )

    def test_with_a_frame_missing_or_two_time_frames_is_refused(self):
        pet_folder(self.folder, ramp((6, 5, 4)))
        made_enhanced(self.folder, real_world=("Bq/ml", 1.0))

        def twice(dataset):
            groups = dataset.PerFrameFunctionalGroupsSequence
            groups[3].PlanePositionSequence = groups[2].PlanePositionSequence

        edit(self.folder / "enhanced.dcm", twice)
        self.assert_refused(lambda: read_folder(self.folder), "same position", code="duplicate-slice")

        def gap(dataset):
            x, y, z = (
                float(v)
                for v in dataset.PerFrameFunctionalGroupsSequence[3]
                .PlanePositionSequence[0]["ImagePositionPatient"]
                .value
            )
            for n, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
                place = n if n < 4 else n + 1
                frame.PlanePositionSequence = [item(ImagePositionPatient=[x, y, z + 4.0 * (place - 3)])]

        edit(self.folder / "enhanced.dcm", gap)
        self.assert_refused(lambda: read_folder(self.folder), "missing", code="missing-slice")


class TestDamagedAtRandom(ScratchTestCase):
    def test_enhanced_objects_are_read_or_refused(self):
        pet_folder(self.folder, ramp((6, 5, 4)))
        made_enhanced(self.folder, real_world=("Bq/ml", 1.0))
        path = self.folder / "enhanced.dcm"
        content, rng, refused = path.read_bytes(), np.random.default_rng(8), 0
        for _ in range(120):
            data = bytearray(content)
            for place in rng.integers(132, len(data), size=3):
                data[int(place)] = int(rng.integers(256))
            if rng.random() < 0.2:
                data = data[: int(rng.integers(132, len(data)))]
            path.write_bytes(bytes(data))
            found = scan_dicom([path])
            for series in found.series:
                try:
                    emission_facts(series.headers)
                    read_series(series)
                except TarecometError as error:
                    self.assertTrue(str(error).strip())
                    refused += 1
            refused += len(found.unreadable)
        self.assertGreater(refused, 30, "the damage was too gentle to prove anything")


class TestNuclearMedicine(ScratchTestCase):
    def setUp(self):
        super().setUp()
        nm_folder(self.folder, ramp((6, 5, 4)))
        self.file = next(self.folder.glob("*.dcm"))
        self.before = read_folder(self.folder)

    def test_spacing_may_be_negative(self):
        edit(self.file, set_tags(SpacingBetweenSlices="-4"))
        got = read_folder(self.folder)
        self.assertEqual(got.geometry.ijk_to_lps[2, 2], -4.0)
        np.testing.assert_array_equal(got.array, self.before.array)

    def test_frames_follow_their_slice_vector(self):
        edit(self.file, set_tags(SliceVector=[6, 5, 4, 3, 2, 1]))
        np.testing.assert_array_equal(read_folder(self.folder).array, self.before.array[::-1])

    def test_with_several_stacks_is_refused(self):
        edit(self.file, set_tags(EnergyWindowVector=[1, 1, 1, 2, 2, 2]))
        self.assert_refused(lambda: read_folder(self.folder), "energy windows", code="several-stacks")
        edit(self.file, set_tags(EnergyWindowVector=[1] * 6, NumberOfSlices=3))
        self.assert_refused(lambda: read_folder(self.folder), "3 slices and 6 frames", code="several-stacks")
        edit(self.file, set_tags(NumberOfSlices=6))
        read_folder(self.folder)

    def test_with_the_dose_in_bq_is_said(self):
        edit(
            self.file,
            lambda d: setattr(d.RadiopharmaceuticalInformationSequence[0], "RadionuclideTotalDose", "150000000"),
        )
        facts = emission_facts(only_series(self.folder).headers)
        self.assertEqual((facts.administered_mbq, facts.remarks), (150.0, ("dose-in-bq",)))
        self.assertEqual(GIVEN.activity_mbq, 1500.0)


if __name__ == "__main__":
    unittest.main()
