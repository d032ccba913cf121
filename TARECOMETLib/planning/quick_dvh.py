"""DVH figures without sorting all voxels: what a drag needs many times a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BINS = 4096


def _bins(dose_gy: np.ndarray, count: int) -> tuple[np.ndarray, float, float]:
    """Bin of each dose, between the lowest and the highest; a higher dose never has a lower bin."""
    low, high = float(dose_gy.min()), float(dose_gy.max())
    if high <= low:
        return np.zeros(dose_gy.shape, dtype=np.intp), low, high
    which = ((dose_gy - low) * ((count - 1) / (high - low))).astype(np.intp)
    return np.minimum(which, count - 1), low, high


def doses_to_volume_gy(dose_gy: np.ndarray, volume_ml: np.ndarray, percents: Sequence[float]) -> list[float]:
    """D_x for several x: the same figures as ``Dvh.dose_to_volume_gy``, of the voxels of one bin each.

    Parameters
    ----------
    dose_gy, volume_ml : ndarray of shape (n,)
    percents : sequence of float
        Above 0 to 100.
    """
    which, _, _ = _bins(dose_gy, _BINS)
    held = np.bincount(which, volume_ml, minlength=_BINS)
    above = held[::-1].cumsum()[::-1]
    total = above[0]
    found = []
    for percent in percents:
        wanted = percent / 100.0 * total * (1.0 - 1e-12)
        # The highest bin at whose lower end the wanted volume is reached holds the dose.
        number = int(np.flatnonzero(above >= wanted)[-1])
        inside = which == number
        dose, volume = dose_gy[inside], volume_ml[inside]
        order = np.argsort(dose)[::-1]
        reached = above[number] - held[number] + np.cumsum(volume[order])
        place = min(int(np.searchsorted(reached, wanted, side="left")), len(order) - 1)
        found.append(float(dose[order[place]]))
    return found


def cumulative_curve(dose_gy: np.ndarray, volume_ml: np.ndarray, points: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative DVH for drawing: doses in Gy from 0 to the highest, volume at or above each in per cent.

    Exact at its points but for voxels within rounding of one.
    """
    top = max(float(dose_gy.max()), 1e-9)
    # A voxel counts at every drawn dose up to its own.
    which = np.clip((dose_gy * ((points - 1) / top) + 1e-9).astype(np.intp), 0, points - 1)
    held = np.bincount(which, volume_ml, minlength=points)
    above = held[::-1].cumsum()[::-1]
    return np.linspace(0.0, top, points), 100.0 * above / above[0]
