"""What the panel's step "Plan" shows: one object that answers to typing and dragging in a fraction of a second. No Qt.

The slow part, counts on the dose grid, is done once by ``computing_inputs`` (steps for a timer). After that a
``PlanPresenter`` holds the patient, and every change gives a new ``PlanView`` of plain texts and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..dosimetry.compartments import ALL_TUMOURS, LIVER, NORMAL_PERFUSED, WHOLE_NORMAL
from ..errors import InputError
from ..planning.patient import PlanInputs, Region
from ..planning.plan import Plan, curve_point, predictions, statuses
from ..planning.quick_dvh import cumulative_curve
from ..planning.uncertain import criterion_bands, window_band
from ..planning.vials import VialChoice
from ..planning.window import feasible_window
from .checks import own_ct, pre_image
from .document import DIAGNOSTIC, ROLE_WORDS, Case
from .panel_state import DONE, PROBLEM, READY, TO_DO, Action, StepState
from .plan import CasePlan, finish_plan, orders_of, planned_entries, settings_of
from .plan_document import PlannedEntry, PlanSettings, VialPick
from .plan_report import plan_report
from .plan_results import sizes_text

MODEL_HEADINGS = (
    *("Model", "Territory", "Prescription", "Net (GBq)", "In vial (GBq)"),
    *("Tumor (Gy)", "Normal perfused (Gy)", "Lungs (Gy)"),
)
CRITERION_HEADINGS = ("Goal or limit", "Predicted", "Result", "", "Reference")
PREDICTION_HEADINGS = ("Compartment", "mL", "Mean (Gy)", "D70 (Gy)", "D95 (Gy)")
VIAL_HEADINGS = (
    *("Injection", "Vial (GBq)", "Calibration", "Hour", "In vial (GBq)", "Net (GBq)"),
    *("Off (%)", "Bq/sphere", "Spheres (million)"),
)
_DVH_POINTS = 256
_MOST_TUMOUR_CURVES = 12


@dataclass(frozen=True, eq=False)
class PlanView:
    """What is shown; all texts are ready, a dash stands for what there is not.

    Parameters
    ----------
    problem : str
        Not empty: what was typed cannot be planned; everything else is what was shown before.
    activities : tuple of (str, float)
        Injection and chosen net activity in GBq.
    summary : str
        One line.
    models, criteria, predictions, vials : tuple of tuple of str
        Rows under ``MODEL_HEADINGS`` and the like.
    vial_choices : tuple of (int, VialChoice)
        Of each row of ``vials``: number of the injection and what a click on it chooses.
    windows, notes : tuple of str
        Sentences.
    curve : tuple of ndarray, ndarray
        Whole normal liver (Gy) and worst margin (Gy) of the trade-off; empty where there is none.
    point : tuple of (float, float)
        The chosen plan in that plane.
    dvh : dict
        Compartment to dose (Gy) and volume at or above it (%).
    """

    problem: str = ""
    activities: tuple[tuple[str, float], ...] = ()
    summary: str = ""
    models: tuple[tuple[str, ...], ...] = ()
    criteria: tuple[tuple[str, ...], ...] = ()
    predictions: tuple[tuple[str, ...], ...] = ()
    vials: tuple[tuple[str, ...], ...] = ()
    vial_choices: tuple[tuple[int, VialChoice], ...] = ()
    windows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    curve: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0))
    point: tuple[float, float] = (0.0, 0.0)
    dvh: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None


class PlanPresenter:
    """Holds a patient's uptake and answers to changes.

    Parameters
    ----------
    case : Case
    inputs : PlanInputs
        From ``computing_inputs``, or ``plan_inputs`` of a computed phase.
    """

    def __init__(self, case: Case, inputs: PlanInputs) -> None:
        self.case = case
        self.inputs = inputs
        self.made: CasePlan | None = None
        self.view = PlanView()
        self.change(settings_of(case))

    def change(self, settings: PlanSettings) -> PlanView:
        """Plan anew with other settings; what cannot be planned leaves the last plan and says why.

        Settings that add injections or move them to another territory need other uptake: make a new presenter then
        (``needs_new_inputs``). Shunts, residuals and dates do not.
        """
        case = replace(self.case, plan=settings)
        if needs_new_inputs(self.case, case):
            self.view = replace(self.view, problem="Other injections are planned: compute the uptake again")
            return self.view
        try:
            inputs = with_entries(self.inputs, planned_entries(case), case.lung_shunt_fraction)
            made = finish_plan(case, inputs)
        except InputError as error:
            self.view = replace(self.view, problem=str(error))
            return self.view
        self.case, self.inputs, self.made = case, inputs, made
        self.view = view_of(self.made)
        return self.view

    def drag(self, normal_liver_gy: float) -> PlanView:
        """Move the chosen point along the trade-off curve; activities, doses, DVHs and vials follow.

        It lets go of activities that were typed and of vials that were picked for them.
        """
        if self.made is None or self.made.plan.curve is None or self.made.plan.problem is None:
            return self.view
        plan = self.made.plan
        assert plan.curve is not None and plan.problem is not None
        low, high = float(plan.curve.normal_gy[0]), float(plan.curve.normal_gy[-1])
        at = min(max(normal_liver_gy, low), high)
        settings = settings_of(self.case)
        entries = tuple(replace(entry, prescribed_gbq=None, vial=None) for entry in settings.injections)
        self.case = replace(self.case, plan=replace(settings, normal_liver_gy=at, injections=entries))
        self.made = _at(self.case, self.made, curve_point(plan.problem, plan.curve, at), at)
        self.view = replace(view_of(self.made), models=self.view.models)
        return self.view

    def prescribe(self, injection: int, net_gbq: float | None) -> PlanView:
        """Type the net activity of one injection; None gives it back to the plan."""
        entries = list(planned_entries(self.case))
        try:
            entries[injection] = replace(entries[injection], prescribed_gbq=net_gbq, vial=None)
            return self.change(replace(settings_of(self.case), injections=tuple(entries)))
        except InputError as error:
            self.view = replace(self.view, problem=str(error))
            return self.view

    def pick(self, injection: int, choice: VialChoice) -> PlanView:
        """Choose vials and hour for the order sheet."""
        entries = list(planned_entries(self.case))
        entries[injection] = replace(
            entries[injection],
            vial=VialPick(
                choice.sizes_gbq,
                choice.vials[0].calibration.date().isoformat(),
                choice.hour.replace(tzinfo=None).isoformat(timespec="minutes"),
            ),
        )
        return self.change(replace(settings_of(self.case), injections=tuple(entries)))

    def treatment_rows(self) -> list[list[str]]:
        """Rows for the step Treatment: injection, territory, planned, vial and residual (GBq), time.

        The planned activity is what the vial should hold; measured values are typed over the expected ones.
        """
        if self.made is None:
            return []
        rows = []
        for line in self.made.orders:
            entry = planned_entries(self.case)[line.injection]
            choice = line.proposed
            if choice is None:
                continue
            rows.append(
                [
                    entry.name,
                    entry.territory,
                    f"{line.prescribed_gbq:.12g}",
                    f"{choice.vial_gbq:.4f}",
                    f"{choice.vial_gbq - choice.delivered_gbq:.4f}",
                    choice.hour.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes"),
                ]
            )
        return rows


def needs_new_inputs(before: Case, after: Case) -> bool:
    """Whether a change of the plan needs the uptake to be computed again: other territories or typed masses."""

    def key(case: Case) -> tuple[object, ...]:
        settings = settings_of(case)
        return (
            tuple((entry.name, entry.territory) for entry in planned_entries(case)),
            settings.typed,
            settings.typed_non_perfused_g,
            settings.spheres,
            settings.height_cm,
            settings.weight_kg,
        )

    return key(before) != key(after)


def with_entries(inputs: PlanInputs, entries: Sequence[PlannedEntry], lung_shunt_fraction: float) -> PlanInputs:
    """The same uptake with other shunts, residuals and dates of the same injections.

    Voxel doses follow the share that stays in the liver.
    """
    if [(e.name, e.territory) for e in entries] != [(i.name, i.territory) for i in inputs.injections]:
        raise InputError("plan", "other injections were planned", "Compute the uptake again", "plan")
    injections = tuple(
        replace(
            old,
            lung_shunt_fraction=lung_shunt_fraction if entry.lung_shunt_fraction is None else entry.lung_shunt_fraction,
            residual_fraction=entry.expected_residual,
            session=entry.date,
        )
        for old, entry in zip(inputs.injections, entries, strict=True)
    )
    kept = np.array(
        [
            (1.0 - new.lung_shunt_fraction) / (1.0 - old.lung_shunt_fraction)
            for new, old in zip(injections, inputs.injections, strict=True)
        ]
    )
    if np.all(kept == 1.0):
        return replace(inputs, injections=injections)
    regions = tuple(
        region if region.rate_gy_per_gbq is None else replace(region, rate_gy_per_gbq=region.rate_gy_per_gbq * kept)
        for region in inputs.regions
    )
    return replace(inputs, injections=injections, regions=regions)


def _at(case: Case, made: CasePlan, activity_gbq: np.ndarray, normal_gy: float) -> CasePlan:
    """The plan at other activities: what does not depend on them is kept."""
    plan = made.plan
    moved = replace(
        plan,
        wishes=replace(plan.wishes, normal_liver_gy=normal_gy, prescribed_gbq=(None,) * len(activity_gbq)),
        activity_gbq=activity_gbq,
        chosen_by=f"{normal_gy:.4g} Gy to whole normal liver on the trade-off curve",
        windows=tuple(feasible_window(plan.criteria, n, activity_gbq) for n in range(len(activity_gbq))),
        statuses=statuses(plan.criteria, activity_gbq),
        window_bands=()
        if plan.draws is None
        else tuple(window_band(plan.draws, n, activity_gbq) for n in range(len(activity_gbq))),
        criterion_bands=() if plan.draws is None else tuple(criterion_bands(plan.draws, activity_gbq)),
    )
    orders, reason = orders_of(case, moved)
    return CasePlan(case, moved, orders, reason, made.findings)


def view_of(made: CasePlan) -> PlanView:
    """Everything shown of a plan."""
    plan = made.plan
    report = plan_report(made)
    missed = [status for status in plan.statuses if not status.met and not status.criterion.advisory]
    curve = (plan.curve.normal_gy, plan.curve.margin_gy) if plan.curve is not None else (np.empty(0), np.empty(0))
    goals = plan.problem.judged if plan.problem is not None else ()
    point = (0.0, 0.0)
    if plan.problem is not None and goals:
        point = (
            float(plan.problem.normal @ plan.activity_gbq),
            min(goal.margin(plan.activity_gbq) for goal in goals),
        )
    vials, choices = _vial_rows(made)
    return PlanView(
        activities=tuple(
            (injection.name, float(activity))
            for injection, activity in zip(plan.inputs.injections, plan.activity_gbq, strict=True)
        ),
        summary=f"{report.chosen}; " + ("all goals and limits are met" if not missed else f"{len(missed)} not met"),
        models=report.models,
        criteria=report.criteria,
        predictions=tuple(
            (
                entry.region.name,
                f"{entry.region.volume_ml:.1f}",
                f"{entry.mean_gy:.1f}",
                "–" if entry.d70_gy is None else f"{entry.d70_gy:.1f}",
                "–" if entry.d95_gy is None else f"{entry.d95_gy:.1f}",
            )
            for entry in predictions(plan)
        ),
        vials=vials,
        vial_choices=choices,
        windows=report.windows,
        notes=(*report.vials, *report.notes),
        curve=curve,
        point=point,
        dvh=predicted_dvh(plan),
    )


def _vial_rows(made: CasePlan) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[int, VialChoice], ...]]:
    rows, choices = [], []
    for line in made.orders:
        name = made.plan.inputs.injections[line.injection].name
        for choice in line.choices or ((line.proposed,) if line.proposed is not None else ()):
            choices.append((line.injection, choice))
            rows.append(
                (
                    name,
                    sizes_text(choice.sizes_gbq),
                    f"{choice.vials[0].calibration:%Y-%m-%d %H:%M %Z}",
                    f"{choice.hour:%Y-%m-%d %H:%M}",
                    f"{choice.vial_gbq:.3f}",
                    f"{choice.delivered_gbq:.3f}",
                    f"{100.0 * choice.deviation:+.1f}",
                    f"{choice.bq_per_sphere:.0f}",
                    f"{choice.spheres / 1e6:.2f}",
                )
            )
    return tuple(rows), tuple(choices)


def predicted_dvh(plan: Plan) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Cumulative DVHs at the chosen activities, for drawing: volume at or above 256 doses, without sorting voxels."""
    shown = [*plan.targets.names[:_MOST_TUMOUR_CURVES], ALL_TUMOURS, NORMAL_PERFUSED, WHOLE_NORMAL]
    regions = [plan.inputs.region(name) for name in shown if plan.inputs.has(name)]
    return {region.name: _curve(region, plan.activity_gbq) for region in regions if region.rate_gy_per_gbq is not None}


def _curve(region: Region, activity_gbq: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert region.rate_gy_per_gbq is not None and region.voxel_ml is not None
    return cumulative_curve(region.rate_gy_per_gbq @ activity_gbq, region.voxel_ml, _DVH_POINTS)


def plan_state(case: Case, presenter: PlanPresenter | None = None, busy: str = "") -> StepState:
    """Badge, line and actions of the step Plan: compute, order."""
    role = pre_image(case)
    typed = bool(settings_of(case).typed)
    missing = "" if typed else _missing(case, role)
    if busy:
        compute = Action(False, f"Wait: {busy}")
    else:
        compute = Action(not missing, missing)
    view = presenter.view if presenter is not None else None
    made = presenter.made if presenter is not None else None
    has_vial = made is not None and any(line.proposed is not None for line in made.orders)
    reason = "" if has_vial else (made.no_orders or "No vial can be given in that time" if made else "Plan first")
    actions = {"plan": compute, "order": Action(has_vial, reason)}
    if missing:
        return StepState(TO_DO, missing, actions)
    if view is None:
        return StepState(READY, "Ready to plan", actions)
    if view.problem:
        return StepState(PROBLEM, view.problem, actions)
    return StepState(DONE, view.summary, actions)


def _missing(case: Case, role: str | None) -> str:
    if len(case.contours_of(LIVER)) != 1:
        return "Draw the liver and give it the role liver"
    if role is None:
        return "Choose the MAA SPECT first"
    needed = [name for name in (DIAGNOSTIC, own_ct(role)) if name not in case.images]
    registered = "pre" in case.registration_lps or (
        DIAGNOSTIC in case.images
        and case.images[role].frame_of_reference_uid != ""
        and case.images[role].frame_of_reference_uid == case.images[DIAGNOSTIC].frame_of_reference_uid
    )
    return "" if registered or not needed else f"Choose first: {', '.join(ROLE_WORDS[name] for name in needed)}"
