"""Agreement as a tolerance: how many differences stay within a bound, and the bound that holds a given share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from ..errors import InputError
from .bland_altman import ABSOLUTE, LOG_RATIO, differences
from .pairs import LEVEL, Estimate, patient_index, require_pairs

Values = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class ProportionalBias:
    """Least-squares line of the differences over the means: a slope other than 0 is a bias that grows with dose.

    Parameters
    ----------
    slope, intercept : Estimate
    p_value : float
        Of the slope being 0.
    by_patient : bool
        Whether the errors allow for several lesions per patient.
    """

    slope: Estimate
    intercept: Estimate
    p_value: float
    by_patient: bool


def _moments(predicted: Values, delivered: Values, scale: str, what: str) -> tuple[float, float]:
    require_pairs(predicted, delivered, what)
    _, difference = differences(predicted, delivered, scale)
    return float(difference.mean()), float(difference.std(ddof=1))


def coverage_probability(predicted: Values, delivered: Values, within: float, scale: str = ABSOLUTE) -> float:
    """Share of pairs, 0 to 1, whose difference is expected within ± ``within``, for normal differences.

    Lin et al. 2002 (doi:10.1198/016214502753479392).

    Parameters
    ----------
    within : float
        Bound in the scale's unit; for ``log_ratio`` a ratio above 1 (1.25: from 1/1.25 to 1.25).
    """
    what = "coverage probability"
    if not within > (1.0 if scale == LOG_RATIO else 0.0):
        raise InputError(what, f"its bound is {within:g}", "Give a bound above 0, for a ratio above 1")
    mean, sd = _moments(predicted, delivered, scale, what)
    return _share(float(np.log(within)) if scale == LOG_RATIO else within, mean, sd)


def _share(bound: float, mean: float, sd: float) -> float:
    if sd == 0.0:
        return float(abs(mean) <= bound)
    return float(stats.norm.cdf((bound - mean) / sd) - stats.norm.cdf((-bound - mean) / sd))


def total_deviation_index(predicted: Values, delivered: Values, share: float = 0.9, scale: str = ABSOLUTE) -> float:
    """The bound that ``share`` of absolute differences stay within, for normal differences.

    The exact root, not Lin's approximation by the mean squared deviation (2000,
    doi:10.1002/(SICI)1097-0258(20000130)19:2<255::AID-SIM293>3.0.CO;2-8), which needs a small bias.
    For ``log_ratio`` a ratio of 1 or more.
    """
    what = "total deviation index"
    if not 0.0 < share < 1.0:
        raise InputError(what, f"its share is {share:g}", "Give a share between 0 and 1")
    mean, sd = _moments(predicted, delivered, scale, what)
    bound = abs(mean)
    if sd > 0.0:
        top = abs(mean) + sd * float(stats.norm.ppf(0.5 + share / 2.0))
        bound = float(optimize.brentq(lambda k: _share(k, mean, sd) - share, 0.0, top + sd, xtol=1e-12, rtol=1e-14))
    return float(np.exp(bound)) if scale == LOG_RATIO else bound


def proportional_bias(
    predicted: Values,
    delivered: Values,
    patient_ids: Sequence[object] | np.ndarray | None = None,
    scale: str = ABSOLUTE,
    level: float = LEVEL,
) -> ProportionalBias:
    """Whether the difference grows with the mean.

    With several lesions per patient the errors are cluster-robust (Liang and Zeger 1986,
    doi:10.1093/biomet/73.1.13; factor G/(G-1)·(n-1)/(n-2)) with Student's t at patients - 1.

    Raises
    ------
    InputError
        Below three pairs, or where all means are the same.
    """
    what = "proportional bias"
    require_pairs(predicted, delivered, what, 3)
    mean, difference = differences(predicted, delivered, scale)
    if np.ptp(mean) <= 1e-12 * float(np.abs(mean).max()):
        raise InputError(what, f"all {mean.size} means are {mean[0]:g}", "Use doses that differ", "constant")
    index = patient_index(patient_ids, mean.size, what)
    design = np.column_stack((np.ones(mean.size), mean))
    inverse = np.linalg.inv(design.T @ design)
    line = inverse @ design.T @ difference
    rest = difference - design @ line
    if index is None:
        free = mean.size - 2
        covariance = inverse * float(rest @ rest) / free
    else:
        groups = int(index.max()) + 1
        free = groups - 1
        scores = np.column_stack([np.bincount(index, design[:, n] * rest) for n in range(2)])
        factor = groups / (groups - 1.0) * (mean.size - 1.0) / (mean.size - 2.0)
        covariance = factor * inverse @ (scores.T @ scores) @ inverse
    error = np.sqrt(np.diag(covariance))
    half = float(stats.t.ppf(0.5 + level / 2.0, free)) * error
    intercept, slope = (Estimate(float(v), float(v - h), float(v + h)) for v, h in zip(line, half, strict=True))
    p_value = float(2.0 * stats.t.sf(abs(line[1]) / error[1], free)) if error[1] > 0.0 else float(line[1] == 0.0)
    return ProportionalBias(slope, intercept, p_value, index is not None)
