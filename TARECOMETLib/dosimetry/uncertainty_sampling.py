"""Uncertainty by sampling: every source drawn anew, doses computed again; the check of the propagation."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .contour_edge import occupancy, random_field
from .image_noise import ImageNoise
from .uncertainty import NO_BLUR, CommonUncertainty, Recovery
from .uncertainty_scene import DoseScene, compartment_doses, compartment_occupancy

FEWEST_SAMPLES = 20
FEWEST_BAND_VOXELS = 50
BAND_PERCENT = tuple(range(1, 100))


@dataclass(frozen=True, eq=False)
class SampledDose:
    """Draws of one compartment's mean dose.

    Parameters
    ----------
    mean_gy : ndarray of shape (n,)
    volume_ml : ndarray of shape (n,)
    band_gy : ndarray of shape (3, 99) or None
        2.5, 50 and 97.5 % points of the doses that 1 to 99 % of the volume receive; None where there are too few
        voxels for one.
    """

    mean_gy: np.ndarray
    volume_ml: np.ndarray
    band_gy: np.ndarray | None

    @property
    def uncertainty_gy(self) -> float:
        """Standard deviation of the draws."""
        return float(np.std(self.mean_gy, ddof=1))

    @property
    def interval_gy(self) -> tuple[float, float]:
        """2.5 and 97.5 % points."""
        low, high = np.percentile(self.mean_gy, (2.5, 97.5))
        return float(low), float(high)


def require_band_voxels(count: float, where: str) -> None:
    """Refuse a DVH band of a compartment with too few voxels.

    Raises
    ------
    InputError
        Below 50 voxels.
    """
    if count < FEWEST_BAND_VOXELS:
        raise InputError(
            where,
            f"it holds {count:.0f} dose voxels, and a band of its histogram needs {FEWEST_BAND_VOXELS}",
            "Compute on a finer dose grid, or use its mean dose alone",
            "too-few-voxels",
        )


def require_samples(count: int) -> None:
    """Refuse fewer draws than a standard deviation means anything for.

    Raises
    ------
    InputError
        Below 20.
    """
    if count < FEWEST_SAMPLES:
        raise InputError("samples", f"expected at least {FEWEST_SAMPLES}, got {count}", "Ask for more")


def sample(
    scene: DoseScene,
    common: Sequence[CommonUncertainty],
    noise: ImageNoise | None,
    registration_mm: float,
    rng: np.random.Generator,
    count: int = 200,
    recovery: Mapping[str, Recovery] | None = None,
    *,
    bands: bool = True,
) -> Generator[tuple[float, str], None, dict[str, SampledDose]]:
    """Draw doses; a generator of (share done, what) whose value is SampledDose by compartment.

    Common factors are drawn from normal distributions, contours from fields along their edge, the registration as a
    shift, noise with the correlation that was found in the image. The same generator's seed gives the same draws.

    Raises
    ------
    InputError
        Where fewer than 20 draws are asked for.
    """
    from scipy.ndimage import shift, spline_filter

    require_samples(count)
    recovery = recovery or {}
    coefficients = spline_filter(scene.value_per_ml.astype(np.float64), order=3, mode="nearest")
    start_filled = scene.occupancies()
    start = compartment_doses(scene, start_filled, scene.value_per_ml)
    means: dict[str, list[float]] = {name: [] for name in start}
    volumes: dict[str, list[float]] = {name: [] for name in start}
    curves: dict[str, list[np.ndarray]] = {
        name: [] for name, entry in start.items() if bands and entry.volume_ml >= FEWEST_BAND_VOXELS * scene.voxel_ml
    }
    shape = scene.value_per_ml.shape
    boxes = {
        name: _edge_box(scene.signed_mm[name], scene.spacing_mm, math.hypot(*(edge.sd_mm for edge in edges)))
        for name, edges in scene.edges.items()
        if edges and name in scene.signed_mm
    }
    for number in range(count):
        words = f"sample {number + 1} of {count}"
        yield number / count, words
        factor = float(np.prod([1.0 + entry.relative * rng.standard_normal() for entry in common]))
        widths = {name: rng.standard_normal() for name in sorted(recovery)}
        filled = dict(start_filled)
        for name, box in boxes.items():
            yield (number + 0.1) / count, words
            signed = scene.signed_mm[name][box]
            outward = sum(
                edge.sd_mm * random_field(rng, signed.shape, edge.correlation_mm, scene.spacing_mm)
                for edge in scene.edges[name]
            )
            filled[name] = start_filled[name].copy()
            filled[name][box] = occupancy(signed, scene.spacing_mm, outward)
        value = scene.value_per_ml
        if registration_mm > 0.0:
            move = registration_mm * rng.standard_normal(3) / np.asarray(scene.spacing_mm)
            value = shift(coefficients, move, order=3, mode="nearest", prefilter=False)
        yield (number + 0.3) / count, words
        if noise is not None and noise.variance_per_signal > 0.0:
            field = random_field(rng, shape, noise.correlation_mm, scene.spacing_mm)
            value = value + np.sqrt(noise.variance_per_signal * np.maximum(value, 0.0)) * field
        yield (number + 0.6) / count, words
        for name, entry in compartment_doses(scene, filled, value).items():
            blur = recovery.get(name, NO_BLUR)
            coefficient = blur.coefficient + blur.uncertainty * widths.get(name, 0.0)
            coefficient *= (entry.volume_ml / start[name].volume_ml) ** blur.volume_slope
            # Spill-in is (1 - coefficient) of a surrounding that stays as it is.
            spill = blur.spill_in_gy
            if blur.coefficient < 0.999:
                spill *= (1.0 - coefficient) / (1.0 - blur.coefficient)
            means[name].append(factor * (entry.mean_gy - spill) / coefficient)
            volumes[name].append(entry.volume_ml)
        dose = _dose_map(scene, filled, value) if curves else value
        for name, drawn in curves.items():
            yield (number + 0.8) / count, words
            drawn.append(factor * _dose_to_volume(scene, name, filled, dose))
    return {
        name: SampledDose(
            np.array(means[name]),
            np.array(volumes[name]),
            np.percentile(np.array(curves[name]), (2.5, 50.0, 97.5), axis=0) if curves.get(name) else None,
        )
        for name in start
    }


def _edge_box(
    signed_mm: np.ndarray, spacing_mm: tuple[float, float, float], sd_mm: float
) -> tuple[slice, slice, slice]:
    """The part of the scene that an edge can reach: four standard deviations and a voxel outside the contour."""
    reach = 4.0 * sd_mm + float(np.mean(spacing_mm))
    box = []
    for axis in range(3):
        near = np.flatnonzero((signed_mm < reach).any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(int(near[0]), int(near[-1]) + 1))
    return box[0], box[1], box[2]


def _dose_map(scene: DoseScene, filled: Mapping[str, np.ndarray], value: np.ndarray) -> np.ndarray:
    """Local dose of every voxel, in Gy."""
    dose = value * (scene.gy_g_per_mbq / scene.density_g_ml)
    if not scene.shares:
        return dose
    gain = np.zeros(value.shape)
    for share in scene.shares:
        territory = filled[share.territory]
        gain += share.liver_mbq / (float(np.sum(value * territory, dtype=np.float64)) * scene.voxel_ml) * territory
    return dose * gain


def _dose_to_volume(scene: DoseScene, name: str, filled: Mapping[str, np.ndarray], dose: np.ndarray) -> np.ndarray:
    """Dose that 1 to 99 % of a compartment receive, from its voxels."""
    compartment = next(c for c in scene.compartments if c.name == name)
    inside = compartment_occupancy(compartment, filled)
    chosen = inside > 0.0
    held, weight = dose[chosen], inside[chosen]
    order = np.argsort(held)[::-1]
    cumulative = np.cumsum(weight[order], dtype=np.float64)
    place = np.searchsorted(cumulative, np.array(BAND_PERCENT) / 100.0 * cumulative[-1])
    return held[order][np.minimum(place, held.size - 1)]
