"""What a person decides about a plan: an optional part of the Case document."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import InputError
from ..planning.criteria import DEFAULT_MINIMUM_TARGET_ML
from ..planning.goals import Goal, bilirubin_mg_dl, require_consistent
from ..planning.patient import GLASS, RESIN, TypedTerritory
from ..planning.prescription import require_residual, require_shunt
from ..planning.presets import preset_goals, preset_names
from ..planning.retreatment import EarlierTreatment
from ..planning.treatment_calendar import WorkingHours, typed_date
from ..planning.uncertain import Uncertainty
from ..planning.vials import VialFacts

NO_PRESET = "none"
ONE_TERRITORY, SEVERAL_TERRITORIES = "mcrc-{}-unilobar", "mcrc-{}-bilobar"


@dataclass(frozen=True)
class VialPick:
    """Vials and hour that a person chose.

    Parameters
    ----------
    sizes_gbq : tuple of float
        At calibration.
    calibration : str
        Any day of the week of the calibration moment, 2026-03-08.
    hour : str
        Local time of the site, 2026-03-10T11:00.
    """

    sizes_gbq: tuple[float, ...]
    calibration: str
    hour: str

    def __post_init__(self) -> None:
        if not self.sizes_gbq or not all(0.0 < size <= 100.0 for size in self.sizes_gbq):
            raise InputError("vial choice, sizes_gbq", "expected sizes above 0 to 100 GBq", "Write [3.0]", "vial")
        typed_date(self.calibration, "vial choice, calibration")


@dataclass(frozen=True)
class PlannedEntry:
    """One injection of the plan.

    Parameters
    ----------
    name, territory : str
    date : str
        Day of the treatment, 2026-03-10; injections of one day are one treatment. Empty: all undated ones are one.
    lung_shunt_fraction : float or None
        None: that of the case.
    expected_residual : float
        Share of the vial.
    prescribed_gbq : float or None
        Net activity that a person chose; None: that of the plan.
    vial : VialPick or None
        Vials and hour for the order sheet; None: the choice nearest to the prescription.
    """

    name: str
    territory: str
    date: str = ""
    lung_shunt_fraction: float | None = None
    expected_residual: float = 0.0
    prescribed_gbq: float | None = None
    vial: VialPick | None = None

    def __post_init__(self) -> None:
        where = f'planned injection "{self.name}"'
        if self.date:
            typed_date(self.date, f"{where}, date")
        if self.lung_shunt_fraction is not None:
            require_shunt(self.lung_shunt_fraction, f"{where}, lung shunt fraction")
        require_residual(self.expected_residual, f"{where}, expected residual")
        if self.vial is not None and self.date and self.vial.hour[:10] != self.date:
            raise InputError(
                f"{where}, vial, hour",
                f"{self.vial.hour} is not on the day of treatment, {self.date}",
                "Change one of the two",
                "date",
            )
        if self.prescribed_gbq is not None and not 0.0 <= self.prescribed_gbq <= 100.0:
            raise InputError(
                f"{where}, prescribed_gbq", f"expected 0 to 100 GBq, got {self.prescribed_gbq:g}", "Write GBq", "plan"
            )


@dataclass(frozen=True)
class VialOrder:
    """How vials are chosen.

    Parameters
    ----------
    working : WorkingHours
        With the hospital's time zone.
    weeks : tuple of str
        Any day of each treatment week; the weeks of dated injections are taken where there is none.
    tolerance : float
        Of delivered against prescribed activity.
    most_vials : int
        Vials of one calibration that may be given together.
    facts : VialFacts
    """

    working: WorkingHours
    weeks: tuple[str, ...] = ()
    tolerance: float = 0.05
    most_vials: int = 1
    facts: VialFacts = field(default_factory=VialFacts)

    def __post_init__(self) -> None:
        for week in self.weeks:
            typed_date(week, "plan.vials.weeks")
        if not 0.0 < self.tolerance < 1.0:
            raise InputError(
                "plan.vials.tolerance", f"expected above 0 to below 1, got {self.tolerance:g}", "Write 5 % as 0.05"
            )
        if not 1 <= self.most_vials <= 4:
            raise InputError("plan.vials.most_vials", f"expected 1 to 4, got {self.most_vials}", "Write 1")


@dataclass(frozen=True)
class PlanSettings:
    """Goals, targets, injections, vials.

    Parameters
    ----------
    injections : tuple of PlannedEntry
        Empty: those of the case, or one into each territory.
    preset : str
        Name of published goals; ``none`` for only those typed; empty: by the number of territories.
    bilirubin : float or None
        Chooses the limit of whole normal liver.
    bilirubin_unit : str
        mg/dL or µmol/L.
    goals : tuple of Goal
        Typed ones; each replaces the preset's of the same volume, metric and kind (goal, limit, limit per treatment).
    target_tumours : tuple of str
        Empty: all of at least ``minimum_target_ml`` that are reached.
    minimum_target_ml : float
    normal_liver_gy : float or None
        The chosen point of the trade-off curve; None: its end, the best worst margin.
    perfused_gy : tuple of float
        Doses of the single-compartment model, instead of the goals' band.
    spheres : str
        glass or resin; empty: by the device.
    height_cm, weight_kg : float or None
        For the body-surface model of resin.
    earlier : tuple of EarlierTreatment
    uncertainty : Uncertainty or None
    vials : VialOrder or None
    typed : tuple of TypedTerritory
        Masses and ratios instead of images.
    typed_non_perfused_g : float
    """

    injections: tuple[PlannedEntry, ...] = ()
    preset: str = ""
    bilirubin: float | None = None
    bilirubin_unit: str = "mg/dL"
    goals: tuple[Goal, ...] = ()
    target_tumours: tuple[str, ...] = ()
    minimum_target_ml: float = DEFAULT_MINIMUM_TARGET_ML
    normal_liver_gy: float | None = None
    perfused_gy: tuple[float, ...] = ()
    spheres: str = ""
    height_cm: float | None = None
    weight_kg: float | None = None
    earlier: tuple[EarlierTreatment, ...] = ()
    uncertainty: Uncertainty | None = None
    vials: VialOrder | None = None
    typed: tuple[TypedTerritory, ...] = ()
    typed_non_perfused_g: float = 0.0

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.injections]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f'planned injection "{name}"', "two have this name", "Give each its own", "plan")
        if self.spheres not in ("", GLASS, RESIN):
            raise InputError("plan.spheres", f'there is no "{self.spheres}"', "Write glass or resin", "plan")
        if not self.minimum_target_ml >= 0.0:
            raise InputError("plan.minimum_target_ml", "it is below 0", "Give it in mL", "plan")
        if not self.typed_non_perfused_g >= 0.0:
            raise InputError("plan.typed_non_perfused_g", "it is below 0", "Give it in g", "plan")
        for dose in self.perfused_gy:
            if not dose > 0.0:
                raise InputError("plan.perfused_gy", f"expected more than 0 Gy, got {dose:g}", "Correct it", "plan")
        # Contradictions are refused when they are written, not only when a plan is made.
        plan_goals(self, 1, self.spheres or (RESIN if self.preset in preset_names(RESIN) else GLASS))


def plan_goals(settings: PlanSettings, territories: int, spheres: str = GLASS) -> tuple[Goal, ...]:
    """Goals in force: those typed, and the preset's that none of them replaces.

    Parameters
    ----------
    settings : PlanSettings
    territories : int
        How many are planned: chooses the preset where none is named.
    spheres : str
        glass or resin.

    Raises
    ------
    InputError
        Where two goals contradict each other, or the preset is for other spheres.
    """
    chosen = settings.preset or (ONE_TERRITORY if territories == 1 else SEVERAL_TERRITORIES).format(spheres)
    bilirubin = None
    if settings.bilirubin is not None:
        bilirubin = bilirubin_mg_dl(settings.bilirubin, settings.bilirubin_unit)
    published = () if chosen == NO_PRESET else preset_goals(chosen, bilirubin)
    if chosen != NO_PRESET and chosen not in preset_names(spheres):
        raise InputError(
            "plan.preset",
            f'"{chosen}" is not for {spheres} spheres, which the device is',
            f"Choose one of {', '.join(preset_names(spheres))}, or correct the device",
            "preset",
        )

    def key(goal: Goal) -> tuple[object, ...]:
        # 30 Gy per treatment and 50 Gy over all are two limits of one volume.
        per_treatment = goal.at_most is not None and goal.at_least is None and not goal.cumulative
        return goal.volume, goal.metric, goal.at_least is not None, goal.at_most is not None, per_treatment

    typed = {key(goal) for goal in settings.goals}
    goals = (*(goal for goal in published if key(goal) not in typed), *settings.goals)
    require_consistent(goals)
    return goals
