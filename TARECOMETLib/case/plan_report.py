"""A plan's part of the report, as text rows."""

from __future__ import annotations

from ..planning.models import ModelRow
from ..planning.vials import TO_BE_CONFIRMED
from ..planning.window import window_text
from ..report.content import PlanReport
from .plan import CasePlan, settings_of
from .plan_results import sizes_text


def plan_report(made: CasePlan) -> PlanReport:
    """What the report says of a plan."""
    plan = made.plan
    names = [injection.name for injection in plan.inputs.injections]
    chosen = ", ".join(f"{n} {a:.3f} GBq" for n, a in zip(names, plan.activity_gbq, strict=True))
    windows = [window_text(window, names[window.injection]) for window in plan.windows]
    for band in plan.window_bands:
        ends = [
            f"{word} {end.low:.2f} to {end.high:.2f} GBq"
            for word, end in (("lower end", band.low_gbq), ("upper end", band.high_gbq))
            if end is not None
        ]
        windows.append(
            f"{names[band.injection]}, 5th to 95th percentile: {', '.join(ends) or 'no end'}; "
            f"open in {100.0 * band.open_share:.0f} % of draws."
        )
    notes = [f"Uptake: {plan.inputs.source}."]
    if plan.wishes.uncertainty is not None:
        notes.append(f"Varied: {plan.wishes.uncertainty.words()}.")
    notes.append(f"Activities by: {plan.chosen_by}.")
    if plan.optimum is not None:
        notes.append(f"Solver: {plan.optimum.solver}.")
    else:
        notes.append(f"No optimum: {plan.no_optimum}")
    for name, reason in plan.targets.excluded.items():
        dose = plan.dose_gy(plan.inputs.region(name))
        notes.append(f"Left out of the targets: {name} ({reason}), predicted {dose:.1f} Gy.")
    return PlanReport(
        chosen=f"{chosen} net",
        models=tuple(_model(row) for row in plan.models),
        windows=tuple(windows),
        criteria=tuple(
            (
                status.criterion.words(),
                f"{status.value:.1f} {status.criterion.goal.unit}",
                "met" if status.met else f"missed by {-status.margin:.1f}",
                "advisory" if status.criterion.advisory else "",
                f"{status.criterion.goal.reference or status.criterion.goal.origin}"
                + (f", evidence {status.criterion.goal.level_of_evidence}" if status.criterion.goal.reference else "")
                + (f"; {status.criterion.goal.note}" if status.criterion.goal.note else ""),
            )
            for status in plan.statuses
        ),
        vials=_vials(made),
        notes=tuple(notes),
    )


def _model(row: ModelRow) -> tuple[str, ...]:
    def dose(value: float | None) -> str:
        return "–" if value is None else f"{value:.1f}"

    return (
        row.model,
        row.territory,
        row.prescription,
        f"{row.net_gbq:.3f}",
        f"{row.order_gbq:.3f}",
        dose(row.tumour_gy),
        dose(row.normal_perfused_gy),
        dose(row.lung_gy),
    )


def _vials(made: CasePlan) -> tuple[str, ...]:
    order = settings_of(made.case).vials
    if order is None or not made.orders:
        return (f"No vials: {made.no_orders}.",)
    lines = []
    for line in made.orders:
        name = made.plan.inputs.injections[line.injection].name
        choice = line.proposed
        if choice is None:
            lines.append(f"{name}: no vial can be given in that time.")
            continue
        lines.append(
            f"{name}: {sizes_text(choice.sizes_gbq)} GBq calibrated {choice.vials[0].calibration:%Y-%m-%d %H:%M %Z}, "
            f"given {choice.hour:%Y-%m-%d %H:%M %Z}, delivers {choice.delivered_gbq:.3f} GBq "
            f"({100.0 * choice.deviation:+.1f} %), {choice.spheres / 1e6:.2f} million spheres of "
            f"{choice.bq_per_sphere:.0f} Bq."
        )
    if order.facts.unconfirmed:
        words = ", ".join(name.replace("_", " ") for name in order.facts.unconfirmed)
        lines.append(f"{TO_BE_CONFIRMED.capitalize()}: {words}.")
    return tuple(lines)
