"""``tarecomet bench``: speed against named peers, as ratios measured in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import typer

from .output import print_json, print_table

_GRIDS = {
    "128 x 128 x 128 of 3 mm": ((128, 128, 128), (3.0, 3.0, 3.0)),
    "PET 192 x 192 x 71 of 4.07 x 4.07 x 3 mm": ((71, 192, 192), (4.07, 4.07, 3.0)),
}
_REPEATS = 7


def bench(
    direct: bool = typer.Option(True, "--direct/--no-direct", help="Direct convolution too (minutes)."),
    gamma: bool = typer.Option(True, "--gamma/--no-gamma", help="Gamma index too (minutes)."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Kernel convolution, DVH and gamma against what else could be used; float32, all cores, best of several runs."""
    rows: list[dict[str, Any]] = []
    for grid, (shape, spacing) in _GRIDS.items():
        rows += _convolution(grid, shape, spacing, direct)
    rows += _histogram()
    rows += _live()
    if gamma:
        rows += _gamma()
    if as_json:
        print_json({"rows": rows})
        return
    print_table(
        "peer over ours: above 1 we are ahead",
        ["task", "peer", "ours ms", "peer ms", "ratio"],
        [[r["task"], r["peer"], f"{r['ours_ms']:.1f}", f"{r['peer_ms']:.1f}", f"{r['ratio']:.2f}"] for r in rows],
    )


def _best_ms(work: Callable[[], Any], repeats: int = _REPEATS) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000.0 * min(times)


def _row(task: str, peer: str, ours_ms: float, peer_ms: float) -> dict[str, Any]:
    return {"task": task, "peer": peer, "ours_ms": ours_ms, "peer_ms": peer_ms, "ratio": peer_ms / ours_ms}


def _convolution(grid: str, shape: tuple[int, int, int], spacing: tuple[float, float, float], direct: bool) -> list:
    import os

    import numpy as np
    from scipy import fft, ndimage, signal

    from ..dosimetry.dose import convolve
    from ..physics.voxel_kernel import voxel_kernel

    kernel = voxel_kernel(spacing)
    full = kernel.full().astype(np.float32)
    activity = np.random.default_rng(1).random(shape, dtype=np.float32)
    workers = os.cpu_count()
    padded = [fft.next_fast_len(n + h, real=True) for n, h in zip(shape, kernel.half_width_kji, strict=True)]
    empty = np.zeros(padded, dtype=np.float32)

    def bare() -> None:
        fft.irfftn(fft.rfftn(empty, workers=workers), s=padded, workers=workers)

    task = f"convolution, {grid}"
    convolve(activity, kernel)
    ours = _best_ms(lambda: convolve(activity, kernel))
    rows = [
        _row(task, "two bare real FFTs of the padded grid", ours, _best_ms(bare)),
        _row(task, "scipy.signal.fftconvolve", ours, _best_ms(lambda: signal.fftconvolve(activity, full, "same"), 3)),
        _row(task, "SimpleITK FFTConvolution", ours, _simpleitk(activity, full)),
    ]
    if direct:
        once = _best_ms(lambda: ndimage.convolve(activity, full, mode="constant"), 1)
        rows.append(_row(task, "scipy.ndimage.convolve (direct)", ours, once))
        rows += [_row(task, "torch conv3d (direct)", ours, ms) for ms in _torch(activity, full)]
    return rows


def _simpleitk(activity: Any, full: Any) -> float:
    import SimpleITK as sitk

    image, kernel = sitk.GetImageFromArray(activity), sitk.GetImageFromArray(full)
    return _best_ms(lambda: sitk.FFTConvolution(image, kernel, False, sitk.FFTConvolutionImageFilter.ZERO_PAD), 3)


def _torch(activity: Any, full: Any) -> list[float]:
    """One timing where torch is installed, none where it is not."""
    try:
        import torch
    except ImportError:
        return []
    data, weight = torch.from_numpy(activity)[None, None], torch.from_numpy(full.copy())[None, None]
    padding = tuple(n // 2 for n in full.shape)
    with torch.no_grad():
        return [_best_ms(lambda: torch.nn.functional.conv3d(data, weight, padding=padding), 1)]


def _live() -> list[dict[str, Any]]:
    """DVHs that follow the brush; none where slicer-core is not installed."""
    try:
        from ..mrml.live_bench import live_rows
    except ImportError:
        return []
    return live_rows()


def _histogram() -> list[dict[str, Any]]:
    """DVH and its metrics from 200,000 voxel doses: ours without bins, dicompyler-core's with bins of 0.01 Gy."""
    try:
        from dicompylercore.dvh import DVH
    except ImportError:
        return []
    import numpy as np

    from ..dosimetry.dvh import make_dvh

    doses = np.random.default_rng(2).gamma(4.0, 20.0, 200_000)
    volumes = np.full(doses.size, 0.05)

    def ours() -> None:
        histogram = make_dvh(doses, volumes, 1.05)
        _ = [histogram.dose_to_volume_gy(x) for x in (2, 50, 95, 98)], histogram.mean_gy()

    def peer() -> None:
        counts, bins = np.histogram(doses, np.arange(0.0, doses.max() + 0.01, 0.01), weights=volumes)
        histogram = DVH(counts, bins, dvh_type="differential", dose_units="Gy", volume_units="cm3")
        relative = histogram.cumulative.relative_volume
        _ = [relative.dose_constraint(x) for x in (2, 50, 95, 98)], histogram.mean

    return [
        _row("DVH of 200,000 voxels with D2, D50, D95, D98, mean", "dicompyler-core", _best_ms(ours), _best_ms(peer))
    ]


def _gamma() -> list[dict[str, Any]]:
    """Gamma of two dose maps of 128³ voxels: both searches against pymedphys's, with its own interpolation."""
    try:
        import numba  # noqa: F401 - pymedphys's default interpolation needs it
        import pymedphys
    except ImportError:
        return []
    import warnings

    import numpy as np
    from scipy import ndimage

    from ..comparison.gamma import EXACT, SHELLS, GammaCriterion, gamma_index
    from ..imaging.geometry import VolumeGeometry
    from ..imaging.volume import Volume

    shape, spacing_mm = (128, 128, 128), 3.0
    # Smooth uptake, its map a little shifted and stronger, with noise as correlated as a reconstruction's.
    generator = np.random.default_rng(3)
    reference = ndimage.gaussian_filter(generator.normal(size=shape), 6.0)
    reference = 100.0 * (reference - reference.min()) / np.ptp(reference)
    noise = ndimage.gaussian_filter(generator.normal(size=shape), 1.5)
    evaluated = 1.02 * ndimage.shift(reference, (0.4, -0.3, 0.2), order=1, mode="nearest") + 2.0 * noise / noise.std()
    geometry = VolumeGeometry.from_components(shape, spacing_mm=(spacing_mm,) * 3)
    axes = tuple(np.arange(n) * spacing_mm for n in shape)
    corner = (slice(0, 12),) * 3
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        few = tuple(axis[:12] for axis in axes)
        pymedphys.gamma(few, reference[corner], few, evaluated[corner], 3, 3)  # compiles
        for percent, distance_mm in ((3.0, 3.0), (10.0, 5.0)):
            criterion = GammaCriterion(percent, distance_mm, threshold_percent=20.0, maximum=2.0)
            ours_ms = {
                search: _best_ms(
                    lambda s=search, c=criterion: gamma_index(  # type: ignore[misc]
                        Volume(reference, geometry), Volume(evaluated, geometry), c, s
                    ),
                    1,
                )
                for search in (EXACT, SHELLS)
            }
            peer_ms = _best_ms(
                lambda p=percent, d=distance_mm: pymedphys.gamma(  # type: ignore[misc]
                    axes, reference, axes, evaluated, p, d, lower_percent_dose_cutoff=20, max_gamma=2
                ),
                1,
            )
            for search, ms in ours_ms.items():
                rows.append(_row(f"gamma {criterion.name}, {search}, 128³ of 3 mm", "pymedphys", ms, peer_ms))
    return rows
