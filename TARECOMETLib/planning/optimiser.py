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

from dataclasses import dataclass, replace

import numpy as np

from .criteria import Criterion
from .linear_search import linear_best, monotone_best
from .nonlinear_search import nonlinear_best
from .problem import Problem, condensed, draw_inside
from .window import Miss

LINEAR = "linear programming (HiGHS)"
MONOTONE = "monotone search over linear programs (HiGHS)"
NONLINEAR = "sequential quadratic programming (SLSQP), several starts: a local optimum"


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
    activity = draw_inside(activity * stretch, problem, normal_at_most_gy)
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
        return linear_best(problem, normal_at_most_gy, most)
    if solver == MONOTONE:
        return monotone_best(problem, normal_at_most_gy, most)
    return nonlinear_best(problem, normal_at_most_gy, start_gbq, most)
