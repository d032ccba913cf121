"""Uncertainty of a mean dose from its volume alone, where no image is at hand: for plans, comparisons and studies."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from .blur import sphere_diameter_mm
from .uncertainty import DoseUncertainty, budget
from .uncertainty_inputs import DEFAULT_SOURCES, InputUncertainties, drawn_edges

RELATIVE, PET, SPECT = "relative", "pet", "spect"
# What moves a predicted and a measured dose of the same contours alike.
SHARED_SOURCES = (
    *(DEFAULT_SOURCES[name][1] for name in ("dose_constant", "kernel", "density", "contour_mm")),
    "Voxel size",
    "Resolution of the drawn image",
)


def sphere_volume_uncertainty(
    volume_ml: float, inputs: InputUncertainties, voxel_mm: float = 1.0, drawn_on_fwhm_mm: float = 1.0
) -> dict[str, float]:
    """Relative uncertainty of a sphere's volume by source: 3 sd / radius, less where errors along the edge average out.

    For errors with correlation exp(-r² / 2 L²) along a sphere of radius R the mean displacement has the variance
    sd² (1 - exp(-2 R² / L²)) L² / 2 R²: all of sd² for L far above R.

    Parameters
    ----------
    volume_ml : float
    inputs : InputUncertainties
    voxel_mm, drawn_on_fwhm_mm : float
        Of the contour's voxels and of the image it was drawn on.
    """
    radius = 0.5 * sphere_diameter_mm(volume_ml)
    found = {}
    for edge in drawn_edges(inputs, voxel_mm, drawn_on_fwhm_mm):
        averaged = 1.0
        if math.isfinite(edge.correlation_mm):
            # Mean over the sphere of exp(-chord² / 2 L²), chord² uniform from 0 to 4 R².
            squared = 2.0 * (radius / edge.correlation_mm) ** 2
            averaged = -math.expm1(-squared) / squared
        found[edge.source] = 3.0 * edge.sd_mm * math.sqrt(averaged) / radius
    return found


def mean_dose_uncertainty(
    mean_gy: float,
    volume_ml: float,
    inputs: InputUncertainties | None = None,
    *,
    calibration: str = RELATIVE,
    lung_shunt_fraction: float = 0.0,
    contrast: float = math.inf,
    half_life_h: float = 64.2,
) -> DoseUncertainty:
    """Standard uncertainty of a mean dose and its main source, without an image.

    The compartment is taken as a sphere whose edge lies half way between its own and its surroundings' concentration:
    dD / D = -(1 - 1 / contrast) / 2 dV / V. Counting noise and registration, which only an image tells, are not in it.

    Parameters
    ----------
    mean_gy, volume_ml : float
    inputs : InputUncertainties, optional
        The named defaults where not given.
    calibration : str
        ``"relative"`` (from the vial), ``"pet"`` or ``"spect"`` (absolute).
    lung_shunt_fraction : float
        For relative calibration.
    contrast : float
        Concentration against its surroundings; 1 leaves the contour out, infinite is a lesion in nothing.
    half_life_h : float
        For decay times of absolute images.
    """
    inputs = inputs or InputUncertainties()
    parts = {name: getattr(inputs, name) for name in ("dose_constant", "kernel", "density")}
    if calibration == RELATIVE:
        parts["dose_calibrator"] = inputs.dose_calibrator
        parts["lung_shunt"] = inputs.lung_shunt * lung_shunt_fraction / (1.0 - lung_shunt_fraction)
    else:
        name = f"{calibration}_calibration"
        parts[name] = getattr(inputs, name)
        parts["time_min"] = math.log(2.0) / half_life_h * inputs.time_min / 60.0
    found = {DEFAULT_SOURCES[name][1]: value * mean_gy for name, value in parts.items()}
    follows = 0.5 * abs(1.0 - 1.0 / contrast)
    for source, relative in sphere_volume_uncertainty(volume_ml, inputs).items():
        found[source] = follows * relative * mean_gy
    return budget(mean_gy, found)


def ratio_uncertainty(
    first: DoseUncertainty, second: DoseUncertainty, shared: Collection[str] = SHARED_SOURCES
) -> float:
    """Relative uncertainty of second / first: shared sources count by what they do differently, others in squares."""
    relative: list[Mapping[str, float]] = [
        {line.source: line.uncertainty_gy / abs(one.mean_gy) for line in one.lines} for one in (first, second)
    ]
    total = 0.0
    for source in {*relative[0], *relative[1]}:
        a, b = relative[0].get(source, 0.0), relative[1].get(source, 0.0)
        total += (a - b) ** 2 if source in shared else a * a + b * b
    return math.sqrt(total)


def difference_uncertainty_gy(
    first: DoseUncertainty, second: DoseUncertainty, shared: Collection[str] = SHARED_SOURCES
) -> float:
    """Standard uncertainty of second - first in Gy, shared sources moving both the same way."""
    gy: list[Mapping[str, float]] = [
        {line.source: line.uncertainty_gy for line in one.lines} for one in (first, second)
    ]
    total = 0.0
    for source in {*gy[0], *gy[1]}:
        a, b = gy[0].get(source, 0.0), gy[1].get(source, 0.0)
        total += (a - b) ** 2 if source in shared else a * a + b * b
    return math.sqrt(total)
