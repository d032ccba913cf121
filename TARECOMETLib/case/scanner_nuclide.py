"""A scan made with the scanner set to another nuclide: blocked, or undone where a person says so."""

from __future__ import annotations

from ..errors import InputError
from ..imaging.emission import OtherNuclide, require_nuclide_half_life, undo_other_nuclide
from ..physics.nuclides import constants_set
from .document import Y90_PET, Y90_SPECT, Case
from .findings import BLOCK, DOUBT, Finding, from_error

HALF_LIFE, NUCLIDE = "wrong-half-life", "nuclide"


def nuclide_correction(case: Case, role: str) -> OtherNuclide | None:
    """Factors that undo the scanner's decay and branching ratio; None where there is nothing to undo.

    Only where the half-life in the header is another nuclide's and the case accepts ``wrong-half-life`` with a reason.

    Raises
    ------
    InputError
        Where frame duration or positron fraction, which the undoing needs, are missing.
    """
    facts, constants = case.images[role].emission, constants_set(case.constants_set)
    if facts is None or role not in (Y90_PET, Y90_SPECT) or HALF_LIFE not in case.accepted:
        return None
    try:
        require_nuclide_half_life(facts, constants.nuclide, role)
    except InputError:
        return undo_other_nuclide(facts, constants.half_life_h, role)
    return None


def check_scanner_nuclide(case: Case, role: str) -> list[Finding]:
    """The scanner's half-life and nuclide: a block, or a doubt that prints what was undone."""
    facts, constants = case.images[role].emission, constants_set(case.constants_set)
    found: list[Finding] = []
    if facts is None:
        return found
    try:
        undone = nuclide_correction(case, role)
        if undone is None:
            require_nuclide_half_life(facts, constants.nuclide, role)
        else:
            found.append(
                Finding(
                    DOUBT,
                    HALF_LIFE,
                    role,
                    f"its scanner was set to a half-life of {facts.half_life_h:.4g} h and a positron fraction of "
                    f"{facts.positron_fraction:.4g}; undone by {undone.decay:.5g} for decay over the frame and "
                    f"{undone.branching:.5g} for branching, together {undone.factor:.5g}",
                    "Reconstruct it with the right nuclide where the raw data are there",
                )
            )
    except InputError as error:
        found.append(from_error(error))
    if role == Y90_PET and facts.radionuclide not in (None, "Y-90"):
        found.append(
            Finding(
                DOUBT if NUCLIDE in case.accepted else BLOCK,
                NUCLIDE,
                role,
                f"its nuclide is {facts.radionuclide}, expected Y-90",
                "Check the role; where the scanner was set to another nuclide, write why under accepted",
            )
        )
    return found
