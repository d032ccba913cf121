"""An injection as a person types it, in GBq, and as the case holds it, in MBq."""

from __future__ import annotations

from dataclasses import replace

from ..errors import InputError
from ..units import MBQ_PER_GBQ
from .document import Injection


def number_from_text(text: str, where: str) -> float:
    """A number with a decimal point or comma.

    Raises
    ------
    InputError
        Where it is not one number; ``1,234.5`` is refused, because its comma could mean either.
    """
    plain = text.strip()
    if "," in plain and "." not in plain and plain.count(",") == 1:
        plain = plain.replace(",", ".")
    try:
        return float(plain)
    except ValueError:
        raise InputError(where, f'"{text}" is not a number', "Write it as 1.77", "number") from None


def injection_from_text(
    identifier: str,
    territory: str,
    planned_gbq: str,
    vial_gbq: str,
    residual_gbq: str,
    time: str,
    before: Injection | None = None,
) -> Injection:
    """One typed row as an Injection.

    Parameters
    ----------
    identifier : str
        For an injection that has none yet.
    territory : str
    planned_gbq, vial_gbq, residual_gbq : str
        In GBq; planned and residual may be empty.
    time : str
        Local ISO date and time; a blank between date and time is fine.
    before : Injection, optional
        What stood in this row: its identifier and own lung shunt stay.
    """
    where = f"{identifier}, {territory}"
    typed = Injection(
        id=identifier if before is None else before.id,
        territory=territory,
        time=time.strip().replace(" ", "T"),
        vial_mbq=number_from_text(vial_gbq, f"{where}: vial") * MBQ_PER_GBQ,
        residual_mbq=number_from_text(residual_gbq or "0", f"{where}: residual") * MBQ_PER_GBQ,
        planned_mbq=number_from_text(planned_gbq, f"{where}: planned") * MBQ_PER_GBQ if planned_gbq.strip() else None,
    )
    return typed if before is None else replace(typed, lung_shunt_fraction=before.lung_shunt_fraction)


def injection_texts(injection: Injection) -> list[str]:
    """Planned, vial, residual (GBq) and time as they stand in the table; typing them again gives the same case."""

    def gbq(mbq: float | None) -> str:
        return "" if mbq is None else f"{mbq / MBQ_PER_GBQ:.12g}"

    return [
        gbq(injection.planned_mbq),
        gbq(injection.vial_mbq),
        gbq(injection.residual_mbq),
        injection.time.replace("T", " "),
    ]
