"""A case's plan: from contours and the MAA image, or from typed masses, to what planning computes with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from ..dosimetry.compartments import ALL_TUMOURS, LIVER, LUNG, NORMAL_PERFUSED, TERRITORY, WHOLE_NORMAL
from ..dosimetry.compartments import TUMOUR as TUMOUR_ROLE
from ..dosimetry.dose import dose_per_activity_gy_g_per_mbq
from ..dosimetry.radiobiology import Radiobiology
from ..errors import InputError
from ..physics.nuclides import constants_set
from ..planning.patient import (
    DERIVED,
    GLASS,
    PERFUSED,
    RESIN,
    TUMOUR,
    PlanInputs,
    PlannedInjection,
    Region,
    normal_perfused_name,
    perfused_name,
    typed_inputs,
)
from ..planning.plan import OrderLine, Plan, Wishes, make_plan, order_lines
from ..planning.treatment_calendar import time_zone, typed_date, typed_moment
from ..planning.vials import THERASPHERE_SIZES_GBQ, Vial, give
from ..units import MBQ_PER_GBQ
from .checks import check_case, pre_image
from .document import DIAGNOSTIC, MAA_CT, MAA_SPECT, Case, Injection, Tissue
from .findings import Finding, refuse_blocks, sort_findings
from .inputs import Inputs
from .lung import is_cut
from .phase import Ground, carried_density, image_density
from .plan_document import PlannedEntry, PlanSettings, VialOrder, VialPick, plan_goals
from .steps import Steps, part
from .workflow import CaseResults, place

# A plan is made before there is a treatment: stands in where a check asks for the time of an injection.
_LONG_AFTER = "2999-01-01T00:00:00"


@dataclass(frozen=True, eq=False)
class CasePlan:
    """A case with its plan.

    Parameters
    ----------
    case : Case
    plan : Plan
    orders : tuple of OrderLine
    no_orders : str
        Why there are no vials.
    findings : tuple of Finding
        On the images and contours it was made from.
    """

    case: Case
    plan: Plan
    orders: tuple[OrderLine, ...]
    no_orders: str
    findings: tuple[Finding, ...] = ()


def settings_of(case: Case) -> PlanSettings:
    """The plan's settings; defaults where the case has none."""
    return case.plan or PlanSettings()


def planned_entries(case: Case) -> tuple[PlannedEntry, ...]:
    """Injections that are planned: those of the plan, else those of the case, else one into each territory."""
    settings = settings_of(case)
    if settings.injections:
        return settings.injections
    if settings.typed:
        return tuple(PlannedEntry(territory.name, territory.name) for territory in settings.typed)
    if case.injections:
        return tuple(PlannedEntry(i.id, i.territory, i.time[:10], i.lung_shunt_fraction) for i in case.injections)
    territories = case.contours_of(TERRITORY) or case.contours_of(LIVER)
    return tuple(PlannedEntry(name, name) for name in territories)


def planned_injections(case: Case) -> tuple[PlannedInjection, ...]:
    """The planned injections with their lung shunt and expected residual."""
    return tuple(
        PlannedInjection(
            entry.name,
            entry.territory,
            case.lung_shunt_fraction if entry.lung_shunt_fraction is None else entry.lung_shunt_fraction,
            entry.expected_residual,
            entry.date,
        )
        for entry in planned_entries(case)
    )


def spheres_of(case: Case) -> str:
    """glass or resin: as set, else by the name of the device."""
    if settings_of(case).spheres:
        return settings_of(case).spheres
    device = case.device.lower()
    return RESIN if "sir-sph" in device or "sirsph" in device or "resin" in device else GLASS


def plan_inputs(case: Case, ground: Ground, counts_per_ml: np.ndarray) -> PlanInputs:
    """What a plan is computed from, of contours and counts on the dose grid.

    Each injection's activity is shared out over the counts of its own territory; where territories overlap each
    counts the shared place as its own.

    Parameters
    ----------
    case : Case
    ground : Ground
    counts_per_ml : ndarray of shape (k, j, i)
        On the dose grid.
    """
    parcels, settings = ground.parcels, settings_of(case)
    injections = planned_injections(case)
    mass_g = parcels.volume_ml * ground.density_g_ml
    density = counts_per_ml.ravel()[parcels.voxel].astype(float)
    counts = density * parcels.volume_ml
    for injection in injections:
        if injection.territory not in parcels.names:
            known = ", ".join(case.contours_of(TERRITORY) + case.contours_of(LIVER)) or "none is drawn"
            raise InputError(
                f'planned injection "{injection.name}"',
                f'there is no territory contour "{injection.territory}"',
                f"Name one of: {known}",
                "territory",
            )
    inside = np.array([(parcels.code & parcels.bit(i.territory)) != 0 for i in injections])
    total = np.array([float(counts[mask].sum()) for mask in inside])
    constants = constants_set(case.constants_set)
    # Gy per GBq of each parcel and injection: K (1 - LSF) times its share of the counts over its mass.
    kept = np.array([(1.0 - i.lung_shunt_fraction) * MBQ_PER_GBQ for i in injections])
    per_total = np.where(total > 0.0, kept / np.where(total > 0.0, total, 1.0), 0.0)
    per_gram = dose_per_activity_gy_g_per_mbq(constants) * counts / mass_g

    def region(name: str, kind: str, chosen: np.ndarray) -> Region:
        here = inside[:, chosen]
        return Region(
            name=name,
            kind=kind,
            volume_ml=float(parcels.volume_ml[chosen].sum()),
            mass_g=float(mass_g[chosen].sum()),
            counts=tuple(float(v) for v in here @ counts[chosen]),
            mass_inside_g=tuple(float(v) for v in here @ mass_g[chosen]),
            rate_gy_per_gbq=(here * per_gram[chosen] * per_total[:, None]).T,
            voxel_ml=parcels.volume_ml[chosen],
        )

    liver = (parcels.code & ground.bits_of(case, LIVER)) != 0
    tumour = (parcels.code & ground.bits_of(case, TUMOUR_ROLE)) != 0
    normal, reached = liver & ~tumour, inside.any(axis=0)
    regions = []
    for name in case.contours_of(TUMOUR_ROLE):
        chosen = (parcels.code & parcels.bit(name)) != 0
        if not chosen.any():
            raise InputError(f'contour "{name}"', "it is empty", "Draw it or take it out of the case", "empty-contour")
        regions.append(region(name, TUMOUR, chosen))
    groups = [
        (ALL_TUMOURS, DERIVED, tumour),
        (WHOLE_NORMAL, DERIVED, normal),
        (NORMAL_PERFUSED, DERIVED, normal & reached),
    ]
    for number, territory in enumerate([i.territory for i in injections]):
        if territory in [i.territory for i in injections[:number]]:
            continue
        groups.append((normal_perfused_name(territory), DERIVED, normal & inside[number]))
        groups.append((perfused_name(territory), PERFUSED, inside[number]))
    regions += [region(name, kind, chosen) for name, kind, chosen in groups if chosen.any()]
    return PlanInputs(
        injections=injections,
        regions=tuple(regions),
        territory_counts=tuple(float(value) for value in total),
        liver_volume_ml=float(parcels.volume_ml[liver].sum()),
        non_perfused_ml=float(parcels.volume_ml[normal & ~reached].sum()),
        lung_mass_g=_lung_mass_g(case, ground, mass_g),
        constants=constants,
        spheres=spheres_of(case),
        height_cm=settings.height_cm,
        weight_kg=settings.weight_kg,
        source="99mTc-MAA SPECT",
    )


def _lung_mass_g(case: Case, ground: Ground, mass_g: np.ndarray) -> float:
    """As lung doses take it: by CT where whole lungs are drawn, else the assumed mass."""
    names = case.contours_of(LUNG)
    seen_g = sum(float(mass_g[(ground.parcels.code & ground.parcels.bit(name)) != 0].sum()) for name in names)
    if seen_g > 0.0 and not is_cut([ground.contours[name] for name in names]):
        return seen_g
    return case.settings.lung_mass_g


def inputs_of_typed(case: Case) -> PlanInputs:
    """Plan inputs of a case whose masses and ratios are typed."""
    settings = settings_of(case)
    return typed_inputs(
        settings.typed,
        planned_injections(case),
        non_perfused_g=settings.typed_non_perfused_g,
        density_g_ml=case.settings.liver_density_g_ml,
        lung_mass_g=case.settings.lung_mass_g,
        constants=constants_set(case.constants_set),
        spheres=spheres_of(case),
        height_cm=settings.height_cm,
        weight_kg=settings.weight_kg,
    )


def before_treatment(case: Case) -> Case:
    """The case as it stands before treatment: no 90Y image, planned injections in the place of given ones."""
    return replace(
        case,
        images={role: entry for role, entry in case.images.items() if role in (DIAGNOSTIC, MAA_SPECT, MAA_CT)},
        injections=tuple(
            Injection(entry.name, entry.territory, _LONG_AFTER, MBQ_PER_GBQ) for entry in planned_entries(case)
        ),
        registration_lps={phase: rows for phase, rows in case.registration_lps.items() if phase == "pre"},
    )


def computing_inputs(case: Case, inputs: Inputs) -> Steps[tuple[PlanInputs, list[Finding]]]:
    """Plan inputs of a case; a generator of (share done, what)."""
    yield 0.0, "checking"
    if settings_of(case).typed:
        return inputs_of_typed(case), []
    if pre_image(case) is None:
        raise InputError(
            "images",
            "there is no MAA SPECT to plan from",
            "Add it, or type masses and tumour-to-normal ratios under plan.typed",
            "no-emission-image",
        )
    early = before_treatment(case)
    findings = check_case(early, inputs)
    refuse_blocks(sort_findings(findings, case.accepted))
    placing = place(early, inputs, {"pre": MAA_SPECT}, findings)
    registrations, ground = yield from part(placing, 0.05, 0.85)
    yield 0.85, "counts on the dose grid"
    constants = constants_set(case.constants_set)
    density = image_density(early, constants, MAA_SPECT, inputs.images[MAA_SPECT], "relative")
    counts = carried_density(density, registrations["pre"], ground, keep_negative=False)
    return plan_inputs(case, ground, counts), sort_findings(findings, case.accepted)


def plan_case(case: Case, inputs: Inputs) -> Steps[CasePlan]:
    """Plan a case; a generator of (share done, what) whose value is a CasePlan."""
    made, findings = yield from part(computing_inputs(case, inputs), 0.0, 0.9)
    yield 0.9, "planning"
    return finish_plan(case, made, findings)


def plan_of_results(results: CaseResults) -> CasePlan | None:
    """The plan of a computed case, from its own image before treatment; None where it has none."""
    phase = results.phases.get("pre")
    if phase is None or phase.counts_per_ml is None:
        return None
    return finish_plan(results.case, plan_inputs(results.case, results.ground, phase.counts_per_ml))


def finish_plan(case: Case, inputs: PlanInputs, findings: list[Finding] | None = None) -> CasePlan:
    """Plan with the case's goals and vials; takes a fraction of a second."""
    plan = make_plan(inputs, wishes_of(case))
    orders, reason = orders_of(case, plan)
    return CasePlan(case, plan, orders, reason, tuple(findings or ()))


def wishes_of(case: Case) -> Wishes:
    """Goals, targets and the rest of a case's plan."""
    settings, entries = settings_of(case), planned_entries(case)
    territories = len({entry.territory for entry in entries})

    def tissue(given: Tissue | None) -> Radiobiology | None:
        return None if given is None else Radiobiology(given.alpha_beta_gy, given.repair_half_time_h)

    return Wishes(
        goals=plan_goals(settings, territories, spheres_of(case)),
        target_tumours=settings.target_tumours or None,
        minimum_target_ml=settings.minimum_target_ml,
        earlier=settings.earlier,
        tumour_tissue=tissue(case.settings.tumour_tissue),
        liver_tissue=tissue(case.settings.liver_tissue),
        perfused_gy=settings.perfused_gy,
        normal_liver_gy=settings.normal_liver_gy,
        prescribed_gbq=tuple(entry.prescribed_gbq for entry in entries),
        uncertainty=settings.uncertainty,
    )


def orders_of(case: Case, plan: Plan) -> tuple[tuple[OrderLine, ...], str]:
    """Vials of the plan, or why there are none."""
    order = settings_of(case).vials
    if order is None:
        return (), "the hospital's time zone and treatment week are not given (plan.vials)"
    if plan.inputs.spheres == RESIN and order.facts.sizes_gbq == THERASPHERE_SIZES_GBQ:
        return (), "the vial sizes are those of glass microspheres: give the device's own (plan.vials.facts)"
    days: list[date | None] = []
    weeks: list[list[date]] = []
    for entry in planned_entries(case):
        day = typed_date(entry.date, f'planned injection "{entry.name}", date') if entry.date else None
        days.append(day)
        weeks.append([day] if day else [typed_date(week, "plan.vials.weeks") for week in order.weeks])
    if not any(weeks) and not any(entry.vial for entry in planned_entries(case)):
        return (), "no treatment week is given (plan.vials.weeks, or a date of the planned injection)"
    lines = order_lines(plan, order.working, weeks, days, order.facts, order.tolerance, order.most_vials)
    picks = [entry.vial for entry in planned_entries(case)]
    lines = [_with_pick(plan, line, picks[line.injection], order) for line in lines]
    return tuple(lines), "" if lines else "no injection gets any activity"


def _with_pick(plan: Plan, line: OrderLine, pick: VialPick | None, order: VialOrder) -> OrderLine:
    """The line with the vials and hour that a person chose; refused before calibration and past shelf life."""
    if pick is None:
        return line
    injection = plan.inputs.injections[line.injection]
    where = f'planned injection "{injection.name}", vial, hour'
    hour = typed_moment(pick.hour, time_zone(order.working.time_zone), where)
    calibration = order.facts.calibration_in_week(typed_date(pick.calibration, "vial choice, calibration"))
    vials = [Vial(size, calibration, order.facts) for size in pick.sizes_gbq]
    chosen = give(vials, hour, line.prescribed_gbq, injection.residual_fraction, plan.inputs.constants)
    return replace(line, proposed=chosen)
