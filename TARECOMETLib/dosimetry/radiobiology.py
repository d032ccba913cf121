"""Biologically effective and equivalent uniform dose of microspheres that stay and decay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .dvh import Dvh


@dataclass(frozen=True)
class Radiobiology:
    """Parameters of one tissue; there is no default, since published values for 90Y microspheres disagree.

    Parameters
    ----------
    alpha_beta_gy : float
        Ratio of the linear to the quadratic coefficient, above 0.
    repair_half_time_h : float
        Half-time of mono-exponential repair of sublethal damage, at least 0.
    """

    alpha_beta_gy: float
    repair_half_time_h: float

    def __post_init__(self) -> None:
        if not self.alpha_beta_gy > 0.0:
            raise InputError("alpha/beta", f"expected more than 0 Gy, got {self.alpha_beta_gy:g}", "Give it in Gy")
        if not self.repair_half_time_h >= 0.0:
            raise InputError(
                "repair half-time", f"expected 0 h or more, got {self.repair_half_time_h:g}", "Give it in hours"
            )


def bed_gy(dose_gy: np.ndarray | float, tissue: Radiobiology, half_life_h: float) -> np.ndarray | float:
    """BED = D (1 + D T_r / ((T_r + T_p) α/β)) of a permanent, exponentially decaying implant.

    Lea-Catcheside factor for complete decay with mono-exponential repair (Dale, Br J Radiol 1985;58:515-528,
    doi:10.1259/0007-1285-58-690-515).
    """
    relative = tissue.repair_half_time_h / (tissue.repair_half_time_h + half_life_h)
    return dose_gy * (1.0 + dose_gy * relative / tissue.alpha_beta_gy)


def mean_bed_gy(dvh: Dvh, tissue: Radiobiology, half_life_h: float) -> float:
    """Mass-weighted mean of the voxels' BED."""
    return float(np.sum(bed_gy(dvh.dose_gy, tissue, half_life_h) * dvh.mass_g) / dvh.mass_g.sum())


def generalized_eud_gy(dvh: Dvh, exponent: float) -> float:
    """gEUD = (Σ v D^a)^(1/a), volumes as shares (Niemierko 1999); the exponent is part of the result.

    Negative voxel doses (noise) count as 0: a power of them is not defined.
    """
    if exponent == 0.0 or not np.isfinite(exponent):
        raise InputError("EUD exponent", f"expected a number other than 0, got {exponent:g}", "Use 1 for the mean dose")
    share = dvh.volume_ml / dvh.total_volume_ml
    dose = np.maximum(dvh.dose_gy, 0.0)
    if exponent < 0.0 and np.any(dose == 0.0):
        return 0.0
    # Relative to the dose that weighs most, so that no power overflows.
    leading = float(dose.max() if exponent > 0.0 else dose.min())
    if leading == 0.0:
        return 0.0
    return leading * float(np.sum(share * (dose / leading) ** exponent) ** (1.0 / exponent))
