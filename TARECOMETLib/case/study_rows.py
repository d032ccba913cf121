"""A computed case as rows of the study file: treatments, compartments, doses with their full histograms."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..dosimetry.compartments import ALL_TUMOURS, LUNG, NON_PERFUSED, NORMAL_PERFUSED, TUMOUR, WHOLE_NORMAL
from ..dosimetry.dvh import Dvh
from ..dosimetry.radiobiology import Radiobiology, bed_gy
from ..errors import InputError
from ..study.database import Row, StudyDatabase
from .document import DIAGNOSTIC, Case, Tissue

Curve = tuple[np.ndarray, np.ndarray]
# Phase, compartment and method to the dose of each bin (Gy) and its volume (mL).
Curves = Mapping[tuple[str, str, str], Curve]
_DERIVED = (ALL_TUMOURS, WHOLE_NORMAL, NORMAL_PERFUSED, NON_PERFUSED)
_SOURCES = ("CT", "MR", "FDG", "uptake")


def add_to_study(
    study: StudyDatabase, case: Case, results: dict[str, Any], curves: Curves, patient_id: str = ""
) -> int:
    """Put a computed case into the study; returns the number of changes.

    Parameters
    ----------
    study : StudyDatabase
    case : Case
    results : dict
        ``results_document`` of the case.
    curves : mapping
        From ``curves_of_file`` or ``curves_of_phases``.
    patient_id : str
        Pseudonym; the case's own where empty.

    Raises
    ------
    InputError
        Where the results are out of date, or the pseudonym looks like a name.
    """
    name = patient_id or case.case_id
    computed_from = results.get("provenance", {}).get("case_sha256")
    if computed_from != case.sha256():
        raise InputError(
            f"results of {case.case_id}", "the case was changed after they were computed", "Compute it again", "stale"
        )
    changes = 0
    with study.transaction(f"add case {case.case_id} sha256:{case.sha256()[:16]}"):
        changes += study.put("patients", {"patient_id": name})
        for table, row in case_rows(case, results, curves, name):
            changes += study.put(table, row)
    return changes


def case_rows(case: Case, results: dict[str, Any], curves: Curves, patient_id: str) -> list[tuple[str, Row]]:
    """Rows by table, parents first."""
    rows: list[tuple[str, Row]] = [*_treatments(case, results, patient_id)]
    entries: dict[str, dict[str, Any]] = {}
    for phase in ("pre", "post"):
        for entry in results.get(phase, {}).get("compartments", []):
            entries.setdefault(entry["name"], entry)
    contours = {contour.name: contour for contour in case.contours}
    for name, entry in entries.items():
        row: Row = {
            "patient_id": patient_id,
            "name": name,
            "kind": _kind(name, entry["role"]),
            "volume_ml": entry.get("volume_ml"),
            "mass_g": entry.get("mass_g"),
        }
        if name in contours:
            contour = contours[name]
            row["contour_source"] = contour.source if contour.source in _SOURCES else None
            row["is_dose_defined"] = int(contour.drawn_on != DIAGNOSTIC and contour.source == "uptake")
        rows.append(("compartments", {k: v for k, v in row.items() if v is not None}))
    for phase in ("pre", "post"):
        for entry in results.get(phase, {}).get("compartments", []):
            rows += [("doses", row) for row in _doses(case, results, phase, entry, curves, patient_id)]
    return rows


def _kind(name: str, role: str) -> str:
    if role == TUMOUR:
        return "tumour"
    if role == LUNG:
        return "lungs"
    return name if name in _DERIVED else "other"


def _treatments(case: Case, results: dict[str, Any], patient_id: str) -> list[tuple[str, Row]]:
    """One session per day of injections."""
    days: dict[str, list[Any]] = {}
    for injection in case.injections:
        days.setdefault(injection.time[:10], []).append(injection)
    lung: dict[str, Any] = next((results[p]["lung"] for p in ("post", "pre") if "lung" in results.get(p, {})), {})
    rows: list[tuple[str, Row]] = []
    for session, (day, injections) in enumerate(sorted(days.items()), 1):
        net = sum(injection.net_mbq for injection in injections)
        shunted = sum(
            i.net_mbq * (case.lung_shunt_fraction if i.lung_shunt_fraction is None else i.lung_shunt_fraction)
            for i in injections
        )
        row: Row = {
            "patient_id": patient_id,
            "session": session,
            "date": day,
            "device": case.device,
            "net_activity_mbq": net,
            "lung_shunt_fraction": shunted / net if net > 0.0 else None,
            "case_sha256": case.sha256(),
            "constants_set": results["constants"]["set"],
            "software": f"tarecomet {results['provenance']['software']['tarecomet']}",
        }
        if session == 1 and "mean_gy" in lung:
            row["lung_dose_gy"] = lung["mean_gy"]
        rows.append(("treatments", {k: v for k, v in row.items() if v is not None}))
    return rows


def _doses(
    case: Case, results: dict[str, Any], phase: str, entry: dict[str, Any], curves: Curves, patient_id: str
) -> list[Row]:
    found: list[Row] = []
    base: Row = {
        "patient_id": patient_id,
        "name": entry["name"],
        "phase": phase,
        "calibration": results[phase]["calibration"],
    }
    if "resolved" in entry:
        base["is_resolved"] = int(entry["resolved"])
    tissue = (
        case.settings.tumour_tissue
        if entry["role"] == TUMOUR or entry["name"] == ALL_TUMOURS
        else case.settings.liver_tissue
    )
    for method, dose in entry.get("dose", {}).items():
        row: Row = {**base, "method": method}
        for name in ("mean_gy", "sd_gy", "bed_gy", "eud_gy", "eud_exponent"):
            # A cold compartment may come out just below 0 by noise: no dose, so none is kept.
            if isinstance(dose.get(name), (int, float)) and (dose[name] >= 0.0 or name == "eud_exponent"):
                row[name] = dose[name]
        row |= {
            f"d{x}_gy": v for x, v in dose.get("d_gy", {}).items() if x in ("2", "50", "70", "95", "98") and v >= 0.0
        }
        row |= {
            f"v{x}_percent": min(v, 100.0)
            for x, v in dose.get("v_percent", {}).items()
            if x in ("50", "100", "150", "200")
        }
        uncertainty = dose.get("mean_uncertainty_gy", entry.get("uncertainty", {}).get("mean_uncertainty_gy"))
        if isinstance(uncertainty, (int, float)):
            row["mean_uncertainty_gy"] = uncertainty
        row |= _histogram(curves.get((phase, entry["name"], method)), tissue, results["constants"]["half_life_h"])
        found.append(row)
    mean = entry.get("multicompartment", {}).get("mean_gy")
    if mean is not None and mean >= 0.0:
        found.append({**base, "method": "multicompartment", "mean_gy": mean})
    return found


def _histogram(curve: Curve | None, tissue: Tissue | None, half_life_h: float) -> Row:
    if curve is None:
        return {}
    dose, volume = curve
    row: Row = {"dvh_dose_gy": _numbers(dose), "dvh_volume_ml": _numbers(volume)}
    if tissue is not None:
        biology = Radiobiology(tissue.alpha_beta_gy, tissue.repair_half_time_h)
        row |= {
            "dvh_bed_gy": _numbers(np.asarray(bed_gy(dose, biology, half_life_h))),
            "alpha_beta_gy": tissue.alpha_beta_gy,
            "repair_half_time_h": tissue.repair_half_time_h,
        }
    return row


def _numbers(values: np.ndarray) -> str:
    return json.dumps([float(f"{v:.6g}") for v in values])


def curves_of_file(path: Path) -> dict[tuple[str, str, str], Curve]:
    """Differential histograms from a case's dvh.csv; empty where there is none."""
    if not path.is_file():
        return {}
    points: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            key = (row["phase"], row["compartment"], row["method"])
            points.setdefault(key, []).append((float(row["dose_gy"]), float(row["volume_ml"])))
    return {
        key: _differential(np.array([p[0] for p in found]), np.array([p[1] for p in found]))
        for key, found in points.items()
    }


def curves_of_phases(phases: Mapping[str, Any], bins: int = 400) -> dict[tuple[str, str, str], Curve]:
    """Differential histograms of a case that was just computed."""
    found = {}
    for phase, computed in phases.items():
        for name, methods in computed.dvh.items():
            for method, dvh in methods.items():
                found[phase, name, method] = _differential(*_cumulative_ml(dvh, bins))
    return found


def _cumulative_ml(dvh: Dvh, bins: int) -> Curve:
    dose, percent = dvh.curve(bins)
    return dose, percent / 100.0 * dvh.total_volume_ml


def _differential(dose_gy: np.ndarray, above_ml: np.ndarray) -> Curve:
    """Bins from a cumulative curve: middle dose and volume; what lies at the last point is a bin of its own."""
    volume = np.append(-np.diff(above_ml), above_ml[-1])
    middle = np.append(0.5 * (dose_gy[1:] + dose_gy[:-1]), dose_gy[-1])
    kept = volume > 0.0
    return middle[kept], volume[kept]
