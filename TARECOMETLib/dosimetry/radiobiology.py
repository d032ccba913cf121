"""Biologically effective and equivalent uniform dose of microspheres that stay and decay.

All doses are those of voxels. How unevenly single microspheres irradiate what lies between them (the reason why glass
needs more dose than resin for the same effect) is not modeled: parameters belong to the device they were fitted for.
"""

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


def dose_of_bed_gy(bed: float, tissue: Radiobiology, half_life_h: float) -> float:
    """The uniform dose that has a BED: the positive root of `bed_gy`, without loss of digits for a small one."""
    relative = tissue.repair_half_time_h / (tissue.repair_half_time_h + half_life_h) / tissue.alpha_beta_gy
    return float(2.0 * bed / (1.0 + np.sqrt(1.0 + 4.0 * relative * bed)))


def eqd2_gy(bed: np.ndarray | float, alpha_beta_gy: float) -> np.ndarray | float:
    """Total dose in fractions of 2 Gy that has the same BED: BED / (1 + 2 / (α/β)).

    Fowler, Br J Radiol 1989;62:679-694, doi:10.1259/0007-1285-62-740-679.
    """
    return bed / (1.0 + 2.0 / alpha_beta_gy)


def two_treatments_bed_gy(
    first_gy: np.ndarray | float,
    second_gy: np.ndarray | float,
    tissue: Radiobiology,
    half_life_h: float,
    gap_h: float | None = None,
) -> np.ndarray | float:
    """BED of two treatments: the sum of both BEDs, and what both do together while the first still decays.

    Parameters
    ----------
    first_gy, second_gy : float or ndarray of one shape
        Doses of complete decay.
    tissue : Radiobiology
    half_life_h : float
    gap_h : float, optional
        From the first injection to the second, at least 0. Not given: so long that the BEDs add. With it, sublethal
        damage of one treatment that meets the other's is counted: the Lea-Catcheside integral of both dose rates in
        closed form. It falls with the physical half-life; at 0 it is the BED of the summed dose.

    Raises
    ------
    InputError
        Where the gap is negative.
    """
    apart = bed_gy(first_gy, tissue, half_life_h) + bed_gy(second_gy, tissue, half_life_h)
    if gap_h is None or tissue.repair_half_time_h == 0.0:
        return apart
    if not gap_h >= 0.0:
        raise InputError("gap between treatments", f"expected 0 h or more, got {gap_h:g}", "Give the earlier one first")
    decay, repair = np.log(2.0) / half_life_h, np.log(2.0) / tissue.repair_half_time_h
    if abs(repair / decay - 1.0) < 1.0e-6:  # the closed form is 0/0 there, and smooth
        repair = decay * (1.0 + 1.0e-6)
    left, unrepaired = np.exp(-decay * gap_h), np.exp(-repair * gap_h)
    together = left / decay - (left + unrepaired) / (repair + decay)
    return apart + 2.0 / tissue.alpha_beta_gy * first_gy * second_gy * decay**2 / (repair - decay) * together


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


def uniform_bed_gy(dvh: Dvh, alpha_per_gy: float, tissue: Radiobiology, half_life_h: float) -> float:
    """EUBED: the uniform BED that leaves as many cells, -ln(Σ v exp(-α BED)) / α.

    O'Donoghue, J Nucl Med 1999;40:1337-1341. The α is part of the result.

    Raises
    ------
    InputError
        Where α is not above 0.
    """
    if not (alpha_per_gy > 0.0 and np.isfinite(alpha_per_gy)):
        raise InputError("alpha", f"expected more than 0 per Gy, got {alpha_per_gy:g}", "Give it in 1/Gy")
    bed = np.asarray(bed_gy(np.maximum(dvh.dose_gy, 0.0), tissue, half_life_h))
    lowest = float(bed.min())
    # Relative to the voxel that keeps most cells, so that no exponential vanishes in all of them.
    survival = float(np.sum(dvh.volume_ml * np.exp(-alpha_per_gy * (bed - lowest))) / dvh.total_volume_ml)
    return lowest - float(np.log(survival)) / alpha_per_gy


def survival_eud_gy(dvh: Dvh, alpha_per_gy: float, tissue: Radiobiology, half_life_h: float) -> float:
    """EUD by survival: the uniform dose, given by the same implant, that leaves as many cells as the real one.

    Niemierko, Med Phys 1997;24:103-110, doi:10.1118/1.598063, with the implant's BED in the exponent; for α/β → ∞ it
    is -ln(Σ v exp(-α D)) / α. Negative voxel doses (noise) count as 0.
    """
    return dose_of_bed_gy(uniform_bed_gy(dvh, alpha_per_gy, tissue, half_life_h), tissue, half_life_h)


def bed_dvh(dvh: Dvh, tissue: Radiobiology, half_life_h: float) -> Dvh:
    """The same voxels with their BED in place of their dose; BED grows with dose, so the order stays.

    Below -α/β (T_r + T_p) / 2 T_r, where BED would turn (noise far below any real dose), the voxel is taken as it is.
    """
    bed = np.asarray(bed_gy(dvh.dose_gy, tissue, half_life_h))
    order = np.argsort(bed, kind="stable")[::-1]
    return Dvh(bed[order], dvh.volume_ml[order], dvh.mass_g[order])
