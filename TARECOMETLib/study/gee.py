"""Generalized estimating equations with exchangeable correlation (Liang and Zeger 1986, doi:10.1093/biomet/73.1.13)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .logistic import LogisticFit, _standardized, expit, fit_weighted, require_both


@dataclass(frozen=True, eq=False)
class GeeFit(LogisticFit):
    """As a logistic fit, of the population's average; for a linear model ``probability`` has no meaning."""

    correlation: float = 0.0


def fit_exchangeable(design: np.ndarray, y: np.ndarray, clusters: np.ndarray, *, is_linear: bool = False) -> GeeFit:
    """Coefficients and sandwich; correlation and scale by moments with divisors n, as in R's geepack.

    Parameters
    ----------
    design : ndarray of shape (n, p)
    y : ndarray of shape (n,)
        0 or 1, or any number with ``is_linear``.
    clusters : ndarray of shape (n,)
    """
    y = np.asarray(y, dtype=float)
    if not is_linear:
        require_both(y, "GEE")
    scaled, back = _standardized(design)
    _, index = np.unique(clusters, return_inverse=True)
    size = np.bincount(index).astype(float)
    pairs = float(np.sum(size * (size - 1.0) / 2.0))
    p = scaled.shape[1]
    b = np.linalg.lstsq(scaled, y, rcond=None)[0] if is_linear else fit_weighted(scaled, y, np.ones(len(y)))
    alpha = 0.0
    bread, meat = np.eye(p), np.eye(p)
    for _ in range(100):
        mean = scaled @ b if is_linear else expit(scaled @ b)
        spread = np.ones(len(y)) if is_linear else np.sqrt(np.maximum(mean * (1.0 - mean), 1e-12))
        residual = (y - mean) / spread
        sums = np.bincount(index, residual)
        squares = np.bincount(index, residual**2)
        scale = float(squares.sum() / len(y))
        if pairs > 0.0:
            alpha = float(np.sum(0.5 * (sums**2 - squares)) / (pairs * scale))
            # The correlation matrix of the largest cluster must stay positive definite.
            alpha = float(np.clip(alpha, -0.99 / max(size.max() - 1.0, 1.0), 0.99))
        slopes = scaled * (np.ones(len(y)) if is_linear else spread)[:, None]
        shrink = alpha / (1.0 + (size - 1.0) * alpha)
        total = np.zeros((len(size), p))
        np.add.at(total, index, slopes)
        bread = (slopes.T @ slopes - (total * shrink[:, None]).T @ total) / (1.0 - alpha)
        own = np.zeros((len(size), p))
        np.add.at(own, index, slopes * residual[:, None])
        scores = (own - total * (shrink * sums)[:, None]) / (1.0 - alpha)
        meat = scores.T @ scores
        step = np.linalg.solve(bread, scores.sum(axis=0))
        b = b + step
        if float(np.max(np.abs(step))) < 1e-11 * (1.0 + float(np.max(np.abs(b)))):
            break
    inverse = np.linalg.inv(bread)
    kind = "linear" if is_linear else "logistic"
    return GeeFit(
        coefficients=back @ b,
        covariance=back @ (inverse @ meat @ inverse) @ back.T,
        log_likelihood=float("nan"),
        is_separated=False,
        method=f"{kind} GEE, exchangeable correlation, robust covariance",
        correlation=alpha,
    )
