"""Segments and isodose surfaces in 3D, drawn by Slicer's displayable managers, without annotations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .headless import HeadlessSlicer
from .offscreen import OffscreenWindow, OnlyVisible, displayable_managers

LAYOUT_NAME = "TARECOMETPicture3D"
MANAGERS = ("vtkMRMLModelDisplayableManager", "vtkMRMLSegmentationsDisplayableManager3D")
BACKGROUND_RGB = (0.10, 0.11, 0.14)
# Where the viewer stands, in RAS, and which way is up in the picture.
VIEWPOINTS_RAS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "Anterior": ((0, 1, 0), (0, 0, 1)),
    "Posterior": ((0, -1, 0), (0, 0, 1)),
    "Right": ((1, 0, 0), (0, 0, 1)),
    "Left": ((-1, 0, 0), (0, 0, 1)),
    "Superior": ((0, 0, 1), (0, 1, 0)),
}
# Layers of transparent surfaces that are sorted by depth.
PEELS = 32
# How much closer than VTK's own fit, which is made for any rotation.
ZOOM = 1.2


class ThreeDView:
    """A 3D view of a headless scene; made once, then used for every picture."""

    def __init__(self, headless: HeadlessSlicer) -> None:
        self._scene = headless.scene
        self._offscreen = OffscreenWindow(BACKGROUND_RGB)
        renderer = self._offscreen.renderer
        renderer.SetUseDepthPeeling(True)
        renderer.SetMaximumNumberOfPeels(PEELS)
        renderer.SetOcclusionRatio(0.0)
        self._offscreen.window.SetAlphaBitPlanes(1)
        # Depth peeling needs single-sample buffers.
        self._offscreen.window.SetMultiSamples(0)
        renderer.SetUseFXAA(True)
        self._node = self._scene.AddNewNodeByClass("vtkMRMLViewNode", LAYOUT_NAME)
        self._node.SetLayoutName(LAYOUT_NAME)
        self._node.SetSaveWithScene(False)
        self._group = displayable_managers(headless, renderer, self._node, MANAGERS)

    def render(self, drawn_nodes: list[Any], viewpoint: str, size_px: tuple[int, int]) -> np.ndarray:
        """Draw the given segmentations and models, seen from a viewpoint, as uint8 (rows, columns, 3)."""
        if viewpoint not in VIEWPOINTS_RAS:
            raise InputError(
                "viewpoint", f"expected one of {', '.join(VIEWPOINTS_RAS)}, got {viewpoint!r}", "Choose one of them"
            )
        for node in drawn_nodes:
            if node.IsA("vtkMRMLSegmentationNode"):
                node.CreateClosedSurfaceRepresentation()
        from_direction, up = VIEWPOINTS_RAS[viewpoint]
        renderer = self._offscreen.renderer
        camera = renderer.GetActiveCamera()
        camera.SetFocalPoint(0.0, 0.0, 0.0)
        camera.SetPosition(*from_direction)
        camera.SetViewUp(*up)
        camera.ParallelProjectionOn()
        self._offscreen.window.SetSize(*size_px)
        with OnlyVisible(self._scene, drawn_nodes):
            self._offscreen.window.Render()
            renderer.ResetCamera()
            camera.Zoom(ZOOM)
            return self._offscreen.rgb()

    def close(self) -> None:
        """Take the view apart and remove its node from the scene."""
        self._group.SetMRMLDisplayableNode(None)
        if self._scene.IsNodePresent(self._node):
            self._scene.RemoveNode(self._node)
        self._group = None
        self._offscreen.close()


def three_d_view(headless: HeadlessSlicer) -> ThreeDView:
    """The 3D view of a headless scene, made on first use."""
    view = headless.view("3D", ThreeDView)
    assert isinstance(view, ThreeDView)
    return view
