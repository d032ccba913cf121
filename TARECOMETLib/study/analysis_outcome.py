"""Toxicity, therapeutic window, power and sensitivity as results."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .analysis_response import Pairs
from .cohort import Cohort
from .inverse_dose import on_scale
from .logistic import LogisticFit
from .plan import LOG, StudyPlan
from .power import patients_needed, power_of_comparison
from .result import Result, interval_words
from .roc import wilson_interval
from .schema import NORMAL_PERFUSED, WHOLE_NORMAL
from .simex import error_on_scale, simex_slope
from .toxicity import TOXICITY, DoseToxicity, dose_toxicity
from .window import curve_of, uncomplicated_response


def toxicity_results(cohort: Cohort) -> tuple[list[Result], dict[str, DoseToxicity]]:
    """Dose-toxicity of both reference volumes."""
    plan = cohort.plan
    results, found = [], {}
    for compartment in (WHOLE_NORMAL, NORMAL_PERFUSED):
        name = "whole" if compartment == WHOLE_NORMAL else "perfused"
        data = dose_toxicity(cohort, compartment)
        found[compartment] = data
        n = {
            "patients": len(cohort.patients),
            "judged": len(data.dose_gy),
            "events": int(data.event.sum()),
            "competing": sum(data.competing.values()),
        }
        more: dict[str, Any] = {"status": data.counts, "competing_events": data.competing, "compartment": compartment}
        words = (
            f"Toxicity of grade {plan.toxicity_grade} or more within {plan.toxicity_months} months "
            f"in {data.counts.get(TOXICITY, 0)} patients; "
            f"{n['competing']} had a competing event first and count neither way"
        )
        if data.fit is None or data.safe is None:
            results.append(
                Result(
                    f"toxicity.{name}",
                    f"Toxicity and dose to the {compartment.lower()}",
                    n,
                    "none",
                    f"{words}. No curve was fitted.",
                    warnings=data.warnings,
                    more=more,
                )
            )
            continue
        more |= {
            "intercept": data.fit.coefficients[0],
            "slope": data.fit.coefficients[1],
            "slope_standard_error": data.fit.standard_errors[1],
            "dose_scale": plan.toxicity_dose_scale,
            "dose_at_risk": [d.document() for d in data.levels],
            "safe_dose": {
                "risk_percent": plan.chosen_risk_percent,
                "dose_gy": data.safe.estimate_gy,
                "sentence": data.safe.sentence,
            },
            "lkb": data.lkb,
            "curve": curve_of(data.fit, plan.toxicity_dose_scale, data.seen_gy, plan.confidence),
        }
        if data.worst_case is not None:
            more["competing_as_toxicity"] = {
                "intercept": data.worst_case.coefficients[0],
                "slope": data.worst_case.coefficients[1],
            }
        slope, error = float(data.fit.coefficients[1]), float(data.fit.standard_errors[1])
        results.append(
            Result(
                f"toxicity.{name}",
                f"Safe dose to the {compartment.lower()}",
                n,
                data.fit.method,
                f"{words}. Safe dose: {data.safe.sentence}.",
                data.safe.estimate_gy,
                None,
                _p(slope / error),
                "Gy",
                assumptions=("competing events do not depend on the dose beyond chance",),
                warnings=data.warnings,
                more=more,
            )
        )
    return [*results, *_reild(cohort)], found


def _reild(cohort: Cohort) -> list[Result]:
    """Radioembolization-induced liver disease of grade 3 or more."""
    graded = [int(p.reild["grade"]) for p in cohort.patients if p.reild is not None and p.reild["grade"] is not None]
    if not graded:
        return []
    events = sum(grade >= 3 for grade in graded)
    interval = wilson_interval(events, len(graded), cohort.plan.confidence)
    counts = {str(grade): graded.count(grade) for grade in sorted(set(graded))}
    return [
        Result(
            "toxicity.reild",
            "Radioembolization-induced liver disease",
            {"patients": len(graded), "events": events},
            "share of patients graded; Wilson interval",
            f"{events} of {len(graded)} patients had grade 3 or more "
            f"({interval_words(cohort.plan)} {100 * interval[0]:.1f} to {100 * interval[1]:.1f} %).",
            events / len(graded),
            interval,
            None,
            "share",
            more={"grades": counts},
        )
    ]


def _p(z: float) -> float:
    from scipy.special import ndtr

    return float(2.0 * ndtr(-abs(z)))


def window_results(
    cohort: Cohort, fits: dict[str, LogisticFit], pairs: dict[str, Pairs], toxicity: dict[str, DoseToxicity]
) -> list[Result]:
    """Response and toxicity on one axis."""
    plan = cohort.plan
    level = "lesion" if "lesion" in fits else "patient" if "patient" in fits else ""
    results = []
    for compartment, name in ((WHOLE_NORMAL, "whole"), (NORMAL_PERFUSED, "perfused")):
        liver = toxicity[compartment]
        if not level or liver.fit is None or liver.fit.coefficients[1] <= 0.0:
            continue
        ratios = [
            p.tumour_dose_gy["plan"] / dose
            for p in cohort.patients
            if "plan" in p.tumour_dose_gy and (dose := p.normal_dose_gy[compartment].get(plan.dose_phase, 0.0)) > 0.0
        ]
        if not ratios:
            continue
        ratio = float(np.median(ratios))
        seen = pairs[level].seen_gy
        more = {
            "response": curve_of(fits[level], plan.dose_scale, seen, plan.confidence),
            "toxicity": curve_of(liver.fit, plan.toxicity_dose_scale, liver.seen_gy, plan.confidence),
            "uncomplicated": uncomplicated_response(
                fits[level], plan.dose_scale, seen, liver.fit, plan.toxicity_dose_scale, liver.seen_gy, ratio
            ),
        }
        best = more["uncomplicated"].get("best_normal_dose_gy")
        words = (
            "The doses seen do not overlap."
            if best is None
            else (
                f"At the cohort's median ratio of tumour to normal dose "
                f"of {ratio:.1f}, response without toxicity is most likely "
                f"({100 * more['uncomplicated']['best_probability']:.0f} "
                f"%) at {best:.0f} Gy to the {compartment.lower()}."
            )
        )
        results.append(
            Result(
                f"window.{name}",
                f"Therapeutic window against the {compartment.lower()}",
                {"patients": len(ratios)},
                f"{level}-level response and logistic toxicity, taken as independent",
                words,
                best,
                None,
                None,
                "Gy",
                warnings=liver.warnings,
                more=more,
            )
        )
    return results


def power_result(pairs: Pairs, plan: StudyPlan, evaluable_share: float) -> list[Result]:
    """What this cohort could show, and how many patients show the difference it saw."""
    if not pairs.has_both or plan.dose_metric.startswith("v"):
        return []
    a, b = pairs.dose_gy[pairs.responder], pairs.dose_gy[~pairs.responder]
    sd = float(np.sqrt((a.var(ddof=1) * (len(a) - 1) + b.var(ddof=1) * (len(b) - 1)) / (len(a) + len(b) - 2)))
    if sd <= 0.0:
        return []
    alpha = 1.0 - plan.confidence
    sizes = [20.0, 30.0, 40.0, 50.0, 75.0, 100.0]
    share = len(a) / len(pairs.dose_gy)
    table: list[dict[str, Any]] = [
        {
            "difference_gy": d,
            "power": power_of_comparison(len(a), len(b), d, sd, alpha),
            "patients_for_80_percent": _needed(d, sd, share, alpha, 1.0 - evaluable_share),
        }
        for d in sizes
    ]
    shown = next((row["difference_gy"] for row in table if row["power"] >= 0.8), None)
    words = "No difference of up to 100 Gy" if shown is None else f"A difference of {shown:g} Gy or more"
    return [
        Result(
            "power",
            "Power of the primary comparison",
            pairs.n,
            "two-sided t test, noncentral t",
            f"{words} would be seen with 80 % power at the SD of {sd:.0f} Gy found here.",
            more={"sd_gy": sd, "table": table},
            assumptions=("computed from the SD alone; not a test of the difference found",),
        )
    ]


def _needed(difference_gy: float, sd_gy: float, share: float, alpha: float, not_evaluable: float) -> int | None:
    """Patients for 80 % power; None where no study could be that large."""
    try:
        return patients_needed(difference_gy, sd_gy, share, 0.8, alpha, not_evaluable_share=not_evaluable)
    except InputError:
        return None


def simex_results(cohort: Cohort) -> list[Result]:
    """Sensitivity to dose error, where the study holds each dose's uncertainty."""
    plan = cohort.plan
    rows = [
        (lesion.dose_gy["plan"], lesion.uncertainty_gy, bool(lesion.is_responder), p.patient_id)
        for p, lesion in cohort.lesions
        if "plan" in lesion.dose_gy
        and lesion.uncertainty_gy
        and lesion.is_responder is not None
        and p.not_evaluable not in ("death", "other therapy")
    ]
    key, title = "sensitivity.dose-error", "Sensitivity to dose error"
    n = {"lesions": len(rows), "patients": len({r[3] for r in rows}), "responders": sum(r[2] for r in rows)}
    if len(rows) < 20 or n["responders"] in (0, len(rows)) or plan.dose_metric != "mean_gy":
        return [
            Result(key, title, n, "none", "Not computed: fewer than 20 tumours with an uncertainty of their mean dose.")
        ]
    dose, error = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], dtype=float)
    found = simex_slope(
        on_scale(dose, plan.dose_scale),
        error_on_scale(dose, error, plan.dose_scale),
        np.array([float(r[2]) for r in rows]),
        np.array([r[3] for r in rows]),
        np.random.default_rng([plan.seed, 3]),
        plan.confidence,
    )
    return [
        Result(
            key,
            title,
            n,
            found.method,
            f"Dose error alone flattens the slope: {found.naive:.3g} as found, {found.corrected:.3g} "
            f"({interval_words(plan)} {found.low:.3g} to {found.high:.3g}) "
            f"without it; {100 * found.reliability:.0f} % of the spread of doses is true.",
            found.corrected,
            (found.low, found.high),
            None,
            "per ln Gy" if plan.dose_scale == LOG else "per Gy",
            assumptions=("errors independent from tumour to tumour, of the stored size, and free of bias",),
            more={
                "naive": found.naive,
                "naive_low": found.naive_low,
                "naive_high": found.naive_high,
                "reliability": found.reliability,
                "path": [{"added": a, "slope": s} for a, s in found.path],
            },
        )
    ]
