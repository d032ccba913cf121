"""Optima where doses are weighted sums of the activities, and where one injection alone feeds what is not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .problem import Problem, draw_inside

_SEARCH_STEPS = 60


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
    return draw_inside(_weighted(problem, rows, bounds, slope)[0], problem, None)


def linear_best(problem: Problem, normal_at_most_gy: float | None, most: float | None = None) -> np.ndarray:
    count = len(problem.normal)
    rows, bounds = _rows_of_limits(problem, normal_at_most_gy)
    unit = max(goal.bound for goal in problem.goals)
    first, margin, of_goals = _weighted(problem, rows, bounds, 0.0, most)
    goal_rows = [-goal.response.linear / unit for goal in problem.goals]
    goal_bounds = [value - margin + 1e-10 for value in of_goals]
    found = _least_normal(problem, rows + goal_rows, bounds + goal_bounds, [(0.0, None)] * count)
    return first if found is None else found


def monotone_best(problem: Problem, normal_at_most_gy: float | None, most: float | None = None) -> np.ndarray:
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
