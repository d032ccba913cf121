"""Writing the phantom's images as DICOM: CT series, reconstructed NM tomography, PET series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..imaging.volume import Volume
from ..units import BQ_PER_MBQ

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CT_STORAGE_UID = "1.2.840.10008.5.1.4.1.1.2"
NM_STORAGE_UID = "1.2.840.10008.5.1.4.1.1.20"
PET_STORAGE_UID = "1.2.840.10008.5.1.4.1.1.128"
TC99M = ("72454006", "SCT", "^99m^Technetium")
Y90 = ("14691008", "SCT", "^90^Yttrium")
Y90_MICROSPHERES = ("764678003", "SCT", "Yttrium^90^ microspheres")
MAA = ("85693008", "SCT", "Technetium Tc^99m^ aggregated albumin")
RECUMBENT = ("102538003", "SCT", "recumbent")
SUPINE = ("40199007", "SCT", "supine")
HEADFIRST = ("102540008", "SCT", "headfirst")
Y90_HALF_LIFE_S = 230580.0
# Positrons per decay: Selwyn 2007.
Y90_POSITRON_FRACTION = 3.186e-5
INT16_MAX = 32767


@dataclass(frozen=True)
class SeriesInfo:
    """What a series says of itself.

    Parameters
    ----------
    patient : str
        Pseudonym, as patient's name and ID.
    seed : int
        Goes into every UID, so that equal seeds give equal files.
    study, series, frame : str
        Names of study, series and frame of reference: equal names give equal UIDs.
    study_number, series_number : int
        Numbers shown in browsers.
    description : str
        Series description.
    study_time, time : datetime
        Start of the study and of this acquisition.
    """

    patient: str
    seed: int
    study: str
    series: str
    frame: str
    study_number: int
    series_number: int
    description: str
    study_time: datetime
    time: datetime


@dataclass(frozen=True)
class Radiopharmaceutical:
    """What was injected, when, and how much."""

    time: datetime
    activity_mbq: float


def make_uid(seed: int, *parts: str) -> str:
    """A UID that depends on nothing but its arguments."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=["tarecomet-phantom", str(seed), *parts]))


def write_ct_series(folder: Path, volume: Volume, info: SeriesInfo, *, portal_venous: bool) -> None:
    """Write whole Hounsfield units (int16), one file per slice."""
    for k, plane in enumerate(volume.array):
        ds = _base(info, CT_STORAGE_UID, "CT", k)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.KVP = "120"
        if portal_venous:
            ds.ContrastBolusAgent = "Iodinated contrast, portal venous phase"
        _place(ds, volume, k)
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
        _pixels(ds, plane.astype("<i2"), signed=True)
        _save(ds, folder / f"CT{k + 1:04d}.dcm")


def write_nm_tomography(
    folder: Path, counts: Volume, info: SeriesInfo, injected: Radiopharmaceutical, *, frame_duration_s: float
) -> None:
    """Write a reconstructed SPECT in counts (uint16) as one multi-frame file."""
    ds = _base(info, NM_STORAGE_UID, "NM", 0)
    frames = counts.array.shape[0]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    ds.Units = "CNTS"
    ds.CountsAccumulated = int(counts.array.sum(dtype=np.int64))
    ds.CorrectedImage = ["ATTN", "SCAT"]
    _place(ds, counts, 0)
    ds.SpacingBetweenSlices = ds.SliceThickness
    ds.NumberOfFrames = frames
    ds.FrameIncrementPointer = [0x00540080]
    ds.SliceVector = list(range(1, frames + 1))
    ds.NumberOfSlices = frames
    window = _item(EnergyWindowName="Tc99m")
    window.EnergyWindowRangeSequence = [_item(EnergyWindowLowerLimit="126.45", EnergyWindowUpperLimit="154.55")]
    ds.NumberOfEnergyWindows, ds.EnergyWindowInformationSequence = 1, [window]
    drug = _item(Radiopharmaceutical="Macroaggregated albumin")
    drug.RadiopharmaceuticalStartTime = f"{injected.time:%H%M%S}"
    drug.RadionuclideTotalDose = f"{injected.activity_mbq:g}"
    drug.RadionuclideCodeSequence, drug.RadiopharmaceuticalCodeSequence = [_code(TC99M)], [_code(MAA)]
    ds.RadiopharmaceuticalInformationSequence = [drug]
    detector = _item(CollimatorType="PARA", CollimatorGridName="LEHR")
    detector.ImagePositionPatient = ds.ImagePositionPatient
    detector.ImageOrientationPatient = ds.ImageOrientationPatient
    ds.NumberOfDetectors, ds.DetectorInformationSequence = 1, [detector]
    rotation = _item(RotationDirection="CW", ScanArc="360", AngularStep="3", StartAngle="0")
    rotation.ActualFrameDuration, rotation.NumberOfFramesInRotation = round(frame_duration_s * 1000.0), 120
    ds.NumberOfRotations, ds.RotationInformationSequence = 1, [rotation]
    ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
    _pixels(ds, counts.array.astype("<u2"), signed=False)
    _save(ds, folder / "SPECT.dcm")


def write_pet_series(
    folder: Path, bq_ml: Volume, info: SeriesInfo, injected: Radiopharmaceutical, *, frame_duration_s: float
) -> None:
    """Write a PET in Bq/mL, decay-corrected to its start, with its own rescale slope for each slice."""
    decay_per_s = np.log(2.0) / Y90_HALF_LIFE_S
    scan = decay_per_s * frame_duration_s
    # Factor from the frame's average to its start, and the time at which activity equals the average.
    factor = scan / -np.expm1(-scan)
    average_at_ms = np.log(factor) / decay_per_s * 1000.0
    for k, plane in enumerate(bq_ml.array):
        ds = _base(info, PET_STORAGE_UID, "PT", k)
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        ds.SeriesType, ds.Units, ds.CountsSource = ["STATIC", "IMAGE"], "BQML", "EMISSION"
        ds.CorrectedImage = ["ATTN", "SCAT", "RAN", "NORM", "DECY"]
        ds.DecayCorrection, ds.DecayFactor = "START", f"{factor:.8f}"
        ds.AttenuationCorrectionMethod, ds.RandomsCorrectionMethod = "CT", "DLYD"
        ds.ReconstructionMethod, ds.CollimatorType = "TOF-OSEM (simulated)", "NONE"
        ds.ActualFrameDuration = round(frame_duration_s * 1000.0)
        ds.FrameReferenceTime = f"{average_at_ms:.3f}"
        ds.NumberOfSlices, ds.ImageIndex = bq_ml.array.shape[0], k + 1
        drug = _item(Radiopharmaceutical="90Y glass microspheres")
        drug.RadiopharmaceuticalStartTime = f"{injected.time:%H%M%S}"
        drug.RadiopharmaceuticalStartDateTime = f"{injected.time:%Y%m%d%H%M%S}"
        drug.RadionuclideTotalDose = f"{injected.activity_mbq * BQ_PER_MBQ:.0f}"
        drug.RadionuclideHalfLife = f"{Y90_HALF_LIFE_S:g}"
        drug.RadionuclidePositronFraction = f"{Y90_POSITRON_FRACTION:g}"
        drug.RadionuclideCodeSequence, drug.RadiopharmaceuticalCodeSequence = [_code(Y90)], [_code(Y90_MICROSPHERES)]
        ds.RadiopharmaceuticalInformationSequence = [drug]
        _place(ds, bq_ml, k)
        slope_text = f"{max(float(plane.max()), 1.0) / INT16_MAX:.10g}"
        ds.RescaleIntercept, ds.RescaleSlope = "0", slope_text
        stored = np.clip(np.rint(plane / float(slope_text)), 0, INT16_MAX)
        _pixels(ds, stored.astype("<i2"), signed=True)
        _save(ds, folder / f"PT{k + 1:04d}.dcm")


def _base(info: SeriesInfo, sop_class: str, modality: str, index: int) -> Dataset:
    """Patient, study, series and equipment: what every image says."""
    from pydicom.dataset import Dataset

    ds = Dataset()
    ds.SOPClassUID, ds.Modality = sop_class, modality
    ds.SOPInstanceUID = make_uid(info.seed, info.study, info.series, str(index))
    ds.StudyInstanceUID = make_uid(info.seed, info.study)
    ds.SeriesInstanceUID = make_uid(info.seed, info.study, info.series)
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = make_uid(info.seed, "frame", info.frame), ""
    ds.StudyDate, ds.StudyTime = f"{info.study_time:%Y%m%d}", f"{info.study_time:%H%M%S}"
    for kind in ("Series", "Acquisition", "Content"):
        setattr(ds, f"{kind}Date", f"{info.time:%Y%m%d}")
        setattr(ds, f"{kind}Time", f"{info.time:%H%M%S}")
    ds.AccessionNumber, ds.ReferringPhysicianName = str(info.study_number), ""
    ds.Manufacturer, ds.ManufacturerModelName = "Simulated", "TARECOMET phantom"
    ds.SeriesDescription, ds.StudyDescription = info.description, info.study
    ds.PatientName, ds.PatientID = info.patient, info.patient
    ds.PatientBirthDate, ds.PatientSex = "19620101", "F"
    ds.PatientSize, ds.PatientWeight = "1.62", "56"
    ds.BodyPartExamined = "LIVER"
    if modality == "CT":
        ds.PatientPosition = "HFS"
    else:
        # NM and PET say the same in codes; DICOM forbids both at once.
        lying = _code(RECUMBENT)
        lying.PatientOrientationModifierCodeSequence = [_code(SUPINE)]
        ds.PatientOrientationCodeSequence = [lying]
        ds.PatientGantryRelationshipCodeSequence = [_code(HEADFIRST)]
    ds.ImageComments = "Digital phantom, not a patient"
    ds.StudyID, ds.SeriesNumber = str(info.study_number), info.series_number
    ds.AcquisitionNumber, ds.InstanceNumber = 1, index + 1
    return ds


def _place(ds: Dataset, volume: Volume, k: int) -> None:
    """Position, orientation and spacing of slice ``k``."""
    geometry = volume.geometry
    position = geometry.ijk_to_lps @ np.array([0.0, 0.0, float(k), 1.0])
    ds.ImagePositionPatient = [f"{x:.5f}" for x in position[:3]]
    ds.ImageOrientationPatient = [f"{x:g}" for x in geometry.direction_lps[:, :2].T.ravel()]
    x, y, z = (f"{s:.6g}" for s in geometry.spacing_mm)
    ds.PixelSpacing, ds.SliceThickness = [y, x], z


def _pixels(ds: Dataset, stored: np.ndarray, *, signed: bool) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, int(signed)
    ds.PixelData = np.ascontiguousarray(stored).tobytes()
    ds["PixelData"].VR = "OW"


def _item(**values: str) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(code: Sequence[str]) -> Dataset:
    return _item(CodeValue=code[0], CodingSchemeDesignator=code[1], CodeMeaning=code[2])


def _save(ds: Dataset, path: Path) -> None:
    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta = meta
    dcmwrite(path, ds, enforce_file_format=True)
