"""A whole plan from one set of inputs: models, windows, optimum, curve, predicted doses, vials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from ..dosimetry.radiobiology import Radiobiology
from ..errors import InputError
from .criteria import Criterion, Targets, choose_targets, make_criteria
from .goals import Goal
from .models import ModelRow, NoRow, model_table
from .optimiser import Optimum, optimise
from .patient import PlanInputs, Region
from .problem import Problem, keep_inside, make_problem
from .quick_dvh import doses_to_volume_gy
from .retreatment import EarlierTreatment
from .trade_off import TradeOff, trade_off
from .treatment_calendar import WorkingHours
from .uncertain import CriterionBand, Draws, Uncertainty, WindowBand, criterion_bands, draw, window_band
from .vials import VialChoice, VialFacts, vial_choices
from .window import Window, feasible_window

LARGEST, LEAST = "largest worst margin", "least activity that meets the goals"
# So wide that every vial that holds anything, and less than twice the prescription, is looked at.
_ANY = 0.999999


@dataclass(frozen=True)
class Wishes:
    """What a plan should do, beside the patient.

    Parameters
    ----------
    goals : tuple of Goal
    target_tumours : tuple of str or None
        None: by size.
    minimum_target_ml : float
    earlier : tuple of EarlierTreatment
    tumour_tissue, liver_tissue : Radiobiology or None
    perfused_gy : tuple of float
        For the single-compartment model.
    normal_liver_gy : float or None
        Chosen point of the curve; None: its end.
    prescribed_gbq : tuple of (float or None)
        Net activity a person chose for each injection.
    uncertainty : Uncertainty or None
    """

    goals: tuple[Goal, ...]
    target_tumours: tuple[str, ...] | None = None
    minimum_target_ml: float = 5.0
    earlier: tuple[EarlierTreatment, ...] = ()
    tumour_tissue: Radiobiology | None = None
    liver_tissue: Radiobiology | None = None
    perfused_gy: tuple[float, ...] = ()
    normal_liver_gy: float | None = None
    prescribed_gbq: tuple[float | None, ...] = ()
    uncertainty: Uncertainty | None = None


@dataclass(frozen=True, eq=False)
class Status:
    """A goal or limit at the chosen activities."""

    criterion: Criterion
    value: float
    margin: float

    @property
    def met(self) -> bool:
        """Whether it is kept, but for rounding in the last digits."""
        return self.margin >= -1e-9 * self.criterion.bound


@dataclass(frozen=True, eq=False)
class Prediction:
    """Dose of a region at the chosen activities; D70 and D95 only where there is a dose map."""

    region: Region
    mean_gy: float
    d70_gy: float | None = None
    d95_gy: float | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything of a plan but its vials.

    Parameters
    ----------
    inputs : PlanInputs
    wishes : Wishes
    targets : Targets
    criteria : tuple of Criterion
    models : tuple of ModelRow
    no_models : tuple of NoRow
    problem, optimum, curve : Problem, Optimum, TradeOff or None
        None where no optimum can be sought; ``no_optimum`` says why.
    no_optimum : str
    activity_gbq : ndarray of shape (injections,)
        Chosen net activities: what a person prescribed, the chosen point of the curve, or its end.
    chosen_by : str
        Which of them.
    windows : tuple of Window
        Of each injection, the others at the chosen activities.
    statuses : tuple of Status
    draws : Draws or None
    window_bands : tuple of WindowBand
    criterion_bands : tuple of CriterionBand
    """

    inputs: PlanInputs
    wishes: Wishes
    targets: Targets
    criteria: tuple[Criterion, ...]
    models: tuple[ModelRow, ...]
    no_models: tuple[NoRow, ...]
    problem: Problem | None
    optimum: Optimum | None
    curve: TradeOff | None
    no_optimum: str
    activity_gbq: np.ndarray
    chosen_by: str
    windows: tuple[Window, ...]
    statuses: tuple[Status, ...]
    draws: Draws | None = None
    window_bands: tuple[WindowBand, ...] = ()
    criterion_bands: tuple[CriterionBand, ...] = field(default=())

    def dose_gy(self, region: Region) -> float:
        """Mean dose of a region at the chosen activities."""
        return float(self.inputs.rates_gy_per_gbq(region) @ self.activity_gbq)

    @property
    def lung_gy(self) -> float:
        """Lung dose of all injections."""
        return float(self.inputs.lung_rates_gy_per_gbq @ self.activity_gbq)

    @property
    def lung_mbq(self) -> float:
        """Activity in the lungs of all injections."""
        return float(self.inputs.lung_rates_mbq_per_gbq @ self.activity_gbq)


def make_plan(inputs: PlanInputs, wishes: Wishes) -> Plan:
    """Compute a plan.

    Raises
    ------
    InputError
        Where goals contradict each other or speak of what there is not.
    """
    targets = choose_targets(inputs, wishes.target_tumours, wishes.minimum_target_ml)
    criteria = make_criteria(inputs, wishes.goals, targets, wishes.earlier, wishes.tumour_tissue, wishes.liver_tissue)
    models, no_models = model_table(inputs, wishes.goals, targets, wishes.perfused_gy)
    problem = optimum = curve = None
    reason = ""
    try:
        problem = make_problem(inputs, criteria)
        optimum = optimise(problem)
        curve = trade_off(problem, optimum)
    except InputError as error:
        reason = str(error)
    activity, chosen_by = _chosen(inputs, wishes, problem, optimum, curve)
    windows = tuple(feasible_window(criteria, number, activity) for number in range(len(inputs.injections)))
    draws = draw(inputs, criteria, wishes.uncertainty) if wishes.uncertainty is not None else None
    return Plan(
        inputs=inputs,
        wishes=wishes,
        targets=targets,
        criteria=tuple(criteria),
        models=tuple(models),
        no_models=tuple(no_models),
        problem=problem,
        optimum=optimum,
        curve=curve,
        no_optimum=reason,
        activity_gbq=activity,
        chosen_by=chosen_by,
        windows=windows,
        statuses=statuses(criteria, activity),
        draws=draws,
        window_bands=tuple(window_band(draws, n, activity) for n in range(len(windows))) if draws else (),
        criterion_bands=tuple(criterion_bands(draws, activity)) if draws else (),
    )


def statuses(criteria: Sequence[Criterion], activity_gbq: np.ndarray) -> tuple[Status, ...]:
    """Every goal and limit at given activities."""
    return tuple(Status(c, c.response.value(activity_gbq), c.margin(activity_gbq)) for c in criteria)


def _chosen(
    inputs: PlanInputs, wishes: Wishes, problem: Problem | None, optimum: Optimum | None, curve: TradeOff | None
) -> tuple[np.ndarray, str]:
    activity = np.zeros(len(inputs.injections))
    chosen_by = "none"
    if optimum is not None:
        activity, chosen_by = optimum.activity_gbq.copy(), LARGEST if problem is not None and problem.goals else LEAST
        if wishes.normal_liver_gy is not None and curve is not None and problem is not None:
            activity = curve_point(problem, curve, wishes.normal_liver_gy)
            chosen_by = f"{wishes.normal_liver_gy:g} Gy to whole normal liver on the trade-off curve"
    typed = [value for value in wishes.prescribed_gbq if value is not None]
    for number, value in enumerate(wishes.prescribed_gbq):
        if value is not None:
            activity[number] = value
    if typed:
        chosen_by = "typed" if len(typed) == len(activity) else f"typed, the others by {chosen_by}"
    return activity, chosen_by


def curve_point(problem: Problem, curve: TradeOff, normal_gy: float) -> np.ndarray:
    """Activities of a point of the trade-off curve; between samples of a bent curve drawn in until limits hold."""
    activity = curve.activities_at(normal_gy)
    return activity if curve.exact else keep_inside(activity, problem)


def predictions(plan: Plan, activity_gbq: np.ndarray | None = None) -> list[Prediction]:
    """Dose of every region."""
    activity = plan.activity_gbq if activity_gbq is None else activity_gbq
    found = []
    for region in plan.inputs.regions:
        mean = float(plan.inputs.rates_gy_per_gbq(region) @ activity)
        if region.rate_gy_per_gbq is None or region.voxel_ml is None:
            found.append(Prediction(region, mean))
        else:
            dose = region.rate_gy_per_gbq @ activity
            found.append(Prediction(region, mean, *doses_to_volume_gy(dose, region.voxel_ml, (70.0, 95.0))))
    return found


@dataclass(frozen=True)
class OrderLine:
    """Vials that deliver one injection's activity.

    Parameters
    ----------
    injection : int
    prescribed_gbq : float
        Net.
    choices : tuple of VialChoice
        Within the tolerance, in the order of time.
    proposed : VialChoice or None
        The smallest vial within half the tolerance, at its nearest hour; where there is none, the nearest of all. Half,
        so that an hour's delay does not spoil it.
    """

    injection: int
    prescribed_gbq: float
    choices: tuple[VialChoice, ...]
    proposed: VialChoice | None


def order_lines(
    plan: Plan,
    working: WorkingHours,
    weeks: Sequence[Sequence[date]],
    days: Sequence[date | None],
    facts: VialFacts | None = None,
    tolerance: float = 0.05,
    most_vials: int = 1,
) -> list[OrderLine]:
    """Vials of every injection that gets activity.

    Parameters
    ----------
    plan : Plan
    working : WorkingHours
    weeks : sequence of sequences of date
        Treatment weeks of each injection.
    days : sequence of (date or None)
        The day of each injection, where it is fixed.
    facts, tolerance, most_vials
        As in ``vial_choices``.
    """
    lines = []
    for number in range(len(plan.inputs.injections)):
        prescribed = float(plan.activity_gbq[number])
        if not prescribed > 1e-6:
            continue
        day = days[number]

        def within(
            allowed: float, number: int = number, prescribed: float = prescribed, day: date | None = day
        ) -> list[VialChoice]:
            residual = plan.inputs.injections[number].residual_fraction
            found = vial_choices(
                prescribed, residual, weeks[number], working, plan.inputs.constants, facts, allowed, most_vials
            )
            return [choice for choice in found if day is None or choice.hour.date() == day]

        kept = within(tolerance)
        proposed: VialChoice | None
        near = [choice for choice in kept if abs(choice.deviation) <= 0.5 * tolerance]
        if near:
            proposed = min(near, key=lambda c: (sum(c.sizes_gbq), len(c.vials), abs(c.deviation)))
        elif kept:
            proposed = min(kept, key=lambda choice: abs(choice.deviation))
        else:
            proposed = min(within(_ANY), key=lambda choice: abs(choice.deviation), default=None)
        lines.append(OrderLine(number, prescribed, tuple(kept), proposed))
    return lines
