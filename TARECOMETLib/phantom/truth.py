"""The phantom's truth: volume, mass, activity and dose of every compartment, from the fine activity."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..units import G_PER_KG, MBQ_PER_GBQ
from .anatomy import Anatomy
from .uptake import Distribution

TRUTH_GY_KG_PER_GBQ = 49.67
LIVER_DENSITY_G_ML = 1.05


def dose_gy(activity_mbq: float, mass_g: float) -> float:
    """Mean dose when everything decays where it is."""
    return TRUTH_GY_KG_PER_GBQ * (activity_mbq / MBQ_PER_GBQ) / (mass_g / G_PER_KG)


def compartments(anatomy: Anatomy) -> dict[str, np.ndarray]:
    """Mask by name, in the words of the truth file."""
    tumours = anatomy.all_tumours
    masks = {
        "Liver": anatomy.liver,
        "Right lobe": anatomy.right_lobe,
        "Left lobe": anatomy.left_lobe,
        "Lungs": anatomy.lungs,
    }
    masks |= {f"Metastasis {name}": mask for name, mask in anatomy.tumours.items()}
    return masks | {
        "All tumours": tumours,
        "Normal liver": anatomy.liver & ~tumours,
        "Normal right": anatomy.right_lobe & ~tumours,
        "Normal left": anatomy.left_lobe & ~tumours,
    }


def truth_table(anatomy: Anatomy, activity: Distribution, hounsfield: np.ndarray) -> dict[str, dict[str, float]]:
    """Volume, mass, activity (each injection at its own time) and local dose by compartment.

    Parameters
    ----------
    anatomy : Anatomy
        Masks.
    activity : Distribution
        90Y, or MAA scaled to the net activities.
    hounsfield : ndarray
        CT before noise, for the lungs' mass: water's density times (1 + HU / 1000), voxel by voxel.
    """
    total = activity.total_mbq()
    voxel_ml = anatomy.geometry.voxel_volume_ml
    table: dict[str, Any] = {}
    for name, mask in compartments(anatomy).items():
        volume_ml = float(mask.sum()) * voxel_ml
        mass_g = volume_ml * LIVER_DENSITY_G_ML
        if name == "Lungs":
            mass_g = float(np.sum(1.0 + hounsfield[mask].astype(np.float64) / 1000.0)) * voxel_ml
        activity_mbq = float(total[mask].sum())
        table[name] = {
            "volume_ml": volume_ml,
            "mass_g": mass_g,
            "activity_mbq": activity_mbq,
            "dose_local_gy": dose_gy(activity_mbq, mass_g),
        }
    return table
