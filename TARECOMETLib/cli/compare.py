"""``tarecomet compare``: two dose maps inside contours, voxel by voxel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .output import print_json, print_table

_LEVELS = 12
_KINDS = ("unmatched", "matched")
_SHORT = {
    "predicted_as_planned": "planned",
    "predicted_at_delivered_net": "predicted",
    "measured_absolute": "measured",
    "measured_scaled": "scaled",
}


def compare(
    paths: list[Path] = typer.Argument(
        ..., metavar="CASE | DOSE_A DOSE_B CONTOUR...", help="A case, or predicted and delivered dose and contours."
    ),
    dose_percent: float = typer.Option(10.0, "--gamma-percent", help="Dose criterion of gamma, per cent."),
    distance_mm: float = typer.Option(5.0, "--gamma-mm", help="Distance criterion of gamma, mm."),
    local: bool = typer.Option(False, "--local", help="Per cent of each voxel's own dose, not of the maximum."),
    threshold_percent: float = typer.Option(10.0, "--threshold", help="Gamma only from this share of the maximum."),
    search: str = typer.Option("exact", "--search", help="exact, or shells as pymedphys does it."),
    gamma_out: Path | None = typer.Option(None, "--gamma-out", help="Write the gamma map, on the grid of DOSE_A."),
    out: Path | None = typer.Option(None, "--out", help="Of a case: folder for its figures, as SVG, PDF and PNG."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Difference, correlation, isodose overlap, DVH area and gamma of two dose maps, per contour."""
    import numpy as np

    from ..comparison.agreement import plain
    from ..comparison.gamma import GammaCriterion, computing_gamma
    from ..comparison.voxels import isodose_agreement, voxel_agreement
    from ..dosimetry.parcels import divide, probes_per_voxel
    from ..errors import InputError
    from ..imaging.image_files import read_contours, read_image, write_image
    from ..imaging.inspect import require_finite_image
    from ..imaging.sitk_images import resample
    from ..imaging.volume import Volume
    from .output import run_steps

    if len(paths) == 1:
        _compare_case(paths[0], as_json, out)
        return
    if out is not None:
        raise InputError("--out", "it is for the figures of a case", "Give a case alone, or leave it out", "usage")
    if len(paths) == 2:
        raise InputError("compare", "there is no contour", "Give a case alone, or two dose maps and contours", "usage")
    dose_a, dose_b, *contours = paths
    criterion = GammaCriterion(dose_percent, distance_mm, local, threshold_percent)
    first, second = read_image(dose_a), read_image(dose_b)
    require_finite_image(first, str(dose_a))
    require_finite_image(second, str(dose_b))
    gamma = run_steps(computing_gamma(first, second, criterion, search), "compare")
    carried = resample(second, first.geometry, np.eye(4), outside=0.0).array
    rows: list[dict[str, Any]] = []
    for path in contours:
        for name, contour in read_contours(path):
            parcels = divide([(name, contour)], first.geometry, probes_per_voxel(first.geometry, contour.geometry))
            if parcels.voxel.size == 0:
                raise InputError(
                    f'contour "{name}"', "it lies outside the dose map", "Check its patient space", "outside-image"
                )
            a, b = first.array.ravel()[parcels.voxel], carried.ravel()[parcels.voxel]
            agreement = voxel_agreement(a, b, parcels.volume_ml)
            inside = np.bincount(parcels.voxel, parcels.volume_ml, minlength=first.array.size)
            mask = (inside >= 0.5 * first.geometry.voxel_volume_ml).reshape(first.array.shape)
            levels = np.linspace(0.0, max(float(a.max()), float(b.max())), _LEVELS + 1)[1:-1]
            mean_a, mean_b = (float(np.average(v, weights=parcels.volume_ml)) for v in (a, b))
            row: dict[str, Any] = {"name": name, "mean_a_gy": mean_a, "mean_b_gy": mean_b}
            row |= {"difference_gy": mean_b - mean_a, "ratio": mean_b / mean_a, "voxels": plain(agreement)}
            row["isodoses"] = plain(
                isodose_agreement(first.array, carried, mask, first.geometry.spacing_mm, list(levels))
            )
            rate = gamma.pass_rate(mask)
            if rate is not None:
                row["gamma_pass_rate"] = rate
            rows.append(row)
    if gamma_out is not None:
        write_image(gamma_out, Volume(np.nan_to_num(gamma.gamma.array, nan=-1.0), first.geometry))
    document: dict[str, Any] = {"dose_a": str(dose_a), "dose_b": str(dose_b), "contours": rows}
    document["gamma"] = {"criterion": criterion.name, "search": search, "threshold_percent": threshold_percent}
    if criterion.noise_sentence:
        document["gamma"]["warning"] = criterion.noise_sentence
    if as_json:
        print_json(document)
        return
    columns = ["contour", "A Gy", "B Gy", "B - A", "B / A", "SD", "NMAD", "r", "DVH area", "gamma pass %"]
    cells = [
        [
            row["name"],
            *(f"{row[key]:.1f}" for key in ("mean_a_gy", "mean_b_gy", "difference_gy")),
            f"{row['ratio']:.3f}",
            f"{row['voxels']['sd_difference_gy']:.1f}",
            f"{row['voxels']['nmad']:.3f}",
            f"{row['voxels']['pearson']:.3f}" if "pearson" in row["voxels"] else "",
            f"{row['voxels']['dvh_area_gy']:.1f}",
            f"{100.0 * row['gamma_pass_rate']:.1f}" if "gamma_pass_rate" in row else "",
        ]
        for row in rows
    ]
    print_table(f"gamma {criterion.name}", columns, cells)
    if criterion.noise_sentence:
        typer.echo(f"note: {criterion.noise_sentence}.")


def _compare_case(path: Path, as_json: bool, out: Path | None) -> None:
    """Predicted against delivered dose of a case."""
    from ..case.comparing import comparison_document
    from ..case.comparison_report import comparison_report
    from ..case.inputs import load_inputs
    from ..case.workflow import run_case
    from ..errors import InputError
    from ..report.comparison_figures import write_comparison_figures
    from .case import load_case
    from .output import run_steps

    case, files, base = load_case(path)
    results = run_steps(run_case(case, run_steps(load_inputs(case, files, base), "compare")), "compare")
    document = comparison_document(results)
    if document is None:
        raise InputError(
            str(path), "it has an image of one phase only", "Add the MAA SPECT and the 90Y image", "one-phase"
        )
    if out is not None:
        if out.exists() and not out.is_dir():
            raise InputError(str(out), "it is a file", "Give a folder for --out", "not-a-folder")
        write_comparison_figures(run_steps(comparison_report(results, document), "compare"), out)
    if as_json:
        print_json({"case_id": case.case_id, "comparison": document})
        return
    rows = [
        [
            entry["name"],
            *(f"{value:.1f}" for value in entry["mean_gy"].values()),
            f"{entry['difference_gy']:.1f}" if "difference_gy" in entry else "",
            f"{entry['ratio']:.2f}" if "ratio" in entry else "",
            *(
                f"{entry['voxels'][k]['pearson']:.2f}" if "pearson" in entry.get("voxels", {}).get(k, {}) else ""
                for k in _KINDS
            ),
        ]
        for entry in document["compartments"]
    ]
    quantities = list(document["compartments"][0]["mean_gy"]) if document["compartments"] else []
    columns = [
        "compartment",
        *(q.replace("_", " ") for q in quantities),
        "difference",
        "ratio",
        "r unmatched",
        "r matched",
    ]
    print_table(f"{case.case_id}: mean local dose, Gy", columns, rows)
    quality = document["registration_quality"]
    typer.echo(f"registration: pre {quality['pre']:.3f}, post {quality['post']:.3f}")
