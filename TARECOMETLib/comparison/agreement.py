"""All agreement figures of predicted against delivered doses, over lesions or patients, in one call.

Each figure has its own function in the files beside this one; here they are gathered, and what cannot be computed is
named with its reason instead of being filled with zeros.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..errors import InputError
from .bland_altman import SCALES, BlandAltman, bland_altman
from .concordance import Concordance, Rank, icc_agreement, lin_ccc, spearman
from .pairs import LEVEL, Estimate, patient_index, require_pairs
from .passing_bablok import PassingBablok, passing_bablok
from .tolerance import ProportionalBias, coverage_probability, proportional_bias, total_deviation_index

Values = Sequence[float] | np.ndarray
_RESAMPLES = 2000
_SEED = 20260301


@dataclass(frozen=True)
class Agreement:
    """Agreement of delivered with predicted values.

    Parameters
    ----------
    pairs, patients : int
    bland_altman : dict
        Scale (absolute, percent, log_ratio) to limits of agreement.
    concordance, icc, passing_bablok, spearman, proportional_bias
        None where it cannot be computed.
    total_deviation_index : float or None
        Bound that 90 % of absolute differences are expected within.
    coverage_probability : dict
        Bound to the share expected within it, as asked for.
    intervals_by_patient : bool
        With several lesions per patient, intervals of concordance, ICC and Spearman come from resampling whole
        patients; those of Passing-Bablok do not allow for it and are too narrow.
    not_computed : dict
        Figure to the reason why it is absent.
    """

    pairs: int
    patients: int
    bland_altman: dict[str, BlandAltman]
    concordance: Concordance | None = None
    icc: Estimate | None = None
    passing_bablok: PassingBablok | None = None
    spearman: Rank | None = None
    proportional_bias: ProportionalBias | None = None
    total_deviation_index: float | None = None
    coverage_probability: dict[str, float] = field(default_factory=dict)
    intervals_by_patient: bool = False
    not_computed: dict[str, str] = field(default_factory=dict)


def agreement(
    predicted: Values,
    delivered: Values,
    patient_ids: Sequence[object] | np.ndarray | None = None,
    *,
    within: Sequence[float] = (),
    level: float = LEVEL,
    resamples: int = _RESAMPLES,
) -> Agreement:
    """Every agreement figure that the values allow.

    Parameters
    ----------
    predicted, delivered : array of shape (n,)
        Pair by pair.
    patient_ids : sequence of n names, optional
        Where patients have several lesions.
    within : sequence of float
        Bounds, in the values' unit, for coverage probabilities.
    resamples : int
        Of whole patients, where they have several lesions.

    Raises
    ------
    InputError
        Where the values are no pairs of finite numbers.
    """
    a, b = require_pairs(predicted, delivered, "agreement", 1)
    absent: dict[str, str] = {}

    def attempt(name: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except InputError as refusal:
            absent[name] = f"{refusal.where}: {refusal.problem}"
            return None

    index = attempt("several patients", lambda: patient_index(patient_ids, a.size, "agreement"))
    limits = {s: attempt(f"bland_altman.{s}", partial(bland_altman, a, b, patient_ids, s, level)) for s in SCALES}
    concordance = attempt("concordance", lambda: lin_ccc(a, b, level))
    icc = attempt("icc", lambda: icc_agreement(a, b, level))
    rank = attempt("spearman", lambda: spearman(a, b, level))
    if index is not None:

        def resampled(work: Callable[[np.ndarray, np.ndarray], float], value: float) -> Estimate:
            low, high = patient_bootstrap(work, a, b, index, level, resamples)
            return Estimate(value, low, high)

        if concordance is not None:
            ccc = resampled(lambda x, y: lin_ccc(x, y).ccc.value, concordance.ccc.value)
            concordance = dataclasses.replace(concordance, ccc=ccc)
        if icc is not None:
            icc = resampled(lambda x, y: icc_agreement(x, y).value, icc.value)
        if rank is not None:
            rank = dataclasses.replace(rank, rho=resampled(lambda x, y: spearman(x, y).rho.value, rank.rho.value))
    bounds = {f"{w:g}": attempt(f"coverage.{w:g}", partial(coverage_probability, a, b, w)) for w in within}
    return Agreement(
        pairs=int(a.size),
        patients=int(a.size if index is None else index.max() + 1) if "several patients" not in absent else 1,
        bland_altman={scale: found for scale, found in limits.items() if found is not None},
        concordance=concordance,
        icc=icc,
        passing_bablok=attempt("passing_bablok", lambda: passing_bablok(a, b, level)),
        spearman=rank,
        proportional_bias=attempt("proportional_bias", lambda: proportional_bias(a, b, patient_ids, level=level)),
        total_deviation_index=attempt("total_deviation_index", lambda: total_deviation_index(a, b)),
        coverage_probability={bound: share for bound, share in bounds.items() if share is not None},
        intervals_by_patient=index is not None,
        not_computed=absent,
    )


def agreement_by(
    groups: Sequence[object] | np.ndarray,
    predicted: Values,
    delivered: Values,
    patient_ids: Sequence[object] | np.ndarray | None = None,
    *,
    within: Sequence[float] = (),
    level: float = LEVEL,
) -> dict[str, Agreement]:
    """``agreement`` within each group: lesion size classes, methods, catheter position the same or changed.

    Parameters
    ----------
    groups : sequence of n labels
        In the result they stand in order of first appearance.
    """
    a, b = require_pairs(predicted, delivered, "agreement by group", 1)
    labels = [str(label) for label in groups]
    if len(labels) != a.size:
        raise InputError(
            "agreement by group", f"expected {a.size} labels, one for each pair, got {len(labels)}", "Label every pair"
        )
    found = {}
    for label in dict.fromkeys(labels):
        chosen = [n for n, other in enumerate(labels) if other == label]
        patients = None if patient_ids is None else [patient_ids[n] for n in chosen]
        found[label] = agreement(a[chosen], b[chosen], patients, within=within, level=level)
    return found


def patient_bootstrap(
    work: Callable[[np.ndarray, np.ndarray], float],
    predicted: np.ndarray,
    delivered: np.ndarray,
    patient_number: np.ndarray,
    level: float = LEVEL,
    resamples: int = _RESAMPLES,
    generator: np.random.Generator | None = None,
) -> tuple[float | None, float | None]:
    """Percentile interval of a statistic by drawing whole patients with replacement.

    Lesions of a patient are not independent: resampling lesions would make the interval too narrow. A draw for which
    the statistic is not defined is left out; no interval where that is more than a twentieth of them.

    Parameters
    ----------
    work : function of two arrays of shape (m,)
    patient_number : ndarray of int, shape (n,)
        0 to patients - 1.
    generator : numpy Generator, optional
        A fixed seed by default, so that the same data give the same figures.
    """
    rng = np.random.default_rng(_SEED) if generator is None else generator
    members = [np.flatnonzero(patient_number == number) for number in range(int(patient_number.max()) + 1)]
    values = []
    for _ in range(resamples):
        drawn = np.concatenate([members[n] for n in rng.integers(0, len(members), len(members))])
        try:
            values.append(work(predicted[drawn], delivered[drawn]))
        except InputError:
            continue
    if len(values) < 0.95 * resamples:
        return None, None
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def plain(value: Any) -> Any:
    """A result as JSON values; what was not computed is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: plain(item) for name, item in pairs if item is not None and item != {}}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
