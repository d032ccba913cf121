"""A plan as a JSON object, and its tables as rows. A figure that was not computed is absent, never zero or null."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import fields
from datetime import timezone
from typing import Any

from ..errors import InputError
from ..planning.criteria import Criterion
from ..planning.models import ModelRow
from ..planning.patient import PlanInputs, perfused_name
from ..planning.plan import OrderLine, Plan, predictions
from ..planning.uncertain import Band
from ..planning.vials import TO_BE_CONFIRMED, VialChoice, VialFacts
from ..planning.window import Miss, Window, window_text
from .codec import encode
from .document import SCHEMA_VERSION
from .plan import CasePlan, settings_of
from .provenance import provenance
from .results import constants_document, finding_document


def plan_document(made: CasePlan) -> dict[str, Any]:
    """The JSON object of a plan."""
    plan, case = made.plan, made.case
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "case_id": case.case_id,
        "device": case.device,
        "spheres": plan.inputs.spheres,
        "constants": constants_document(plan.inputs.constants),
        "inputs": _inputs(plan.inputs),
        "goals": [encode(goal) for goal in plan.wishes.goals],
        "models": [model_document(row) for row in plan.models],
        "models_without_answer": [
            {"model": row.model, "territory": row.territory, "reason": row.reason} for row in plan.no_models
        ],
        "targets": list(plan.targets.names),
        "excluded_tumours": [
            {"name": name, "reason": reason, "predicted_mean_gy": plan.dose_gy(plan.inputs.region(name))}
            for name, reason in plan.targets.excluded.items()
        ],
        "windows": [_window(plan, window) for window in plan.windows],
        "chosen": {
            "by": plan.chosen_by,
            "injections": [
                {"name": injection.name, "net_gbq": float(activity)}
                for injection, activity in zip(plan.inputs.injections, plan.activity_gbq, strict=True)
            ],
        },
        "criteria": [_status(plan, number) for number in range(len(plan.statuses))],
        "predictions": _predictions(plan),
        "lung": {"mean_gy": plan.lung_gy, "activity_mbq": plan.lung_mbq, "mass_g": plan.inputs.lung_mass_g},
        "warnings": [finding_document(finding) for finding in made.findings],
        "provenance": {**provenance(case), "plan_sha256": case.plan_sha256()},
    }
    if plan.optimum is not None:
        document["optimum"] = {
            "solver": plan.optimum.solver,
            "net_gbq": [float(value) for value in plan.optimum.activity_gbq],
            "worst_margin": plan.optimum.worst_margin,
            "worst_goal": plan.optimum.worst.words(),
            "whole_normal_liver_gy": plan.optimum.normal_liver_gy,
            "limits_used_up": [criterion.words() for criterion in plan.optimum.binding],
            "goals_missed": [_miss(miss) for miss in plan.optimum.missed],
        }
    else:
        document["no_optimum"] = plan.no_optimum
    if plan.curve is not None:
        document["trade_off"] = {
            "straight_between_points": plan.curve.exact,
            "points": [
                {"whole_normal_liver_gy": float(x), "worst_margin": float(y), "net_gbq": [float(a) for a in activity]}
                for x, y, activity in zip(
                    plan.curve.normal_gy, plan.curve.margin_gy, plan.curve.activity_gbq, strict=True
                )
            ],
        }
    if plan.wishes.uncertainty is not None:
        document["uncertainty"] = {
            "varied": plan.wishes.uncertainty.words(),
            "draws": plan.wishes.uncertainty.draws,
            "percentiles": [5, 50, 95],
        }
    if made.orders:
        order = settings_of(case).vials
        assert order is not None
        document["vials"] = {
            "time_zone": order.working.time_zone,
            "tolerance": order.tolerance,
            "facts": facts_document(order.facts),
            "injections": [_order(plan, line) for line in made.orders],
        }
    else:
        document["no_vials"] = made.no_orders
    return document


def _finite(**values: float | None) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}


def _inputs(inputs: PlanInputs) -> dict[str, Any]:
    injections = []
    for number, injection in enumerate(inputs.injections):
        entry: dict[str, Any] = {
            "name": injection.name,
            "territory": injection.territory,
            "lung_shunt_fraction": injection.lung_shunt_fraction,
            "expected_residual": injection.residual_fraction,
            "perfused_mass_g": inputs.region(perfused_name(injection.territory)).mass_g,
        }
        if injection.session:
            entry["date"] = injection.session
        # Absent where there is none: no tumour in the territory, or nothing but tumour.
        with contextlib.suppress(InputError):
            entry["tumour_to_normal"] = inputs.tumour_to_normal(number)
        injections.append(entry)
    return {
        "source": inputs.source,
        "injections": injections,
        "lung_mass_g": inputs.lung_mass_g,
        "liver_volume_ml": inputs.liver_volume_ml,
        "hepatic_reserve_share": inputs.non_perfused_share,
    }


def model_document(row: ModelRow) -> dict[str, Any]:
    """A row of the model table as JSON."""
    values = {entry.name: getattr(row, entry.name) for entry in fields(row)}
    return {name: value for name, value in values.items() if value is not None}


def _criterion(criterion: Criterion) -> dict[str, Any]:
    return {
        "words": criterion.words(),
        "region": criterion.region,
        "metric": criterion.goal.metric,
        "side": "at least" if criterion.is_goal else "at most",
        "bound": criterion.bound,
        "unit": criterion.goal.unit,
        "advisory": criterion.advisory,
        "reference": criterion.goal.reference,
        "level_of_evidence": criterion.goal.level_of_evidence,
        **({"note": criterion.goal.note} if criterion.goal.note else {}),
        **({"treatment": criterion.session} if criterion.session else {}),
    }


def _status(plan: Plan, number: int) -> dict[str, Any]:
    status = plan.statuses[number]
    document = {**_criterion(status.criterion), "value": status.value, "margin": status.margin, "met": status.met}
    for band in plan.criterion_bands:
        if band.criterion is status.criterion:
            document["band"] = _band(band.value)
            document["met_share_of_draws"] = band.met_share
    return document


def _band(band: Band) -> dict[str, float]:
    return _finite(p5=band.low, p50=band.middle, p95=band.high)


def _miss(miss: Miss) -> dict[str, Any]:
    return {**_criterion(miss.criterion), "value": miss.value, "missed_by": miss.amount}


def _window(plan: Plan, window: Window) -> dict[str, Any]:
    name = plan.inputs.injections[window.injection].name
    document: dict[str, Any] = {
        "injection": name,
        "open": window.is_open,
        **_finite(low_gbq=window.low_gbq, high_gbq=window.high_gbq if window.high_gbq >= 0.0 else None),
        "text": window_text(window, name),
        "misses": [_miss(miss) for miss in window.misses],
    }
    if window.binding_goal is not None:
        document["binding_goal"] = window.binding_goal.words()
    if window.binding_limit is not None:
        document["binding_limit"] = window.binding_limit.words()
    for band in plan.window_bands:
        if band.injection == window.injection:
            document["band"] = {
                **({"low_gbq": _band(band.low_gbq)} if band.low_gbq is not None else {}),
                **({"high_gbq": _band(band.high_gbq)} if band.high_gbq is not None else {}),
                "open_share_of_draws": band.open_share,
            }
    return document


def _predictions(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "name": entry.region.name,
            "kind": entry.region.kind,
            "volume_ml": entry.region.volume_ml,
            "mass_g": entry.region.mass_g,
            "mean_gy": entry.mean_gy,
            **_finite(d70_gy=entry.d70_gy, d95_gy=entry.d95_gy),
        }
        for entry in predictions(plan)
    ]


def facts_document(facts: VialFacts) -> dict[str, Any]:
    """What is taken for granted of the vials, with what the site has to confirm."""
    document = {key: value for key, value in encode(facts).items() if key != "unconfirmed"}
    document[TO_BE_CONFIRMED.replace(" ", "_")] = list(facts.unconfirmed)
    return document


def choice_document(choice: VialChoice) -> dict[str, Any]:
    """One (vial, day, hour)."""
    return {
        "vials_gbq": list(choice.sizes_gbq),
        "calibration": choice.vials[0].calibration.isoformat(),
        "expiry": choice.vials[0].expiry.isoformat(),
        "hour": choice.hour.isoformat(),
        "hour_utc": choice.hour.astimezone(timezone.utc).isoformat(),
        "vial_gbq": choice.vial_gbq,
        "delivered_gbq": choice.delivered_gbq,
        "deviation": choice.deviation,
        "bq_per_sphere": choice.bq_per_sphere,
        "spheres": choice.spheres,
    }


def _order(plan: Plan, line: OrderLine) -> dict[str, Any]:
    injection = plan.inputs.injections[line.injection]
    document: dict[str, Any] = {
        "injection": injection.name,
        "territory": injection.territory,
        "prescribed_net_gbq": line.prescribed_gbq,
        "expected_residual": injection.residual_fraction,
        "choices": [choice_document(choice) for choice in line.choices],
    }
    if line.proposed is not None:
        document["proposed"] = choice_document(line.proposed)
    return document


MODEL_COLUMNS = (
    *("model", "territory", "prescription", "net_gbq", "order_gbq", "tumour_gy", "normal_perfused_gy"),
    *("perfused_gy", "lung_gy", "formula", "inputs", "source"),
)
VIAL_COLUMNS = (
    *("injection", "territory", "prescribed_net_gbq", "expected_residual", "vials_gbq", "calibration", "expiry"),
    *("hour", "vial_gbq", "delivered_gbq", "deviation_percent", "bq_per_sphere", "spheres"),
)


def model_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of models.csv."""
    return list(document["models"])


def vial_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of vials.csv: every choice of every injection."""
    rows = []
    for line in document.get("vials", {}).get("injections", []):
        for choice in line["choices"]:
            rows.append(
                {
                    **{name: line[name] for name in VIAL_COLUMNS[:4]},
                    **{name: choice[name] for name in VIAL_COLUMNS if name in choice},
                    "vials_gbq": sizes_text(choice["vials_gbq"]),
                    "deviation_percent": 100.0 * choice["deviation"],
                }
            )
    return rows


def sizes_text(sizes_gbq: Sequence[float]) -> str:
    """3 + 5."""
    return " + ".join(f"{size:g}" for size in sizes_gbq)
