"""What an emission image's header says of its voxel values, and the activity concentration that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ..errors import InputError
from ..physics.nuclides import nuclides
from ..units import BQ_PER_MBQ, SECONDS_PER_HOUR
from .suv import SUV_UNITS, suv_normalizer

BECQUEREL_PER_ML = "Bq/mL"
COUNTS = "counts"
# Selwyn 2007, doi:10.1016/j.apradiso.2006.08.009: internal pair production of 90Y.
Y90_POSITRON_FRACTION = 3.186e-5


@dataclass(frozen=True)
class EmissionFacts:
    """The tags of an emission image that matter, read once when it gets its role.

    Parameters
    ----------
    units : str or None
        ``"Bq/mL"``, ``"counts"``, one of ``SUV_UNITS`` or the header's own word.
    decay_correction : str or None
        START (values are those at scan start), ADMIN (at administration) or NONE.
    scan_start, administration_time : str or None
        ISO date and time, scanner's local.
    half_life_h : float or None
        Half-life the scanner corrected with.
    frame_duration_s : float or None
    radionuclide : str or None
        ``"Y-90"``, ``"Tc-99m"`` or the header's words.
    administered_mbq, patient_weight_kg, patient_height_m : float or None
        Needed for SUV only.
    patient_sex : str or None
        M or F; needed for SUV by lean body mass only.
    scale : float or None
        Factor from the stored values to ``units`` that a vendor keeps in private attributes.
    positron_fraction : float or None
        Branching ratio that the scanner divided by.
    slice_delay_s : tuple of float or None
        Seconds from ``scan_start`` to each slice's own frame, in the order of the volume's slices; only where
        nothing is decay-corrected and the frames began at different times.
    remarks : tuple of str or None
        Codes of what was odd in the header; ``header_remarks`` puts them into words.
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
    patient_height_m: float | None = None
    patient_sex: str | None = None
    scale: float | None = None
    positron_fraction: float | None = None
    slice_delay_s: tuple[float, ...] | None = None
    remarks: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("scan_start", "administration_time"):
            if getattr(self, name) is not None:
                local_time(getattr(self, name), "emission", name)
        for name in (
            "half_life_h",
            "frame_duration_s",
            "administered_mbq",
            "patient_weight_kg",
            "patient_height_m",
            "scale",
            "positron_fraction",
        ):
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


@dataclass(frozen=True)
class OtherNuclide:
    """What undoes a scanner that was set to another nuclide.

    Parameters
    ----------
    decay : float
        Right over wrong decay correction within the frame.
    branching : float
        Wrong over right positron fraction.
    """

    decay: float
    branching: float

    @property
    def factor(self) -> float:
        """Both together."""
        return self.decay * self.branching


def undo_other_nuclide(facts: EmissionFacts, half_life_h: float, where: str) -> OtherNuclide:
    """Factors that turn values corrected with the header's nuclide into those of 90Y, for one bed.

    The mean over a frame of length Δ was brought to its start by λΔ / (1 - exp(-λΔ)) with the wrong λ, and counts
    were divided by the wrong positron fraction.

    Parameters
    ----------
    facts : EmissionFacts
    half_life_h : float
        The right one.
    where : str
        Image's name for messages.

    Raises
    ------
    InputError
        Where the header has no half-life, frame duration or positron fraction.
    """
    if not facts.half_life_h or not facts.frame_duration_s or not facts.positron_fraction:
        raise InputError(
            where,
            "the scanner was set to another nuclide, and its frame duration or positron fraction is missing",
            "Write frame_duration_s and positron_fraction into the case's emission facts, or reconstruct it",
            "wrong-half-life",
        )
    right, wrong = (
        math.log(2.0) * facts.frame_duration_s / SECONDS_PER_HOUR / hours for hours in (half_life_h, facts.half_life_h)
    )
    decay = (right / -math.expm1(-right)) / (wrong / -math.expm1(-wrong))
    return OtherNuclide(decay, facts.positron_fraction / Y90_POSITRON_FRACTION)


def concentration_factor(facts: EmissionFacts, half_life_h: float, where: str) -> float:
    """Factor from stored values to Bq/mL at scan start.

    START leaves values as they are. ADMIN is undone with the header's own half-life. NONE holds the mean over
    the frame, which is brought back to its start: λΔ / (1 - exp(-λΔ)). SUV is undone by dose and body size.

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
    if facts.units != BECQUEREL_PER_ML and facts.units not in SUV_UNITS:
        raise InputError(
            where,
            f"its units are {facts.units or 'not stated'}, expected Bq/mL, and its tags do not allow a conversion",
            "Export the image in Bq/mL, or choose relative calibration",
            "units",
        )
    scan = _time(facts.scan_start, where, "scan_start")
    rate_per_h = math.log(2.0) / (facts.half_life_h or half_life_h)
    factor = facts.scale or 1.0
    if facts.units in SUV_UNITS:
        return factor * _from_suv(facts, rate_per_h, scan, where)
    correction = facts.decay_correction
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


def _from_suv(facts: EmissionFacts, rate_per_h: float, scan: datetime, where: str) -> float:
    """Bq/mL at scan start per unit of SUV."""
    if facts.decay_correction not in ("START", "ADMIN"):
        raise InputError(
            where,
            f"its units are SUV and its decay correction is {facts.decay_correction or 'not stated'}, expected START "
            "or ADMIN",
            "Export the image in Bq/mL",
            "units",
        )
    if not facts.administered_mbq:
        raise InputError(
            where, "its units are SUV, and the administered activity is missing", "Export the image in Bq/mL", "units"
        )
    assert facts.units is not None
    normalizer = suv_normalizer(
        facts.units, facts.patient_weight_kg, facts.patient_height_m, facts.patient_sex or "", where
    )
    # Under START dose and image are both decayed to the scan's start, under ADMIN neither is: the same factor.
    elapsed_h = hours_between(_given(facts, scan, where), scan)
    return facts.administered_mbq * BQ_PER_MBQ / normalizer * math.exp(-rate_per_h * elapsed_h)


def slice_factors(facts: EmissionFacts, half_life_h: float, slices: int, where: str) -> np.ndarray:
    """Factor of each slice that brings frames of different start to the start of the scan, shape (k, 1, 1).

    All ones unless nothing is decay-corrected and the slices (beds) were acquired one after the other.

    Raises
    ------
    InputError
        Where the image has another number of slices than the header told of.
    """
    if facts.slice_delay_s is None:
        return np.ones((slices, 1, 1))
    if len(facts.slice_delay_s) != slices:
        raise InputError(
            where,
            f"its {len(facts.slice_delay_s)} slices were acquired at different times, and the image has {slices}",
            "Use the series as the scanner wrote it",
            "slice-times",
        )
    rate_per_s = math.log(2.0) / ((facts.half_life_h or half_life_h) * SECONDS_PER_HOUR)
    return np.exp(rate_per_s * np.array(facts.slice_delay_s))[:, None, None]


def concentration_at_injection_factor(facts: EmissionFacts, half_life_h: float, injected_at: str, where: str) -> float:
    """Factor from stored values to Bq/mL at an injection's time, decay undone with ``half_life_h``."""
    at_scan = concentration_factor(facts, half_life_h, where)
    assert facts.scan_start is not None
    return at_scan * 2.0 ** (hours_between(injected_at, facts.scan_start) / half_life_h)


def negative_share(array: np.ndarray) -> tuple[int, float]:
    """Number of negative voxels and their sum as a share of the positive sum."""
    negative = array < 0
    positive_sum = float(array[~negative].sum())
    return int(negative.sum()), float(-array[negative].sum()) / positive_sum if positive_sum > 0.0 else 0.0
