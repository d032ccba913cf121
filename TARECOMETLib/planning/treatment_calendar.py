"""Hours at which a site treats, in its own time zone, and the moments vials are calibrated at.

All differences of time are taken in UTC: a night in which clocks change is 23 or 25 hours long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..errors import InputError
from ..units import SECONDS_PER_HOUR

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def time_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises
    ------
    InputError
        Where this computer knows no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            "time zone",
            f'this computer knows no "{name}"',
            'Write an IANA name such as "Europe/Madrid"; where every name fails, install the package tzdata',
            "time-zone",
        ) from None


def typed_date(text: str, where: str) -> date:
    """A date written as 2026-03-10."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InputError(where, f'"{text}" is not a date', "Write it as 2026-03-10", "date") from None


def typed_moment(text: str, zone: ZoneInfo, where: str) -> datetime:
    """A local date and time with its zone.

    Raises
    ------
    InputError
        Where it is none, where clocks skip it, or where it carries a zone of its own.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(where, f'"{text}" is not a date and time', "Write it as 2026-03-10T11:20", "time") from None
    if moment.tzinfo is not None:
        raise InputError(where, f'"{text}" carries a time zone', "Write local time", "time")
    local = moment.replace(tzinfo=zone)
    if not exists(local):
        raise InputError(where, f"clocks in {zone.key} skip {text}", "Choose another hour", "time")
    return local


def exists(local: datetime) -> bool:
    """Whether a local time is on the clock: the hour that is skipped in spring is not."""
    back = local.astimezone(timezone.utc).astimezone(local.tzinfo)
    return back.replace(tzinfo=None) == local.replace(tzinfo=None)


def hours_between(start: datetime, end: datetime) -> float:
    """Hours that pass between two moments with time zones."""
    return (end.astimezone(timezone.utc) - start.astimezone(timezone.utc)).total_seconds() / SECONDS_PER_HOUR


def monday_of(day: date) -> date:
    """Monday of a day's week."""
    return day - timedelta(days=day.weekday())


@dataclass(frozen=True)
class WorkingHours:
    """When a site treats.

    Parameters
    ----------
    time_zone : str
        IANA name.
    first_hour, last_hour : int
        First and last full hour on the clock at which an injection can start.
    weekdays : tuple of int
        0 is Monday.
    """

    time_zone: str
    first_hour: int = 8
    last_hour: int = 17
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        time_zone(self.time_zone)
        if not 0 <= self.first_hour <= self.last_hour <= 23:
            raise InputError(
                "working hours",
                f"expected 0 to 23 in order, got {self.first_hour} to {self.last_hour}",
                "Write 8 and 17",
                "working-hours",
            )
        if not self.weekdays or any(day not in range(7) for day in self.weekdays):
            raise InputError("working hours", "expected weekdays from 0 (Monday) to 6", "Write 0 to 4", "working-hours")

    def in_week(self, week: date) -> list[datetime]:
        """Every working hour of the week that holds a day; an hour that clocks repeat comes twice."""
        zone = time_zone(self.time_zone)
        found: list[datetime] = []
        for day in sorted(set(self.weekdays)):
            at = monday_of(week) + timedelta(days=day)
            for hour in range(self.first_hour, self.last_hour + 1):
                first = datetime(at.year, at.month, at.day, hour, tzinfo=zone)
                if not exists(first):
                    continue
                found.append(first)
                again = first.replace(fold=1)
                if again.utcoffset() != first.utcoffset():
                    found.append(again)
        return found
