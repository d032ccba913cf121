"""How well two series of doses agree in one figure: Lin's concordance, intraclass correlation, Spearman's rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..errors import InputError
from .pairs import LEVEL, Estimate, require_pairs, require_variation

Values = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Concordance:
    """Lin's concordance correlation coefficient and its parts.

    Parameters
    ----------
    ccc : Estimate
    pearson : float
        How tight the points lie on some line (precision).
    bias_correction : float
        How close that line is to identity, 0 to 1 (accuracy); ccc = pearson · bias_correction.
    scale_shift : float
        SD of delivered over SD of predicted.
    location_shift : float
        Delivered minus predicted mean, over the root of the product of both SDs.
    """

    ccc: Estimate
    pearson: float
    bias_correction: float
    scale_shift: float
    location_shift: float


@dataclass(frozen=True)
class Rank:
    """Spearman's rank correlation and the p value of its being 0."""

    rho: Estimate
    p_value: float


def lin_ccc(predicted: Values, delivered: Values, level: float = LEVEL) -> Concordance:
    """Lin's concordance correlation coefficient, its interval by Fisher's z.

    Lin 1989 (doi:10.2307/2532051), variance as corrected in 2000 (doi:10.1111/j.0006-341X.2000.00324.x).

    Raises
    ------
    InputError
        Below three pairs, or where one side is constant.
    """
    a, b = require_pairs(predicted, delivered, "Lin's concordance correlation", 3)
    require_variation(a, b, "Lin's concordance correlation")
    variance_a, variance_b = float(a.var()), float(b.var())
    shift = float(b.mean() - a.mean())
    covariance = float(np.mean((a - a.mean()) * (b - b.mean())))
    pearson = float(np.clip(covariance / np.sqrt(variance_a * variance_b), -1.0, 1.0))
    ccc = 2.0 * covariance / (variance_a + variance_b + shift**2)
    location = shift / (variance_a * variance_b) ** 0.25
    shifts = (float(np.sqrt(variance_b / variance_a)), location)
    if pearson == 0.0:
        raise InputError(
            "Lin's concordance correlation", "predicted and delivered do not correlate at all", "Check the pairing"
        )
    error2 = (
        (1.0 - pearson**2) * ccc**2 * (1.0 - ccc**2) / pearson**2
        + 2.0 * ccc**3 * (1.0 - ccc) * location**2 / pearson
        - 0.5 * ccc**4 * location**4 / pearson**2
    ) / (a.size - 2)
    if error2 <= 0.0 or abs(ccc) >= 1.0:  # perfect agreement: the interval has no width
        return Concordance(Estimate(ccc, ccc, ccc), pearson, ccc / pearson, *shifts)
    half = float(stats.norm.ppf(0.5 + level / 2.0)) * np.sqrt(error2) / (1.0 - ccc**2)
    middle = np.arctanh(ccc)
    interval = Estimate(ccc, float(np.tanh(middle - half)), float(np.tanh(middle + half)))
    return Concordance(interval, pearson, ccc / pearson, *shifts)


def icc_agreement(predicted: Values, delivered: Values, level: float = LEVEL) -> Estimate:
    """ICC(2,1): two-way random effects, absolute agreement, single measurement; ICC(A,1) of McGraw and Wong.

    Shrout and Fleiss 1979 (doi:10.1037/0033-2909.86.2.420); interval of McGraw and Wong 1996
    (doi:10.1037/1082-989X.1.1.30).

    Raises
    ------
    InputError
        Below three pairs, or where one side is constant.
    """
    a, b = require_pairs(predicted, delivered, "ICC(2,1)", 3)
    require_variation(a, b, "ICC(2,1)")
    table = np.column_stack((a, b))
    rows, raters = table.shape
    grand = table.mean()
    row_square = raters * float(np.sum((table.mean(axis=1) - grand) ** 2)) / (rows - 1)
    column_square = rows * float(np.sum((table.mean(axis=0) - grand) ** 2)) / (raters - 1)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + grand
    error_square = float(np.sum(rest**2)) / ((rows - 1) * (raters - 1))
    icc = (row_square - error_square) / (
        row_square + (raters - 1) * error_square + raters / rows * (column_square - error_square)
    )
    if error_square <= 1e-24 * row_square:
        return Estimate(icc, icc, icc) if column_square <= 1e-24 * row_square else Estimate(icc)
    x = raters * icc / (rows * (1.0 - icc))
    y = 1.0 + raters * icc * (rows - 1) / (rows * (1.0 - icc))
    free = (x * column_square + y * error_square) ** 2 / (
        (x * column_square) ** 2 / (raters - 1) + (y * error_square) ** 2 / ((rows - 1) * (raters - 1))
    )
    tail = 0.5 + level / 2.0
    low, high = float(stats.f.ppf(tail, rows - 1, free)), float(stats.f.ppf(tail, free, rows - 1))
    others = raters * column_square + (raters * rows - raters - rows) * error_square
    return Estimate(
        icc,
        rows * (row_square - low * error_square) / (low * others + rows * row_square),
        rows * (high * row_square - error_square) / (others + rows * high * row_square),
    )


def spearman(predicted: Values, delivered: Values, level: float = LEVEL) -> Rank:
    """Spearman's rank correlation with ties; p value by Student's t, as R's ``cor.test(exact = FALSE)``.

    Interval: Fisher's z with the standard error of Bonett and Wright 2000 (doi:10.1007/BF02294183); none below four
    pairs.

    Raises
    ------
    InputError
        Below three pairs, or where one side is constant.
    """
    a, b = require_pairs(predicted, delivered, "Spearman's correlation", 3)
    require_variation(a, b, "Spearman's correlation")
    result = stats.spearmanr(a, b)
    rho, p_value = float(np.clip(result.statistic, -1.0, 1.0)), float(result.pvalue)
    if a.size < 4 or abs(rho) >= 1.0 - 1e-15:
        return Rank(Estimate(rho), p_value)
    half = float(stats.norm.ppf(0.5 + level / 2.0)) * np.sqrt((1.0 + rho**2 / 2.0) / (a.size - 3))
    middle = np.arctanh(rho)
    return Rank(Estimate(rho, float(np.tanh(middle - half)), float(np.tanh(middle + half))), p_value)
