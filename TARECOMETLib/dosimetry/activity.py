"""From image values to activity at injection: relative and absolute calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..physics.nuclides import ConstantsSet
from .parcels import Parcels

RELATIVE, ABSOLUTE = "relative", "absolute"


@dataclass(frozen=True)
class Delivery:
    """What one injection left in the patient.

    Parameters
    ----------
    name : str
    territory : str
        Contour it was given into.
    net_mbq : float
        Vial minus residual, at its own injection time.
    lung_shunt_fraction : float
        Share that went to the lungs, 0 to below 1.
    elapsed_to_scan_h : float or None
        Hours from its injection to the start of the scan; None where the scan is not of this activity (MAA).
    """

    name: str
    territory: str
    net_mbq: float
    lung_shunt_fraction: float
    elapsed_to_scan_h: float | None = None

    @property
    def liver_mbq(self) -> float:
        """Activity that stayed in the liver."""
        return self.net_mbq * (1.0 - self.lung_shunt_fraction)

    @property
    def lung_mbq(self) -> float:
        """Activity that went to the lungs."""
        return self.net_mbq * self.lung_shunt_fraction


def relative_parcel_activity_mbq(
    parcels: Parcels, counts_per_ml: np.ndarray, deliveries: Sequence[Delivery]
) -> tuple[np.ndarray, dict[str, float]]:
    """Distribute each injection's liver activity over the counts of its own territory.

    Where territories overlap each injection counts the shared region as its own.

    Parameters
    ----------
    parcels : Parcels
    counts_per_ml : ndarray of shape (n,)
        Count density of each parcel's voxel.
    deliveries : sequence of Delivery

    Returns
    -------
    ndarray of shape (n,)
        MBq at injection per parcel, 0 outside all territories; the sum is Σ net (1 - LSF).
    dict
        MBq per count of each injection.
    """
    activity = np.zeros(parcels.volume_ml.shape)
    counts = counts_per_ml * parcels.volume_ml
    factors: dict[str, float] = {}
    for delivery in deliveries:
        inside = (parcels.code & parcels.bit(delivery.territory)) != 0
        total = float(counts[inside].sum())
        if not total > 0.0:
            raise InputError(
                f'territory "{delivery.territory}"',
                f"the image has no counts in it, so {delivery.net_mbq:.4g} MBq cannot be distributed",
                "Check the contour and the registration, or choose the injection's territory again",
                "no-counts",
            )
        factors[delivery.name] = delivery.liver_mbq / total
        activity[inside] += factors[delivery.name] * counts[inside]
    return activity, factors


def back_to_injection_factor(
    deliveries: Sequence[Delivery], constants: ConstantsSet, territories: Sequence[str] | None = None
) -> float:
    """Factor from activity at scan start to the sum of activities at their own injection times.

    Where several injections share a place their parts are taken in proportion to what each left in the liver:
    Σ net (1 - LSF) / Σ net (1 - LSF) exp(-λ elapsed); for one injection this is exp(λ elapsed).

    Parameters
    ----------
    deliveries : sequence of Delivery
        With ``elapsed_to_scan_h``.
    constants : ConstantsSet
    territories : sequence of str, optional
        Those that hold the place; all injections where there is none.
    """
    chosen = [d for d in deliveries if territories and d.territory in territories] or list(deliveries)
    at_scan = 0.0
    for delivery in chosen:
        if delivery.elapsed_to_scan_h is None:
            raise InputError(
                f'injection "{delivery.name}"',
                "the time from it to the scan is not known, so the decay cannot be undone",
                "Write both times into the case, or choose relative calibration",
                "no-elapsed-time",
            )
        at_scan += delivery.liver_mbq * constants.decay_factor(delivery.elapsed_to_scan_h)
    return sum(d.liver_mbq for d in chosen) / at_scan


def absolute_parcel_activity_mbq(
    parcels: Parcels, mbq_per_ml_at_scan: np.ndarray, deliveries: Sequence[Delivery], constants: ConstantsSet
) -> np.ndarray:
    """Measured activity per parcel, brought back to the injection time of the territory that holds it.

    Parameters
    ----------
    parcels : Parcels
    mbq_per_ml_at_scan : ndarray of shape (n,)
        Concentration of each parcel's voxel at scan start.
    deliveries : sequence of Delivery
    constants : ConstantsSet

    Returns
    -------
    ndarray of shape (n,)
        MBq.
    """
    territories = sorted({d.territory for d in deliveries})
    activity = mbq_per_ml_at_scan * parcels.volume_ml
    mask = parcels.bits(territories)
    for code in np.unique(parcels.code & mask):
        holding = [name for name in territories if code & parcels.bit(name)]
        chosen = (parcels.code & mask) == code
        activity[chosen] *= back_to_injection_factor(deliveries, constants, holding)
    return activity
