"""Response and the effective tumour dose: differences between groups, dose-response, ROC."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cohort import Cohort
from .group_difference import Difference, cluster_bootstrap, exchangeable_gee, linear_mixed, mann_whitney, welch
from .plan import StudyPlan
from .resampling import patient_weights
from .result import Result, interval_words, p_words
from .roc import wilson_interval

LEAST_PER_GROUP = 3
CLUSTERED = "tumours of one patient are alike; patients are independent"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Dose and response, one row per patient or tumour.

    Parameters
    ----------
    dose_gy : ndarray of shape (n,)
    responder : ndarray of shape (n,) of bool
    clusters : ndarray of shape (n,)
        Patient of each row.
    """

    dose_gy: np.ndarray
    responder: np.ndarray
    clusters: np.ndarray

    @property
    def n(self) -> dict[str, int]:
        """Counts for a result."""
        patients = len(np.unique(self.clusters))
        counts = {"patients": patients, "responders": int(self.responder.sum())}
        return counts if patients == len(self.dose_gy) else {"lesions": len(self.dose_gy), **counts}

    @property
    def has_both(self) -> bool:
        """Whether each group is large enough to be described."""
        return min(int(self.responder.sum()), int((~self.responder).sum())) >= LEAST_PER_GROUP

    @property
    def seen_gy(self) -> tuple[float, float]:
        """Lowest and highest dose."""
        return float(self.dose_gy.min()), float(self.dose_gy.max())


def patient_pairs(cohort: Cohort, phase: str = "plan", *, evaluable_only: bool = False) -> Pairs:
    """One row per patient; without ``evaluable_only`` those not evaluable are non-responders."""
    rows = [
        (p.tumour_dose_gy[phase], p.is_responder is True, p.patient_id)
        for p in cohort.patients
        if phase in p.tumour_dose_gy and not (evaluable_only and p.is_responder is None)
    ]
    return _pairs(rows)


def lesion_pairs(cohort: Cohort, phase: str = "plan") -> Pairs:
    """One row per tumour of the evaluable patients."""
    rows = [
        (lesion.dose_gy[phase], bool(lesion.is_responder), p.patient_id)
        for p, lesion in cohort.lesions
        if phase in lesion.dose_gy
        and lesion.is_responder is not None
        and p.not_evaluable not in ("death", "other therapy")
    ]
    return _pairs(rows)


def _pairs(rows: list[tuple[float, bool, str]]) -> Pairs:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return Pairs(np.array(columns[0], dtype=float), np.array(columns[1], dtype=bool), np.array(columns[2], dtype=str))


def response_table(cohort: Cohort) -> Result:
    """Response of patients by category, and of tumours by the adapted criterion."""
    plan = cohort.plan
    counts = Counter("NE" if p.not_evaluable else p.response.category for p in cohort.patients)
    evaluable = sum(n for category, n in counts.items() if category != "NE")
    responders = counts["CR"] + counts["PR"]
    judged = [lesion for _, lesion in cohort.lesions if lesion.is_responder is not None]
    reasons = Counter(p.response.reason for p in cohort.patients if not p.not_evaluable and p.response.category == "PD")
    total = len(cohort.patients)
    interval = wilson_interval(responders, total, plan.confidence) if total else None
    return Result(
        "response",
        f"Response by {plan.response_criterion} at month {plan.response_month}",
        {"patients": total, "evaluable": evaluable, "responders": responders, "lesions": len(judged)},
        "share of all patients, those not evaluable counted as non-responders; Wilson interval",
        f"{responders} of {total} patients responded ({evaluable} evaluable); of {len(judged)} tumours, "
        f"{sum(bool(lesion.is_responder) for lesion in judged)} by the criterion adapted to one tumour.",
        estimate=responders / total if total else None,
        interval=interval,
        unit="share",
        more={
            "categories": dict(counts),
            "progression_by": dict(reasons),
            "lesion_responders": sum(bool(lesion.is_responder) for lesion in judged),
        },
    )


def _differences(pairs: Pairs, plan: StudyPlan, generator: np.random.Generator) -> list[Difference]:
    found = [
        welch(pairs.dose_gy, pairs.responder, plan.confidence),
        mann_whitney(pairs.dose_gy, pairs.responder, plan.confidence),
    ]
    if len(np.unique(pairs.clusters)) < len(pairs.clusters):
        weights = patient_weights(len(np.unique(pairs.clusters)), plan.bootstraps, generator)
        found += [
            linear_mixed(pairs.dose_gy, pairs.responder, pairs.clusters, plan.confidence),
            exchangeable_gee(pairs.dose_gy, pairs.responder, pairs.clusters, plan.confidence),
            cluster_bootstrap(pairs.dose_gy, pairs.responder, pairs.clusters, weights, plan.confidence),
        ]
    return found


def difference_result(key: str, title: str, pairs: Pairs, plan: StudyPlan, *, role: str, dose: str) -> Result:
    """Mean dose of responders against non-responders; with tumours, the mixed model leads."""
    if not pairs.has_both:
        sentence = f"Not computed: fewer than {LEAST_PER_GROUP} responders or non-responders."
        return Result(key, title, pairs.n, "none", sentence, role=role)
    spread = max(float(np.ptp(pairs.dose_gy[mask])) for mask in (pairs.responder, ~pairs.responder))
    if spread <= 1e-9 * float(np.abs(pairs.dose_gy).max()):
        return Result(key, title, pairs.n, "none", "Not computed: the doses in each group are alike.", role=role)
    unit = "%" if plan.dose_metric.startswith("v") else "Gy"
    tests = _differences(pairs, plan, np.random.default_rng([plan.seed, 1]))
    is_clustered = len(tests) > 2
    lead = tests[2] if is_clustered else tests[0]
    means = dict(tests[0].more)
    verb = "received" if dose == "delivered" else "were predicted to receive"
    who = "Responding tumours" if is_clustered else "Responders"
    sentence = (
        f"{who} {verb} {means['mean_responders_gy']:.0f} {unit} on average, "
        f"the others {means['mean_non_responders_gy']:.0f} {unit}: "
        f"a difference of {lead.estimate:.0f} {unit} "
        f"({interval_words(plan)} {lead.low:.0f} to {lead.high:.0f} {unit}; {p_words(lead.p)})."
    )
    assumptions = [_normality(pairs)]
    if is_clustered:
        assumptions.append(
            CLUSTERED + "; Welch's and Mann-Whitney's tests take tumours as independent and are too sure"
        )
    return Result(
        key,
        title,
        pairs.n,
        lead.method,
        sentence,
        lead.estimate,
        (lead.low, lead.high),
        lead.p,
        unit,
        role,
        tuple(assumptions),
        more={"tests": [_test_document(t) for t in tests]},
    )


def _test_document(test: Difference) -> dict[str, Any]:
    return {
        "method": test.method,
        "estimate_gy": test.estimate,
        "low_gy": test.low,
        "high_gy": test.high,
        "p": test.p,
        **dict(test.more),
    }


def _normality(pairs: Pairs) -> str:
    from scipy import stats

    words = []
    for name, mask in (("responders", pairs.responder), ("non-responders", ~pairs.responder)):
        values = pairs.dose_gy[mask]
        if 3 <= len(values) <= 5000 and np.ptp(values) > 0.0:
            words.append(f"{name} {p_words(float(stats.shapiro(values).pvalue))}")
    return "normal doses in each group, by Shapiro-Wilk: " + ", ".join(words)
