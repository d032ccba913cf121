"""Tidy tables as CSV: one row per phase, compartment and method; units stand in the column names."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_whole
from .content import MULTICOMPARTMENT, RECOVERED, SCALED_QUANTITY, CompartmentDose, PhaseReport, ReportContent

D_PERCENTS = (2, 50, 70, 95, 98)
V_DOSES_GY = (30, 50, 70, 90, 100, 120, 150, 200, 250)
COMPARTMENT_COLUMNS = (
    "case_id",
    "results",
    "phase",
    "quantity",
    "compartment",
    "role",
    "method",
    "volume_ml",
    "mass_g",
    "activity_mbq",
    "mean_gy",
    "sd_gy",
    "min_gy",
    "max_gy",
    *(f"d{percent}_gy" for percent in D_PERCENTS),
    *(f"v{dose}gy_percent" for dose in V_DOSES_GY),
    "tumour_to_normal",
    "normal_reference",
    "resolved",
    "mean_uncertainty_gy",
    "main_uncertainty",
    "noise_sd_gy",
    "blur_bias_percent",
    "blur_corrected_mean_gy",
    "blur_corrected_uncertainty_gy",
)
BUDGET_COLUMNS = ("case_id", "results", "phase", "compartment", "source", "uncertainty_gy", "share_of_variance")
MARGIN_COLUMNS = ("case_id", "results", "phase", "compartment", "margin_mm", "mean_gy")
DVH_COLUMNS = ("case_id", "results", "phase", "compartment", "method", "dose_gy", "volume_percent", "volume_ml")
Row = Mapping[str, Any]


def compartment_rows(content: ReportContent) -> list[dict[str, Any]]:
    """Rows of the compartment table; what is not known is left out of a row."""
    rows = []
    for phase in content.phases:
        for entry in phase.compartments:
            rows += [
                {**_identity(content, phase, entry), "quantity": phase.quantity, "role": entry.role, **figures}
                for figures in _figures(entry)
            ]
    return rows


def dvh_rows(content: ReportContent, points: int = 200) -> list[dict[str, Any]]:
    """Rows of the DVH table: each cumulative curve at equal steps of dose from 0 to its maximum."""
    rows = []
    for phase in content.phases:
        for entry in phase.compartments:
            for method, dvh in entry.dvh.items():
                identity = {**_identity(content, phase, entry), "method": method}
                total_ml = dvh.total_volume_ml
                rows += [
                    {
                        **identity,
                        "dose_gy": float(d),
                        "volume_percent": float(v),
                        "volume_ml": float(v) / 100.0 * total_ml,
                    }
                    for d, v in zip(*dvh.curve(points), strict=True)
                ]
    return rows


def budget_rows(content: ReportContent) -> list[dict[str, Any]]:
    """Rows of the uncertainty budget: each source of each compartment's mean local dose, largest first."""
    return [
        {**_identity(content, phase, entry), "source": source, "uncertainty_gy": gy, "share_of_variance": share}
        for phase in content.phases
        for entry in phase.compartments
        for source, gy, share in entry.budget
    ]


def margin_rows(content: ReportContent) -> list[dict[str, Any]]:
    """Rows of the margin table: mean local dose with the contour drawn smaller or larger."""
    return [
        {**_identity(content, phase, entry), "margin_mm": float(margin), "mean_gy": float(mean)}
        for phase in content.phases
        for entry in phase.compartments
        for margin, mean in entry.margins
    ]


def write_compartments_csv(path: Path, rows: Iterable[Row]) -> None:
    """Write the compartment table; columns beyond ``COMPARTMENT_COLUMNS`` follow in the order they first appear."""
    write_csv(path, rows, COMPARTMENT_COLUMNS)


def write_dvh_csv(path: Path, rows: Iterable[Row]) -> None:
    """Write the DVH table."""
    write_csv(path, rows, DVH_COLUMNS)


def write_csv(path: Path, rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Write rows as CSV (UTF-8, comma, point, LF), whole or not at all; the same rows give the same bytes.

    Parameters
    ----------
    path : Path
    rows : iterable of mapping
        Column name to value; what is absent or None becomes an empty cell.
    columns : sequence of str
        Columns that come first, all of them written.

    Raises
    ------
    InputError
        Where a number is NaN or infinite.
    """
    rows = list(rows)
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name), name, path.name) for name in names] for row in rows)
    write_whole(path, text.getvalue())


def _cell(value: Any, column: str, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(where, f"its column {column} holds {value}", "Compute the case again", "not-finite")
        # Seven digits: more than any measurement has, fewer than differ between machines.
        return f"{float(value) + 0.0:.7g}"
    return str(value)


def _identity(content: ReportContent, phase: PhaseReport, entry: CompartmentDose) -> dict[str, Any]:
    return {
        "case_id": content.case_id,
        "results": "out of date" if content.stale_reason else "current",
        "phase": phase.phase,
        "compartment": entry.name,
    }


def _figures(entry: CompartmentDose) -> Iterable[dict[str, Any]]:
    """One row's figures for each method."""
    sizes = {"volume_ml": entry.volume_ml, "mass_g": entry.mass_g, "activity_mbq": entry.activity_mbq}
    ratio = {"tumour_to_normal": entry.tumour_to_normal, "normal_reference": entry.normal_reference or None}
    for method, dvh in entry.dvh.items():
        yield {
            "method": method,
            **sizes,
            "mean_gy": dvh.mean_gy(),
            "sd_gy": dvh.sd_gy(),
            "min_gy": dvh.min_gy(),
            "max_gy": dvh.max_gy(),
            **{f"d{percent}_gy": dvh.dose_to_volume_gy(percent) for percent in D_PERCENTS},
            **{f"v{dose}gy_percent": dvh.volume_at_dose_percent(dose) for dose in V_DOSES_GY},
            # The ratio is one of local mean doses.
            **(ratio if method == "local" else {}),
            "resolved": entry.resolved,
            **_uncertainty(entry, dvh.mean_gy()),
            **(_corrected(entry) if method == "local" else {}),
            # Only there where a tissue is given: columns of their own.
            **entry.biological.get(method, {}),
            **{f"probability: {model}": value for model, value in entry.effects.get(method, ())},
        }
    if entry.multicompartment_gy is not None:
        activity = {"volume_ml": entry.volume_ml, "mass_g": entry.mass_g}
        yield {"method": MULTICOMPARTMENT, **activity, "mean_gy": entry.multicompartment_gy}
        if entry.recovered_gy is not None:
            yield {"method": RECOVERED, **activity, "mean_gy": entry.recovered_gy}
    for method, mean_gy in entry.scaled_gy.items():
        yield {
            "quantity": SCALED_QUANTITY,
            "method": method,
            "volume_ml": entry.volume_ml,
            "mass_g": entry.mass_g,
            "mean_gy": mean_gy,
        }


def _corrected(entry: CompartmentDose) -> dict[str, Any]:
    if entry.blur_corrected is None:
        return {}
    mean, sd = entry.blur_corrected
    return {"blur_corrected_mean_gy": mean, "blur_corrected_uncertainty_gy": sd}


def _uncertainty(entry: CompartmentDose, mean_gy: float) -> dict[str, Any]:
    if entry.relative_uncertainty is None:
        return {}
    return {
        "mean_uncertainty_gy": abs(entry.relative_uncertainty * mean_gy),
        "main_uncertainty": entry.budget[0][0] if entry.budget else None,
        "noise_sd_gy": entry.noise_sd_gy,
        "blur_bias_percent": entry.blur_bias_percent,
    }
