"""What an emission image's header says of its voxel values, and the activity concentration that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from ..errors import InputError
from ..physics.nuclides import nuclides
from ..units import BQ_PER_MBQ, SECONDS_PER_HOUR
from .dicom_time import administration_datetime, join_date_time, parse_datetime

BECQUEREL_PER_ML = "Bq/mL"
COUNTS = "counts"
SUV_BODY_WEIGHT = "SUVbw (g/mL)"

# (0054,1001) Units, PS3.3 C.8.9.1.1.3.
_UNITS = {"BQML": BECQUEREL_PER_ML, "CNTS": COUNTS, "GML": SUV_BODY_WEIGHT, "PROPCNTS": COUNTS}
# SNOMED CT and its older SRT codes; the last of each is wrong but found in the wild.
_TECHNETIUM_CODES = ("72454006", "C-163A8", "72454001")
_YTTRIUM_CODES = ("14691008", "C-145A4", "14691005")


@dataclass(frozen=True)
class EmissionFacts:
    """The tags of an emission image that matter, read once when it gets its role.

    Parameters
    ----------
    units : str or None
        ``"Bq/mL"``, ``"counts"``, ``"SUVbw (g/mL)"`` or the header's own word.
    decay_correction : str or None
        START (values are those at scan start), ADMIN (at administration) or NONE.
    scan_start, administration_time : str or None
        ISO date and time, scanner's local.
    half_life_h : float or None
        Half-life the scanner corrected with.
    frame_duration_s : float or None
    radionuclide : str or None
        ``"Y-90"``, ``"Tc-99m"`` or the header's words.
    administered_mbq, patient_weight_kg : float or None
        Needed for SUV only.
    """

    units: str | None = None
    decay_correction: str | None = None
    scan_start: str | None = None
    administration_time: str | None = None
    half_life_h: float | None = None
    frame_duration_s: float | None = None
    radionuclide: str | None = None
    administered_mbq: float | None = None
    patient_weight_kg: float | None = None

    def __post_init__(self) -> None:
        for name in ("scan_start", "administration_time"):
            if getattr(self, name) is not None:
                local_time(getattr(self, name), "emission", name)
        for name in ("half_life_h", "frame_duration_s", "administered_mbq", "patient_weight_kg"):
            value = getattr(self, name)
            if value is not None and not (value > 0.0 and math.isfinite(value)):
                raise InputError(
                    f"emission.{name}", f"expected a positive number, got {value:g}", "Correct or remove it"
                )


def local_time(text: str, where: str, field: str = "time") -> datetime:
    """An ISO date and time of day without a UTC offset: all times of a case are the scanner's local."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            where, f'its {field} "{text}" is not an ISO date and time', "Write it as 2026-03-10T11:20:00", "time"
        ) from None
    if time.tzinfo is not None:
        raise InputError(
            where, f'its {field} "{text}" has a UTC offset', "Write the scanner's local time without offset", "time"
        )
    if len(text.strip()) <= len("2026-03-10"):
        raise InputError(where, f'its {field} "{text}" has no time of day', "Write it as 2026-03-10T11:20:00", "time")
    return time


def _float(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: Any) -> float | None:
    number = _float(value)
    return number if number is not None and number > 0.0 else None


def _radionuclide(header: Any, item: Any) -> str | None:
    codes = item.get("RadionuclideCodeSequence") or []
    code = str(codes[0].get("CodeValue", "")) if len(codes) else ""
    meaning = str(codes[0].get("CodeMeaning", "")) if len(codes) else ""
    words = " ".join(
        (meaning, str(item.get("Radiopharmaceutical", "")), str(header.get("SeriesDescription", "")))
    ).lower()
    half_life_h = (_float(item.get("RadionuclideHalfLife")) or 0.0) / SECONDS_PER_HOUR
    if code in _YTTRIUM_CODES or "yttrium" in meaning.lower() or "90y" in words or "y90" in words or "y-90" in words:
        return "Y-90"
    if code in _TECHNETIUM_CODES or "technetium" in words or "99m" in words or "maa" in words:
        return "Tc-99m"
    if 5.9 < half_life_h < 6.1:
        return "Tc-99m"
    low, high = nuclides()["Y-90"].header_half_life_range_h
    if low <= half_life_h <= high:
        return "Y-90"
    return meaning or None


def emission_facts(headers: list[Any]) -> EmissionFacts:
    """Read the facts from a PET or NM series' headers (one per slice or one multi-frame).

    The scan start is the series' time unless that was written after the first acquisition, as reprocessing
    does; then it is the earliest acquisition (QIBA FDG-PET profile's rule for START).
    """
    header = headers[0]
    acquired = [
        join_date_time(h.get("AcquisitionDate"), h.get("AcquisitionTime"))
        or parse_datetime(h.get("AcquisitionDateTime"))
        for h in headers
    ]
    earliest = min((time for time in acquired if time is not None), default=None)
    series = join_date_time(header.get("SeriesDate"), header.get("SeriesTime"))
    known = [time for time in (series, earliest) if time is not None]
    scan_start = min(known) if known else None
    items = header.get("RadiopharmaceuticalInformationSequence") or []
    item = items[0] if len(items) else {}
    half_life_s = _positive(item.get("RadionuclideHalfLife"))
    duration_ms = _positive(header.get("ActualFrameDuration"))
    administered_at = administration_datetime(item, scan_start)
    total_dose = _positive(item.get("RadionuclideTotalDose"))
    units = str(header.get("Units", "") or "").strip().upper()
    if not units and header.get("Modality") == "NM":
        units = "CNTS"  # the NM module has no Units attribute; its pixels are counts
    if units == "GML" and str(header.get("SUVType", "BW") or "BW").upper() != "BW":
        units = f"SUV{str(header.SUVType).lower()}"
    correction = str(header.get("DecayCorrection", "") or "").strip().upper()
    return EmissionFacts(
        units=_UNITS.get(units, units or None),
        decay_correction=correction or None,
        scan_start=scan_start.isoformat() if scan_start else None,
        administration_time=administered_at.isoformat() if administered_at else None,
        half_life_h=half_life_s / SECONDS_PER_HOUR if half_life_s else None,
        frame_duration_s=duration_ms / 1000.0 if duration_ms else None,
        radionuclide=_radionuclide(header, item),
        administered_mbq=(total_dose / BQ_PER_MBQ if header.get("Modality") == "PT" else total_dose)
        if total_dose
        else None,
        patient_weight_kg=_positive(header.get("PatientWeight")),
    )


def _time(text: str | None, where: str, field: str) -> datetime:
    if not text:
        raise InputError(
            where, f"its {field} is not known", f'Write "{field}" as ISO date and time in the case', "time"
        )
    return local_time(text, where, field)


def _given(facts: EmissionFacts, scan: datetime, where: str) -> datetime:
    given = _time(facts.administration_time, where, "administration_time")
    if given > scan:
        raise InputError(
            where,
            f"its administration at {facts.administration_time} lies after its scan at {facts.scan_start}",
            "Check both times",
            "dates",
        )
    return given


def hours_between(earlier: str | datetime, later: str | datetime) -> float:
    """Hours from one ISO time to another; negative where the order is the other way round."""
    start = datetime.fromisoformat(earlier) if isinstance(earlier, str) else earlier
    end = datetime.fromisoformat(later) if isinstance(later, str) else later
    return (end - start).total_seconds() / SECONDS_PER_HOUR


def require_nuclide_half_life(facts: EmissionFacts, nuclide: str, where: str) -> None:
    """Refuse an acquisition whose scanner was set to another nuclide.

    The scanner then decayed its values with the wrong half-life and divided by the wrong branching ratio.
    """
    low, high = nuclides()[nuclide].header_half_life_range_h
    if facts.half_life_h is not None and not low <= facts.half_life_h <= high:
        raise InputError(
            where,
            f"its header has a half-life of {facts.half_life_h:.4g} h, expected {low:g} to {high:g} h of {nuclide}",
            "The scanner was set to another nuclide: reconstruct it with the right one",
            "wrong-half-life",
        )


def concentration_factor(facts: EmissionFacts, half_life_h: float, where: str) -> float:
    """Factor from stored values to Bq/mL at scan start.

    START leaves values as they are. ADMIN is undone with the header's own half-life. NONE holds the mean over
    the frame, which is brought back to its start: λΔ / (1 - exp(-λΔ)).

    Parameters
    ----------
    facts : EmissionFacts
    half_life_h : float
        Of the nuclide, for a header without one.
    where : str
        Image's name for messages.

    Raises
    ------
    InputError
        Where units or times do not allow a unique answer.
    """
    if facts.units == COUNTS or facts.units is None or facts.units not in (BECQUEREL_PER_ML, SUV_BODY_WEIGHT):
        raise InputError(
            where,
            f"its units are {facts.units or 'not stated'}, expected Bq/mL, and its tags do not allow a conversion",
            "Export the image in Bq/mL, or choose relative calibration",
            "units",
        )
    scan = _time(facts.scan_start, where, "scan_start")
    used_half_life_h = facts.half_life_h or half_life_h
    rate_per_h = math.log(2.0) / used_half_life_h
    factor = 1.0
    correction = facts.decay_correction
    if facts.units == SUV_BODY_WEIGHT:
        if not facts.patient_weight_kg or not facts.administered_mbq:
            raise InputError(
                where,
                "its units are SUV, and the patient's weight or the administered activity is missing",
                "Export the image in Bq/mL",
                "units",
            )
        if correction not in ("START", "ADMIN"):
            raise InputError(
                where,
                f"its units are SUV and its decay correction is {correction or 'not stated'}, expected START or ADMIN",
                "Export the image in Bq/mL",
                "units",
            )
        given = _given(facts, scan, where)
        factor = facts.administered_mbq * BQ_PER_MBQ / (facts.patient_weight_kg * 1000.0)
        # Under START dose and image are both decayed to the scan's start, under ADMIN neither is: the same factor.
        return factor * math.exp(-rate_per_h * hours_between(given, scan))
    if correction == "START":
        return factor
    if correction == "ADMIN":
        return factor * math.exp(-rate_per_h * hours_between(_given(facts, scan, where), scan))
    if correction == "NONE":
        if not facts.frame_duration_s:
            raise InputError(where, "it is not decay-corrected and its frame duration is missing", "Export it again")
        product = rate_per_h * facts.frame_duration_s / SECONDS_PER_HOUR
        return factor * product / -math.expm1(-product)
    raise InputError(
        where,
        f"its decay correction is {correction or 'not stated'}, expected START, ADMIN or NONE",
        "Export the image with its DecayCorrection tag",
        "decay-correction",
    )


def negative_share(array: np.ndarray) -> tuple[int, float]:
    """Number of negative voxels and their sum as a share of the positive sum."""
    negative = array < 0
    positive_sum = float(array[~negative].sum())
    return int(negative.sum()), float(-array[negative].sum()) / positive_sum if positive_sum > 0.0 else 0.0
