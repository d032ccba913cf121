"""Intervals and budgets of a results document as the panel, the plan, the comparison and the study show them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..dosimetry.uncertainty import BudgetLine, DoseUncertainty
from ..dosimetry.uncertainty_inputs import DEFAULT_SOURCES, InputUncertainties, proposed_fwhm_mm
from .document import Case
from .panel_table import NOT_COMPUTED


@dataclass(frozen=True)
class Interval:
    """A mean dose as people read it.

    Parameters
    ----------
    text : str
        ``"275 ± 17"``; a dash where there is none.
    tooltip : str
        95 % interval, main source, and what is not in it.
    """

    text: str
    tooltip: str = ""


def dose_uncertainties(results: dict[str, Any], phase: str) -> dict[str, DoseUncertainty]:
    """Mean local dose, standard uncertainty and budget of every compartment of a phase that has them."""
    found = {}
    for entry in results.get(phase, {}).get("compartments", []):
        stored = entry.get("uncertainty")
        if stored is not None:
            lines = tuple(BudgetLine(b["source"], b["uncertainty_gy"], b["share"]) for b in stored["budget"])
            found[entry["name"]] = DoseUncertainty(
                stored["mean_gy"], stored["mean_uncertainty_gy"], lines, stored["registration_bias_gy"]
            )
    return found


def _entry(results: dict[str, Any], phase: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in results.get(phase, {}).get("compartments", []):
        if entry["name"] == name:
            found = entry
    return found


def interval(
    results: dict[str, Any], phase: str, method: str, name: str, live_mean_gy: float | None = None
) -> Interval:
    """Interval of one compartment's mean dose.

    Parameters
    ----------
    live_mean_gy : float, optional
        Mean under a contour that is being changed: the last relative uncertainty is carried over.
    """
    entry = _entry(results, phase, name)
    figures = entry.get("dose", {}).get(method, {})
    mean = figures.get("mean_gy")
    if mean is None:
        return Interval(NOT_COMPUTED)
    shown = mean if live_mean_gy is None else live_mean_gy
    sd = figures.get("mean_uncertainty_gy")
    if sd is None:
        reason = "no interval: the image's resolution is not set, or the contour has too few voxels"
        return Interval(f"{shown:.0f}" if shown >= 100.0 else f"{shown:.1f}", reason)
    one = dose_uncertainties(results, phase)[name]
    factor = shown / mean if mean else 1.0
    decimals = 0 if sd * factor >= 2.0 else 1
    low, high = (max(0.0, shown - side * 1.959964 * sd * factor) for side in (1.0, -1.0))
    words = [f"95 %: {low:.{decimals}f} to {high:.{decimals}f} Gy", f"mainly {one.main_source}"]
    bias = entry["uncertainty"].get("blur_bias_percent")
    if bias is not None and abs(bias) >= 1.0:
        words.append(f"blur, not in the interval: {bias:+.0f} %")
    better = entry["uncertainty"].get("blur_corrected")
    if better is not None and method == "local" and live_mean_gy is None:
        words.append(f"corrected for blur: {better['mean_gy']:.0f} ± {better['mean_uncertainty_gy']:.0f} Gy")
    return Interval(f"{shown:.{decimals}f} ± {sd * factor:.{decimals}f}", "; ".join(words))


def budget_rows(results: dict[str, Any], phase: str, name: str) -> list[list[str]]:
    """Rows of the budget table: source, uncertainty in Gy, per cent of the mean, per cent of the variance."""
    one = dose_uncertainties(results, phase).get(name)
    if one is None:
        return []
    return [
        [
            line.source,
            f"{line.uncertainty_gy:.2g}",
            f"{100.0 * line.uncertainty_gy / one.mean_gy:.1f}",
            f"{100.0 * line.share:.0f}",
        ]
        for line in one.lines
    ]


def margin_points(results: dict[str, Any], phase: str, name: str) -> list[tuple[float, float]]:
    """Points of the margin chart: margin in mm, mean local dose in Gy; empty where there is none."""
    entry = _entry(results, phase, name)
    return [(m["margin_mm"], m["mean_gy"]) for m in entry.get("uncertainty", {}).get("margins", [])]


def input_rows(case: Case) -> list[tuple[str, str, float, str, str]]:
    """What can be typed: key, words, value, unit (``"%"``, ``"mm"``, ``"min"``), and where the value comes from."""
    used, default = case.settings.uncertainty or InputUncertainties(), InputUncertainties()
    rows = []
    for key, (unit, words, source) in DEFAULT_SOURCES.items():
        value = getattr(used, key)
        said = source if value == getattr(default, key) else "given"
        rows.append((key, words, 100.0 * value, "%", said) if unit == "share" else (key, words, value, unit, said))
    return rows


def with_input(case: Case, key: str, shown_value: float) -> Case:
    """The case with one input's uncertainty as typed (per cent where the row says so).

    Raises
    ------
    InputError
        Where the number has no meaning.
    """
    value = shown_value / 100.0 if DEFAULT_SOURCES[key][0] == "share" else shown_value
    changed = replace(case.settings.uncertainty or InputUncertainties(), **{key: value})
    kept = None if changed == InputUncertainties() else changed
    return replace(case, settings=replace(case.settings, uncertainty=kept))


def resolution_to_ask(case: Case) -> list[tuple[str, float, str]]:
    """Images whose resolution is not set: role, proposed mm, and the words that mark it as a proposal."""
    found = []
    for role in case.images:
        proposed = proposed_fwhm_mm(role)
        if proposed is not None and role not in case.settings.resolution_fwhm_mm:
            found.append((role, *proposed))
    return found
