"""Logistic regression with a random intercept per patient, by adaptive Gauss-Hermite quadrature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .logistic import LogisticFit, _standardized, expit, fit_logistic, require_both

NODES = 15
_SMALLEST_SD = 1e-6


@dataclass(frozen=True, eq=False)
class RandomInterceptFit(LogisticFit):
    """As a logistic fit, conditional on the patient; ``patient_sd`` is that of the intercepts on the logit scale."""

    patient_sd: float = 0.0
    p_no_clustering: float = 1.0


class _Marginal:
    """Log-likelihood with the intercepts integrated out; everything sorted by patient."""

    def __init__(self, design: np.ndarray, y: np.ndarray, clusters: np.ndarray, nodes: int) -> None:
        _, index = np.unique(clusters, return_inverse=True)
        order = np.argsort(index, kind="stable")
        self.design, self.y, self.index = design[order], y[order], index[order]
        self.starts = np.flatnonzero(np.diff(self.index, prepend=-1))
        self.nodes, weights = np.polynomial.hermite.hermgauss(nodes)
        self.log_weights = np.log(weights) + self.nodes**2
        self.u = np.zeros(len(self.starts))

    def _sum(self, values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, self.starts, axis=0)

    def _mode(self, eta: np.ndarray, sd: float) -> np.ndarray:
        """Mode of each patient's standardized intercept; returns the curvature there."""
        u = self.u
        for _ in range(100):
            mean = expit(eta + sd * u[self.index])
            gradient = sd * self._sum(self.y - mean) - u
            curvature = sd * sd * self._sum(mean * (1.0 - mean)) + 1.0
            step = gradient / curvature
            u = u + np.clip(step, -2.0, 2.0)
            if float(np.max(np.abs(step))) < 1e-10:
                break
        self.u = u
        mean = expit(eta + sd * u[self.index])
        return sd * sd * self._sum(mean * (1.0 - mean)) + 1.0

    def value(self, b: np.ndarray, sd: float) -> float:
        """Log-likelihood at coefficients and SD of the intercepts."""
        eta = self.design @ b
        width = 1.0 / np.sqrt(self._mode(eta, sd))
        points = self.u[:, None] + np.sqrt(2.0) * width[:, None] * self.nodes
        shifted = eta[:, None] + sd * points[self.index]
        inside = self._sum(self.y[:, None] * shifted - np.logaddexp(0.0, shifted)) - 0.5 * points**2 + self.log_weights
        top = inside.max(axis=1)
        integral = top + np.log(np.sum(np.exp(inside - top[:, None]), axis=1))
        return float(np.sum(integral + np.log(width) - 0.5 * np.log(np.pi)))


def fit_random_intercept(
    design: np.ndarray, y: np.ndarray, clusters: np.ndarray, nodes: int = NODES
) -> RandomInterceptFit:
    """Maximum likelihood of logit P = X b + u, u normal per patient (Pinheiro and Bates 1995).

    doi:10.1080/10618600.1995.10474663. The covariance comes from the numerical Hessian over coefficients and SD, as
    in R's lme4; where the SD is 0, over the coefficients alone.

    Parameters
    ----------
    design : ndarray of shape (n, p)
    y : ndarray of shape (n,)
    clusters : ndarray of shape (n,)
    nodes : int
        Quadrature points per patient.
    """
    from scipy.optimize import minimize
    from scipy.stats import chi2

    y = np.asarray(y, dtype=float)
    require_both(y, "random-intercept logistic regression")
    scaled, back = _standardized(design)
    plain = fit_logistic(scaled, y)
    marginal = _Marginal(scaled, y, clusters, nodes)

    def loss(parameters: np.ndarray) -> float:
        return -marginal.value(parameters[:-1], abs(float(parameters[-1])))

    best = None
    for sd in (0.5, 1.5):
        found = minimize(loss, np.append(plain.coefficients, sd), method="BFGS", options={"gtol": 1e-6, "maxiter": 300})
        if best is None or found.fun < best.fun - 1e-9:
            best = found
    assert best is not None
    sd = abs(float(best.x[-1]))
    value = -float(best.fun)
    is_boundary = value <= plain.log_likelihood + 1e-7 or sd < 1e-3
    if is_boundary:
        b, sd, value = plain.coefficients, 0.0, plain.log_likelihood
        covariance = plain.covariance
    else:
        b = best.x[:-1]
        hessian = _hessian(loss, np.append(b, sd))
        covariance = np.linalg.inv(hessian)[:-1, :-1]
    # At the boundary the likelihood ratio is a half-and-half mixture of chi-squares with 0 and 1 degrees of freedom.
    ratio = max(0.0, 2.0 * (value - plain.log_likelihood))
    p = 1.0 if ratio == 0.0 else 0.5 * float(chi2.sf(ratio, 1))
    return RandomInterceptFit(
        coefficients=back @ b,
        covariance=back @ covariance @ back.T,
        log_likelihood=value,
        is_separated=plain.is_separated,
        method=f"random-intercept logistic regression, adaptive Gauss-Hermite quadrature ({nodes} nodes)",
        patient_sd=sd,
        p_no_clustering=p,
    )


def _hessian(function, at: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Central differences with a step of 1e-3 of each parameter's scale."""
    n = len(at)
    step = 1e-3 * np.maximum(np.abs(at), 0.3)
    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(i, n):
            a, c = np.zeros(n), np.zeros(n)
            a[i], c[j] = step[i], step[j]
            plus = function(at + a + c) - function(at + a - c)
            minus = function(at - a + c) - function(at - a - c)
            hessian[i, j] = hessian[j, i] = (plus - minus) / (4.0 * step[i] * step[j])
    return hessian
