"""Boolean masks as segments and back, without temporary nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from ..errors import InputError
from ..imaging.geometry import VolumeGeometry, same_grid
from ..imaging.volume import Volume
from .coordinates import LPS_TO_RAS, ijk_to_ras, numpy_matrix, parent_matrix_ras, vtk_matrix
from .images import array_of_image, set_image_scalars
from .nodes import owned_node

# Segment tags are written to files without any escape: the role is a fixed ASCII token.
ROLE_TAG = "TARECOMET.Role"
# How far (in voxels) a labelmap's grid may lie off the asked one and still be copied instead of resampled.
LATTICE_TOLERANCE = 1.0e-3
OUTLINE_THICKNESS_PX = 2
SURFACE_OPACITY = 0.4


@dataclass(frozen=True)
class Segment:
    """One structure to be written.

    Parameters
    ----------
    name : str
        What a person sees.
    role : str
        ASCII token without blanks, for example ``tumour``.
    mask : Volume
        Boolean voxels.
    color : tuple of float
        Red, green, blue, each 0..1.
    """

    name: str
    role: str
    mask: Volume
    color: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not self.role.isascii() or not self.role.replace("_", "").replace("-", "").isalnum():
            raise InputError(
                self.name,
                f"its role must be one word of ASCII letters, digits, '-' and '_', got {self.role!r}",
                "Choose a role from the list",
                code="role",
            )


def write_segmentation(
    scene: Any,
    segments: Iterable[Segment],
    name: str,
    *,
    owner: str = "",
    node: Any | None = None,
    reference: Any | None = None,
) -> Any:
    """Put masks into a segmentation node, one labelmap each, so that they may overlap.

    Parameters
    ----------
    scene : vtkMRMLScene
        Scene to write to; a vtkSlicerSegmentationsModuleLogic must know it, as in the application and HeadlessSlicer.
    segments : iterable of Segment
        What to write. An earlier segment of the same name keeps its ID; those not in the list are removed.
    name : str
        Name of the node.
    owner : str
        Whose result it is; a second call with the same owner and name writes into the same node.
    node : vtkMRMLSegmentationNode, optional
        Write into this node instead.
    reference : vtkMRMLScalarVolumeNode, optional
        Volume whose grid is the segmentation's reference geometry.

    Returns
    -------
    vtkMRMLSegmentationNode
        The node.
    """
    if node is None:
        node = owned_node(scene, "vtkMRMLSegmentationNode", name, owner)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        _show_outlines(node.GetDisplayNode())
    segmentation = node.GetSegmentation()
    was_modifying = node.StartModify()
    try:
        if reference is not None:
            node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
        segmentation.SetSourceRepresentationName(_labelmap_name())
        # The segments that depend on the old voxels, such as surfaces, are made anew when asked for.
        previous_ids = {segmentation.GetSegment(key).GetName(): key for key in segment_ids(node)}
        # What a person switched off stays off: display properties of the IDs that come back are kept.
        display = node.GetDisplayNode()
        display.SetRemoveUnusedDisplayProperties(False)
        segmentation.RemoveAllSegments()
        for segment in segments:
            add_segment(node, segment, previous_ids.get(segment.name, ""))
        display.SetRemoveUnusedDisplayProperties(True)
    finally:
        node.EndModify(was_modifying)
    return node


def segment_ids(node: Any) -> list[str]:
    """IDs of a node's segments, in their order."""
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]


def segment_tag(node: Any, segment_id: str, tag: str) -> str:
    """Value of a segment's tag, empty where it has none."""
    value = vtk.reference("")
    return str(value) if _segment(node, segment_id).GetTag(tag, value) else ""


def segment_role(node: Any, segment_id: str) -> str:
    """Role of a segment, empty where it has none."""
    return segment_tag(node, segment_id, ROLE_TAG)


def set_segment_role(node: Any, segment_id: str, role: str) -> None:
    """Store a role (an ASCII token) with a segment."""
    _segment(node, segment_id).SetTag(ROLE_TAG, role)


def read_segment(node: Any, segment_id: str, geometry: VolumeGeometry | None = None) -> Volume:
    """Voxels of one segment as a boolean volume, in the world.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
        Where the segment is.
    segment_id : str
        Which one: the ID, not the name.
    geometry : VolumeGeometry, optional
        Grid wanted; on another grid than the labelmap's, the nearest voxel counts. Without it, the labelmap's own
        grid, cropped to the segment.

    Returns
    -------
    Volume
        Boolean voxels; all false for an empty segment (which then needs ``geometry``).
    """
    segment = _segment(node, segment_id)
    image = slicer.vtkOrientedImageData()
    has_labelmap = node.GetSegmentation().ContainsRepresentation(_labelmap_name())
    if not has_labelmap and not node.CreateBinaryLabelmapRepresentation():
        raise InputError(segment.GetName(), "it cannot be made into voxels", "Draw it again", code="no-voxels")
    filled = node.GetBinaryLabelmapRepresentation(segment_id, image) and min(image.GetDimensions()) > 0
    if not filled or image.GetPointData().GetScalars() is None:
        if geometry is None:
            raise InputError(segment.GetName(), "the segment is empty", "Draw the structure", code="empty")
        return Volume(np.zeros(geometry.shape_kji, dtype=bool), geometry)
    own = Volume(array_of_image(image) != 0, image_geometry(image, parent_matrix_ras(node)))
    if geometry is None or same_grid(own.geometry, geometry):
        return own
    return _onto(own, geometry)


def _show_outlines(display: Any) -> None:
    """Lines instead of areas, so that the dose inside keeps its color; half transparent in 3D."""
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(OUTLINE_THICKNESS_PX)
    display.SetOpacity3D(SURFACE_OPACITY)


def _onto(mask: Volume, geometry: VolumeGeometry) -> Volume:
    """A mask on another grid: copied where the grids share their lattice, else the nearest voxel's value."""
    target_to_source = mask.geometry.lps_to_ijk @ geometry.ijk_to_lps
    result = np.zeros(geometry.shape_kji, dtype=bool)
    shift = np.round(target_to_source[:3, 3]).astype(int)
    corners = np.array([[0.0, 0.0, 0.0, 1.0], [*(n - 1.0 for n in geometry.shape_kji[::-1]), 1.0]])
    off = corners @ target_to_source.T - corners - [*shift, 0.0]
    if np.abs(off).max() < LATTICE_TOLERANCE:
        lower = np.maximum(0, -shift[::-1])
        upper = np.minimum(geometry.shape_kji, np.array(mask.array.shape) - shift[::-1])
        if np.all(upper > lower):
            to = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
            of = tuple(slice(a, b) for a, b in zip(lower + shift[::-1], upper + shift[::-1], strict=True))
            result[to] = mask.array[of]
        return Volume(result, geometry)
    matrix = target_to_source[:3, :3]
    planes = np.indices(geometry.shape_kji[1:], dtype=float)
    limits = np.array(mask.array.shape[::-1])
    for k in range(geometry.shape_kji[0]):
        index_ijk = np.stack([planes[1], planes[0], np.full_like(planes[0], k)], axis=-1)
        source = np.floor(index_ijk @ matrix.T + target_to_source[:3, 3] + 0.5).astype(int)
        inside = np.all((source >= 0) & (source < limits), axis=-1)
        i, j, n = source[inside].T
        result[k][inside] = mask.array[n, j, i]
    return Volume(result, geometry)


def add_segment(node: Any, segment: Segment, segment_id: str = "", into: Any | None = None) -> str:
    """Add a segment with a labelmap of its own, or give new voxels to an existing one; returns its ID.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
    segment : Segment
    segment_id : str, optional
        ID wanted; a free one by default.
    into : vtkSegment, optional
        Existing segment whose voxels are replaced; its name, color and tags stay.
    """
    image = slicer.vtkOrientedImageData()
    to_node = np.linalg.inv(parent_matrix_ras(node))
    lower, cropped = _cropped(segment.mask.array.astype(bool))
    set_image_scalars(image, cropped.astype(np.uint8), lower)
    image.SetGeometryFromImageToWorldMatrix(vtk_matrix(to_node @ ijk_to_ras(segment.mask.geometry)))
    if into is not None:
        # A layer of its own, so that segments which shared the old labelmap keep theirs.
        into.RemoveAllRepresentations()
        into.SetLabelValue(1)
        into.AddRepresentation(_labelmap_name(), image)
        into.Modified()
        node.Modified()
        return segment_id
    item = slicer.vtkSegment()
    item.SetName(segment.name)
    item.SetColor(*segment.color)
    item.SetTag(ROLE_TAG, segment.role)
    item.AddRepresentation(_labelmap_name(), image)
    segmentation = node.GetSegmentation()
    if not segmentation.GetSourceRepresentationName() or segmentation.GetNumberOfSegments() == 0:
        segmentation.SetSourceRepresentationName(_labelmap_name())
    given = segment_id or segmentation.GenerateUniqueSegmentID(segment.name)
    segmentation.AddSegment(item, given)
    return given


def _cropped(array: np.ndarray) -> tuple[tuple[int, int, int], np.ndarray]:
    """First voxel and voxels of the part of a mask that is not empty; one voxel where all of it is."""
    lower, upper = [], []
    for axis in range(3):
        hit = np.flatnonzero(array.any(axis=tuple(a for a in range(3) if a != axis)))
        lower.append(int(hit[0]) if hit.size else 0)
        upper.append(int(hit[-1]) + 1 if hit.size else 1)
    k, j, i = lower
    return (k, j, i), array[k : upper[0], j : upper[1], i : upper[2]]


def image_geometry(image: Any, parent_ras: np.ndarray) -> VolumeGeometry:
    """Grid of a labelmap in the world; index 0 is its first voxel, wherever its extent begins."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    extent = image.GetExtent()
    first = np.eye(4)
    first[:3, 3] = extent[0::2]
    i, j, k = image.GetDimensions()
    return VolumeGeometry((k, j, i), LPS_TO_RAS @ parent_ras @ numpy_matrix(matrix) @ first)


def _segment(node: Any, segment_id: str) -> Any:
    segment = node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise InputError(
            node.GetName(), f"it has no segment with the ID {segment_id!r}", "Choose the segment again", "no-segment"
        )
    return segment


def _labelmap_name() -> str:
    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
