"""Charts of a study's analysis as plot nodes. They are not saved: a scene that is handed on carries no cohort."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ..case.study_panel import Chart
from .dvh_chart import write_columns
from .nodes import owned_node, owned_nodes, remove_node

OWNER = "TARECOMET study"
_COLORS = ((0.0, 0.27, 0.5), (0.45, 0.45, 0.45), (0.45, 0.45, 0.45))


def write_study_charts(scene: Any, charts: list[Chart]) -> list[Any]:
    """One chart node for each chart; nodes of an earlier analysis are replaced.

    Estimate solid, the two bounds dashed. Lines of one chart share their x values.

    Returns
    -------
    list of vtkMRMLPlotChartNode
    """
    remove_study_charts(scene)
    made = []
    for number, chart in enumerate(charts):
        key = f"{number} {chart.title}"
        table = owned_node(scene, "vtkMRMLTableNode", f"{chart.title}, values", OWNER, key)
        columns = {chart.x_label: np.asarray(chart.lines[0][1], dtype=float)}
        columns |= {name: np.asarray(values, dtype=float) for name, _x, values in chart.lines}
        write_columns(table, columns)
        node = owned_node(scene, "vtkMRMLPlotChartNode", chart.title, OWNER, key)
        for index, (name, _x, _values) in enumerate(chart.lines):
            series = owned_node(scene, "vtkMRMLPlotSeriesNode", name, OWNER, f"{key} {name}")
            series.SetAndObserveTableNodeID(table.GetID())
            series.SetXColumnName(chart.x_label)
            series.SetYColumnName(name)
            series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
            series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
            solid, dash = slicer.vtkMRMLPlotSeriesNode.LineStyleSolid, slicer.vtkMRMLPlotSeriesNode.LineStyleDash
            series.SetLineStyle(dash if index else solid)
            series.SetColor(*_COLORS[min(index, len(_COLORS) - 1)])
            series.SetSaveWithScene(False)
            node.AddAndObservePlotSeriesNodeID(series.GetID())
        node.SetTitle(chart.title)
        node.SetXAxisTitle(chart.x_label)
        node.SetYAxisTitle(chart.y_label)
        for unsaved in (table, node):
            unsaved.SetSaveWithScene(False)
        made.append(node)
    return made


def remove_study_charts(scene: Any) -> None:
    """Take charts, series and tables of an analysis away."""
    for class_name in ("vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLTableNode"):
        for node in owned_nodes(scene, class_name, OWNER):
            remove_node(scene, node)
