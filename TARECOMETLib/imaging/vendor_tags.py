"""What vendors keep in private attributes: Philips' scale factors, GE's time of decay correction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from .dicom_time import parse_datetime

_PHILIPS_GROUP, _PHILIPS_CREATOR = 0x7053, "Philips PET Private Group"
_PHILIPS_SUV, _PHILIPS_ACTIVITY = 0x00, 0x09
_GE_GROUP, _GE_CREATOR, _GE_SCAN_TIME = 0x0009, "GEMS_PETD_01", 0x0D


def private_value(header: Any, group: int, creator: str, element: int) -> str | None:
    """A private attribute's text; where its creator was stripped, from the block vendors write first."""
    try:
        value = header.private_block(group, creator)[element].value
    except (KeyError, AttributeError, TypeError):
        found = header.get((group, 0x1000 + element)) if (group, 0x10) not in header else None
        value = found.value if found is not None else None
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore")
    return str(value).strip(" \x00") if value is not None else None


def _scale(headers: Sequence[Any], element: int) -> tuple[float | None, bool]:
    """A positive factor that all slices share, and whether they differ."""
    found = set()
    for header in headers:
        text = private_value(header, _PHILIPS_GROUP, _PHILIPS_CREATOR, element)
        try:
            found.add(float(text) if text else 0.0)
        except ValueError:
            found.add(0.0)
    if len(found) != 1:
        return None, True
    value = found.pop()
    return (value, False) if 0.0 < value < float("inf") else (None, False)


def philips_scales(headers: Sequence[Any]) -> tuple[float | None, float | None, bool]:
    """Philips' factors from stored values to SUVbw (7053,xx00) and to Bq/mL (7053,xx09), and whether slices differ.

    From Philips' DICOM conformance statements: both apply to values after slope and intercept, under Units CNTS.
    """
    suv, suv_differs = _scale(headers, _PHILIPS_SUV)
    activity, activity_differs = _scale(headers, _PHILIPS_ACTIVITY)
    return suv, activity, suv_differs or activity_differs


def ge_scan_time(header: Any) -> datetime | None:
    """GE's scan date and time (0009,xx0D), to which its values are decay-corrected under START."""
    return parse_datetime(private_value(header, _GE_GROUP, _GE_CREATOR, _GE_SCAN_TIME))
