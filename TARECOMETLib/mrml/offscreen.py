"""An off-screen window and its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .headless import HeadlessSlicer, require_offscreen_rendering

# Samples a pixel for smooth lines; VTK takes fewer where the driver has fewer.
MULTI_SAMPLES = 4


class OffscreenWindow:
    """A render window that is never shown, with one renderer and an interactor that does nothing.

    Parameters
    ----------
    background_rgb : tuple of float
        Color where nothing is drawn.

    Raises
    ------
    InputError
        Where this machine cannot draw without a screen.
    """

    def __init__(self, background_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        require_offscreen_rendering()
        self.renderer = vtk.vtkRenderer()
        self.renderer.SetBackground(*background_rgb)
        # Where VTK has EGL, take it straight away: the general window tries an X server first and warns.
        self.window = getattr(vtk, "vtkEGLRenderWindow", vtk.vtkRenderWindow)()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(MULTI_SAMPLES)
        self.window.AddRenderer(self.renderer)
        # Displayable managers ask their renderer's window for an interactor.
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        # What the application's views set for all mappers, so that outlines lie on top of surfaces.
        vtk.vtkMapper.SetResolveCoincidentTopologyToPolygonOffset()

    def rgb(self) -> np.ndarray:
        """Draw and return the picture: uint8 of shape (rows, columns, 3), first row on top."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.SetInputBufferTypeToRGB()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 3)[::-1].copy()

    def close(self) -> None:
        """Free the graphics memory."""
        self.interactor.SetRenderWindow(None)
        self.window.Finalize()


def displayable_managers(headless: HeadlessSlicer, renderer: Any, view_node: Any, class_names: tuple[str, ...]) -> Any:
    """A group of Slicer's displayable managers that draws the scene's nodes into a renderer.

    The group is made by hand: the application's factories are process-wide and would keep pointing at closed scenes.
    """
    import slicer

    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    for class_name in class_names:
        manager = getattr(slicer, class_name)()
        manager.SetMRMLApplicationLogic(headless.application_logic)
        group.AddDisplayableManager(manager)
    group.SetMRMLDisplayableNode(view_node)
    return group


class OnlyVisible:
    """Context in which only the given segmentations and models are visible; afterwards all is as it was."""

    CLASSES = ("vtkMRMLSegmentationNode", "vtkMRMLModelNode")

    def __init__(self, scene: Any, nodes: list[Any]) -> None:
        self._shown = {node.GetID() for node in nodes}
        self._displays = []
        for class_name in self.CLASSES:
            for n in range(scene.GetNumberOfNodesByClass(class_name)):
                node = scene.GetNthNodeByClass(n, class_name)
                display = node.GetDisplayNode()
                if display is not None and node.IsA("vtkMRMLModelNode") and node.GetHideFromEditors():
                    continue
                if display is not None:
                    self._displays.append((display, node.GetID() in self._shown, display.GetVisibility()))

    def __enter__(self) -> None:
        for display, shown, _ in self._displays:
            display.SetVisibility(shown)

    def __exit__(self, *exception: object) -> None:
        for display, _, before in self._displays:
            display.SetVisibility(before)
