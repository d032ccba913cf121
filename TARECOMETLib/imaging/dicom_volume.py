"""DICOM slices and frames put together into one volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .dicom_frames import FrameHeader, frame_headers, number_or_none
from .geometry import VolumeGeometry
from .volume import Volume

# Slices count as evenly spaced when each lies this close to its place, along the stack as a share of the spacing
# (or the 0.1 mm to which some scanners round positions), and across it.
_SPACING_TOLERANCE, _ROUNDING_MM, _ACROSS_MM = 0.02, 0.11, 0.5


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's remarks off the screen: what matters of a damaged file is said by the refusal."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _numbers(header: Any, name: str, count: int, path: Path) -> np.ndarray:
    value = header.get(name)
    try:
        array = np.array([float(x) for x in value])
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.size != count or not np.all(np.isfinite(array)):
        raise InputError(path.name, f"its {name} is missing or damaged", "Export the series again", "dicom-header")
    return array


@quiet()
def _pixels(path: Path, *, rescaled: bool = True) -> np.ndarray:
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
            if not rescaled:  # SimpleITK would apply one slope to frames that have their own
                raise
            values = _decoded_by_sitk(dataset, path)
        else:
            values = stored.astype(np.float32)
            if rescaled:
                values = values * factor + offset
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


@dataclass(frozen=True, eq=False)
class Slice:
    """One plane: its header, its file and its frame in it."""

    header: Any
    path: Path
    frame: int


def enhanced_slices(headers: Sequence[Any], paths: Sequence[Path]) -> list[Slice]:
    """Every frame of enhanced objects as a slice of its own."""
    slices: list[Slice] = []
    for header, path in zip(headers, paths, strict=True):
        if not header.get("PerFrameFunctionalGroupsSequence"):
            raise InputError(
                path.name, "its per-frame functional groups are missing", "Export the series again", "dicom-header"
            )
        slices.extend(Slice(frame, path, number) for number, frame in enumerate(frame_headers([header])))
    return slices


def stack_slices(where: str, modality: str, slices: list[Slice]) -> Volume:
    """One volume of planes, refused where they are doubled, missing, uneven, tilted or of different kind."""
    if len(slices) < 2:
        raise InputError(where, "it has a single slice, expected a volume", "Export the whole series", "missing-slice")
    row, column, spacing = _plane(slices[0].header, slices[0].path)
    normal = np.cross(row, column)
    positions = np.array([_position(item, row, column, spacing, where) for item in slices])
    along = positions @ normal
    order = np.argsort(along)
    positions, slices = positions[order], [slices[index] for index in order]
    _require_even(where, modality, slices, along[order])
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    _refuse_tilt(step, normal, where)
    straight = positions[0] + np.arange(len(slices))[:, None] * step
    across = np.linalg.norm(np.cross(positions - straight, normal), axis=1)
    if across.max() > _ACROSS_MM:
        raise InputError(
            f"{where}, {slices[int(np.argmax(across))].path.name}",
            f"it lies {across.max():.3g} mm beside the line of the others",
            "Export slices of different position as series of their own",
            "mixed-slices",
        )
    array = _stacked(slices, where)
    return Volume(array, _geometry(array.shape, row, column, step, spacing, positions[0]))


def _position(item: Slice, row: np.ndarray, column: np.ndarray, spacing: np.ndarray, where: str) -> np.ndarray:
    """Position of a slice that has the first one's orientation and spacing."""
    other_row, other_column, other_spacing = _plane(item.header, item.path)
    same = np.allclose(np.r_[row, column], np.r_[other_row, other_column], atol=1e-3)
    if not same or not np.allclose(spacing, other_spacing, rtol=1e-3):
        raise InputError(
            f"{where}, {item.path.name}",
            "its orientation or pixel spacing differs from the first slice's",
            "Export scout and oblique images as series of their own",
            "mixed-slices",
        )
    return _numbers(item.header, "ImagePositionPatient", 3, item.path)


def _require_even(where: str, modality: str, slices: list[Slice], along: np.ndarray) -> None:
    """Refuse slices that are doubled, missing or unevenly spaced."""
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    if np.any(gaps < 1e-3):
        first, second = slices[int(np.argmin(gaps))], slices[int(np.argmin(gaps)) + 1]
        copied = (
            first.header.get("SOPInstanceUID") == second.header.get("SOPInstanceUID") and first.frame == second.frame
        )
        raise InputError(
            f"{where}, {first.path.name}",
            f"two slices lie at the same position, the other is {second.path.name}",
            "Take one of these copies away" if copied else "Select one time frame, gate or reconstruction",
            "duplicate-slice",
        )
    places = np.linspace(along[0], along[-1], len(along))
    strayed = float(np.abs(along - places).max())
    if strayed > max(_SPACING_TOLERANCE * usual, _ROUNDING_MM) or gaps.max() > 1.5 * gaps.min():
        raise _uneven(where, slices, gaps)
    stated = int(slices[0].header.get("NumberOfSlices", 0) or 0)
    if modality == "PT" and stated > len(slices) and stated % len(slices) != 0:
        raise InputError(
            where,
            f"slices are missing: its header states {stated}, found {len(slices)}",
            "Send the whole series again",
            "missing-slice",
        )


def _stacked(slices: list[Slice], where: str) -> np.ndarray:
    """The slices' values, each rescaled by its own slope."""
    planes: list[np.ndarray] = []
    whole: dict[Path, np.ndarray] = {}
    for item in slices:
        classic = not isinstance(item.header, FrameHeader)
        if classic:
            plane = _pixels(item.path)
        else:
            if item.path not in whole:
                whole[item.path] = _pixels(item.path, rescaled=False)
            frames = whole[item.path]
            slope, intercept = (number_or_none(item.header.get(name)) for name in ("RescaleSlope", "RescaleIntercept"))
            factor, offset = np.float32(1.0 if slope is None else slope), np.float32(intercept or 0.0)
            plane = frames[item.frame : item.frame + 1] * factor + offset
        if plane.shape[0] != 1 or (planes and plane.shape != planes[0].shape):
            raise InputError(
                f"{where}, {item.path.name}", "its size differs from the first slice's", "Export again", "mixed-slices"
            )
        planes.append(plane)
    return np.concatenate(planes)


def _uneven(where: str, slices: list[Slice], gaps: np.ndarray) -> InputError:
    """Slices are missing where a gap is far wider than the narrowest; else they are spaced unevenly."""
    widest, narrowest = int(np.argmax(gaps)), float(gaps.min())
    missing = float(gaps[widest]) > 1.5 * narrowest
    return InputError(
        f"{where}, after {slices[widest].path.name}",
        f"{'a slice is missing' if missing else 'its slices are unevenly spaced'}: expected {narrowest:.4g} mm to the "
        f"next, found {gaps[widest]:.4g} mm",
        "Send the whole series again" if missing else "Export it resampled to even spacing",
        "missing-slice" if missing else "uneven-slices",
    )


def read_multi_frame(header: Any, path: Path, where: str) -> Volume:
    """NM tomographic reconstruction: one position, frames along the normal at a signed spacing."""
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
    _require_one_stack(header, where)
    order = _slice_order(header, array.shape[0], where)
    array = array[order] if order is not None else array
    step = np.cross(row, column) * distance
    return Volume(array, _geometry(array.shape, row, column, step, spacing, position))


def _require_one_stack(header: Any, where: str) -> None:
    """Refuse several energy windows, gates or time slots in one object: which one is meant is not said."""
    for name, words in (
        ("EnergyWindowVector", "energy windows"),
        ("TimeSlotVector", "gates"),
        ("TimeSliceVector", "time slices"),
        ("RRIntervalVector", "heart phases"),
    ):
        value = header.get(name)
        count = len({int(x) for x in value}) if value is not None and not isinstance(value, int) else 1
        if count > 1:
            raise InputError(
                where, f"it holds {count} {words}, expected one", "Export the one that is wanted", "several-stacks"
            )
    stated = int(header.get("NumberOfSlices", 0) or 0)
    if stated and stated != int(header.NumberOfFrames):
        raise InputError(
            where,
            f"its header states {stated} slices and {int(header.NumberOfFrames)} frames",
            "Export one reconstruction",
            "several-stacks",
        )


def _slice_order(header: Any, frames: int, where: str) -> np.ndarray | None:
    """Frames in the order of the slice vector (0054,0080); None where they already are."""
    value = header.get("SliceVector")
    if value is None or isinstance(value, int) or len(value) != frames:
        return None
    numbers = np.array([int(x) for x in value])
    if len(set(numbers.tolist())) != frames:
        raise InputError(where, "its slice vector names a slice twice", "Export one reconstruction", "several-stacks")
    order = np.argsort(numbers)
    return None if np.array_equal(order, np.arange(frames)) else order


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
