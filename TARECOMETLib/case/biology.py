"""Radiobiological figures of a case: a compartment's tissue, its BED, EQD2 and EUD, and probabilities of effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dosimetry.compartments import LIVER, TERRITORY, TUMOUR, Compartment
from ..dosimetry.dvh import Dvh
from ..dosimetry.effect import DOSE, EffectModel, effect_probability
from ..dosimetry.effect_sets import SCOPE
from ..dosimetry.radiobiology import (
    Radiobiology,
    bed_gy,
    dose_of_bed_gy,
    eqd2_gy,
    generalized_eud_gy,
    mean_bed_gy,
    survival_eud_gy,
    uniform_bed_gy,
)
from .document import Case, Tissue

if TYPE_CHECKING:
    from .phase import Ground


def radiobiology(tissue: Tissue) -> Radiobiology:
    """The part of a case's tissue that BED needs."""
    return Radiobiology(tissue.alpha_beta_gy, tissue.repair_half_time_h)


def is_of_tumours(case: Case, compartment: Compartment) -> bool:
    """Whether a compartment is a tumour or all of them together."""
    tumours = case.contours_of(TUMOUR)
    return compartment.role == TUMOUR or (bool(tumours) and compartment.any_of == tuple(tumours))


def tissue_of(case: Case, compartment: Compartment) -> Tissue | None:
    """Radiobiological parameters that fit a compartment, where the case gives them; none for lungs and others."""
    if is_of_tumours(case, compartment):
        return case.settings.tumour_tissue
    return case.settings.liver_tissue if compartment.role in (LIVER, TERRITORY, "derived") else None


def biological_metrics(dvh: Dvh, tissue: Tissue, half_life_h: float) -> dict[str, float]:
    """BED and EQD2 (means over voxels), gEUD with its exponent, survival EUD and EUBED with their α.

    Those whose parameter is not given are absent.
    """
    parameters = radiobiology(tissue)
    bed = mean_bed_gy(dvh, parameters, half_life_h)
    metrics = {
        "bed_gy": bed,
        "eqd2_gy": float(eqd2_gy(bed, tissue.alpha_beta_gy)),
        "alpha_beta_gy": tissue.alpha_beta_gy,
        "repair_half_time_h": tissue.repair_half_time_h,
    }
    if tissue.eud_exponent is not None:
        metrics |= {"eud_gy": generalized_eud_gy(dvh, tissue.eud_exponent), "eud_exponent": tissue.eud_exponent}
    if tissue.alpha_per_gy is not None:
        metrics |= {
            "survival_eud_gy": survival_eud_gy(dvh, tissue.alpha_per_gy, parameters, half_life_h),
            "eubed_gy": uniform_bed_gy(dvh, tissue.alpha_per_gy, parameters, half_life_h),
            "alpha_per_gy": tissue.alpha_per_gy,
        }
    return metrics


def effects_of(case: Case, compartment: Compartment, dvh: Dvh, half_life_h: float) -> list[dict[str, Any]]:
    """Probabilities by the case's models that speak of a compartment; those without a needed tissue are left out."""
    tissue = tissue_of(case, compartment)
    found = []
    for model in case.settings.effects or ():
        if model.compartment not in (compartment.name, compartment.role):
            continue
        if model.quantity != DOSE and tissue is None:
            continue
        parameters = radiobiology(tissue) if tissue is not None else None
        probability = effect_probability(model, dvh, parameters, half_life_h)
        found.append({"model": model.name, "endpoint": model.endpoint, "probability": probability})
    return found


def radiobiology_document(case: Case) -> dict[str, Any]:
    """Parameters behind the biological figures as JSON, and what they do not cover; empty where none is given."""
    settings = case.settings
    tissues = {"tumour": settings.tumour_tissue, "liver": settings.liver_tissue}
    document: dict[str, Any] = {name: _values(tissue) for name, tissue in tissues.items() if tissue is not None}
    if settings.effects:
        document["effects"] = [_model(model) for model in settings.effects]
    return {**document, "scope": SCOPE} if document else {}


def _values(tissue: Tissue) -> dict[str, float]:
    names = ("alpha_beta_gy", "repair_half_time_h", "eud_exponent", "alpha_per_gy")
    return {name: getattr(tissue, name) for name in names if getattr(tissue, name) is not None}


def _model(model: EffectModel) -> dict[str, Any]:
    words = ("name", "kind", "compartment", "quantity", "device", "endpoint", "reference")
    return {**{word: getattr(model, word) for word in words}, "parameters": dict(model.parameters)}


def curves_in_bed(
    case: Case,
    compartments: Mapping[str, Compartment],
    dose_gy: np.ndarray,
    curves: Mapping[tuple[str, str], np.ndarray],
    half_life_h: float,
) -> tuple[np.ndarray, dict[tuple[str, str], np.ndarray]]:
    """Cumulative histograms over one axis of BED, each by its own tissue; compartments without one are left out.

    Parameters
    ----------
    compartments : mapping of str to Compartment
    dose_gy : ndarray of shape (n,)
        Axis of the curves, rising from 0.
    curves : mapping of (compartment, phase) to ndarray of shape (n,)
        Volume at or above each dose.

    Returns
    -------
    ndarray of shape (n,), and mapping as given
        Axis in BED, as far as the highest that any tissue reaches; empty where there is no tissue.
    """
    tissues = {name: tissue_of(case, compartments[name]) for name, _ in curves if name in compartments}
    known = {name: radiobiology(tissue) for name, tissue in tissues.items() if tissue is not None}
    if not known:
        return np.zeros(0), {}
    last = max(float(np.asarray(bed_gy(float(dose_gy[-1]), tissue, half_life_h))) for tissue in known.values())
    axis = np.linspace(0.0, last, len(dose_gy))
    found = {}
    for (name, phase), volume in curves.items():
        if name in known:
            reached = np.array([dose_of_bed_gy(float(bed), known[name], half_life_h) for bed in axis])
            found[name, phase] = np.interp(reached, dose_gy, volume, right=0.0)
    return axis, found


def bed_map_gy(case: Case, ground: Ground, dose_gy: np.ndarray, half_life_h: float) -> np.ndarray | None:
    """BED of every voxel of tumours and liver, each by its own tissue; 0 where the case gives no tissue.

    A voxel that holds both takes their mean by volume.

    Parameters
    ----------
    dose_gy : ndarray of shape (k, j, i)
        On the dose grid.

    Returns
    -------
    ndarray of shape (k, j, i), float32, or None
        None where the case gives no tissue at all.
    """
    tissues = {TUMOUR: case.settings.tumour_tissue, LIVER: case.settings.liver_tissue}
    if not any(tissues.values()):
        return None
    parcels = ground.parcels
    tumour = (parcels.code & ground.bits_of(case, TUMOUR)) != 0
    liver = ((parcels.code & ground.bits_of(case, LIVER, TERRITORY)) != 0) & ~tumour
    total, filled = np.zeros(dose_gy.size), np.zeros(dose_gy.size)
    for role, chosen in ((TUMOUR, tumour), (LIVER, liver)):
        tissue = tissues[role]
        if tissue is None:
            continue
        volume = np.bincount(parcels.voxel[chosen], parcels.volume_ml[chosen], minlength=dose_gy.size)
        bed = bed_gy(dose_gy.ravel().astype(np.float64), radiobiology(tissue), half_life_h)
        total += volume * np.where(volume > 0.0, bed, 0.0)
        filled += volume
    mean = np.divide(total, filled, out=np.zeros_like(total), where=filled > 0.0)
    return mean.reshape(dose_gy.shape).astype(np.float32)
