"""Goals and limits written for one patient: each a response and a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..dosimetry import compartments
from ..dosimetry.radiobiology import Radiobiology
from ..errors import InputError
from . import goals as volumes
from .goals import BED, Goal, require_consistent
from .patient import TUMOUR, PlanInputs, Region, normal_perfused_name, perfused_name
from .response import Response, region_response
from .retreatment import LUNGS, EarlierTreatment, earlier_bed_gy, earlier_mean_gy

DEFAULT_MINIMUM_TARGET_ML = 5.0


@dataclass(frozen=True)
class Targets:
    """Tumours that goals speak of, and those that are left out, each with the reason."""

    names: tuple[str, ...]
    excluded: dict[str, str]


def choose_targets(
    inputs: PlanInputs, chosen: Sequence[str] | None = None, minimum_ml: float = DEFAULT_MINIMUM_TARGET_ML
) -> Targets:
    """Target tumours: those named, else all of at least ``minimum_ml`` that some injection reaches."""
    tumours = inputs.of_kind(TUMOUR)
    for name in chosen or ():
        if name not in [tumour.name for tumour in tumours]:
            known = ", ".join(tumour.name for tumour in tumours) or "none"
            raise InputError("target tumours", f'there is no tumour "{name}"', f"There are: {known}", "target")
    names, excluded = [], {}
    for tumour in tumours:
        if not any(count > 0.0 for count in tumour.counts):
            excluded[tumour.name] = "no planned injection reaches it"
        elif chosen is not None and tumour.name not in chosen:
            excluded[tumour.name] = "not chosen"
        elif chosen is None and tumour.volume_ml < minimum_ml:
            excluded[tumour.name] = f"smaller than {minimum_ml:g} mL"
        else:
            names.append(tumour.name)
    return Targets(tuple(names), excluded)


@dataclass(frozen=True, eq=False)
class Criterion:
    """One bound on one figure of this patient.

    Parameters
    ----------
    goal : Goal
        Where it comes from.
    region : str
    response : Response
    bound : float
    is_goal : bool
        At least, else at most.
    session : str
        The treatment it is for, where it holds for one by itself.
    """

    goal: Goal
    region: str
    response: Response
    bound: float
    is_goal: bool
    session: str = ""

    @property
    def advisory(self) -> bool:
        """Reported, never binding."""
        return self.goal.advisory

    def margin(self, activity_gbq: np.ndarray) -> float:
        """How far on the good side the figure is, in its unit; below 0 it is missed."""
        value = self.response.value(activity_gbq)
        return value - self.bound if self.is_goal else self.bound - value

    def words(self) -> str:
        """For instance "mean of Metastasis 1 at least 189 Gy"."""
        metric = "" if self.goal.volume in (volumes.RESERVE, volumes.LUNG_ACTIVITY) else f"{self.goal.metric} of "
        session = f" in treatment {self.session}" if self.session else ""
        side = "at least" if self.is_goal else "at most"
        return f"{metric}{self.region}{session} {side} {self.bound:g} {self.goal.unit}"


def make_criteria(
    inputs: PlanInputs,
    goals: Sequence[Goal],
    targets: Targets,
    earlier: Sequence[EarlierTreatment] = (),
    tumour_tissue: Radiobiology | None = None,
    liver_tissue: Radiobiology | None = None,
) -> list[Criterion]:
    """Every goal and limit for this patient.

    Parameters
    ----------
    inputs : PlanInputs
    goals : sequence of Goal
    targets : Targets
    earlier : sequence of EarlierTreatment
        Counted where a goal is cumulative.
    tumour_tissue, liver_tissue : Radiobiology, optional
        For BED.

    Raises
    ------
    InputError
        Where goals contradict each other, or one speaks of what this patient does not have.
    """
    require_consistent(goals)
    found = []
    for goal in goals:
        tissue = tumour_tissue if goal.volume in (volumes.TUMOUR, volumes.ALL_TUMOURS) else liver_tissue
        for name, response in _responses(inputs, goal, targets, earlier, tissue):
            if goal.at_least is not None:
                found.append(Criterion(goal, name, response, goal.at_least, True))
            if goal.at_most is None:
                continue
            if goal.cumulative or len(_sessions(inputs)) == 1 or not response.feeding:
                found.append(Criterion(goal, name, response, goal.at_most, False))
                continue
            for session, held in _sessions(inputs).items():
                alone = _only(response, held)
                if alone.feeding:
                    found.append(Criterion(goal, name, alone, goal.at_most, False, session))
    return found


def _sessions(inputs: PlanInputs) -> dict[str, np.ndarray]:
    """Treatments of the plan: session to which injections are in it."""
    words = [injection.session for injection in inputs.injections]
    return {word: np.array([other == word for other in words]) for word in dict.fromkeys(words)}


def _only(response: Response, held: np.ndarray) -> Response:
    """A response to some of the injections alone."""
    mask = held.astype(float)
    return Response(
        response.linear * mask,
        response.offset,
        None if response.quadratic is None else response.quadratic * np.outer(mask, mask),
        None if response.rate_gy_per_gbq is None else response.rate_gy_per_gbq * mask,
        response.voxel_ml,
        response.metric,
        response.exponent,
    )


def _responses(
    inputs: PlanInputs,
    goal: Goal,
    targets: Targets,
    earlier: Sequence[EarlierTreatment],
    tissue: Radiobiology | None,
) -> list[tuple[str, Response]]:
    nothing = np.zeros(len(inputs.injections))
    if goal.volume == volumes.RESERVE:
        return [("Hepatic reserve", Response(nothing, 100.0 * inputs.non_perfused_share))]
    if goal.volume == volumes.LUNG_ACTIVITY:
        return [("Activity in the lungs", Response(inputs.lung_rates_mbq_per_gbq))]
    if goal.volume == volumes.LUNGS:
        offset = earlier_mean_gy(earlier, LUNGS) if goal.cumulative else 0.0
        return [(LUNGS, Response(inputs.lung_rates_gy_per_gbq, offset))]
    return [
        (
            region.name,
            region_response(
                inputs, region, goal.metric, goal.exponent, tissue, _offset(inputs, goal, region, earlier, tissue)
            ),
        )
        for region in _regions(inputs, goal, targets)
    ]


def _offset(
    inputs: PlanInputs,
    goal: Goal,
    region: Region,
    earlier: Sequence[EarlierTreatment],
    tissue: Radiobiology | None,
) -> float:
    if not goal.cumulative:
        return 0.0
    if goal.metric == BED and tissue is not None:
        return earlier_bed_gy(earlier, region.name, tissue, inputs.constants.half_life_h)
    return earlier_mean_gy(earlier, region.name)


def _regions(inputs: PlanInputs, goal: Goal, targets: Targets) -> list[Region]:
    """Regions a goal speaks of."""
    territories = list(dict.fromkeys(injection.territory for injection in inputs.injections))
    if goal.territory and goal.territory not in territories:
        raise InputError(
            f'goal "{goal.words()}"',
            "no injection is planned into that territory",
            f"Choose one of {', '.join(territories)}",
            "territory",
        )
    chosen = [goal.territory] if goal.territory else territories
    if goal.volume == volumes.TUMOUR:
        return [inputs.region(name) for name in targets.names]
    if goal.volume == volumes.PERFUSED:
        return [inputs.region(perfused_name(name)) for name in chosen]
    if goal.volume == volumes.NORMAL_PERFUSED:
        name = normal_perfused_name(goal.territory) if goal.territory else compartments.NORMAL_PERFUSED
    else:
        name = {
            volumes.ALL_TUMOURS: compartments.ALL_TUMOURS,
            volumes.WHOLE_NORMAL: compartments.WHOLE_NORMAL,
        }[goal.volume]
    return [inputs.region(name)] if inputs.has(name) else []
