"""Closed forms of the prescription models: activity from dose and dose from activity, one compartment at a time.

All activities are net: what reaches the patient, in GBq at the time of injection. What must be ordered is
``order_activity_gbq``. Standard forms of the MIRD schema for microspheres that stay (Chiesa 2021,
doi:10.1186/s40658-021-00394-3; partition model after Ho 1996, Eur J Nucl Med 23:947-952).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError
from ..physics.nuclides import ConstantsSet
from ..units import G_PER_KG

MOST_MASS_G = 1.0e5


def require_shunt(fraction: float, where: str = "lung shunt fraction") -> None:
    """Refuse a lung shunt that is not a fraction from 0 to below 1."""
    if not 0.0 <= fraction < 1.0:
        raise InputError(where, f"expected 0 to below 1, got {fraction:g}", "Write 5 % as 0.05", "lung-shunt")


def require_residual(fraction: float, where: str = "expected residual") -> None:
    """Refuse a residual that would leave nothing for the patient."""
    if not 0.0 <= fraction < 1.0:
        raise InputError(
            where,
            f"expected 0 to below 1 (100 %) of the vial, got {fraction:g}",
            "Write 2 % as 0.02",
            "residual",
        )


def require_mass(mass_g: float, where: str) -> None:
    """Refuse a compartment that weighs nothing, or more than a person."""
    if not 1e-6 <= mass_g <= MOST_MASS_G:
        raise InputError(
            where,
            f"its mass is {mass_g:g} g, expected more than 0 to {MOST_MASS_G:g}",
            "Check contour and unit",
            "mass",
        )


def require_ratio(tumour_to_normal: float, where: str = "tumour-to-normal ratio") -> None:
    """Refuse a ratio of concentrations that is not above 0."""
    if not 1e-9 <= tumour_to_normal <= 1e6:
        raise InputError(
            where,
            f"expected more than 0 to a million, got {tumour_to_normal:g}",
            "Check the counts of tumour and normal perfused liver",
            "tumour-to-normal",
        )


def require_dose(dose_gy: float, where: str) -> None:
    """Refuse a dose that is not above 0."""
    if not (dose_gy > 0.0 and math.isfinite(dose_gy)):
        raise InputError(where, f"expected more than 0 Gy, got {dose_gy:g}", "Give the dose in Gy", "dose")


def mean_dose_gy(constants: ConstantsSet, activity_gbq: float, mass_g: float) -> float:
    """D = K A / m of activity that stays in a mass."""
    require_mass(mass_g, "compartment")
    return constants.gy_kg_per_gbq * activity_gbq / (mass_g / G_PER_KG)


def lung_dose_gy(
    constants: ConstantsSet, net_gbq: float, lung_shunt_fraction: float, lung_mass_g: float = 1000.0
) -> float:
    """D_lung = K A LSF / m_lung."""
    require_shunt(lung_shunt_fraction)
    require_mass(lung_mass_g, "lungs")
    return mean_dose_gy(constants, net_gbq * lung_shunt_fraction, lung_mass_g)


def order_activity_gbq(net_gbq: float, residual_fraction: float) -> float:
    """Activity in the vial at injection so that the net is left after the expected residual: A / (1 - R)."""
    require_residual(residual_fraction)
    return net_gbq / (1.0 - residual_fraction)


def single_compartment_activity_gbq(
    constants: ConstantsSet, dose_gy: float, perfused_mass_g: float, lung_shunt_fraction: float
) -> float:
    """A = D m / (K (1 - LSF)): one mean dose to all perfused liver, tumours included."""
    require_dose(dose_gy, "perfused dose")
    require_mass(perfused_mass_g, "perfused liver")
    require_shunt(lung_shunt_fraction)
    return dose_gy * (perfused_mass_g / G_PER_KG) / (constants.gy_kg_per_gbq * (1.0 - lung_shunt_fraction))


@dataclass(frozen=True)
class PartitionDoses:
    """What one activity gives in the partition model."""

    tumour_gy: float
    normal_gy: float
    perfused_gy: float


def partition_doses_gy(
    constants: ConstantsSet,
    net_gbq: float,
    tumour_mass_g: float,
    normal_mass_g: float,
    tumour_to_normal: float,
    lung_shunt_fraction: float,
) -> PartitionDoses:
    """D_n = K A (1 - LSF) / (TN m_t + m_n), D_t = TN D_n."""
    require_mass(tumour_mass_g, "tumour")
    require_mass(normal_mass_g, "normal perfused liver")
    require_ratio(tumour_to_normal)
    require_shunt(lung_shunt_fraction)
    in_liver_gbq = net_gbq * (1.0 - lung_shunt_fraction)
    normal_gy = mean_dose_gy(constants, in_liver_gbq, tumour_to_normal * tumour_mass_g + normal_mass_g)
    perfused_gy = mean_dose_gy(constants, in_liver_gbq, tumour_mass_g + normal_mass_g)
    return PartitionDoses(tumour_to_normal * normal_gy, normal_gy, perfused_gy)


def partition_activity_gbq(
    constants: ConstantsSet,
    tumour_mass_g: float,
    normal_mass_g: float,
    tumour_to_normal: float,
    lung_shunt_fraction: float,
    *,
    tumour_gy: float | None = None,
    normal_gy: float | None = None,
) -> float:
    """A = D_n (TN m_t + m_n) / (K (1 - LSF)) for a dose to the tumour or to normal perfused liver, one of them."""
    if (tumour_gy is None) == (normal_gy is None):
        raise InputError("partition model", "expected one dose, to tumour or to normal liver", "Give one of the two")
    dose = tumour_gy if tumour_gy is not None else normal_gy
    assert dose is not None
    require_dose(dose, "partition model")
    per_gbq = partition_doses_gy(constants, 1.0, tumour_mass_g, normal_mass_g, tumour_to_normal, lung_shunt_fraction)
    return dose / (per_gbq.tumour_gy if tumour_gy is not None else per_gbq.normal_gy)


def body_surface_m2(height_cm: float, weight_kg: float) -> float:
    """Body surface 0.20247 h^0.725 w^0.425, h in m (DuBois 1916, doi:10.1001/archinte.1916.00080130010002)."""
    for value, low, high, name, unit in (
        (height_cm, 50.0, 250.0, "height", "cm"),
        (weight_kg, 2.0, 400.0, "weight", "kg"),
    ):
        if not low <= value <= high:
            raise InputError(name, f"expected {low:g} to {high:g} {unit}, got {value:g}", f"Write it in {unit}")
    return float(0.20247 * (height_cm / 100.0) ** 0.725 * weight_kg**0.425)


# Share of the activity that is left at each lung shunt (resin; van Roekel, thesis, p. 41).
_RESIN_REDUCTION = ((0.20, 0.0), (0.15, 0.6), (0.10, 0.8))


def body_surface_activity_gbq(
    height_cm: float, weight_kg: float, tumour_volume_ml: float, liver_volume_ml: float, lung_shunt_fraction: float
) -> float:
    """A = (BSA - 0.2 + V_tumour / V_liver) GBq of resin spheres for the whole liver, less by lung shunt.

    The activity is reduced by 20, 40 and 100 % for a lung shunt above 10, 15 and 20 %. The form is the one in common
    use with resin spheres; the site must confirm it against the instructions of its device.
    """
    require_shunt(lung_shunt_fraction)
    if not 0.0 <= tumour_volume_ml <= liver_volume_ml or liver_volume_ml == 0.0:
        raise InputError(
            "tumour volume",
            f"{tumour_volume_ml:g} mL is not a part of the liver's {liver_volume_ml:g} mL",
            "Check the contours",
        )
    left = next((share for above, share in _RESIN_REDUCTION if lung_shunt_fraction > above), 1.0)
    return left * max(body_surface_m2(height_cm, weight_kg) - 0.2 + tumour_volume_ml / liver_volume_ml, 0.0)
