"""One statistic with everything needed to read it: n, estimate, interval, p, method, assumptions, a plain sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

PRIMARY, EXPLORATORY = "primary", "exploratory"


@dataclass(frozen=True)
class Result:
    """A result. What was not computed is None and absent from the document.

    Parameters
    ----------
    key : str
        Machine name.
    title : str
    n : dict
        What was counted to how many: patients, lesions, responders, events.
    method : str
    sentence : str
        What it says, in words.
    estimate : float or None
    interval : (float or None, float or None) or None
        A bound that is not estimable is None.
    p : float or None
    unit : str
    role : str
        primary or exploratory.
    assumptions : tuple of str
    warnings : tuple of str
    more : dict
        Further figures, tables and curves.
    """

    key: str
    title: str
    n: dict[str, int]
    method: str
    sentence: str
    estimate: float | None = None
    interval: tuple[float | None, float | None] | None = None
    p: float | None = None
    unit: str = ""
    role: str = EXPLORATORY
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    def document(self, confidence: float, post_hoc: bool) -> dict[str, Any]:
        """JSON object."""
        data: dict[str, Any] = {
            "key": self.key,
            "title": self.title,
            "role": self.role,
            "post_hoc": post_hoc,
            "n": self.n,
            "estimate": self.estimate,
            "unit": self.unit or None,
            "p": self.p,
            "method": self.method,
            "assumptions": list(self.assumptions),
            "warnings": list(self.warnings),
            "sentence": self.sentence,
            **self.more,
        }
        if self.interval is not None:
            low, high = self.interval
            data["confidence_interval"] = {"level": confidence, "low": low, "high": high}
        return tidy(data)


def tidy(value: Any) -> Any:
    """Plain JSON: numpy's kinds as Python's; None, NaN and infinity are left out of objects."""
    if isinstance(value, dict):
        kept = {str(k): tidy(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [tidy(v) for v in value]
    if hasattr(value, "tolist"):
        return tidy(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def p_words(p: float | None) -> str:
    """p as it is printed."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def interval_words(plan: Any) -> str:
    """What an interval is called: ``95 % interval``."""
    return f"{100 * plan.confidence:g} % interval"
