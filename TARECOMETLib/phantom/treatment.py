"""The course of the sample patient's treatment, and the file that tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .acquisition import AcquisitionParameters
from .uptake import Injection, UptakeParameters, decay_factor

PATIENT = "TARE-PHANTOM"


@dataclass(frozen=True)
class TreatmentParameters:
    """The course of the treatment.

    Parameters
    ----------
    injections : tuple of Injection
        In order of time.
    ct_time, maa_injection_time, maa_scan_time, pet_start : datetime
        When what was done.
    maa_injected_mbq : float
        Activity of the MAA.
    pet_frame_s, spect_frame_s : float
        Durations of the PET's one bed and of a SPECT projection.
    """

    injections: tuple[Injection, ...] = (
        Injection("right", "right lobe", "right-lobe", 1.72, 0.05, 1.75, datetime(2026, 4, 14, 14, 5)),
        Injection("left", "left lobe", "left-lobe", 0.48, 0.014, 0.50, datetime(2026, 4, 14, 14, 50)),
    )
    ct_time: datetime = datetime(2026, 3, 30, 10, 15)
    maa_injection_time: datetime = datetime(2026, 4, 2, 9, 30)
    maa_scan_time: datetime = datetime(2026, 4, 2, 10, 40)
    pet_start: datetime = datetime(2026, 4, 15, 8, 5)
    maa_injected_mbq: float = 150.0
    pet_frame_s: float = 1200.0
    spect_frame_s: float = 15.0


def net_at_first_mbq(treatment: TreatmentParameters) -> float:
    """All net activity at the time of the first injection."""
    first = treatment.injections[0].time
    return sum(i.net_mbq / decay_factor(first, i.time) for i in treatment.injections)


def treatment_json(
    treatment: TreatmentParameters, uptake: UptakeParameters, scanners: AcquisitionParameters
) -> dict[str, Any]:
    """What the hospital writes down of the treatment."""
    injections = [
        {
            "id": i.id,
            "territory": i.territory,
            "vial_gbq": i.vial_gbq,
            "residual_gbq": i.residual_gbq,
            "time": i.time.isoformat(),
            "planned_gbq": i.planned_gbq,
        }
        for i in treatment.injections
    ]
    return {
        "patient": PATIENT,
        "device": "TheraSphere",
        "lung_shunt_fraction_planar": uptake.lung_shunt_fraction,
        "injections": injections,
        "resolution_fwhm_mm": {
            "spect": scanners.spect_fwhm_mm,
            "pet": scanners.pet_fwhm_mm,
        },
        "maa_injected_mbq": treatment.maa_injected_mbq,
        "pet_scan_start": treatment.pet_start.isoformat(),
        "contours_drawn_on": "diagnostic-ct",
        "note": "digital phantom made of analytic shapes; simulated uptake; not a patient",
    }
