"""What can be found wrong with a case before any dose is computed."""

from __future__ import annotations

from datetime import datetime

from ..dosimetry.activity import ABSOLUTE
from ..dosimetry.compartments import LIVER, TERRITORY, TUMOUR
from ..errors import InputError
from ..imaging.emission import COUNTS, concentration_factor, hours_between
from ..imaging.header_remarks import HEADER_REMARKS
from ..physics.nuclides import constants_set
from .contour_rules import check_contours
from .document import MAA_CT, MAA_SPECT, Y90_CT, Y90_PET, Y90_SPECT, Case
from .evidence import check_evidence
from .findings import BLOCK, DOUBT, NOTE, Finding, from_error
from .inputs import Inputs
from .plausibility import check_plausibility
from .scanner_nuclide import check_scanner_nuclide

_ADMINISTRATION_DIFFERENCE_H = 1.0


def check_case(case: Case, inputs: Inputs) -> list[Finding]:
    """All findings that need no computation, unsorted."""
    findings = list(inputs.findings)
    for check in (_structure, _times, _emission, check_contours, check_plausibility):
        findings.extend(check(case, inputs))
    findings.extend(check_evidence(case))
    return findings


def pre_image(case: Case) -> str | None:
    """Role of the image the predicted dose comes from."""
    return MAA_SPECT if MAA_SPECT in case.images else None


def post_image(case: Case) -> str | None:
    """Role of the image the delivered dose comes from."""
    return next((role for role in (Y90_PET, Y90_SPECT) if role in case.images), None)


def own_ct(role: str) -> str:
    """Role of the CT acquired with an emission image."""
    return MAA_CT if role == MAA_SPECT else Y90_CT


def _structure(case: Case, _inputs: Inputs) -> list[Finding]:
    found = []
    if len(case.contours_of(LIVER)) != 1:
        found.append(
            Finding(
                BLOCK,
                "no-liver",
                "contours",
                f"expected exactly one contour with role liver, got {len(case.contours_of(LIVER))}",
                "Set the roles in the case",
            )
        )
    if not case.injections:
        found.append(
            Finding(BLOCK, "no-injection", "injections", "there is none", "Write territory, time, vial and residual")
        )
    if pre_image(case) is None and post_image(case) is None:
        found.append(
            Finding(BLOCK, "no-emission-image", "images", "there is neither MAA SPECT nor 90Y PET or SPECT", "Add one")
        )
    known = case.contours_of(TERRITORY) + case.contours_of(LIVER)
    for injection in case.injections:
        if injection.territory not in known:
            found.append(
                Finding(
                    BLOCK,
                    "territory",
                    f'injection "{injection.id}"',
                    f'there is no territory contour "{injection.territory}"',
                    f"Name one of: {', '.join(known) or 'none is drawn'}",
                )
            )
    identifiers = sorted({entry.patient_id for entry in case.images.values() if entry.patient_id})
    if len(identifiers) > 1:
        found.append(
            Finding(
                BLOCK,
                "several-patients",
                "images",
                f"they belong to {', '.join(identifiers)}",
                "Use one patient's images",
            )
        )
    if not case.contours_of(TUMOUR):
        found.append(Finding(NOTE, "no-tumour", "contours", "no tumour is drawn: all liver counts as normal"))
    return found


def _times(case: Case, _inputs: Inputs) -> list[Finding]:
    found = []
    post = post_image(case)
    for role, after in ((post, True), (pre_image(case), False)):
        facts = case.images[role].emission if role else None
        if role is None or facts is None or not facts.scan_start:
            continue
        for injection in case.injections:
            elapsed_h = hours_between(injection.time, facts.scan_start)
            if (elapsed_h < 0.0) if after else (elapsed_h > 0.0):
                order = "before" if after else "after"
                found.append(
                    Finding(
                        BLOCK,
                        "dates",
                        role,
                        f'its scan at {facts.scan_start} lies {order} injection "{injection.id}" at {injection.time}',
                        "Check both dates",
                    )
                )
    facts = case.images[post].emission if post else None
    if facts is not None and facts.administration_time and case.injections:
        first = min((injection.time for injection in case.injections), key=datetime.fromisoformat)
        difference_h = hours_between(first, facts.administration_time)
        if abs(difference_h) > _ADMINISTRATION_DIFFERENCE_H:
            found.append(
                Finding(
                    DOUBT,
                    "administration-time",
                    post or "",
                    f"its header says it was given at {facts.administration_time}, the case at {first}",
                    "Check both times; doses use the case's",
                )
            )
    return found


def _emission(case: Case, _inputs: Inputs) -> list[Finding]:
    found = []
    constants = constants_set(case.constants_set)
    for role, calibration in (
        (pre_image(case), case.settings.pre_calibration),
        (post_image(case), case.settings.post_calibration),
    ):
        if role is None:
            continue
        facts = case.images[role].emission
        try:
            if facts is None:
                raise InputError(role, "what its values mean is not known", "Write its emission facts into the case")
            if calibration == ABSOLUTE:
                if role == MAA_SPECT:
                    raise InputError(
                        role,
                        "absolute calibration of a 99mTc image does not give 90Y activity",
                        "Choose relative",
                        "units",
                    )
                concentration_factor(facts, constants.half_life_h, role)
            elif facts.units is None:
                raise InputError(role, "its units are not known", f'Write "{COUNTS}" or "Bq/mL"', "units")
        except InputError as error:
            found.append(from_error(error))
        if role in (Y90_PET, Y90_SPECT):
            found.extend(check_scanner_nuclide(case, role))
        for code in (facts.remarks or ()) if facts is not None else ():
            severity, message, mend = HEADER_REMARKS.get(code, (NOTE, f"its header is odd: {code}", ""))
            found.append(Finding(severity, code, role, message, mend))
        if role == MAA_SPECT and facts is not None and facts.radionuclide not in (None, "Tc-99m"):
            found.append(
                Finding(
                    DOUBT, "nuclide", role, f"its nuclide is {facts.radionuclide}, expected Tc-99m", "Check the role"
                )
            )
    return found
