"""The trade-off: the best dose of the worst target for every dose that whole normal liver is allowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .linear_search import farthest_above
from .optimiser import Optimum, optimise
from .problem import Problem

# Points of a curve that has no straight pieces.
_SAMPLES = 8
_MOST_CORNERS = 60


@dataclass(frozen=True, eq=False)
class TradeOff:
    """A curve of best plans, from no activity to the optimum.

    Parameters
    ----------
    normal_gy : ndarray of shape (n,)
        Mean dose of whole normal liver, rising.
    margin_gy : ndarray of shape (n,)
        Worst margin of a goal there, rising.
    activity_gbq : ndarray of shape (n, injections)
    exact : bool
        Whether it is straight between these points; else they are samples.
    """

    normal_gy: np.ndarray
    margin_gy: np.ndarray
    activity_gbq: np.ndarray
    exact: bool

    def activities_at(self, normal_gy: float) -> np.ndarray:
        """Net activities of the plan at a normal-liver dose, between the ends of the curve.

        A mixture of two plans keeps every limit that both keep where limits are linear or convex, so where the curve
        is straight its mixtures are optimal too.
        """
        at = float(np.clip(normal_gy, self.normal_gy[0], self.normal_gy[-1]))
        return np.array([np.interp(at, self.normal_gy, column) for column in self.activity_gbq.T])


def trade_off(problem: Problem, optimum: Optimum | None = None) -> TradeOff:
    """The curve up to the optimum.

    For linear figures its corners are found exactly.
    """
    best = optimum or optimise(problem)
    count = len(problem.normal)
    nothing = np.zeros(count)
    start = (0.0, min(goal.margin(nothing) for goal in problem.judged), nothing)
    if not problem.normal.all():
        start = _plan(problem, 0.0)  # a territory without normal liver costs it nothing
    end = (best.normal_liver_gy, best.worst_margin, best.activity_gbq)
    if problem.others or not problem.is_linear:
        inner = [_plan(problem, share * end[0], share * end[2]) for share in np.linspace(0.0, 1.0, _SAMPLES + 1)[1:-1]]
        points, exact = _rising([start, *inner, end]), False
    else:
        points, exact = _corners(problem, start, end), True
    return TradeOff(
        np.array([p[0] for p in points]), np.array([p[1] for p in points]), np.array([p[2] for p in points]), exact
    )


def _plan(problem: Problem, normal_gy: float, start_gbq: np.ndarray | None = None) -> tuple[float, float, np.ndarray]:
    found = optimise(problem, normal_gy, start_gbq)
    return found.normal_liver_gy, found.worst_margin, found.activity_gbq


def _rising(points: list[tuple[float, float, np.ndarray]]) -> list[tuple[float, float, np.ndarray]]:
    """Without points that another one beats; local optima may be."""
    kept = [points[0]]
    for point in points[1:]:
        if point[0] > kept[-1][0] and point[1] >= kept[-1][1]:
            kept.append(point)
    return kept


def _corners(
    problem: Problem, start: tuple[float, float, np.ndarray], end: tuple[float, float, np.ndarray]
) -> list[tuple[float, float, np.ndarray]]:
    """All corners of a concave, piecewise straight curve.

    Between two corners the plan that lies farthest above their chord is itself a corner, or there is none.
    """
    if end[0] - start[0] <= 1e-9:
        return [end]
    done, waiting = [start], [end]
    scale = max(abs(end[1]), abs(start[1]), 1.0)
    solved = 0
    while waiting:
        left, right = done[-1], waiting[-1]
        slope = (right[1] - left[1]) / (right[0] - left[0])
        if solved < _MOST_CORNERS:
            activity = farthest_above(problem, slope)
            solved += 1
            normal = float(problem.normal @ activity)
            margin = min(goal.margin(activity) for goal in problem.goals)
            above = margin - (left[1] + slope * (normal - left[0]))
            if above > 1e-8 * scale and left[0] + 1e-9 < normal < right[0] - 1e-9:
                waiting.append((normal, margin, activity))
                continue
        done.append(waiting.pop())
    return done
