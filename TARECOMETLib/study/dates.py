"""Dates as hospitals write them; which number is the day is asked, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from ..errors import InputError

ISO, DAY_FIRST, MONTH_FIRST = "iso", "day-first", "month-first"
ORDERS = (ISO, DAY_FIRST, MONTH_FIRST)
_ISO = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?", re.ASCII
)
_OTHER = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?", re.ASCII)
_MEND = "Write YYYY-MM-DD"


def parse_date(text: str, order: str, where: str) -> date:
    """A date; one with the year first is read in every order.

    Parameters
    ----------
    text : str
        A time after it is dropped.
    order : str
        iso, day-first or month-first: how dates with the year last are read.
    where : str
        Named in errors.
    """
    text = text.strip()
    if match := _ISO.fullmatch(text):
        year, month, day = map(int, match.groups())
    elif match := _OTHER.fullmatch(text):
        a, b, year = map(int, match.groups())
        if order == ISO:
            raise InputError(
                where, f'"{text}" has the year last', "Say --date-order day-first or month-first", "date-order"
            )
        day, month = (a, b) if order == DAY_FIRST else (b, a)
    elif re.fullmatch(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2}", text):
        raise InputError(where, f'"{text}" has a year of two digits', _MEND, "date")
    elif re.fullmatch(r"\d{5}(\.\d+)?", text):
        raise InputError(where, f'"{text}" is a spreadsheet\'s day number', "Export the column as dates", "date")
    else:
        raise InputError(where, f'"{text[:40]}" is no date', _MEND, "date")
    try:
        return date(year, month, day)
    except ValueError:
        raise InputError(where, f'there is no day "{text[:40]}" in the order {order}', _MEND, "date") from None


def find_order(texts: Iterable[str], where: str) -> str:
    """How the dates of a column are written.

    Raises
    ------
    InputError
        Where both orders fit all dates, or neither does: a person must say.
    """
    day_first = month_first = True
    example, year_last = "", False
    for text in texts:
        match = _OTHER.fullmatch(text.strip())
        if match is None:
            continue
        year_last, example = True, example or text.strip()
        a, b = int(match[1]), int(match[2])
        day_first &= b <= 12
        month_first &= a <= 12
    if not year_last:
        return ISO
    if day_first and month_first:
        raise InputError(
            where,
            f'dates such as "{example}" can be read with the day or with the month first',
            "Say --date-order day-first or --date-order month-first",
            "ambiguous-date",
        )
    if not day_first and not month_first:
        raise InputError(
            where,
            "some dates have the day first and others the month",
            "Export the column as YYYY-MM-DD",
            "mixed-dates",
        )
    return DAY_FIRST if day_first else MONTH_FIRST
