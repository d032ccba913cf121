"""A dose map cut into cells of eight neighboring voxels, inside which the interpolated dose is a polynomial."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Cells:
    """An evaluated dose and its cells, in the order of their first voxels.

    Parameters
    ----------
    dose_gy : ndarray of shape (k, j, i), float32
    step : ndarray of shape (3,)
        Voxel edges along i, j, k in units of the distance criterion.
    low_gy, high_gy : ndarray of shape (cells,)
        Least and greatest dose in a cell.
    terms : ndarray of shape (cells, 8)
        Of the trilinear dose as a polynomial of u, v, w (-1/2 to 1/2 along i, j, k): 1, u, v, w, uv, uw, vw, uvw.
    steepest2 : ndarray of shape (k, j, i)
        Bound of the squared slope, in Gy per distance criterion, in all cells around a voxel.
    """

    dose_gy: np.ndarray
    step: np.ndarray
    low_gy: np.ndarray
    high_gy: np.ndarray
    terms: np.ndarray
    steepest2: np.ndarray

    @property
    def size_ijk(self) -> np.ndarray:
        """Voxels along i, j, k."""
        return np.array(self.dose_gy.shape[::-1])

    def number(self, index_ijk: np.ndarray) -> np.ndarray:
        """Numbers of the cells that begin at voxels; shape (n, 3) to (n,)."""
        i, j, _ = self.size_ijk
        return (index_ijk[..., 2] * (j - 1) + index_ijk[..., 1]) * (i - 1) + index_ijk[..., 0]

    def corners_gy(self, index_ijk: np.ndarray) -> np.ndarray:
        """Doses at the eight corners of cells, shape (n, 8); corner number 4·k + 2·j + i."""
        i, j, _ = self.size_ijk
        first = (index_ijk[:, 2] * j + index_ijk[:, 1]) * i + index_ijk[:, 0]
        flat = self.dose_gy.ravel()
        corners = np.empty((len(first), 8), dtype=np.float32)
        for number, (c, b, a) in enumerate(itertools.product((0, 1), repeat=3)):
            corners[:, number] = flat[first + ((c * j + b) * i + a)]
        return corners


def cut_into_cells(dose_gy: np.ndarray, step: np.ndarray) -> Cells:
    """Cells of a dose map of at least two voxels along each axis."""
    dose = np.ascontiguousarray(dose_gy, dtype=np.float32)
    level = [dose]
    for axis in (2, 1, 0):
        ahead, behind = _neighbors(axis)
        # Mean and difference along the axis; in the end all eight terms, u changing fastest.
        level = [part for one in level for part in ((one[ahead] + one[behind]) / 2.0, one[ahead] - one[behind])]
    low, high = dose, dose
    for axis in range(3):
        ahead, behind = _neighbors(axis)
        low, high = np.minimum(low[ahead], low[behind]), np.maximum(high[ahead], high[behind])
    # The splitting orders terms as bits u v w: 1, w, v, vw, u, uw, uv, uvw.
    one, w, v, vw, u, uw, uv, uvw = level
    widths = np.asarray(step, dtype=np.float64)
    steepest2 = sum(
        ((np.abs(a) + (np.abs(ab) + np.abs(ac)) / 2.0 + np.abs(uvw) / 4.0) / np.float32(width)) ** 2
        for a, ab, ac, width in zip((u, v, w), (uv, uv, uw), (uw, vw, vw), widths, strict=True)
    )
    for axis in range(3):
        ahead, behind = _neighbors(axis)
        padded = np.pad(steepest2, [(1, 1) if a == axis else (0, 0) for a in range(3)])
        steepest2 = np.maximum(padded[ahead], padded[behind])
    terms = np.stack([part.ravel() for part in (one, u, v, w, uv, uw, vw, uvw)], axis=1).astype(np.float32)
    return Cells(dose, widths, low.ravel(), high.ravel(), terms, np.asarray(steepest2))


def _neighbors(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All but the first and all but the last along an axis."""
    ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
    behind = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
    return ahead, behind
