"""Counting noise of an emission image, estimated from the image itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .blur import FWHM_PER_SIGMA

FEWEST_VOXELS = 100
# Var(x[-1] - 2 x[0] + x[1]) = 6 - 8 ρ(1) + 2 ρ(2) times the noise variance: slow uptake patterns cancel.
_LEVELS = 60


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

    Second differences at one and at two voxels give size and correlation; the median of their absolute values is not
    moved by edges of lesions. Patterns of uptake much wider than the resolution hardly enter.

    Parameters
    ----------
    image : ndarray of shape (k, j, i)
        On the scanner's own grid, any unit.
    inside : ndarray of bool
        The perfused liver, for instance.
    spacing_mm : tuple of float
        Along k, j, i.
    fwhm_mm : float
        Resolution: noise of a reconstructed image is not correlated farther.

    Raises
    ------
    InputError
        Where the region has too few voxels, or no signal.
    """
    values = image.astype(np.float64)
    level = float(values[inside].mean()) if inside.any() else 0.0
    figures = []
    for lag in (1, 2):
        per_axis = [_second_difference(values, inside, axis, lag, level) for axis in range(3)]
        figures.append(per_axis)
    if min(len(part) for part in figures[0]) < FEWEST_VOXELS or level <= 0.0:
        raise InputError(
            "image noise",
            f"the region holds {min(len(part) for part in figures[0])} usable voxels with a mean of {level:g}",
            f"Use a region of at least {FEWEST_VOXELS} voxels with activity",
            "noise-region",
        )
    # 1.4826: standard deviation of a normal distribution by its median absolute value.
    first = np.array([(1.4826 * np.median(np.abs(part))) ** 2 for part in figures[0]])
    usable = np.array([len(part) >= FEWEST_VOXELS for part in figures[1]])
    second = np.array(
        [(1.4826 * np.median(np.abs(part))) ** 2 if ok else np.nan for part, ok in zip(figures[1], usable, strict=True)]
    )
    spacing = np.asarray(spacing_mm)
    best, sigma_mm = np.inf, 0.0
    for candidate in np.linspace(0.0, fwhm_mm / FWHM_PER_SIGMA, _LEVELS) if usable.any() else (0.0,):
        expected = _gain(2.0 * spacing, candidate) / _gain(spacing, candidate)
        miss = float(np.nansum(np.log((second / first / expected)[usable]) ** 2))
        if miss < best:
            best, sigma_mm = miss, float(candidate)
    size = float(np.mean(first / _gain(spacing, sigma_mm)))
    volume = float(np.prod(spacing))
    correlated = max(volume, (4.0 * np.pi * sigma_mm**2) ** 1.5)
    return ImageNoise(size, correlated ** (1.0 / 3.0) / np.sqrt(2.0 * np.pi))


def _gain(lag_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    if sigma_mm < 1.0e-6:
        return np.full(np.shape(lag_mm), 6.0)
    near = np.exp(-(lag_mm**2) / (4.0 * sigma_mm**2))
    return np.maximum(6.0 - 8.0 * near + 2.0 * near**4, 1.0e-3)


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
