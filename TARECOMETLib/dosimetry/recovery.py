"""Partial-volume correction by region: recovery coefficients, the geometric transfer matrix, and a map from it.

The scanner's blur moves activity across borders. With R_j the share of a voxel in region j and h the blur, the mean
that region i reads is Σ_j W_ij t_j with W_ij = Σ R_i (h * R_j) / Σ R_i (Rousset 1998, J Nucl Med 39:904); the
diagonal is the region's recovery coefficient. Solving for t corrects every region at once, spill-in included.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .blur import FWHM_PER_SIGMA, sphere_diameter_mm

# Where a region keeps less than this of its own activity a correction amplifies noise beyond use.
_LEAST_RECOVERY = 0.15


@dataclass(frozen=True)
class RecoveryPoint:
    """One sphere of a phantom: its diameter and the share of its concentration that is measured."""

    diameter_mm: float
    coefficient: float

    def __post_init__(self) -> None:
        if not 1.0 <= self.diameter_mm <= 300.0:
            raise InputError(
                "recovery table", f"a diameter of {self.diameter_mm:g} mm, expected 1 to 300", "Write mm", "recovery"
            )
        if not 0.05 <= self.coefficient <= 1.5:
            raise InputError(
                "recovery table",
                f"a coefficient of {self.coefficient:g}, expected 0.05 to 1.5",
                "Write 85 % as 0.85",
                "recovery",
            )


def read_recovery_table(text: str, where: str) -> tuple[RecoveryPoint, ...]:
    """Points of a CSV with the columns diameter_mm (or volume_ml) and recovery_coefficient.

    Raises
    ------
    InputError
        Naming the line or column that cannot be used.
    """
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    names = [str(name).strip().lower() for name in rows.fieldnames or ()]
    size = next((name for name in ("diameter_mm", "volume_ml") if name in names), None)
    if size is None or "recovery_coefficient" not in names:
        raise InputError(
            where,
            f"its columns are {', '.join(names) or 'none'}, expected diameter_mm (or volume_ml), recovery_coefficient",
            "Name the columns so",
            "recovery",
        )
    points = []
    for number, row in enumerate(rows, start=2):
        values = {str(key).strip().lower(): value for key, value in row.items()}
        try:
            extent, coefficient = float(values[size]), float(values["recovery_coefficient"])
            if not (math.isfinite(extent) and math.isfinite(coefficient) and extent > 0.0):
                raise ValueError
        except (TypeError, ValueError):
            raise InputError(
                where, f"its line {number} holds no two positive numbers", "Correct it", "recovery"
            ) from None
        points.append(RecoveryPoint(extent if size == "diameter_mm" else sphere_diameter_mm(extent), coefficient))
    if len(points) < 2:
        raise InputError(where, f"it holds {len(points)} point(s), expected at least two", "Add spheres", "recovery")
    return tuple(sorted(points, key=lambda point: point.diameter_mm))


def table_recovery(points: Sequence[RecoveryPoint], volume_ml: float) -> float:
    """Coefficient for an object's volume, linear between the table's diameters and constant beyond its ends."""
    ordered = sorted(points, key=lambda point: point.diameter_mm)
    return float(
        np.interp(sphere_diameter_mm(volume_ml), [p.diameter_mm for p in ordered], [p.coefficient for p in ordered])
    )


def recovered_mean(measured: float, surrounding: float, coefficient: float) -> float:
    """True mean from measured = R · true + (1 - R) · surrounding."""
    if not coefficient >= _LEAST_RECOVERY:
        raise InputError(
            "recovery",
            f"a coefficient of {coefficient:.2f} is too small to divide by",
            "Leave it uncorrected",
            "recovery",
        )
    return (measured - (1.0 - coefficient) * surrounding) / coefficient


def _sigma_voxels(fwhm_mm: Sequence[float], spacing_mm: Sequence[float]) -> list[float]:
    return [width / FWHM_PER_SIGMA / edge for width, edge in zip(fwhm_mm, spacing_mm, strict=True)]


def blurred(array: np.ndarray, fwhm_kji_mm: Sequence[float], spacing_kji_mm: Sequence[float]) -> np.ndarray:
    """An array after a Gaussian blur of given FWHM along k, j and i; nothing lies outside it."""
    from scipy.ndimage import gaussian_filter

    sigma = _sigma_voxels(fwhm_kji_mm, spacing_kji_mm)
    return gaussian_filter(array.astype(np.float32), sigma, mode="constant", truncate=4.0)


@dataclass(frozen=True, eq=False)
class TransferMatrix:
    """How regions' means mix by blur.

    Parameters
    ----------
    weights : ndarray of shape (n, n)
        W_ij: share of region j's concentration in the mean of region i.
    """

    weights: np.ndarray

    @property
    def coefficients(self) -> np.ndarray:
        """Recovery coefficient of each region, shape (n,)."""
        return np.diag(self.weights).copy()

    def correct(self, means: np.ndarray) -> np.ndarray:
        """True means from measured ones, shape (n,).

        Raises
        ------
        InputError
            Where a region is too small for the resolution, or two cannot be told apart.
        """
        worst = float(self.coefficients.min())
        if worst < _LEAST_RECOVERY or np.linalg.cond(self.weights) > 100.0:
            raise InputError(
                "recovery",
                f"a region recovers {100.0 * worst:.0f} % of its activity, expected at least "
                f"{100.0 * _LEAST_RECOVERY:.0f} %",
                "Leave that region out of the correction, or correct the resolution",
                "recovery",
            )
        return np.linalg.solve(self.weights, np.asarray(means, dtype=float))

    def noise_amplification(self) -> np.ndarray:
        """Factor by which independent relative errors of the means grow, shape (n,): norm of the inverse's rows."""
        return np.linalg.norm(np.linalg.inv(self.weights), axis=1)


def transfer_matrix(
    occupancies: Sequence[np.ndarray], fwhm_kji_mm: Sequence[float], spacing_kji_mm: Sequence[float]
) -> TransferMatrix:
    """The transfer matrix of disjoint regions.

    Parameters
    ----------
    occupancies : sequence of ndarray of shape (k, j, i)
        Share of each voxel in each region, 0 to 1; together they should fill the array.
    fwhm_kji_mm, spacing_kji_mm : sequence of float
        Resolution and voxel edges along k, j, i.
    """
    count = len(occupancies)
    weights = np.zeros((count, count))
    sizes = [float(region.sum(dtype=np.float64)) for region in occupancies]
    boxes = [_box(region) for region in occupancies]
    for j, region in enumerate(occupancies):
        spread = blurred(region, fwhm_kji_mm, spacing_kji_mm)
        for i, target in enumerate(occupancies):
            box = boxes[i]
            weights[i, j] = float((target[box] * spread[box]).sum(dtype=np.float64)) / max(sizes[i], 1e-12)
    return TransferMatrix(weights)


def _box(region: np.ndarray) -> tuple[slice, ...]:
    """The part of an array that is not empty."""
    parts = []
    for axis in range(region.ndim):
        filled = np.flatnonzero(region.any(axis=tuple(a for a in range(region.ndim) if a != axis)))
        parts.append(slice(int(filled[0]), int(filled[-1]) + 1) if filled.size else slice(0, 0))
    return tuple(parts)


def corrected_map(
    image: np.ndarray,
    occupancies: Sequence[np.ndarray],
    true_means: Sequence[float],
    fwhm_kji_mm: Sequence[float],
    spacing_kji_mm: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Region-based voxel-wise correction: image times the sharp model over the blurred one (Thomas 2011).

    doi:10.1007/s00259-011-1745-9. The factor is also by how much a voxel's noise grows.

    Returns
    -------
    ndarray of shape (k, j, i)
        Corrected image.
    ndarray of shape (k, j, i)
        Factor of each voxel, between 0 and 10.
    """
    model = np.zeros(image.shape, dtype=np.float32)
    for region, value in zip(occupancies, true_means, strict=True):
        model += region.astype(np.float32) * np.float32(max(value, 0.0))
    spread = blurred(model, fwhm_kji_mm, spacing_kji_mm)
    factor = np.clip(np.divide(model, spread, out=np.ones_like(model), where=spread > 0.0), 0.0, 10.0)
    return image * factor, factor
