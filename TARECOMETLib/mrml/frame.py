"""What stands around a drawn slice: title, color bar in Gy, names of the lines, orientation letters, scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .picture_text import draw_text, fill, fitted, text_width

Rgb = tuple[float, float, float]

PANEL_RGB: Rgb = (0.10, 0.11, 0.14)
TEXT_RGB: Rgb = (0.93, 0.93, 0.93)
QUIET_RGB: Rgb = (0.72, 0.74, 0.78)
# Font size and the side panel's largest share of the picture.
FONT_SHARE, FONT_SMALLEST_PX = 0.026, 12
PANEL_LARGEST_SHARE = 0.4
# The color bar's smallest share of the picture's height: where names are many, the last of them are counted instead.
BAR_SMALLEST_SHARE = 0.3
LETTER_OF_DIRECTION = {(1, 0): "R", (-1, 0): "L", (1, 1): "A", (-1, 1): "P", (1, 2): "S", (-1, 2): "I"}


@dataclass(frozen=True)
class ColorBar:
    """Colors from 0 to ``top``, first row of ``colors`` for 0; below ``threshold`` nothing is painted."""

    title: str
    unit: str
    top: float
    threshold: float
    colors: np.ndarray


@dataclass(frozen=True)
class Legend:
    """All that the side panel shows: a color bar and groups of named lines (heading, [(name, color), ...])."""

    bar: ColorBar | None = None
    groups: list[tuple[str, list[tuple[str, Rgb]]]] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return self.bar is None and not any(entries for _, entries in self.groups)


@dataclass(frozen=True)
class Layout:
    """Where things go in a picture of the given size, in pixels."""

    size_px: tuple[int, int]
    font_px: int
    title_px: int
    panel_px: int

    @property
    def view_size_px(self) -> tuple[int, int]:
        """Columns and rows left for the slice, which lies below the title and left of the panel."""
        return self.size_px[0] - self.panel_px, self.size_px[1] - self.title_px


def plan_layout(size_px: tuple[int, int], title: str, legend: Legend) -> Layout:
    """Give title and legend the room that their texts need."""
    font = max(FONT_SMALLEST_PX, round(FONT_SHARE * min(size_px)))
    panel = 0
    if not legend.is_empty():
        words = [heading for heading, entries in legend.groups if entries]
        widths = [text_width(word, font, bold=True) for word in words]
        widths += [text_width(name, font) + 2 * font for _, entries in legend.groups for name, _ in entries]
        if legend.bar:
            widths += [text_width(line, font, bold=True) for line in _bar_heading(legend.bar)]
            widths += [text_width(_threshold_text(legend.bar), font)]
        panel = min(max(widths) + 2 * font, round(PANEL_LARGEST_SHARE * size_px[0]))
    return Layout(size_px, font, round(2.2 * font) if title else 0, panel)


def compose(view: np.ndarray, layout: Layout, title: str, legend: Legend) -> np.ndarray:
    """The whole picture: the drawn view with title and side panel around it."""
    columns, rows = layout.size_px
    rgb = np.empty((rows, columns, 3), dtype=np.uint8)
    fill(rgb, slice(None), slice(None), PANEL_RGB)
    rgb[layout.title_px :, : columns - layout.panel_px] = view
    font = layout.font_px
    if title:
        text = fitted(title, font, columns - 2 * font, bold=True)
        draw_text(rgb, text, layout.title_px // 2, font, font, color=TEXT_RGB, bold=True)
    if layout.panel_px:
        _draw_panel(rgb, layout, legend)
    return rgb


def draw_orientation(view: np.ndarray, right_ras: np.ndarray, up_ras: np.ndarray, font_px: int) -> None:
    """Put the letters of the patient's directions at the four edges of a drawn view."""
    rows, columns = view.shape[:2]
    margin = round(0.9 * font_px)
    size = round(1.25 * font_px)
    for direction, row, column, anchor in (
        (right_ras, rows // 2, columns - margin, "right"),
        (-right_ras, rows // 2, margin, "left"),
        (up_ras, margin, columns // 2, "center"),
        (-up_ras, rows - margin, columns // 2, "center"),
    ):
        draw_text(view, direction_letter(direction), row, column, size, anchor=anchor, bold=True, halo=True)


def direction_letter(direction_ras: np.ndarray) -> str:
    """R, L, A, P, S or I: the patient's side that a RAS direction points to most."""
    axis = int(np.argmax(np.abs(direction_ras)))
    return LETTER_OF_DIRECTION[1 if direction_ras[axis] > 0 else -1, axis]


def draw_scale(view: np.ndarray, mm_per_px: float, font_px: int, caption: str = "") -> None:
    """Put a length bar with its length, and a caption above it, into the lower left corner of a drawn view."""
    rows, columns = view.shape[:2]
    length_mm = max((n for n in (5, 10, 20, 50, 100, 200) if n / mm_per_px <= columns / 4), default=2)
    length_px = round(length_mm / mm_per_px)
    left, bottom = font_px, rows - font_px
    fill(view, slice(bottom - 4, bottom + 2), slice(left - 1, left + length_px + 1), (0.0, 0.0, 0.0))
    fill(view, slice(bottom - 3, bottom + 1), slice(left, left + length_px), (1.0, 1.0, 1.0))
    draw_text(view, f"{length_mm} mm", bottom - round(1.1 * font_px), left, font_px, halo=True)
    draw_text(view, caption, bottom - round(2.5 * font_px), left, font_px, halo=True)


def tick_values(top: float, most: int = 6) -> list[float]:
    """Round values from 0 up to ``top``, at most ``most`` + 1 of them."""
    step = 10.0 ** np.floor(np.log10(top / most))
    step *= next(factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * step * most >= top * (1.0 - 1e-9))
    return [float(n * step) for n in range(int(np.floor(top / step * (1.0 + 1e-9))) + 1)]


def _bar_heading(bar: ColorBar) -> list[str]:
    return [bar.title, f"({bar.unit})"] if bar.unit else [bar.title]


def _threshold_text(bar: ColorBar) -> str:
    return f"below {bar.threshold:.3g} {bar.unit}: not shown".replace("  ", " ")


def _draw_panel(rgb: np.ndarray, layout: Layout, legend: Legend) -> None:
    font = layout.font_px
    left = rgb.shape[1] - layout.panel_px + font
    width = layout.panel_px - 2 * font
    row = layout.title_px + font
    entries = sum(len(names) + 1.6 for _, names in legend.groups if names)
    if legend.bar:
        lines_px = round(1.5 * font * entries)
        height = rgb.shape[0] - row - lines_px - round(7.0 * font)
        height = max(round(BAR_SMALLEST_SHARE * rgb.shape[0]), min(height, rgb.shape[0] // 2))
        row = _draw_bar(rgb, legend.bar, row, left, width, height, font)
    # Lines stand closer together where that makes all names fit.
    line = int(max(1.15 * font, min(1.5 * font, (rgb.shape[0] - row - font) / max(entries, 1.0))))
    for heading, names in legend.groups:
        if not names:
            continue
        room = (rgb.shape[0] - row - font) // line - 1
        if room < 1:
            break
        draw_text(rgb, fitted(heading, font, width, bold=True), row + font // 2, left, font, color=TEXT_RGB, bold=True)
        row += line
        count = len(names) if len(names) <= room else room - 1
        for name, color in names[:count]:
            fill(rgb, slice(row + font // 2 - 1, row + font // 2 + 2), slice(left, left + round(1.4 * font)), color)
            text = fitted(name, font, width - 2 * font)
            draw_text(rgb, text, row + font // 2, left + 2 * font, font, color=TEXT_RGB)
            row += line
        if count < len(names):
            draw_text(rgb, f"and {len(names) - count} more", row + font // 2, left, font, color=QUIET_RGB)
            row += line
        row += font // 2


def _draw_bar(rgb: np.ndarray, bar: ColorBar, row: int, left: int, width: int, height: int, font: int) -> int:
    """Draw heading, bar and ticks from ``row`` down; return the first free row below."""
    for text in _bar_heading(bar):
        draw_text(rgb, fitted(text, font, width, bold=True), row + font // 2, left, font, color=TEXT_RGB, bold=True)
        row += round(1.4 * font)
    row += font // 2
    bar_columns = slice(left, left + round(1.4 * font))
    value = (1.0 - (np.arange(height) + 0.5) / height) * bar.top
    index = np.clip(np.floor(value / bar.top * (len(bar.colors) - 1)).astype(int), 0, len(bar.colors) - 1)
    strip = np.round(255.0 * bar.colors[index]).astype(np.uint8)
    rgb[row : row + height, bar_columns] = strip[:, np.newaxis]
    clear = value < bar.threshold
    if clear.any():
        first = row + int(np.argmax(clear))
        fill(rgb, slice(first, row + height), bar_columns, PANEL_RGB)
        for edge in (slice(bar_columns.start, bar_columns.start + 1), slice(bar_columns.stop - 1, bar_columns.stop)):
            fill(rgb, slice(first, row + height), edge, QUIET_RGB)
        fill(rgb, slice(row + height - 1, row + height), bar_columns, QUIET_RGB)
    for tick in tick_values(bar.top, most=max(2, min(6, height // (2 * font)))):
        at = row + round((1.0 - tick / bar.top) * height)
        fill(rgb, slice(at, at + 1), slice(bar_columns.stop, bar_columns.stop + font // 2), QUIET_RGB)
        draw_text(rgb, f"{tick:g}", at, bar_columns.stop + round(0.8 * font), font, color=TEXT_RGB)
    row += height + font
    if bar.threshold > 0.0:
        draw_text(rgb, fitted(_threshold_text(bar), font, width), row + font // 2, left, font, color=QUIET_RGB)
        row += round(1.6 * font)
    return row + font // 2
