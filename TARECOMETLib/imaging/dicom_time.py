"""DICOM's dates and times as datetimes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

# DT with at least hours: a date alone is no time to decay from. Seconds may be 60 (leap); the fraction any length.
_DATE_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d+))?)?)?(?:[+-]\d{4})?")


def parse_datetime(text: Any) -> datetime | None:
    """A DT value (or DA and TM joined); the UTC offset is left off, all times of a case are the scanner's local."""
    match = _DATE_TIME.fullmatch(str(text or "").strip().replace(":", ""))
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction = match.groups(default="0")
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),
            int(fraction[:6].ljust(6, "0")),
        )
    except ValueError:
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
    stated = str(item.get("RadiopharmaceuticalStartDateTime") or "")
    full = parse_datetime(stated) or join_date_time(stated, item.get("RadiopharmaceuticalStartTime"))
    if full is not None or scan_start is None:
        return full
    start = join_date_time(scan_start.strftime("%Y%m%d"), item.get("RadiopharmaceuticalStartTime"))
    if start is not None and start > scan_start:
        start -= timedelta(days=1)
    return start
