"""Logistic regression: by maximum likelihood, with model, cluster-robust or Firth-corrected inference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError

_MOST_STEPS, _TOLERANCE = 60, 1e-10
_SEPARATED_ABOVE = 1e4


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """Coefficients of logit P = X b.

    Parameters
    ----------
    coefficients : ndarray of shape (p,)
    covariance : ndarray of shape (p, p)
    log_likelihood : float
    is_separated : bool
        The estimate runs to infinity: use Firth's.
    method : str
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    is_separated: bool
    method: str

    @property
    def standard_errors(self) -> np.ndarray:
        """Of the coefficients."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def probability(self, design: np.ndarray) -> np.ndarray:
        """P at rows of a design."""
        return expit(design @ self.coefficients)

    def band(self, design: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Wald bounds of P, made on the logit scale."""
        eta = design @ self.coefficients
        half = z * np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", design, self.covariance, design), 0.0))
        return expit(eta - half), expit(eta + half)


def expit(x: np.ndarray) -> np.ndarray:
    """Logistic function without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(x, dtype=float)))


def z_of(confidence: float) -> float:
    """Two-sided normal quantile."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence / 2.0))


def design_of(*columns: np.ndarray) -> np.ndarray:
    """Intercept and columns."""
    return np.column_stack([np.ones(len(columns[0])), *columns])


def require_both(y: np.ndarray, where: str) -> None:
    """Refuse an outcome that is the same in everybody."""
    events = int(np.sum(y))
    if events == 0 or events == len(y):
        raise InputError(
            where, f"{events} of {len(y)} have the outcome", "Nothing can be fitted to one kind alone", "one-kind"
        )


def _log_likelihood(eta: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sum(weights * (y * eta - np.logaddexp(0.0, eta))))


def fit_weighted(design: np.ndarray, y: np.ndarray, weights: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Coefficients alone, by Newton with step halving; for resampling."""
    b = np.zeros(design.shape[1]) if start is None else start.copy()
    eta = design @ b
    best = _log_likelihood(eta, y, weights)
    for _ in range(_MOST_STEPS):
        mean = expit(eta)
        score = design.T @ (weights * (y - mean))
        information = (design * (weights * mean * (1.0 - mean))[:, None]).T @ design
        try:
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            break
        share = 1.0
        while share > 1e-4:
            trial = b + share * step
            trial_eta = design @ trial
            value = _log_likelihood(trial_eta, y, weights)
            if value >= best - 1e-12 * abs(best):
                break
            share *= 0.5
        b, eta, best = trial, trial_eta, value
        if (
            float(np.max(np.abs(share * step))) < _TOLERANCE * (1.0 + float(np.max(np.abs(b))))
            or np.max(np.abs(eta)) > 35.0
        ):
            break
    return b


def fit_logistic(design: np.ndarray, y: np.ndarray, clusters: np.ndarray | None = None) -> LogisticFit:
    """Maximum likelihood; with clusters, the sandwich of an independence GEE (Liang and Zeger 1986).

    Parameters
    ----------
    design : ndarray of shape (n, p)
        With its column of ones.
    y : ndarray of shape (n,)
        0 or 1.
    clusters : ndarray of shape (n,), optional
        What belongs together: a patient's tumours. The sandwich has no small-sample factor, as in R's geepack.
    """
    y = np.asarray(y, dtype=float)
    require_both(y, "logistic regression")
    weights = np.ones(len(y))
    # Steps are taken on standardized columns: doses and volumes differ by orders of magnitude.
    scaled, back = _standardized(design)
    b = fit_weighted(scaled, y, weights)
    eta = scaled @ b
    mean = expit(eta)
    information = (scaled * (mean * (1.0 - mean))[:, None]).T @ scaled
    is_separated = _is_separated(information, eta, y)
    inverse = np.linalg.pinv(information)
    if clusters is not None:
        _, index = np.unique(clusters, return_inverse=True)
        scores = np.zeros((index.max() + 1, design.shape[1]))
        np.add.at(scores, index, scaled * (y - mean)[:, None])
        covariance = inverse @ (scores.T @ scores) @ inverse
        method = "logistic regression, independence GEE with cluster-robust covariance"
    else:
        covariance, method = inverse, "logistic regression, maximum likelihood"
    return LogisticFit(back @ b, back @ covariance @ back.T, _log_likelihood(eta, y, weights), is_separated, method)


def _standardized(design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Design with centered, scaled columns, and the matrix that takes its coefficients back."""
    p = design.shape[1]
    back = np.eye(p)
    scaled = design.astype(float).copy()
    for column in range(1, p):
        center, scale = float(design[:, column].mean()), float(design[:, column].std()) or 1.0
        scaled[:, column] = (design[:, column] - center) / scale
        back[column, column] = 1.0 / scale
        back[0, column] = -center / scale
    return scaled, back


def _is_separated(information: np.ndarray, eta: np.ndarray, y: np.ndarray) -> bool:
    """Complete or quasi-complete separation: the fit runs away."""
    if np.all((eta > 0.0) == (y > 0.5)):
        return True
    return bool(np.max(np.abs(eta)) > 30.0 or np.linalg.cond(information) > _SEPARATED_ABOVE**2)


def fit_firth(design: np.ndarray, y: np.ndarray) -> LogisticFit:
    """Firth's penalized likelihood: finite also where groups are separated.

    Firth D, Biometrika 1993;80:27-38, doi:10.1093/biomet/80.1.27. The covariance is the inverse of the Fisher
    information at the estimate.
    """
    y = np.asarray(y, dtype=float)
    require_both(y, "Firth's logistic regression")
    scaled, back = _standardized(design)
    b, information = _firth(scaled, y, np.ones(design.shape[1], dtype=bool), np.zeros(design.shape[1]))
    value = _penalized(scaled, y, b)
    covariance = back @ np.linalg.inv(information) @ back.T
    return LogisticFit(back @ b, covariance, value, False, "logistic regression, Firth's penalized likelihood")


def _penalized(design: np.ndarray, y: np.ndarray, b: np.ndarray) -> float:
    eta = design @ b
    mean = expit(eta)
    information = (design * (mean * (1.0 - mean))[:, None]).T @ design
    sign, determinant = np.linalg.slogdet(information)
    return _log_likelihood(eta, y, np.ones(len(y))) + (0.5 * determinant if sign > 0 else -np.inf)


def _firth(design: np.ndarray, y: np.ndarray, free: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton on the modified score for the free coefficients."""
    b = b.copy()
    value = _penalized(design, y, b)
    information = np.eye(design.shape[1])
    for _ in range(200):
        mean = expit(design @ b)
        w = mean * (1.0 - mean)
        information = (design * w[:, None]).T @ design
        root = design * np.sqrt(w)[:, None]
        leverage = np.einsum("ij,jk,ik->i", root, np.linalg.pinv(information), root)
        score = design.T @ (y - mean + leverage * (0.5 - mean))
        step = np.zeros_like(b)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], score[free])
        step *= min(1.0, 5.0 / max(float(np.max(np.abs(step))), 1e-300))
        share = 1.0
        while _penalized(design, y, b + share * step) < value - 1e-12 and share > 1e-4:
            share *= 0.5
        b = b + share * step
        value = _penalized(design, y, b)
        if float(np.max(np.abs(step))) < 1e-10:
            break
    mean = expit(design @ b)
    return b, (design * (mean * (1.0 - mean))[:, None]).T @ design


def firth_interval(design: np.ndarray, y: np.ndarray, column: int, confidence: float) -> tuple[float, float, float]:
    """Profile penalized-likelihood interval of a coefficient and the p of it being 0 (Heinze and Schemper 2002).

    doi:10.1002/sim.1047.
    """
    from scipy.optimize import brentq
    from scipy.stats import chi2

    y = np.asarray(y, dtype=float)
    scaled, back = _standardized(design)
    every = np.ones(design.shape[1], dtype=bool)
    best, information = _firth(scaled, y, every, np.zeros(design.shape[1]))
    top = _penalized(scaled, y, best)
    free = every.copy()
    free[column] = False
    error = float(np.sqrt(np.linalg.inv(information)[column, column]))

    def drop(value: float) -> float:
        start = best.copy()
        start[column] = value
        b, _ = _firth(scaled, y, free, start)
        return 2.0 * (top - _penalized(scaled, y, b))

    limit = float(chi2.ppf(confidence, 1))
    bounds = []
    for sign in (-1.0, 1.0):
        far = best[column] + sign * 2.0 * error
        while drop(far) < limit and abs(far - best[column]) < 60.0 * error:
            far += sign * error
        bounds.append(
            brentq(lambda v: drop(v) - limit, best[column], far, xtol=1e-8) if drop(far) >= limit else sign * np.inf
        )
    scale = back[column, column]
    return bounds[0] * scale, bounds[1] * scale, float(chi2.sf(drop(0.0), 1))
