"""The color tables of doses and of their differences as color nodes of a scene: the same numbers as in the figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..report.dose_colors import TABLE_SIZE, difference_color_table, dose_color_table

COLOR_NODE_NAME, COLOR_NODE_TAG = "Absorbed dose (TARECOMET)", "TARECOMETDose"
DIFFERENCE_COLORS_NAME, DIFFERENCE_COLORS_TAG = "Dose difference (TARECOMET)", "TARECOMETDifference"


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
    words = [f"{100.0 * index / (TABLE_SIZE - 1):.1f} percent" for index in range(TABLE_SIZE)]
    return _color_node(scene, COLOR_NODE_TAG, COLOR_NODE_NAME, dose_color_table(), words)


def difference_color_node(scene: Any) -> Any:
    """The scene's table for dose differences, from -100 to +100 per cent of the window, neutral in the middle."""
    words = [f"{200.0 * index / (TABLE_SIZE - 1) - 100.0:+.1f} percent" for index in range(TABLE_SIZE)]
    return _color_node(scene, DIFFERENCE_COLORS_TAG, DIFFERENCE_COLORS_NAME, difference_color_table(), words)


def _color_node(scene: Any, tag: str, name: str, table: np.ndarray, words: list[str]) -> Any:
    node = scene.GetSingletonNode(tag, "vtkMRMLColorTableNode")
    if node is not None and node.GetNumberOfColors() == TABLE_SIZE:
        return node
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLColorTableNode")
        node.UnRegister(None)
        node.SetSingletonTag(tag)
        node.SetName(name)
        node = scene.AddNode(node)
    was_modifying = node.StartModify()
    try:
        node.SetTypeToUser()
        # Not hidden: it can be chosen for other volumes, and is saved among the scene's data.
        node.SetHideFromEditors(False)
        node.SetAttribute("Category", "Radiotherapy")
        node.SetNumberOfColors(TABLE_SIZE)
        for index, ((red, green, blue), word) in enumerate(zip(table, words, strict=True)):
            node.SetColor(index, word, red, green, blue, 1.0)
    finally:
        node.EndModify(was_modifying)
    return node
