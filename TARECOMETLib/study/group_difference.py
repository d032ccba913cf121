"""Mean dose of responders against non-responders: Welch, Mann-Whitney, and with tumours clustered in patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .gee import fit_exchangeable
from .logistic import z_of
from .resampling import percentile_interval


@dataclass(frozen=True)
class Difference:
    """Responders minus non-responders, in Gy.

    Parameters
    ----------
    estimate, low, high, p : float
    method : str
    more : tuple of (str, float)
        Further figures.
    """

    estimate: float
    low: float
    high: float
    p: float
    method: str
    more: tuple[tuple[str, float], ...] = ()


def welch(dose: np.ndarray, responder: np.ndarray, confidence: float = 0.95) -> Difference:
    """Welch's t test with its interval; more holds Hedges' g."""
    from scipy import stats

    a, b = dose[responder], dose[~responder]
    shares = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    error = float(np.sqrt(sum(shares)))
    free = sum(shares) ** 2 / (shares[0] ** 2 / (len(a) - 1) + shares[1] ** 2 / (len(b) - 1))
    difference = float(a.mean() - b.mean())
    half = float(stats.t.ppf(0.5 + confidence / 2.0, free)) * error
    p = 2.0 * float(stats.t.sf(abs(difference) / error, free))
    pooled = np.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / (len(a) + len(b) - 2))
    correction = 1.0 - 3.0 / (4.0 * (len(a) + len(b)) - 9.0)
    g = float(correction * (a.mean() - b.mean()) / pooled) if pooled > 0.0 else float("nan")
    more = (
        ("mean_responders_gy", float(a.mean())),
        ("sd_responders_gy", float(a.std(ddof=1))),
        ("mean_non_responders_gy", float(b.mean())),
        ("sd_non_responders_gy", float(b.std(ddof=1))),
        ("hedges_g", g),
        ("t", difference / error),
        ("degrees_of_freedom", float(free)),
    )
    return Difference(difference, difference - half, difference + half, p, "Welch t test", more)


def mann_whitney(dose: np.ndarray, responder: np.ndarray, confidence: float = 0.95) -> Difference:
    """Mann-Whitney U test (normal, tie- and continuity-corrected) with the Hodges-Lehmann shift."""
    from scipy import stats

    a, b = dose[responder], dose[~responder]
    test = stats.mannwhitneyu(a, b, alternative="two-sided", method="asymptotic")
    shifts = np.sort((a[:, None] - b[None, :]).ravel()) if len(a) * len(b) <= 4_000_000 else None
    if shifts is None:
        estimate = low = high = float("nan")
    else:
        estimate = float(np.median(shifts))
        spread = z_of(confidence) * np.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12.0)
        c = max(0, round(len(a) * len(b) / 2.0 - spread))
        low, high = float(shifts[c]), float(shifts[len(shifts) - 1 - c])
    return Difference(
        estimate,
        low,
        high,
        float(test.pvalue),
        "Mann-Whitney U test, Hodges-Lehmann shift",
        (("u", float(test.statistic)),),
    )


def linear_mixed(dose: np.ndarray, responder: np.ndarray, clusters: np.ndarray, confidence: float = 0.95) -> Difference:
    """Linear mixed model, random intercept per patient, by restricted maximum likelihood.

    The likelihood is profiled to the ratio of the two variances, one number, so that it cannot stop short (Bates D et
    al., J Stat Softw 2015;67:1-48, doi:10.18637/jss.v067.i01).
    """
    from scipy.optimize import minimize_scalar

    design = np.column_stack([np.ones(len(dose)), responder.astype(float)])
    _, index = np.unique(clusters, return_inverse=True)
    size = np.bincount(index).astype(float)
    sums = np.zeros((len(size), 3))
    every = np.column_stack([design, dose])
    np.add.at(sums, index, every)
    products = every.T @ every
    free = len(dose) - 2

    def solved(ratio: float) -> tuple[np.ndarray, float, np.ndarray]:
        weighted = products - (sums * (ratio / (1.0 + size * ratio))[:, None]).T @ sums
        b = np.linalg.solve(weighted[:2, :2], weighted[:2, 2])
        return b, float(weighted[2, 2] - b @ weighted[:2, 2]), weighted[:2, :2]

    def loss(root: float) -> float:
        ratio = root * root
        _, squares, information = solved(ratio)
        return free * np.log(squares) + float(np.sum(np.log1p(size * ratio))) + float(np.linalg.slogdet(information)[1])

    grid = np.append(np.linspace(0.0, 3.0, 61), np.geomspace(3.5, 100.0, 20))
    at = int(np.argmin([loss(root) for root in grid]))
    bounds = (grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)])
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    root = float(best.x) if best.fun < loss(0.0) else 0.0
    b, squares, information = solved(root * root)
    residual = squares / free
    estimate, error = float(b[1]), float(np.sqrt(residual * np.linalg.inv(information)[1, 1]))
    z, between = z_of(confidence), residual * root * root
    more = (
        ("patient_sd_gy", float(np.sqrt(between))),
        ("residual_sd_gy", float(np.sqrt(residual))),
        ("intraclass_correlation", float(between / (between + residual))),
    )
    method = "linear mixed model, random intercept per patient (REML), Wald"
    return Difference(estimate, estimate - z * error, estimate + z * error, _p(estimate / error), method, more)


def exchangeable_gee(
    dose: np.ndarray, responder: np.ndarray, clusters: np.ndarray, confidence: float = 0.95
) -> Difference:
    """GEE with exchangeable correlation and robust covariance."""
    design = np.column_stack([np.ones(len(dose)), responder.astype(float)])
    fit = fit_exchangeable(design, dose, clusters, is_linear=True)
    estimate, error, z = float(fit.coefficients[1]), float(fit.standard_errors[1]), z_of(confidence)
    more = (("correlation", fit.correlation),)
    return Difference(estimate, estimate - z * error, estimate + z * error, _p(estimate / error), fit.method, more)


def cluster_bootstrap(
    dose: np.ndarray, responder: np.ndarray, clusters: np.ndarray, weights: np.ndarray, confidence: float = 0.95
) -> Difference:
    """Percentile bootstrap of patients; p from how often the difference changes its sign.

    Parameters
    ----------
    weights : ndarray of shape (resamples, patients)
        From ``resampling.patient_weights``, patients in the order of ``np.unique(clusters)``.
    """
    _, index = np.unique(clusters, return_inverse=True)
    count = index.max() + 1
    sums = [
        np.bincount(index[mask], values, minlength=count)
        for mask in (responder, ~responder)
        for values in (dose[mask], np.ones(int(mask.sum())))
    ]
    w = weights.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (w @ sums[0]) / (w @ sums[1]) - (w @ sums[2]) / (w @ sums[3])
    values = values[np.isfinite(values)]
    low, high = percentile_interval(values, confidence)
    smaller = min(int(np.sum(values <= 0.0)), int(np.sum(values >= 0.0)))
    p = min(1.0, 2.0 * (smaller + 1.0) / (len(values) + 1.0))
    estimate = float(dose[responder].mean() - dose[~responder].mean())
    return Difference(estimate, low, high, p, f"cluster bootstrap of patients, {len(values)} resamples, percentiles")


def _p(z: float) -> float:
    from scipy.special import ndtr

    return float(2.0 * ndtr(-abs(z)))
