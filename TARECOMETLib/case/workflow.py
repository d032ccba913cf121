"""Case, images and contours in; results out: the one calculation that panel, command, batch and tests call."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..dosimetry.compartments import LIVER, derive_compartments
from ..dosimetry.parcels import divide
from ..errors import InputError
from ..imaging.registration import Registration, given, identity, nudged, registering
from ..imaging.volume import Volume
from ..physics.nuclides import ConstantsSet, constants_set
from ..physics.voxel_kernel import DEFAULT_CUTOFF_MM_G_ML
from .after_checks import check_phase
from .checks import check_case, own_ct, post_image, pre_image
from .document import DIAGNOSTIC, MAA_CT, Y90_CT, Case
from .dose_grid import dose_grid
from .findings import DOUBT, Finding, refuse_blocks, sort_findings
from .inputs import Inputs
from .phase import Ground, Phase, compute_phase, prepare_ground
from .steps import Steps, part


@dataclass(eq=False)
class CaseResults:
    """All that was computed of a case.

    Parameters
    ----------
    case : Case
    constants : ConstantsSet
    ground : Ground
        Dose grid, parcels and tissue, shared by the phases.
    phases : dict
        ``"pre"`` and ``"post"``, those there are.
    findings : dict
        By phase, and ``"case"`` for what concerns both; worst first.
    """

    case: Case
    constants: ConstantsSet
    ground: Ground
    phases: dict[str, Phase] = field(default_factory=dict)
    findings: dict[str, list[Finding]] = field(default_factory=dict)


def run_case(case: Case, inputs: Inputs) -> Steps[CaseResults]:
    """Compute a case; a generator of (share done, what) whose value is CaseResults.

    Raises
    ------
    InputError
        At the first finding that blocks.
    """
    yield 0.0, "checking"
    constants = constants_set(case.constants_set)
    findings = check_case(case, inputs)
    refuse_blocks(sort_findings(findings, case.accepted))
    roles = {"pre": pre_image(case), "post": post_image(case)}
    wanted = {phase: role for phase, role in roles.items() if role is not None}
    registrations, ground = yield from part(place(case, inputs, wanted, findings), 0.05, 0.6)
    results = CaseResults(case, constants, ground)
    for number, (phase, role) in enumerate(wanted.items()):
        start = 0.6 + 0.2 * number
        steps = compute_phase(case, constants, role, inputs.images[role], registrations[phase], results.ground)
        results.phases[phase] = yield from part(steps, start, start + 0.2, f"{phase}: ")
        found = check_phase(case, results.phases[phase], results.ground, inputs.images[role])
        results.findings[phase] = sort_findings(found, case.accepted)
    results.findings["case"] = sort_findings(findings, case.accepted)
    refuse_blocks([f for found in results.findings.values() for f in found if f.code not in case.accepted])
    return results


def place(
    case: Case, inputs: Inputs, wanted: dict[str, str], findings: list[Finding]
) -> Steps[tuple[dict[str, Registration], Ground]]:
    """Register the wanted images and divide the dose grid by contours; (share done, what) on the way.

    Parameters
    ----------
    case, inputs : Case, Inputs
    wanted : dict
        Phase to the role of its image.
    findings : list of Finding
        Doubts about registration are added.
    """
    liver_name = case.contours_of(LIVER)[0]
    registrations: dict[str, Registration] = {}
    for number, (phase, role) in enumerate(wanted.items()):
        yield 0.45 * number, f"registering {role}"
        placing = _register(case, inputs, phase, role, inputs.contours[liver_name], findings)
        found = yield from part(placing, 0.45 * number, 0.45 * (number + 1), f"{role}: ")
        shift = (case.nudge_lps_mm or {}).get(phase)
        registrations[phase] = nudged(found, shift) if shift is not None else found
    yield 0.9, "dividing voxels by contours"
    contours = _in_diagnostic_space(case, inputs, registrations)
    reach_mm = DEFAULT_CUTOFF_MM_G_ML / case.settings.liver_density_g_ml
    grid, samples = dose_grid(contours[liver_name].geometry, contours.values(), case.settings.dose_grid_mm, reach_mm)
    parcels = divide(list(contours.items()), grid, samples)
    compartments = tuple(derive_compartments({c.name: c.role for c in case.contours}))
    diagnostic = case.images.get(DIAGNOSTIC)
    ct = inputs.images.get(DIAGNOSTIC) if diagnostic and diagnostic.modality == "CT" else None
    return registrations, prepare_ground(case, parcels, compartments, contours, ct)


def _register(
    case: Case, inputs: Inputs, phase: str, role: str, liver: Volume, findings: list[Finding]
) -> Steps[Registration]:
    """The given matrix, else identity where frames agree, else CT to CT."""
    ct_role = own_ct(role)
    diagnostic = case.images.get(DIAGNOSTIC)
    is_ct = diagnostic is not None and diagnostic.modality == "CT"
    if phase in case.registration_lps:
        matrix = np.array(case.registration_lps[phase], dtype=float)
        rotation = matrix[:3, :3] if matrix.shape == (4, 4) else np.zeros((3, 3))
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
            raise InputError(f"registration_lps.{phase}", "expected a rigid 4x4 matrix", "Correct it or take it out")
        if ct_role not in inputs.images or DIAGNOSTIC not in inputs.images:
            return Registration(matrix, 0.0, 0.0, "given in the case, not judged: a CT is missing")
        return given(matrix, inputs.images[DIAGNOSTIC], inputs.images[ct_role], liver, fixed_is_ct=is_ct)
    frames = {case.images[role].frame_of_reference_uid, diagnostic.frame_of_reference_uid if diagnostic else ""}
    if len(frames) == 1 and "" not in frames:
        return identity("shares the diagnostic image's frame of reference")
    if ct_role in inputs.images and DIAGNOSTIC in inputs.images:
        steps = registering(inputs.images[DIAGNOSTIC], inputs.images[ct_role], liver, fixed_is_ct=is_ct, where=role)
        return (yield from steps)
    if "" in frames:
        findings.append(
            Finding(
                DOUBT,
                "not-registered",
                role,
                "it has no frame of reference and no CT of its own: it was taken to lie where the contours are",
                "Add its CT, or give registration_lps in the case",
            )
        )
        return identity("not registered")
    raise InputError(
        role,
        f"it lies in another frame of reference than the contours, and {ct_role} or the diagnostic CT is missing",
        "Add that CT, or give registration_lps in the case",
        "cannot-register",
    )


def _in_diagnostic_space(case: Case, inputs: Inputs, registrations: dict[str, Registration]) -> dict[str, Volume]:
    """Contours moved from the image they were drawn on; voxels keep their values."""
    moved = {}
    for contour in case.contours:
        volume = inputs.contours[contour.name]
        if contour.drawn_on != DIAGNOSTIC:
            phase = "pre" if contour.drawn_on.startswith("maa") else "post"
            if phase not in registrations:
                raise InputError(f'contour "{contour.name}"', f"its image {contour.drawn_on} is missing", "Add it")
            by_ct = contour.drawn_on in (MAA_CT, Y90_CT)
            matrix = registrations[phase].ct_matrix_lps if by_ct else registrations[phase].matrix_lps
            volume = Volume(volume.array, volume.geometry.transformed(matrix))
        moved[contour.name] = volume
    return moved
