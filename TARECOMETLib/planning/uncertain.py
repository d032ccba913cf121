"""How far uncertain inputs move the window and the doses of a plan, by drawing the inputs many times.

Drawn are the tumours' uptake against normal liver, the lung shunt and the volumes, each around the value that was
measured. The error of predicting 90Y from 99mTc-MAA is added only where one is given, under its own name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..dosimetry.compartments import ALL_TUMOURS
from ..errors import InputError
from .criteria import Criterion
from .goals import LUNG_ACTIVITY, LUNGS, RESERVE
from .patient import PERFUSED, TUMOUR, PlanInputs, perfused_name
from .response import Response
from .window import feasible_window

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
    """Criteria of each draw, in the order of those they were drawn from, and those that could not be scaled."""

    criteria: tuple[Criterion, ...]
    drawn: tuple[tuple[Criterion, ...], ...]
    left_out: tuple[Criterion, ...]


def _log_normal(rng: np.random.Generator, relative_sd: float, count: int) -> np.ndarray:
    """Factors with median 1 and this relative standard deviation, which stay above 0."""
    return np.exp(rng.normal(0.0, math.sqrt(math.log1p(relative_sd**2)), count))


def draw(inputs: PlanInputs, criteria: Sequence[Criterion], uncertainty: Uncertainty) -> Draws:
    """Criteria as they would be with other inputs.

    A figure scales with its region's mean: a D70 follows the uptake of its tumour, not the change of its shape.
    Figures that need the voxels of two injections at once are left out.
    """
    rng = np.random.default_rng(uncertainty.seed)
    kept = [c for c in criteria if c.response.rate_gy_per_gbq is None]
    tumours = inputs.of_kind(TUMOUR)
    counts = np.array([t.counts for t in tumours]).reshape(len(tumours), len(inputs.injections))
    total = np.array(inputs.territory_counts)
    rest = np.maximum(total - counts.sum(axis=0), 0.0)
    shunts = np.array([injection.lung_shunt_fraction for injection in inputs.injections])
    names = [tumour.name for tumour in tumours]
    masses = np.array([tumour.mass_g for tumour in tumours])
    drawn = []
    for _ in range(uncertainty.draws):
        uptake = _log_normal(rng, uncertainty.tumour_to_normal_relative_sd, len(tumours))
        size = _log_normal(rng, uncertainty.volume_relative_sd, len(tumours))
        normal_size = float(_log_normal(rng, uncertainty.volume_relative_sd, 1)[0])
        shunt = np.minimum(shunts * _log_normal(rng, uncertainty.lung_shunt_relative_sd, 1)[0], 0.999)
        tumour_error, normal_error = _errors(rng, uncertainty.prediction_error, len(tumours))
        now = counts * (uptake * size)[:, None]
        per_share = (1.0 - shunt) / (1.0 - shunts) * total / (now.sum(axis=0) + rest * normal_size)
        # Normal liver: counts and mass grow alike, so its dose follows the shared-out activity alone.
        of_normal = per_share * normal_error
        factors = {name: per_share * uptake[n] * tumour_error[n] for n, name in enumerate(names)}
        held = now.sum(axis=0) * per_share / np.maximum(counts.sum(axis=0), 1e-300)
        mean_error = float(np.average(tumour_error, weights=masses)) if len(tumours) else 1.0
        grown = float((masses * size).sum() / masses.sum()) if len(tumours) else 1.0
        factors[ALL_TUMOURS] = held / grown * mean_error
        of_lungs = np.where(shunts > 0.0, shunt / np.where(shunts > 0.0, shunts, 1.0), 1.0)
        perfused = _perfused_factors(inputs, shunt, shunts, normal_size, grown)
        drawn.append(tuple(_scaled(c, factors, of_normal, of_lungs, perfused) for c in kept))
    return Draws(tuple(kept), tuple(drawn), tuple(c for c in criteria if c.response.rate_gy_per_gbq is not None))


def _errors(rng: np.random.Generator, error: PredictionError | None, tumours: int) -> tuple[np.ndarray, float]:
    if error is None:
        return np.ones(tumours), 1.0
    of_tumours = error.tumour_ratio * np.exp(rng.normal(0.0, error.tumour_log_sd, tumours))
    return of_tumours, float(error.normal_ratio * np.exp(rng.normal(0.0, error.normal_log_sd)))


def _perfused_factors(
    inputs: PlanInputs, shunt: np.ndarray, shunts: np.ndarray, normal_size: float, grown: float
) -> dict[str, np.ndarray]:
    """All activity of a territory stays in it: its mean follows shunt and mass alone."""
    factors = {}
    territories = [perfused_name(injection.territory) for injection in inputs.injections]
    for region in inputs.of_kind(PERFUSED):
        number = territories.index(region.name)
        inside = [t.mass_inside_g[number] for t in inputs.of_kind(TUMOUR) if t.mass_inside_g]
        share = min(sum(inside) / region.mass_g, 1.0)
        factors[region.name] = (1.0 - shunt) / (1.0 - shunts) / (share * grown + (1.0 - share) * normal_size)
    return factors


def _scaled(
    criterion: Criterion,
    factors: dict[str, np.ndarray],
    of_normal: np.ndarray,
    of_lungs: np.ndarray,
    perfused: dict[str, np.ndarray],
) -> Criterion:
    if criterion.goal.volume == RESERVE:
        return criterion
    if criterion.goal.volume in (LUNGS, LUNG_ACTIVITY):
        factor = of_lungs
    else:
        factor = factors.get(criterion.region, perfused.get(criterion.region, of_normal))
    response = criterion.response
    quadratic = None if response.quadratic is None else response.quadratic * np.outer(factor, factor)
    return replace(
        criterion,
        response=Response(
            response.linear * factor, response.offset, quadratic, metric=response.metric, exponent=response.exponent
        ),
    )


def window_band(draws: Draws, injection: int, others_gbq: np.ndarray | None = None) -> WindowBand:
    """Band of a window's ends; infinite ends (a goal out of reach) count as such in the percentiles."""
    windows = [feasible_window(criteria, injection, others_gbq) for criteria in draws.drawn]
    lows = np.array([w.low_gbq for w in windows])
    highs = np.array([w.high_gbq for w in windows])
    has_goal = any(w.binding_goal is not None for w in windows)
    has_limit = any(w.binding_limit is not None for w in windows)
    return WindowBand(
        injection,
        _band(lows) if has_goal else None,
        _band(highs) if has_limit else None,
        float(np.mean([w.is_open for w in windows])),
    )


def criterion_bands(draws: Draws, activity_gbq: np.ndarray) -> list[CriterionBand]:
    """Band of every figure at given activities."""
    found = []
    for number, criterion in enumerate(draws.criteria):
        values = np.array([criteria[number].response.value(activity_gbq) for criteria in draws.drawn])
        met = values >= criterion.bound if criterion.is_goal else values <= criterion.bound
        found.append(CriterionBand(criterion, _band(values), float(met.mean())))
    return found


def _band(values: np.ndarray) -> Band:
    # No interpolation: between a finite and an infinite value there is nothing to take.
    low, middle, high = np.percentile(values, PERCENTILES, method="nearest")
    return Band(float(low), float(middle), float(high))
