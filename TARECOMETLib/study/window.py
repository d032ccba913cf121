"""Therapeutic window: tumour response and liver toxicity on one dose axis, by the study's own fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from .inverse_dose import on_scale
from .logistic import LogisticFit, design_of, z_of


def curve_of(
    fit: LogisticFit, scale: str, seen_gy: tuple[float, float], confidence: float, points: int = 120
) -> dict[str, Any]:
    """Probability with its band over the doses that were seen, and not beyond."""
    dose = np.linspace(max(seen_gy[0], 1e-3), seen_gy[1], points)
    design = design_of(on_scale(dose, scale))
    low, high = fit.band(design, z_of(confidence))
    return {"dose_gy": dose, "probability": fit.probability(design), "low": low, "high": high}


def uncomplicated_response(
    tumour: LogisticFit,
    tumour_scale: str,
    tumour_seen_gy: tuple[float, float],
    liver: LogisticFit,
    liver_scale: str,
    liver_seen_gy: tuple[float, float],
    ratio: float,
) -> dict[str, Any]:
    """Response without toxicity along the normal liver's dose, at the cohort's median tumour-to-normal ratio.

    P+ = P(response at ratio x D) (1 - P(toxicity at D)), both taken as independent.

    Parameters
    ----------
    ratio : float
        Tumour dose over dose of the normal liver.
    """
    low = max(liver_seen_gy[0], tumour_seen_gy[0] / ratio)
    high = min(liver_seen_gy[1], tumour_seen_gy[1] / ratio)
    if high <= low:
        return {}
    dose = np.linspace(low, high, 120)
    response = tumour.probability(design_of(on_scale(dose * ratio, tumour_scale)))
    toxicity = liver.probability(design_of(on_scale(dose, liver_scale)))
    value = response * (1.0 - toxicity)
    best = int(np.argmax(value))
    return {
        "normal_dose_gy": dose,
        "tumour_to_normal_ratio": ratio,
        "response_without_toxicity": value,
        "best_normal_dose_gy": float(dose[best]),
        "best_probability": float(value[best]),
    }
