"""Flat cuts through volumes: regular planes in patient space on which any grid is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..imaging.volume import Volume

AXIAL, CORONAL, SAGITTAL = "axial", "coronal", "sagittal"
# Patient directions (left, posterior, superior) of a picture's right and down: radiological convention, the
# patient's right on the picture's left, head up, and the face to the left in sagittal cuts.
_LEFT, _POSTERIOR, _INFERIOR = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)
DIRECTIONS = {
    AXIAL: (_LEFT, _POSTERIOR),
    CORONAL: (_LEFT, _INFERIOR),
    SAGITTAL: (_POSTERIOR, _INFERIOR),
}


@dataclass(frozen=True)
class Plane:
    """A rectangle of square samples in patient space.

    Parameters
    ----------
    name : str
        axial, coronal or sagittal.
    center_lps_mm : tuple of float
        Middle of the rectangle.
    size_px : tuple of int
        Columns and rows.
    step_mm : float
        Edge of a sample.
    """

    name: str
    center_lps_mm: tuple[float, float, float]
    size_px: tuple[int, int]
    step_mm: float

    @property
    def right_lps(self) -> np.ndarray:
        """Unit vector towards the picture's right."""
        return np.array(DIRECTIONS[self.name][0])

    @property
    def down_lps(self) -> np.ndarray:
        """Unit vector towards the picture's lower edge."""
        return np.array(DIRECTIONS[self.name][1])

    @property
    def first_lps_mm(self) -> np.ndarray:
        """Center of the upper left sample."""
        columns, rows = self.size_px
        back = (columns - 1) / 2.0 * self.right_lps + (rows - 1) / 2.0 * self.down_lps
        return np.array(self.center_lps_mm) - self.step_mm * back

    def to_pixel(self, points_lps_mm: np.ndarray) -> np.ndarray:
        """Column and row (0 is the center of the first sample) of points, seen along the plane's normal."""
        offset = np.asarray(points_lps_mm, dtype=float) - self.first_lps_mm
        return np.stack((offset @ self.right_lps, offset @ self.down_lps), axis=-1) / self.step_mm

    def to_lps(self, pixels: np.ndarray) -> np.ndarray:
        """Points of columns and rows, shape (..., 2) to (..., 3)."""
        pixels = np.asarray(pixels, dtype=float) * self.step_mm
        return self.first_lps_mm + pixels[..., :1] * self.right_lps + pixels[..., 1:] * self.down_lps

    def place(self) -> str:
        """Where the plane lies along its normal, as ``"S 12 mm"``."""
        axis = {AXIAL: 2, CORONAL: 1, SAGITTAL: 0}[self.name]
        value = self.center_lps_mm[axis]
        return f"{('RL', 'AP', 'IS')[axis][value >= 0.0]} {abs(value):.0f} mm"


def sample(volume: Volume, plane: Plane, outside: float = 0.0) -> np.ndarray:
    """Trilinear values of a volume on a plane.

    Parameters
    ----------
    volume : Volume
        Any grid, also oblique; booleans become the share that lies inside.
    plane : Plane
    outside : float
        Beyond the outermost voxel centers.

    Returns
    -------
    ndarray of shape (rows, columns), float32
    """
    from scipy.ndimage import map_coordinates

    columns, rows = plane.size_px
    matrix = volume.geometry.lps_to_ijk
    start = matrix[:3, :3] @ plane.first_lps_mm + matrix[:3, 3]
    across, along = (plane.step_mm * matrix[:3, :3] @ way for way in (plane.right_lps, plane.down_lps))
    ijk = (
        start[:, None, None]
        + across[:, None, None] * np.arange(columns)[None, None, :]
        + along[:, None, None] * np.arange(rows)[None, :, None]
    )
    # Centers that rounding puts a hair outside the grid belong to it.
    last = np.array(volume.geometry.shape_kji[::-1], dtype=float)[:, None, None] - 1.0
    ijk = np.where(np.abs(ijk) < 1e-6, 0.0, np.where(np.abs(ijk - last) < 1e-6, last, ijk))
    array = volume.array.view(np.uint8) if volume.array.dtype == bool else volume.array
    return map_coordinates(array, ijk[::-1], output=np.float32, order=1, mode="constant", cval=outside)


def contour_lines(values: np.ndarray, level: float) -> list[np.ndarray]:
    """Lines of equal value, each of shape (n, 2) in columns and rows; open where they leave the picture."""
    from matplotlib.figure import Figure

    if not values.size or not values.min() < level <= values.max():
        return []
    drawn = Figure().add_subplot().contour(values, levels=[level])
    return [np.asarray(line) for line in drawn.allsegs[0] if len(line) > 2]


def filled_box(volumes: Sequence[Volume]) -> tuple[np.ndarray, np.ndarray] | None:
    """Lowest and highest corner (mm, patient axes) around the set voxels of boolean volumes; None if all are empty."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for volume in volumes:
        filled = [np.flatnonzero(volume.array.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
        if any(part.size == 0 for part in filled):
            continue
        first = [part[0] - 0.5 for part in filled[::-1]]
        last = [part[-1] + 0.5 for part in filled[::-1]]
        corners = np.array([[(first, last)[bit >> n & 1][n] for n in range(3)] + [1.0] for bit in range(8)])
        points = (corners @ volume.geometry.ijk_to_lps.T)[:, :3]
        low, high = np.minimum(low, points.min(axis=0)), np.maximum(high, points.max(axis=0))
    return (low, high) if np.all(np.isfinite(low)) else None


def center_inside(volume: Volume) -> tuple[float, float, float]:
    """The set voxel nearest to the center of gravity of a boolean volume, in mm."""
    index = np.argwhere(volume.array)[:, ::-1].astype(float)
    points = index @ volume.geometry.ijk_to_lps[:3, :3].T + volume.geometry.ijk_to_lps[:3, 3]
    nearest = points[np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))]
    return float(nearest[0]), float(nearest[1]), float(nearest[2])
