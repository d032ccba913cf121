"""Lung shunt fraction from planar or tomographic counts, lung mass from CT, lung dose over several treatments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..physics.nuclides import ConstantsSet
from ..units import G_PER_KG, MBQ_PER_GBQ

SINGLE_LIMIT_GY, CUMULATIVE_LIMIT_GY, LABEL_LIMIT_MBQ = 30.0, 50.0, 610.0


@dataclass(frozen=True)
class RegionCounts:
    """Counts of one region in the anterior and the posterior view.

    Parameters
    ----------
    anterior, posterior : float
    pixels : float
        Size of the region; needed where a background is taken off.
    """

    anterior: float
    posterior: float
    pixels: float = 0.0

    def __post_init__(self) -> None:
        for name in ("anterior", "posterior", "pixels"):
            value = getattr(self, name)
            if not (value >= 0.0 and math.isfinite(value)):
                raise InputError(f"region.{name}", f"expected at least 0, got {value:g}", "Correct it", "lung-shunt")


@dataclass(frozen=True)
class PlanarShunt:
    """Planar views of 99mTc-MAA: lungs, liver, and a background region."""

    lungs: RegionCounts
    liver: RegionCounts
    background: RegionCounts | None = None


def planar_lung_shunt(views: PlanarShunt) -> float:
    """Lungs over lungs and liver by the geometric mean of both views, background taken off by area.

    LSF = G_lungs / (G_lungs + G_liver), G = sqrt(anterior · posterior): the geometric mean does not depend on depth
    for a thin source in an even body (Sorenson and Phelps, Physics in Nuclear Medicine).

    Raises
    ------
    InputError
        Where the liver has no counts above background, or a region's size is missing.
    """
    means = {}
    for name in ("lungs", "liver"):
        region: RegionCounts = getattr(views, name)
        net = [region.anterior, region.posterior]
        if views.background is not None:
            if not region.pixels or not views.background.pixels:
                raise InputError(
                    f"planar.{name}",
                    "its size in pixels is missing",
                    "Give it, or leave the background out",
                    "lung-shunt",
                )
            scale = region.pixels / views.background.pixels
            net = [
                region.anterior - scale * views.background.anterior,
                region.posterior - scale * views.background.posterior,
            ]
        means[name] = math.sqrt(max(net[0], 0.0) * max(net[1], 0.0))
    if not means["liver"] > 0.0:
        raise InputError(
            "planar.liver", "it has no counts above background", "Check which region is which", "lung-shunt"
        )
    return means["lungs"] / (means["lungs"] + means["liver"])


def spect_lung_shunt(lung_counts: float, liver_counts: float) -> float:
    """Lungs over lungs and liver from attenuation-corrected SPECT counts.

    Raises
    ------
    InputError
        Where the liver holds no counts.
    """
    if not liver_counts > 0.0 or lung_counts < 0.0:
        raise InputError("SPECT", "its liver holds no counts", "Check contours and registration", "lung-shunt")
    return lung_counts / (lung_counts + liver_counts)


def lung_mass_by_ct_g(hounsfield: np.ndarray, voxel_volume_ml: float) -> float:
    """Mass of lung voxels from their CT numbers: (HU + 1000) / 1000 g/mL times volume.

    Kao 2014, doi:10.1186/s13550-014-0033-7. Densities are kept within 0.05 to 1.2 g/mL.

    Parameters
    ----------
    hounsfield : ndarray
        HU of the voxels in the lungs.
    voxel_volume_ml : float
    """
    density = np.clip((np.asarray(hounsfield, dtype=float) + 1000.0) / 1000.0, 0.05, 1.2)
    return float(density.sum()) * voxel_volume_ml


@dataclass(frozen=True)
class LungDose:
    """Lung dose of this treatment and of all.

    Parameters
    ----------
    treatment_gy, cumulative_gy : float
    activity_mbq : float
        That this treatment left in the lungs.
    exceeded : tuple of str
        Limits that are exceeded, in words.
    """

    treatment_gy: float
    cumulative_gy: float
    activity_mbq: float
    exceeded: tuple[str, ...]


def lung_dose(
    activity_mbq: float, mass_g: float, constants: ConstantsSet, earlier_gy: Sequence[float] = ()
) -> LungDose:
    """K · A / m, added to earlier treatments' lung doses, against 30 Gy, 50 Gy and the label's 610 MBq."""
    if not mass_g > 0.0:
        raise InputError("lungs", f"their mass is {mass_g:g} g", "Give the lung mass in g", "lung-mass")
    dose = constants.gy_kg_per_gbq * (activity_mbq / MBQ_PER_GBQ) / (mass_g / G_PER_KG)
    total = dose + float(sum(earlier_gy))
    exceeded = []
    if dose > SINGLE_LIMIT_GY:
        exceeded.append(f"{dose:.1f} Gy in one treatment, limit {SINGLE_LIMIT_GY:g} Gy")
    if earlier_gy and total > CUMULATIVE_LIMIT_GY:
        exceeded.append(f"{total:.1f} Gy over all treatments, limit {CUMULATIVE_LIMIT_GY:g} Gy")
    if activity_mbq > LABEL_LIMIT_MBQ:
        exceeded.append(f"{activity_mbq:.0f} MBq in the lungs, the label's limit is {LABEL_LIMIT_MBQ:g} MBq")
    return LungDose(dose, total, activity_mbq, tuple(exceeded))
