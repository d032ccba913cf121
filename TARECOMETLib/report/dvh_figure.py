"""Cumulative dose-volume histograms as a picture: tumours and normal tissues, before and after treatment."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..dosimetry.compartments import ALL_TUMOURS, NORMAL_PERFUSED, WHOLE_NORMAL
from ..dosimetry.uncertainty import COVERAGE_95
from ..dosimetry.uncertainty_sampling import FEWEST_BAND_VOXELS
from ..files import write_whole
from .content import KERNEL, LOCAL, CompartmentDose, PhaseReport, phase_title
from .glyphs import FAMILY, families, printable
from .out_of_date import stamp_out_of_date

DPI = 220
MOST_PER_PANEL = 8
# Okabe and Ito's palette for all forms of color vision (jfly.uni-koeln.de/color), its yellow replaced by gray: a thin
# yellow line cannot be seen on white paper.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#7F7F7F")
_NOT_DRAWN = ("liver", "territory", "lung")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = {"pre": (0.0, (4.0, 1.6)), "post": (0.0, ())}
METHOD_TITLES = {LOCAL: "local deposition", KERNEL: "voxel kernel"}
_WIDTH_IN, _PLOT_IN, _ABOVE_IN, _BELOW_IN, _LINE_IN = 7.3, 2.2, 0.26, 0.7, 0.127
_INK = (0.16, 0.18, 0.21)
_FAINT = (0.87, 0.88, 0.90)
# The axis ends where no curve holds more of its volume than this; the last voxels would squeeze all the rest.
_TAIL_PERCENT = 0.5


def write_dvh_figure(
    path: Path, phases: Sequence[PhaseReport], method: str = KERNEL, *, stale: bool = False, in_bed: bool = False
) -> None:
    """Write the DVHs of tumours and of normal tissues as PNG.

    Parameters
    ----------
    path : Path
    phases : sequence of PhaseReport
        Those before treatment are drawn dashed, those after solid.
    method : str
        ``"local"`` or ``"kernel"``.
    stale : bool
        Print across the picture that the results are out of date.
    in_bed : bool
        Histograms of voxel BED in place of dose, of those compartments whose tissue is given.
    """
    from matplotlib.figure import Figure

    if in_bed:
        phases = [_in_bed(phase) for phase in phases]
    panels = [
        (title, *panel_names(phases, is_tumour, method))
        for title, is_tumour in (("Tumours", True), ("Normal tissues", False))
    ]
    height_in = _PLOT_IN + _ABOVE_IN + _BELOW_IN + _LINE_IN * max(len(names) + (more > 0) for _, names, more in panels)
    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=DPI, facecolor="white")
    for (title, names, left_out), left in zip(panels, (0.068, 0.568), strict=True):
        axes = figure.add_axes((left, 1.0 - (_ABOVE_IN + _PLOT_IN) / height_in, 0.425, _PLOT_IN / height_in))
        _draw(axes, phases, names, method, in_bed)
        if in_bed:
            axes.set_xlabel("BED (Gy)", fontsize=7.2, color=_INK, family=FAMILY, labelpad=2.5)
        heading = f"{title}, {METHOD_TITLES[method]}"
        axes.set_title(heading, fontsize=8.0, fontweight="bold", color=_INK, loc="left", family=FAMILY, pad=5.0)
        _legend(axes, names, left_out, [phase.phase for phase in phases])
    if stale:
        stamp_out_of_date(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_whole(path, buffer.getvalue())


def _in_bed(phase: PhaseReport) -> PhaseReport:
    """The phase with histograms of BED, without compartments that have none."""
    kept = [replace(entry, dvh=entry.bed_dvh) for entry in phase.compartments if entry.bed_dvh]
    return replace(phase, compartments=tuple(kept))


def panel_names(phases: Sequence[PhaseReport], is_tumour: bool, method: str) -> tuple[list[str], int]:
    """Compartments of a panel, at most eight, and how many were left out.

    Derived ones come first, for they sum up the others; then drawn ones, the largest kept. The whole liver and
    territories are not drawn, for they mix tumour and normal tissue; nor lungs, whose voxel doses are indicative.
    """
    found: dict[str, CompartmentDose] = {}
    for phase in phases:
        for entry in phase.compartments:
            if method in entry.dvh and entry.role not in _NOT_DRAWN and _is_tumour(entry) == is_tumour:
                found.setdefault(entry.name, entry)
    order = list(found)
    ranked = sorted(found.values(), key=lambda entry: (entry.role != "derived", -entry.volume_ml))
    kept = [entry.name for entry in ranked[:MOST_PER_PANEL]]
    return sorted(kept, key=lambda name: (found[name].role != "derived", order.index(name))), len(found) - len(kept)


def _is_tumour(entry: CompartmentDose) -> bool:
    return entry.role == "tumour" or (entry.role == "derived" and entry.name == ALL_TUMOURS)


def _width(name: str) -> float:
    # Wider ones are drawn first: where all the normal liver is perfused, its two curves coincide and both are seen.
    return 2.2 if name in (ALL_TUMOURS, WHOLE_NORMAL) else 1.15


def _bands(phase: PhaseReport, method: str) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Heights and the two sides of the bands of the sums; a curve of few voxels gets none.

    By sampling where that was done; else every dose of the curve moves with the mean.
    """
    found = {}
    for entry in phase.compartments:
        if entry.name not in (ALL_TUMOURS, NORMAL_PERFUSED) or method not in entry.dvh:
            continue
        if method == LOCAL and entry.band:
            heights, low, high = np.array(entry.band).T
            found[entry.name] = heights, low, high
        elif entry.relative_uncertainty is not None and entry.dvh[method].dose_gy.size >= FEWEST_BAND_VOXELS:
            dose_gy, percent = entry.dvh[method].curve()
            half = COVERAGE_95 * entry.relative_uncertainty
            found[entry.name] = percent, dose_gy * max(0.0, 1.0 - half), dose_gy * (1.0 + half)
    return found


def _draw(axes: Any, phases: Sequence[PhaseReport], names: list[str], method: str, in_bed: bool) -> None:
    end = 1.0
    bands = {} if in_bed else {phase.phase: _bands(phase, method) for phase in phases[-1:]}
    for phase in phases:
        doses = {entry.name: entry.dvh[method] for entry in phase.compartments if method in entry.dvh}
        for number, name in enumerate(names):
            if name not in doses:
                continue
            dose_gy, percent = doses[name].curve()
            end = max(end, float(dose_gy[percent >= _TAIL_PERCENT].max(initial=0.0)))
            if name in bands.get(phase.phase, {}):
                heights, inner, outer = bands[phase.phase][name]
                axes.fill_betweenx(heights, inner, outer, color=COLORS[number], alpha=0.14, linewidth=0.0, zorder=1)
            # Marks at even heights, shifted from curve to curve so that they do not pile up.
            heights = np.arange(96.0 - 2.0 * number, 3.0, -24.0)
            marks = np.unique(np.searchsorted(-percent, -heights).clip(0, len(percent) - 1))
            axes.plot(
                dose_gy, percent, color=COLORS[number], linewidth=_width(name),
                linestyle=DASHES.get(phase.phase, DASHES["post"]), dash_capstyle="butt",
                marker=MARKERS[number], markevery=list(marks), markersize=3.6, markeredgewidth=0.8,
                markerfacecolor="white" if phase.phase == "pre" else COLORS[number], zorder=3,
            )  # fmt: skip
    axes.set_xlim(0.0, end * 1.03)
    axes.set_ylim(0.0, 101.5)
    axes.set_xlabel("Dose (Gy)", fontsize=7.2, color=_INK, family=FAMILY, labelpad=2.5)
    axes.set_ylabel("Volume at or above (%)", fontsize=7.2, color=_INK, family=FAMILY, labelpad=3.0)
    axes.set_yticks(range(0, 101, 20))
    axes.tick_params(labelsize=6.6, length=2.5, width=0.6, colors=_INK, labelfontfamily=FAMILY)
    axes.grid(True, color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_linewidth(0.6)
        spine.set_color(_INK)


def _legend(axes: Any, names: list[str], left_out: int, phases: list[str]) -> None:
    """Below the panel, never over a curve: compartments, then what dashes mean."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.lines import Line2D

    shown = [printable(name, 48) for name in names]
    handles = [
        Line2D([], [], color=COLORS[n], marker=MARKERS[n], markersize=3.6, linewidth=_width(name))
        for n, name in enumerate(names)
    ]
    if left_out:
        handles.append(Line2D([], [], linewidth=0.0))
        shown.append(f"{left_out} more in the tables")
    fonts = FontProperties(family=families(shown), size=6.4)
    place = {"frameon": False, "loc": "upper left", "borderaxespad": 0.0, "labelcolor": _INK}
    first = axes.legend(
        handles, shown, prop=fonts, bbox_to_anchor=(-0.02, -0.26), handlelength=2.6, labelspacing=0.32, **place
    )
    for text in first.get_texts():
        text.set_parse_math(False)
    axes.add_artist(first)
    keys = [Line2D([], [], color=_INK, linewidth=1.15, linestyle=DASHES.get(phase, DASHES["post"])) for phase in phases]
    words = [phase_title(phase) for phase in phases]
    axes.legend(
        keys, words, prop=FontProperties(family=FAMILY, size=6.4), bbox_to_anchor=(-0.02, -0.17), handlelength=2.6,
        columnspacing=1.4, ncols=len(words), **place,
    )  # fmt: skip
    if not names:
        axes.text(0.5, 0.5, "none drawn", transform=axes.transAxes, ha="center", va="center", fontsize=7.0, color=_INK)
