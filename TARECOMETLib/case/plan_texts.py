"""A plan's settings as a person types them in the panel, and back: typing the shown texts again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import InputError
from ..planning.goals import Goal
from ..planning.treatment_calendar import WorkingHours
from ..planning.vials import VialFacts
from .plan_document import PlanSettings, VialOrder
from .typed_injection import number_from_text

GOAL_COLUMNS = ("volume", "metric", "at least", "at most", "territory", "cumulative", "reference")


@dataclass(frozen=True)
class PlanTexts:
    """What stands in the step's fields.

    Parameters
    ----------
    preset : str
        Empty: by the number of territories.
    bilirubin, bilirubin_unit : str
    minimum_target_ml : str
    target_tumours : tuple of str
        Ticked ones; empty: by size.
    time_zone, weeks : str
        IANA name; days separated by blanks or commas.
    first_hour, last_hour : str
    tolerance_percent, most_vials, sizes_gbq : str
        Sizes separated by blanks.
    """

    preset: str = ""
    bilirubin: str = ""
    bilirubin_unit: str = "mg/dL"
    minimum_target_ml: str = "5"
    target_tumours: tuple[str, ...] = ()
    time_zone: str = ""
    weeks: str = ""
    first_hour: str = "8"
    last_hour: str = "17"
    tolerance_percent: str = "5"
    most_vials: str = "1"
    sizes_gbq: str = "3 5 7 10 15 20"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _optional(text: str, where: str) -> float | None:
    return number_from_text(text, where) if text.strip() else None


def _whole(text: str, where: str) -> int:
    value = number_from_text(text, where)
    if value != int(value):
        raise InputError(where, f'"{text}" is not a whole number', "Write it as 8", "number")
    return int(value)


def texts_of(settings: PlanSettings) -> PlanTexts:
    """The texts of settings."""
    order = settings.vials
    texts = PlanTexts(
        preset=settings.preset,
        bilirubin=_shown(settings.bilirubin),
        bilirubin_unit=settings.bilirubin_unit,
        minimum_target_ml=_shown(settings.minimum_target_ml),
        target_tumours=settings.target_tumours,
    )
    if order is None:
        return texts
    return replace(
        texts,
        time_zone=order.working.time_zone,
        weeks=" ".join(order.weeks),
        first_hour=str(order.working.first_hour),
        last_hour=str(order.working.last_hour),
        tolerance_percent=_shown(100.0 * order.tolerance),
        most_vials=str(order.most_vials),
        sizes_gbq=" ".join(_shown(size) for size in order.facts.sizes_gbq),
    )


def settings_from_texts(texts: PlanTexts, before: PlanSettings) -> PlanSettings:
    """Settings as typed; what has no field keeps its value.

    Raises
    ------
    InputError
        Naming the field.
    """
    return replace(
        before,
        preset=texts.preset,
        bilirubin=_optional(texts.bilirubin, "bilirubin"),
        bilirubin_unit=texts.bilirubin_unit,
        minimum_target_ml=number_from_text(texts.minimum_target_ml, "least volume of a target"),
        target_tumours=texts.target_tumours,
        vials=_order(texts, before.vials),
    )


def _order(texts: PlanTexts, before: VialOrder | None) -> VialOrder | None:
    if not texts.time_zone.strip():
        return None
    facts = before.facts if before is not None else VialFacts()
    weekdays = before.working.weekdays if before is not None else (0, 1, 2, 3, 4)
    sizes = tuple(number_from_text(word, "vial sizes") for word in texts.sizes_gbq.replace(";", " ").split())
    return VialOrder(
        working=WorkingHours(
            texts.time_zone.strip(),
            _whole(texts.first_hour, "first working hour"),
            _whole(texts.last_hour, "last working hour"),
            weekdays,
        ),
        weeks=tuple(texts.weeks.replace(",", " ").replace(";", " ").split()),
        tolerance=round(number_from_text(texts.tolerance_percent, "vial tolerance") / 100.0, 12),
        most_vials=_whole(texts.most_vials, "vials per injection"),
        facts=replace(facts, sizes_gbq=sizes),
    )


def goal_texts(goal: Goal) -> list[str]:
    """Cells of a goal's row, in the order of ``GOAL_COLUMNS``."""
    return [
        goal.volume,
        goal.metric,
        _shown(goal.at_least),
        _shown(goal.at_most),
        goal.territory,
        "yes" if goal.cumulative else "no",
        goal.reference,
    ]


def goal_from_texts(cells: Sequence[str], before: Goal | None = None) -> Goal:
    """A goal from its row; what has no column keeps its value.

    A goal whose figures were changed is no longer the preset's: it loses evidence and note, and its origin says typed.
    """
    volume, metric, at_least, at_most, territory, cumulative, reference = (cell.strip() for cell in cells)
    where = f'goal "{metric} of {volume}"'
    values = {
        "volume": volume,
        "metric": metric or "mean",
        "at_least": _optional(at_least, f"{where}, at least"),
        "at_most": _optional(at_most, f"{where}, at most"),
        "territory": territory,
        "cumulative": cumulative != "no",
    }
    if before is not None and all(getattr(before, name) == value for name, value in values.items()):
        return replace(before, reference=reference)
    exponent = before.exponent if before is not None else None
    return Goal(**values, exponent=exponent, reference=reference)  # type: ignore[arg-type]
