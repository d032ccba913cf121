"""Analytic shapes, and painting them onto a grid whose axes are the patient's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import GeometryError
from ..imaging.geometry import VolumeGeometry

Point = tuple[float, float, float]
Window = tuple[slice, slice, slice]


class Shape(Protocol):
    """Anything with an extent and a level: a point is inside where the level is at most 1."""

    def bounds_mm(self) -> tuple[Point, Point]:
        """Lower and upper corner of a box that holds the shape."""

    def level(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Level at points given as three arrays that broadcast together."""


@dataclass(frozen=True)
class Superquadric:
    """An ellipsoid whose exponent may differ from 2 (larger is boxier).

    Parameters
    ----------
    center_mm, semi_axes_mm : tuple of float
        Left, posterior, superior.
    exponent : float
        2 makes an ellipsoid.
    """

    center_mm: Point
    semi_axes_mm: Point
    exponent: float = 2.0

    def bounds_mm(self) -> tuple[Point, Point]:
        """Lower and upper corner of the box around the shape."""
        c, s = np.asarray(self.center_mm), np.asarray(self.semi_axes_mm)
        return tuple(c - s), tuple(c + s)  # type: ignore[return-value]

    def level(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Distance from the center as a share of the distance to the surface."""
        terms = [
            np.abs((axis - c) / s) ** self.exponent
            for axis, c, s in zip((x, y, z), self.center_mm, self.semi_axes_mm, strict=True)
        ]
        return (terms[0] + terms[1] + terms[2]) ** (1.0 / self.exponent)


@dataclass(frozen=True)
class Capsule:
    """A straight tube with round ends: a stretch of vessel or airway."""

    start_mm: Point
    end_mm: Point
    radius_mm: float

    def bounds_mm(self) -> tuple[Point, Point]:
        """Lower and upper corner of the box around the tube."""
        ends = np.array([self.start_mm, self.end_mm])
        return tuple(ends.min(axis=0) - self.radius_mm), tuple(ends.max(axis=0) + self.radius_mm)  # type: ignore[return-value]

    def level(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Distance from the center line as a share of the radius."""
        a, b = np.asarray(self.start_mm), np.asarray(self.end_mm)
        along = b - a
        share = ((x - a[0]) * along[0] + (y - a[1]) * along[1] + (z - a[2]) * along[2]) / max(
            float(along @ along), 1e-9
        )
        share = np.clip(share, 0.0, 1.0)
        square = sum((axis - a[n] - share * along[n]) ** 2 for n, axis in enumerate((x, y, z)))
        return np.sqrt(square) / self.radius_mm


@dataclass(frozen=True, eq=False)
class Axes:
    """Coordinates of a grid that is aligned with the patient, as three arrays that broadcast to it.

    Parameters
    ----------
    x_mm, y_mm, z_mm : ndarray
        Shapes (1, 1, i), (1, j, 1) and (k, 1, 1).
    """

    x_mm: np.ndarray
    y_mm: np.ndarray
    z_mm: np.ndarray

    @classmethod
    def of(cls, geometry: VolumeGeometry) -> Axes:
        """Axes of a grid; refused where the grid is oblique."""
        if not np.allclose(geometry.direction_lps, np.eye(3), atol=1e-9):
            raise GeometryError("phantom grid", "it is oblique", "Make the phantom on a grid along the patient's axes")
        k, j, i = geometry.shape_kji
        x, y, z = (
            (geometry.origin_lps_mm[n] + geometry.spacing_mm[n] * np.arange(size)).astype(np.float32)
            for n, size in enumerate((i, j, k))
        )
        return cls(x[None, None, :], y[None, :, None], z[:, None, None])

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        """Shape of the grid."""
        return self.z_mm.size, self.y_mm.size, self.x_mm.size

    def window(self, lower_mm: Point, upper_mm: Point) -> Window:
        """Slices (k, j, i) of the voxels whose centers lie in a box."""
        slices = []
        for axis, low, high in zip((self.z_mm, self.y_mm, self.x_mm), lower_mm[::-1], upper_mm[::-1], strict=True):
            flat = axis.ravel()
            slices.append(slice(int(np.searchsorted(flat, low)), int(np.searchsorted(flat, high, side="right"))))
        return slices[0], slices[1], slices[2]

    def inside(self, shape: Shape) -> tuple[Window, np.ndarray]:
        """Window around a shape and, in it, the mask of the shape's voxels."""
        window = self.window(*shape.bounds_mm())
        level = shape.level(self.x_mm[:, :, window[2]], self.y_mm[:, window[1], :], self.z_mm[window[0]])
        return window, level <= 1.0

    def mask(self, *shapes: Shape) -> np.ndarray:
        """Union of shapes on the whole grid."""
        result = np.zeros(self.shape_kji, dtype=bool)
        for shape in shapes:
            window, inside = self.inside(shape)
            result[window] |= inside
        return result
