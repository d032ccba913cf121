"""Time to progression: Kaplan-Meier, Cox, competing death, and a landmark against immortal-time bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .cohort import Cohort, Patient
from .logistic import z_of

OVERALL, HEPATIC, TARGET = "overall", "hepatic", "target"
KINDS = {
    OVERALL: ("target", "new hepatic", "hepatic", "extrahepatic", "unspecified"),
    HEPATIC: ("target", "new hepatic", "hepatic"),
    TARGET: ("target",),
}
PROGRESSED, DIED, CENSORED = 1, 2, 0
# A time of 0 would leave the risk set before it begins: half a day.
_LEAST_MONTHS = 0.5 / 30.4375


@dataclass(frozen=True, eq=False)
class Times:
    """Months from the first treatment to what came first.

    Parameters
    ----------
    months : ndarray of shape (n,)
    status : ndarray of shape (n,)
        1 progressed, 2 died without, 0 censored at last contact or other therapy.
    patients : tuple of Patient
    """

    months: np.ndarray
    status: np.ndarray
    patients: tuple[Patient, ...]

    @property
    def is_event(self) -> np.ndarray:
        """Whether progressed."""
        return self.status == PROGRESSED


def times_to_progression(cohort: Cohort, endpoint: str) -> Times:
    """Time to progression of a kind; death and other therapy before it are no events.

    Parameters
    ----------
    cohort : Cohort
    endpoint : str
        overall, hepatic or target.
    """
    months, status, kept = [], [], []
    for patient in cohort.patients:
        events = [month for month, kind in patient.progressions if kind in KINDS[endpoint]]
        other = [month for month, kind in patient.other_events if kind != "biliary obstruction"]
        end = patient.last_month
        if patient.treated is None or (end is None and not events):
            continue
        first, last = min(events, default=np.inf), end if end is not None else np.inf
        stop = min(last, min(other, default=np.inf))
        if first <= stop:
            time, state = first, PROGRESSED
        elif stop == last and patient.death_month is not None:
            time, state = last, DIED
        else:
            time, state = stop, CENSORED
        months.append(max(float(time), _LEAST_MONTHS))
        status.append(state)
        kept.append(patient)
    if len(kept) < 2:
        raise InputError(
            "time to progression", f"{len(kept)} patients have a treatment and follow-up", "Add the dates", "few"
        )
    return Times(np.array(months), np.array(status), tuple(kept))


@dataclass(frozen=True, eq=False)
class Curve:
    """A step curve with its interval.

    Parameters
    ----------
    months, value, low, high : ndarray of shape (m,)
        From 0 on.
    at_risk : dict
        Month to number at risk.
    median, median_low, median_high : float or None
        None where not reached.
    """

    months: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_risk: dict[int, int]
    median: float | None = None
    median_low: float | None = None
    median_high: float | None = None

    def document(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "months": self.months,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "at_risk": self.at_risk,
            "median_months": self.median,
            "median_low_months": self.median_low,
            "median_high_months": self.median_high,
        }


def kaplan_meier(months: np.ndarray, is_event: np.ndarray, confidence: float = 0.95) -> Curve:
    """Kaplan-Meier with log-minus-log interval, by lifelines."""
    _require_lifelines()
    from lifelines import KaplanMeierFitter
    from lifelines.utils import median_survival_times

    fitter = KaplanMeierFitter(alpha=1.0 - confidence).fit(months, is_event)
    bounds = fitter.confidence_interval_survival_function_
    median = float(fitter.median_survival_time_)
    median_bounds = median_survival_times(bounds).to_numpy().ravel()
    at_risk = {int(m): int(np.sum(months >= m)) for m in _ticks(float(months.max()))}
    return Curve(
        fitter.survival_function_.index.to_numpy(),
        fitter.survival_function_.to_numpy().ravel(),
        bounds.to_numpy()[:, 0],
        bounds.to_numpy()[:, 1],
        at_risk,
        _finite(median),
        _finite(float(median_bounds[0])),
        _finite(float(median_bounds[1])),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _ticks(longest: float) -> range:
    step = next((s for s in (3, 6, 12, 24) if longest / s <= 9), 36)
    return range(0, int(longest) + 1, step)


def cumulative_incidence(times: Times, cause: int, confidence: float = 0.95) -> Curve:
    """Aalen-Johansen estimate of one of two competing causes, with its delta-method variance.

    Marubini E, Valsecchi MG, Analysing Survival Data from Clinical Trials, Wiley 1995, ch. 10; the interval is made on
    the log-minus-log scale.
    """
    order = np.unique(times.months[times.status != CENSORED])
    survival, incidence = 1.0, 0.0
    steps: list[tuple[float, float, float, int, int, int]] = []
    for t in order:
        n = int(np.sum(times.months >= t))
        here = times.months == t
        d, own = int(np.sum(here & (times.status != CENSORED))), int(np.sum(here & (times.status == cause)))
        incidence += survival * own / n
        steps.append((float(t), incidence, survival, n, d, own))
        survival *= 1.0 - d / n
    month, i, s, n_at, d_at, own_at = (np.array(column) for column in zip(*steps, strict=True))
    errors = np.empty(len(order))
    for k in range(len(order)):
        rise = i[k] - i[: k + 1]
        nk, dk, ok, sk = n_at[: k + 1], d_at[: k + 1], own_at[: k + 1], s[: k + 1]
        left = np.where(nk > dk, nk * (nk - dk), np.inf)
        variance = (
            np.sum(rise**2 * dk / left)
            + np.sum(sk**2 * ok * (nk - ok) / nk**3.0)
            - 2.0 * np.sum(rise * sk * ok / nk**2.0)
        )
        errors[k] = np.sqrt(max(variance, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where((i > 0) & (i < 1), z_of(confidence) * errors / np.abs((1.0 - i) * np.log1p(-i)), 0.0)
        low, high = 1.0 - (1.0 - i) ** np.exp(-spread), 1.0 - (1.0 - i) ** np.exp(spread)
    at_risk = {int(m): int(np.sum(times.months >= m)) for m in _ticks(float(times.months.max()))}
    start = np.zeros(1)
    return Curve(np.append(start, month), np.append(start, i), np.append(start, low), np.append(start, high), at_risk)


@dataclass(frozen=True)
class Hazard:
    """A Cox model's coefficient.

    Parameters
    ----------
    coefficient, standard_error : float
        Of the log hazard per unit.
    ratio, low, high, p : float
    p_proportional : float or None
        Of hazards being proportional (scaled Schoenfeld residuals against rank of time).
    n, events : int
    """

    coefficient: float
    standard_error: float
    ratio: float
    low: float
    high: float
    p: float
    p_proportional: float | None
    n: int
    events: int


def cox(
    months: np.ndarray,
    is_event: np.ndarray,
    covariates: dict[str, np.ndarray],
    confidence: float = 0.95,
    clusters: np.ndarray | None = None,
) -> dict[str, Hazard]:
    """Cox regression with Efron's ties, by lifelines; robust covariance with clusters."""
    _require_lifelines()
    import warnings

    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError
    from lifelines.statistics import proportional_hazard_test

    data = pd.DataFrame({"months": months, "event": is_event.astype(int), **covariates})
    options = {}
    if clusters is not None:
        data["cluster"] = clusters
        options["cluster_col"] = "cluster"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitter = CoxPHFitter(alpha=1.0 - confidence).fit(data, "months", "event", **options)
        except (ConvergenceError, np.linalg.LinAlgError, ValueError):
            raise InputError(
                "Cox regression", "it does not converge", "Look for a covariate without spread", "no-fit"
            ) from None
        try:
            test = proportional_hazard_test(fitter, data, time_transform="rank").summary
        except (ValueError, np.linalg.LinAlgError, KeyError):
            test = None
    found = {}
    for name in covariates:
        row = fitter.summary.loc[name]
        found[name] = Hazard(
            float(row["coef"]),
            float(row["se(coef)"]),
            float(row["exp(coef)"]),
            float(row[f"exp(coef) lower {100 * confidence:g}%"]),
            float(row[f"exp(coef) upper {100 * confidence:g}%"]),
            float(row["p"]),
            float(test.loc[name, "p"]) if test is not None else None,
            len(months),
            int(is_event.sum()),
        )
    return found


def log_rank(months: np.ndarray, is_event: np.ndarray, groups: np.ndarray) -> float:
    """p of the log-rank test over groups."""
    _require_lifelines()
    from lifelines.statistics import multivariate_logrank_test

    return float(multivariate_logrank_test(months, groups, is_event).p_value)


def _require_lifelines() -> None:
    import importlib.util

    if importlib.util.find_spec("lifelines") is None:
        raise InputError(
            "time to progression", "lifelines is not installed", 'Install it: pip install "tarecomet[study]"', "package"
        )
