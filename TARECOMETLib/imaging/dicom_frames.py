"""Enhanced multi-frame objects as the classic headers their frames would have had."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

# UCUM codes of (0040,08EA) Measurement Units and the classic Units they stand for, with the factor to those.
_MEASURED = {
    "bq/ml": ("BQML", 1.0),
    "kbq/ml": ("BQML", 1.0e3),
    "mbq/ml": ("BQML", 1.0e6),
    "g/ml{suvbw}": ("GML", 1.0),
    "{counts}": ("CNTS", 1.0),
    "{propcounts}": ("PROPCNTS", 1.0),
    "{propcounts}/s": ("PROPCPS", 1.0),
}
_YES = "YES"
_ENHANCED_CORRECTIONS = (
    ("AttenuationCorrected", "ATTN"),
    ("ScatterCorrected", "SCAT"),
    ("DecayCorrected", "DECY"),
    ("RandomsCorrected", "RAN"),
)


def number_or_none(value: Any) -> float | None:
    """A finite number, else None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def is_enhanced(header: Any) -> bool:
    """Whether an object keeps its geometry in functional groups."""
    return "PerFrameFunctionalGroupsSequence" in header or "SharedFunctionalGroupsSequence" in header


def frame_headers(headers: Sequence[Any]) -> list[Any]:
    """Headers as they are for classic objects; one header a frame for enhanced ones.

    A frame's header is a plain mapping by keyword: what the object says, then the shared groups, then its own.
    """
    frames: list[Any] = []
    for header in headers:
        frames.extend(_frames_of(header) if is_enhanced(header) else [header])
    return frames


class FrameHeader(dict[str, Any]):
    """Attributes of one frame by keyword; private groups stay with the whole object."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.whole = whole

    def get(self, name: Any, default: Any = None) -> Any:
        """The frame's own value, else the whole object's."""
        if name in self:
            return self[name]
        return self.whole.get(name, default)

    def private_block(self, group: int, creator: str) -> Any:
        """The whole object's private block."""
        return self.whole.private_block(group, creator)


def _frames_of(header: Any) -> list[Any]:
    shared: dict[str, Any] = {}
    for item in header.get("SharedFunctionalGroupsSequence") or ():
        _gather(item, shared)
    frames = []
    for item in header.get("PerFrameFunctionalGroupsSequence") or ():
        frame = FrameHeader(header)
        frame.update(shared)
        _gather(item, frame)
        _as_classic(frame, header)
        frames.append(frame)
    return frames or [header]


def _gather(item: Any, into: dict[str, Any]) -> None:
    """The values of a group's one-item macros, flat by keyword."""
    from pydicom.sequence import Sequence as DicomSequence

    for element in item:
        if isinstance(element.value, DicomSequence) and element.keyword not in (
            "MeasurementUnitsCodeSequence",
            "RadiopharmaceuticalInformationSequence",
        ):
            if len(element.value):
                _gather(element.value[0], into)
        elif element.keyword:
            into[element.keyword] = element.value


def _as_classic(frame: FrameHeader, header: Any) -> None:
    """Names that classic objects have for what enhanced ones say otherwise."""
    if "FrameAcquisitionDateTime" in frame:
        frame["AcquisitionDateTime"] = frame["FrameAcquisitionDateTime"]
        frame["AcquisitionDate"] = frame["AcquisitionTime"] = None
    if "FrameAcquisitionDuration" in frame:
        frame["ActualFrameDuration"] = frame["FrameAcquisitionDuration"]  # ms in both
    if header.get("DecayCorrected") is not None and not header.get("DecayCorrection"):
        frame["DecayCorrection"] = "START" if str(header.get("DecayCorrected")).upper() == _YES else "NONE"
    listed = [word for name, word in _ENHANCED_CORRECTIONS if str(header.get(name, "")).upper() == _YES]
    if listed and not header.get("CorrectedImage"):
        frame["CorrectedImage"] = listed
    codes = frame.get("MeasurementUnitsCodeSequence")
    slope = number_or_none(frame.get("RealWorldValueSlope"))
    if codes and slope:
        code = str(codes[0].get("CodeValue", "")).strip().lower()
        if code in _MEASURED and header.get("Modality") in ("PT", "NM"):
            units, factor = _MEASURED[code]
            frame["Units"] = units
            frame["RescaleSlope"] = slope * factor
            frame["RescaleIntercept"] = (number_or_none(frame.get("RealWorldValueIntercept")) or 0.0) * factor
