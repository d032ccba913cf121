"""What an optimum is sought for: goals to drive, goals to meet, limits to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..dosimetry.compartments import WHOLE_NORMAL
from ..errors import InputError
from .criteria import Criterion
from .goals import ALL_TUMOURS, TUMOUR
from .patient import PlanInputs

_SEARCH_STEPS = 60


@dataclass(frozen=True, eq=False)
class Problem:
    """Goals, limits and the normal-liver dose of one patient.

    Parameters
    ----------
    goals : tuple of Criterion
        Of tumours: driven as far as can be.
    limits : tuple of Criterion
    normal : ndarray of shape (injections,)
        Mean dose of whole normal liver in Gy per GBq.
    others : tuple of Criterion
        Goals on other volumes: to be met, not more.
    floors : tuple of Criterion
        Goals that must hold as limits do.
    """

    goals: tuple[Criterion, ...]
    limits: tuple[Criterion, ...]
    normal: np.ndarray
    others: tuple[Criterion, ...] = ()
    floors: tuple[Criterion, ...] = ()

    @property
    def judged(self) -> tuple[Criterion, ...]:
        """The goals whose least margin is looked at."""
        return self.goals or self.others

    @property
    def _all(self) -> tuple[Criterion, ...]:
        return (*self.goals, *self.limits, *self.others, *self.floors)

    @property
    def is_linear(self) -> bool:
        """Whether every figure is a weighted sum."""
        return all(c.response.is_linear for c in self._all)

    @property
    def is_single(self) -> bool:
        """Whether every figure that is not a weighted sum depends on one injection."""
        return all(c.response.is_linear or len(c.response.feeding) == 1 for c in self._all)


def make_problem(inputs: PlanInputs, criteria: Sequence[Criterion]) -> Problem:
    """What the optimum is sought for.

    Raises
    ------
    InputError
        Where there is no goal that activity can move, nothing limits an activity that a goal asks for, or earlier
        treatments already broke a limit.
    """
    binding = [c for c in criteria if not c.advisory]
    goals = tuple(c for c in binding if c.is_goal and c.response.feeding)
    limits = tuple(c for c in binding if not c.is_goal)
    if not goals:
        raise InputError(
            "plan", "there is no goal for a target tumour", "Choose target tumours and give a goal", "goal"
        )
    nothing = np.zeros(len(inputs.injections))
    for limit in limits:
        if limit.margin(nothing) < 0.0:
            raise InputError(
                "plan",
                f"{limit.words()} is exceeded by {-limit.margin(nothing):.4g} {limit.goal.unit} without any activity",
                "Look at the earlier treatments and the limit",
                "limit-used-up",
            )
    held = {n for limit in limits for n in limit.response.feeding}
    for goal in goals:
        loose = [inputs.injections[n].name for n in goal.response.feeding if n not in held]
        if loose:
            raise InputError(
                f'planned injection "{loose[0]}"',
                "no limit bounds its activity, so the best dose is without end",
                "Give a limit for normal liver or lungs",
                "no-limit",
            )
    normal = nothing
    if inputs.has(WHOLE_NORMAL):
        normal = inputs.rates_gy_per_gbq(inputs.region(WHOLE_NORMAL))
    driven = tuple(goal for goal in goals if goal.goal.volume in (TUMOUR, ALL_TUMOURS))
    others = tuple(goal for goal in goals if goal not in driven)
    return Problem(driven, limits, normal, others)


def condensed(problem: Problem) -> Problem:
    """The problem with alike voxels taken together, to search in; what is found is judged by all voxels."""
    return replace(
        problem,
        goals=tuple(replace(goal, response=goal.response.condensed()) for goal in problem.goals),
        limits=tuple(replace(limit, response=limit.response.condensed()) for limit in problem.limits),
        others=tuple(replace(goal, response=goal.response.condensed()) for goal in problem.others),
    )


def keep_inside(activity: np.ndarray, problem: Problem) -> np.ndarray:
    """The activities, drawn in evenly until every limit holds."""
    return draw_inside(activity, problem, None)


def draw_inside(activity: np.ndarray, problem: Problem, normal_at_most_gy: float | None) -> np.ndarray:
    """The activities, drawn in by the solver's rounding so that every limit holds to the last digit but a few."""
    activity = np.maximum(activity, 0.0)
    broken = [limit for limit in problem.limits if limit.margin(activity) < 0.0]
    over_normal = normal_at_most_gy is not None and float(problem.normal @ activity) > normal_at_most_gy
    if not broken and not over_normal:
        return activity
    low, high = 0.0, 1.0
    for _ in range(_SEARCH_STEPS):
        middle = 0.5 * (low + high)
        trial = middle * activity
        fine = all(limit.margin(trial) >= 0.0 for limit in broken) and (
            normal_at_most_gy is None or float(problem.normal @ trial) <= normal_at_most_gy
        )
        low, high = (middle, high) if fine else (low, middle)
    return low * activity
