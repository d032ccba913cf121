"""One slice drawn by Slicer's own slice logic and displayable managers, without annotations."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..errors import InputError
from .coordinates import numpy_matrix, ras_point, vtk_matrix
from .headless import HeadlessSlicer
from .offscreen import OffscreenWindow, OnlyVisible, displayable_managers

LAYOUT_NAME = "TARECOMETPicture"
MANAGERS = ("vtkMRMLModelSliceDisplayableManager", "vtkMRMLSegmentationsDisplayableManager2D")
# Columns: where the picture's right, its top and the viewer's side of the slice point in RAS. Radiological convention:
# the patient's right is on the left of axial and coronal pictures; anterior is on the left of sagittal ones.
SLICE_AXES_RAS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "Axial": ((-1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "Coronal": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
    "Sagittal": ((0, -1, 0), (0, 0, 1), (1, 0, 0)),
}
# Thickness given to the slice in mm; slices are planes here, so it plays no part in what is drawn.
SLICE_THICKNESS_MM = 1.0


def slice_to_ras(orientation: str, center_lps_mm: tuple[float, float, float]) -> np.ndarray:
    """Slice plane coordinates (right, up, towards the viewer; mm from the center) to RAS, 4x4."""
    if orientation not in SLICE_AXES_RAS:
        raise InputError(
            "orientation", f"expected one of {', '.join(SLICE_AXES_RAS)}, got {orientation!r}", "Choose one of them"
        )
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(SLICE_AXES_RAS[orientation], dtype=float).T
    matrix[:3, 3] = ras_point(center_lps_mm)
    return matrix


class SliceView:
    """A slice view of a headless scene; made once, then used for every picture.

    Its own nodes are not saved with the scene.
    """

    def __init__(self, headless: HeadlessSlicer) -> None:
        self._scene = headless.scene
        self._offscreen = OffscreenWindow()
        self._node = self._scene.AddNewNodeByClass("vtkMRMLSliceNode", LAYOUT_NAME)
        self._node.SetLayoutName(LAYOUT_NAME)
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(headless.application_logic)
        self._logic.SetMRMLScene(self._scene)
        self._logic.SetSliceNode(self._node)
        self._composite = self._logic.GetSliceCompositeNode()
        for node in self._own_nodes():
            node.SetSaveWithScene(False)
        # vtkMRMLSliceLogic blends the layers into one image of the view's size; it only has to be put on the screen.
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255.0)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._offscreen.renderer.AddViewProp(self._actor)
        self._group = displayable_managers(headless, self._offscreen.renderer, self._node, MANAGERS)

    def _own_nodes(self) -> list[Any]:
        own = [self._composite, self._logic.GetSliceModelNode(), self._logic.GetSliceModelTransformNode()]
        own += [self._logic.GetSliceModelDisplayNode(), self._logic.GetSliceDisplayNode(), self._node]
        return [node for node in own if node is not None]

    def render(
        self,
        background: Any | None,
        foreground: Any | None,
        drawn_nodes: list[Any],
        matrix_slice_to_ras: np.ndarray,
        size_px: tuple[int, int],
        field_of_view_mm: float,
        foreground_opacity: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw one slice.

        Parameters
        ----------
        background, foreground : vtkMRMLScalarVolumeNode or None
            Volumes of the two layers.
        drawn_nodes : list of vtkMRMLSegmentationNode and vtkMRMLModelNode
            What is drawn as lines; everything else is left out.
        matrix_slice_to_ras : ndarray of shape (4, 4)
            Place of the slice.
        size_px : tuple of int
            Columns, rows.
        field_of_view_mm : float
            Width of the picture; its height follows, so that pixels are square.
        foreground_opacity : float
            0..1.

        Returns
        -------
        rgb : ndarray of shape (rows, columns, 3), uint8
            The picture.
        ras_to_pixel : ndarray of shape (4, 4)
            RAS to (column, row from the top, mm off the slice).
        """
        columns, rows = size_px
        was_modifying = self._node.StartModify()
        try:
            self._node.GetSliceToRAS().DeepCopy(vtk_matrix(matrix_slice_to_ras))
            self._node.SetDimensions(columns, rows, 1)
            self._node.SetFieldOfView(field_of_view_mm, field_of_view_mm * rows / columns, SLICE_THICKNESS_MM)
            self._node.UpdateMatrices()
        finally:
            self._node.EndModify(was_modifying)
        was_modifying = self._composite.StartModify()
        try:
            self._composite.SetBackgroundVolumeID(background.GetID() if background else None)
            self._composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
            self._composite.SetForegroundOpacity(foreground_opacity)
        finally:
            self._composite.EndModify(was_modifying)
        image = self._logic.GetImageDataConnection()
        self._actor.SetVisibility(image is not None)
        self._mapper.SetInputConnection(image)
        self._offscreen.window.SetSize(columns, rows)
        with OnlyVisible(self._scene, drawn_nodes):
            rgb = self._offscreen.rgb()
        flip = np.array([[1.0, 0, 0, 0], [0, -1.0, 0, rows - 1.0], [0, 0, SLICE_THICKNESS_MM, 0], [0, 0, 0, 1.0]])
        return rgb, flip @ np.linalg.inv(numpy_matrix(self._node.GetXYToRAS()))

    def close(self) -> None:
        """Take the view apart and remove its nodes from the scene."""
        self._group.SetMRMLDisplayableNode(None)
        self._mapper.SetInputConnection(None)
        own = self._own_nodes()
        self._logic.SetSliceNode(None)
        self._logic.SetMRMLScene(None)
        for node in own:
            if self._scene.IsNodePresent(node):
                self._scene.RemoveNode(node)
        self._group = None
        self._offscreen.close()
