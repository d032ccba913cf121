"""Lung dose from the shunt: activity by lung shunt fraction over a lung mass that is said where it came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dosimetry.compartments import LUNG
from ..dosimetry.dose import dose_per_activity_gy_g_per_mbq
from ..dosimetry.lung_shunt import spect_lung_shunt
from ..imaging.volume import Volume
from ..physics.nuclides import constants_set
from .document import MAA_SPECT, Case
from .phase import Ground, Phase
from .uncertainty import lung_uncertainty_gy

# A whole lung ends in an apex: its topmost slice is a small part of its largest one.
_APEX_SHARE = 0.25


def is_cut(lungs: list[Volume]) -> bool:
    """Whether drawn lungs end abruptly at the top instead of tapering to an apex."""
    areas: dict[int, float] = {}
    for lung in lungs:
        up = lung.geometry.ijk_to_lps[2, 2]
        per_slice = np.count_nonzero(lung.array, axis=(1, 2)).astype(float)
        ordered = per_slice if up > 0.0 else per_slice[::-1]
        for index, area in enumerate(ordered):
            areas[index] = areas.get(index, 0.0) + area
    profile = np.array([areas[index] for index in sorted(areas)])
    filled = np.flatnonzero(profile)
    if filled.size == 0:
        return True
    return bool(profile[filled[-1]] > _APEX_SHARE * profile.max())


def lung_report(case: Case, phase: Phase, ground: Ground) -> dict[str, Any]:
    """Lung dose K · Σ A · LSF / m with the mass and its source; the visible mass beside it.

    Lungs cut off by the field of view never take all the shunt: the assumed mass is used then.
    """
    constants = constants_set(case.constants_set)
    activity_mbq = sum(delivery.lung_mbq for delivery in phase.deliveries)
    names = case.contours_of(LUNG)
    report: dict[str, Any] = {"activity_mbq": activity_mbq, "method": case.lung_shunt_method}
    visible_g = sum(phase.mass_g.get(name, 0.0) for name in names)
    if names:
        report["visible_mass_g"] = visible_g
    if names and visible_g > 0.0 and not is_cut([ground.contours[name] for name in names]):
        report |= {"mass_g": visible_g, "mass_source": "CT densitometry"}
    else:
        report |= {"mass_g": case.settings.lung_mass_g, "mass_source": "assumed"}
    report["mean_gy"] = dose_per_activity_gy_g_per_mbq(constants) * activity_mbq / report["mass_g"]
    if case.earlier_lung_gy:
        report["earlier_gy"] = dict(case.earlier_lung_gy)
        report["cumulative_gy"] = report["mean_gy"] + sum(case.earlier_lung_gy.values())
    lungs, liver = phase.balance.get("lungs_share_of_field", 0.0), phase.balance.get("liver_share_of_field", 0.0)
    if names and phase.image_role == MAA_SPECT and liver > 0.0:
        report["spect_fraction"] = spect_lung_shunt(lungs, liver)
        report["spect_fraction_holds_whole_lungs"] = report["mass_source"] != "assumed"
    report["mean_uncertainty_gy"] = lung_uncertainty_gy(case, report["mean_gy"])
    return report
