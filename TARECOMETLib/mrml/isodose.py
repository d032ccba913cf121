"""Isodose surfaces: one model node per level, shown as surfaces in 3D and as lines in slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import vtk

from ..errors import InputError
from ..imaging.geometry import VolumeGeometry
from ..imaging.volume import Volume
from ..report.dose_colors import isodose_line_colors
from .coordinates import ijk_to_ras, vtk_matrix
from .hierarchy import folder_item, place_node
from .images import image_of_array
from .nodes import KEY_ATTRIBUTE, owned_node, owned_nodes, remove_node

LEVEL_ATTRIBUTE = "TARECOMET.IsodoseLevelGy"
LINE_THICKNESS_PX = 2
SURFACE_OPACITY = 0.25


def isodose_surface(volume_gy: Volume, level_gy: float) -> vtk.vtkPolyData:
    """The surface of equal dose in Slicer's world (RAS, mm).

    The dose is taken as zero beyond the grid, so that the surface is closed where it meets the border.

    Parameters
    ----------
    volume_gy : Volume
        Dose, in Gy.
    level_gy : float
        Dose on the surface, above zero.

    Returns
    -------
    vtkPolyData
        Triangles with outward normals; empty where the level is not reached.
    """
    if not level_gy > 0.0:
        raise InputError("isodose", f"the level must be above 0 Gy, got {level_gy:g}", "Give a larger dose", "isodose")
    padded, geometry = _padded_part(volume_gy, level_gy)
    if padded is None or geometry is None:
        return vtk.vtkPolyData()
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(image_of_array(padded))
    contour.SetValue(0, level_gy)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    transform = vtk.vtkTransform()
    transform.SetMatrix(vtk_matrix(ijk_to_ras(geometry)))
    to_world = vtk.vtkTransformPolyDataFilter()
    to_world.SetTransform(transform)
    to_world.SetInputConnection(contour.GetOutputPort())
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(to_world.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOn()
    normals.AutoOrientNormalsOn()
    normals.Update()
    return normals.GetOutput()


def write_isodoses(
    scene: Any,
    volume_gy: Volume,
    levels_gy: Sequence[float],
    dose_name: str,
    *,
    owner: str = "",
    parent_item: int | None = None,
) -> dict[float, Any]:
    """Put the isodoses of one dose map into the scene, replacing those of an earlier run.

    Parameters
    ----------
    scene : vtkMRMLScene
        Scene to write to.
    volume_gy : Volume
        Dose, in Gy.
    levels_gy : sequence of float
        Doses of the surfaces. Levels that are not reached make no node.
    dose_name : str
        Name of the dose map, part of the models' names.
    owner : str
        Whose result it is.
    parent_item : int, optional
        Item of the subject hierarchy under which a folder "Isodoses" is made.

    Returns
    -------
    dict of float to vtkMRMLModelNode
        Node of each level that is reached, lowest first.
    """
    levels = sorted(set(levels_gy))
    nodes: dict[float, Any] = {}
    for level_gy, color in zip(levels, isodose_line_colors(len(levels)), strict=True):
        surface = isodose_surface(volume_gy, level_gy)
        if surface.GetNumberOfPoints() == 0:
            continue
        name = f"{dose_name}: {level_gy:g} Gy"
        node = owned_node(scene, "vtkMRMLModelNode", name, owner, key=_key(dose_name, level_gy))
        node.SetAttribute(LEVEL_ATTRIBUTE, f"{level_gy:g}")
        node.SetAndObservePolyData(surface)
        _show(node, color)
        nodes[level_gy] = node
    _remove_stale(scene, owner, dose_name, {_key(dose_name, level) for level in nodes})
    if parent_item is not None and nodes:
        folder = folder_item(scene, parent_item, f"Isodoses of {dose_name}")
        for node in nodes.values():
            place_node(scene, node, folder)
    return nodes


def _key(dose_name: str, level_gy: float) -> str:
    return f"isodose/{dose_name}/{level_gy:g}"


def _show(node: Any, color: tuple[float, float, float]) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    was_modifying = display.StartModify()
    try:
        display.SetColor(*color)
        display.SetOpacity(SURFACE_OPACITY)
        display.SetBackfaceCulling(False)
        display.SetVisibility2D(True)
        display.SetSliceIntersectionThickness(LINE_THICKNESS_PX)
    finally:
        display.EndModify(was_modifying)


def _remove_stale(scene: Any, owner: str, dose_name: str, kept_keys: set[str]) -> None:
    prefix = f"isodose/{dose_name}/"
    for node in owned_nodes(scene, "vtkMRMLModelNode", owner):
        key = node.GetAttribute(KEY_ATTRIBUTE)
        if key.startswith(prefix) and key not in kept_keys:
            remove_node(scene, node)


def _padded_part(volume_gy: Volume, level_gy: float) -> tuple[np.ndarray | None, VolumeGeometry | None]:
    """The part of the grid around the voxels at or above the level, one voxel wider, zero beyond the grid."""
    high = volume_gy.array >= level_gy
    lower, upper = [], []
    for axis in range(3):
        hit = np.flatnonzero(high.any(axis=tuple(a for a in range(3) if a != axis)))
        if hit.size == 0:
            return None, None
        lower.append(int(hit[0]) - 1)
        upper.append(int(hit[-1]) + 2)
    inner = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(lower, upper, volume_gy.array.shape, strict=True))
    pad = [(max(0, -a), max(0, b - n)) for a, b, n in zip(lower, upper, volume_gy.array.shape, strict=True)]
    part = np.pad(volume_gy.array[inner].astype(np.float32), pad)
    k, j, i = part.shape
    return part, volume_gy.geometry.cropped((lower[0], lower[1], lower[2]), (k, j, i))
