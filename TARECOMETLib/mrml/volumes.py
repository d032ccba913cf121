"""Volumes as scalar volume nodes and back, with the display and the codes that a dose map needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ..errors import InputError
from ..imaging.geometry import VolumeGeometry
from ..imaging.volume import Volume
from .coordinates import LPS_TO_RAS, ijk_to_ras, numpy_matrix, parent_matrix_ras, vtk_matrix
from .dose_colors import dose_color_node
from .images import array_of_image, image_of_array
from .nodes import owned_node

# SlicerRT knows a dose map by these: the first stands on the volume, the units on its study (see hierarchy.py).
DOSE_VOLUME_ATTRIBUTE = "DicomRtImport.DoseVolume"
DOSE_UNIT_NAME_ATTRIBUTE = "DicomRtImport.DoseUnitName"
DOSE_UNIT_VALUE_ATTRIBUTE = "DicomRtImport.DoseUnitValue"
DOSE_UNIT_NAME = "GY"
DOSE_UNIT_VALUE = "1.0"
# DICOM PS3.16: (128513, DCM, "Absorbed Dose"); UCUM code for gray.
ABSORBED_DOSE_CODE = ("128513", "DCM", "Absorbed Dose")
GRAY_CODE = ("Gy", "UCUM", "Gray")
# Usual soft-tissue window of abdominal CT, in HU.
ABDOMEN_WINDOW_HU, ABDOMEN_LEVEL_HU = 400.0, 50.0
# Doses below this share of the window's top are not painted, so that the CT stays visible.
DOSE_THRESHOLD_SHARE = 0.05


def write_volume(scene: Any, volume: Volume, name: str, *, owner: str = "", node: Any | None = None) -> Any:
    """Put a volume into the scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Scene to write to.
    volume : Volume
        Values and grid; oblique and anisotropic grids are kept exactly.
    name : str
        What a person sees.
    owner : str
        Whose result it is; a second call with the same owner and name writes into the same node.
    node : vtkMRMLScalarVolumeNode, optional
        Write into this node instead; its name is left alone.

    Returns
    -------
    vtkMRMLScalarVolumeNode
        The node, with default display nodes.
    """
    if node is None:
        node = owned_node(scene, "vtkMRMLScalarVolumeNode", name, owner)
    was_modifying = node.StartModify()
    try:
        node.SetIJKToRASMatrix(vtk_matrix(ijk_to_ras(volume.geometry)))
        node.SetAndObserveImageData(image_of_array(volume.array))
    finally:
        node.EndModify(was_modifying)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    return node


def read_volume(node: Any) -> Volume:
    """Values and grid of a scalar volume node, in the world: a linear parent transform moves the grid.

    Raises
    ------
    InputError
        Where the node is empty, has several components a voxel or stands under a non-linear transform.
    """
    return Volume(_image_array(node), read_geometry(node))


def read_geometry(node: Any) -> VolumeGeometry:
    """Grid of a scalar volume node in the world, without touching its voxels."""
    image = _image(node)
    matrix = vtk_matrix(np.eye(4))
    node.GetIJKToRASMatrix(matrix)
    i, j, k = image.GetDimensions()
    return VolumeGeometry((k, j, i), LPS_TO_RAS @ parent_matrix_ras(node) @ numpy_matrix(matrix))


def write_ct_volume(scene: Any, volume_hu: Volume, name: str, *, owner: str = "", node: Any | None = None) -> Any:
    """Put a CT (in HU) into the scene, interpolated and with the abdomen's soft-tissue window."""
    node = write_volume(scene, volume_hu, name, owner=owner, node=node)
    _set_codes(node, ("112031", "DCM", "Attenuation Coefficient"), ("[hnsf'U]", "UCUM", "Hounsfield unit"))
    display = node.GetDisplayNode()
    was_modifying = display.StartModify()
    try:
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(ABDOMEN_WINDOW_HU, ABDOMEN_LEVEL_HU)
        display.SetInterpolate(True)
    finally:
        display.EndModify(was_modifying)
    return node


def write_dose_volume(
    scene: Any,
    volume_gy: Volume,
    name: str,
    *,
    owner: str = "",
    node: Any | None = None,
    window_top_gy: float | None = None,
    threshold_gy: float | None = None,
) -> Any:
    """Put an absorbed-dose map into the scene so that Slicer and SlicerRT know it as dose in Gy.

    Parameters
    ----------
    scene : vtkMRMLScene
        Scene to write to.
    volume_gy : Volume
        Absorbed dose, in Gy.
    name : str
        What a person sees.
    owner : str
        Whose result it is; a second call with the same owner and name writes into the same node.
    node : vtkMRMLScalarVolumeNode, optional
        Write into this node instead.
    window_top_gy : float, optional
        Dose of the color table's last color; the largest dose by default.
    threshold_gy : float, optional
        Doses below it are transparent; a twentieth of the window's top by default.

    Returns
    -------
    vtkMRMLScalarVolumeNode
        The node.

    Raises
    ------
    InputError
        Where a voxel is not a number or infinite.
    """
    if not np.isfinite(volume_gy.array).all():
        raise InputError(name, "some doses are not finite numbers", "Recompute the dose map", code="dose-not-finite")
    node = write_volume(
        scene, Volume(volume_gy.array.astype(np.float32), volume_gy.geometry), name, owner=owner, node=node
    )
    node.SetAttribute(DOSE_VOLUME_ATTRIBUTE, "1")
    node.SetAttribute(DOSE_UNIT_NAME_ATTRIBUTE, DOSE_UNIT_NAME)
    node.SetAttribute(DOSE_UNIT_VALUE_ATTRIBUTE, DOSE_UNIT_VALUE)
    _set_codes(node, ABSORBED_DOSE_CODE, GRAY_CODE)
    largest_gy = float(volume_gy.array.max())
    top_gy = window_top_gy if window_top_gy is not None else (largest_gy if largest_gy > 0.0 else 1.0)
    show_as_dose(node, top_gy, DOSE_THRESHOLD_SHARE * top_gy if threshold_gy is None else threshold_gy)
    return node


def show_as_dose(node: Any, window_top_gy: float, threshold_gy: float) -> None:
    """Give a dose volume the dose colors from 0 to ``window_top_gy``, transparent below ``threshold_gy``."""
    if not window_top_gy > 0.0:
        raise InputError(
            node.GetName(), f"the color bar's top must be above 0 Gy, got {window_top_gy:g}", "Give a larger dose"
        )
    colors = dose_color_node(node.GetScene())
    display = node.GetDisplayNode()
    largest_gy = max(float(node.GetImageData().GetScalarRange()[1]), window_top_gy)
    was_modifying = display.StartModify()
    try:
        display.SetAndObserveColorNodeID(colors.GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0.0, window_top_gy)
        display.SetAutoThreshold(False)
        display.SetThreshold(threshold_gy, largest_gy)
        display.SetApplyThreshold(True)
        display.SetInterpolate(True)
    finally:
        display.EndModify(was_modifying)


def add_color_legend(node: Any) -> Any:
    """Give a dose volume Slicer's own color legend, titled in Gy; the same one on a second call."""
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node.GetDisplayNode())
    legend.SetTitleText("Absorbed dose (Gy)")
    legend.SetLabelFormat("{:.0f}" if _uses_brace_format(legend) else "%.0f")
    return legend


def _uses_brace_format(legend: Any) -> bool:
    """Whether this Slicer writes label formats as std::format ("{}") rather than as printf ("%")."""
    return "{" in legend.GetLabelFormat()


def _set_codes(node: Any, quantity: tuple[str, str, str], units: tuple[str, str, str]) -> None:
    for code, setter in ((quantity, node.SetVoxelValueQuantity), (units, node.SetVoxelValueUnits)):
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(*code)
        setter(entry)


def _image(node: Any) -> Any:
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError(node.GetName(), "the volume is empty", "Load or choose a volume with voxels", code="empty")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            node.GetName(),
            f"expected one value a voxel, got {image.GetNumberOfScalarComponents()}",
            "Choose a scalar volume",
            code="components",
        )
    return image


def _image_array(node: Any) -> np.ndarray:
    return array_of_image(_image(node))
