"""Pseudonyms only: what looks like a person's name, birth date or registration number is refused."""

from __future__ import annotations

import re
from datetime import date

from ..errors import InputError

_SHAPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
# Words that pseudonyms are made of; any other word of letters could be a name.
_HARMLESS = frozenset(
    [
        "case",
        "patient",
        "pat",
        "subject",
        "subj",
        "sub",
        "site",
        "center",
        "centre",
        "study",
        "tare",
        "comet",
        "tarecomet",
        "sirt",
        "id",
        "pt",
        "pseudonym",
        "demo",
        "sample",
        "phantom",
        "test",
        "anon",
        "anonymous",
        "record",
        "rec",
        "arm",
        "cohort",
        "lesion",
        "liver",
        "trial",
        "no",
        "nr",
        "num",
    ]
)
_SEPARATED_DATE = re.compile(r"(?<!\d)(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})(?!\d)")
_CIVIL_NUMBER = re.compile(r"\d{6}[-+]\d{4}|\d{3}-\d{2}-\d{4}|[12]\d{2}(0[1-9]|1[0-2])\d{8}(\d{2})?")
_OLDEST, _YOUNGEST = 1900, 2015
_IDENTIFYING_COLUMNS = re.compile(
    r"(^|_)(name|surname|last_?name|first_?name|given_?name|family_?name|full_?name|patient_?name|maiden|initials|dob|"
    r"birth|birth_?date|date_?of_?birth|birth_?day|geburtsdatum|vorname|nachname|nom|prenom|apellido|cognome|mrn|"
    r"medical_?record|ssn|social_?security|nhs|insurance|address|street|phone|telephone|email|e_?mail|zip|postcode)(_|$)"
)


def require_pseudonym(text: str, where: str) -> str:
    """The text, where it can be a pseudonym.

    Raises
    ------
    InputError
        Where it looks like a name or a birth date; the text itself is not repeated in full.
    """
    mend = "Use a pseudonym of letters, digits, dot, dash and underscore with a number in it, such as TC001"
    if not _SHAPE.fullmatch(text):
        raise InputError(where, f'"{_masked(text)}" is no pseudonym', mend, "not-a-pseudonym")
    if _holds_birth_date(text) or _CIVIL_NUMBER.fullmatch(text):
        raise InputError(where, f'"{_masked(text)}" looks like a birth date or civil number', mend, "birth-date")
    words = re.findall(r"[A-Za-z]+", text)
    strange = [w for w in words if len(w) > 2 and w.lower() not in _HARMLESS and not (w.isupper() and len(w) <= 4)]
    has_harmless = any(w.lower() in _HARMLESS for w in words)
    digits = re.findall(r"\d+", text)
    is_name_and_year = len(digits) == 1 and any(len(w) > 2 for w in words) and not has_harmless and _is_year(digits[0])
    if strange or is_name_and_year or not (digits or has_harmless):
        raise InputError(where, f'"{_masked(text)}" looks like a name', mend, "name")
    return text


def require_harmless_text(text: str, where: str) -> str:
    """A free text without birth date, DICOM person name or "surname, given name"."""
    mend = "Take it out: the study file holds pseudonyms only"
    if _SEPARATED_DATE.search(text) and _holds_birth_date(text):
        raise InputError(where, "it holds what looks like a birth date", mend, "birth-date")
    if re.search(r"[^\W\d_]{2,}\^[^\W\d_]", text) or re.fullmatch(r"[^\W\d_]{2,}, ?[^\W\d_]{2,}", text):
        raise InputError(where, "it holds what looks like a person's name", mend, "name")
    return text


def identifying_columns(columns: list[str]) -> list[str]:
    """Columns that must not be imported, by their names."""
    plain = {column: re.sub(r"[^a-z0-9]+", "_", column.strip().lower()) for column in columns}
    harmless = ("lesion_name", "compartment_name", "site_name", "redcap_event_name", "event_name", "visit_name")
    return [
        c for c, name in plain.items() if name not in harmless and name != "name" and _IDENTIFYING_COLUMNS.search(name)
    ]


def _masked(text: str) -> str:
    """Enough to find it again, too little to tell a person."""
    return text if len(text) <= 2 else f"{text[0]}{'·' * min(len(text) - 2, 12)}{text[-1]}"


def _is_year(digits: str) -> bool:
    return len(digits) == 4 and _OLDEST <= int(digits) <= _YOUNGEST


def _holds_birth_date(text: str) -> bool:
    candidates = [match.groups() for match in _SEPARATED_DATE.finditer(text)]
    for run in re.findall(r"(?<!\d)\d{8}(?!\d)", text):
        candidates += [(run[:4], run[4:6], run[6:]), (run[:2], run[2:4], run[4:])]
    return any(_is_birth_date(*parts) for parts in candidates)


def _is_birth_date(a: str, b: str, c: str) -> bool:
    for year, month, day in ((a, b, c), (c, b, a), (c, a, b)):
        if _is_year(year):
            try:
                date(int(year), int(month), int(day))
            except ValueError:
                continue
            return True
    return False
