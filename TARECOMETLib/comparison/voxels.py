"""Two dose maps on one grid, voxel by voxel inside a compartment; and bringing them to one resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from ..dosimetry.blur import FWHM_PER_SIGMA
from ..errors import InputError


@dataclass(frozen=True)
class VoxelAgreement:
    """Agreement of delivered with predicted voxel doses, weighted by the volume of each voxel inside.

    Parameters
    ----------
    voxels : int
    volume_ml : float
    mean_difference_gy, sd_difference_gy : float
        Of delivered minus predicted.
    nmad : float
        Mean absolute difference over the mean predicted dose.
    dvh_area_gy : float
        Area between the two cumulative DVHs (volume as a share): the mean dose that would have to be moved.
    pearson, spearman : float or None
        None where one of the maps is constant; Spearman counts every voxel once.
    """

    voxels: int
    volume_ml: float
    mean_difference_gy: float
    sd_difference_gy: float
    nmad: float
    dvh_area_gy: float
    pearson: float | None = None
    spearman: float | None = None


@dataclass(frozen=True)
class IsodoseAgreement:
    """Overlap of the two volumes at or above one dose.

    Parameters
    ----------
    level_gy : float
    dice : float or None
        None where neither map reaches the level.
    mean_surface_distance_mm : float or None
        Mean of the distances of each border's voxels to the other's border; None where one volume is empty.
    """

    level_gy: float
    dice: float | None = None
    mean_surface_distance_mm: float | None = None


def voxel_agreement(predicted_gy: np.ndarray, delivered_gy: np.ndarray, volume_ml: np.ndarray) -> VoxelAgreement:
    """Statistics over the voxels of a compartment.

    Parameters
    ----------
    predicted_gy, delivered_gy, volume_ml : ndarray of shape (n,)
        Doses, and how much of each voxel lies inside.

    Raises
    ------
    InputError
        Where fewer than two voxels lie inside, or nothing was predicted.
    """
    keep = volume_ml > 0.0
    a, b, w = (np.asarray(v, dtype=float)[keep] for v in (predicted_gy, delivered_gy, volume_ml))
    if a.size < 2:
        raise InputError("voxels", f"{a.size} lie inside the compartment", "Draw it larger", "too-few-voxels")
    difference = b - a
    mean = float(np.average(difference, weights=w))
    base = float(np.average(a, weights=w))
    if not base > 0.0:
        raise InputError("predicted dose", f"its mean is {base:g} Gy", "Compare where dose was predicted", "no-dose")
    constant = any(np.ptp(v) <= 1e-9 * max(1e-300, float(np.abs(v).max())) for v in (a, b))
    pearson = spearman = None
    if not constant:
        da, db = a - base, b - float(np.average(b, weights=w))
        pearson = float(np.sum(w * da * db) / np.sqrt(np.sum(w * da * da) * np.sum(w * db * db)))
        spearman = float(stats.spearmanr(a, b).statistic)
    return VoxelAgreement(
        voxels=int(a.size),
        volume_ml=float(w.sum()),
        mean_difference_gy=mean,
        sd_difference_gy=float(np.sqrt(np.average((difference - mean) ** 2, weights=w))),
        nmad=float(np.average(np.abs(difference), weights=w)) / base,
        dvh_area_gy=float(stats.wasserstein_distance(a, b, w, w)),
        pearson=pearson,
        spearman=spearman,
    )


def joint_histogram(
    predicted_gy: np.ndarray, delivered_gy: np.ndarray, volume_ml: np.ndarray, bins: int = 50
) -> tuple[np.ndarray, np.ndarray]:
    """Edges in Gy, the same for both axes, and volume in mL by predicted (rows) and delivered (columns) dose."""
    top = max(float(np.max(predicted_gy)), float(np.max(delivered_gy)), 1e-9)
    low = min(0.0, float(np.min(predicted_gy)), float(np.min(delivered_gy)))
    edges = np.linspace(low, top, bins + 1)
    volume, _, _ = np.histogram2d(predicted_gy, delivered_gy, bins=(edges, edges), weights=volume_ml)
    return edges, volume


def isodose_agreement(
    predicted_gy: np.ndarray,
    delivered_gy: np.ndarray,
    inside: np.ndarray,
    spacing_mm: tuple[float, float, float],
    levels_gy: Sequence[float],
) -> list[IsodoseAgreement]:
    """Dice and mean surface distance of the isodose volumes inside a compartment, level by level.

    Parameters
    ----------
    predicted_gy, delivered_gy : ndarray of shape (k, j, i)
    inside : ndarray of bool, shape (k, j, i)
    spacing_mm : tuple of float
        Along i, j, k.
    levels_gy : sequence of float
    """
    if not inside.any():
        return [IsodoseAgreement(float(level)) for level in levels_gy]
    filled = [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(slice(int(part[0]), int(part[-1]) + 1) for part in filled)
    a, b, within = predicted_gy[box], delivered_gy[box], inside[box]
    found = []
    for level in levels_gy:
        first, second = (a >= level) & within, (b >= level) & within
        total = int(first.sum()) + int(second.sum())
        if total == 0:
            found.append(IsodoseAgreement(float(level)))
            continue
        dice = 2.0 * float((first & second).sum()) / total
        distance = None
        if first.any() and second.any():
            distance = _mean_surface_distance_mm(first, second, spacing_mm[::-1])
        found.append(IsodoseAgreement(float(level), dice, distance))
    return found


def _mean_surface_distance_mm(first: np.ndarray, second: np.ndarray, edges_kji_mm: tuple[float, ...]) -> float:
    borders = [np.pad(mask, 1) & ~ndimage.binary_erosion(np.pad(mask, 1)) for mask in (first, second)]
    away = [ndimage.distance_transform_edt(~border, sampling=edges_kji_mm) for border in borders]
    distances = np.concatenate((away[1][borders[0]], away[0][borders[1]]))
    return float(distances.mean())


def match_resolution(
    dose_gy: np.ndarray, spacing_mm: tuple[float, float, float], own_fwhm_mm: float, wanted_fwhm_mm: float
) -> np.ndarray:
    """A sharper map blurred to a coarser resolution by a Gaussian of sqrt(wanted² - own²) FWHM.

    Raises
    ------
    InputError
        Where the map is not the sharper one: blur cannot be taken off.
    """
    if own_fwhm_mm > wanted_fwhm_mm:
        raise InputError(
            "resolution matching",
            f"the map has {own_fwhm_mm:g} mm FWHM, more than the wanted {wanted_fwhm_mm:g} mm",
            "Blur the other map instead",
        )
    sigma = np.sqrt(wanted_fwhm_mm**2 - own_fwhm_mm**2) / FWHM_PER_SIGMA / np.asarray(spacing_mm[::-1])
    return ndimage.gaussian_filter(np.asarray(dose_gy, dtype=float), sigma, mode="nearest", truncate=5.0)
