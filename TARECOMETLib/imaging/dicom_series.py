"""DICOM series on disk: found in folders of any layout, sorted into volumes, refused where slices are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .geometry import VolumeGeometry
from .volume import Volume

# Slices count as evenly spaced when each lies this close to its place, along the stack as a share of the spacing
# (or the 0.1 mm to which some scanners round positions), and across it.
_SPACING_TOLERANCE, _ROUNDING_MM, _ACROSS_MM = 0.02, 0.11, 0.5
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
    "SeriesDate",
    "SeriesTime",
    "StudyInstanceUID",
    "SUVType",
    "Units",
]
_VALUES = [
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "NumberOfFrames",
    "NumberOfSlices",
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom's remarks off the screen: what matters of a damaged file is said by the refusal."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@_quiet()
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


def _numbers(header: Any, name: str, count: int, path: Path) -> np.ndarray:
    value = header.get(name)
    try:
        array = np.array([float(x) for x in value])
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.size != count or not np.all(np.isfinite(array)):
        raise InputError(path.name, f"its {name} is missing or damaged", "Export the series again", "dicom-header")
    return array


@_quiet()
def _pixels(path: Path) -> np.ndarray:
    """Stored values times slope plus intercept, float32, shape (frames, rows, columns)."""
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
        factor = np.float32(1.0 if slope is None else float(slope))
        offset = np.float32(0.0 if intercept is None else float(intercept))
        if int(dataset.get("SamplesPerPixel", 1) or 1) != 1:
            raise InputError(
                path.name, "it is a color picture, expected an image", "Take it out of the folder", "color"
            )
        try:
            stored = dataset.pixel_array
        except (AttributeError, NotImplementedError, RuntimeError):
            values = _decoded_by_sitk(dataset, path)
        else:
            values = stored.astype(np.float32) * factor + offset
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise many kinds
        raise InputError(
            path.name, f"its pixels cannot be read ({type(error).__name__})", "Export the file again", "dicom-pixels"
        ) from None
    return values if values.ndim == 3 else values[None]


def _decoded_by_sitk(dataset: Any, path: Path) -> np.ndarray:
    """Pixels that pydicom has no decoder for (JPEG of any kind), by SimpleITK, which rescales them itself."""
    import SimpleITK as sitk

    if not dataset.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in dataset:
        raise ValueError("no pixels")
    str(path).encode("utf-8")  # SimpleITK ends the program on a name of another encoding
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkFloat32))


def _plane(header: Any, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Direction columns (i, j, normal) and spacing along i and j."""
    orientation = _numbers(header, "ImageOrientationPatient", 6, path)
    row, column = orientation[:3], orientation[3:]
    spacing = _numbers(header, "PixelSpacing", 2, path)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if abs(np.dot(row, column)) > 1e-3 or not np.allclose(lengths, 1.0, atol=1e-2) or min(spacing) <= 0.0:
        raise InputError(
            path.name,
            "its rows and columns are not at right angles, or its spacing is not positive",
            "Export the series again",
            "dicom-header",
        )
    return row / lengths[0], column / lengths[1], spacing[::-1]


def read_series(series: DicomSeries) -> Volume:
    """Read a series as one volume, values rescaled slice by slice.

    Raises
    ------
    InputError
        Where slices are missing, doubled, of different size or orientation, or pixels cannot be read.
    """
    if any("SharedFunctionalGroupsSequence" in header for header in series.headers):
        raise InputError(
            series.where, "enhanced multi-frame objects are not read yet", "Export it as a classic series", "enhanced"
        )
    if all(int(header.get("NumberOfFrames", 1) or 1) <= 1 for header in series.headers):
        return _read_slices(series)
    if len(series.files) > 1:
        raise InputError(
            series.where,
            f"it holds {len(series.files)} files of several frames each, expected one reconstruction",
            "Keep the one reconstruction that is wanted",
            "several-reconstructions",
        )
    return _read_multi_frame(series)


def _read_slices(series: DicomSeries) -> Volume:
    where = series.where
    if len(series.files) < 2:
        raise InputError(where, "it has a single slice, expected a volume", "Export the whole series", "missing-slice")
    row, column, spacing = _plane(series.header, series.files[0])
    normal = np.cross(row, column)
    positions = []
    for header, path in zip(series.headers, series.files, strict=True):
        other_row, other_column, other_spacing = _plane(header, path)
        same = np.allclose(np.r_[row, column], np.r_[other_row, other_column], atol=1e-3)
        if not same or not np.allclose(spacing, other_spacing, rtol=1e-3):
            raise InputError(
                f"{where}, {path.name}",
                "its orientation or pixel spacing differs from the first slice's",
                "Export scout and oblique images as series of their own",
                "mixed-slices",
            )
        positions.append(_numbers(header, "ImagePositionPatient", 3, path))
    along = np.array(positions) @ normal
    order = np.argsort(along)
    gaps = np.diff(along[order])
    usual = float(np.median(gaps))
    if np.any(gaps < 1e-3):
        first = order[int(np.argmin(gaps))]
        raise InputError(
            f"{where}, {series.files[first].name}",
            "two slices lie at the same position",
            "Select one time frame, gate or reconstruction",
            "duplicate-slice",
        )
    places = np.linspace(along[order[0]], along[order[-1]], len(order))
    strayed = float(np.abs(along[order] - places).max())
    if strayed > max(_SPACING_TOLERANCE * usual, _ROUNDING_MM) or gaps.max() > 1.5 * gaps.min():
        raise _uneven(series, order, gaps)
    stated = int(series.header.get("NumberOfSlices", 0) or 0)
    if series.modality == "PT" and stated > len(series.files) and stated % len(series.files) != 0:
        raise InputError(
            where,
            f"slices are missing: its header states {stated}, found {len(series.files)}",
            "Send the whole series again",
            "missing-slice",
        )
    first_position, last_position = positions[order[0]], positions[order[-1]]
    step = (last_position - first_position) / (len(order) - 1)
    _refuse_tilt(step, normal, where)
    straight = first_position + np.arange(len(order))[:, None] * step
    across = np.linalg.norm(np.cross(np.array(positions)[order] - straight, normal), axis=1)
    if across.max() > _ACROSS_MM:
        raise InputError(
            f"{where}, {series.files[order[int(np.argmax(across))]].name}",
            f"it lies {across.max():.3g} mm beside the line of the others",
            "Export slices of different position as series of their own",
            "mixed-slices",
        )
    slices: list[np.ndarray] = []
    for index in order:
        pixels = _pixels(series.files[index])
        if pixels.shape[0] != 1 or (slices and pixels.shape != slices[0].shape):
            raise InputError(
                f"{where}, {series.files[index].name}", "its size differs from the first slice's", "Export again"
            )
        slices.append(pixels)
    array = np.concatenate(slices)
    return Volume(array, _geometry(array.shape, row, column, step, spacing, first_position))


def _uneven(series: DicomSeries, order: np.ndarray, gaps: np.ndarray) -> InputError:
    """Slices are missing where a gap is far wider than the narrowest; else they are spaced unevenly."""
    widest, narrowest = int(np.argmax(gaps)), float(gaps.min())
    missing = float(gaps[widest]) > 1.5 * narrowest
    return InputError(
        f"{series.where}, after {series.files[order[widest]].name}",
        f"{'a slice is missing' if missing else 'its slices are unevenly spaced'}: expected {narrowest:.4g} mm to the "
        f"next, found {gaps[widest]:.4g} mm",
        "Send the whole series again" if missing else "Export it resampled to even spacing",
        "missing-slice" if missing else "uneven-slices",
    )


def _read_multi_frame(series: DicomSeries) -> Volume:
    """NM tomographic reconstruction: one position, frames along the normal at a signed spacing."""
    path, header, where = series.files[0], series.header, series.where
    placed = {"PixelSpacing": header.get("PixelSpacing")}
    detectors = header.get("DetectorInformationSequence")
    for name in ("ImagePositionPatient", "ImageOrientationPatient"):
        placed[name] = header.get(name) or (detectors[0].get(name) if detectors else None)
    position = _numbers(placed, "ImagePositionPatient", 3, path)
    row, column, spacing = _plane(placed, path)
    between = header.get("SpacingBetweenSlices") or header.get("SliceThickness")
    try:
        distance = float(between)
    except (TypeError, ValueError):
        distance = 0.0
    if distance == 0.0 or not np.isfinite(distance):
        raise InputError(where, "its spacing between slices is missing", "Export the reconstruction again")
    array = _pixels(path)
    if array.shape[0] != int(header.NumberOfFrames):
        raise InputError(
            where, f"expected {int(header.NumberOfFrames)} frames, found {array.shape[0]}", "Export it again"
        )
    step = np.cross(row, column) * distance
    return Volume(array, _geometry(array.shape, row, column, step, spacing, position))


def _refuse_tilt(step: np.ndarray, normal: np.ndarray, where: str) -> None:
    distance = float(np.linalg.norm(step))
    if abs(float(np.dot(step, normal))) < (1.0 - 1e-4) * distance:
        raise InputError(
            where, "its slices are sheared (gantry tilt)", "Export it resampled to a straight grid", "gantry-tilt"
        )


def _geometry(
    shape: tuple[int, ...],
    row: np.ndarray,
    column: np.ndarray,
    step: np.ndarray,
    spacing: np.ndarray,
    origin: np.ndarray,
) -> VolumeGeometry:
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = row * spacing[0], column * spacing[1], step, origin
    return VolumeGeometry(shape, matrix)  # type: ignore[arg-type]
