"""DICOM's dates and times as datetimes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

_FORMATS = ("%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d")


def parse_datetime(text: Any) -> datetime | None:
    """A DT value (or DA and TM joined); the UTC offset is left off, all times of a case are the scanner's local."""
    value = str(text or "").strip().replace(":", "")
    for sign in "+-":
        value = value.split(sign)[0] if sign in value[8:] else value
    for form in _FORMATS:
        try:
            return datetime.strptime(value, form)
        except ValueError:
            continue
    return None


def join_date_time(date: Any, time: Any) -> datetime | None:
    """DA and TM as one datetime; None where either is missing."""
    day, clock = str(date or "").strip().replace(".", ""), str(time or "").strip()
    if len(day) != 8 or not clock:
        return None
    return parse_datetime(day + clock)


def administration_datetime(item: Any, scan_start: datetime | None) -> datetime | None:
    """When the radiopharmaceutical was given, from its sequence item.

    The date-time attribute (0018,1078) counts before the time of day (0018,1072), which carries no date: it is
    taken on the scan's day, or on the day before where it would otherwise lie after the scan.
    """
    full = parse_datetime(item.get("RadiopharmaceuticalStartDateTime"))
    if full is not None or scan_start is None:
        return full
    start = join_date_time(scan_start.strftime("%Y%m%d"), item.get("RadiopharmaceuticalStartTime"))
    if start is not None and start > scan_start:
        start -= timedelta(days=1)
    return start
