"""The module's own view layouts, as text: imported at Slicer's start, so nothing heavy is."""

from __future__ import annotations

from typing import Any

SIDE_BY_SIDE, DIFFERENCE, SOLID = "side by side", "difference", "3D"
# Numbers beyond those Slicer gives its own layouts.
LAYOUT_NUMBERS = {SIDE_BY_SIDE: 7301, DIFFERENCE: 7302, SOLID: 7303}
# Slice views by what they show; tag, label, border color.
SLICE_VIEWS = {
    "pre": ("TarePredicted", "predicted", "#8FA8C8"),
    "post": ("TareDelivered", "delivered", "#C8A060"),
    "difference": ("TareDifference", "difference", "#A0A0A0"),
}
SLICE_TAGS = tuple(tag for tag, _label, _color in SLICE_VIEWS.values())
# Views of a group follow each other; a group of their own keeps the user's Red, Yellow and Green apart.
VIEW_GROUP = 73


def _slice(kind: str) -> str:
    tag, label, color = SLICE_VIEWS[kind]
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        f'<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{color}</property>'
        f'<property name="viewgroup" action="default">{VIEW_GROUP}</property></view></item>'
    )


_PLOT = (
    '<item><view class="vtkMRMLPlotViewNode" singletontag="TareDvh">'
    '<property name="viewlabel" action="default">DVH</property></view></item>'
)
_TABLE = (
    '<item><view class="vtkMRMLTableViewNode" singletontag="TareMetrics">'
    '<property name="viewlabel" action="default">doses</property></view></item>'
)
_VIEW_3D = (
    '<item><view class="vtkMRMLViewNode" singletontag="TareSolid">'
    '<property name="viewlabel" action="default">3D</property></view></item>'
)


def _row(*items: str) -> str:
    return f'<item><layout type="horizontal">{"".join(items)}</layout></item>'


LAYOUTS = {
    SIDE_BY_SIDE: f'<layout type="horizontal">{_slice("pre")}{_slice("post")}</layout>',
    DIFFERENCE: (
        f'<layout type="vertical">{_row(_slice("pre"), _slice("post"), _slice("difference"))}'
        f"{_row(_PLOT, _TABLE)}</layout>"
    ),
    SOLID: f'<layout type="vertical">{_row(_VIEW_3D, _slice("post"))}{_row(_PLOT, _TABLE)}</layout>',
}


def register_layouts(layout_node: Any) -> None:
    """Tell a layout node what our layouts look like.

    A scene saves the number of its layout, not the description: without this at start, a scene that was saved while
    doses were compared opens with an empty view area.

    Parameters
    ----------
    layout_node : vtkMRMLLayoutNode
    """
    for name, number in LAYOUT_NUMBERS.items():
        if not layout_node.IsLayoutDescription(number):
            layout_node.AddLayoutDescription(number, LAYOUTS[name])
