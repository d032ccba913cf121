"""The order and administration sheet of a plan, in words and figures."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from ..dosimetry.compartments import NORMAL_PERFUSED, WHOLE_NORMAL
from ..errors import InputError
from ..planning.plan import OrderLine, Plan
from ..planning.prescription import order_activity_gbq
from ..planning.vials import VialChoice, VialFacts, give
from ..report.order_sheet import HourLine, OrderBlock, OrderSheet, SheetLine
from .plan import CasePlan, settings_of
from .plan_results import sizes_text
from .provenance import provenance

# 1 Ci = 37 GBq, exact.
MCI_PER_GBQ = 1000.0 / 37.0
MOST_OTHERS = 6
_MOST_TUMOURS, _MOST_MISSED = 6, 4


def order_sheet(made: CasePlan) -> OrderSheet | None:
    """The sheet; None where no vial was chosen."""
    order = settings_of(made.case).vials
    blocks = tuple(_block(made, line) for line in made.orders if line.proposed is not None)
    if order is None or not blocks:
        return None
    constants = made.plan.inputs.constants
    return OrderSheet(
        case_id=made.case.case_id,
        device=made.case.device,
        software=f"tarecomet {provenance(made.case)['software']['tarecomet']}",
        time_zone=order.working.time_zone,
        constants=(
            f"{constants.name}: K {constants.gy_kg_per_gbq:.6g} Gy·kg/GBq, half-life {constants.half_life_h:.6g} h"
        ),
        tolerance_percent=100.0 * order.tolerance,
        blocks=blocks,
        provenance=(("plan", made.case.plan_sha256()[:16]),),
    )


def _gbq(value: float) -> str:
    return f"{value:.3f}"


def _with_mci(value: float) -> str:
    return f"{value:.3f} GBq ({value * MCI_PER_GBQ:.1f} mCi)"


def _moment(moment: datetime) -> str:
    # Spelled in English whatever the computer's language: the sheet is read beside the vial's own papers.
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return f"{days[moment.weekday()]} {moment:%Y-%m-%d %H:%M}"


def _block(made: CasePlan, line: OrderLine) -> OrderBlock:
    plan, case = made.plan, made.case
    choice = line.proposed
    order = settings_of(case).vials
    assert choice is not None and order is not None
    injection = plan.inputs.injections[line.injection]
    zone = ZoneInfo(order.working.time_zone)
    local = choice.hour.astimezone(zone)
    first = choice.vials[0]
    facts = first.facts
    plural = "vials" if len(choice.vials) > 1 else "vial"
    sizes = sizes_text(choice.sizes_gbq)
    mci = " + ".join(f"{size * MCI_PER_GBQ:.0f}" for size in choice.sizes_gbq)
    headline = (
        f"Order {sizes} GBq ({plural} calibrated {_moment(first.calibration)} {first.calibration:%Z}); "
        f"give on {_moment(local)}: {_gbq(choice.vial_gbq)} GBq in the {plural}."
    )
    return OrderBlock(
        injection=injection.name,
        territory=injection.territory,
        headline=headline,
        order=(
            SheetLine("Vial size at calibration", f"{sizes} GBq ({mci} mCi)"),
            SheetLine("Number of vials", str(len(choice.vials))),
            SheetLine(
                "Calibration",
                f"{_moment(first.calibration)} {first.calibration:%Z} = {_moment(first.calibration.astimezone(zone))} "
                f"{first.calibration.astimezone(zone):%Z}",
                unsure=_unsure(facts, "calibration_weekday", "calibration_hour"),
            ),
            SheetLine(
                "Use before",
                f"{_moment(first.expiry.astimezone(zone))} ({facts.shelf_life_days:g} days)",
                unsure=_unsure(facts, "shelf_life_days"),
            ),
            SheetLine(
                "Spheres",
                f"{choice.spheres / 1e6:.2f} million at {facts.bq_per_sphere:g} Bq each at calibration",
                unsure=_unsure(facts, "bq_per_sphere"),
            ),
        ),
        administration=(
            SheetLine("Prescribed net activity", _with_mci(line.prescribed_gbq)),
            SheetLine("Expected residual", f"{100.0 * injection.residual_fraction:.1f} %"),
            SheetLine(
                f"Needed in the {plural}",
                _with_mci(order_activity_gbq(line.prescribed_gbq, injection.residual_fraction)),
            ),
            SheetLine("Planned hour", f"{_moment(local)} {local:%Z} (UTC {local.astimezone(timezone.utc):%H:%M})"),
            SheetLine(f"In the {plural} at that hour", _with_mci(choice.vial_gbq)),
            *_each(choice, plan),
            SheetLine("Net at that hour", _with_mci(choice.delivered_gbq)),
            SheetLine("Net against prescription", f"{100.0 * choice.deviation:+.1f} %"),
            SheetLine("Activity per sphere at that hour", f"{choice.bq_per_sphere:.0f} Bq"),
            SheetLine("Lung shunt", f"{100.0 * injection.lung_shunt_fraction:.2f} %"),
        ),
        predicted=_predicted(plan),
        hours=_hours(made, line, choice, zone),
        others=_others(line, choice, zone),
        warnings=_warnings(made, line, choice),
    )


def _each(choice: VialChoice, plan: Plan) -> tuple[SheetLine, ...]:
    """Each of several vials is assayed by itself."""
    if len(choice.vials) == 1:
        return ()
    held = [_gbq(vial.activity_gbq(choice.hour, plan.inputs.constants)) for vial in choice.vials]
    return (SheetLine("In each of them", f"{' + '.join(held)} GBq"),)


def _unsure(facts: VialFacts, *names: str) -> bool:
    return any(name in facts.unconfirmed for name in names)


def _predicted(plan: Plan) -> tuple[SheetLine, ...]:
    lines = [
        SheetLine(f"Mean dose, {name}", f"{plan.dose_gy(plan.inputs.region(name)):.1f}", "Gy")
        for name in (*plan.targets.names[:_MOST_TUMOURS], NORMAL_PERFUSED, WHOLE_NORMAL)
        if plan.inputs.has(name)
    ]
    if len(plan.targets.names) > _MOST_TUMOURS:
        lines.append(SheetLine("Further target tumours", f"{len(plan.targets.names) - _MOST_TUMOURS} in plan.json"))
    if len(plan.inputs.injections) > 1:
        lines.append(SheetLine("These doses are those of", f"all {len(plan.inputs.injections)} injections together"))
    return (*lines, SheetLine("Mean dose, lungs", f"{plan.lung_gy:.1f}", "Gy"))


def _hours(made: CasePlan, line: OrderLine, choice: VialChoice, zone: ZoneInfo) -> tuple[HourLine, ...]:
    """Each working hour of that day at which the vials may be used, and the planned one."""
    order = settings_of(made.case).vials
    assert order is not None
    day = choice.hour.astimezone(zone).date()
    hours = [hour for hour in order.working.in_week(day) if hour.date() == day]
    if choice.hour not in hours:
        hours.append(choice.hour.astimezone(zone))
    residual = made.plan.inputs.injections[line.injection].residual_fraction
    found = []
    for hour in sorted(hours, key=lambda h: h.astimezone(timezone.utc)):
        try:
            at = give(choice.vials, hour, line.prescribed_gbq, residual, made.plan.inputs.constants)
        except InputError:
            continue  # before calibration or past the shelf life
        found.append(
            HourLine(
                hour=f"{hour:%H:%M}",
                vial_gbq=_gbq(at.vial_gbq),
                net_gbq=_gbq(at.delivered_gbq),
                deviation=f"{100.0 * at.deviation:+.1f}",
                bq_per_sphere=f"{at.bq_per_sphere:.0f}",
                within=abs(at.deviation) <= order.tolerance,
                planned=hour.astimezone(timezone.utc) == choice.hour.astimezone(timezone.utc),
            )
        )
    return tuple(found)


def _others(line: OrderLine, chosen: VialChoice, zone: ZoneInfo) -> tuple[tuple[str, ...], ...]:
    """The nearest hour of every other vial and day."""
    best: dict[tuple[object, ...], VialChoice] = {}
    for choice in line.choices:
        key = (choice.sizes_gbq, choice.vials[0].calibration, choice.hour.date())
        if key == (chosen.sizes_gbq, chosen.vials[0].calibration, chosen.hour.date()):
            continue
        if key not in best or abs(choice.deviation) < abs(best[key].deviation):
            best[key] = choice
    ordered = sorted(best.values(), key=lambda choice: abs(choice.deviation))[:MOST_OTHERS]
    return tuple(
        (
            sizes_text(choice.sizes_gbq),
            f"{choice.vials[0].calibration.astimezone(zone):%Y-%m-%d}",
            _moment(choice.hour.astimezone(zone)),
            f"{100.0 * choice.deviation:+.1f}",
        )
        for choice in ordered
    )


def _warnings(made: CasePlan, line: OrderLine, choice: VialChoice) -> tuple[str, ...]:
    found = []
    order = settings_of(made.case).vials
    assert order is not None
    if abs(choice.deviation) > order.tolerance:
        found.append(
            f"No vial delivers {_gbq(line.prescribed_gbq)} GBq within {100.0 * order.tolerance:g} %: this one is "
            f"{100.0 * choice.deviation:+.1f} % off."
        )
    if made.plan.inputs.injections[line.injection].residual_fraction == 0.0:
        found.append("No residual is expected: enter the site's typical one.")
    missed = [status for status in made.plan.statuses if not status.met and not status.criterion.advisory]
    # Broken limits before goals out of reach.
    for status in sorted(missed, key=lambda status: status.criterion.is_goal)[:_MOST_MISSED]:
        unit = status.criterion.goal.unit
        found.append(f"Not met: {status.criterion.words()}; predicted {status.value:.1f} {unit}.")
    if len(missed) > _MOST_MISSED:
        found.append(f"{len(missed) - _MOST_MISSED} more goals or limits are not met: see plan.json.")
    left = choice.vials[0].expiry - choice.hour
    if left < timedelta(hours=24):
        found.append(f"Shelf life ends {left.total_seconds() / 3600.0:.0f} h after the planned hour.")
    return tuple(found)
