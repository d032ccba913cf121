"""Figures of predicted against delivered dose: SVG and PDF for print, PNG for the report."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_whole
from .comparison_content import ComparisonReport, ComparisonRow
from .dose_colors import difference_color_table, dose_color_table
from .dvh_figure import COLORS, DPI, MARKERS, MOST_PER_PANEL
from .glyphs import FAMILY, families, printable
from .out_of_date import stamp_out_of_date

FORMATS = ("svg", "pdf", "png")
_INK, _FAINT = (0.16, 0.18, 0.21), (0.87, 0.88, 0.90)
_WIDTH_IN, _HEIGHT_IN = 4.6, 2.7
_AXES = (0.125, 0.165, 0.5, 0.73)
_LONGEST = 24
# With eight lesions, lines and limits the legend still ends above the lower edge.
_MOST_OTHERS = 5


def write_comparison_figures(comparison: ComparisonReport, folder: Path, *, stale: bool = False) -> dict[str, Path]:
    """Write every figure there are numbers for, in three formats.

    Returns
    -------
    dict
        Name of a figure to its PNG: scatter, bland-altman, isodose-dice, gamma, maps.
    """
    from matplotlib.figure import Figure

    pairs = [row for row in comparison.rows if row.predicted_gy is not None and row.delivered_gy is not None]
    plots: list[tuple[str, bool, Callable[[Any], None]]] = [
        ("scatter", bool(pairs), lambda axes: _scatter(axes, pairs)),
        ("bland-altman", bool(pairs), lambda axes: _bland_altman(axes, pairs, comparison)),
        ("isodose-dice", bool(comparison.isodoses), lambda axes: _dice(axes, comparison)),
        ("gamma", bool(comparison.gammas), lambda axes: _gamma(axes, comparison)),
    ]
    drawn = {}
    for name, is_there, draw in plots:
        if is_there:
            figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=DPI, facecolor="white")
            draw(_styled(figure.add_axes(_AXES)))
            drawn[name] = _written(figure, folder, name, stale)
    if comparison.slices_gy is not None:
        drawn["maps"] = _written(_maps(comparison), folder, "maps", stale)
    return drawn


def _written(figure: Any, folder: Path, name: str, stale: bool) -> Path:
    import matplotlib as mpl

    if stale:
        stamp_out_of_date(figure)
    no_dates: dict[str, dict[str, None]] = {
        "svg": {"Date": None},
        "pdf": {"CreationDate": None, "ModDate": None},
        "png": {"Software": None},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for ending in FORMATS:
        buffer = io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": "tarecomet", "svg.fonttype": "path", "pdf.fonttype": 42}):
            figure.savefig(buffer, format=ending, dpi=DPI, metadata=no_dates[ending])
        write_whole(folder / f"comparison-{name}.{ending}", buffer.getvalue())
    return folder / f"comparison-{name}.png"


def _styled(axes: Any) -> Any:
    axes.tick_params(labelsize=6.6, length=2.5, width=0.6, colors=_INK, labelfontfamily=FAMILY)
    axes.grid(True, color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _words(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=8.0, fontweight="bold", color=_INK, loc="left", family=FAMILY)
    axes.set_xlabel(x, fontsize=7.2, color=_INK, family=FAMILY)
    axes.set_ylabel(y, fontsize=7.2, color=_INK, family=FAMILY)


def _legend(axes: Any) -> None:
    from matplotlib.font_manager import FontProperties

    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    fonts = FontProperties(family=families(labels), size=6.0)
    legend = axes.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(1.03, 1.02), frameon=False, prop=fonts, borderpad=0.0
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _points(axes: Any, rows: list[ComparisonRow], place: Callable[[ComparisonRow], tuple[float, float]]) -> None:
    """Lesions filled, other compartments hollow; only the first few have a name of their own."""
    lesions = [row for row in rows if row.role == "tumour"]
    others = [row for row in rows if row.role != "tumour"]
    for group, filled, most in ((lesions, True, MOST_PER_PANEL), (others, False, _MOST_OTHERS)):
        for index, row in enumerate(group):
            color, marker = (COLORS[index], MARKERS[index]) if index < most else ("#7F7F7F", ".")
            label = printable(row.name, _LONGEST) if index < most else None
            if index == most:
                label = f"{len(group) - most} more"
            axes.plot(
                *([value] for value in place(row)), linestyle="none", marker=marker, markersize=4.6, color=color,
                markerfacecolor=color if filled else "white", markeredgewidth=1.0, label=label,
            )  # fmt: skip


def _scatter(axes: Any, rows: list[ComparisonRow]) -> None:
    _points(axes, rows, lambda row: (row.predicted_gy or 0.0, row.delivered_gy or 0.0))
    top = 1.08 * max(max(row.predicted_gy or 0.0, row.delivered_gy or 0.0) for row in rows) or 1.0
    axes.plot([0.0, top], [0.0, top], color=_INK, linewidth=0.7, label="identity", zorder=1)
    axes.set_xlim(0.0, top)
    axes.set_ylim(0.0, top)
    _words(axes, "Mean doses", "Predicted (Gy)", "Delivered (Gy)")
    _legend(axes)


def _bland_altman(axes: Any, rows: list[ComparisonRow], comparison: ComparisonReport) -> None:
    def place(row: ComparisonRow) -> tuple[float, float]:
        a, b = row.predicted_gy or 0.0, row.delivered_gy or 0.0
        return (a + b) / 2.0, b - a

    _points(axes, rows, place)
    axes.axhline(0.0, color=_INK, linewidth=0.5)
    if comparison.limits is not None:
        bias, low, high = comparison.limits
        axes.axhline(bias, color=_INK, linewidth=1.0, label=f"bias {bias:.0f} Gy")
        axes.axhline(low, color=_INK, linewidth=1.0, linestyle=(0, (4, 2)), label=f"limits {low:.0f}, {high:.0f} Gy")
        axes.axhline(high, color=_INK, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.margins(x=0.08, y=0.12)
    _words(axes, "Bland-Altman", "Mean of both (Gy)", "Delivered - predicted (Gy)")
    _legend(axes)
    if comparison.limits is None:
        axes.text(
            1.04, 0.0, "No limits of\nagreement:\ntoo few lesions", transform=axes.transAxes, fontsize=6.0,
            color=_INK, family=FAMILY, va="bottom",
        )  # fmt: skip


def _dice(axes: Any, comparison: ComparisonReport) -> None:
    for index, (name, curve) in enumerate(list(comparison.isodoses.items())[:MOST_PER_PANEL]):
        axes.plot(
            [level for level, _ in curve], [dice for _, dice in curve], color=COLORS[index], marker=MARKERS[index],
            markersize=3.4, linewidth=1.1, label=printable(name, _LONGEST),
        )  # fmt: skip
    axes.set_ylim(0.0, 1.02)
    axes.set_xlim(left=0.0)
    _words(axes, "Overlap of isodose volumes", "Isodose level (Gy)", "Dice coefficient")
    _legend(axes)


def _gamma(axes: Any, comparison: ComparisonReport) -> None:
    for index, bars in enumerate(comparison.gammas):
        label = f"{bars.name}:\n{100.0 * bars.pass_rate:.0f} % at most 1"
        dash = "-" if index == 0 else (0, (4.0, 1.6))
        axes.stairs(100.0 * bars.shares, bars.edges, color=COLORS[index], linewidth=1.2, linestyle=dash, label=label)
    axes.axvline(1.0, color=_INK, linewidth=0.7)
    axes.set_xlim(0.0, float(comparison.gammas[0].edges[-1]))
    axes.set_ylim(bottom=0.0)
    _words(axes, "Gamma index in the liver", "Gamma", "Share of voxels (%)")
    _legend(axes)


def _maps(comparison: ComparisonReport) -> Any:
    """Predicted, delivered on one scale; delivered minus predicted centered on zero."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    assert comparison.slices_gy is not None
    predicted, delivered = comparison.slices_gy
    rows, columns = predicted.shape
    wide, high = columns * comparison.spacing_mm[0], rows * comparison.spacing_mm[1]
    top = float(max(predicted.max(), delivered.max(), 1e-6))
    difference = delivered - predicted
    reach = max(float(np.abs(difference).max()), 1e-6)
    panel_in = 1.78
    tall_in = min(max(panel_in * high / wide, 0.8), 3.0)
    height_in = tall_in + 1.1
    figure = Figure(figsize=(7.3, height_in), dpi=DPI, facecolor="white")
    colors = (ListedColormap(dose_color_table()), ListedColormap(difference_color_table()))
    for index, (title, array, table, low, up, words) in enumerate(
        (
            ("Predicted", predicted, colors[0], 0.0, top, "Dose (Gy)"),
            ("Delivered", delivered, colors[0], 0.0, top, "Dose (Gy)"),
            ("Delivered - predicted", difference, colors[1], -reach, reach, "Difference (Gy)"),
        )
    ):
        left = 0.065 + 0.318 * index
        axes = figure.add_axes((left, 0.77 / height_in, panel_in / 7.3, tall_in / height_in))
        image = axes.imshow(
            array, cmap=table, vmin=low, vmax=up, extent=(0.0, wide, high, 0.0), interpolation="nearest"
        )
        _styled(axes).grid(False)
        _words(axes, title, "i (mm)", "j (mm)" if index == 0 else "")
        bar = figure.add_axes((left, 0.35 / height_in, panel_in / 7.3, 0.07 / height_in))
        scale = figure.colorbar(image, cax=bar, orientation="horizontal")
        scale.outline.set_linewidth(0.4)
        bar.tick_params(labelsize=6.2, length=2.0, width=0.5, pad=1.5, colors=_INK, labelfontfamily=FAMILY)
        bar.set_xlabel(words, fontsize=6.6, color=_INK, family=FAMILY, labelpad=1.0)
    return figure
