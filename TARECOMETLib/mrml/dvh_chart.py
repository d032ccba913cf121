"""DVHs as table, plot series and chart: predicted dashed, delivered solid, each in its segment's color."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .hierarchy import patient_study_item, place_node
from .nodes import KEY_ATTRIBUTE, find_owned_node, owned_node, owned_nodes, remove_node

TABLE_NAME, CHART_NAME, METRICS_NAME = "DVH", "Dose-volume histograms", "Dose metrics"
DOSE_COLUMN = "Dose (Gy)"
BED_TITLE = "BED (Gy)"
PHASE_WORDS = {"pre": "predicted", "post": "delivered"}
PER_CENT, MILLILITERS = "%", "mL"
POINTS = 256
_SERIES_PREFIX = "dvh/"

# Compartment and phase to volume at or above each dose of the axis.
Curves = Mapping[tuple[str, str], np.ndarray]


def series_name(compartment: str, phase: str) -> str:
    """Name of a series and of its table column."""
    return f"{compartment}, {PHASE_WORDS[phase]}"


def write_dvh_chart(
    scene: Any,
    case_id: str,
    dose_gy: np.ndarray,
    curves: Curves,
    colors: Mapping[str, tuple[float, float, float]],
    volume_unit: str = PER_CENT,
    axis_title: str = DOSE_COLUMN,
) -> Any:
    """Put DVHs into the scene; nodes of an earlier call are used again, series no longer there are removed.

    Parameters
    ----------
    scene : vtkMRMLScene
    case_id : str
        Whose.
    dose_gy : ndarray of shape (n,)
        Dose axis.
    curves : mapping of (compartment, phase) to ndarray of shape (n,)
    colors : mapping of compartment to color
    volume_unit : str
        ``"%"`` or ``"mL"``.
    axis_title : str
        ``"Dose (Gy)"``, or ``"BED (Gy)"`` for curves over BED.

    Returns
    -------
    vtkMRMLPlotChartNode
    """
    study = patient_study_item(scene, case_id)
    table = owned_node(scene, "vtkMRMLTableNode", TABLE_NAME, case_id)
    place_node(scene, table, study)
    columns = {DOSE_COLUMN: dose_gy, **{series_name(*key): values for key, values in curves.items()}}
    write_columns(table, columns)
    chart = owned_node(scene, "vtkMRMLPlotChartNode", CHART_NAME, case_id)
    place_node(scene, chart, study)
    wanted = []
    for compartment, phase in curves:
        name = series_name(compartment, phase)
        series = owned_node(scene, "vtkMRMLPlotSeriesNode", name, case_id, key=_SERIES_PREFIX + name)
        place_node(scene, series, study)
        was_modifying = series.StartModify()
        try:
            series.SetAndObserveTableNodeID(table.GetID())
            series.SetXColumnName(DOSE_COLUMN)
            series.SetYColumnName(name)
            series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
            series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
            dash, solid = slicer.vtkMRMLPlotSeriesNode.LineStyleDash, slicer.vtkMRMLPlotSeriesNode.LineStyleSolid
            series.SetLineStyle(dash if phase == "pre" else solid)
            series.SetColor(*on_white(colors[compartment]))
        finally:
            series.EndModify(was_modifying)
        wanted.append(series.GetID())
    _remove_other_series(scene, case_id, set(wanted))
    was_modifying = chart.StartModify()
    try:
        have = [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
        if have != wanted:
            chart.RemoveAllPlotSeriesNodeIDs()
            for series_id in wanted:
                chart.AddAndObservePlotSeriesNodeID(series_id)
        chart.SetTitle(f"{case_id}: dose-volume histograms")
        chart.SetXAxisTitle(axis_title)
        chart.SetYAxisTitle(f"Volume at or above ({volume_unit})")
        chart.SetXAxisRangeAuto(False)
        chart.SetXAxisRange(0.0, float(dose_gy[-1]))
    finally:
        chart.EndModify(was_modifying)
    return chart


def write_columns(table_node: Any, columns: Mapping[str, np.ndarray]) -> None:
    """Number columns of a table node, in place where names and lengths are the same."""
    table = table_node.GetTable()
    have = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    length = len(next(iter(columns.values())))
    if have == list(columns) and table.GetNumberOfRows() == length:
        for n, values in enumerate(columns.values()):
            array = table.GetColumn(n)
            vtk_to_numpy(array)[:] = values
            array.Modified()
        table.Modified()
        table_node.Modified()
        return
    was_modifying = table_node.StartModify()
    try:
        table_node.RemoveAllColumns()
        for name, values in columns.items():
            array = numpy_to_vtk(np.ascontiguousarray(values, dtype=np.float64), deep=True)
            array.SetName(name)
            table_node.AddColumn(array)
    finally:
        table_node.EndModify(was_modifying)
    table_node.Modified()


def write_text_table(scene: Any, case_id: str, header: list[str], rows: list[list[str]]) -> Any:
    """The metrics table: words as they are shown, one row a compartment."""
    import vtk

    node = owned_node(scene, "vtkMRMLTableNode", METRICS_NAME, case_id)
    place_node(scene, node, patient_study_item(scene, case_id))
    table = node.GetTable()
    have = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    if have != header:
        node.RemoveAllColumns()
        for name in header:
            column = vtk.vtkStringArray()
            column.SetName(name)
            node.AddColumn(column)
        table = node.GetTable()
    for n in range(len(header)):
        column = table.GetColumn(n)
        column.SetNumberOfValues(len(rows))
        for row, words in enumerate(rows):
            column.SetValue(row, words[n])
        column.Modified()
    table.Modified()
    node.SetUseFirstColumnAsRowHeader(True)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    node.Modified()
    return node


def on_white(color: tuple[float, float, float], darkest: float = 0.62) -> tuple[float, float, float]:
    """A segment's color dark enough for a white chart: the same hue, its luminance at most ``darkest``.

    Luminance as in WCAG 2.2, relative luminance, here without gamma: it orders, it is not a contrast figure.
    """
    luminance = 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]
    scale = min(1.0, darkest / luminance) if luminance > 0.0 else 1.0
    red, green, blue = (part * scale for part in color)
    return red, green, blue


def remove_dvh_chart(scene: Any, case_id: str) -> None:
    """Take chart, series and tables of a patient away."""
    _remove_other_series(scene, case_id, set())
    for class_name, key in (
        ("vtkMRMLPlotChartNode", CHART_NAME),
        ("vtkMRMLTableNode", TABLE_NAME),
        ("vtkMRMLTableNode", METRICS_NAME),
    ):
        node = find_owned_node(scene, class_name, case_id, key)
        if node is not None:
            remove_node(scene, node)


def _remove_other_series(scene: Any, case_id: str, kept_ids: set[str]) -> None:
    for node in owned_nodes(scene, "vtkMRMLPlotSeriesNode", case_id):
        if (node.GetAttribute(KEY_ATTRIBUTE) or "").startswith(_SERIES_PREFIX) and node.GetID() not in kept_ids:
            remove_node(scene, node)
