"""``tarecomet kernel``: voxel S values for any voxel size and medium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .output import print_json, print_table

_SHOWN = 12


def kernel(
    spacing_mm: tuple[float, float, float] = typer.Option(..., "--spacing-mm", help="Voxel edges along x, y, z in mm."),
    medium: str = typer.Option("water", "--medium", help="water, soft-tissue or lung."),
    density_g_ml: float | None = typer.Option(None, "--density-g-ml", help="Density in g/mL; the medium's by default."),
    cutoff_mm_g_ml: float | None = typer.Option(
        None, "--cutoff-mm-g-ml", help="Mass radius beyond which energy is left off, mm g/mL; 25 by default."
    ),
    out: Path | None = typer.Option(None, "--out", help="Write the whole kernel in mGy/(MBq s) as an image."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Voxel kernel (voxel S values) of 90Y by quadrature of the dose point kernel."""
    from ..physics.point_kernel import KERNEL_MEAN_ENERGY_MEV
    from ..physics.voxel_kernel import DEFAULT_CUTOFF_MM_G_ML, voxel_kernel

    cutoff = DEFAULT_CUTOFF_MM_G_ML if cutoff_mm_g_ml is None else cutoff_mm_g_ml
    result = voxel_kernel(spacing_mm, medium, density_g_ml, cutoff)
    values = result.s_value_mgy_per_mbq_s()
    errors = result.s_value_mgy_per_mbq_s(result.octant_error)
    if out is not None:
        _write(out, result)
    document: dict[str, Any] = {
        "nuclide": "Y-90",
        "spacing_mm": list(result.spacing_mm),
        "medium": result.medium,
        "density_g_ml": result.density_g_ml,
        "cutoff_mm_g_ml": cutoff,
        "mean_energy_mev": KERNEL_MEAN_ENERGY_MEV,
        "energy_fraction": result.energy_fraction,
        "error_estimate_unit": "mGy/(MBq s)",
    }
    if out is not None:
        document["out"] = str(out)
    if as_json:
        k, j, i = values.shape
        document["s_values"] = [
            {"i": x, "j": y, "k": z, "mgy_per_mbq_s": float(values[z, y, x]), "error_estimate": float(errors[z, y, x])}
            for x in range(i)
            for y in range(j)
            for z in range(k)
        ]
        print_json(document)
        return
    order = sorted(
        (float(-values[z, y, x]), x, y, z)
        for z in range(min(4, values.shape[0]))
        for y in range(min(4, values.shape[1]))
        for x in range(min(4, values.shape[2]))
    )
    rows = [[f"{x} {y} {z}", f"{-value:.5g}", f"{errors[z, y, x]:.1e}"] for value, x, y, z in order[:_SHOWN]]
    spacing = " x ".join(f"{s:g}" for s in result.spacing_mm)
    print_table(
        f"90Y voxel S values, {spacing} mm, {result.medium} {result.density_g_ml:g} g/mL, "
        f"energy fraction {result.energy_fraction:.5f}",
        ["offset i j k", "mGy/(MBq s)", "error"],
        rows,
    )
    if out is not None:
        typer.echo(f"whole kernel: {out}")


def _write(out: Path, result: Any) -> None:
    """The whole kernel, source voxel in the middle at the origin."""
    import numpy as np

    from ..imaging.geometry import VolumeGeometry
    from ..imaging.image_files import write_image
    from ..imaging.volume import Volume

    octant = result.s_value_mgy_per_mbq_s(result.full()).astype(np.float32)
    half = np.array(result.half_width_kji[::-1]) * np.array(result.spacing_mm)
    origin = (float(-half[0]), float(-half[1]), float(-half[2]))
    geometry = VolumeGeometry.from_components(octant.shape, spacing_mm=result.spacing_mm, origin_lps_mm=origin)
    write_image(out, Volume(octant, geometry))
