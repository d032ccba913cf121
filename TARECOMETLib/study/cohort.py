"""Patients and tumours as the analysis reads them: doses by the plan, outcomes at their visits, who is evaluable."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from ..errors import InputError
from .database import Row, StudyDatabase
from .histogram import EUD, metric_from_histogram
from .plan import PERCIST, StudyPlan
from .response import NE, Measured, Response, lesion_response, measure_field, patient_response
from .schema import NORMAL_PERFUSED, TUMOUR, WHOLE_NORMAL

DAYS_PER_MONTH = 30.4375
_ASSUMED_DENSITY_G_ML = 1.05


@dataclass(frozen=True)
class Lesion:
    """A tumour.

    Parameters
    ----------
    dose_gy : dict
        Phase to the plan's metric (Gy, or per cent for V_x).
    uncertainty_gy : float or None
        Standard uncertainty of the mean dose of the plan's phase.
    is_responder : bool or None
        By the plan's criterion adapted to one tumour.
    """

    patient_id: str
    name: str
    mass_g: float | None
    dose_gy: Mapping[str, float]
    uncertainty_gy: float | None
    measured: Measured
    is_responder: bool | None
    change_percent: float | None
    is_dose_defined: bool


@dataclass(frozen=True)
class Patient:
    """A patient with everything the analysis asks for; times are months since the first treatment."""

    patient_id: str
    row: Row
    treated: date | None
    lesions: tuple[Lesion, ...]
    tumour_dose_gy: Mapping[str, float]
    normal_dose_gy: Mapping[str, Mapping[str, float]]
    normal_dvh: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]
    response: Response
    not_evaluable: str
    death_month: float | None
    last_month: float | None
    progressions: tuple[tuple[float, str], ...]
    other_events: tuple[tuple[float, str], ...]
    toxicities: tuple[Row, ...] = ()
    reild: Row | None = None
    remarks: tuple[str, ...] = ()

    @property
    def is_responder(self) -> bool | None:
        """None where not evaluable."""
        return None if self.not_evaluable else self.response.is_responder

    @property
    def smallest_tumour_dose_gy(self) -> float | None:
        """The tumour with the least dose of the plan's phase."""
        doses = [lesion.dose_gy["plan"] for lesion in self.lesions if "plan" in lesion.dose_gy]
        return min(doses, default=None)


@dataclass(frozen=True)
class Cohort:
    """All patients of a study under a plan."""

    plan: StudyPlan
    patients: tuple[Patient, ...]
    dose_method: str
    remarks: tuple[str, ...] = field(default=())

    @property
    def lesions(self) -> list[tuple[Patient, Lesion]]:
        """Tumours that enter the primary analysis, with their patients."""
        return [
            (p, lesion)
            for p in self.patients
            for lesion in p.lesions
            if self.plan.include_dose_defined or not lesion.is_dose_defined
        ]


def read_cohort(study: StudyDatabase, plan: StudyPlan) -> Cohort:
    """Read all patients under a plan. Lock the plan before."""
    tables: dict[str, dict[str, list[Row]]] = {}
    for name in (
        "treatments",
        "compartments",
        "doses",
        "lesion_visits",
        "patient_visits",
        "toxicities",
        "reild",
        "progressions",
        "other_events",
    ):
        grouped: dict[str, list[Row]] = defaultdict(list)
        for row in study.rows(name):
            grouped[str(row["patient_id"])].append(row)
        tables[name] = grouped
    method = _method(plan, [row for rows in tables["doses"].values() for row in rows])
    patients = tuple(
        _patient(row, {name: grouped.get(str(row["patient_id"]), []) for name, grouped in tables.items()}, plan, method)
        for row in study.rows("patients")
    )
    remarks = sorted({remark for p in patients for remark in p.remarks})
    counts = [f"{sum(r in p.remarks for p in patients)} patients: {r}" for r in remarks]
    return Cohort(plan, patients, method, tuple(counts))


def _method(plan: StudyPlan, doses: list[Row]) -> str:
    there = sorted({str(row["method"]) for row in doses})
    if plan.dose_method:
        return plan.dose_method
    if len(there) > 1:
        raise InputError(
            "plan.dose_method", f"the study holds doses by {', '.join(there)}", "Choose one in the plan", "dose-method"
        )
    return there[0] if there else "unstated"


def _months(day: object, start: date | None) -> float | None:
    if not day or start is None:
        return None
    return (date.fromisoformat(str(day)) - start).days / DAYS_PER_MONTH


def month_of(visit: str) -> float | None:
    """Months after treatment at which a visit is planned."""
    if visit == "baseline":
        return 0.0
    for word, factor in (("month", 1.0), ("week", 7.0 / DAYS_PER_MONTH)):
        if visit.startswith(word) and visit[len(word) :].isdigit():
            return int(visit[len(word) :]) * factor
    return None


def _patient(row: Row, tables: dict[str, list[Row]], plan: StudyPlan, method: str) -> Patient:
    days = [date.fromisoformat(str(r["date"])) for r in tables["treatments"] if r["date"]]
    start = min(days, default=None)
    remarks: list[str] = []
    visit = f"month{plan.response_month}"
    measurements = _measurements(tables["lesion_visits"], plan, start, visit)
    lesions = tuple(
        _lesion(c, tables["doses"], measurements.get(str(c["name"]), {}), plan, method, visit, remarks)
        for c in tables["compartments"]
        if c["kind"] == TUMOUR
    )
    death, last = _months(row["death_date"], start), _months(row["last_contact_date"], start)
    if death is not None:
        last = death
    others = tuple(
        sorted((m, str(r["kind"])) for r in tables["other_events"] if (m := _months(r["date"], start)) is not None)
    )
    progressions = tuple(
        sorted((m, str(r["kind"])) for r in tables["progressions"] if (m := _months(r["date"], start)) is not None)
    )
    response = _response(tables, lesions, plan, visit)
    reason = _not_evaluable(response, plan, death, others, tables, start, visit)
    if reason == "death" and response.category != NE:
        remarks.append("measured at a visit after death; not used")
    return Patient(
        patient_id=str(row["patient_id"]),
        row=row,
        treated=start,
        lesions=lesions,
        tumour_dose_gy=_tumour_dose(lesions, plan, remarks),
        normal_dose_gy=_normal_doses(tables, method),
        normal_dvh=_normal_dvh(tables, plan.dose_phase, method),
        response=response,
        not_evaluable=reason,
        death_month=death,
        last_month=last,
        progressions=progressions,
        other_events=others,
        toxicities=tuple(tables["toxicities"]),
        reild=tables["reild"][0] if tables["reild"] else None,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _measurements(rows: list[Row], plan: StudyPlan, start: date | None, visit: str) -> dict[str, dict[str, Row]]:
    """Tumour to visit to row; a dated visit outside its window is not used for the plan's month."""
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        if str(row["visit"]) == visit and not _in_window(
            row["date"], start, plan.response_month, plan.visit_window_days
        ):
            continue
        found[str(row["name"])][str(row["visit"])] = row
    return found


def _in_window(day: object, start: date | None, month: int, window_days: int) -> bool:
    if not day or start is None:
        return True
    planned = start + timedelta(days=round(month * DAYS_PER_MONTH))
    return abs((date.fromisoformat(str(day)) - planned).days) <= window_days


def _lesion(
    compartment: Row,
    doses: list[Row],
    visits: dict[str, Row],
    plan: StudyPlan,
    method: str,
    visit: str,
    remarks: list[str],
) -> Lesion:
    name = str(compartment["name"])
    dose_gy: dict[str, float] = {}
    uncertainty = None
    for row in doses:
        if row["name"] != name or row["method"] != method:
            continue
        value = row.get(plan.dose_metric)
        if value is None or (plan.dose_metric == EUD and plan.eud_exponent not in (0.0, row["eud_exponent"])):
            value = metric_from_histogram(row, plan.dose_metric, plan.eud_exponent)
        shape_metric = plan.dose_metric[0] in "dv"
        if value is None or (shape_metric and row["is_resolved"] == 0 and not plan.include_unresolved):
            continue
        dose_gy[str(row["phase"])] = float(value)
        if row["phase"] == plan.dose_phase:
            dose_gy["plan"] = float(value)
            uncertainty = row["mean_uncertainty_gy"]
    measure = measure_field(plan.response_criterion)
    values = {v: float(row[measure]) for v, row in visits.items() if row[measure] is not None}  # type: ignore[arg-type]
    size = visits.get("baseline", {}).get("diameter_mm")
    measured = Measured(
        name,
        str(compartment["organ"] or "liver"),
        bool(compartment["is_lymph_node"]),
        values,
        float(size) if size is not None else None,
    )
    is_responder, change = lesion_response(
        plan.response_criterion,
        values.get("baseline"),
        values.get(visit),
        percist_least_sul=plan.percist_least_sul,
        tlg_response_percent=plan.tlg_response_percent,
    )
    mass = compartment["mass_g"]
    if mass is None and compartment["volume_ml"] is not None:
        mass = _ASSUMED_DENSITY_G_ML * float(compartment["volume_ml"])
    if compartment["is_dose_defined"]:
        remarks.append("tumours drawn on the image whose dose they report")
    return Lesion(
        str(compartment["patient_id"]),
        name,
        None if mass is None else float(mass),
        dose_gy,
        None if uncertainty is None else float(uncertainty),
        measured,
        is_responder,
        change,
        bool(compartment["is_dose_defined"]),
    )


def _tumour_dose(lesions: tuple[Lesion, ...], plan: StudyPlan, remarks: list[str]) -> dict[str, float]:
    """Mass-weighted mean over all tumours, by phase; absent where one of them has no dose or mass."""
    used = [lesion for lesion in lesions if plan.include_dose_defined or not lesion.is_dose_defined]
    found = {}
    for phase in ("pre", "post", "plan"):
        if not used or any(phase not in lesion.dose_gy for lesion in used):
            continue
        if any(lesion.mass_g is None for lesion in used) and len(used) > 1:
            remarks.append("a tumour without volume: no mass-weighted dose")
            continue
        masses = [lesion.mass_g or 1.0 for lesion in used]
        doses = [lesion.dose_gy[phase] for lesion in used]
        found[phase] = sum(m * d for m, d in zip(masses, doses, strict=True)) / sum(masses)
    return found


def _normal_doses(tables: dict[str, list[Row]], method: str) -> dict[str, dict[str, float]]:
    kinds = {str(c["name"]): str(c["kind"]) for c in tables["compartments"]}
    found: dict[str, dict[str, float]] = {WHOLE_NORMAL: {}, NORMAL_PERFUSED: {}}
    for row in tables["doses"]:
        kind = kinds.get(str(row["name"]), "")
        if kind in found and row["method"] == method and row["mean_gy"] is not None:
            found[kind][str(row["phase"])] = float(row["mean_gy"])
    return found


def _normal_dvh(
    tables: dict[str, list[Row]], phase: str, method: str
) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    kinds = {str(c["name"]): str(c["kind"]) for c in tables["compartments"]}
    found = {}
    for row in tables["doses"]:
        kind = kinds.get(str(row["name"]), "")
        if (
            kind in (WHOLE_NORMAL, NORMAL_PERFUSED)
            and row["phase"] == phase
            and row["method"] == method
            and row["dvh_dose_gy"]
        ):
            found[kind] = (tuple(json.loads(str(row["dvh_dose_gy"]))), tuple(json.loads(str(row["dvh_volume_ml"]))))
    return found


def _response(tables: dict[str, list[Row]], lesions: tuple[Lesion, ...], plan: StudyPlan, visit: str) -> Response:
    by_visit = {str(row["visit"]): row for row in tables["patient_visits"]}
    at = by_visit.get(visit, {})
    months = {v: m for lesion in lesions for v in lesion.measured.values if (m := month_of(v)) is not None}
    earlier = [v for v, m in sorted(months.items(), key=lambda item: item[1]) if 0.0 < m < plan.response_month]
    liver: dict[str, float] = {}
    if plan.response_criterion == PERCIST:
        liver = {v: float(r["liver_sul_mean"]) for v, r in by_visit.items() if r["liver_sul_mean"] is not None}  # type: ignore[arg-type]
    return patient_response(
        plan.response_criterion,
        [lesion.measured for lesion in lesions],
        visit,
        earlier,
        new_lesion=bool(at.get("new_lesion")),
        non_target_progression=bool(at.get("non_target_progression")),
        liver_sul=liver,
        percist_least_sul=plan.percist_least_sul,
        tlg_response_percent=plan.tlg_response_percent,
    )


def _not_evaluable(
    response: Response,
    plan: StudyPlan,
    death: float | None,
    others: tuple[tuple[float, str], ...],
    tables: dict[str, list[Any]],
    start: date | None,
    visit: str,
) -> str:
    """Why a patient cannot be judged at the plan's month; empty where it can be."""
    opens = plan.response_month - plan.visit_window_days / DAYS_PER_MONTH
    if death is not None and death < opens:
        return "death"
    if any(month < opens and kind != "biliary obstruction" for month, kind in others):
        return "other therapy"
    if response.category != NE:
        return ""
    late = [
        r
        for r in tables["lesion_visits"]
        if r["visit"] == visit and not _in_window(r["date"], start, plan.response_month, plan.visit_window_days)
    ]
    if late:
        return "scan outside the window"
    if not any(r["visit"] == visit for r in tables["lesion_visits"]):
        return "no scan"
    return response.reason or "not measurable"
