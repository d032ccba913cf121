"""How a compartment's mean dose depends on where its edge is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .contour_edge import occupancy

MARGINS_MM = (-2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass(frozen=True)
class MarginDose:
    """Volume and mean dose of a contour with a margin."""

    margin_mm: float
    volume_ml: float
    mean_gy: float


def margin_doses(
    signed_mm: np.ndarray,
    dose_gy: np.ndarray,
    spacing_mm: tuple[float, float, float],
    margins_mm: tuple[float, ...] = MARGINS_MM,
    where: str = "contour",
) -> tuple[MarginDose, ...]:
    """Mean doses with the edge moved, by a dose map that stays.

    Parameters
    ----------
    signed_mm : ndarray of shape (k, j, i)
        Distance from the edge, negative inside.
    dose_gy : ndarray of the same shape
    spacing_mm : tuple of float
        Along k, j, i.
    margins_mm : tuple of float
        Outward above 0.
    where : str
        Name for the refusal.

    Raises
    ------
    InputError
        Where a negative margin leaves nothing.
    """
    deepest = -float(signed_mm.min())
    found = []
    for margin in margins_mm:
        if margin < 0.0 and -margin >= deepest:
            raise InputError(
                where,
                f"a margin of {margin:g} mm leaves nothing of it: its center is {deepest:.1f} mm from its edge",
                f"Use more than -{deepest:.1f} mm",
                "margin-too-large",
            )
        share = occupancy(signed_mm, spacing_mm, margin)
        total = float(share.sum(dtype=np.float64))
        mean = float(np.sum(share * dose_gy, dtype=np.float64)) / total
        found.append(MarginDose(margin, total * float(np.prod(spacing_mm)) / 1000.0, mean))
    return tuple(found)
