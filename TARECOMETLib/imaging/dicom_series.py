"""DICOM series on disk: found in folders of any layout, sorted into volumes, refused where slices are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .geometry import VolumeGeometry
from .volume import Volume

# Slices count as evenly spaced when no gap differs from the usual one by more than this share of it.
_SPACING_TOLERANCE = 0.02
_IMAGE_MODALITIES = ("CT", "MR", "PT", "NM")


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
        return f"{self.modality} series \"{self.description or 'without description'}\" ({self.files[0].parent.name})"


@dataclass
class DicomScan:
    """What a folder holds."""

    series: list[DicomSeries]
    other_objects: dict[str, list[Path]]
    unreadable: list[Path]


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
            if not modality and not uid:
                continue
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
            series[uid] = DicomSeries(uid, modality, str(header.get("SeriesDescription", "")).strip())
        series[uid].files.append(path)
        series[uid].headers.append(header)
    return DicomScan(list(series.values()), others, unreadable)


def _numbers(header: Any, name: str, count: int, path: Path) -> np.ndarray:
    value = header.get(name)
    try:
        array = np.array([float(x) for x in value])
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.size != count or not np.all(np.isfinite(array)):
        raise InputError(path.name, f"its {name} is missing or damaged", "Export the series again", "dicom-header")
    return array


def _pixels(path: Path) -> np.ndarray:
    """Stored values times slope plus intercept, float32, shape (frames, rows, columns)."""
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array
    except Exception as error:  # noqa: BLE001 - decoders raise many kinds
        raise InputError(
            path.name, f"its pixels cannot be read ({type(error).__name__})", "Export the file again", "dicom-pixels"
        ) from None
    slope = float(dataset.get("RescaleSlope", 1.0) or 1.0)
    intercept = float(dataset.get("RescaleIntercept", 0.0) or 0.0)
    values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return values if values.ndim == 3 else values[None]


def _plane(header: Any, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Direction columns (i, j, normal) and spacing along i and j."""
    orientation = _numbers(header, "ImageOrientationPatient", 6, path)
    row, column = orientation[:3], orientation[3:]
    spacing = _numbers(header, "PixelSpacing", 2, path)
    if abs(np.dot(row, column)) > 1e-3 or min(spacing) <= 0.0:
        raise InputError(path.name, "its rows and columns are not at right angles", "Export the series again")
    return row, column, spacing[::-1]


def read_series(series: DicomSeries) -> Volume:
    """Read a series as one volume, values rescaled slice by slice.

    Raises
    ------
    InputError
        Where slices are missing, doubled, of different size or orientation, or pixels cannot be read.
    """
    if len(series.files) == 1 and int(series.header.get("NumberOfFrames", 1) or 1) > 1:
        return _read_multi_frame(series)
    return _read_slices(series)


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
    if np.any(np.abs(gaps - usual) > _SPACING_TOLERANCE * usual):
        worst = int(np.argmax(np.abs(gaps - usual)))
        raise InputError(
            f"{where}, after {series.files[order[worst]].name}",
            f"a slice is missing: expected {usual:.3g} mm to the next, found {gaps[worst]:.3g} mm",
            "Send the whole series again",
            "missing-slice",
        )
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
    slices = []
    for index in order:
        pixels = _pixels(series.files[index])
        if pixels.shape[0] != 1 or (slices and pixels.shape != slices[0].shape):
            raise InputError(
                f"{where}, {series.files[index].name}", "its size differs from the first slice's", "Export again"
            )
        slices.append(pixels)
    array = np.concatenate(slices)
    return Volume(array, _geometry(array.shape, row, column, step, spacing, first_position))


def _read_multi_frame(series: DicomSeries) -> Volume:
    """NM tomographic reconstruction: one position, frames along the normal at a signed spacing."""
    path, header, where = series.files[0], series.header, series.where
    if "SharedFunctionalGroupsSequence" in header:
        raise InputError(
            where, "enhanced multi-frame objects are not read yet", "Export it as a classic series", "enhanced"
        )
    source = header
    if "ImagePositionPatient" not in header and header.get("DetectorInformationSequence"):
        source = header.DetectorInformationSequence[0]
    position = _numbers(source, "ImagePositionPatient", 3, path)
    orientation = _numbers(source, "ImageOrientationPatient", 6, path)
    spacing = _numbers(header, "PixelSpacing", 2, path)[::-1]
    between = header.get("SpacingBetweenSlices", header.get("SliceThickness"))
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
    row, column = orientation[:3], orientation[3:]
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
