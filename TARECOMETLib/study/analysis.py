"""The analysis: one call from a study file and a plan to one document with every result."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import metadata
from typing import Any

from .. import __version__
from ..errors import InputError
from .analysis_dose_response import dose_response_results
from .analysis_outcome import power_result, simex_results, toxicity_results, window_results
from .analysis_progression import progression_results
from .analysis_response import difference_result, lesion_pairs, patient_pairs, response_table
from .cohort import Cohort, read_cohort
from .concordance import concordance_results
from .database import StudyDatabase
from .flow import flow
from .plan import CRITERIA, METRICS, StudyPlan, lock
from .response import measure_field
from .result import EXPLORATORY, PRIMARY, Result, tidy

DOCUMENT_VERSION = 1
_METRIC_WORDS = {
    "mean_gy": "Mean dose",
    "d50_gy": "D50",
    "d70_gy": "D70",
    "d95_gy": "D95",
    "bed_gy": "Mean BED",
    "eud_gy": "gEUD",
    "v100_percent": "V100",
}
_PACKAGES = ("numpy", "scipy", "lifelines", "pandas")


def analyse(
    study: StudyDatabase, plan: StudyPlan, progress: Callable[[float, str], None] | None = None
) -> dict[str, Any]:
    """Lock the plan, then read outcomes and compute everything.

    Parameters
    ----------
    study : StudyDatabase
    plan : StudyPlan
    progress : callable, optional
        Told the share done and what comes next.

    Returns
    -------
    dict
        JSON object; same study, plan and versions give the same one.
    """
    tell = progress or (lambda _share, _what: None)
    tell(0.0, "locking the plan")
    status = lock(study, plan)
    tell(0.02, "reading patients")
    cohort = read_cohort(study, plan)
    if not cohort.patients:
        raise InputError(str(study.path), "it holds no patients", "Import or add them first", "empty")
    tell(0.1, "response")
    results = [response_table(cohort), *_comparisons(cohort)]
    tell(0.2, "other metrics")
    results += _by_metric(study, plan)
    tell(0.3, "effective dose")
    found, fits, pairs = dose_response_results(cohort)
    results += found
    tell(0.6, "toxicity")
    found, toxicity = toxicity_results(cohort)
    results += found
    tell(0.7, "time to progression")
    results += progression_results(cohort, status.is_post_hoc)
    tell(0.85, "concordance, window and sensitivity")
    results += concordance_results(cohort)
    results += window_results(cohort, fits, pairs, toxicity)
    counts = flow(cohort)
    share = counts.evaluable / max(counts.treated, 1)
    results += power_result(patient_pairs(cohort), plan, share if 0.0 < share <= 1.0 else 1.0)
    results += _by_criterion(study, plan)
    results += simex_results(cohort)
    tell(1.0, "done")
    return tidy(
        {
            "schema_version": DOCUMENT_VERSION,
            "data_sha256": study.content_sha256(),
            "plan": asdict(plan),
            "plan_sha256": status.sha256,
            "plan_locked_utc": status.locked_utc,
            "post_hoc": status.is_post_hoc,
            "changed_since_lock": list(status.changed),
            "outcome_rows_at_lock": status.outcome_rows_at_lock,
            "dose_method": cohort.dose_method,
            "flow": [{"label": label, "patients": count} for label, count in counts.rows()],
            "remarks": list(cohort.remarks),
            "results": [r.document(plan.confidence, status.is_post_hoc) for r in results],
            "software": _versions(),
        }
    )


def _versions() -> dict[str, str]:
    found = {"tarecomet": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _comparisons(cohort: Cohort) -> list[Result]:
    """The primary comparison, its evaluable-only reading, and tumours; predicted and delivered."""
    plan = cohort.plan
    delivered = {"pre": "predicted", "post": "delivered"}
    word = delivered[plan.dose_phase]
    results = [
        difference_result(
            "difference.patient",
            f"Mean {word} tumour dose of responders, those not evaluable as non-responders",
            patient_pairs(cohort),
            plan,
            role=PRIMARY,
            dose=word,
        ),
        difference_result(
            "difference.patient.evaluable",
            f"Mean {word} tumour dose of responders, evaluable patients only",
            patient_pairs(cohort, evaluable_only=True),
            plan,
            role=EXPLORATORY,
            dose=word,
        ),
        difference_result(
            "difference.lesion",
            f"Mean {word} dose of responding tumours",
            lesion_pairs(cohort),
            plan,
            role=EXPLORATORY,
            dose=word,
        ),
    ]
    other = "pre" if plan.dose_phase == "post" else "post"
    for level, pairs in (("patient", patient_pairs(cohort, other)), ("lesion", lesion_pairs(cohort, other))):
        if len(pairs.dose_gy):
            results.append(
                difference_result(
                    f"difference.{level}.{other}",
                    f"Mean {delivered[other]} tumour dose, {level} level",
                    pairs,
                    plan,
                    role=EXPLORATORY,
                    dose=delivered[other],
                )
            )
    return results


def _by_metric(study: StudyDatabase, plan: StudyPlan) -> list[Result]:
    """Every other dose metric that the study holds, tumours."""
    rows = study.rows("doses")
    results = []
    for metric in METRICS:
        if metric == plan.dose_metric or not any(
            row[metric] is not None and row["phase"] == plan.dose_phase for row in rows
        ):
            continue
        other = replace(plan, dose_metric=metric)
        pairs = lesion_pairs(read_cohort(study, other))
        if pairs.has_both:
            word = "delivered" if plan.dose_phase == "post" else "predicted"
            results.append(
                difference_result(
                    f"difference.lesion.{metric}",
                    f"{_METRIC_WORDS[metric]} of responding tumours",
                    pairs,
                    other,
                    role=EXPLORATORY,
                    dose=word,
                )
            )
    return results


def _by_criterion(study: StudyDatabase, plan: StudyPlan) -> list[Result]:
    """Sensitivity: the primary comparison by every other criterion that the study has measurements for."""
    rows = study.rows("lesion_visits")
    visit = f"month{plan.response_month}"
    results = []
    for criterion in CRITERIA:
        if criterion == plan.response_criterion:
            continue
        if not any(row[measure_field(criterion)] is not None and row["visit"] == visit for row in rows):
            continue
        cohort = read_cohort(study, replace(plan, response_criterion=criterion))
        key = criterion.lower().replace(" ", "-")
        results.append(
            difference_result(
                f"sensitivity.criterion.{key}",
                f"The primary comparison by {criterion}",
                patient_pairs(cohort),
                plan,
                role=EXPLORATORY,
                dose="delivered" if plan.dose_phase == "post" else "predicted",
            )
        )
    return results
