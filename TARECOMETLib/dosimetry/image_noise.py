"""Counting noise of an emission image, estimated from the image itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .blur import FWHM_PER_SIGMA

FEWEST_VOXELS = 100
_LAGS = (1, 2, 3)
# Noise is correlated from not at all to a little beyond the resolution (filters); uptake, blurred by it too, farther.
_NOISE_SHARES = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3)
_UPTAKE_SHARES = (2.2, 2.8, 3.6, 5.0)


@dataclass(frozen=True)
class ImageNoise:
    """Noise whose variance is in proportion to the signal.

    Parameters
    ----------
    variance_per_signal : float
        Variance of a voxel divided by its expected value, in the image's unit.
    correlation_mm : float
        Length in exp(-r² / 2 length²); that of one voxel's volume where voxels are independent.
    """

    variance_per_signal: float
    correlation_mm: float


def estimate_noise(
    image: np.ndarray, inside: np.ndarray, spacing_mm: tuple[float, float, float], fwhm_mm: float
) -> ImageNoise:
    """Noise from second differences between neighbors inside a region.

    Var(x[-d] - 2 x[0] + x[d]) = 6 - 8 ρ(d) + 2 ρ(2 d) times a variance, for noise and for uptake. Three lags along
    three axes part the two: uptake was blurred by the scanner and changes slowly, noise reaches little farther than the
    resolution. The median of absolute values is not moved by edges of lesions.

    Parameters
    ----------
    image : ndarray of shape (k, j, i)
        On the scanner's own grid, any unit.
    inside : ndarray of bool
        The perfused liver, for instance.
    spacing_mm : tuple of float
        Along k, j, i.
    fwhm_mm : float
        Resolution.

    Raises
    ------
    InputError
        Where the region has too few voxels, or no signal.
    """
    values = image.astype(np.float64)
    level = float(values[inside].mean()) if inside.any() else 0.0
    spacing = np.asarray(spacing_mm)
    lags, axes, found = [], [], []
    fewest = 0
    for lag in _LAGS:
        for axis in range(3):
            part = _second_difference(values, inside, axis, lag, level)
            if lag == 1:
                fewest = len(part) if axis == 0 else min(fewest, len(part))
            if len(part) >= FEWEST_VOXELS:
                lags.append(lag * spacing[axis])
                axes.append(axis)
                # 1.4826: standard deviation of a normal distribution by its median absolute value.
                found.append((1.4826 * float(np.median(np.abs(part)))) ** 2)
    if fewest < FEWEST_VOXELS or level <= 0.0:
        raise InputError(
            "image noise",
            f"the region holds {fewest} usable voxels with a mean of {level:g}",
            f"Use a region of at least {FEWEST_VOXELS} voxels with activity",
            "noise-region",
        )
    resolution_mm = fwhm_mm / FWHM_PER_SIGMA
    # Noise may reach equally far in mm, or over as many voxels along each axis.
    candidates = [
        _parted(np.array(lags), np.array(found), resolution_mm, stretch[axes], stretch)
        for stretch in (np.ones(3), spacing / float(np.prod(spacing)) ** (1.0 / 3.0))
    ]
    _, size, sigma_mm = min(candidates, key=lambda candidate: candidate[0])
    # Volume over which it is correlated, Π sqrt(4 π) σ, not below a voxel's along any axis.
    reach = np.maximum(spacing, np.sqrt(4.0 * np.pi) * sigma_mm)
    return ImageNoise(size, float(np.prod(reach) ** (1.0 / 3.0) / np.sqrt(2.0 * np.pi)))


def _parted(
    lag_mm: np.ndarray, found: np.ndarray, resolution_mm: float, stretch: np.ndarray, stretch_kji: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """Misfit, variance, and correlation along each axis, of the noise that comes nearest, with uptake beside it."""
    from scipy.optimize import nnls

    best, size, sigma_mm = np.inf, 0.0, np.zeros(3)
    if not np.all(found > 0.0):
        return best, size, sigma_mm
    for share in _NOISE_SHARES:
        of_noise = _gain(lag_mm / stretch, share * resolution_mm)
        for wide in _UPTAKE_SHARES:
            columns = np.stack([of_noise, _gain(lag_mm, wide * resolution_mm)], axis=1) / found[:, None]
            amounts, miss = nnls(columns, np.ones(len(found)))
            if miss < best:
                best, size, sigma_mm = miss, float(amounts[0]), share * resolution_mm * stretch_kji
    return best, size, sigma_mm


def _gain(lag_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    if sigma_mm < 1.0e-6:
        return np.full(np.shape(lag_mm), 6.0)
    near = np.exp(-(lag_mm**2) / (4.0 * sigma_mm**2))
    return np.maximum(6.0 - 8.0 * near + 2.0 * near**4, 1.0e-6)


def _second_difference(values: np.ndarray, inside: np.ndarray, axis: int, lag: int, level: float) -> np.ndarray:
    """(x[-lag] - 2 x[0] + x[lag]) / sqrt(local mean) where all five neighbors on the way lie inside."""
    count = values.shape[axis] - 2 * lag
    if count <= 0:
        return np.zeros(0)

    def part(array: np.ndarray, start: int) -> np.ndarray:
        return np.take(array, np.arange(start, start + count), axis=axis)

    low, mid, high = part(values, 0), part(values, lag), part(values, 2 * lag)
    keep = part(inside, 0) & part(inside, lag) & part(inside, 2 * lag)
    mean = (low + mid + high) / 3.0
    keep &= mean > 0.05 * level
    return (low - 2.0 * mid + high)[keep] / np.sqrt(mean[keep])
