"""Predicted against delivered dose as the report prints it: text fields for the page template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .comparison_content import ComparisonReport, ComparisonRow

QUANTITIES = ("predicted_as_planned", "predicted_at_delivered_net", "measured_absolute", "measured_scaled")
_KINDS = ("unmatched", "matched")
_LONGEST_SENTENCE = 420


def comparison_page(
    comparison: ComparisonReport, most: int, name: Callable[..., str], number: Callable[..., str]
) -> dict[str, Any]:
    """Rows, lesions and then the other compartments, and sentences.

    Parameters
    ----------
    comparison : ComparisonReport
    most : int
        Lesions and compartments listed; the rest is counted.
    name, number : callable
        How the report writes a person's text and a figure.
    """
    rows = sorted(comparison.rows, key=lambda row: row.role != "tumour")[:most]
    return {
        "rows": [_cells(row, name, number) for row in rows],
        "more": len(comparison.rows) - len(rows),
        "sentences": [name(sentence, _LONGEST_SENTENCE) for sentence in comparison.sentences],
        "slice": comparison.slice_words,
    }


def _cells(row: ComparisonRow, name: Callable[..., str], number: Callable[..., str]) -> list[str]:
    ratios = row.tumour_to_normal
    voxels = [row.voxels.get(kind, {}) for kind in _KINDS]
    return [
        name(row.name),
        *(number(row.mean_gy.get(quantity)) for quantity in QUANTITIES),
        number(row.difference_gy),
        number(row.ratio, 2),
        f"{number(ratios.get('pre'), 2)} / {number(ratios.get('post'), 2)}",
        *(" / ".join(number(figures.get(key), 2) for figures in voxels) for key in ("pearson", "nmad")),
        " / ".join(number(figures.get("sd_difference_gy"), 0) for figures in voxels),
    ]
