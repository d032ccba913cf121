"""How far uncertain inputs move the window and the doses of a plan, by drawing the inputs many times.

Drawn are the tumours' uptake against normal liver, the lung shunt and the volumes, each around the value that was
measured. The error of predicting 90Y from 99mTc-MAA is added only where one is given, under its own name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..dosimetry.compartments import ALL_TUMOURS
from ..errors import InputError
from .criteria import Criterion
from .goals import LUNG_ACTIVITY, LUNGS
from .patient import PERFUSED, TUMOUR, PlanInputs, perfused_name

PERCENTILES = (5.0, 50.0, 95.0)


@dataclass(frozen=True)
class PredictionError:
    """How 90Y doses came out against those predicted from MAA, as delivered over predicted.

    Parameters
    ----------
    name : str
        Whose comparison it is; printed wherever it is used.
    tumour_ratio, normal_ratio : float
        Geometric mean.
    tumour_log_sd, normal_log_sd : float
        Standard deviation of its natural logarithm.
    """

    name: str
    tumour_ratio: float = 1.0
    tumour_log_sd: float = 0.0
    normal_ratio: float = 1.0
    normal_log_sd: float = 0.0

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InputError("prediction error", "it has no name", "Say whose comparison it is", "uncertainty")
        for name in ("tumour_ratio", "normal_ratio"):
            if not 0.05 <= getattr(self, name) <= 20.0:
                raise InputError(
                    f"prediction error, {name}", f"got {getattr(self, name):g}", "Give delivered/predicted"
                )
        for name in ("tumour_log_sd", "normal_log_sd"):
            if not 0.0 <= getattr(self, name) <= 2.0:
                raise InputError(
                    f"prediction error, {name}", f"expected 0 to 2, got {getattr(self, name):g}", "Correct it"
                )


def prediction_error_of(
    name: str, tumour_ratios: Sequence[float], normal_ratios: Sequence[float] = ()
) -> PredictionError:
    """The error of a concordance: from delivered over predicted mean doses of its tumours and normal livers.

    Parameters
    ----------
    name : str
        Whose comparison; the numbers of ratios are added.
    tumour_ratios, normal_ratios : sequence of float
        At least three of each that is used; an empty one adds no error.
    """

    def figures(ratios: Sequence[float], what: str) -> tuple[float, float]:
        if len(ratios) == 0:
            return 1.0, 0.0
        if len(ratios) < 3 or not all(ratio > 0.0 and math.isfinite(ratio) for ratio in ratios):
            raise InputError(
                f"prediction error, {what}",
                f"expected at least 3 ratios above 0, got {len(ratios)}",
                "Compare more patients, or leave it out",
                "uncertainty",
            )
        logs = np.log(np.array(ratios, dtype=float))
        return float(np.exp(logs.mean())), float(logs.std(ddof=1))

    tumour, normal = figures(tumour_ratios, "tumours"), figures(normal_ratios, "normal liver")
    counted = f"{name} ({len(tumour_ratios)} tumours, {len(normal_ratios)} normal livers)"
    return PredictionError(counted, *tumour, *normal)


@dataclass(frozen=True)
class Uncertainty:
    """Standard deviations of the inputs.

    Parameters
    ----------
    tumour_to_normal_relative_sd : float
        Of each tumour's uptake against normal liver; 0.2 is 20 %.
    lung_shunt_relative_sd : float
    volume_relative_sd : float
        Of each tumour's volume and of normal liver's.
    prediction_error : PredictionError or None
        None: none is added.
    draws : int
    seed : int
    """

    tumour_to_normal_relative_sd: float = 0.0
    lung_shunt_relative_sd: float = 0.0
    volume_relative_sd: float = 0.0
    prediction_error: PredictionError | None = None
    draws: int = 200
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("tumour_to_normal_relative_sd", "lung_shunt_relative_sd", "volume_relative_sd"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(
                    f"uncertainty, {name}",
                    f"expected 0 to 1, got {getattr(self, name):g}",
                    "Write 20 % as 0.2",
                    "uncertainty",
                )
        if not 20 <= self.draws <= 20000:
            raise InputError("uncertainty, draws", f"expected 20 to 20000, got {self.draws}", "Write 200")

    def words(self) -> str:
        """What is varied."""
        parts = [
            f"{word} {100.0 * value:g} %"
            for word, value in (
                ("T/N", self.tumour_to_normal_relative_sd),
                ("lung shunt", self.lung_shunt_relative_sd),
                ("volumes", self.volume_relative_sd),
            )
            if value > 0.0
        ]
        if self.prediction_error is not None:
            error = self.prediction_error
            parts.append(
                f"MAA to 90Y after {error.name} (tumour {error.tumour_ratio:g} × e^±{error.tumour_log_sd:g}, "
                f"normal liver {error.normal_ratio:g} × e^±{error.normal_log_sd:g})"
            )
        else:
            parts.append("no error of MAA against 90Y")
        return ", ".join(parts)


@dataclass(frozen=True)
class Band:
    """5th, 50th and 95th percentile of a figure."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class WindowBand:
    """Where the ends of a window lie.

    ``low_gbq`` or ``high_gbq`` is None where no goal, or no limit, acts on this injection.
    """

    injection: int
    low_gbq: Band | None
    high_gbq: Band | None
    open_share: float


@dataclass(frozen=True)
class CriterionBand:
    """A figure at given activities, and the share of draws in which its bound is kept."""

    criterion: Criterion
    value: Band
    met_share: float


@dataclass(frozen=True, eq=False)
class Draws:
    """How each draw changes the dose per activity of each criterion.

    Parameters
    ----------
    criteria : tuple of Criterion
        Those that can be scaled.
    factors : tuple of ndarray of shape (draws, injections)
        Of each criterion: a figure of a draw is the figure at activities times its factors.
    left_out : tuple of Criterion
        Figures that need the voxels of two injections at once.
    """

    criteria: tuple[Criterion, ...]
    factors: tuple[np.ndarray, ...]
    left_out: tuple[Criterion, ...]


def _log_normal(rng: np.random.Generator, relative_sd: float, *shape: int) -> np.ndarray:
    """Factors with median 1 and this relative standard deviation, which stay above 0."""
    return np.exp(rng.normal(0.0, math.sqrt(math.log1p(relative_sd**2)), shape))


def draw(inputs: PlanInputs, criteria: Sequence[Criterion], uncertainty: Uncertainty) -> Draws:
    """Draw the inputs many times.

    A figure scales with its region's mean: a D70 follows the uptake of its tumour, not the change of its shape.
    """
    rng = np.random.default_rng(uncertainty.seed)
    number = uncertainty.draws
    tumours = inputs.of_kind(TUMOUR)
    counts = np.array([t.counts for t in tumours]).reshape(len(tumours), len(inputs.injections))
    total = np.array(inputs.territory_counts)
    rest = np.maximum(total - counts.sum(axis=0), 0.0)
    shunts = np.array([injection.lung_shunt_fraction for injection in inputs.injections])
    uptake = _log_normal(rng, uncertainty.tumour_to_normal_relative_sd, number, len(tumours))
    size = _log_normal(rng, uncertainty.volume_relative_sd, number, len(tumours))
    normal_size = _log_normal(rng, uncertainty.volume_relative_sd, number, 1)
    shunt = np.minimum(shunts * _log_normal(rng, uncertainty.lung_shunt_relative_sd, number, 1), 0.999)
    error = uncertainty.prediction_error or PredictionError("none")
    tumour_error = error.tumour_ratio * np.exp(rng.normal(0.0, error.tumour_log_sd, (number, len(tumours))))
    normal_error = error.normal_ratio * np.exp(rng.normal(0.0, error.normal_log_sd, (number, 1)))
    # Activity that stays in the liver, and what one count's share of it becomes.
    kept = (1.0 - shunt) / (1.0 - shunts)
    tumour_counts = (uptake * size) @ counts
    per_count = kept * total / (tumour_counts + rest * normal_size)
    factors = {t.name: per_count * (uptake * tumour_error)[:, [n]] for n, t in enumerate(tumours)}
    masses = np.array([tumour.mass_g for tumour in tumours])
    if tumours:
        grown = (size @ masses / masses.sum())[:, None]
        error_of_all = (tumour_error @ masses / masses.sum())[:, None]
        all_counts = np.where(counts.sum(axis=0) > 0.0, counts.sum(axis=0), 1.0)
        factors[ALL_TUMOURS] = per_count * tumour_counts / all_counts / grown * error_of_all
    for region in inputs.of_kind(PERFUSED):
        # All activity of a territory stays in it: its mean follows lung shunt and mass alone.
        place = [perfused_name(injection.territory) for injection in inputs.injections].index(region.name)
        inside = np.array([t.mass_inside_g[place] if t.mass_inside_g else 0.0 for t in tumours])
        normal_g = max(region.mass_g - float(inside.sum()), 0.0)
        mass = (size @ inside if tumours else 0.0) + normal_g * normal_size[:, 0]
        factors[region.name] = kept * (float(inside.sum()) + normal_g) / mass[:, None]
    # Normal liver: counts and mass grow alike, so its dose follows the shared-out activity alone.
    of_normal = per_count * normal_error
    of_lungs = np.where(shunts > 0.0, shunt / np.where(shunts > 0.0, shunts, 1.0), 1.0)

    def factor_of(criterion: Criterion) -> np.ndarray:
        if criterion.goal.volume in (LUNGS, LUNG_ACTIVITY):
            return of_lungs
        return factors.get(criterion.region, of_normal)

    scaled = [c for c in criteria if c.response.rate_gy_per_gbq is None]
    return Draws(
        tuple(scaled),
        tuple(factor_of(c) for c in scaled),
        tuple(c for c in criteria if c.response.rate_gy_per_gbq is not None),
    )


def _values(criterion: Criterion, activities: np.ndarray) -> np.ndarray:
    """A figure at activities of shape (draws, injections)."""
    response = criterion.response
    values = response.offset + activities @ response.linear
    if response.quadratic is not None:
        values = values + np.einsum("si,ij,sj->s", activities, response.quadratic, activities)
    return values


def _reaching(criterion: Criterion, factor: np.ndarray, injection: int, others_gbq: np.ndarray) -> np.ndarray:
    """As ``Response.activity_reaching``, of every draw; -1 where a limit is broken without any."""
    base = factor * others_gbq
    missing = criterion.bound - _values(criterion, base)
    slope = np.full(len(base), criterion.response.linear[injection])
    square = 0.0
    if criterion.response.quadratic is not None:
        slope = slope + 2.0 * base @ criterion.response.quadratic[injection]
        square = float(criterion.response.quadratic[injection, injection])
    safe = np.where(slope > 0.0, slope, 1.0)
    need = np.maximum(missing, 0.0)
    at = 2.0 * need / (safe + np.sqrt(safe**2 + 4.0 * square * need)) / factor[:, injection]
    at = np.where(slope > 0.0, at, np.where(need > 0.0, np.inf, 0.0))
    if not criterion.is_goal:
        at = np.where(missing < 0.0, -1.0, np.where(slope > 0.0, at, np.inf))
    return at


def window_band(draws: Draws, injection: int, others_gbq: np.ndarray | None = None) -> WindowBand:
    """Band of a window's ends; infinite ends (a goal out of reach) count as such in the percentiles."""
    number = len(draws.factors[0]) if draws.factors else 1
    low, high = np.zeros(number), np.full(number, np.inf)
    for criterion, factor in zip(draws.criteria, draws.factors, strict=True):
        if criterion.advisory:
            continue
        others = np.zeros(factor.shape[1]) if others_gbq is None else np.array(others_gbq, dtype=float)
        others[injection] = 0.0
        feeds = injection in criterion.response.feeding or not criterion.response.feeding
        if criterion.is_goal and feeds:
            low = np.maximum(low, _reaching(criterion, factor, injection, others))
        elif not criterion.is_goal:
            high = np.minimum(high, _reaching(criterion, factor, injection, others))
    return WindowBand(
        injection,
        _band(low) if np.any(low > 0.0) else None,
        _band(high) if np.any(np.isfinite(high)) else None,
        float(np.mean(np.isfinite(low) & (low <= high))),
    )


def criterion_bands(draws: Draws, activity_gbq: np.ndarray) -> list[CriterionBand]:
    """Band of every figure at given activities."""
    found = []
    for criterion, factor in zip(draws.criteria, draws.factors, strict=True):
        values = _values(criterion, factor * activity_gbq)
        met = values >= criterion.bound if criterion.is_goal else values <= criterion.bound
        found.append(CriterionBand(criterion, _band(values), float(met.mean())))
    return found


def _band(values: np.ndarray) -> Band:
    # No interpolation: between a finite and an infinite value there is nothing to take.
    low, middle, high = np.percentile(values, PERCENTILES, method="nearest")
    return Band(float(low), float(middle), float(high))
