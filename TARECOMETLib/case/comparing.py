"""Predicted against delivered dose of one case: the part ``comparison`` of results.json."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..comparison.agreement import plain
from ..comparison.voxels import match_resolution, voxel_agreement
from ..dosimetry.activity import ABSOLUTE
from ..dosimetry.compartments import LUNG
from ..errors import InputError
from .phase import LOCAL, Phase
from .ratios import tumour_to_normal
from .workflow import CaseResults

PLANNED, AT_NET = "predicted_as_planned", "predicted_at_delivered_net"
MEASURED, SCALED = "measured_absolute", "measured_scaled"


def comparison_document(results: CaseResults) -> dict[str, Any] | None:
    """The JSON object, from local deposition; None where a phase is missing.

    Difference and ratio are delivered against predicted at the delivered net activity; delivered is the measured
    absolute dose, or the scaled one where the image is not absolute. Voxel figures stand beside the quality of both
    registrations, on the dose grid that both maps were carried to once.
    """
    if "pre" not in results.phases or "post" not in results.phases:
        return None
    pre, post, case = results.phases["pre"], results.phases["post"], results.case
    factors = _factors(results, pre, post)
    document: dict[str, Any] = {"method": LOCAL, "registration_quality": _qualities(pre, post)}
    if SCALED in factors and post.calibration == ABSOLUTE:
        document["measured_scaled_factor"] = factors[SCALED]
    if case.catheter_position is not None:
        document["catheter_position"] = case.catheter_position
    if case.primary_resolution is not None:
        document["primary_resolution"] = case.primary_resolution
    maps = {"unmatched": (pre.dose_gy[LOCAL], post.dose_gy[LOCAL])}
    matched = _matched(results, pre, post)
    if matched is not None:
        maps["matched"] = matched
    else:
        document["matched_absent"] = "the resolution of one image is not given under settings.resolution_fwhm_mm"
    document["compartments"] = [
        _compartment(results, compartment.name, factors, maps)
        for compartment in results.ground.compartments
        if compartment.role != LUNG and compartment.name in pre.dvh and compartment.name in post.dvh
    ]
    return document


def _qualities(pre: Phase, post: Phase) -> dict[str, float]:
    return {"pre": pre.registration.quality, "post": post.registration.quality}


def _factors(results: CaseResults, pre: Phase, post: Phase) -> dict[str, float]:
    """What the mean doses of a phase are multiplied by to give each quantity; those that are not known are absent."""
    factors: dict[str, float] = {}
    if pre.calibration != ABSOLUTE:
        factors[AT_NET] = 1.0
        shares = [i.planned_mbq / i.net_mbq for i in results.case.injections if i.planned_mbq is not None]
        # Territories planned at other shares of what was given would need a map of their own.
        if len(shares) == len(results.case.injections) and np.ptp(shares) <= 0.01 * max(shares):
            factors[PLANNED] = float(np.mean(shares))
    if post.calibration == ABSOLUTE:
        factors[MEASURED] = 1.0
        balance = post.balance
        net = sum(d.net_mbq * (1.0 - d.lung_shunt_fraction) for d in post.deliveries)
        whole = sum(d.net_mbq for d in post.deliveries)
        if balance["liver_mbq"] > 0.0:
            # Both at the first injection's time; the shunt is taken off by its mean over the injections.
            factors[SCALED] = balance["net_injected_mbq"] * net / whole / balance["liver_mbq"]
    else:
        factors[SCALED] = 1.0
    return factors


def _matched(results: CaseResults, pre: Phase, post: Phase) -> tuple[np.ndarray, np.ndarray] | None:
    """Both maps at the coarser of the two resolutions: the sharper one is blurred."""
    widths = [results.case.settings.resolution_fwhm_mm.get(phase.image_role) for phase in (pre, post)]
    if widths[0] is None or widths[1] is None:
        return None
    coarse, spacing = max(widths[0], widths[1]), results.ground.parcels.geometry.spacing_mm
    first, second = (
        phase.dose_gy[LOCAL] if width == coarse else match_resolution(phase.dose_gy[LOCAL], spacing, width, coarse)
        for phase, width in zip((pre, post), widths, strict=True)
        if width is not None
    )
    return first, second


def _compartment(
    results: CaseResults, name: str, factors: dict[str, float], maps: dict[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, Any]:
    pre, post, ground = results.phases["pre"], results.phases["post"], results.ground
    compartment = next(c for c in ground.compartments if c.name == name)
    means = {"pre": pre.dvh[name][LOCAL].mean_gy(), "post": post.dvh[name][LOCAL].mean_gy()}
    quantities = {
        quantity: factor * means["pre" if quantity in (PLANNED, AT_NET) else "post"]
        for quantity, factor in factors.items()
    }
    row: dict[str, Any] = {"name": name, "role": compartment.role, "mean_gy": quantities}
    delivered = quantities.get(MEASURED, quantities.get(SCALED))
    predicted = quantities.get(AT_NET)
    if predicted is not None and delivered is not None:
        row["difference_gy"] = delivered - predicted
        if predicted > 0.0:
            row["ratio"] = delivered / predicted
    for key, phase in (("pre", pre), ("post", post)):
        ratio = tumour_to_normal(results.case, phase, ground, name) if compartment.role == "tumour" else None
        if ratio is not None:
            row.setdefault("tumour_to_normal", {})[key] = ratio[0]
    chosen = ground.holding(compartment)
    voxel, volume_ml = ground.parcels.voxel[chosen], ground.parcels.volume_ml[chosen]
    for kind, (first, second) in maps.items():
        try:
            figures = plain(voxel_agreement(first.ravel()[voxel], second.ravel()[voxel], volume_ml))
        except InputError as refusal:
            row.setdefault("voxels_absent", f"{refusal.where}: {refusal.problem}")
            continue
        row.setdefault("voxels", {})[kind] = figures
    return row
