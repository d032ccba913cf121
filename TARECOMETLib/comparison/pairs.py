"""Pairs of doses as agreement statistics take them: checked once, in one place; and intervals as they give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval; a bound that does not exist is None.

    Parameters
    ----------
    value : float
    lower, upper : float or None
        Of the interval at the level the function was asked for, 95 % by default.
    """

    value: float
    lower: float | None = None
    upper: float | None = None


def require_pairs(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, what: str, at_least: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides as float arrays of shape (n,), finite, of one length and enough of them.

    Parameters
    ----------
    first, second : array of shape (n,)
        Predicted and delivered, pair by pair.
    what : str
        The statistic, for the sentence of a refusal.
    at_least : int
        Fewest pairs the statistic is defined for.

    Raises
    ------
    InputError
        With code ``pairs-differ``, ``not-finite`` or ``too-few-pairs``.
    """
    a, b = np.asarray(first, dtype=float).ravel(), np.asarray(second, dtype=float).ravel()
    if a.size != b.size:
        raise InputError(
            what, f"expected pairs, got {a.size} predicted and {b.size} delivered values", "Pair them", "pairs-differ"
        )
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        raise InputError(what, "a value is not a finite number", "Leave that pair out", "not-finite")
    if a.size < at_least:
        pairs = "one pair" if a.size == 1 else f"{a.size} pairs"
        raise InputError(
            what,
            f"{pairs} of values cannot give it, expected at least {at_least}",
            "Add lesions or patients, or report the difference alone",
            "too-few-pairs",
        )
    return a, b


def require_variation(first: np.ndarray, second: np.ndarray, what: str) -> None:
    """Refuse sides that are constant: nothing can correlate with them."""
    for side, values in (("predicted", first), ("delivered", second)):
        if np.ptp(values) <= 1e-12 * max(1e-300, float(np.abs(values).max())):
            raise InputError(
                what,
                f"all {values.size} {side} values are {values[0]:g}, so it is not defined",
                "Use doses that differ, or report the difference alone",
                "constant",
            )


def patient_index(patient_ids: Sequence[object] | np.ndarray | None, count: int, what: str) -> np.ndarray | None:
    """Number of each pair's patient, 0 to patients - 1; None where every pair is of its own.

    Raises
    ------
    InputError
        Where there is not one patient id per pair, or all pairs are of one patient.
    """
    if patient_ids is None:
        return None
    names = [str(name) for name in patient_ids]
    if len(names) != count:
        raise InputError(
            what, f"expected one patient id for each of {count} pairs, got {len(names)}", "Name every pair's patient"
        )
    found, index = np.unique(np.array(names, dtype=str), return_inverse=True)
    if found.size == count:
        return None
    if found.size == 1:
        raise InputError(
            what,
            f"all {count} pairs are of one patient, so nothing is known of how patients differ",
            "Add patients, or leave the patient ids out for figures within this patient",
            "one-patient",
        )
    return index.ravel()
