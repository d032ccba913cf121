"""Whether uptake lies where the perfused territory is drawn: the offset along the body that would fit best.

Two CTs can agree and the emission image still lie higher or lower than its own CT: it was acquired over minutes of
breathing. The edge of the uptake tells, at the dome and at the lower border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .recovery import blurred

_REACH_MM, _STEP_MM, _MARGIN_MM = 24.0, 2.0, 40.0
_WELL_INSIDE = 0.9


@dataclass(frozen=True)
class UptakeOffset:
    """Where the uptake lies against the territory.

    Parameters
    ----------
    offset_mm : float
        Along the slices' axis; positive where uptake lies toward higher slice numbers.
    likeness, likeness_unmoved : float
        Correlation of capped uptake and blurred territory at the offset and without it, -1 to 1.
    """

    offset_mm: float
    likeness: float
    likeness_unmoved: float


def uptake_offset(
    image: np.ndarray, territory: np.ndarray, spacing_kji_mm: Sequence[float], fwhm_mm: float
) -> UptakeOffset | None:
    """Offset of uptake against the injected territories, along the slices' axis.

    Uptake is capped at its median in the territory, so that hot tumours do not outweigh the border; the territory is
    blurred to the image's resolution. The best of all offsets within 24 mm is refined by a parabola.

    Parameters
    ----------
    image : ndarray of shape (k, j, i)
        Emission values, any unit.
    territory : ndarray of shape (k, j, i)
        Share of each voxel in the injected territories.
    spacing_kji_mm : sequence of float
    fwhm_mm : float

    Returns
    -------
    UptakeOffset or None
        None where the territory is not in the image or holds nothing.
    """
    inside = territory > _WELL_INSIDE
    level = float(np.median(image[inside])) if inside.any() else 0.0
    if not level > 0.0:
        return None
    box = _box(territory, spacing_kji_mm)
    spread = blurred(territory[box], (fwhm_mm,) * 3, spacing_kji_mm)[:, ::2, ::2]
    uptake = np.clip(image[box], 0.0, level)[:, ::2, ::2].astype(float)
    places = np.arange(len(spread))
    steps = np.arange(-_REACH_MM, _REACH_MM + _STEP_MM, _STEP_MM)
    scores = np.array([_likeness(_moved(spread, places, step / spacing_kji_mm[0]), uptake) for step in steps])
    best = int(np.argmax(scores))
    offset = float(steps[best])
    if 0 < best < len(steps) - 1:
        before, top, after = scores[best - 1 : best + 2]
        bend = before - 2.0 * top + after
        offset += _STEP_MM * 0.5 * float((before - after) / bend) if bend < 0.0 else 0.0
    return UptakeOffset(offset, float(scores[best]), float(scores[len(steps) // 2]))


def _box(territory: np.ndarray, spacing_kji_mm: Sequence[float]) -> tuple[slice, ...]:
    """The territory's surroundings."""
    parts = []
    for axis, spacing in enumerate(spacing_kji_mm):
        filled = np.flatnonzero(territory.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int(_MARGIN_MM / spacing)
        parts.append(slice(max(int(filled[0]) - margin, 0), int(filled[-1]) + 1 + margin))
    return tuple(parts)


def _moved(array: np.ndarray, places: np.ndarray, steps: float) -> np.ndarray:
    """An array moved along its first axis, linear between slices, nothing beyond."""
    source = places - steps
    low = np.floor(source).astype(int)
    share = (source - low)[:, None, None]
    padded = np.pad(array, ((1, 1), (0, 0), (0, 0)))
    last = len(padded) - 1
    first, second = np.clip(low + 1, 0, last), np.clip(low + 2, 0, last)
    return padded[first] * (1.0 - share) + padded[second] * share


def _likeness(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 0.0 else 0.0
