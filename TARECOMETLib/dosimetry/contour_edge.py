"""Contours that can move by less than a voxel: signed distance, occupancy, and fields of displacement."""

from __future__ import annotations

import numpy as np

from ..errors import InputError

# Width of the smoothing that turns a staircase into an edge, in voxels: fewer leave the staircase, more round corners.
_SMOOTH_VOXELS = 0.8
FEWEST_VOXELS = 20
# No edge moves farther than this; what lies beyond a contour by more is not computed.
_FAR_MM = 30.0
# Points per correlation length at which a field is drawn and its variance summed.
_POINTS_PER_LENGTH = 4.0


def signed_distance_mm(mask: np.ndarray, spacing_mm: tuple[float, float, float], where: str = "contour") -> np.ndarray:
    """Distance from a contour's edge, negative inside; the volume inside is the one drawn.

    The staircase of voxels is smoothed by a Gaussian; a plane's distance follows from its normal distribution
    function. Farther than 2 voxels away it is the distance between voxel centers, farther than 30 mm outside just that.

    Parameters
    ----------
    mask : ndarray of bool, shape (k, j, i)
    spacing_mm : tuple of float
        Along k, j, i.
    where : str
        Name for the refusal.

    Raises
    ------
    InputError
        Where the contour has too few voxels to have an edge.
    """
    count = int(np.count_nonzero(mask))
    if count < FEWEST_VOXELS:
        raise InputError(
            where,
            f"it holds {count} voxels, and an edge that can move needs {FEWEST_VOXELS}",
            "Compute on a finer dose grid, or leave its uncertainty out",
            "too-few-voxels",
        )
    used = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(
        slice(max(0, part[0] - room), part[-1] + 1 + room)
        for part, room in zip(used, (int(np.ceil(_FAR_MM / edge)) for edge in spacing_mm), strict=True)
    )
    signed = np.full(mask.shape, _FAR_MM, dtype=np.float32)
    signed[box] = _signed_in_box(mask[box], count, spacing_mm)
    return signed


def _signed_in_box(mask: np.ndarray, count: int, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from scipy.special import ndtri

    spacing = np.asarray(spacing_mm)
    sigma_mm = _SMOOTH_VOXELS * float(spacing.max())
    share = gaussian_filter(mask.astype(np.float32), sigma_mm / spacing, mode="nearest", truncate=5.0)
    near = -sigma_mm * ndtri(np.clip(share, 1.0e-6, 1.0 - 1.0e-6))
    half = 0.5 * float(spacing.mean())
    far = np.where(
        mask,
        half - distance_transform_edt(mask, sampling=spacing),
        distance_transform_edt(~mask, sampling=spacing) - half,
    )
    signed = np.where(np.abs(near) < 2.0 * spacing.max(), near, far).astype(np.float32)
    return signed - np.float32(_inward_mm(signed, count, spacing_mm))


def _inward_mm(signed_mm: np.ndarray, count: int, spacing_mm: tuple[float, float, float]) -> float:
    """How far smoothing drew a bent edge inward: what the distance must lose for the drawn volume."""
    reach = 2.0 * float(np.max(spacing_mm))
    band = signed_mm[np.abs(signed_mm) < 2.0 * reach]
    deep = int(np.count_nonzero(signed_mm <= -2.0 * reach))
    low, high = -reach, reach
    for _ in range(24):
        middle = 0.5 * (low + high)
        if deep + float(occupancy(band, spacing_mm, middle).sum(dtype=np.float64)) < count:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def occupancy(
    signed_mm: np.ndarray, spacing_mm: tuple[float, float, float], outward_mm: np.ndarray | float = 0.0
) -> np.ndarray:
    """Share of every voxel inside a contour whose edge has moved outward; moving it changes the volume by area x mm."""
    return np.clip(0.5 - (signed_mm - outward_mm) / float(np.mean(spacing_mm)), 0.0, 1.0)


def _coarse(length_mm: float, spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    k, j, i = (max(1, int(length_mm / (_POINTS_PER_LENGTH * edge))) for edge in spacing_mm)
    return k, j, i


def correlated_variance(weights: np.ndarray, length_mm: float, spacing_mm: tuple[float, float, float]) -> float:
    """Variance of Σ w δ for a field δ of variance 1 with correlation exp(-r² / 2 length²).

    Parameters
    ----------
    weights : ndarray of shape (k, j, i)
    length_mm : float
        Infinite: the field is one number. Below a third of a voxel: voxels are independent.
    spacing_mm : tuple of float
        Along k, j, i.
    """
    from scipy.ndimage import gaussian_filter

    if np.isinf(length_mm):
        return float(weights.sum(dtype=np.float64)) ** 2
    if length_mm < 0.3 * min(spacing_mm):
        return float(np.sum(weights.astype(np.float64) ** 2))
    factor = _coarse(length_mm, spacing_mm)
    reach = [int(np.ceil(4.0 * length_mm / edge)) for edge in spacing_mm]
    filled = [np.flatnonzero(weights.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if any(part.size == 0 for part in filled):
        return 0.0
    box = weights[tuple(slice(part[0], part[-1] + 1) for part in filled)].astype(np.float64)
    padding = [(n, n + (-(size + 2 * n)) % f) for n, size, f in zip(reach, box.shape, factor, strict=True)]
    padded = np.pad(box, padding)
    k, j, i = (size // f for size, f in zip(padded.shape, factor, strict=True))
    summed = padded.reshape(k, factor[0], j, factor[1], i, factor[2]).sum(axis=(1, 3, 5))
    edge_mm = np.array(spacing_mm) * factor
    spread = gaussian_filter(summed, length_mm / edge_mm, mode="constant", truncate=4.0)
    peak = (2.0 * np.pi) ** 1.5 * length_mm**3 / float(np.prod(edge_mm))
    return max(0.0, float(np.sum(summed * spread)) * peak)


def random_field(
    rng: np.random.Generator,
    shape_kji: tuple[int, int, int],
    length_mm: float,
    spacing_mm: tuple[float, float, float],
) -> np.ndarray | float:
    """A normal field of variance 1 with correlation exp(-r² / 2 length²); one number where the length is infinite."""
    from scipy.ndimage import gaussian_filter, zoom

    if np.isinf(length_mm):
        return float(rng.standard_normal())
    if length_mm < 0.3 * min(spacing_mm):
        return rng.standard_normal(shape_kji, dtype=np.float32)
    factor = _coarse(length_mm, spacing_mm)
    edge_mm = np.array(spacing_mm) * factor
    sigma = length_mm / np.sqrt(2.0) / edge_mm
    margin = np.ceil(4.0 * sigma).astype(int)
    size = [int(np.ceil(n / f)) + 2 for n, f in zip(shape_kji, factor, strict=True)]
    white = rng.standard_normal([n + 2 * m for n, m in zip(size, margin, strict=True)])
    smooth = gaussian_filter(white, sigma, mode="constant", truncate=4.0)
    # Variance of smoothed white noise by the discrete filter itself.
    impulse = np.zeros([2 * m + 1 for m in margin])
    impulse[tuple(margin)] = 1.0
    smooth /= np.sqrt(np.sum(gaussian_filter(impulse, sigma, mode="constant", truncate=4.0) ** 2))
    inner = smooth[tuple(slice(m, m + n) for m, n in zip(margin, size, strict=True))]
    fine = inner if factor == (1, 1, 1) else zoom(inner, factor, order=1, grid_mode=True, mode="nearest")
    return fine[tuple(slice(0, n) for n in shape_kji)].astype(np.float32)
