"""Mean dose against a margin on the contour, as a small chart for each phase."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from ..files import write_whole
from .content import PhaseReport, phase_title
from .dvh_figure import COLORS, DPI, MARKERS, MOST_PER_PANEL
from .glyphs import FAMILY, families, printable
from .out_of_date import stamp_out_of_date

_INK, _FAINT = (0.16, 0.18, 0.21), (0.87, 0.88, 0.90)


def write_margin_figure(path: Path, phases: Sequence[PhaseReport], *, stale: bool = False) -> None:
    """Write the change of each contour's mean local dose with its margin as PNG, in per cent of that as drawn.

    Parameters
    ----------
    path : Path
    phases : sequence of PhaseReport
    stale : bool
        Print across the picture that the results are out of date.
    """
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    figure = Figure(figsize=(7.3, 2.9), dpi=DPI, facecolor="white")
    for number, phase in enumerate(phases[:2]):
        axes = figure.add_axes((0.075 + 0.5 * number, 0.155, 0.25, 0.73))
        shown = sorted((e for e in phase.compartments if e.margins), key=lambda e: -e.volume_ml)[:MOST_PER_PANEL]
        for index, entry in enumerate(shown):
            drawn = next(mean for margin, mean in entry.margins if margin == 0.0)
            axes.plot(
                [margin for margin, _ in entry.margins],
                [100.0 * (mean / drawn - 1.0) for _, mean in entry.margins],
                color=COLORS[index], marker=MARKERS[index], markersize=3.4, linewidth=1.1,
                label=printable(entry.name, 30),
            )  # fmt: skip
        axes.axhline(0.0, color=_INK, linewidth=0.5)
        axes.set_title(phase_title(phase.phase), fontsize=8.0, fontweight="bold", color=_INK, loc="left", family=FAMILY)
        axes.set_xlabel("Margin on the contour (mm)", fontsize=7.2, color=_INK, family=FAMILY)
        axes.set_ylabel("Change of the mean dose (%)", fontsize=7.2, color=_INK, family=FAMILY)
        axes.tick_params(labelsize=6.6, length=2.5, width=0.6, colors=_INK, labelfontfamily=FAMILY)
        axes.grid(True, color=_FAINT, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if shown:
            fonts = FontProperties(family=families([printable(entry.name, 30) for entry in shown]), size=6.2)
            legend = axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, prop=fonts)
            for text in legend.get_texts():
                text.set_parse_math(False)
    if stale:
        stamp_out_of_date(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_whole(path, buffer.getvalue())
