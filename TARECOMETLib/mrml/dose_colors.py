"""The dose color table as a color node of a scene: the same numbers as in the figures."""

from __future__ import annotations

from typing import Any

from ..report.dose_colors import TABLE_SIZE, dose_color_table

COLOR_NODE_NAME = "Absorbed dose (TARECOMET)"
COLOR_NODE_TAG = "TARECOMETDose"


def dose_color_node(scene: Any) -> Any:
    """The scene's dose color table, made on first use and shared by all dose volumes.

    Parameters
    ----------
    scene : vtkMRMLScene
        Scene to look in and to add to.

    Returns
    -------
    vtkMRMLColorTableNode
        256 colors, stored with the scene.
    """
    node = scene.GetSingletonNode(COLOR_NODE_TAG, "vtkMRMLColorTableNode")
    if node is not None and node.GetNumberOfColors() == TABLE_SIZE:
        return node
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLColorTableNode")
        node.UnRegister(None)
        node.SetSingletonTag(COLOR_NODE_TAG)
        node.SetName(COLOR_NODE_NAME)
        node = scene.AddNode(node)
    was_modifying = node.StartModify()
    try:
        node.SetTypeToUser()
        # Not hidden: it can be chosen for other volumes, and is saved among the scene's data.
        node.SetHideFromEditors(False)
        node.SetAttribute("Category", "Radiotherapy")
        node.SetNumberOfColors(TABLE_SIZE)
        for index, (red, green, blue) in enumerate(dose_color_table()):
            node.SetColor(index, f"{100.0 * index / (TABLE_SIZE - 1):.1f} percent", red, green, blue, 1.0)
    finally:
        node.EndModify(was_modifying)
    return node
