"""The feasible window of one injection: from the activity that meets every goal to the one that breaks a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .criteria import Criterion


@dataclass(frozen=True)
class Miss:
    """A goal or limit that is not met.

    Parameters
    ----------
    criterion : Criterion
    value, amount : float
        What it comes to, and by how much it misses its bound (above 0), in its unit.
    """

    criterion: Criterion
    value: float
    amount: float

    def words(self) -> str:
        """One clause."""
        unit = self.criterion.goal.unit
        return (
            f"{self.criterion.words()}: {self.value:.4g} {unit}, missed by {self.amount:.3g} {unit} "
            f"({100.0 * self.amount / self.criterion.bound:.1f} %)"
        )


@dataclass(frozen=True)
class Window:
    """Activities of one injection, net in GBq, the others as given.

    Parameters
    ----------
    injection : int
    low_gbq : float
        Least activity that meets all goals; infinite where none does.
    high_gbq : float
        Most activity that keeps all limits; infinite where there is no limit, below 0 where even none breaks one.
    binding_goal, binding_limit : Criterion or None
    misses : tuple of Miss
        Where the window is empty: the goals that the most activity does not meet, and limits broken without any.
    """

    injection: int
    low_gbq: float
    high_gbq: float
    binding_goal: Criterion | None
    binding_limit: Criterion | None
    misses: tuple[Miss, ...]

    @property
    def is_open(self) -> bool:
        """Whether some activity meets all goals and keeps all limits."""
        return 0.0 <= self.low_gbq <= self.high_gbq and not self.misses


def feasible_window(criteria: Sequence[Criterion], injection: int = 0, others_gbq: np.ndarray | None = None) -> Window:
    """Window of one injection.

    Parameters
    ----------
    criteria : sequence of Criterion
    injection : int
    others_gbq : ndarray of shape (injections,), optional
        Net activity of the other injections; 0 by default. The entry of this injection is not read.
    """
    count = len(criteria[0].response.linear) if criteria else injection + 1
    base = np.zeros(count) if others_gbq is None else np.array(others_gbq, dtype=float)
    base[injection] = 0.0
    low, high = 0.0, math.inf
    goal_by: Criterion | None = None
    limit_by: Criterion | None = None
    misses: list[Miss] = []
    for criterion in criteria:
        if criterion.advisory:
            continue
        at = criterion.response.activity_reaching(criterion.bound, injection, base)
        if criterion.is_goal:
            # A goal on what other injections alone feed is not this one's matter.
            mine = injection in criterion.response.feeding or not criterion.response.feeding
            if mine and at > low:
                low, goal_by = at, criterion
            continue
        start = criterion.response.value(base)
        if start > criterion.bound:
            at = -1.0
            misses.append(Miss(criterion, start, start - criterion.bound))
        if at < high:
            high, limit_by = at, criterion
    if low > high or math.isinf(low):
        base[injection] = max(high, 0.0) if math.isfinite(high) else 0.0
        for criterion in criteria:
            margin = criterion.margin(base)
            feeds = injection in criterion.response.feeding or not criterion.response.feeding
            if criterion.is_goal and feeds and not criterion.advisory and margin < 0.0:
                misses.append(Miss(criterion, criterion.response.value(base), -margin))
    return Window(injection, low, high, goal_by, limit_by, tuple(misses))


def window_text(window: Window, name: str) -> str:
    """The window in one or two sentences."""
    limit = window.binding_limit.words() if window.binding_limit else ""
    goal = window.binding_goal.words() if window.binding_goal else ""
    if window.is_open:
        low = f"{window.low_gbq:.3f} GBq ({goal})" if goal else "0 GBq (no goal)"
        if math.isinf(window.high_gbq):
            return f"{name}: at least {low} net; no limit bounds the activity."
        return f"{name}: {low} to {window.high_gbq:.3f} GBq ({limit}) net."
    missed = "; ".join(miss.words() for miss in window.misses)
    if window.high_gbq < 0.0:
        return f"{name}: no activity is possible. {missed}."
    if math.isinf(window.low_gbq):
        return f"{name}: no activity meets every goal. {missed}."
    return (
        f"{name}: no activity meets every goal and keeps every limit. Goals need {window.low_gbq:.3f} GBq ({goal}), "
        f"limits allow {window.high_gbq:.3f} GBq ({limit}) net. There: {missed}."
    )
