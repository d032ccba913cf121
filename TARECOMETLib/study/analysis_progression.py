"""Time to progression as results: each kind, dose groups of the plan, the landmark."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .cohort import Cohort
from .inverse_dose import on_scale
from .plan import LOG, StudyPlan
from .result import Result, interval_words, p_words
from .survival import (
    DIED,
    HEPATIC,
    OVERALL,
    PROGRESSED,
    TARGET,
    Hazard,
    Times,
    cox,
    cumulative_incidence,
    kaplan_meier,
    log_rank,
    times_to_progression,
)


def progression_results(cohort: Cohort, is_post_hoc: bool) -> list[Result]:
    """Kaplan-Meier, Cox and competing death for each kind of progression; the landmark."""
    results: list[Result] = []
    for endpoint in (OVERALL, HEPATIC, TARGET):
        try:
            times = times_to_progression(cohort, endpoint)
            results += _endpoint_results(cohort, times, endpoint, is_post_hoc)
        except InputError as error:
            results.append(
                Result(
                    f"progression.{endpoint}",
                    f"Time to {endpoint} progression",
                    {"patients": len(cohort.patients)},
                    "none",
                    f"Not computed: {error.problem}.",
                )
            )
    results += _landmark(cohort)
    return results


def _endpoint_results(cohort: Cohort, times: Times, endpoint: str, is_post_hoc: bool) -> list[Result]:
    plan = cohort.plan
    n = {
        "patients": len(times.months),
        "events": int(times.is_event.sum()),
        "deaths_before": int(np.sum(times.status == DIED)),
    }
    curve = kaplan_meier(times.months, times.is_event, plan.confidence)
    bounds = " to ".join("not reached" if v is None else f"{v:.1f}" for v in (curve.median_low, curve.median_high))
    median = "not reached" if curve.median is None else f"{curve.median:.1f} months ({interval_words(plan)} {bounds})"
    more: dict[str, Any] = {"kaplan_meier": curve.document(), "groups": _groups(times, plan, is_post_hoc)}
    if n["events"]:
        more["cumulative_incidence"] = {
            "progression": cumulative_incidence(times, PROGRESSED, plan.confidence).document(),
            **({"death": cumulative_incidence(times, DIED, plan.confidence).document()} if n["deaths_before"] else {}),
        }
    results = [
        Result(
            f"progression.{endpoint}",
            f"Time to {endpoint} progression",
            n,
            "Kaplan-Meier from the first treatment, log-minus-log interval; death and other therapy censored",
            f"Median time to {endpoint} progression: {median}; {n['deaths_before']} died before.",
            curve.median,
            (curve.median_low, curve.median_high),
            None,
            "months",
            assumptions=("censoring says nothing of progression; Aalen-Johansen shows death as a competing risk",),
            more=more,
        )
    ]
    for name, doses in (
        ("mean", [p.tumour_dose_gy.get("plan") for p in times.patients]),
        ("smallest", [p.smallest_tumour_dose_gy for p in times.patients]),
    ):
        results += _cox_result(times, endpoint, name, doses, plan)
    return results


def _cox_result(times: Times, endpoint: str, name: str, doses: list[float | None], plan: StudyPlan) -> list[Result]:
    known = np.array([d is not None and (plan.dose_scale != LOG or d > 0.0) for d in doses])
    values = np.array([d for d, k in zip(doses, known, strict=True) if k], dtype=float)
    events = int(times.is_event[known].sum())
    if plan.dose_metric.startswith("v") or events < 5 or len(values) < 10 or np.ptp(values) == 0.0:
        return []
    x = on_scale(values, plan.dose_scale)
    # Per doubling on the logarithmic scale, per 10 Gy on the linear: figures a reader can picture.
    unit, scale = ("per doubling of dose", np.log(2.0)) if plan.dose_scale == LOG else ("per 10 Gy", 10.0)
    hazard = cox(times.months[known], times.is_event[known], {"dose": x / scale}, plan.confidence)["dose"]
    title = "mean tumour dose" if name == "mean" else "the tumour with the least dose"
    return [
        Result(
            f"progression.{endpoint}.cox.{name}",
            f"Time to {endpoint} progression and {title}",
            {"patients": hazard.n, "events": hazard.events},
            "Cox regression on continuous dose, Efron's ties",
            f"Hazard of {endpoint} progression by {title}, {unit}: ratio {hazard.ratio:.2f} ({interval_words(plan)} "
            f"{hazard.low:.2f} to {hazard.high:.2f}; {p_words(hazard.p)}).",
            hazard.ratio,
            (hazard.low, hazard.high),
            hazard.p,
            f"hazard ratio {unit}",
            assumptions=(_proportional(hazard), "one row per patient"),
            warnings=("fewer than 10 events",) if events < 10 else (),
            more={
                "log_hazard_per_scale_unit": hazard.coefficient / scale,
                "log_hazard_standard_error": hazard.standard_error / scale,
            },
        )
    ]


def _proportional(hazard: Hazard) -> str:
    words = "not tested" if hazard.p_proportional is None else p_words(hazard.p_proportional)
    return f"proportional hazards, scaled Schoenfeld residuals against rank of time: {words}"


def _groups(times: Times, plan: StudyPlan, is_post_hoc: bool) -> dict[str, Any]:
    """Curves of dose groups by the plan's cut-offs; without those cut-offs there are no groups, and so no p."""
    if not plan.dose_groups_gy:
        return {"remark": "no cut-offs in the plan: no groups and no p"}
    doses = np.array([p.tumour_dose_gy.get("plan", np.nan) for p in times.patients])
    known = np.isfinite(doses)
    group = np.digitize(doses[known], plan.dose_groups_gy)
    months, events = times.months[known], times.is_event[known]
    edges = [0.0, *plan.dose_groups_gy, np.inf]
    found: dict[str, Any] = {"curves": []}
    for number in np.unique(group):
        mask = group == number
        label = (
            f"{edges[number]:g} to {edges[number + 1]:g} Gy"
            if np.isfinite(edges[number + 1])
            else f"{edges[number]:g} Gy and more"
        )
        found["curves"].append(
            {
                "group": label,
                "patients": int(mask.sum()),
                "events": int(events[mask].sum()),
                **kaplan_meier(months[mask], events[mask], plan.confidence).document(),
            }
        )
    if is_post_hoc:
        found["remark"] = "the plan was changed after the lock: p is withheld"
    elif len(found["curves"]) > 1:
        found["p_log_rank"] = log_rank(months, events, group)
    return found


def _landmark(cohort: Cohort) -> list[Result]:
    """Responders against others among those without progression at the landmark."""
    plan = cohort.plan
    try:
        times = times_to_progression(cohort, OVERALL)
    except InputError:
        return []
    at = float(plan.landmark_month)
    kept = (times.months > at) & np.array([p.is_responder is not None for p in times.patients])
    months, events = times.months[kept] - at, times.is_event[kept]
    responder = np.array([p.is_responder is True for p in times.patients])[kept]
    key, title = "progression.landmark", f"Progression after month {plan.landmark_month} and response"
    n = {"patients": int(kept.sum()), "events": int(events.sum()), "responders": int(responder.sum())}
    late = plan.response_month > plan.landmark_month
    if late or min(int(responder.sum()), int((~responder).sum())) < 3 or events.sum() < 5:
        reason = (
            "the response is judged after the landmark" if late else "too few patients or events after the landmark"
        )
        return [Result(key, title, n, "none", f"Not computed: {reason}.")]
    try:
        hazard = cox(months, events, {"responder": responder.astype(float)}, plan.confidence)["responder"]
    except InputError as error:
        return [Result(key, title, n, "none", f"Not computed: {error.problem}.")]
    more = {
        name: kaplan_meier(months[mask], events[mask], plan.confidence).document()
        for name, mask in (("responders", responder), ("non_responders", ~responder))
    }
    return [
        Result(
            key,
            title,
            n,
            "Cox regression from the landmark, Efron's ties",
            f"Among {n['patients']} patients without progression at month {plan.landmark_month}, "
            f"responders' hazard is {hazard.ratio:.2f} times that "
            f"of the others ({interval_words(plan)} {hazard.low:.2f} to {hazard.high:.2f}; {p_words(hazard.p)}).",
            hazard.ratio,
            (hazard.low, hazard.high),
            hazard.p,
            "hazard ratio",
            assumptions=(
                _proportional(hazard),
                "the landmark keeps responders from gaining time they had to live through to respond",
            ),
            more=more,
        )
    ]
