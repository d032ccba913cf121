"""``tarecomet dose``: a dose map from an activity map."""

from __future__ import annotations

from pathlib import Path

import typer

from .output import print_json


def dose(
    activity: Path = typer.Argument(..., help="Activity at injection as NRRD, NIfTI or MetaImage."),
    units: str = typer.Option(..., "--units", help="Bq/mL, kBq/mL, MBq/mL, or Bq, MBq (per voxel)."),
    method: str = typer.Option("local", "--method", help="local or kernel."),
    out: Path = typer.Option(..., "--out", help="Dose map to write, Gy."),
    density_g_ml: float = typer.Option(1.05, "--density-g-ml", help="Tissue density in g/mL, the same everywhere."),
    medium: str = typer.Option("soft-tissue", "--medium", help="Composition for the kernel."),
    constants: str = typer.Option("MIRD 49.67", "--constants", help="Constants set."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Dose of microspheres that stay: local deposition or convolution with the voxel kernel."""
    import numpy as np

    from ..dosimetry.dose import kernel_dose_gy, local_dose_gy
    from ..errors import InputError
    from ..imaging.image_files import read_image, write_image
    from ..imaging.inspect import require_finite_image
    from ..imaging.volume import Volume
    from ..physics.nuclides import constants_set
    from ..physics.voxel_kernel import voxel_kernel

    if not 0.05 <= density_g_ml <= 3.0:
        raise InputError("--density-g-ml", f"expected 0.05 to 3 g/mL, got {density_g_ml:g}", "Check the unit")
    if method not in ("local", "kernel"):
        raise InputError("--method", f'there is no method "{method}"', "Choose local or kernel")
    chosen = constants_set(constants)
    volume = read_image(activity)
    require_finite_image(volume, str(activity))
    per_voxel_mbq = _to_mbq_per_voxel(units, volume.geometry.voxel_volume_ml)
    activity_mbq = volume.array.astype(np.float64) * per_voxel_mbq
    mass_g = volume.geometry.voxel_volume_ml * density_g_ml
    document = {
        "out": str(out),
        "method": method,
        "constants": {"set": chosen.name, "gy_kg_per_gbq": chosen.gy_kg_per_gbq, "half_life_h": chosen.half_life_h},
        "density_g_ml": density_g_ml,
        "total_activity_mbq": float(activity_mbq.sum()),
        "negative_voxels": int((activity_mbq < 0).sum()),
    }
    if method == "local":
        result = local_dose_gy(activity_mbq, mass_g, chosen)
    else:
        kernel = voxel_kernel(volume.geometry.spacing_mm, medium, density_g_ml)
        result = kernel_dose_gy([(activity_mbq, kernel)], mass_g, chosen)
        document |= {"medium": medium, "kernel_energy_fraction": kernel.energy_fraction}
    write_image(out, Volume(result.astype(np.float32), volume.geometry))
    document |= {"mean_gy": float(result.mean()), "max_gy": float(result.max())}
    if as_json:
        print_json(document)
        return
    typer.echo(
        f"{out}: {method} deposition, {document['total_activity_mbq']:.5g} MBq, mean {document['mean_gy']:.4g} Gy, "
        f"maximum {document['max_gy']:.4g} Gy, constants {chosen.name}"
        + (f", kernel holds {document['kernel_energy_fraction']:.5f} of the energy" if method == "kernel" else "")
    )


def _to_mbq_per_voxel(units: str, voxel_volume_ml: float) -> float:
    """Factor from the image's values to MBq per voxel."""
    from ..errors import InputError

    factors = {
        "bq/ml": 1e-6 * voxel_volume_ml,
        "kbq/ml": 1e-3 * voxel_volume_ml,
        "mbq/ml": voxel_volume_ml,
        "bq": 1e-6,
        "mbq": 1.0,
    }
    try:
        return factors[units.strip().lower()]
    except KeyError:
        raise InputError(
            "--units",
            f'"{units}" is not a unit of activity',
            "Choose Bq/mL, kBq/mL, MBq/mL, or Bq, MBq (per voxel)",
            "units",
        ) from None
