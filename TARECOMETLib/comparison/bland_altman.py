"""Bland-Altman: bias and limits of agreement with confidence intervals, on three scales, with repeated measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..errors import InputError
from .pairs import LEVEL, Estimate, patient_index, require_pairs

ABSOLUTE, PERCENT, LOG_RATIO = "absolute", "percent", "log_ratio"
SCALES = (ABSOLUTE, PERCENT, LOG_RATIO)
# Bland and Altman's multiplier as it is published and used, not the normal quantile 1.959964.
LIMIT_SDS = 1.96


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of delivered minus predicted.

    Parameters
    ----------
    scale : str
        ``absolute``: the unit of the values. ``percent``: of the mean of both. ``log_ratio``: bias and limits are
        ratios delivered / predicted (exponentials), ``sd`` is of the natural logarithm.
    pairs, patients : int
        ``patients`` equals ``pairs`` where no patient has more than one.
    bias, lower_limit, upper_limit : Estimate
        Limits lie 1.96 SD from the bias.
    sd : float
        Of the differences; with repeated measures the root of between- plus within-patient variance.
    sd_within : float or None
        Of differences within a patient; None without repeated measures.
    repeatability : float
        1.96 SD.
    """

    scale: str
    pairs: int
    patients: int
    bias: Estimate
    lower_limit: Estimate
    upper_limit: Estimate
    sd: float
    repeatability: float
    sd_within: float | None = None


def differences(
    predicted: Sequence[float] | np.ndarray, delivered: Sequence[float] | np.ndarray, scale: str = ABSOLUTE
) -> tuple[np.ndarray, np.ndarray]:
    """Means of each pair, and its differences on a scale (logarithms for ``log_ratio``), as a plot shows them.

    Raises
    ------
    InputError
        For an unknown scale; for values that a per cent or a logarithm cannot be taken of.
    """
    a, b = require_pairs(predicted, delivered, "Bland-Altman", 1)
    mean = (a + b) / 2.0
    if scale == ABSOLUTE:
        return mean, b - a
    if scale not in SCALES:
        raise InputError("Bland-Altman", f'there is no scale "{scale}"', f"Choose one of {', '.join(SCALES)}")
    if (a <= 0.0).any() or (b <= 0.0).any():
        words = "per cent" if scale == PERCENT else "a ratio"
        raise InputError(
            "Bland-Altman",
            f"{int(((a <= 0.0) | (b <= 0.0)).sum())} pairs hold a value of 0 or less, of which {words} means nothing",
            "Leave those pairs out or use the absolute scale",
            "not-positive",
        )
    return mean, (100.0 * (b - a) / mean if scale == PERCENT else np.log(b) - np.log(a))


def limits_from_moments(
    bias: float, sd: float, count: int, level: float = LEVEL
) -> tuple[Estimate, Estimate, Estimate]:
    """Bias, lower and upper limit of agreement from what a paper prints: mean and SD of n differences.

    Intervals: Bland and Altman 1999 (doi:10.1177/096228029900800204): the limit's variance is
    SD² (1/n + 1.96²/(2 (n - 1))), with Student's t at n - 1.
    """
    if count < 2:
        raise InputError(
            "limits of agreement",
            "one difference has no spread, so there are none",
            "Add lesions or patients",
            "too-few-pairs",
        )
    t = float(stats.t.ppf(0.5 + level / 2.0, count - 1))
    z = float(stats.norm.ppf(0.5 + level / 2.0))
    around_bias = t * sd / np.sqrt(count)
    around_limit = t * sd * np.sqrt(1.0 / count + z**2 / (2.0 * (count - 1)))

    def within(value: float, half: float) -> Estimate:
        return Estimate(float(value), float(value - half), float(value + half))

    return (
        within(bias, around_bias),
        within(bias - LIMIT_SDS * sd, around_limit),
        within(bias + LIMIT_SDS * sd, around_limit),
    )


def bland_altman(
    predicted: Sequence[float] | np.ndarray,
    delivered: Sequence[float] | np.ndarray,
    patient_ids: Sequence[object] | np.ndarray | None = None,
    scale: str = ABSOLUTE,
    level: float = LEVEL,
) -> BlandAltman:
    """Bias and limits of agreement.

    Parameters
    ----------
    predicted, delivered : array of shape (n,)
        Pair by pair: lesions or patients.
    patient_ids : sequence of n names, optional
        Several lesions of a patient are repeated measures whose true value varies: the variance is split by a one-way
        analysis of variance of the differences (Bland and Altman 2007, doi:10.1080/10543400701329422).
    scale : str
        absolute, percent or log_ratio.
    level : float
        Of the confidence intervals. The limits themselves are always 1.96 SD.

    Raises
    ------
    InputError
        Where there are too few pairs (code ``too-few-pairs``), one patient only (``one-patient``), or values that the
        scale cannot take.
    """
    require_pairs(predicted, delivered, "limits of agreement")
    _, difference = differences(predicted, delivered, scale)
    index = patient_index(patient_ids, difference.size, "limits of agreement")
    if index is None:
        sd, sd_within, patients = float(difference.std(ddof=1)), None, difference.size
        figures = limits_from_moments(float(difference.mean()), sd, difference.size, level)
    else:
        figures, sd, sd_within = _repeated(difference, index, level)
        patients = int(index.max()) + 1
    if scale == LOG_RATIO:
        figures = tuple(_exponential(figure) for figure in figures)  # type: ignore[assignment]
    bias, lower, upper = figures
    return BlandAltman(scale, int(difference.size), int(patients), bias, lower, upper, sd, LIMIT_SDS * sd, sd_within)


def _exponential(figure: Estimate) -> Estimate:
    lower = None if figure.lower is None else float(np.exp(figure.lower))
    upper = None if figure.upper is None else float(np.exp(figure.upper))
    return Estimate(float(np.exp(figure.value)), lower, upper)


def _repeated(
    difference: np.ndarray, index: np.ndarray, level: float
) -> tuple[tuple[Estimate, Estimate, Estimate], float, float]:
    """Limits from between- and within-patient mean squares; intervals of the limits by MOVER.

    Zou 2013 (doi:10.1177/0962280211402548) recovers the variance of a limit from the intervals of bias and SD; here
    the SD's interval comes from the mean squares of the analysis of variance, the same where all patients have
    equally many lesions.
    """
    count = np.bincount(index).astype(float)
    total, patients = difference.size, count.size
    mean = np.bincount(index, difference) / count
    bias = float(difference.mean())
    free_between, free_within = patients - 1, total - patients
    between = float(np.sum(count * (mean - bias) ** 2) / free_between)
    within = float(np.sum((difference - mean[index]) ** 2) / free_within)
    per_patient = (total**2 - np.sum(count**2)) / (free_between * total)
    # The total variance as a sum of two independent mean squares.
    parts = ((between / per_patient, free_between), ((1.0 - 1.0 / per_patient) * within, free_within))
    variance = sum(part for part, _ in parts)
    sd = float(np.sqrt(variance))
    tail = (1.0 - level) / 2.0
    down = np.sqrt(sum((part * (1.0 - free / stats.chi2.ppf(1.0 - tail, free))) ** 2 for part, free in parts))
    up = np.sqrt(sum((part * (free / stats.chi2.ppf(tail, free) - 1.0)) ** 2 for part, free in parts))
    sd_low, sd_high = float(np.sqrt(max(0.0, variance - down))), float(np.sqrt(variance + up))
    between_variance = max(0.0, (between - within) / per_patient)
    error = np.sqrt(between_variance * float(np.sum(count**2)) / total**2 + within / total)
    half = float(stats.t.ppf(1.0 - tail, free_between) * error)
    near, far = LIMIT_SDS * (sd - sd_low), LIMIT_SDS * (sd_high - sd)
    lower, upper = bias - LIMIT_SDS * sd, bias + LIMIT_SDS * sd
    return (
        (
            Estimate(bias, bias - half, bias + half),
            Estimate(lower, float(lower - np.hypot(half, far)), float(lower + np.hypot(half, near))),
            Estimate(upper, float(upper - np.hypot(half, near)), float(upper + np.hypot(half, far))),
        ),
        sd,
        float(np.sqrt(within)),
    )
