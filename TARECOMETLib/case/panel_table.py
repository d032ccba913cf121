"""What the panel's dose step shows of results: rows of its table, and the balance of what is being typed."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..physics.nuclides import constants_set
from .after_checks import BALANCE_DOUBT, BALANCE_QUIET
from .checks import post_image
from .document import ROLE_WORDS, Case
from .findings import DOUBT, Finding
from .phase import deliveries_of

NOT_COMPUTED = "–"
MOST_LEVELS = 12


def dose_rows(results: dict[str, Any], method: str, phase: str) -> list[list[str]]:
    """Rows of text: name, volume (mL), predicted and delivered mean (Gy), and of the shown phase D70 (Gy), V100 (%),
    mean BED and EQD2 (Gy).

    A figure that was not computed is a dash, never a zero.
    """
    by_phase = {
        name: {entry["name"]: entry for entry in results.get(name, {}).get("compartments", [])}
        for name in ("pre", "post")
    }
    names = list(dict.fromkeys([*by_phase["pre"], *by_phase["post"]]))

    def figure(of_phase: str, name: str, *path: str) -> str:
        value: Any = by_phase[of_phase].get(name, {}).get("dose", {}).get(method)
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return NOT_COMPUTED if value is None else f"{value:.1f}"

    return [
        [
            name,
            f"{(by_phase['pre'].get(name) or by_phase['post'][name])['volume_ml']:.1f}",
            figure("pre", name, "mean_gy"),
            figure("post", name, "mean_gy"),
            figure(phase, name, "d_gy", "70"),
            figure(phase, name, "v_percent", "100"),
            figure(phase, name, "bed_gy"),
            figure(phase, name, "eqd2_gy"),
        ]
        for name in names
    ]


def typed_balance(case: Case, results: dict[str, Any] | None) -> tuple[float, str] | None:
    """Share of the net activity, as typed now, that the last measured image holds in liver and lungs.

    Both sides are taken at the scan's time, so that a changed injection time counts too (DEFINITIONS 13).

    Returns
    -------
    tuple of (float, str) or None
        Ratio and its judgement: quiet, doubt or block. None where nothing absolute was measured.
    """
    measured = (results or {}).get("post", {})
    role = post_image(case)
    facts = case.images[role].emission if role else None
    if measured.get("calibration") != "absolute" or facts is None or not facts.scan_start or not case.injections:
        return None
    constants = constants_set((results or {})["constants"]["set"])
    first_h = max(entry["hours_to_scan"] for entry in measured["injections"])
    balance = measured["activity_balance"]
    image_mbq = (balance["liver_mbq"] + balance["lungs_mbq"]) * constants.decay_factor(first_h)
    now = constants_set(case.constants_set)
    net_mbq = sum(
        d.net_mbq * now.decay_factor(d.elapsed_to_scan_h or 0.0) for d in deliveries_of(case, facts.scan_start)
    )
    ratio = image_mbq / net_mbq
    if BALANCE_QUIET[0] <= ratio <= BALANCE_QUIET[1]:
        return ratio, "quiet"
    return ratio, "doubt" if BALANCE_DOUBT[0] <= ratio <= BALANCE_DOUBT[1] else "block"


def finding_lines(
    found: list[Finding], results: dict[str, Any], accepted: dict[str, str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Remarks on inputs and results as (severity, sentence), worst first, and open doubts as (code, words).

    Parameters
    ----------
    found : list of Finding
        On the inputs.
    results : dict
        The results document; empty where nothing was computed.
    accepted : dict
        Code to the person's reason.
    """
    every = [("", f.severity, f.code, f.where, f.message, f.mend) for f in found]
    for phase in ("pre", "post"):
        every += [
            (phase, w["severity"], w["code"], w["where"], w["message"], w["mend"])
            for w in results.get(phase, {}).get("warnings", [])
        ]
    order = ("block", "doubt", "note")
    lines: list[tuple[str, str]] = []
    doubts: dict[str, str] = {}
    for phase, severity, code, where, message, mend in sorted(every, key=lambda entry: order.index(entry[1])):
        place = ROLE_WORDS.get(where, where)
        text = Finding(severity, code, f"{phase}, {place}" if phase else place, message, mend).sentence()
        if severity == DOUBT and code in accepted:
            text += f" Accepted: {accepted[code]}"
        elif severity == DOUBT:
            doubts.setdefault(code, f"{place}: {message}")
        if (severity, text) not in lines:
            lines.append((severity, text))
    return lines, list(doubts.items())


def levels_from_text(text: str) -> list[float]:
    """Isodose levels as typed: numbers above 0 in Gy, separated by blanks, commas or semicolons; sorted, each once.

    Raises
    ------
    InputError
        Where something else stands there, or more than 12 levels.
    """
    words = text.replace(",", " ").replace(";", " ").split()
    levels = set()
    for word in words:
        try:
            level = float(word)
        except ValueError:
            level = 0.0
        if not 0.0 < level < 1.0e5:
            raise InputError("isodoses", f'"{word}" is not a dose in Gy', "Write levels as 75 150 189", "isodose-level")
        levels.add(level)
    if not 1 <= len(levels) <= MOST_LEVELS:
        raise InputError(
            "isodoses", f"expected 1 to {MOST_LEVELS} levels, got {len(levels)}", "Write levels as 75 150 189"
        )
    return sorted(levels)
