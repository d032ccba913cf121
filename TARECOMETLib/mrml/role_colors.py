"""Colors of structures by role: apart from each other, from the dose colors and from the isodose lines."""

from __future__ import annotations

# Light colors, because they are drawn over a dark CT; shades tell several of a role apart.
_SHADES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "liver": ((0.94, 0.94, 0.94),),
    "territory": ((1.00, 0.62, 0.86), (0.86, 0.70, 1.00), (1.00, 0.80, 0.80)),
    "tumour": (
        (0.34, 0.71, 1.00),
        (0.76, 0.89, 1.00),
        (0.20, 0.50, 0.98),
        (0.58, 0.58, 1.00),
        (0.48, 0.88, 0.98),
        (0.52, 0.68, 0.84),
    ),
    "lungs": ((0.72, 0.78, 0.62),),
}
_OTHER = ((0.80, 0.76, 0.68), (0.66, 0.66, 0.78), (0.78, 0.66, 0.72))
_ALIASES = {"tumor": "tumour", "lung": "lungs"}


def role_color(role: str, number: int = 0) -> tuple[float, float, float]:
    """Red, green, blue (0..1) of the ``number``-th structure of a role; roles without a color share neutral tones."""
    shades = _SHADES.get(_ALIASES.get(role, role), _OTHER)
    return shades[number % len(shades)]
