"""``tarecomet dvh``: dose metrics of contours in a dose map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .output import print_json, print_table

_MOSTLY_INSIDE = 0.99


def dvh(
    dose: Path = typer.Argument(..., help="Dose map in Gy."),
    contours: list[Path] = typer.Argument(
        ..., help="Label images or .seg.nrrd; their grids may differ from the dose's."
    ),
    dx_percent: list[float] = typer.Option([2, 50, 70, 95, 98], "--dx", help="Volumes x of D_x, in per cent."),
    vx_gy: list[float] = typer.Option([50, 100, 150, 200], "--vx", help="Doses x of V_x, in Gy."),
    bed: tuple[float, float] | None = typer.Option(
        None,
        "--bed",
        metavar="ALPHA_BETA_GY REPAIR_HALF_TIME_H",
        help="BED and EQD2; with --out the curves' axis is BED too. No default.",
    ),
    alpha_beta_gy: float | None = typer.Option(None, "--alpha-beta-gy", help="The first number of --bed."),
    repair_half_time_h: float | None = typer.Option(None, "--repair-half-time-h", help="The second number of --bed."),
    alpha_per_gy: float | None = typer.Option(
        None, "--alpha-per-gy", help="Linear coefficient for EUD by survival and EUBED, which need --bed; no default."
    ),
    eud_exponent: float | None = typer.Option(None, "--eud-exponent", help="Exponent a of gEUD; no default."),
    second_dose: Path | None = typer.Option(
        None, "--second-dose", help="Dose map in Gy of a second treatment on the same grid; adds BED, needs --bed."
    ),
    gap_h: float | None = typer.Option(
        None, "--gap-h", help="Hours from the first treatment to the second; long enough to add where not given."
    ),
    constants: str = typer.Option("MIRD 49.67", "--constants", help="Constants set; its half-life enters BED."),
    out: Path | None = typer.Option(None, "--out", help="Write the cumulative curves as CSV."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Mean, D_x, V_x, and where asked for BED and gEUD, per contour; from sorted voxels, without bins."""
    from ..dosimetry.radiobiology import Radiobiology
    from ..errors import InputError
    from ..imaging.image_files import read_contours, read_image
    from ..imaging.inspect import require_finite_image
    from ..physics.nuclides import constants_set

    if bed is not None:
        if alpha_beta_gy is not None or repair_half_time_h is not None:
            raise InputError("--bed", "its numbers are given twice", "Leave out --alpha-beta-gy, --repair-half-time-h")
        alpha_beta_gy, repair_half_time_h = bed
    if (alpha_beta_gy is None) != (repair_half_time_h is None):
        raise InputError("BED", "one of alpha/beta and repair half-time is missing", "Give both options or neither")
    tissue = None
    if alpha_beta_gy is not None and repair_half_time_h is not None:
        tissue = Radiobiology(alpha_beta_gy, repair_half_time_h)
    if alpha_per_gy is not None and tissue is None:
        raise InputError("--alpha-per-gy", "α/β and repair half-time are missing", "Add --bed with both")
    if second_dose is not None and tissue is None:
        raise InputError(
            "--second-dose", "treatments add in BED, and α/β and repair half-time are missing", "Add --bed"
        )
    if gap_h is not None and second_dose is None:
        raise InputError("--gap-h", "there is no second treatment", "Add --second-dose")
    for value in dx_percent:
        if not 0.0 <= value <= 100.0:
            raise InputError("--dx", f"expected 0 to 100 %, got {value:g}", "Give a share of the volume")
    half_life_h = constants_set(constants).half_life_h
    volume = read_image(dose)
    require_finite_image(volume, str(dose))
    both = _both(volume, second_dose, tissue, half_life_h, gap_h) if second_dose is not None else None
    rows, curves = [], []
    for path in contours:
        for name, contour in read_contours(path):
            metrics, histogram = _contour_metrics(name, contour, volume, dx_percent, vx_gy)
            if tissue is not None:
                metrics |= _bed(histogram, tissue, half_life_h, alpha_per_gy, dx_percent)
            if both is not None:
                _, of_both = _contour_metrics(name, contour, both, dx_percent, vx_gy)
                metrics |= _two_treatments(of_both, tissue, gap_h)
            if eud_exponent is not None:
                from ..dosimetry.radiobiology import generalized_eud_gy

                metrics |= {"eud_gy": generalized_eud_gy(histogram, eud_exponent), "eud_exponent": eud_exponent}
            rows.append(metrics)
            curves.append((name, *histogram.curve(), tissue))
    if out is not None:
        _write_curves(out, curves, half_life_h)
    if as_json:
        print_json({"dose": str(dose), "contours": rows})
        return
    columns = ["contour", "mL", "mean Gy", "SD Gy", *(f"D{x:g} Gy" for x in dx_percent), *(f"V{x:g} %" for x in vx_gy)]
    titles = {
        "bed_gy": "BED Gy",
        "eqd2_gy": "EQD2 Gy",
        "both_bed_gy": "BED of both Gy",
        "both_eqd2_gy": "EQD2 of both Gy",
        "survival_eud_gy": f"EUD(α {alpha_per_gy:g}) Gy" if alpha_per_gy else "EUD",
        "eubed_gy": f"EUBED(α {alpha_per_gy:g}) Gy" if alpha_per_gy else "EUBED",
        "eud_gy": f"gEUD({eud_exponent:g}) Gy" if eud_exponent else "gEUD",
    }
    extra = [key for key in titles if rows and key in rows[0]]
    print_table(
        "",
        columns,
        [
            [
                row["name"],
                f"{row['volume_ml']:.2f}",
                f"{row['mean_gy']:.1f}",
                f"{row['sd_gy']:.1f}",
                *(f"{value:.1f}" for value in row["d_gy"].values()),
                *(f"{value:.1f}" for value in row["v_percent"].values()),
            ]
            for row in rows
        ],
    )
    if extra:
        lines = [[row["name"], *(f"{row[key]:.1f}" for key in extra)] for row in rows]
        print_table("", ["contour", *(titles[key] for key in extra)], lines)
    for row in rows:
        for warning in row["warnings"]:
            typer.echo(f"{row['name']}: {warning}")


def _bed(
    histogram: Any, tissue: Any, half_life_h: float, alpha_per_gy: float | None, dx_percent: list[float]
) -> dict[str, Any]:
    from ..dosimetry.radiobiology import bed_dvh, eqd2_gy, mean_bed_gy, survival_eud_gy, uniform_bed_gy

    bed = mean_bed_gy(histogram, tissue, half_life_h)
    in_bed = bed_dvh(histogram, tissue, half_life_h)
    metrics: dict[str, Any] = {
        "bed_gy": bed,
        "eqd2_gy": float(eqd2_gy(bed, tissue.alpha_beta_gy)),
        "bed_d_gy": {f"{x:g}": in_bed.dose_to_volume_gy(x) for x in dx_percent},
        "alpha_beta_gy": tissue.alpha_beta_gy,
        "repair_half_time_h": tissue.repair_half_time_h,
    }
    if alpha_per_gy is not None:
        metrics |= {
            "survival_eud_gy": survival_eud_gy(histogram, alpha_per_gy, tissue, half_life_h),
            "eubed_gy": uniform_bed_gy(histogram, alpha_per_gy, tissue, half_life_h),
            "alpha_per_gy": alpha_per_gy,
        }
    return metrics


def _both(first: Any, second_dose: Path, tissue: Any, half_life_h: float, gap_h: float | None) -> Any:
    """BED map of two treatments, voxel by voxel."""
    import numpy as np

    from ..dosimetry.radiobiology import two_treatments_bed_gy
    from ..imaging.geometry import require_same_grid
    from ..imaging.image_files import read_image
    from ..imaging.inspect import require_finite_image
    from ..imaging.volume import Volume

    second = read_image(second_dose)
    require_finite_image(second, str(second_dose))
    require_same_grid(first.geometry, second.geometry, str(second_dose))
    bed = two_treatments_bed_gy(first.array.astype(float), second.array.astype(float), tissue, half_life_h, gap_h)
    return Volume(np.asarray(bed), first.geometry)


def _two_treatments(of_both: Any, tissue: Any, gap_h: float | None) -> dict[str, Any]:
    from ..dosimetry.radiobiology import eqd2_gy

    bed = of_both.mean_gy()
    found = {"both_bed_gy": bed, "both_eqd2_gy": float(eqd2_gy(bed, tissue.alpha_beta_gy))}
    return found if gap_h is None else {**found, "gap_h": gap_h}


def _contour_metrics(
    name: str, contour: Any, dose: Any, dx_percent: list[float], vx_gy: list[float]
) -> tuple[dict[str, Any], Any]:
    """Metrics and DVH of one contour, with fractional voxels where the grids differ."""
    import numpy as np

    from ..dosimetry.dvh import make_dvh
    from ..dosimetry.parcels import divide, probes_per_voxel
    from ..errors import InputError

    where = f'contour "{name}"'
    drawn_ml = float(np.count_nonzero(contour.array)) * contour.geometry.voxel_volume_ml
    if drawn_ml == 0.0:
        raise InputError(where, "it is empty", "Draw it first", "empty-contour")
    parcels = divide([(name, contour)], dose.geometry, probes_per_voxel(dose.geometry, contour.geometry))
    inside_ml = float(parcels.volume_ml.sum())
    if inside_ml < 0.5 * drawn_ml:
        raise InputError(
            where,
            f"{100.0 * (1.0 - inside_ml / drawn_ml):.0f} % of its {drawn_ml:.2f} mL lie outside the dose map",
            "Check that both are in the same patient space",
            "outside-image",
        )
    histogram = make_dvh(dose.array.ravel()[parcels.voxel], parcels.volume_ml, 1.0)
    warnings = []
    if inside_ml < _MOSTLY_INSIDE * drawn_ml:
        warnings.append(f"{drawn_ml - inside_ml:.2f} mL of {drawn_ml:.2f} mL lie outside the dose map and are left out")
    if drawn_ml < 8.0 * dose.geometry.voxel_volume_ml:
        warnings.append(
            f"{drawn_ml:.2f} mL are {drawn_ml / dose.geometry.voxel_volume_ml:.1f} dose voxels: "
            "D_x, V_x, minimum and maximum are coarse"
        )
    metrics: dict[str, Any] = {
        "name": name,
        "volume_ml": drawn_ml,
        "mean_gy": histogram.mean_gy(),
        "sd_gy": histogram.sd_gy(),
        "min_gy": histogram.min_gy(),
        "max_gy": histogram.max_gy(),
        "d_gy": {f"{x:g}": histogram.dose_to_volume_gy(x) for x in dx_percent},
        "v_percent": {f"{x:g}": histogram.volume_at_dose_percent(x) for x in vx_gy},
        "v_ml": {f"{x:g}": histogram.volume_at_dose_ml(x) for x in vx_gy},
        "warnings": warnings,
    }
    return metrics, histogram


def _write_curves(out: Path, curves: list[tuple[str, Any, Any, Any]], half_life_h: float) -> None:
    """Tidy CSV of cumulative curves; the BED of each dose beside it where a tissue is given."""
    import csv
    import io

    from ..dosimetry.radiobiology import bed_gy
    from ..files import write_whole

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    in_bed = any(tissue is not None for *_, tissue in curves)
    writer.writerow(["contour", "dose_gy", "volume_percent", *(["bed_gy"] if in_bed else [])])
    for name, dose_gy, percent, tissue in curves:
        columns = [dose_gy, percent, *([bed_gy(dose_gy, tissue, half_life_h)] if in_bed else [])]
        writer.writerows([name, *(f"{value:.6g}" for value in row)] for row in zip(*columns, strict=True))
    write_whole(out, text.getvalue())
