"""One slice of a picture: CT in gray, dose in color, contours, isodoses and the marks that orient the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..imaging.volume import Volume
from .content import Structure
from .dose_colors import TABLE_SIZE, dose_color_table
from .glyphs import FAMILY, printable, text_width_px
from .label_places import LabelPlaces, along, around
from .line_styles import DRAWN_ROLES, LineStyle, isodose_styles, structure_style
from .slicing import AXIAL, CORONAL, SAGITTAL, Plane, contour_lines, sample

CT_WINDOW_HU = (-110.0, 190.0)
_EDGE = (0.05, 0.05, 0.07)
_LETTERS = {AXIAL: "RLAP", CORONAL: "RLSI", SAGITTAL: "APSI"}
_NAMES = {AXIAL: "Axial", CORONAL: "Coronal", SAGITTAL: "Sagittal"}
_LABEL_LENGTH = 22


@dataclass(frozen=True)
class OverlayStyle:
    """How dose is laid over the CT.

    Parameters
    ----------
    window_top_gy : float
        Dose at the top of the color bar.
    threshold_gy : float
        Below it dose is not shown.
    opacity : float
        Of the color, 0 to 1.
    isodoses_gy : tuple of float
        Levels of the lines, lowest first.
    """

    window_top_gy: float
    threshold_gy: float
    opacity: float = 0.65
    isodoses_gy: tuple[float, ...] = ()


def dose_rgb(dose_gy: np.ndarray, window_top_gy: float) -> np.ndarray:
    """Colors 0..1 of doses, as ``dose_color_rgb`` gives them one by one."""
    steps = np.floor(np.asarray(dose_gy, dtype=float) / window_top_gy * (TABLE_SIZE - 1) + 1e-9)
    return dose_color_table()[np.clip(steps, 0, TABLE_SIZE - 1).astype(int)]


def blend(ct_hu: np.ndarray | None, dose_gy: np.ndarray, style: OverlayStyle) -> np.ndarray:
    """Picture of dose over CT, shape (rows, columns, 3), uint8."""
    gray = np.zeros(dose_gy.shape)
    if ct_hu is not None:
        low, high = CT_WINDOW_HU
        gray = np.clip((ct_hu - low) / (high - low), 0.0, 1.0)
    rgb = np.repeat(gray[..., None], 3, axis=-1)
    shown = dose_gy >= style.threshold_gy
    colors = dose_rgb(dose_gy[shown], style.window_top_gy)
    rgb[shown] = (1.0 - style.opacity) * rgb[shown] + style.opacity * colors
    return np.rint(255.0 * rgb).astype(np.uint8)


def draw_panel(
    axes: Any,
    plane: Plane,
    ct: Volume | None,
    dose: Volume,
    structures: Sequence[Structure],
    style: OverlayStyle,
    *,
    px_per_pt: float,
    families: list[str],
    crosshair_lps_mm: Sequence[float] | None = None,
) -> None:
    """Draw one slice into axes that are exactly ``plane.size_px`` pixels large.

    Parameters
    ----------
    axes : matplotlib Axes
    plane : Plane
        One sample per pixel.
    ct : Volume or None
    dose : Volume
        Gy.
    structures : sequence of Structure
    style : OverlayStyle
    px_per_pt : float
        Pixels per typographic point.
    families : list of str
        Fonts for names.
    crosshair_lps_mm : sequence of float, optional
        Point whose two other slices are marked at the panel's edges.
    """
    columns, rows = plane.size_px
    dose_gy = sample(dose, plane)
    ct_hu = None if ct is None else sample(ct, plane, outside=-1024.0)
    axes.imshow(blend(ct_hu, dose_gy, style), interpolation="nearest", aspect="auto")
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_axis_off()
    places = LabelPlaces(columns, rows)
    _marks(axes, plane, places, px_per_pt, crosshair_lps_mm)
    pen = _Pen(axes, places, px_per_pt, families)
    levels = list(zip(style.isodoses_gy, isodose_styles(len(style.isodoses_gy)), strict=True))
    isodoses = [(level, line_style, contour_lines(dose_gy, level)) for level, line_style in levels]
    for _, line_style, lines in isodoses:
        pen.draw(lines, line_style)
    named = []
    for role in DRAWN_ROLES:
        for number, structure in enumerate(s for s in structures if s.role == role):
            lines = contour_lines(sample(structure.volume, plane), 0.5)
            pen.draw(lines, structure_style(role, number))
            if role == "tumour" and lines:
                named.append((printable(structure.name, _LABEL_LENGTH), lines))
    for name, lines in sorted(named, key=lambda item: -max(len(line) for line in item[1])):
        pen.name(name, max(lines, key=len), structure_style("tumour").color)
    for level, line_style, lines in reversed(isodoses):
        pen.value(f"{level:g}", lines, line_style)


def _marks(
    axes: Any, plane: Plane, places: LabelPlaces, px_per_pt: float, crosshair_lps_mm: Sequence[float] | None
) -> None:
    """Orientation letters, title with the slice's place, a scale bar, and where the other slices lie."""
    columns, rows = plane.size_px
    size = 7.5
    em = size * px_per_pt
    text = {"color": (1.0, 1.0, 1.0), "family": FAMILY, "path_effects": _halo(1.6)}
    inset = 0.85 * em
    spots = ((inset, rows / 2), (columns - inset, rows / 2), (columns / 2, inset), (columns / 2, rows - inset))
    for letter, (x, y) in zip(_LETTERS[plane.name], spots, strict=True):
        axes.text(x, y, letter, fontsize=size, fontweight="bold", ha="center", va="center", **text)
        places.block((x - em, y - em, x + em, y + em))
    title = f"{_NAMES[plane.name]}  {plane.place()}"
    axes.text(0.6 * em, 0.95 * em, title, fontsize=5.8, ha="left", va="center", **text)
    places.block((0.0, 0.0, em + text_width_px(title, 5.8, [FAMILY], 72.0 * px_per_pt), 1.9 * em))
    length = 50.0 / plane.step_mm
    left, y = 0.8 * em, rows - 0.9 * em
    axes.plot(
        [left, left + length], [y, y], color="white", linewidth=1.6, solid_capstyle="butt", path_effects=_halo(2.6)
    )
    axes.text(left, y - 0.75 * em, "50 mm", fontsize=6.0, ha="left", va="center", **text)
    places.block((0.0, rows - 2.6 * em, max(left + length, 4.0 * em) + 4.0, float(rows)))
    if crosshair_lps_mm is not None:
        x, y = (float(v) for v in plane.to_pixel(np.asarray(crosshair_lps_mm, dtype=float)))
        tick = 0.55 * em
        for xs, ys in (
            ((x, x), (-0.5, tick)),
            ((x, x), (rows - 0.5, rows - tick)),
            ((-0.5, tick), (y, y)),
            ((columns - 0.5, columns - tick), (y, y)),
        ):
            axes.plot(xs, ys, color="white", linewidth=0.8, path_effects=_halo(1.8))


def _halo(width_pt: float) -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width_pt, foreground=_EDGE)]


class _Pen:
    """Draws lines and their labels into one panel."""

    def __init__(self, axes: Any, places: LabelPlaces, px_per_pt: float, families: list[str]) -> None:
        self.axes, self.places, self.px_per_pt, self.families = axes, places, px_per_pt, families

    def draw(self, lines: list[np.ndarray], style: LineStyle) -> None:
        from matplotlib.collections import LineCollection

        if lines:
            self.axes.add_collection(
                LineCollection(
                    lines,
                    colors=[style.color],
                    linewidths=style.width_pt,
                    linestyles=[style.dashes] if style.dashes[1] else "solid",
                    path_effects=_halo(style.width_pt + 1.1) if style.is_edged and not style.dashes[1] else None,
                    capstyle="butt",
                )
            )

    def _size(self, text: str, size_pt: float) -> tuple[float, float]:
        width = text_width_px(text, size_pt, self.families, 72.0 * self.px_per_pt)
        return width + 0.3 * size_pt * self.px_per_pt, 1.3 * size_pt * self.px_per_pt

    def name(self, text: str, line: np.ndarray, color: tuple[float, float, float]) -> None:
        """A structure's name beside its line; left out where there is no room."""
        size = self._size(text, 6.2)
        spot = self.places.find(around(line, size), size)
        if spot is not None:
            self.axes.text(
                *spot, text, fontsize=6.2, color=color, ha="center", va="center", family=self.families,
                path_effects=_halo(2.0), parse_math=False,
            )  # fmt: skip

    def value(self, text: str, lines: list[np.ndarray], style: LineStyle) -> None:
        """The dose of an isodose, once, on its longest line."""
        for line in sorted(lines, key=len, reverse=True)[:2]:
            size = self._size(text, 5.4)
            spot = self.places.find(along(line), size)
            if spot is not None:
                lighter = tuple(0.5 + 0.5 * component for component in style.color)
                self.axes.text(
                    *spot, text, fontsize=5.4, color=lighter, ha="center", va="center", family=FAMILY,
                    path_effects=_halo(2.2),
                )  # fmt: skip
                return
