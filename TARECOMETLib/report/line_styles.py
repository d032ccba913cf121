"""How structures and isodoses are drawn: told apart by color, and by width and dashes on a gray print."""

from __future__ import annotations

from dataclasses import dataclass

from .dose_colors import isodose_line_colors

Rgb = tuple[float, float, float]
Dashes = tuple[float, tuple[float, ...]]
SOLID: Dashes = (0.0, ())


@dataclass(frozen=True)
class LineStyle:
    """Color, width in points, dashes in multiples of the width, and whether a dark edge sets the line off."""

    color: Rgb
    width_pt: float
    dashes: Dashes = SOLID
    is_edged: bool = True


LIVER_STYLE = LineStyle((0.96, 0.96, 0.96), 0.9)
TUMOUR_STYLE = LineStyle((0.55, 0.84, 1.0), 1.7)
_TERRITORIES = (
    LineStyle((1.0, 0.78, 0.90), 0.9, (0.0, (5.0, 2.0))),
    LineStyle((0.87, 0.80, 1.0), 0.9, (0.0, (6.0, 1.6, 1.4, 1.6))),
    LineStyle((1.0, 0.84, 0.74), 0.9, (0.0, (2.4, 1.8))),
    LineStyle((0.90, 0.90, 0.76), 0.9, (0.0, (7.0, 1.4, 1.4, 1.4, 1.4, 1.4))),
)
_OTHER = LineStyle((0.75, 0.75, 0.72), 0.8, (0.0, (1.0, 1.6)))
# Roles in the order they are drawn, the last on top; others are left out of the pictures.
DRAWN_ROLES = ("territory", "liver", "tumour")


def structure_style(role: str, number: int = 0) -> LineStyle:
    """Style of the ``number``-th structure of a role."""
    if role == "territory":
        return _TERRITORIES[number % len(_TERRITORIES)]
    return {"liver": LIVER_STYLE, "tumour": TUMOUR_STYLE}.get(role, _OTHER)


def isodose_styles(count: int) -> list[LineStyle]:
    """Styles of isodose lines, lowest dose first; higher doses are lighter and thicker."""
    return [
        LineStyle(color, 0.7 + 0.4 * n / max(count - 1, 1), SOLID, is_edged=False)
        for n, color in enumerate(isodose_line_colors(count))
    ]
