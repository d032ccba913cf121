"""Layouts for looking at doses: predicted and delivered side by side, their difference, isodoses in 3D; and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError
from ..imaging.volume import Volume
from .case_node import CaseNode
from .dose_colors import difference_color_node
from .hierarchy import patient_study_item, place_node
from .layouts import DIFFERENCE, LAYOUT_NUMBERS, LAYOUTS, SLICE_TAGS, SLICE_VIEWS, SOLID, register_layouts
from .nodes import find_owned_node, remove_node
from .slice_layers import composite_nodes
from .volumes import read_volume, write_volume

DIFFERENCE_NAME = "Delivered minus predicted dose"
# The color range ends near this percentile of the absolute differences, rounded up to 10 Gy.
_RANGE_PERCENTILE, _RANGE_STEP_GY = 99.5, 10.0
# Slicer's "conventional" layout (vtkMRMLLayoutNode.SlicerLayoutConventionalView).
_FALLBACK_ARRANGEMENT = 2


@dataclass
class Comparison:
    """One visit to a comparison layout: what the user had before is put back on leaving.

    Parameters
    ----------
    scene : vtkMRMLScene
    layout_node : vtkMRMLLayoutNode
        Of the application.
    """

    scene: Any
    layout_node: Any
    previous_arrangement: int | None = None
    previous_layers: dict[str, tuple[str | None, str | None, float, bool]] = field(default_factory=dict)

    @property
    def is_shown(self) -> bool:
        """Whether a comparison layout is up."""
        return self.layout_node.GetViewArrangement() in LAYOUT_NUMBERS.values()

    def show(self, opened: CaseNode, kind: str, method: str, opacity: float) -> None:
        """Switch to a layout and put images, doses and chart into its views.

        Parameters
        ----------
        opened : CaseNode
        kind : str
            side by side, difference or 3D.
        method : str
            local or kernel.
        opacity : float
            Of the dose over the image, 0..1.

        Raises
        ------
        InputError
            Where a dose map that the layout needs is missing.
        """
        doses = {phase: opened.dose_node(phase, method) for phase in ("pre", "post")}
        if kind != SOLID and None in doses.values():
            missing = "predicted" if doses["pre"] is None else "delivered"
            raise InputError("comparison", f"there is no {missing} dose", "Compute it: both phases need their image")
        if kind == DIFFERENCE:
            doses["difference"] = write_difference(opened, method)
        if self.previous_arrangement is None:
            # A scene saved while doses were compared comes back in our layout: there is no user's own to go back to.
            self.previous_arrangement = (
                _FALLBACK_ARRANGEMENT if self.is_shown else self.layout_node.GetViewArrangement()
            )
            self.previous_layers = {
                node.GetID(): (
                    node.GetBackgroundVolumeID(),
                    node.GetForegroundVolumeID(),
                    node.GetForegroundOpacity(),
                    bool(node.GetLinkedControl()),
                )
                for node in composite_nodes(self.scene)
                if node.GetLayoutName() not in SLICE_TAGS
            }
        register_layouts(self.layout_node)
        self.layout_node.SetViewArrangement(LAYOUT_NUMBERS[kind])
        base = opened.image_node("diagnostic")
        for phase, node in doses.items():
            if node is None or SLICE_VIEWS[phase][0] not in LAYOUTS[kind]:
                continue
            composite = self._composite(SLICE_VIEWS[phase][0])
            composite.SetBackgroundVolumeID(base.GetID() if base is not None else None)
            composite.SetForegroundVolumeID(node.GetID())
            composite.SetForegroundOpacity(opacity)
            composite.SetLinkedControl(True)
        self._fill("vtkMRMLPlotViewNode", "TareDvh", "SetPlotChartNodeID", "vtkMRMLPlotChartNode", opened)
        self._fill("vtkMRMLTableViewNode", "TareMetrics", "SetTableNodeID", "vtkMRMLTableNode", opened)

    def center(self, center_ras: np.ndarray) -> None:
        """Axial slices through a point, in the comparison's views.

        Parameters
        ----------
        center_ras : ndarray of shape (3,)
        """
        for tag in SLICE_TAGS:
            slice_node = self.scene.GetSingletonNode(tag, "vtkMRMLSliceNode")
            if slice_node is not None:
                slice_node.SetOrientation("Axial")
                slice_node.JumpSliceByCentering(*(float(x) for x in center_ras))

    def set_opacity(self, opacity: float) -> None:
        """Opacity (0..1) of the dose over the image in the comparison's views."""
        for node in composite_nodes(self.scene):
            if node.GetLayoutName() in SLICE_TAGS:
                node.SetForegroundOpacity(opacity)

    def leave(self) -> None:
        """Back to the user's own layout and layers; the difference map goes."""
        for node in _nodes(self.scene, "vtkMRMLScalarVolumeNode"):
            if node.GetAttribute("TARECOMET.Key") == DIFFERENCE_NAME:
                remove_node(self.scene, node)
        if not self.is_shown:
            return
        # The layout first: the Segment Editor may put its source volume into the views of a new layout.
        arrangement = self.previous_arrangement
        self.layout_node.SetViewArrangement(_FALLBACK_ARRANGEMENT if arrangement is None else arrangement)
        for node_id, (background, foreground, opacity, linked) in self.previous_layers.items():
            node = self.scene.GetNodeByID(node_id)
            if node is not None:
                node.SetBackgroundVolumeID(background)
                node.SetForegroundVolumeID(foreground)
                node.SetForegroundOpacity(opacity)
                node.SetLinkedControl(linked)
        self.previous_arrangement, self.previous_layers = None, {}

    def _composite(self, layout_name: str) -> Any:
        """Layers of a slice view; the application finds the node by its layout name and takes it over."""
        for node in composite_nodes(self.scene):
            if node.GetLayoutName() == layout_name:
                return node
        node = self.scene.CreateNodeByClass("vtkMRMLSliceCompositeNode")
        node.UnRegister(None)
        node.SetLayoutName(layout_name)
        node.SetSingletonTag(layout_name)
        return self.scene.AddNode(node)

    def _fill(self, view_class: str, tag: str, setter: str, shown_class: str, opened: CaseNode) -> None:
        from .dvh_chart import CHART_NAME, METRICS_NAME

        view = self.scene.GetSingletonNode(tag, view_class)
        key = CHART_NAME if shown_class == "vtkMRMLPlotChartNode" else METRICS_NAME
        shown = find_owned_node(self.scene, shown_class, opened.stored().case_id, key)
        if view is not None and shown is not None:
            getattr(view, setter)(shown.GetID())


def write_difference(opened: CaseNode, method: str) -> Any:
    """Delivered minus predicted dose as a volume, its diverging colors centered on zero with a symmetric range."""
    pre, post = (read_volume(opened.dose_node(phase, method)) for phase in ("pre", "post"))
    scene, case_id = opened.node.GetScene(), opened.stored().case_id
    array = post.array.astype(np.float32) - pre.array.astype(np.float32)
    node = write_volume(scene, Volume(array, post.geometry), DIFFERENCE_NAME, owner=case_id)
    place_node(scene, node, patient_study_item(scene, case_id))
    changed = np.abs(array[array != 0.0])
    top = float(np.percentile(changed, _RANGE_PERCENTILE)) if changed.size else 0.0
    top = max(_RANGE_STEP_GY, _RANGE_STEP_GY * float(np.ceil(top / _RANGE_STEP_GY)))
    display = node.GetDisplayNode()
    was_modifying = display.StartModify()
    try:
        display.SetAndObserveColorNodeID(difference_color_node(scene).GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(-top, top)
        display.SetApplyThreshold(False)
        display.SetInterpolate(True)
    finally:
        display.EndModify(was_modifying)
    return node


def _nodes(scene: Any, class_name: str) -> list[Any]:
    return [scene.GetNthNodeByClass(n, class_name) for n in range(scene.GetNumberOfNodesByClass(class_name))]
