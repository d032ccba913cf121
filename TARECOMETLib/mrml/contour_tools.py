"""What the panel does to contours with one click: rows of its table, segments from uptake, margins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..case.roles import contour_role
from ..dosimetry.compartments import LIVER, LUNG, OTHER, ROLES, TUMOUR, derive_compartments
from ..errors import InputError
from ..imaging.geometry import VolumeGeometry
from ..imaging.sitk_images import resample
from ..imaging.volume import Volume
from .coordinates import parent_matrix_ras
from .role_colors import role_color
from .segmentations import (
    ROLE_TAG,
    Segment,
    add_segment,
    read_segment,
    segment_ids,
    segment_role,
    segment_tag,
)

SOURCE_TAG = "TARECOMET.Source"
SOURCES = ("unknown", "CT", "MR", "FDG", "uptake")
# Category and type from Slicer's "General Anatomy" and DICOM lists; codes are SNOMED CT. A perfused territory has none.
_TERMS = {
    LIVER: ("123037004", "Anatomical Structure", "10200004", "Liver"),
    LUNG: ("123037004", "Anatomical Structure", "39607008", "Lung"),
    TUMOUR: ("49755003", "Morphologically Altered Structure", "14799000", "Neoplasm, Secondary"),
}
_TERMINOLOGY = "Segmentation category and type - DICOM master list"
_ANATOMY = "Anatomic codes - DICOM master list"


@dataclass(frozen=True)
class ContourRow:
    """One segment as the panel lists it.

    Parameters
    ----------
    segment_id, name, role, source : str
    volume_ml : float
        0 where nothing is drawn yet.
    color : tuple of float
        Red, green, blue, each 0..1.
    """

    segment_id: str
    name: str
    role: str
    source: str
    volume_ml: float
    color: tuple[float, float, float]


def contour_rows(node: Any) -> list[ContourRow]:
    """Every segment of a segmentation node, in its order."""
    rows = []
    for segment_id in segment_ids(node):
        segment = node.GetSegmentation().GetSegment(segment_id)
        rows.append(
            ContourRow(
                segment_id,
                segment.GetName(),
                segment_role(node, segment_id) or contour_role(segment.GetName()),
                segment_tag(node, segment_id, SOURCE_TAG) or SOURCES[0],
                segment_volume_ml(node, segment_id),
                tuple(segment.GetColor()),
            )
        )
    return rows


def segment_volume_ml(node: Any, segment_id: str) -> float:
    """Volume of a segment's voxels, 0 where it is empty."""
    mask = _mask(node, segment_id)
    return 0.0 if mask is None else float(np.count_nonzero(mask.array)) * mask.geometry.voxel_volume_ml


def give_role(node: Any, segment_id: str, role: str) -> None:
    """Store a role with a segment, as our tag and as coded terminology."""
    if role not in ROLES:
        raise InputError("role", f'there is no role "{role}"', f"Choose one of {', '.join(ROLES)}", "role")
    segment = node.GetSegmentation().GetSegment(segment_id)
    segment.SetTag(ROLE_TAG, role)
    if role in _TERMS:
        category, category_name, kind, kind_name = _TERMS[role]
        segment.SetTag(
            "TerminologyEntry",
            f"{_TERMINOLOGY}~SCT^{category}^{category_name}~SCT^{kind}^{kind_name}~^^~{_ANATOMY}~^^~^^",
        )
    else:
        segment.RemoveTag("TerminologyEntry")


def give_source(node: Any, segment_id: str, source: str) -> None:
    """Store with a segment what it was drawn on."""
    if source not in SOURCES:
        raise InputError("contour source", f'there is no "{source}"', f"Choose one of {', '.join(SOURCES)}", "source")
    node.GetSegmentation().GetSegment(segment_id).SetTag(SOURCE_TAG, source)


def new_contour(node: Any, name: str, role: str, source: str, mask: Volume) -> str:
    """Add a segment under a name that is free, in the role's color; returns its ID."""
    if not mask.array.any():
        raise InputError(name, "nothing would be in it", "Choose a lower threshold or another image", "empty-contour")
    rows = contour_rows(node)
    taken = {row.name for row in rows}
    free, number = name, 2
    while free in taken:
        free, number = f"{name} {number}", number + 1
    color = role_color(role, sum(row.role == role for row in rows))
    segment_id = add_segment(node, Segment(free, role, mask, color))
    give_role(node, segment_id, role)
    give_source(node, segment_id, source)
    return segment_id


def uptake_inside(image: Volume, inside: Volume, percent: float) -> Volume:
    """Voxels of ``inside`` whose value is at least a percentage of the largest value there.

    Parameters
    ----------
    image : Volume
        Counts or concentration, in the world.
    inside : Volume
        Boolean; the result lies on its grid.
    percent : float
        Above 0, at most 100.
    """
    if not 0.0 < percent <= 100.0:
        raise InputError("percentage", f"expected above 0 to 100 %, got {percent:g}", "Choose another percentage")
    values = resample(image, inside.geometry, np.eye(4), outside=0.0).array
    chosen = inside.array.astype(bool)
    largest = float(values[chosen].max()) if chosen.any() else 0.0
    if not largest > 0.0:
        raise InputError("image", "it has no uptake inside the liver", "Check the image's role and its registration")
    return Volume(chosen & (values >= largest * percent / 100.0), inside.geometry)


def density_inside(ct_hu: Volume, inside: Volume, lower_hu: float, upper_hu: float) -> Volume:
    """Voxels of ``inside`` whose CT number lies between two limits, without specks of under 0.1 mL."""
    if not lower_hu < upper_hu:
        raise InputError(
            "CT limits", f"expected lower below upper, got {lower_hu:g} and {upper_hu:g} HU", "Correct the limits"
        )
    from scipy import ndimage

    values = resample(ct_hu, inside.geometry, np.eye(4), outside=-1000.0).array
    found = inside.array.astype(bool) & (values >= lower_hu) & (values <= upper_hu)
    parts, count = ndimage.label(ndimage.binary_opening(found))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return Volume((sizes >= 0.1 / inside.geometry.voxel_volume_ml)[parts], inside.geometry)


def with_margin(mask: Volume, margin_mm: float) -> Volume:
    """A mask grown (or, below zero, shrunk) by a true distance between voxel centers; the grid widens as needed.

    Raises
    ------
    InputError
        Where nothing would be left.
    """
    from scipy import ndimage

    pad = tuple(int(np.ceil(max(margin_mm, 0.0) / s)) + 1 for s in mask.geometry.spacing_mm[::-1])
    wide = np.pad(mask.array.astype(bool), [(p, p) for p in pad])
    spacing = mask.geometry.spacing_mm[::-1]
    if margin_mm >= 0.0:
        grown = ndimage.distance_transform_edt(~wide, sampling=spacing) <= margin_mm
    else:
        grown = ndimage.distance_transform_edt(wide, sampling=spacing) > -margin_mm
    if not grown.any():
        raise InputError(
            "margin", f"nothing is left after {margin_mm:g} mm", "Choose a smaller margin", "empty-contour"
        )
    lower = (-pad[0], -pad[1], -pad[2])
    geometry: VolumeGeometry = mask.geometry.cropped(lower, grown.shape)  # type: ignore[arg-type]
    return Volume(grown, geometry)


def replace_mask(node: Any, segment_id: str, mask: Volume) -> None:
    """New voxels for a segment; its ID, name, color and tags stay."""
    segment = node.GetSegmentation().GetSegment(segment_id)
    add_segment(node, Segment(segment.GetName(), OTHER, mask, segment.GetColor()), segment_id, into=segment)


def derived_masks(node: Any) -> dict[str, Volume]:
    """Derived compartments as masks on the liver's grid, for showing them; doses have their own, finer way."""
    rows = contour_rows(node)
    livers = [row for row in rows if row.role == LIVER and row.volume_ml > 0.0]
    if len(livers) != 1:
        raise InputError("contours", f"expected one liver, got {len(livers)}", "Draw the liver and give it its role")
    grid = read_segment(node, livers[0].segment_id).geometry
    filled = [row for row in rows if row.volume_ml > 0.0]
    names = [row.name for row in filled]
    code = np.zeros(grid.shape_kji, dtype=np.uint64)
    for bit, row in enumerate(filled):
        code |= read_segment(node, row.segment_id, grid).array.astype(np.uint64) << np.uint64(bit)
    derived = [c for c in derive_compartments({row.name: row.role for row in filled}) if c.role == "derived"]
    return {c.name: Volume(c.holds(code, names), grid) for c in derived}


def joined_geometry(node: Any, keys: list[str]) -> VolumeGeometry:
    """The lattice of the first of several segments, widened so that all of them fit."""
    masks = [read_segment(node, key) for key in keys]
    first = masks[0].geometry
    corners = np.concatenate([mask.geometry.corners_lps_mm() for mask in masks])
    index = (np.c_[corners, np.ones(len(corners))] @ first.lps_to_ijk.T)[:, 2::-1]
    lower = np.floor(index.min(axis=0) + 0.5 + 1e-6).astype(int)
    shape = np.ceil(index.max(axis=0) - 0.5 - 1e-6).astype(int) - lower + 1
    return first.cropped(tuple(map(int, lower)), tuple(map(int, shape)))  # type: ignore[arg-type]


def _mask(node: Any, segment_id: str) -> Volume | None:
    parent_matrix_ras(node)  # a non-linear transform is refused, not read as an empty segment
    try:
        return read_segment(node, segment_id)
    except InputError as error:
        if error.code == "empty":
            return None
        raise
