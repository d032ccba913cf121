"""Activities of several injections: the best worst margin over the target tumours, then the least normal-liver dose.

Order of the aims: (1) all limits hold, (2) goals on anything but tumours are met, or missed by as little as can be,
(3) the least margin of a tumour's goal over its bound is as large as can be, (4) with that, the mean dose of whole
normal liver is as small as can be, (5) with that, the activity. Only tumour doses are driven beyond their goals: a
perfused-dose goal without a tumour goal gives the least activity that meets it.

Doses are weighted sums of the activities, so means make a linear program (HiGHS); figures that one injection alone
feeds turn into bounds on its activity, searched monotonically; all else goes to a nonlinear solver, which is named in
the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..dosimetry.compartments import WHOLE_NORMAL
from ..errors import InputError
from .criteria import Criterion
from .goals import ALL_TUMOURS, TUMOUR
from .patient import PlanInputs
from .response import Response
from .window import Miss

LINEAR = "linear programming (HiGHS)"
MONOTONE = "monotone search over linear programs (HiGHS)"
NONLINEAR = "sequential quadratic programming (SLSQP), several starts: a local optimum"
_SEARCH_STEPS = 60


@dataclass(frozen=True, eq=False)
class Optimum:
    """Activities and what they come to.

    Parameters
    ----------
    activity_gbq : ndarray of shape (injections,)
        Net.
    worst_margin : float
        Least margin over the tumours' goals (over all goals where there is none), in Gy; below 0 where one is missed.
    worst : Criterion
        The goal it belongs to.
    normal_liver_gy : float
        Mean of whole normal liver, of this plan alone.
    binding : tuple of Criterion
        Limits that are used up.
    missed : tuple of Miss
        Goals that are not met.
    solver : str
    """

    activity_gbq: np.ndarray
    worst_margin: float
    worst: Criterion
    normal_liver_gy: float
    binding: tuple[Criterion, ...]
    missed: tuple[Miss, ...]
    solver: str


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


def optimise(problem: Problem, normal_at_most_gy: float | None = None, start_gbq: np.ndarray | None = None) -> Optimum:
    """Activities that serve the aims in their order.

    Parameters
    ----------
    problem : Problem
    normal_at_most_gy : float, optional
        A further limit on the mean dose of whole normal liver by this plan, for the trade-off.
    start_gbq : ndarray of shape (injections,), optional
        Where the nonlinear solver starts, instead of several places.
    """
    solver = LINEAR if problem.is_linear else MONOTONE if problem.is_single else NONLINEAR
    at_hand = condensed(problem) if solver == NONLINEAR else problem
    met = at_hand
    if problem.others:
        # First all goals as far as they are met, then the tumours' own beyond them.
        every = replace(at_hand, goals=at_hand.goals + at_hand.others, others=())
        activity = _best(every, solver, normal_at_most_gy, start_gbq, most=0.0)
        missed = min(0.0, *(goal.margin(activity) for goal in every.goals))
        floors = tuple(replace(c, bound=c.bound * (1.0 - 1e-9) + missed) for c in at_hand.others)
        met = replace(at_hand, others=(), floors=floors)
    if problem.goals:
        activity = _best(met, solver, normal_at_most_gy, start_gbq)
    # Found with fewer voxels, a limit of all voxels may be missed by a little on either side.
    stretch = 1.05 if solver == NONLINEAR and problem.goals else 1.0
    activity = _inside(activity * stretch, problem, normal_at_most_gy)
    judged = problem.judged
    margins = [goal.margin(activity) for goal in judged]
    worst = int(np.argmin(margins))
    return Optimum(
        activity_gbq=activity,
        worst_margin=margins[worst],
        worst=judged[worst],
        normal_liver_gy=float(problem.normal @ activity),
        binding=tuple(c for c in problem.limits if c.margin(activity) <= 1e-6 * max(c.bound, 1.0)),
        missed=tuple(
            Miss(goal, goal.response.value(activity), -margin)
            for goal in (*problem.goals, *problem.others)
            if (margin := goal.margin(activity)) < -1e-8 * goal.bound
        ),
        solver=solver,
    )


def _best(
    problem: Problem,
    solver: str,
    normal_at_most_gy: float | None,
    start_gbq: np.ndarray | None,
    most: float | None = None,
) -> np.ndarray:
    """Activities of the largest worst margin, not sought beyond ``most``."""
    if solver == LINEAR:
        return _linear(problem, normal_at_most_gy, most)
    if solver == MONOTONE:
        return _monotone(problem, normal_at_most_gy, most)
    return _nonlinear(problem, normal_at_most_gy, start_gbq, most)


def keep_inside(activity: np.ndarray, problem: Problem) -> np.ndarray:
    """The activities, drawn in evenly until every limit holds."""
    return _inside(activity, problem, None)


def _inside(activity: np.ndarray, problem: Problem, normal_at_most_gy: float | None) -> np.ndarray:
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


def _solve(
    cost: np.ndarray, rows: list[np.ndarray], bounds: list[float], box: list[tuple[float | None, float | None]]
) -> Any:
    from scipy.optimize import linprog

    return linprog(
        cost, A_ub=np.array(rows) if rows else None, b_ub=np.array(bounds) if rows else None, bounds=box, method="highs"
    )


def _rows_of_limits(problem: Problem, normal_at_most_gy: float | None) -> tuple[list[np.ndarray], list[float]]:
    """Linear limits as rows of order 1."""
    rows, bounds = [], []
    for limit in problem.limits:
        if limit.response.is_linear and limit.response.feeding:
            rows.append(limit.response.linear / limit.bound)
            bounds.append((limit.bound - limit.response.offset) / limit.bound)
    for floor in problem.floors:
        if floor.response.is_linear:
            rows.append(-floor.response.linear / abs(floor.bound))
            bounds.append((floor.response.offset - floor.bound) / abs(floor.bound))
    if normal_at_most_gy is not None:
        scale = max(normal_at_most_gy, 1e-3)
        rows.append(problem.normal / scale)
        bounds.append(normal_at_most_gy / scale)
    return rows, bounds


def _least_normal(
    problem: Problem, rows: list[np.ndarray], bounds: list[float], box: list[tuple[float | None, float | None]]
) -> np.ndarray | None:
    """Least normal-liver dose, then least activity, inside rows and box; None where there is no such point."""
    count = len(problem.normal)
    scale = max(float(problem.normal.max()), 1e-9)
    first = _solve(problem.normal / scale, rows, bounds, box)
    if first.status != 0:
        return None
    held = [*rows, problem.normal / scale]
    second = _solve(np.ones(count), held, [*bounds, float(first.fun) + 1e-10], box)
    return np.array(second.x if second.status == 0 else first.x)


def _weighted(
    problem: Problem, rows: list[np.ndarray], bounds: list[float], slope: float, most: float | None = None
) -> tuple[np.ndarray, float, list[float]]:
    """Largest worst margin less slope times normal-liver dose: activities, that margin, the goals' bounds in units."""
    count = len(problem.normal)
    unit = max(goal.bound for goal in problem.goals)
    # (linear·A + offset - bound) / unit >= t
    with_margin = [np.append(row, 0.0) for row in rows]
    with_margin += [np.append(-goal.response.linear / unit, 1.0) for goal in problem.goals]
    of_goals = [(goal.response.offset - goal.bound) / unit for goal in problem.goals]
    cost = np.append(slope * problem.normal / unit, -1.0)
    top = None if most is None else most / unit
    best = _solve(cost, with_margin, bounds + of_goals, [(0.0, None)] * count + [(None, top)])
    if best.status != 0:
        raise InputError("plan", f"the linear program was not solved ({best.message})", "Check goals and limits")
    return np.array(best.x[:-1]), float(best.x[-1]), of_goals


def farthest_above(problem: Problem, slope: float) -> np.ndarray:
    """Activities of the plan farthest above a line of this slope in the plane of normal-liver dose and worst margin."""
    rows, bounds = _rows_of_limits(problem, None)
    return _inside(_weighted(problem, rows, bounds, slope)[0], problem, None)


def _linear(problem: Problem, normal_at_most_gy: float | None, most: float | None = None) -> np.ndarray:
    count = len(problem.normal)
    rows, bounds = _rows_of_limits(problem, normal_at_most_gy)
    unit = max(goal.bound for goal in problem.goals)
    first, margin, of_goals = _weighted(problem, rows, bounds, 0.0, most)
    goal_rows = [-goal.response.linear / unit for goal in problem.goals]
    goal_bounds = [value - margin + 1e-10 for value in of_goals]
    found = _least_normal(problem, rows + goal_rows, bounds + goal_bounds, [(0.0, None)] * count)
    return first if found is None else found


def _monotone(problem: Problem, normal_at_most_gy: float | None, most: float | None = None) -> np.ndarray:
    """Largest margin by bisection: at each margin, figures that one injection feeds bound its activity."""
    count = len(problem.normal)
    rows, bounds = _rows_of_limits(problem, normal_at_most_gy)
    nothing = np.zeros(count)
    high = np.full(count, np.inf)
    for limit in problem.limits:
        if not limit.response.is_linear:
            (number,) = limit.response.feeding
            high[number] = min(high[number], limit.response.activity_reaching(limit.bound, number, nothing))

    def at(margin: float, spare: bool = False) -> np.ndarray | None:
        low = np.zeros(count)
        extra, extra_bounds = [], []
        wished = [(goal, goal.bound + margin) for goal in problem.goals]
        wished += [(floor, floor.bound) for floor in problem.floors if not floor.response.is_linear]
        for goal, wanted in wished:
            if goal.response.is_linear:
                extra.append(-goal.response.linear / goal.bound)
                extra_bounds.append((goal.response.offset - wanted) / goal.bound)
            else:
                (number,) = goal.response.feeding
                low[number] = max(low[number], goal.response.activity_reaching(wanted, number, nothing))
        if np.any(low > high) or not np.all(np.isfinite(low)):
            return None
        box: list[Any] = [(a, b if np.isfinite(b) else None) for a, b in zip(low, high, strict=True)]
        if not spare:
            found = _solve(np.zeros(count), rows + extra, bounds + extra_bounds, box)
            return np.array(found.x) if found.status == 0 else None
        return _least_normal(problem, rows + extra, bounds + extra_bounds, box)

    lowest = min(goal.margin(nothing) for goal in problem.goals)
    found = nothing
    step = max(goal.bound for goal in problem.goals)
    if most is not None and (found_at := at(most, spare=True)) is not None:
        return found_at
    highest = lowest + step
    while (trial := at(highest)) is not None:
        found, lowest, step = trial, highest, 2.0 * step
        highest = lowest + step
    for _ in range(_SEARCH_STEPS):
        middle = 0.5 * (lowest + highest)
        trial = at(middle)
        if trial is None:
            highest = middle
        else:
            lowest, found = middle, trial
        if highest - lowest <= 1e-9 * max(abs(highest), 1.0):
            break
    spared = at(lowest, spare=True)
    return found if spared is None else spared


def condensed(problem: Problem) -> Problem:
    """The problem with alike voxels taken together, to search in; what is found is judged by all voxels."""
    return replace(
        problem,
        goals=tuple(replace(goal, response=goal.response.condensed()) for goal in problem.goals),
        limits=tuple(replace(limit, response=limit.response.condensed()) for limit in problem.limits),
        others=tuple(replace(goal, response=goal.response.condensed()) for goal in problem.others),
    )


def _nonlinear(
    problem: Problem, normal_at_most_gy: float | None, start_gbq: np.ndarray | None = None, most: float | None = None
) -> np.ndarray:
    """SLSQP from several scales of the linear answer, kept inside the limits."""
    from scipy.optimize import minimize

    count = len(problem.normal)
    unit = max(goal.bound for goal in problem.goals)
    # Means of the same volumes stand in for the figures to find where to start.
    surrogate = replace(
        problem,
        goals=tuple(replace(g, response=Response(g.response.linear, g.response.offset)) for g in problem.goals),
        limits=tuple(replace(c, response=Response(c.response.linear, c.response.offset)) for c in problem.limits),
        floors=(),
    )
    start = _inside(_linear(surrogate, normal_at_most_gy, most), problem, normal_at_most_gy)
    if start_gbq is not None:
        starts = [start_gbq]
    else:
        starts = [start, 0.7 * start, np.full(count, max(float(start.mean()), 1e-3))]
        starts += [np.where(np.arange(count) == n, 1.0, 0.3) * max(float(start.max()), 1e-3) for n in range(count)]

    top = None if most is None else most / unit

    def worst(activity: np.ndarray) -> float:
        margin = min(goal.margin(activity) for goal in problem.goals)
        # A floor that is missed counts before any margin.
        below = min((floor.margin(activity) / floor.bound for floor in problem.floors), default=0.0)
        margin = margin if most is None else min(margin, most)
        return margin if below >= -1e-6 else margin + 1e3 * unit * below

    limits = [
        {"type": "ineq", "fun": lambda x, c=c: c.margin(np.maximum(x[:count], 0.0)) / c.bound} for c in problem.limits
    ]
    if normal_at_most_gy is not None:
        most = normal_at_most_gy
        limits.append({"type": "ineq", "fun": lambda x: (most - problem.normal @ x[:count]) / max(most, 1.0)})
    limits += [
        {"type": "ineq", "fun": lambda x, c=c: c.margin(np.maximum(x[:count], 0.0)) / c.bound} for c in problem.floors
    ]
    goals = [
        {"type": "ineq", "fun": lambda x, g=g: g.margin(np.maximum(x[:count], 0.0)) / unit - x[-1]}
        for g in problem.goals
    ]
    best = start
    for first in starts:
        inside = _inside(first, problem, normal_at_most_gy)
        found = minimize(
            lambda x: -x[-1],
            np.append(inside, worst(inside) / unit),
            method="SLSQP",
            jac=lambda x: np.append(np.zeros(count), -1.0),  # noqa: ARG005
            bounds=[(0.0, None)] * count + [(None, top)],
            constraints=limits + goals,
            options={"maxiter": 200, "ftol": 1e-12},
        )
        trial = _inside(found.x[:count], problem, normal_at_most_gy)
        if worst(trial) > worst(best) + 1e-12:
            best = trial
    kept = worst(best)
    keep = [{"type": "ineq", "fun": lambda x, g=g: (g.margin(np.maximum(x, 0.0)) - kept) / unit} for g in problem.goals]
    scale = max(float(problem.normal.max()), 1e-9)
    spared = minimize(
        lambda x: float(problem.normal @ x) / scale,
        best,
        method="SLSQP",
        jac=lambda x: problem.normal / scale,  # noqa: ARG005
        bounds=[(0.0, None)] * count,
        constraints=limits + keep,
        options={"maxiter": 200, "ftol": 1e-12},
    )
    trial = _inside(spared.x, problem, normal_at_most_gy)
    better = float(problem.normal @ trial) < float(problem.normal @ best) and worst(trial) >= kept - 1e-9 * unit
    return trial if better else best
