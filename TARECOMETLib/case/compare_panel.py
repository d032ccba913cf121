"""What the panel's step See and compare shows of predicted against delivered: rows of a table and one line. No Qt."""

from __future__ import annotations

from typing import Any

from .comparing import AT_NET, MEASURED, SCALED
from .panel_table import NOT_COMPUTED

HEADINGS = (
    "Compartment",
    "Predicted (Gy)",
    "Delivered (Gy)",
    "Difference (Gy)",
    "Ratio",
    "r",
    "r, matched",
    "Voxel SD (Gy)",
)


def comparison_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row a compartment: mean doses, difference, ratio, and correlation of voxels before and after matching.

    Predicted at the delivered net activity; delivered as measured, else scaled to the net activity. What was not
    computed is a dash.
    """
    rows = []
    for entry in results.get("comparison", {}).get("compartments", []):
        means = entry["mean_gy"]
        delivered = means.get(MEASURED, means.get(SCALED))
        voxels = entry.get("voxels", {})
        rows.append(
            [
                entry["name"],
                _text(means.get(AT_NET)),
                _text(delivered),
                _text(entry.get("difference_gy"), "+.1f"),
                _text(entry.get("ratio"), ".2f"),
                _text(voxels.get("unmatched", {}).get("pearson"), ".2f"),
                _text(voxels.get("matched", {}).get("pearson"), ".2f"),
                _text(voxels.get("unmatched", {}).get("sd_difference_gy")),
            ]
        )
    return rows


def comparison_line(results: dict[str, Any]) -> str:
    """Quality of both registrations, which resolution is primary, and the factor to the net activity; empty if none."""
    found = results.get("comparison")
    if not found:
        return ""
    quality = found["registration_quality"]
    words = [f"Registration: {quality['pre']:.2f} before, {quality['post']:.2f} after treatment"]
    if "measured_scaled_factor" in found:
        words.append(f"measured doses times {found['measured_scaled_factor']:.3f} are scaled to the net activity")
    words.append(f"primary: {found['primary_resolution']}" if "primary_resolution" in found else "no primary stated")
    if "matched_absent" in found:
        words.append(f"not matched: {found['matched_absent']}")
    return "; ".join(words) + "."


def _text(value: float | None, form: str = ".1f") -> str:
    return NOT_COMPUTED if value is None else f"{value:{form}}"
