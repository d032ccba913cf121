"""Predicted against delivered dose over the study's tumours and normal livers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..comparison.agreement import agreement, plain
from ..errors import InputError
from .cohort import Cohort
from .resampling import patient_weights, percentile_interval
from .result import Result, interval_words
from .schema import NORMAL_PERFUSED, WHOLE_NORMAL

_LEAST_PAIRS = 5
# Passing-Bablok takes all pairs of pairs, and resampled ranks are slow: above this only the ratio is given.
_MOST_FOR_AGREEMENT, _MOST_RESAMPLES = 1500, 500


def concordance_pairs(cohort: Cohort) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Predicted dose, delivered dose and patient, by what is compared."""
    rows: dict[str, list[tuple[float, float, str]]] = {"Tumours": [], WHOLE_NORMAL: [], NORMAL_PERFUSED: []}
    for patient, lesion in cohort.lesions:
        if "pre" in lesion.dose_gy and "post" in lesion.dose_gy and not cohort.plan.dose_metric.startswith("v"):
            rows["Tumours"].append((lesion.dose_gy["pre"], lesion.dose_gy["post"], patient.patient_id))
    for patient in cohort.patients:
        for compartment in (WHOLE_NORMAL, NORMAL_PERFUSED):
            doses = patient.normal_dose_gy[compartment]
            if "pre" in doses and "post" in doses:
                rows[compartment].append((doses["pre"], doses["post"], patient.patient_id))
    return {
        name: (np.array([r[0] for r in found]), np.array([r[1] for r in found]), np.array([r[2] for r in found]))
        for name, found in rows.items()
        if len(found) >= _LEAST_PAIRS
    }


def concordance_results(cohort: Cohort) -> list[Result]:
    """Ratio of delivered to predicted dose with limits of agreement, patients resampled."""
    plan = cohort.plan
    results = []
    for name, (pre, post, patients) in concordance_pairs(cohort).items():
        key = {"Tumours": "tumours", WHOLE_NORMAL: "whole", NORMAL_PERFUSED: "perfused"}[name]
        usable = (pre > 0.0) & (post > 0.0)
        if int(usable.sum()) < _LEAST_PAIRS:
            continue
        logs = np.log(post[usable] / pre[usable])
        _, index = np.unique(patients[usable], return_inverse=True)
        count = index.max() + 1
        weights = patient_weights(count, plan.bootstraps, np.random.default_rng([plan.seed, 4])).astype(float)
        means = (weights @ np.bincount(index, logs, minlength=count)) / (weights @ np.bincount(index, minlength=count))
        low, high = percentile_interval(means, plan.confidence)
        mean, sd = float(logs.mean()), float(logs.std(ddof=1))
        quartiles = np.exp(np.quantile(logs, [0.25, 0.5, 0.75]))
        results.append(
            Result(
                f"concordance.{key}",
                f"Delivered over predicted dose, {name.lower()}",
                {"pairs": int(usable.sum()), "patients": int(count)},
                "geometric mean ratio, bootstrap of patients, percentiles",
                f"{name}: delivered dose is {np.exp(mean):.2f} times the predicted on average ({interval_words(plan)} "
                f"{np.exp(low):.2f} to {np.exp(high):.2f}); "
                f"single ratios lie between {np.exp(mean - 1.96 * sd):.2f} and {np.exp(mean + 1.96 * sd):.2f}.",
                float(np.exp(mean)),
                (float(np.exp(low)), float(np.exp(high))),
                None,
                "ratio",
                assumptions=("log-normal ratios",),
                more={
                    "sd_log_ratio": sd,
                    "ratio_quartiles": quartiles,
                    "limits_of_agreement": np.exp([mean - 1.96 * sd, mean + 1.96 * sd]),
                    "agreement": _agreement(pre, post, patients, plan.confidence, plan.bootstraps),
                    "pairs_gy": {"predicted": pre[usable], "delivered": post[usable]},
                },
            )
        )
    return results


def _agreement(
    pre: np.ndarray, post: np.ndarray, patients: np.ndarray, confidence: float, resamples: int
) -> dict[str, Any] | None:
    """Bland-Altman, concordance, ICC, Passing-Bablok and the rest, with patients resampled."""
    if len(pre) > _MOST_FOR_AGREEMENT:
        return None
    names = patients if len(np.unique(patients)) < len(patients) else None
    try:
        found = agreement(pre, post, names, level=confidence, resamples=min(resamples, _MOST_RESAMPLES))
    except InputError:
        return None
    document: dict[str, Any] = plain(found)
    return document
