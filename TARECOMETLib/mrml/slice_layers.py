"""What the user's slice views show: background, foreground, opacity."""

from __future__ import annotations

from typing import Any

from .layouts import SLICE_TAGS


def composite_nodes(scene: Any) -> list[Any]:
    """All slice views' layer nodes."""
    name = "vtkMRMLSliceCompositeNode"
    return [scene.GetNthNodeByClass(n, name) for n in range(scene.GetNumberOfNodesByClass(name))]


def show_layers(scene: Any, background: Any | None, foreground: Any | None, opacity: float = 0.5) -> None:
    """Put volumes into the user's slice views.

    The views of our comparison layouts are left alone: each of them shows a dose of its own, and one volume in all of
    them would call the delivered dose "predicted".

    Parameters
    ----------
    scene : vtkMRMLScene
    background, foreground : vtkMRMLVolumeNode or None
        None clears the layer.
    opacity : float
        Of the foreground, 0..1.
    """
    for node in composite_nodes(scene):
        if node.GetLayoutName() in SLICE_TAGS:
            continue
        was_modifying = node.StartModify()
        try:
            node.SetBackgroundVolumeID(background.GetID() if background is not None else None)
            node.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
            node.SetForegroundOpacity(opacity)
        finally:
            node.EndModify(was_modifying)
