"""Passing-Bablok regression: a line through two series that both have errors, without assuming their distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from ..errors import InputError
from .pairs import LEVEL, Estimate, require_pairs, require_variation

_ZERO = 1e-12


@dataclass(frozen=True)
class PassingBablok:
    """delivered = intercept + slope · predicted, and whether a line fits at all.

    Parameters
    ----------
    slope, intercept : Estimate
        Bounds are None where the data are too few or too scattered for them.
    cusum : float
        Largest absolute sum of scores along the line; the linearity test's statistic is this over
        sqrt(points below the line + 1).
    linearity_p_value : float
        By Kolmogorov-Smirnov's distribution; below 0.05 the relation is not a line.
    """

    slope: Estimate
    intercept: Estimate
    cusum: float
    linearity_p_value: float


def passing_bablok(
    predicted: Sequence[float] | np.ndarray, delivered: Sequence[float] | np.ndarray, level: float = LEVEL
) -> PassingBablok:
    """Slope and intercept with intervals and the linearity test.

    Passing and Bablok 1983 (doi:10.1515/cclm.1983.21.11.709). The slope is the median of all pairwise slopes, shifted
    by how many lie below -1; between two middle slopes the mean of their angles is taken, so that exchanging the two
    sides inverts the slope.

    Raises
    ------
    InputError
        Below three pairs, where one side is constant, or where the two do not rise together.
    """
    what = "Passing-Bablok regression"
    x, y = require_pairs(predicted, delivered, what, 3)
    require_variation(x, y, what)
    if not stats.kendalltau(x, y).statistic > 0.0:
        raise InputError(
            what, "delivered does not rise with predicted, which it presumes", "Check the pairing", "no-correlation"
        )
    angle = _angles(x, y)
    below, at_least = int(np.sum(angle < -np.pi / 4.0)), int(np.sum(angle <= -np.pi / 4.0))
    shift = below + at_least
    slope = _at(angle, angle.size + shift)
    half = np.round(stats.norm.ppf(0.5 + level / 2.0) * np.sqrt(x.size * (x.size - 1.0) * (2.0 * x.size + 5.0) / 18.0))
    low, high = int(angle.size - half + shift), int(angle.size + half + shift)
    bounds = None
    # Beyond the slopes below -1 an interval would wrap around: there is none.
    if (low + 1) // 2 > at_least and (high + 2) // 2 <= angle.size:
        bounds = (_at(angle, low), _at(angle, high))
    intercept = float(np.median(y - slope * x))
    if bounds is None:
        line = (Estimate(slope), Estimate(intercept))
    else:
        steep, flat = float(np.median(y - bounds[1] * x)), float(np.median(y - bounds[0] * x))
        line = (Estimate(slope, *bounds), Estimate(intercept, steep, flat))
    return PassingBablok(*line, *_linearity(x, y, slope, intercept))


def _angles(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sorted angles of the lines through each two points, -90° exclusive to 90°; points that coincide give none."""
    first, second = np.triu_indices(x.size, 1)
    across, up = x[second] - x[first], y[second] - y[first]
    across[np.abs(across) <= _ZERO * (np.abs(x[second]) + np.abs(x[first]))] = 0.0
    up[np.abs(up) <= _ZERO * (np.abs(y[second]) + np.abs(y[first]))] = 0.0
    apart = (across != 0.0) | (up != 0.0)
    across, up = across[apart], up[apart]
    with np.errstate(divide="ignore"):
        return np.sort(np.where(across == 0.0, np.pi / 2.0, np.arctan(up / np.where(across == 0.0, 1.0, across))))


def _at(angle: np.ndarray, twice: int) -> float:
    """Slope at the sorted angle number ``twice`` / 2, counted from 1; even: between two, odd: the upper one."""
    position = (twice + 1) // 2
    if twice % 2 == 0:
        return float(np.tan((angle[position - 1] + angle[position]) / 2.0))
    return float(np.tan(angle[position - 1]))


def _linearity(x: np.ndarray, y: np.ndarray, slope: float, intercept: float) -> tuple[float, float]:
    """The largest run of scores along the line and its p value."""
    rest = y - intercept - slope * x
    above, under = int(np.sum(rest > 0.0)), int(np.sum(rest < 0.0))
    if above == 0 or under == 0:
        return 0.0, 1.0
    score = np.where(rest > 0.0, np.sqrt(under / above), np.where(rest < 0.0, -np.sqrt(above / under), 0.0))
    along = np.argsort(x + slope * (y - intercept), kind="stable")
    largest = float(np.abs(np.cumsum(score[along])).max())
    return largest, float(special.kolmogorov(largest / np.sqrt(under + 1.0)))
