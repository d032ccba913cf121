"""Standard uncertainty of compartment mean doses by propagation, with a budget of sources.

The frame is that of the EANM guidance (Gear et al. 2018, doi:10.1007/s00259-018-4136-7): dose = activity by volume and
calibration, recovery and dose factor, with the covariances of what volume enters twice. Of the paper we could read
the abstract; the equations here are derived from the dose's own definition. A contour that moves outward by δ at a
place adds the activity found there and the mass: dD = (K a / ρ - D) dV / V, less D dR / R where a recovery R that
depends on volume is applied. In that one term the covariances of volume with activity, mass and recovery are whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .blur import sphere_recovery
from .contour_edge import correlated_variance, occupancy
from .image_noise import ImageNoise
from .uncertainty_scene import CompartmentSums, DoseScene, compartment_doses, compartment_occupancy, shares_of

COVERAGE_95 = 1.959964
NOISE, REGISTRATION, RECOVERY = "Counting noise", "Registration", "Recovery"


@dataclass(frozen=True)
class CommonUncertainty:
    """A relative uncertainty that moves all doses of a phase together."""

    source: str
    relative: float


@dataclass(frozen=True)
class Recovery:
    """Correction for blur: true mean = (measured - spill-in) / coefficient.

    Parameters
    ----------
    coefficient : float
        Share of the compartment's own activity that is seen inside it, above 0, at most 1.
    uncertainty : float
        Of the coefficient.
    spill_in_gy : float
        Dose seen in it that belongs to its surroundings.
    volume_slope : float
        d ln coefficient / d ln volume, for the covariance with the contour.
    """

    coefficient: float
    uncertainty: float = 0.0
    spill_in_gy: float = 0.0
    volume_slope: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.coefficient <= 1.05:
            raise InputError(
                "recovery coefficient", f"expected above 0 to 1, got {self.coefficient:g}", "Correct it", "recovery"
            )

    def corrected_gy(self, mean_gy: float) -> float:
        """The mean before blur."""
        return (mean_gy - self.spill_in_gy) / self.coefficient


NO_BLUR = Recovery(1.0)


def sphere_recovery_of(volume_ml: float, fwhm_mm: float, relative: float, surrounding_gy: float) -> Recovery:
    """Recovery of a sphere of this volume in a uniform surrounding, uncertain by that of the resolution.

    Parameters
    ----------
    volume_ml, fwhm_mm : float
    relative : float
        Relative uncertainty of the resolution.
    surrounding_gy : float
        Mean dose around it.
    """
    value = sphere_recovery(volume_ml, fwhm_mm)
    step = max(relative, 0.01)
    wide, narrow = (sphere_recovery(volume_ml, fwhm_mm * (1.0 + change)) for change in (step, -step))
    per_width = (wide - narrow) / (2.0 * step)
    slope = math.log(sphere_recovery(volume_ml * 1.05, fwhm_mm) / sphere_recovery(volume_ml / 1.05, fwhm_mm))
    return Recovery(value, abs(per_width) * relative, (1.0 - value) * surrounding_gy, slope / (2.0 * math.log(1.05)))


@dataclass(frozen=True)
class BudgetLine:
    """One source of uncertainty: its standard uncertainty and its share of the variance."""

    source: str
    uncertainty_gy: float
    share: float


@dataclass(frozen=True)
class DoseUncertainty:
    """Mean dose of a compartment with its standard uncertainty.

    Parameters
    ----------
    mean_gy : float
        As measured, or before blur where a recovery was given.
    uncertainty_gy : float
        One standard deviation.
    lines : tuple of BudgetLine
        Largest first.
    registration_bias_gy : float
        What a misregistration of the given size takes off (or adds) on average; not in the uncertainty.
    """

    mean_gy: float
    uncertainty_gy: float
    lines: tuple[BudgetLine, ...]
    registration_bias_gy: float = 0.0

    @property
    def interval_gy(self) -> tuple[float, float]:
        """95 % interval of a normal distribution, not below 0."""
        half = COVERAGE_95 * self.uncertainty_gy
        return max(0.0, self.mean_gy - half), self.mean_gy + half

    def scaled(self, factor: float) -> DoseUncertainty:
        """The same relative uncertainty on a mean that is ``factor`` times as large."""
        lines = tuple(BudgetLine(line.source, line.uncertainty_gy * factor, line.share) for line in self.lines)
        return DoseUncertainty(
            self.mean_gy * factor, self.uncertainty_gy * factor, lines, self.registration_bias_gy * factor
        )

    @property
    def main_source(self) -> str:
        """The source with the largest share."""
        return self.lines[0].source if self.lines else ""


def budget(mean_gy: float, parts: Mapping[str, float], registration_bias_gy: float = 0.0) -> DoseUncertainty:
    """Independent parts (Gy) as one uncertainty with their shares of the variance, largest first."""
    total = math.sqrt(sum(part * part for part in parts.values()))
    lines = [
        BudgetLine(source, part, part * part / total**2 if total > 0.0 else 0.0)
        for source, part in sorted(parts.items(), key=lambda item: -item[1])
        if part > 0.0
    ]
    return DoseUncertainty(mean_gy, total, tuple(lines), registration_bias_gy)


def propagate(
    scene: DoseScene,
    common: Sequence[CommonUncertainty],
    noise: ImageNoise | None = None,
    registration_mm: float = 0.0,
    recovery: Mapping[str, Recovery] | None = None,
) -> dict[str, DoseUncertainty]:
    """Uncertainty of every compartment's mean dose by first-order propagation (registration to second order).

    Parameters
    ----------
    scene : DoseScene
    common : sequence of CommonUncertainty
        Calibration, activity, lung shunt, decay, dose constant, energy transport, density.
    noise : ImageNoise, optional
        In the unit of the scene's values.
    registration_mm : float
        Standard deviation of the image's shift along each axis.
    recovery : mapping of str to Recovery, optional
        Compartments that are corrected for blur; the others stay as measured.
    """
    recovery = recovery or {}
    filled = scene.occupancies()
    sums = compartment_doses(scene, filled, scene.value_per_ml)
    parts: dict[str, dict[str, float]] = {}
    for name, figures in sums.items():
        blur = recovery.get(name, NO_BLUR)
        corrected = blur.corrected_gy(figures.mean_gy)
        parts[name] = {entry.source: entry.relative * abs(corrected) for entry in common}
        if blur.uncertainty > 0.0:
            parts[name][RECOVERY] = abs(_recovery_slope(blur, figures.mean_gy)) * blur.uncertainty
    _add_contours(scene, filled, sums, recovery, parts)
    if noise is not None and noise.variance_per_signal > 0.0:
        _add_noise(scene, filled, sums, noise, recovery, parts)
    bias = dict.fromkeys(sums, 0.0)
    if registration_mm > 0.0:
        bias = _add_registration(scene, filled, sums, registration_mm, recovery, parts)
    return {
        name: budget(recovery.get(name, NO_BLUR).corrected_gy(figures.mean_gy), parts[name], bias[name])
        for name, figures in sums.items()
    }


def _recovery_slope(blur: Recovery, mean_gy: float) -> float:
    """d corrected / d coefficient. For a spill-in of (1 - R) B it holds B's part too: -(corrected - B) / R."""
    corrected = blur.corrected_gy(mean_gy)
    surrounding = blur.spill_in_gy / (1.0 - blur.coefficient) if blur.coefficient < 0.999 else 0.0
    return -(corrected - surrounding) / blur.coefficient


def _add_contours(
    scene: DoseScene,
    filled: Mapping[str, np.ndarray],
    sums: Mapping[str, CompartmentSums],
    recovery: Mapping[str, Recovery],
    parts: dict[str, dict[str, float]],
) -> None:
    """Variance by each contour's edge, summed over contours and by source."""
    totals = shares_of(scene, filled, scene.value_per_ml)
    variance: dict[str, dict[str, float]] = {name: {} for name in sums}
    for moved, edges in scene.edges.items():
        if not edges or moved not in scene.signed_mm:
            continue
        for name, weights in _edge_weights(scene, filled, sums, totals, moved, recovery).items():
            for edge in edges:
                part = edge.sd_mm**2 * correlated_variance(weights, edge.correlation_mm, scene.spacing_mm)
                variance[name][edge.source] = variance[name].get(edge.source, 0.0) + part
    for name, by_source in variance.items():
        parts[name] |= {source: math.sqrt(value) for source, value in by_source.items()}


def _edge_weights(
    scene: DoseScene,
    filled: Mapping[str, np.ndarray],
    sums: Mapping[str, CompartmentSums],
    totals: tuple[float, ...],
    moved: str,
    recovery: Mapping[str, Recovery],
) -> dict[str, np.ndarray]:
    """Gy per mm of outward displacement at every voxel of one contour's edge, for each compartment it moves."""
    # A step as large as the standard deviation: edges that share voxels with others are bent.
    step = max(0.25 * float(np.mean(scene.spacing_mm)), *(edge.sd_mm for edge in scene.edges[moved]))
    near = np.abs(scene.signed_mm[moved]) < 0.5 * float(np.mean(scene.spacing_mm)) + step
    box = _box(near)
    inner = {name: array[box] for name, array in filled.items()}
    signed, value = scene.signed_mm[moved][box], scene.value_per_ml[box]
    out = {**inner, moved: occupancy(signed, scene.spacing_mm, step)}
    back = {**inner, moved: occupancy(signed, scene.spacing_mm, -step)}
    edge_of_contour = (out[moved] - back[moved]) / (2.0 * step)
    factor = scene.gy_g_per_mbq / scene.density_g_ml
    is_territory = [share.territory == moved for share in scene.shares]
    found = {}
    for compartment in scene.compartments:
        uses = {*compartment.any_of, *compartment.also_any_of, *compartment.none_of}
        if compartment.name not in sums or not (moved in uses or any(is_territory)):
            continue
        figures = sums[compartment.name]
        after, before = compartment_occupancy(compartment, out), compartment_occupancy(compartment, back)
        change = (after - before) / (2.0 * step)
        if scene.shares:
            activity = np.zeros(change.shape)
            for share, counts, total, own in zip(scene.shares, figures.counts, totals, is_territory, strict=True):
                held = np.minimum(after, out[share.territory]) - np.minimum(before, back[share.territory])
                activity += share.liver_mbq / total * value * held / (2.0 * step)
                if own:
                    activity -= share.liver_mbq * counts / total**2 * value * edge_of_contour
        else:
            activity = value * change
        blur = recovery.get(compartment.name, NO_BLUR)
        corrected = blur.corrected_gy(figures.mean_gy)
        per_ml = (factor * activity - figures.mean_gy * change) / blur.coefficient
        if blur.volume_slope:
            per_ml = per_ml + _recovery_slope(blur, figures.mean_gy) * blur.coefficient * blur.volume_slope * change
        if corrected != 0.0 and np.any(per_ml):
            found[compartment.name] = per_ml * (scene.voxel_ml / figures.volume_ml)
    return found


def _box(filled: np.ndarray) -> tuple[slice, ...]:
    """Smallest box with all true voxels."""
    used = [np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return tuple(slice(part[0], part[-1] + 1) if part.size else slice(0, 1) for part in used)


def _add_noise(
    scene: DoseScene,
    filled: Mapping[str, np.ndarray],
    sums: Mapping[str, CompartmentSums],
    noise: ImageNoise,
    recovery: Mapping[str, Recovery],
    parts: dict[str, dict[str, float]],
) -> None:
    """Noise of a compartment's sum, with the part it shares with its territory's sum."""
    sd = np.sqrt(noise.variance_per_signal * np.maximum(scene.value_per_ml, 0.0))
    totals = shares_of(scene, filled, scene.value_per_ml)
    factor = scene.gy_g_per_mbq / scene.density_g_ml
    for compartment in scene.compartments:
        if compartment.name not in sums:
            continue
        figures = sums[compartment.name]
        inside = compartment_occupancy(compartment, filled)
        if scene.shares:
            weights = np.zeros(inside.shape)
            for share, counts, total in zip(scene.shares, figures.counts, totals, strict=True):
                territory = filled[share.territory]
                weights += share.liver_mbq / total * (np.minimum(inside, territory) - counts / total * territory)
        else:
            weights = inside
        scaled = weights * sd * (factor * scene.voxel_ml / figures.volume_ml)
        value = correlated_variance(scaled, noise.correlation_mm, scene.spacing_mm)
        parts[compartment.name][NOISE] = math.sqrt(value) / recovery.get(compartment.name, NO_BLUR).coefficient


def _add_registration(
    scene: DoseScene,
    filled: Mapping[str, np.ndarray],
    sums: Mapping[str, CompartmentSums],
    registration_mm: float,
    recovery: Mapping[str, Recovery],
    parts: dict[str, dict[str, float]],
) -> dict[str, float]:
    """Shift of the image: slope along each axis, and a loss that grows with distance and levels off.

    The slopes' spread is that of a straight line. The even part, which no slope shows (a hot lesion loses whichever
    way the image is off), is taken as α r² / (1 + β r²) through the mean loss at the six neighbors along the axes and
    at the eight corners; r² of a normal shift is χ² with three degrees of freedom.
    """
    steps = [max(1, round(registration_mm / edge)) for edge in scene.spacing_mm]
    value = scene.value_per_ml
    along = [
        [compartment_doses(scene, filled, _shifted(value, sign * n, axis)) for sign in (-1, 1)]
        for axis, n in enumerate(steps)
    ]
    corners = []
    for signs in np.ndindex(2, 2, 2):
        moved = value
        for axis, sign in enumerate(signs):
            moved = _shifted(moved, (2 * sign - 1) * steps[axis], axis)
        corners.append(compartment_doses(scene, filled, moved))
    distance = np.array(steps) * np.array(scene.spacing_mm)
    bias = {}
    for name, figures in sums.items():
        pairs = np.array([[entry[name].mean_gy for entry in pair] for pair in along])
        slope = (pairs[:, 1] - pairs[:, 0]) / (2.0 * distance)
        near = float(np.mean(figures.mean_gy - pairs.mean(axis=1)))
        far = figures.mean_gy - float(np.mean([entry[name].mean_gy for entry in corners]))
        mean, spread = _levelling_loss(float(np.mean(distance**2)), near, far, registration_mm)
        # The image is looked at where it lies, off by one such shift already: on a parabola that alone shows a slope
        # of its bend times the shift. What is left is the slope of a well-placed image.
        bend = (pairs.sum(axis=1) - 2.0 * figures.mean_gy) / distance**2
        own = max(0.0, float(np.sum(slope**2 - (registration_mm * bend) ** 2)))
        variance = registration_mm**2 * own + spread**2
        coefficient = recovery.get(name, NO_BLUR).coefficient
        parts[name][REGISTRATION] = math.sqrt(variance) / coefficient
        bias[name] = -mean / coefficient
    return bias


def _levelling_loss(squared_mm2: float, near: float, far: float, sd_mm: float) -> tuple[float, float]:
    """Mean and standard deviation of α q / (1 + β q), q = sd² χ²(3), through (q, near) and (3 q, far)."""
    from scipy.special import gammaincinv

    q = 2.0 * sd_mm**2 * gammaincinv(1.5, (np.arange(400) + 0.5) / 400.0)
    if near * far > 0.0:
        per_near, per_far = squared_mm2 / near, 3.0 * squared_mm2 / far
        bend = (per_far - per_near) / (2.0 * squared_mm2)
        offset = per_near - squared_mm2 * bend
        # Only a loss that levels off: one that grows faster than a parabola is taken as a parabola.
        if offset * near > 0.0 and bend * near > 0.0:
            loss = q / (offset + bend * q)
            return float(loss.mean()), float(loss.std())
    loss = q * far / (3.0 * squared_mm2)
    return float(loss.mean()), float(loss.std())


def _shifted(array: np.ndarray, steps: int, axis: int) -> np.ndarray:
    """Moved by whole voxels; what comes in is the border."""
    index = np.clip(np.arange(array.shape[axis]) - steps, 0, array.shape[axis] - 1)
    return np.take(array, index, axis=axis)
