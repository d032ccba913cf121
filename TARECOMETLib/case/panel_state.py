"""What the panel shows of a case: a badge for each step, what can be done now, and why not. No Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..dosimetry.compartments import LIVER, TERRITORY, TUMOUR
from .checks import own_ct, post_image, pre_image
from .document import DIAGNOSTIC, ROLE_WORDS, Case
from .findings import BLOCK, DOUBT, Finding

TO_DO, READY, DONE, OUTDATED, PROBLEM = "to do", "ready", "done", "outdated", "problem"
IMAGES, CONTOURS, TREATMENT, DOSE, VIEW = "images", "contours", "treatment", "dose", "view"
STEPS = (IMAGES, CONTOURS, TREATMENT, DOSE, VIEW)


@dataclass(frozen=True)
class Action:
    """Something a person can do: whether now, and if not, why."""

    enabled: bool
    reason: str = ""


@dataclass(frozen=True)
class StepState:
    """One step of the path.

    Parameters
    ----------
    badge : str
        to do, ready, done, outdated or problem.
    text : str
        One line: what is there, or what is missing.
    actions : dict
        Name of the action to its state.
    """

    badge: str
    text: str
    actions: Mapping[str, Action] = field(default_factory=dict)


def panel_state(
    case: Case, results: dict[str, Any] | None = None, findings: list[Finding] | None = None, busy: str = ""
) -> dict[str, StepState]:
    """State of every step.

    Parameters
    ----------
    case : Case
        As it is in the scene now.
    results : dict, optional
        The results document, where something was computed.
    findings : list of Finding, optional
        What ``check_case`` found on the same case.
    busy : str
        What is running; empty where nothing is.
    """
    found = findings or []
    steps = {
        IMAGES: _images(case, found, busy),
        CONTOURS: _contours(case, found),
        TREATMENT: _treatment(case, found),
    }
    steps[DOSE] = _dose(case, results, found, steps, busy)
    steps[VIEW] = _view(results, steps[DOSE])
    return steps


def _view(results: dict[str, Any] | None, dose: StepState) -> StepState:
    """Looking needs doses; comparing needs those of both phases."""
    there = [phase for phase in ("pre", "post") if phase in (results or {})]
    look = Action(bool(there), "" if there else "Compute the doses first")
    missing = [word for phase, word in (("pre", "predicted"), ("post", "delivered")) if phase not in there]
    compare = look if not there or not missing else Action(False, f"There is no {missing[0]} dose to compare with")
    actions = {"look": look, "compare": compare}
    if not there:
        return StepState(TO_DO, look.reason, actions)
    if dose.badge == OUTDATED:
        return StepState(OUTDATED, dose.text, actions)
    return StepState(READY, "Predicted and delivered dose" if not missing else "One dose; nothing to compare", actions)


def _first_block(found: list[Finding], codes: tuple[str, ...]) -> str:
    return next((f.sentence() for f in found if f.severity == BLOCK and f.code in codes), "")


def _images(case: Case, found: list[Finding], busy: str) -> StepState:
    roles = {"pre": pre_image(case), "post": post_image(case)}
    actions = {}
    for phase, role in roles.items():
        missing = [name for name in (DIAGNOSTIC, role and own_ct(role)) if name and name not in case.images]
        if busy:
            actions[f"register {phase}"] = Action(False, f"Wait: {busy}")
        elif role is None:
            word = "MAA SPECT" if phase == "pre" else "90Y image"
            actions[f"register {phase}"] = Action(False, f"Choose the {word} first")
        elif missing:
            actions[f"register {phase}"] = Action(
                False, f"Choose first: {', '.join(ROLE_WORDS[name] for name in missing)}"
            )
        else:
            actions[f"register {phase}"] = Action(True)
    problem = _first_block(
        found, ("several-patients", "units", "nuclide", "wrong-half-life", "dates", "decay-correction")
    )
    if problem:
        return StepState(PROBLEM, problem, actions)
    if DIAGNOSTIC not in case.images:
        return StepState(TO_DO, "Choose the diagnostic CT or MR", actions)
    if not any(roles.values()):
        return StepState(TO_DO, "Choose the MAA SPECT, the 90Y image, or both", actions)
    open_phases = [phase for phase, role in roles.items() if role is not None and not _registered(case, phase, role)]
    names = ", ".join(ROLE_WORDS[role] for role in roles.values() if role is not None)
    if open_phases:
        return StepState(READY, f"{names}; not registered yet: computing registers by itself", actions)
    return StepState(DONE, names, actions)


def _registered(case: Case, phase: str, role: str) -> bool:
    frame = case.images[role].frame_of_reference_uid
    return phase in case.registration_lps or (bool(frame) and frame == case.images[DIAGNOSTIC].frame_of_reference_uid)


def _contours(case: Case, found: list[Finding]) -> StepState:
    problem = _first_block(found, ("empty-contour", "outside-image", "outside-liver", "territories-overlap"))
    count = {role: len(case.contours_of(role)) for role in (LIVER, TERRITORY, TUMOUR)}
    text = f"{count[LIVER]} liver, {count[TERRITORY]} territories, {count[TUMOUR]} tumours"
    if problem:
        return StepState(PROBLEM, problem)
    if count[LIVER] > 1:
        return StepState(PROBLEM, "More than one contour has the role liver")
    if count[LIVER] == 0:
        return StepState(TO_DO, "Draw the liver and give it the role liver")
    if count[TERRITORY] == 0:
        return StepState(READY, f"{text}; without a territory injections go to the liver")
    return StepState(DONE if count[TUMOUR] else READY, text if count[TUMOUR] else f"{text}; no tumour is drawn")


def _treatment(case: Case, found: list[Finding]) -> StepState:
    problem = _first_block(found, ("territory", "residual", "lung-shunt"))
    if problem:
        return StepState(PROBLEM, problem)
    if not case.injections:
        return StepState(TO_DO, "Enter the injections: territory, time, vial and residual")
    net = sum(injection.net_mbq for injection in case.injections)
    count = f"{len(case.injections)} injection{'s' if len(case.injections) > 1 else ''}"
    return StepState(DONE, f"{count}, net {net:.0f} MBq, lung shunt {100.0 * case.lung_shunt_fraction:.1f} %")


def _dose(
    case: Case, results: dict[str, Any] | None, found: list[Finding], steps: dict[str, StepState], busy: str
) -> StepState:
    blocks = [f for f in found if f.severity == BLOCK]
    waiting = [name for name in (IMAGES, CONTOURS, TREATMENT) if steps[name].badge in (TO_DO, PROBLEM)]
    if busy:
        compute = Action(False, f"Wait: {busy}")
    elif waiting:
        compute = Action(False, f"{waiting[0].capitalize()}: {steps[waiting[0]].text}")
    elif blocks:
        compute = Action(False, blocks[0].sentence())
    else:
        compute = Action(True)
    actions = {"compute": compute, "cancel": Action(bool(busy), "" if busy else "Nothing is running")}
    if busy:
        return StepState(READY, busy, actions)
    if results is not None:
        if results.get("provenance", {}).get("case_sha256") == case.sha256():
            doubts = _doubts(results)
            text = "Doses are current"
            if doubts:
                text += f"; {doubts} doubt{'s need' if doubts > 1 else ' needs'} a reason"
            return StepState(DONE, text, actions)
        return StepState(OUTDATED, "Inputs changed since these doses were computed", actions)
    if compute.enabled:
        return StepState(READY, "Ready to compute", actions)
    return StepState(PROBLEM if blocks and not waiting else TO_DO, compute.reason, actions)


def _doubts(results: dict[str, Any]) -> int:
    warnings = [*results.get("warnings", [])]
    for phase in ("pre", "post"):
        warnings += results.get(phase, {}).get("warnings", [])
    return sum(1 for w in warnings if w["severity"] == DOUBT and "accepted" not in w)
