"""Dose on CT as a picture file: axial, coronal and sagittal slices through a point, one row per dose map."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_whole
from ..imaging.volume import Volume
from .content import Structure
from .glyphs import FAMILY, families, printable, text_width_px
from .line_styles import DRAWN_ROLES, isodose_styles, structure_style
from .out_of_date import stamp_out_of_date
from .overlay_panel import OverlayStyle, draw_panel
from .slicing import AXIAL, CORONAL, SAGITTAL, Plane, center_inside, filled_box

DPI = 220
WIDTH_IN = 7.3
_MARGIN_MM = 22.0
_GAP_PX, _BAR_PX, _ROW_TITLE_PX, _LEGEND_LINE_PX = 8, 128, 46, 36
_INK = (0.16, 0.18, 0.21)


@dataclass(frozen=True, eq=False)
class DoseRow:
    """One row of slices: a dose map in Gy and its title."""

    title: str
    dose: Volume


@dataclass(frozen=True)
class PanelPlace:
    """Where a slice lies in the picture file: pixels of its upper left corner, and its plane."""

    row: int
    left_px: int
    top_px: int
    plane: Plane

    def pixel_of(self, point_lps_mm: Sequence[float]) -> tuple[int, int]:
        """Row and column in the picture of a point, seen along the slice's normal."""
        column, row = np.rint(self.plane.to_pixel(np.asarray(point_lps_mm, dtype=float))).astype(int)
        return self.top_px + int(row), self.left_px + int(column)


def nice_window_top_gy(doses: Sequence[Volume]) -> float:
    """A round dose that one in two hundred of the irradiated voxels exceeds, for the top of the color bar."""
    highest = 1.0
    for dose in doses:
        irradiated = dose.array[dose.array > 0.02 * max(float(dose.array.max()), 1e-9)]
        if irradiated.size:
            highest = max(highest, float(np.percentile(irradiated, 99.5)))
    power = 10.0 ** np.floor(np.log10(highest))
    return float(next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= highest))


def default_style(doses: Sequence[Volume]) -> OverlayStyle:
    """Window by the doses, threshold at 5 % of its top or 10 Gy if that is less, isodoses each twice the one before."""
    top = nice_window_top_gy(doses)
    levels = tuple(float(f"{share * top:.3g}") for share in (0.1, 0.2, 0.4, 0.8))
    return OverlayStyle(top, min(10.0, 0.05 * top), isodoses_gy=levels)


def default_center(structures: Sequence[Structure], dose: Volume) -> tuple[tuple[float, float, float], str]:
    """Where to cut, and what lies there: the largest tumour, else the liver, else the dose's highest voxel."""
    for role in ("tumour", "liver"):
        having = [s for s in structures if s.role == role and s.volume.array.any()]
        if having:
            sizes = [float(s.volume.array.sum()) * s.volume.geometry.voxel_volume_ml for s in having]
            largest = having[int(np.argmax(sizes))]
            return center_inside(largest.volume), largest.name
    k, j, i = np.unravel_index(int(np.argmax(dose.array)), dose.array.shape)
    point = dose.geometry.ijk_to_lps @ np.array([i, j, k, 1.0])
    return (float(point[0]), float(point[1]), float(point[2])), "the highest dose"


def write_overlay_figure(
    path: Path,
    rows: Sequence[DoseRow],
    ct: Volume | None,
    structures: Sequence[Structure],
    *,
    style: OverlayStyle | None = None,
    center_lps_mm: Sequence[float] | None = None,
    stale: bool = False,
) -> tuple[PanelPlace, ...]:
    """Write slices of one or more dose maps, all at one scale, as PNG.

    Parameters
    ----------
    path : Path
    rows : sequence of DoseRow
        One row of three slices each, in the diagnostic image's space.
    ct : Volume or None
        HU.
    structures : sequence of Structure
        Liver, territories and tumours are drawn; other roles are not.
    style : OverlayStyle, optional
        Chosen by the doses where not given; one for all rows.
    center_lps_mm : sequence of float, optional
        The point that all slices go through; the center of the largest tumour where not given.
    stale : bool
        Print across the picture that the results are out of date.

    Returns
    -------
    tuple of PanelPlace
        Where each slice lies in the picture.
    """
    from matplotlib.figure import Figure

    structures = [s for s in structures if s.role in DRAWN_ROLES and s.volume.array.any()]
    style = style or default_style([row.dose for row in rows])
    style = replace(style, isodoses_gy=tuple(sorted(style.isodoses_gy)))
    center = tuple(float(x) for x in (center_lps_mm or default_center(structures, rows[0].dose)[0]))
    width_px = int(WIDTH_IN * DPI)
    planes = _planes(center, structures, rows[0].dose, width_px - _BAR_PX - 2 * _GAP_PX)
    height = planes[0].size_px[1]
    entries = _legend_entries(structures, style)
    fonts = families(printable(s.name) for s in structures)
    lines = _legend_lines(entries, width_px, fonts)
    total_px = len(rows) * (height + _ROW_TITLE_PX) + len(lines) * _LEGEND_LINE_PX + 14
    # A hair larger, so that rounding down gives just these pixels.
    size_in = (width_px + 0.01) / DPI, (total_px + 0.01) / DPI
    figure = Figure(figsize=size_in, dpi=DPI, facecolor="white")
    places = []
    for number, row in enumerate(rows):
        top = number * (height + _ROW_TITLE_PX) + _ROW_TITLE_PX
        figure.text(
            0.0,
            1.0 - (top - 0.5 * _ROW_TITLE_PX) / total_px,
            printable(row.title, 90),
            fontsize=7.6,
            fontweight="bold",
            color=_INK,
            ha="left",
            va="center",
            family=families([row.title]),
            parse_math=False,
        )
        left = 0
        for plane in planes:
            columns, lines_px = plane.size_px
            axes = figure.add_axes(_box(left, top, columns, lines_px, width_px, total_px))
            draw_panel(
                axes,
                plane,
                ct,
                row.dose,
                structures,
                style,
                px_per_pt=DPI / 72.0,
                families=fonts,
                crosshair_lps_mm=center,
            )
            places.append(PanelPlace(number, left, top, plane))
            left += columns + _GAP_PX
    bar_top, bar_height = _ROW_TITLE_PX + 8, len(rows) * (height + _ROW_TITLE_PX) - _ROW_TITLE_PX - 16
    _color_bar(figure, _box(left + 14, bar_top, 24, bar_height, width_px, total_px), style)
    _legend(figure, lines, width_px, total_px, fonts)
    if stale:
        stamp_out_of_date(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    write_whole(path, buffer.getvalue())
    return tuple(places)


def _box(
    left: int, top: int, columns: int, lines: int, width_px: int, total_px: int
) -> tuple[float, float, float, float]:
    """Axes rectangle that covers whole pixels."""
    return left / width_px, 1.0 - (top + lines) / total_px, columns / width_px, lines / total_px


def _planes(
    center: tuple[float, ...], structures: Sequence[Structure], dose: Volume, room_px: int
) -> tuple[Plane, Plane, Plane]:
    """Three slices of one scale and height around the liver (all structures; the dose grid where none is drawn)."""
    livers = [s.volume for s in structures if s.role == "liver"] or [s.volume for s in structures]
    box = filled_box(livers)
    if box is None:
        corners = dose.geometry.corners_lps_mm()
        box = corners.min(axis=0), corners.max(axis=0)
    low = np.minimum(box[0], np.array(center)) - _MARGIN_MM
    high = np.maximum(box[1], np.array(center)) + _MARGIN_MM
    across, deep, tall = (float(x) for x in high - low)
    tall_all = max(deep, tall)
    step = (2.0 * across + deep) / room_px
    middle = (low + high) / 2.0
    wide_px, deep_px, tall_px = int(across / step), int(deep / step), int(tall_all / step)

    def plane(name: str, size: tuple[int, int], axis: int) -> Plane:
        point = middle.copy()
        point[axis] = center[axis]
        return Plane(name, (float(point[0]), float(point[1]), float(point[2])), size, step)

    return (
        plane(AXIAL, (wide_px, tall_px), 2),
        plane(CORONAL, (wide_px, tall_px), 1),
        plane(SAGITTAL, (deep_px, tall_px), 0),
    )


def _color_bar(figure: Any, box: tuple[float, float, float, float], style: OverlayStyle) -> None:
    from matplotlib.ticker import MaxNLocator

    from .dose_colors import dose_color_table

    axes = figure.add_axes(box)
    table = dose_color_table()[:, None, :]
    axes.imshow(
        table, origin="lower", aspect="auto", extent=(0.0, 1.0, 0.0, style.window_top_gy), interpolation="nearest"
    )
    axes.axhspan(0.0, style.threshold_gy, color="white", linewidth=0)
    for level, line in zip(style.isodoses_gy, isodose_styles(len(style.isodoses_gy)), strict=True):
        axes.axhline(level, color=line.color, linewidth=1.4)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="y", labelsize=6.2, length=2.0, width=0.5, pad=1.5, colors=_INK, labelfontfamily=FAMILY)
    axes.yaxis.set_label_position("right")
    axes.set_ylabel("Dose (Gy)", fontsize=6.8, color=_INK, labelpad=2.0, family=FAMILY)
    for spine in axes.spines.values():
        spine.set_linewidth(0.5)
        spine.set_color(_INK)


def _legend_entries(structures: Sequence[Structure], style: OverlayStyle) -> list[tuple[str, Any]]:
    entries: list[tuple[str, Any]] = []
    for role in ("liver", "territory"):
        named = [s for s in structures if s.role == role]
        entries += [(printable(s.name, 34), structure_style(role, n)) for n, s in enumerate(named[:6])]
    if any(s.role == "tumour" for s in structures):
        entries.append(("Tumours (named where cut)", structure_style("tumour")))
    levels = zip(style.isodoses_gy, isodose_styles(len(style.isodoses_gy)), strict=True)
    return entries + [(f"{level:g} Gy", line) for level, line in levels]


def _legend_lines(
    entries: list[tuple[str, Any]], width_px: int, fonts: list[str]
) -> list[list[tuple[str, Any, float]]]:
    """Entries in lines that fit the width, each with its left pixel."""
    lines: list[list[tuple[str, Any, float]]] = [[]]
    left = 0.0
    for label, line in entries:
        needed = 80.0 + text_width_px(label, 6.4, fonts, DPI)
        if left + needed - 20.0 > width_px and lines[-1]:
            lines.append([])
            left = 0.0
        lines[-1].append((label, line, left))
        left += needed
    return [line for line in lines if line]


def _legend(
    figure: Any, lines: list[list[tuple[str, Any, float]]], width_px: int, total_px: int, fonts: list[str]
) -> None:
    """Swatches on a dark chip, because the lines are light as on the CT."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    for number, line in enumerate(lines):
        y = 1.0 - (total_px - (len(lines) - number - 0.5) * _LEGEND_LINE_PX) / total_px
        for label, look, left in line:
            chip = Rectangle(
                (left / width_px, y - 11 / total_px), 46 / width_px, 22 / total_px,
                transform=figure.transFigure, facecolor=(0.22, 0.22, 0.24), linewidth=0,
            )  # fmt: skip
            stroke = Line2D(
                [(left + 4) / width_px, (left + 42) / width_px], [y, y], transform=figure.transFigure,
                color=look.color, linewidth=look.width_pt, linestyle=look.dashes, dash_capstyle="butt",
            )  # fmt: skip
            figure.add_artist(chip)
            figure.add_artist(stroke)
            figure.text(
                (left + 54) / width_px, y, label, fontsize=6.4, color=_INK, ha="left", va="center", family=fonts,
                parse_math=False,
            )  # fmt: skip
