"""Dose-volume histograms without bins: metrics come from the sorted voxels themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InputError


@dataclass(frozen=True, eq=False)
class Dvh:
    """Doses and the volume that receives each, sorted from the highest dose down.

    Parameters
    ----------
    dose_gy : ndarray of shape (n,)
    volume_ml : ndarray of shape (n,)
        Fractional voxels count with their part.
    mass_g : ndarray of shape (n,)
        Weights of the mean.
    """

    dose_gy: np.ndarray
    volume_ml: np.ndarray
    mass_g: np.ndarray

    @cached_property
    def _cumulative_ml(self) -> np.ndarray:
        return np.cumsum(self.volume_ml)

    @property
    def total_volume_ml(self) -> float:
        """Volume of the structure."""
        return float(self.volume_ml.sum())

    def mean_gy(self) -> float:
        """Mass-weighted mean dose: energy over mass."""
        return float(np.sum(self.dose_gy * self.mass_g) / self.mass_g.sum())

    def sd_gy(self) -> float:
        """Mass-weighted standard deviation of the voxel doses (of the structure, not of the mean)."""
        return float(np.sqrt(np.sum(self.mass_g * (self.dose_gy - self.mean_gy()) ** 2) / self.mass_g.sum()))

    def min_gy(self) -> float:
        """Lowest voxel dose."""
        return float(self.dose_gy[-1])

    def max_gy(self) -> float:
        """Highest voxel dose."""
        return float(self.dose_gy[0])

    def dose_to_volume_gy(self, percent: float) -> float:
        """D_x: the highest dose that at least ``percent`` of the volume receives."""
        cumulative = self._cumulative_ml
        # A share of the last cumulative sum, not of the total: the two may differ in the last bit.
        index = np.searchsorted(cumulative, percent / 100.0 * cumulative[-1] * (1.0 - 1e-12), side="left")
        return float(self.dose_gy[min(int(index), self.dose_gy.size - 1)])

    def volume_at_dose_ml(self, dose_gy: float) -> float:
        """V_x in mL: the volume at or above an absolute dose."""
        return float(self.volume_ml[self.dose_gy >= dose_gy].sum())

    def volume_at_dose_percent(self, dose_gy: float) -> float:
        """V_x in per cent of the structure."""
        return 100.0 * self.volume_at_dose_ml(dose_gy) / self.total_volume_ml

    def curve(self, points: int = 400) -> tuple[np.ndarray, np.ndarray]:
        """Cumulative curve for drawing and tables: dose in Gy from 0 to the maximum, volume at or above in per cent."""
        dose = np.linspace(0.0, max(self.max_gy(), 1e-9), points)
        above = np.concatenate(([0.0], self._cumulative_ml))
        count = np.searchsorted(-self.dose_gy, -dose, side="right")
        return dose, 100.0 * above[count] / above[-1]


def make_dvh(dose_gy: np.ndarray, volume_ml: np.ndarray, density_g_ml: np.ndarray | float) -> Dvh:
    """Sort voxel doses into a DVH.

    Parameters
    ----------
    dose_gy, volume_ml : ndarray of any one shape
    density_g_ml : float or ndarray of the same shape

    Raises
    ------
    InputError
        Where there is no voxel with volume, a dose is not a number, or a density is not above 0.
    """
    dose = np.asarray(dose_gy, dtype=np.float64).ravel()
    volume = np.asarray(volume_ml, dtype=np.float64).ravel()
    keep = volume > 0.0
    if not keep.any():
        raise InputError(
            "contour", "it holds no part of any dose voxel", "Draw it inside the dose map", "empty-contour"
        )
    if not np.all(np.isfinite(dose[keep])):
        raise InputError(
            "dose", "it holds values that are not numbers (NaN or infinite)", "Repair the image", "not-finite"
        )
    mass = volume[keep] * np.broadcast_to(density_g_ml, np.shape(volume_ml)).ravel()[keep]
    if not np.all(mass > 0.0):
        raise InputError("density", "expected more than 0 g/mL in every voxel of the contour", "Correct the density")
    dose, volume = dose[keep], volume[keep]
    order = np.argsort(dose)[::-1]
    return Dvh(dose[order], volume[order], mass[order])
