"""Optima where a figure needs the voxels, or the squares, of several injections at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .linear_search import linear_best
from .problem import Problem, draw_inside
from .response import Response


def nonlinear_best(
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
    start = draw_inside(linear_best(surrogate, normal_at_most_gy, most), problem, normal_at_most_gy)
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
        inside = draw_inside(first, problem, normal_at_most_gy)
        found = minimize(
            lambda x: -x[-1],
            np.append(inside, worst(inside) / unit),
            method="SLSQP",
            jac=lambda x: np.append(np.zeros(count), -1.0),  # noqa: ARG005
            bounds=[(0.0, None)] * count + [(None, top)],
            constraints=limits + goals,
            options={"maxiter": 200, "ftol": 1e-12},
        )
        trial = draw_inside(found.x[:count], problem, normal_at_most_gy)
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
    trial = draw_inside(spared.x, problem, normal_at_most_gy)
    better = float(problem.normal @ trial) < float(problem.normal @ best) and worst(trial) >= kept - 1e-9 * unit
    return trial if better else best
