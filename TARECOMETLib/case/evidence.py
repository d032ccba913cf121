"""The measurements behind a treatment's figures, where the case keeps them, against the figures that doses use."""

from __future__ import annotations

from ..dosimetry.delivery import residual_share, vial_at_injection_mbq
from ..dosimetry.lung_shunt import planar_lung_shunt
from ..errors import InputError
from ..imaging.emission import hours_between
from ..physics.nuclides import ConstantsSet, constants_set
from .document import Case, Injection
from .findings import DOUBT, Finding, from_error

# Figures rounded for a protocol differ by less.
_ACTIVITY_DIFFERENCE, _RESIDUAL_SHARE_DIFFERENCE, _SHUNT_DIFFERENCE = 0.02, 0.01, 0.005


def measured_vial_mbq(injection: Injection, constants: ConstantsSet) -> float | None:
    """Vial activity at injection by the assay; None where the case has none."""
    if injection.assay is None:
        return None
    return vial_at_injection_mbq(injection.assay, hours_between(injection.assay.time, injection.time), constants)


def check_evidence(case: Case) -> list[Finding]:
    """Assay, waste jar and planar counts that do not give the vial, residual and shunt of the case."""
    constants = constants_set(case.constants_set)
    found = []
    try:
        for injection in case.injections:
            found.extend(_of_injection(injection, constants))
        if case.planar_counts is not None:
            fraction = planar_lung_shunt(case.planar_counts)
            if abs(fraction - case.lung_shunt_fraction) > _SHUNT_DIFFERENCE:
                found.append(
                    Finding(
                        DOUBT,
                        "lung-shunt-counts",
                        "lung shunt",
                        f"the planar counts give {fraction:.4f}, the case says {case.lung_shunt_fraction:.4f}",
                        "Correct either; doses use the case's fraction",
                    )
                )
    except InputError as error:
        found.append(from_error(error))
    return found


def _of_injection(injection: Injection, constants: ConstantsSet) -> list[Finding]:
    where = f'injection "{injection.id}"'
    found = []
    assayed = measured_vial_mbq(injection, constants)
    if assayed is not None and abs(assayed - injection.vial_mbq) > _ACTIVITY_DIFFERENCE * assayed:
        found.append(
            Finding(
                DOUBT,
                "vial-assay",
                where,
                f"its assay gives {assayed:.1f} MBq at injection, its vial activity is {injection.vial_mbq:.1f} MBq",
                "Check the assay's time and calibration factor; doses use the vial activity",
            )
        )
    if injection.waste is not None:
        share = residual_share(injection.waste, constants)
        stated = injection.residual_mbq / injection.vial_mbq
        if abs(share - stated) > _RESIDUAL_SHARE_DIFFERENCE:
            found.append(
                Finding(
                    DOUBT,
                    "residual-measured",
                    where,
                    f"its waste jar holds {100.0 * share:.1f} % of the vial, its residual is {100.0 * stated:.1f} %",
                    "Correct either; doses use the residual activity",
                )
            )
    return found
