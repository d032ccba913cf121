"""Contours kept in DICOM: RTSTRUCT closed surfaces filled on their image's grid, and SEG on its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .dicom_frames import frame_headers
from .dicom_volume import quiet
from .geometry import VolumeGeometry
from .volume import Volume

# Contours drawn on every second to fourth slice are filled between; wider gaps are separate pieces.
_WIDEST_GAP_SLICES = 4
_PLANAR_SLICES = 0.5


def is_dicom_file(path: Path) -> bool:
    """Whether a file begins as DICOM does."""
    try:
        with path.open("rb") as content:
            return content.read(132)[128:] == b"DICM"
    except OSError:
        return False


@quiet()
def _dataset(path: Path) -> Any:
    import pydicom

    try:
        dataset = pydicom.dcmread(path)
        modality = str(dataset.Modality)
    except Exception:  # noqa: BLE001 - a damaged file raises nearly anything inside the parser
        raise InputError(str(path), "it cannot be read as DICOM", "Export it again", "corrupt-dicom") from None
    if modality not in ("RTSTRUCT", "SEG"):
        raise InputError(
            str(path), f"it is DICOM {modality}, expected RTSTRUCT or SEG", "Give the contours", "contours"
        )
    return dataset


def contours_frame_of_reference(path: Path) -> str:
    """UID of the patient space that contours lie in; empty where the file does not say."""
    dataset = _dataset(path)
    try:
        if str(dataset.Modality) == "SEG":
            return str(dataset.get("FrameOfReferenceUID", "") or "")
        for item in dataset.get("ReferencedFrameOfReferenceSequence") or ():
            if item.get("FrameOfReferenceUID"):
                return str(item.FrameOfReferenceUID)
        for item in dataset.get("StructureSetROISequence") or ():
            if item.get("ReferencedFrameOfReferenceUID"):
                return str(item.ReferencedFrameOfReferenceUID)
    except Exception:  # noqa: BLE001 - values are converted when they are asked for
        raise _damaged(path) from None
    return ""


def _damaged(path: Path) -> InputError:
    return InputError(str(path), "its contours are damaged", "Export them again", "corrupt-dicom")


@quiet()
def read_dicom_contours(path: Path, grid: VolumeGeometry | None) -> list[tuple[str, Volume]]:
    """Every structure of an RTSTRUCT or a SEG; those without any contour are left out.

    Parameters
    ----------
    path : Path
    grid : VolumeGeometry or None
        Of the image that RTSTRUCT contours were drawn on; SEG has its own.

    Raises
    ------
    InputError
        Where the file is damaged, contours do not lie in the image's slices, or there is no grid for them.
    """
    dataset = _dataset(path)
    try:
        if str(dataset.Modality) == "SEG":
            return _segments(dataset, path)
        if grid is None:
            raise InputError(str(path), "its image is missing", "Add the image it was drawn on", "contours")
        return _structures(dataset, grid, path)
    except InputError:
        raise
    except Exception:  # noqa: BLE001 - values are converted when they are asked for
        raise _damaged(path) from None


def _structures(dataset: Any, grid: VolumeGeometry, path: Path) -> list[tuple[str, Volume]]:
    names = {
        int(item.ROINumber): " ".join(str(item.get("ROIName", "")).split()) or f"ROI {int(item.ROINumber)}"
        for item in dataset.StructureSetROISequence
    }
    found = []
    for item in dataset.get("ROIContourSequence") or ():
        name = names.get(int(item.ReferencedROINumber), f"ROI {int(item.ReferencedROINumber)}")
        polygons = [
            np.array([float(x) for x in contour.ContourData]).reshape(-1, 3)
            for contour in item.get("ContourSequence") or ()
            if str(contour.get("ContourGeometricType", "")).upper() in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
        ]
        if polygons:
            found.append((name, Volume(fill_polygons(polygons, grid, f'{path.name}, "{name}"'), grid)))
    return found


def fill_polygons(polygons: Iterable[np.ndarray], grid: VolumeGeometry, where: str) -> np.ndarray:
    """Voxels whose centers lie inside closed planar polygons, by the even-odd rule in each slice.

    Polygons of one slice that lie in each other make holes, and a keyhole leaves what it goes around. Slices between
    those drawn on, up to four apart, take the border half way (signed distances interpolated).

    Parameters
    ----------
    polygons : iterable of ndarray of shape (n, 3)
        Points in LPS, mm.
    grid : VolumeGeometry
    where : str
        For messages.

    Returns
    -------
    ndarray of bool, shape (k, j, i)
    """
    array = np.zeros(grid.shape_kji, dtype=bool)
    drawn: set[int] = set()
    for points in polygons:
        if len(points) < 3:
            continue
        index = (np.c_[points, np.ones(len(points))] @ grid.lps_to_ijk.T)[:, :3]
        if np.ptp(index[:, 2]) > _PLANAR_SLICES:
            raise InputError(
                where,
                "its contours do not lie in the image's slices",
                "Convert it to a label map of this image",
                "oblique-contours",
            )
        k = int(np.rint(index[:, 2].mean()))
        if 0 <= k < grid.shape_kji[0]:
            array[k] ^= _filled(index[:, 0], index[:, 1], grid.shape_kji[1:])
            drawn.add(k)
        else:
            raise InputError(
                where, "it lies outside the image it was drawn on", "Check which image it belongs to", "outside-image"
            )
    _fill_between(array, sorted(drawn), grid.spacing_mm[1::-1])
    return array


def _filled(x: np.ndarray, y: np.ndarray, shape_ji: Sequence[int]) -> np.ndarray:
    """Pixels whose centers lie inside one polygon, by the parity of border crossings to their left."""
    rows, columns = shape_ji
    x_next, y_next = np.roll(x, -1), np.roll(y, -1)
    first = np.ceil(np.minimum(y, y_next)).astype(int)
    last = np.ceil(np.maximum(y, y_next)).astype(int)  # half open: a corner counts once
    crossings = np.zeros((rows, columns + 1), dtype=np.int32)
    for n in np.flatnonzero(last > first):
        j = np.arange(max(first[n], 0), min(last[n], rows))
        at = x[n] + (j - y[n]) * (x_next[n] - x[n]) / (y_next[n] - y[n])
        np.add.at(crossings, (j, np.clip(np.ceil(at), 0, columns).astype(int)), 1)
    return np.cumsum(crossings, axis=1)[:, :columns] % 2 == 1


def _fill_between(array: np.ndarray, drawn: list[int], spacing_ji_mm: Sequence[float]) -> None:
    from scipy.ndimage import distance_transform_edt

    def signed(plane: np.ndarray) -> np.ndarray:
        inside, outside = (distance_transform_edt(part, sampling=spacing_ji_mm) for part in (plane, ~plane))
        return inside - outside

    for low, high in pairwise(drawn):
        if not 1 < high - low <= _WIDEST_GAP_SLICES:
            continue
        below, above = signed(array[low]), signed(array[high])
        for k in range(low + 1, high):
            share = (k - low) / (high - low)
            array[k] = (1.0 - share) * below + share * above > 0.0


def _segments(dataset: Any, path: Path) -> list[tuple[str, Volume]]:
    """Segments of a SEG on the grid that its frames make."""
    names = {
        int(item.SegmentNumber): " ".join(str(item.get("SegmentLabel", "")).split()) or f"Segment {item.SegmentNumber}"
        for item in dataset.SegmentSequence
    }
    stored = np.asarray(dataset.pixel_array)
    stored = stored[None] if stored.ndim == 2 else stored
    frames = frame_headers([dataset])
    numbers = [int(frame.get("ReferencedSegmentNumber") or 1) for frame in frames]
    turn = np.array([float(v) for v in frames[0].get("ImageOrientationPatient")])
    row, column = turn[:3], turn[3:]
    positions = np.array([[float(v) for v in frame.get("ImagePositionPatient")] for frame in frames])
    along = positions @ np.cross(row, column)
    places = np.unique(np.round(along, 3))
    gaps = np.diff(places)
    step_mm = float(gaps.min()) if gaps.size else float(frames[0].get("SliceThickness") or 1.0)
    slots = np.rint((along - places[0]) / step_mm).astype(int)
    if gaps.size and np.abs((along - places[0]) / step_mm - slots).max() > 0.1:
        raise InputError(str(path), "its frames are unevenly spaced", "Export it as .seg.nrrd", "uneven-slices")
    y_mm, x_mm = (float(v) for v in frames[0].get("PixelSpacing"))
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1] = row * x_mm, column * y_mm
    matrix[:3, 2], matrix[:3, 3] = np.cross(row, column) * step_mm, positions[int(np.argmin(along))]
    shape = (int(slots.max()) + 1, *stored.shape[1:])
    grid = VolumeGeometry(shape, matrix)  # type: ignore[arg-type]
    threshold = 0.5 * float(dataset.get("MaximumFractionalValue", 1) or 1)
    found = []
    for number, name in names.items():
        array = np.zeros(shape, dtype=bool)
        for frame, slot in zip(
            np.flatnonzero(np.array(numbers) == number), slots[np.array(numbers) == number], strict=True
        ):
            array[slot] |= stored[frame] >= max(threshold, 0.5)
        if array.any():
            found.append((name, Volume(array, grid)))
    return found
