"""What was in the vial and what of it reached the patient, from the measurements made around an injection."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError
from ..physics.nuclides import ConstantsSet


@dataclass(frozen=True)
class VialAssay:
    """A dose calibrator's reading of the vial.

    Parameters
    ----------
    reading_mbq : float
        As displayed.
    time : str
        ISO date and time of the reading, local.
    calibration_factor : float
        True activity over displayed activity, for the calibrator, its setting and the vial's geometry.
    """

    reading_mbq: float
    time: str
    calibration_factor: float = 1.0

    def __post_init__(self) -> None:
        for name in ("reading_mbq", "calibration_factor"):
            _require_positive(getattr(self, name), f"assay.{name}")


@dataclass(frozen=True)
class WasteMeasurement:
    """Dose rates of the vial before and of the waste jar after an injection, in the same geometry.

    Parameters
    ----------
    before_rate, after_rate : float
        In any unit of dose rate, the same for all.
    background_rate : float
        Without vial and jar; taken off both.
    hours_between : float
        From the first to the second; the decay in between is not a delivery.
    """

    before_rate: float
    after_rate: float
    background_rate: float = 0.0
    hours_between: float = 0.0

    def __post_init__(self) -> None:
        for name in ("after_rate", "background_rate", "hours_between"):
            value = getattr(self, name)
            if not (value >= 0.0 and math.isfinite(value)):
                raise InputError(f"waste.{name}", f"expected at least 0, got {value:g}", "Correct the value", "waste")
        _require_positive(self.before_rate, "waste.before_rate")
        if self.before_rate <= self.background_rate:
            raise InputError(
                "waste.before_rate",
                f"the vial's {self.before_rate:g} is not above the background of {self.background_rate:g}",
                "Check the three readings and their unit",
                "waste",
            )


def _require_positive(value: float, where: str) -> None:
    if not (value > 0.0 and math.isfinite(value)):
        raise InputError(where, f"expected a positive number, got {value:g}", "Correct the value", "assay")


def vial_at_injection_mbq(assay: VialAssay, hours_to_injection: float, constants: ConstantsSet) -> float:
    """Activity at injection: reading times calibration factor, decayed (grown, where the assay came later).

    Parameters
    ----------
    assay : VialAssay
    hours_to_injection : float
        From the assay to the injection; negative where it was made afterwards.
    constants : ConstantsSet

    Returns
    -------
    float
        MBq.
    """
    return assay.reading_mbq * assay.calibration_factor * constants.decay_factor(hours_to_injection)


def residual_share(waste: WasteMeasurement, constants: ConstantsSet) -> float:
    """Share of the vial that stayed behind: net rate after over net rate before, decay between them undone.

    R = (after - background) / (before - background) · exp(λ Δt); a jar below background counts as empty.

    Raises
    ------
    InputError
        Where more would have stayed than there was.
    """
    left = max(waste.after_rate - waste.background_rate, 0.0) / constants.decay_factor(waste.hours_between)
    share = left / (waste.before_rate - waste.background_rate)
    if share >= 1.0:
        raise InputError(
            "waste",
            f"the jar holds {100.0 * share:.0f} % of what the vial held, expected less than all",
            "Check which reading is which, and that both were taken at the same distance",
            "waste",
        )
    return share


def delivered_share(waste: WasteMeasurement, constants: ConstantsSet) -> float:
    """Share of the vial that left it and the tubing: 1 - R."""
    return 1.0 - residual_share(waste, constants)
