"""The effective tumour dose: dose-response curves, resampled patients, ROC."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .analysis_response import CLUSTERED, LEAST_PER_GROUP, Pairs, lesion_pairs, patient_pairs
from .cohort import Cohort
from .gee import fit_exchangeable
from .inverse_dose import dose_at, gamma50, on_scale
from .logistic import LogisticFit, design_of, expit, fit_firth, fit_logistic, fit_weighted, z_of
from .plan import LOG, StudyPlan
from .random_intercept import RandomInterceptFit, fit_random_intercept
from .resampling import patient_weights, percentile_interval
from .result import Result, interval_words, p_words
from .roc import ValidatedCutOff, WeightedRoc, area, validated_cut_offs, wilson_interval
from .window import curve_of


def dose_response_results(cohort: Cohort) -> tuple[list[Result], dict[str, LogisticFit], dict[str, Pairs]]:
    """Dose-response and ROC of tumours and patients; the fits for the window and the figures."""
    plan = cohort.plan
    results: list[Result] = []
    fits: dict[str, LogisticFit] = {}
    data = {"lesion": lesion_pairs(cohort), "patient": patient_pairs(cohort)}
    for level, pairs in data.items():
        problem = _problem(pairs, plan)
        if problem:
            results.append(
                Result(
                    f"dose-response.{level}",
                    f"Dose-response, {level} level",
                    pairs.n,
                    "none",
                    f"Not computed: {problem}.",
                )
            )
            continue
        results += _level_results(level, pairs, plan, fits)
    results += _adjusted(cohort)
    return results, fits, data


def _problem(pairs: Pairs, plan: StudyPlan) -> str:
    if plan.dose_metric.startswith("v"):
        return "a volume is no dose: only differences between groups are given"
    if not pairs.has_both:
        return f"fewer than {LEAST_PER_GROUP} responders or non-responders"
    if plan.dose_scale == LOG and pairs.dose_gy.min() <= 0.0:
        return "a dose of 0 Gy has no logarithm; choose the linear scale in the plan"
    return "all doses are alike" if np.ptp(pairs.dose_gy) == 0.0 else ""


def _level_results(level: str, pairs: Pairs, plan: StudyPlan, fits: dict[str, LogisticFit]) -> list[Result]:
    x, y = on_scale(pairs.dose_gy, plan.dose_scale), pairs.responder.astype(float)
    design = design_of(x)
    models: list[tuple[str, LogisticFit]] = []
    is_clustered = len(np.unique(pairs.clusters)) < len(y)
    plain = fit_logistic(design, y, pairs.clusters if is_clustered else None)
    if plain.is_separated:
        models.append(("firth", fit_firth(design, y)))
    elif is_clustered:
        models.append(("random-intercept", fit_random_intercept(design, y, pairs.clusters)))
        models.append(("gee", fit_exchangeable(design, y, pairs.clusters)))
        models.append(("gee-independence", plain))
    else:
        models.append(("logistic", plain))
    fits[level] = models[0][1]
    weights = patient_weights(len(np.unique(pairs.clusters)), plan.bootstraps, np.random.default_rng([plan.seed, 2]))
    results = [_curve_result(f"dose-response.{level}.{name}", level, fit, pairs, plan) for name, fit in models]
    if not plain.is_separated:  # else slopes run away in every resample
        results.append(_bootstrap_result(level, x, y, pairs, plan, weights))
    results.append(_roc_result(level, pairs, plan, weights))
    return results


def _curve_result(key: str, level: str, fit: LogisticFit, pairs: Pairs, plan: StudyPlan) -> Result:
    doses = [
        dose_at(fit, value, plan.dose_scale, pairs.seen_gy, plan.confidence) for value in plan.response_levels_percent
    ]
    slope, error = float(fit.coefficients[1]), float(fit.standard_errors[1])
    z = z_of(plan.confidence)
    p = 2.0 * _upper_tail(abs(slope / error))
    more: dict[str, Any] = {
        "intercept": float(fit.coefficients[0]),
        "slope": slope,
        "slope_low": slope - z * error,
        "slope_high": slope + z * error,
        "dose_scale": plan.dose_scale,
        "dose_at": [d.document() for d in doses],
        "curve": curve_of(fit, plan.dose_scale, pairs.seen_gy, plan.confidence),
        "calibration": _calibration(fit, pairs, plan),
        "isotonic": _isotonic(fit, pairs, plan),
    }
    assumptions = [f"logit linear in {'ln dose' if plan.dose_scale == LOG else 'dose'}: {_linearity(pairs, plan)}"]
    if isinstance(fit, RandomInterceptFit):
        more |= {"patient_sd_logit": fit.patient_sd, "p_no_clustering": fit.p_no_clustering}
        assumptions.append("normal intercepts of patients; the curve is that of a patient with the median intercept")
    elif len(np.unique(pairs.clusters)) < len(pairs.clusters):
        assumptions.append(CLUSTERED + "; the curve is the average over patients")
    lead = next((d for d in doses if d.level_percent == 50.0), doses[0])
    if lead.level_percent == 50.0 and lead.estimate_gy is not None:
        value, low, high = gamma50(fit, plan.dose_scale, lead.estimate_gy, plan.confidence)
        more |= {"gamma50": value, "gamma50_low": low, "gamma50_high": high}
    words = "; ".join(f"{d.level_percent:g} % response: {d.sentence}" for d in doses)
    return Result(
        key,
        f"Effective dose, {level} level",
        pairs.n,
        fit.method,
        f"{words}. Slope {p_words(p)}.",
        lead.estimate_gy,
        (lead.low_gy, lead.high_gy) if lead.estimate_gy is not None else None,
        p,
        "Gy",
        assumptions=tuple(assumptions),
        more=more,
    )


def _upper_tail(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-z))


def _linearity(pairs: Pairs, plan: StudyPlan) -> str:
    """A squared term's p, by the robust covariance."""
    x = on_scale(pairs.dose_gy, plan.dose_scale)
    centered = x - x.mean()
    try:
        fit = fit_logistic(design_of(centered, centered**2), pairs.responder.astype(float), pairs.clusters)
    except (InputError, np.linalg.LinAlgError):
        return "not tested"
    error = fit.standard_errors[2]
    return (
        f"squared term {p_words(2.0 * _upper_tail(abs(float(fit.coefficients[2] / error))))}"
        if error > 0.0
        else "not tested"
    )


def _calibration(fit: LogisticFit, pairs: Pairs, plan: StudyPlan) -> list[dict[str, Any]]:
    """Observed and expected response by fifths of dose."""
    expected = fit.probability(design_of(on_scale(pairs.dose_gy, plan.dose_scale)))
    rows = []
    for part in np.array_split(np.argsort(pairs.dose_gy, kind="stable"), min(5, len(expected))):
        low, high = wilson_interval(int(pairs.responder[part].sum()), len(part), plan.confidence)
        rows.append(
            {
                "n": len(part),
                "mean_dose_gy": pairs.dose_gy[part].mean(),
                "expected": expected[part].mean(),
                "observed": pairs.responder[part].mean(),
                "low": low,
                "high": high,
            }
        )
    return rows


def _isotonic(fit: LogisticFit, pairs: Pairs, plan: StudyPlan) -> dict[str, Any]:
    """Monotone step curve without a model: how far the model lies from it, and where it reaches a half."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(pairs.dose_gy, kind="stable")
    steps = isotonic_regression(pairs.responder[order].astype(float)).x
    model = fit.probability(design_of(on_scale(pairs.dose_gy[order], plan.dose_scale)))
    above = np.flatnonzero(steps >= 0.5)
    found: dict[str, Any] = {"root_mean_square_difference": float(np.sqrt(np.mean((steps - model) ** 2)))}
    if len(above) and above[0] > 0:
        found["dose_at_half_gy"] = float(pairs.dose_gy[order][above[0]])
    return found


def _bootstrap_result(
    level: str, x: np.ndarray, y: np.ndarray, pairs: Pairs, plan: StudyPlan, weights: np.ndarray
) -> Result:
    """Resampled patients: slope, D50 and AUC of the independence-weighted logistic fit, and its calibration slope."""
    _, index = np.unique(pairs.clusters, return_inverse=True)
    center, spread = float(x.mean()), float(x.std())
    design = design_of((x - center) / spread)
    start = fit_weighted(design, y, np.ones(len(y)))
    roc = WeightedRoc(pairs.dose_gy, y)
    slopes, halves, areas, calibrations = (np.full(len(weights), np.nan) for _ in range(4))
    for number, drawn in enumerate(weights):
        w = drawn[index].astype(float)
        if w[y > 0.5].sum() == 0.0 or w[y < 0.5].sum() == 0.0:
            continue
        b = fit_weighted(design, y, w, start)
        slopes[number], halves[number] = b[1] / spread, center - spread * b[0] / b[1] if b[1] != 0.0 else np.nan
        areas[number] = roc.area(w)
        eta = design @ b
        if np.ptp(eta) > 1e-9 and number < 300:  # its mean alone is used: 300 resamples settle it
            calibrations[number] = fit_weighted(design_of(eta), y, np.ones(len(y)))[1]
    slope = percentile_interval(slopes, plan.confidence)
    half = percentile_interval(halves, plan.confidence)
    apparent = float(start[1] / spread)
    auc = percentile_interval(areas, plan.confidence)
    more: dict[str, Any] = {
        "resamples": int(np.isfinite(slopes).sum()),
        "slope_low": slope[0],
        "slope_high": slope[1],
        "auc_low": auc[0],
        "auc_high": auc[1],
        "calibration_slope_corrected": float(np.nanmean(calibrations)),
        "brier": float(np.mean((y - expit(design @ start)) ** 2)),
    }
    if slope[0] > 0.0 or slope[1] < 0.0:
        doses = [float(np.exp(v)) if plan.dose_scale == LOG else float(v) for v in half]
        for name, value in zip(("d50_low_gy", "d50_high_gy"), doses, strict=True):
            if pairs.seen_gy[0] <= value <= pairs.seen_gy[1]:
                more[name] = value
    sentence = (
        f"Over {more['resamples']} resamples of patients the slope lies between {slope[0]:.3g} "
        f"and {slope[1]:.3g} and the area under "
        f"the ROC curve between {auc[0]:.2f} and {auc[1]:.2f}"
        f"; the calibration slope in new patients is about {more['calibration_slope_corrected']:.2f}."
    )
    return Result(
        f"dose-response.{level}.bootstrap",
        f"Dose-response over resampled patients, {level} level",
        pairs.n,
        "bootstrap of patients: independence-weighted logistic fit and AUC, percentiles",
        sentence,
        apparent,
        slope,
        None,
        "per ln Gy" if plan.dose_scale == LOG else "per Gy",
        more=more,
    )


def _roc_result(level: str, pairs: Pairs, plan: StudyPlan, weights: np.ndarray) -> Result:
    y = pairs.responder.astype(float)
    found = area(pairs.dose_gy, y, pairs.clusters, plan.confidence)
    youden, fixed = validated_cut_offs(pairs.dose_gy, y, pairs.clusters, plan.fixed_specificity, weights)
    sensitivity, fall_out = WeightedRoc(pairs.dose_gy, y).curve()
    more: dict[str, Any] = {
        "youden": _cut_off(youden),
        "curve": {"sensitivity": sensitivity, "one_minus_specificity": fall_out},
    }
    if fixed is not None:
        more["fixed_specificity"] = {"specificity": plan.fixed_specificity, **_cut_off(fixed)}
    sentence = (
        f"Area under the ROC curve {found.value:.2f} ({interval_words(plan)} {found.low:.2f} to {found.high:.2f}). "
        f"Youden's cut-off is "
        f"{youden.apparent.threshold:.0f} Gy: sensitivity {youden.corrected_sensitivity:.2f} "
        f"and specificity {youden.corrected_specificity:.2f} "
        "after correction for optimism."
    )
    return Result(
        f"roc.{level}",
        f"ROC, {level} level",
        pairs.n,
        f"AUC by {found.method}; cut-offs corrected by resampled patients",
        sentence,
        found.value,
        (found.low, found.high),
        found.p,
        "",
        assumptions=("response rises with dose",),
        more=more,
    )


def _cut_off(cut: ValidatedCutOff) -> dict[str, float]:
    return {
        "threshold_gy": cut.apparent.threshold,
        "sensitivity": cut.apparent.sensitivity,
        "specificity": cut.apparent.specificity,
        "corrected_sensitivity": cut.corrected_sensitivity,
        "corrected_specificity": cut.corrected_specificity,
    }


def _adjusted(cohort: Cohort) -> list[Result]:
    """The dose's slope with the plan's covariates of the patient."""
    plan = cohort.plan
    if not plan.covariates or plan.dose_metric.startswith("v"):
        return []
    rows = [
        (p.tumour_dose_gy["plan"], float(p.is_responder is True), *(float(p.row[c]) for c in plan.covariates))  # type: ignore[arg-type]
        for p in cohort.patients
        if "plan" in p.tumour_dose_gy and all(p.row[c] is not None for c in plan.covariates)
    ]
    n = {"patients": len(rows), "responders": int(sum(r[1] for r in rows))}
    key, title = "dose-response.patient.adjusted", "Dose-response adjusted for " + ", ".join(plan.covariates)
    if len(rows) < 10 * (1 + len(plan.covariates)) or n["responders"] in (0, len(rows)):
        return [Result(key, title, n, "none", "Not computed: fewer than ten patients per coefficient.")]
    columns = np.array(rows).T
    fit = fit_logistic(design_of(on_scale(columns[0], plan.dose_scale), *columns[2:]), columns[1])
    error, z = fit.standard_errors, z_of(plan.confidence)
    slope = float(fit.coefficients[1])
    p = 2.0 * _upper_tail(abs(slope / float(error[1])))
    names = ("dose", *plan.covariates)
    more = {
        "coefficients": [
            {"name": name, "estimate": fit.coefficients[k + 1], "standard_error": error[k + 1]}
            for k, name in enumerate(names)
        ]
    }
    sentence = f"With {', '.join(plan.covariates)} held fixed the slope of dose is {slope:.3g} ({p_words(p)})."
    return [
        Result(
            key,
            title,
            n,
            fit.method,
            sentence,
            slope,
            (slope - z * float(error[1]), slope + z * float(error[1])),
            p,
            "logit",
            more=more,
        )
    ]
