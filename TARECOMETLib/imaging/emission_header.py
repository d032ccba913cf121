"""The facts of an emission image read from its DICOM headers, and what was odd in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from ..physics.nuclides import nuclides
from ..units import BQ_PER_MBQ, SECONDS_PER_HOUR
from .dicom_frames import frame_headers, number_or_none
from .dicom_time import administration_datetime, join_date_time, parse_datetime
from .emission import BECQUEREL_PER_ML, COUNTS, EmissionFacts
from .suv import SUV_BODY_WEIGHT, SUV_LEAN_JAMES, SUV_LEAN_JANMAHASATIAN, SUV_SURFACE
from .vendor_tags import ge_scan_time, philips_scales

# (0054,1001) Units, PS3.3 C.8.9.1.1.3, and the SUV Type (0054,1006) beside GML.
_UNITS = {"BQML": BECQUEREL_PER_ML, "CNTS": COUNTS, "GML": SUV_BODY_WEIGHT, "PROPCNTS": COUNTS, "CM2ML": SUV_SURFACE}
_SUV_TYPES = {
    "BW": SUV_BODY_WEIGHT,
    "BSA": SUV_SURFACE,
    "LBMJAMES128": SUV_LEAN_JAMES,
    "LBMJANMA": SUV_LEAN_JANMAHASATIAN,
}
# SNOMED CT and its older SRT codes; the last of each is wrong but found in the wild.
_TECHNETIUM_CODES = ("72454006", "C-163A8", "72454001")
_YTTRIUM_CODES = ("14691008", "C-145A4", "14691005")
# No one is given less than 0.1 MBq or more than 100 GBq: a dose outside is in the other unit.
_LEAST_DOSE_BQ, _MOST_DOSE_MBQ = 1.0e5, 1.0e5
_SAME_TIME_S, _SERIES_AHEAD_S = 60.0, 1800.0
_REWIND_LIMIT_S = 6.0 * SECONDS_PER_HOUR
_SAME_SCALE, _DECAY_FACTOR_EXCESS = 0.01, 1.03


def emission_facts(headers: Sequence[Any]) -> EmissionFacts:
    """Read the facts from a PET or NM series' headers (one per slice or one multi-frame).

    The scan start is the series' time unless that was written after the first acquisition, as reprocessing does;
    then it is the earliest acquisition, or what GE's private scan time or the frame reference times tell (QIBA
    FDG-PET profile's rule for START).
    """
    frames = frame_headers(headers)
    header, remarks = frames[0], list[str]()
    acquired = [_acquired(frame) for frame in frames]
    scan_start = _scan_start(frames, acquired, remarks)
    items = header.get("RadiopharmaceuticalInformationSequence") or []
    item = items[0] if len(items) else {}
    half_life_s = _positive(item.get("RadionuclideHalfLife"))
    duration_ms = _positive(header.get("ActualFrameDuration"))
    administered_at = administration_datetime(item, scan_start)
    units, scale = _units(frames, remarks)
    correction = str(header.get("DecayCorrection", "") or "").strip().upper()
    nuclide = _radionuclide(header, item)
    fraction = _positive(item.get("RadionuclidePositronFraction"))
    if nuclide == "Y-90" and fraction and not 2.5e-5 <= fraction <= 4.5e-5:
        remarks.append("branching-ratio")
    _odd_administration(item, remarks)
    _odd_corrections(header, correction, remarks)
    if correction == "START":
        _odd_decay_factor(frames, acquired, scan_start, remarks)
    return EmissionFacts(
        units=units,
        decay_correction=correction or None,
        scan_start=scan_start.isoformat() if scan_start else None,
        administration_time=administered_at.isoformat() if administered_at else None,
        half_life_h=half_life_s / SECONDS_PER_HOUR if half_life_s else None,
        frame_duration_s=duration_ms / 1000.0 if duration_ms else None,
        radionuclide=nuclide,
        administered_mbq=_administered_mbq(header, item, remarks),
        patient_weight_kg=_positive(header.get("PatientWeight")),
        patient_height_m=_positive(header.get("PatientSize")),
        patient_sex=str(header.get("PatientSex") or "").strip().upper() or None,
        scale=scale,
        positron_fraction=fraction,
        slice_delay_s=_slice_delay_s(frames, acquired, scan_start) if correction == "NONE" else None,
        remarks=tuple(remarks) or None,
    )


def _positive(value: Any) -> float | None:
    number = number_or_none(value)
    return number if number is not None and number > 0.0 else None


def _acquired(frame: Any) -> datetime | None:
    return join_date_time(frame.get("AcquisitionDate"), frame.get("AcquisitionTime")) or parse_datetime(
        frame.get("AcquisitionDateTime")
    )


def _scan_start(frames: Sequence[Any], acquired: Sequence[datetime | None], remarks: list[str]) -> datetime | None:
    """The time that values are decay-corrected to under START, and the frames' first start else."""
    header = frames[0]
    stated = parse_datetime(header.get("DecayCorrectionDateTime"))
    if stated is not None:  # enhanced objects say it outright
        return stated
    earliest = min((time for time in acquired if time is not None), default=None)
    series = join_date_time(header.get("SeriesDate"), header.get("SeriesTime"))
    known = [time for time in (series, earliest) if time is not None]
    by_vendor = ge_scan_time(header)
    if by_vendor is not None:
        if known and abs((by_vendor - known[0]).total_seconds()) > _SAME_TIME_S:
            far = abs((by_vendor - known[-1]).total_seconds()) > 24.0 * SECONDS_PER_HOUR
            remarks.append("vendor-scan-time-far" if far else "vendor-scan-time")
        return by_vendor
    if series is None or earliest is None:
        return known[0] if known else None
    ahead_s = (earliest - series).total_seconds()
    if ahead_s >= 0.0:
        if ahead_s > _SERIES_AHEAD_S:
            remarks.append("series-ahead")
        return series
    remarks.append("reprocessed-series")
    by_frames = _start_by_frames(frames, acquired)
    if by_frames is not None and _SAME_TIME_S < (earliest - by_frames).total_seconds() < _REWIND_LIMIT_S:
        remarks.append("first-bed-missing")
        return by_frames
    return earliest


def _start_by_frames(frames: Sequence[Any], acquired: Sequence[datetime | None]) -> datetime | None:
    """Start from frame reference times: acquisition, less the reference, plus when the frame's mean rate occurs."""
    starts = []
    for frame, time in zip(frames, acquired, strict=True):
        reference_ms, duration_ms = (
            _positive(frame.get("FrameReferenceTime")),
            _positive(frame.get("ActualFrameDuration")),
        )
        items = frame.get("RadiopharmaceuticalInformationSequence") or [{}]
        half_life_s = _positive(items[0].get("RadionuclideHalfLife"))
        if time is None or reference_ms is None or duration_ms is None or half_life_s is None:
            return None
        rate = math.log(2.0) / half_life_s
        product = rate * duration_ms / 1000.0
        mean_at_s = math.log(product / -math.expm1(-product)) / rate
        starts.append(time + timedelta(seconds=mean_at_s - reference_ms / 1000.0))
    return min(starts)


def _units(frames: Sequence[Any], remarks: list[str]) -> tuple[str | None, float | None]:
    """Units and the private factor to them."""
    header = frames[0]
    units = str(header.get("Units", "") or "").strip().upper()
    if not units and header.get("Modality") == "NM":
        units = "CNTS"  # the NM module has no Units attribute; its pixels are counts
    suv_type = str(header.get("SUVType", "") or "").strip().upper()
    if units in ("GML", "CM2ML") and suv_type:
        return _SUV_TYPES.get(suv_type, f"SUV{suv_type.lower()}"), None
    if units == "CNTS" and header.get("Modality") == "PT":
        suv, activity, differ = philips_scales(frames)
        if differ:
            remarks.append("vendor-scales-differ")
            return COUNTS, None
        if activity:
            if suv and _disagree(header, suv, activity):
                remarks.append("vendor-scales-differ")
            return BECQUEREL_PER_ML, activity
        if suv:
            return SUV_BODY_WEIGHT, suv
    return _UNITS.get(units, units or None), None


def _disagree(header: Any, suv: float, activity: float) -> bool:
    """Whether two factors imply a dose per weight that the header's own dose (decayed or not) cannot be."""
    item = (header.get("RadiopharmaceuticalInformationSequence") or [{}])[0]
    dose, weight_kg = _positive(item.get("RadionuclideTotalDose")), _positive(header.get("PatientWeight"))
    if dose is None or weight_kg is None:
        return False
    left = activity / suv * weight_kg * 1000.0 / dose
    return not 0.0 < left <= 1.0 + _SAME_SCALE


def _administered_mbq(header: Any, item: Any, remarks: list[str]) -> float | None:
    """Total dose: Bq in PET, MBq in NM (PS3.3 C.8.9.2, C.8.4.10), the other where it can only be that."""
    dose = _positive(item.get("RadionuclideTotalDose"))
    if dose is None:
        return None
    if header.get("Modality") == "PT":
        if dose < _LEAST_DOSE_BQ:
            remarks.append("dose-in-mbq")
            return dose
        return dose / BQ_PER_MBQ
    if dose > _MOST_DOSE_MBQ:
        remarks.append("dose-in-bq")
        return dose / BQ_PER_MBQ
    return dose


def _odd_administration(item: Any, remarks: list[str]) -> None:
    """The two attributes of the administration's time of day contradict each other."""
    full = parse_datetime(item.get("RadiopharmaceuticalStartDateTime"))
    clock = full and join_date_time(full.strftime("%Y%m%d"), item.get("RadiopharmaceuticalStartTime"))
    if full and clock and abs((full - clock).total_seconds()) > _SAME_TIME_S:
        remarks.append("administration-attributes")


def _odd_corrections(header: Any, correction: str, remarks: list[str]) -> None:
    """Corrections that are missing from the list, where there is one."""
    value = header.get("CorrectedImage")
    if not value:
        return
    listed = {str(word).strip().upper() for word in ([value] if isinstance(value, str) else value)}
    if "ATTN" not in listed:
        remarks.append("no-attenuation-correction")
    if "SCAT" not in listed:
        remarks.append("no-scatter-correction")
    if header.get("Modality") == "PT" and correction in ("START", "ADMIN") and "DECY" not in listed:
        remarks.append("decay-not-listed")
    if header.get("Modality") == "PT" and correction == "NONE" and "DECY" in listed:
        remarks.append("decay-listed")


def _odd_decay_factor(
    frames: Sequence[Any], acquired: Sequence[datetime | None], scan_start: datetime | None, remarks: list[str]
) -> None:
    """Decay factors that reach further back than the scan's start: START is what the header says, not what it did."""
    items = frames[0].get("RadiopharmaceuticalInformationSequence") or [{}]
    half_life_s = _positive(items[0].get("RadionuclideHalfLife"))
    if half_life_s is None or scan_start is None:
        return
    for frame, time in zip(frames, acquired, strict=True):
        factor = _positive(frame.get("DecayFactor"))
        duration_ms = _positive(frame.get("ActualFrameDuration")) or 0.0
        if factor is None or time is None:
            continue
        reach_s = max((time - scan_start).total_seconds(), 0.0) + duration_ms / 1000.0
        if factor > _DECAY_FACTOR_EXCESS * 2.0 ** (reach_s / half_life_s):
            remarks.append("decay-factor")
            return


def _slice_delay_s(
    frames: Sequence[Any], acquired: Sequence[datetime | None], scan_start: datetime | None
) -> tuple[float, ...] | None:
    """Seconds from scan start to each slice's frame, in the order of the volume's slices; None where all agree."""
    if scan_start is None or any(time is None for time in acquired) or len(frames) < 2:
        return None
    delays = np.array([(time - scan_start).total_seconds() for time in acquired if time is not None])
    if np.ptp(delays) == 0.0 and delays[0] == 0.0:
        return None
    try:
        positions = np.array([[float(x) for x in frame.get("ImagePositionPatient")] for frame in frames])
        turn = np.array([float(x) for x in frames[0].get("ImageOrientationPatient")])
        order = np.argsort(positions @ np.cross(turn[:3], turn[3:]))
    except (TypeError, ValueError):
        return None
    return tuple(float(x) for x in delays[order])


def _radionuclide(header: Any, item: Any) -> str | None:
    """Nuclide by code, else by words, else by half-life; another nuclide keeps the header's words."""
    codes = item.get("RadionuclideCodeSequence") or []
    code = str(codes[0].get("CodeValue", "")) if len(codes) else ""
    meaning = str(codes[0].get("CodeMeaning", "")) if len(codes) else ""
    half_life_h = (number_or_none(item.get("RadionuclideHalfLife")) or 0.0) / SECONDS_PER_HOUR
    # What the scanner was set to counts before what a person called the series.
    texts = (
        [meaning]
        if meaning.strip()
        else [str(item.get("Radiopharmaceutical", "")), str(header.get("SeriesDescription", ""))]
    )
    words = " ".join(texts).lower()
    if code in _YTTRIUM_CODES or any(word in words for word in ("yttrium", "90y", "y90", "y-90", "^90^y")):
        return "Y-90"
    if code in _TECHNETIUM_CODES or "technetium" in words or "99m" in words or "maa" in words:
        return "Tc-99m"
    if 5.9 < half_life_h < 6.1:
        return "Tc-99m"
    low, high = nuclides()["Y-90"].header_half_life_range_h
    if low <= half_life_h <= high:
        return "Y-90"
    return meaning or None
