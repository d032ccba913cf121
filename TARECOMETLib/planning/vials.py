"""Vials: which one, calibrated when, given on which day at which hour, delivers the prescription.

Sizes, about 2,500 Bq a sphere at calibration: TheraSphere's package insert and World J Hepatol 2015;7:738. Time of
calibration and shelf life are recalled from that insert, not read in it: the sheet marks them for the site to confirm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from itertools import combinations_with_replacement

from ..errors import InputError
from ..physics.nuclides import ConstantsSet
from ..units import BQ_PER_GBQ
from .prescription import require_residual
from .treatment_calendar import WorkingHours, exists, hours_between, monday_of, time_zone

THERASPHERE_SIZES_GBQ = (3.0, 5.0, 7.0, 10.0, 15.0, 20.0)
BQ_PER_SPHERE = 2500.0
TO_BE_CONFIRMED = "to be confirmed by the site"


@dataclass(frozen=True)
class VialFacts:
    """What a maker says of its vials; the site confirms the fields named in ``unconfirmed``.

    Parameters
    ----------
    sizes_gbq : tuple of float
        At calibration.
    calibration_weekday : int
        0 is Monday.
    calibration_hour : int
        On the clock of ``calibration_time_zone``.
    calibration_time_zone : str
    shelf_life_days : float
        From calibration.
    bq_per_sphere : float
        At calibration.
    unconfirmed : tuple of str
        Fields that nobody has checked against the current package insert.
    """

    sizes_gbq: tuple[float, ...] = THERASPHERE_SIZES_GBQ
    calibration_weekday: int = 6
    calibration_hour: int = 12
    calibration_time_zone: str = "America/New_York"
    shelf_life_days: float = 12.0
    bq_per_sphere: float = BQ_PER_SPHERE
    unconfirmed: tuple[str, ...] = ("calibration_weekday", "calibration_hour", "shelf_life_days")

    def __post_init__(self) -> None:
        time_zone(self.calibration_time_zone)
        if not self.sizes_gbq:
            raise InputError("vials", "no size is given", "Give sizes in GBq at calibration", "vial")
        for size in self.sizes_gbq:
            if not 0.0 < size <= 100.0:
                raise InputError(
                    "vials", f"expected sizes above 0 to 100 GBq, got {size:g}", "Write GBq at calibration", "vial"
                )
        if not (0 <= self.calibration_weekday <= 6 and 0 <= self.calibration_hour <= 23):
            raise InputError("vials", "calibration needs a weekday 0 to 6 and an hour 0 to 23", "Correct it", "vial")
        if not 0.0 < self.shelf_life_days <= 60.0:
            raise InputError(
                "vials",
                f"expected a shelf life above 0 to 60 days, got {self.shelf_life_days:g}",
                "Give it in days",
                "vial",
            )
        if not 1.0 <= self.bq_per_sphere <= 1.0e5:
            raise InputError(
                "vials",
                f"expected 1 to 100000 Bq per sphere, got {self.bq_per_sphere:g}",
                "Give it at calibration",
                "vial",
            )

    def calibration_in_week(self, week: date) -> datetime:
        """The calibration moment of the week (Monday to Sunday) that holds a day."""
        day = monday_of(week) + timedelta(days=self.calibration_weekday)
        moment = datetime(
            day.year, day.month, day.day, self.calibration_hour, tzinfo=time_zone(self.calibration_time_zone)
        )
        if not exists(moment):
            raise InputError(
                "vials", f"clocks in {self.calibration_time_zone} skip {moment:%Y-%m-%d %H:%M}", "Choose another hour"
            )
        return moment

    def calibrations_for(self, hours: Sequence[datetime]) -> list[datetime]:
        """Calibrations whose vials can be given at some of the hours."""
        if not hours:
            return []
        weeks = math.ceil(self.shelf_life_days / 7.0) + 1
        first = monday_of(hours[0].date()) - timedelta(weeks=weeks)
        last = monday_of(hours[-1].date())
        found = []
        week = first
        while week <= last:
            moment = self.calibration_in_week(week)
            if any(0.0 <= hours_between(moment, hour) <= 24.0 * self.shelf_life_days for hour in hours):
                found.append(moment)
            week += timedelta(weeks=1)
        return found


@dataclass(frozen=True)
class Vial:
    """One vial: GBq at its calibration moment."""

    size_gbq: float
    calibration: datetime
    facts: VialFacts = field(default_factory=VialFacts)

    @property
    def expiry(self) -> datetime:
        """End of its shelf life, in the calibration's zone."""
        zone = self.calibration.tzinfo
        end = self.calibration.astimezone(timezone.utc) + timedelta(days=self.facts.shelf_life_days)
        return end.astimezone(zone)

    @property
    def spheres(self) -> float:
        """Number of spheres: calibration activity over the activity of one."""
        return self.size_gbq * BQ_PER_GBQ / self.facts.bq_per_sphere

    def activity_gbq(self, moment: datetime, constants: ConstantsSet) -> float:
        """Activity at a moment of use.

        Raises
        ------
        InputError
            Before its calibration or past its shelf life.
        """
        elapsed_h = hours_between(self.calibration, moment)
        name = f"vial of {self.size_gbq:g} GBq calibrated {self.calibration:%Y-%m-%d %H:%M %Z}"
        if elapsed_h < 0.0:
            raise InputError(
                name,
                f"{moment:%Y-%m-%d %H:%M %Z} is {-elapsed_h:.1f} h before its calibration",
                "Choose a later hour or an earlier calibration",
                "vial-early",
            )
        past_h = elapsed_h - 24.0 * self.facts.shelf_life_days
        if past_h > 1e-9:
            raise InputError(
                name,
                f"{moment:%Y-%m-%d %H:%M %Z} is {past_h:.1f} h past its shelf life of "
                f"{self.facts.shelf_life_days:g} days",
                "Choose an earlier hour or a later calibration",
                "vial-expired",
            )
        return self.size_gbq * constants.decay_factor(elapsed_h)


@dataclass(frozen=True)
class VialChoice:
    """Vials that are given together at one hour.

    Parameters
    ----------
    vials : tuple of Vial
        Of one calibration.
    hour : datetime
        In the site's time zone.
    vial_gbq, delivered_gbq : float
        In the vials at that hour, and after the expected residual.
    deviation : float
        Delivered over prescribed, less 1.
    bq_per_sphere, spheres : float
        At that hour; in all vials.
    """

    vials: tuple[Vial, ...]
    hour: datetime
    vial_gbq: float
    delivered_gbq: float
    deviation: float
    bq_per_sphere: float
    spheres: float

    @property
    def sizes_gbq(self) -> tuple[float, ...]:
        """Sizes at calibration."""
        return tuple(vial.size_gbq for vial in self.vials)


def give(
    vials: Sequence[Vial], hour: datetime, prescribed_gbq: float, residual_fraction: float, constants: ConstantsSet
) -> VialChoice:
    """What vials deliver at an hour.

    Parameters
    ----------
    vials : sequence of Vial
    hour : datetime
        With a time zone.
    prescribed_gbq : float
        Net.
    residual_fraction : float
        Expected, of each vial.
    constants : ConstantsSet

    Raises
    ------
    InputError
        For a vial before its calibration or past its shelf life, and a residual of 100 % or more.
    """
    require_residual(residual_fraction)
    if not (prescribed_gbq > 0.0 and math.isfinite(prescribed_gbq)):
        raise InputError(
            "prescribed activity", f"expected more than 0 GBq, got {prescribed_gbq:g}", "Plan an activity first"
        )
    held = sum(vial.activity_gbq(hour, constants) for vial in vials)
    delivered = held * (1.0 - residual_fraction)
    spheres = sum(vial.spheres for vial in vials)
    return VialChoice(
        vials=tuple(vials),
        hour=hour,
        vial_gbq=held,
        delivered_gbq=delivered,
        deviation=delivered / prescribed_gbq - 1.0,
        bq_per_sphere=held * BQ_PER_GBQ / spheres,
        spheres=spheres,
    )


def vial_choices(
    prescribed_gbq: float,
    residual_fraction: float,
    weeks: Sequence[date],
    working: WorkingHours,
    constants: ConstantsSet,
    facts: VialFacts | None = None,
    tolerance: float = 0.05,
    most_vials: int = 1,
) -> list[VialChoice]:
    """Every (vial, day, hour) that delivers the prescription within a tolerance, in the order of time.

    Parameters
    ----------
    prescribed_gbq : float
        Net activity.
    residual_fraction : float
    weeks : sequence of date
        Any day of each treatment week.
    working : WorkingHours
    constants : ConstantsSet
        For its half-life.
    facts : VialFacts, optional
    tolerance : float
        Relative, for instance 0.05.
    most_vials : int
        How many vials of one calibration may be given together.
    """
    facts = facts or VialFacts()
    if not 0.0 < tolerance < 1.0:
        raise InputError("vial tolerance", f"expected above 0 to below 1, got {tolerance:g}", "Write 5 % as 0.05")
    if not 1 <= most_vials <= 4:
        raise InputError("vials per injection", f"expected 1 to 4, got {most_vials}", "Write 1")
    require_residual(residual_fraction)
    found = []
    for week in dict.fromkeys(monday_of(day) for day in weeks):
        hours = working.in_week(week)
        for calibration in facts.calibrations_for(hours):
            elapsed = [(hour, hours_between(calibration, hour)) for hour in hours]
            kept = [(h, constants.decay_factor(t)) for h, t in elapsed if 0.0 <= t <= 24.0 * facts.shelf_life_days]
            for vials in _sets(facts, calibration, most_vials):
                total_gbq = sum(vial.size_gbq for vial in vials) * (1.0 - residual_fraction)
                found += [
                    give(vials, hour, prescribed_gbq, residual_fraction, constants)
                    for hour, factor in kept
                    if abs(total_gbq * factor / prescribed_gbq - 1.0) <= tolerance
                ]
    # Compared in UTC: an hour that clocks repeat would tie on the wall clock.
    return sorted(found, key=lambda c: (c.hour.astimezone(timezone.utc), c.sizes_gbq, c.vials[0].calibration))


def _sets(facts: VialFacts, calibration: datetime, most: int) -> Iterator[tuple[Vial, ...]]:
    for count in range(1, most + 1):
        for sizes in combinations_with_replacement(sorted(facts.sizes_gbq), count):
            yield tuple(Vial(size, calibration, facts) for size in sizes)
