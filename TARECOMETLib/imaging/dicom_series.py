"""DICOM series on disk: found in folders of any layout, sorted into volumes, refused where slices are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .dicom_frames import frame_headers, is_enhanced
from .dicom_volume import Slice, enhanced_slices, quiet, read_multi_frame, stack_slices
from .volume import Volume

_IMAGE_MODALITIES = ("CT", "MR", "PT", "NM")
# pydicom converts values when they are asked for: these are asked for at once, so that damage is found in one place.
_TEXTS = [
    "AcquisitionDate",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "CorrectedImage",
    "DecayCorrection",
    "FrameOfReferenceUID",
    "ImageType",
    "PatientID",
    "PatientSex",
    "SeriesDate",
    "SeriesTime",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SUVType",
    "Units",
]
_VALUES = [
    "ActualFrameDuration",
    "FrameReferenceTime",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "NumberOfFrames",
    "NumberOfSlices",
    "PatientSize",
    "PatientWeight",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "SliceThickness",
    "SpacingBetweenSlices",
]
_SEQUENCES = ("DetectorInformationSequence", "RadiopharmaceuticalInformationSequence", "RadionuclideCodeSequence")


@dataclass(eq=False)
class DicomSeries:
    """One series: its files and the header of the first."""

    uid: str
    modality: str
    description: str
    files: list[Path] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    @property
    def header(self) -> Any:
        """Header of the first file."""
        return self.headers[0]

    @property
    def frame_of_reference_uid(self) -> str:
        """Which images share one patient space."""
        return str(self.header.get("FrameOfReferenceUID", ""))

    @property
    def where(self) -> str:
        """Name for messages."""
        return f'{self.modality} series "{self.description or "without description"}" ({self.files[0].parent.name})'


@dataclass
class DicomScan:
    """What a folder holds."""

    series: list[DicomSeries]
    other_objects: dict[str, list[Path]]
    unreadable: list[Path]


@quiet()
def scan_dicom(files: Iterable[Path]) -> DicomScan:
    """Sort files into series by their headers.

    Files that are not DICOM are left alone; those that begin as DICOM but cannot be read are listed.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    series: dict[str, DicomSeries] = {}
    others: dict[str, list[Path]] = {}
    unreadable: list[Path] = []
    for path in sorted(files):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            modality = str(header.get("Modality", ""))
            uid = str(header.get("SeriesInstanceUID", ""))
            description = str(header.get("SeriesDescription", "") or "").strip()
            _convert_values(header)
            frame_headers([header])
            if not modality and not uid and _is_directory(header):
                continue
            if not uid:
                raise ValueError("its header is cut off")
        except InvalidDicomError:
            if path.suffix.lower() in (".dcm", ".ima"):
                unreadable.append(path)
            continue
        except Exception:  # noqa: BLE001 - a damaged header can raise nearly anything inside the parser
            unreadable.append(path)
            continue
        if modality not in _IMAGE_MODALITIES:
            others.setdefault(modality, []).append(path)
            continue
        if uid not in series:
            series[uid] = DicomSeries(uid, modality, " ".join(description.split()))
        series[uid].files.append(path)
        series[uid].headers.append(header)
    return DicomScan(list(series.values()), others, unreadable)


def _is_directory(header: Any) -> bool:
    """Whether a file is a DICOMDIR, the one kind that belongs to no series."""
    return str(header.file_meta.get("MediaStorageSOPClassUID", "")) == "1.2.840.10008.1.3.10"


def _convert_values(header: Any) -> None:
    """Convert the values that are used from bytes; raises where one is damaged."""
    from pydicom.multival import MultiValue
    from pydicom.sequence import Sequence

    for name in _TEXTS:
        header.get(name)
    for name in _VALUES:
        value = header.get(name)
        for number in value if isinstance(value, MultiValue) else [value or 0.0]:
            float(number)
    for name in _SEQUENCES:
        items = header.get(name)
        if items is not None and not isinstance(items, Sequence):
            raise ValueError(f"{name} is not a sequence")
        for item in items or ():
            for element in item:
                str(element.value)
            if name != "RadionuclideCodeSequence":
                _convert_values(item)


def read_series(series: DicomSeries) -> Volume:
    """Read a series as one volume, values rescaled slice by slice.

    Raises
    ------
    InputError
        Where slices are missing, doubled, of different size or orientation, or pixels cannot be read.
    """
    if any(is_enhanced(header) for header in series.headers):
        return stack_slices(series.where, series.modality, enhanced_slices(series.headers, series.files))
    if all(int(header.get("NumberOfFrames", 1) or 1) <= 1 for header in series.headers):
        slices = [Slice(header, path, 0) for header, path in zip(series.headers, series.files, strict=True)]
        return stack_slices(series.where, series.modality, slices)
    if len(series.files) > 1:
        raise InputError(
            series.where,
            f"it holds {len(series.files)} files of several frames each, expected one reconstruction",
            "Keep the one reconstruction that is wanted",
            "several-reconstructions",
        )
    return read_multi_frame(series.header, series.files[0], series.where)
