"""Where voxels lie in the patient: a frozen grid that travels with every array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import GeometryError
from ..units import MM3_PER_ML

# Two grids count as the same when corresponding voxel centers lie closer than this share of the
# smallest voxel edge: DICOM writes positions as decimal strings, so equality to the bit is too much.
SAME_GRID_TOLERANCE = 1.0e-3


@dataclass(frozen=True, eq=False)
class VolumeGeometry:
    """A regular grid of voxels in patient space.

    Parameters
    ----------
    shape_kji : tuple of int
        Number of voxels along k (slices), j (rows) and i (columns): the shape of the array.
    ijk_to_lps : ndarray of shape (4, 4)
        Maps voxel indices (i, j, k, 1) to the voxel's center in mm in DICOM's patient axes
        (left, posterior, superior).

    Raises
    ------
    GeometryError
        Where the shape is not three positive numbers or the matrix cannot be inverted.
    """

    shape_kji: tuple[int, int, int]
    ijk_to_lps: np.ndarray

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape_kji)
        matrix = np.array(self.ijk_to_lps, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError("grid", f"expected three positive sizes, got {shape}", "Give a three-dimensional image")
        if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)) or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
            raise GeometryError(
                "grid", "its voxel directions or spacings are missing or zero", "Export the image with its geometry"
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "shape_kji", shape)
        object.__setattr__(self, "ijk_to_lps", matrix)

    @classmethod
    def from_components(
        cls,
        shape_kji: tuple[int, int, int],
        *,
        spacing_mm: tuple[float, float, float],
        origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
        direction_lps: np.ndarray | None = None,
    ) -> VolumeGeometry:
        """Make a grid from spacing (i, j, k), center of the first voxel, and directions as columns."""
        matrix = np.eye(4)
        axes = np.eye(3) if direction_lps is None else np.asarray(direction_lps, dtype=float).reshape(3, 3)
        matrix[:3, :3] = axes * np.asarray(spacing_mm, dtype=float)
        matrix[:3, 3] = origin_lps_mm
        return cls(shape_kji, matrix)

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along i, j and k, in mm."""
        x, y, z = np.linalg.norm(self.ijk_to_lps[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @cached_property
    def origin_lps_mm(self) -> tuple[float, float, float]:
        """Center of voxel (0, 0, 0), in mm."""
        x, y, z = self.ijk_to_lps[:3, 3]
        return float(x), float(y), float(z)

    @cached_property
    def direction_lps(self) -> np.ndarray:
        """Unit vectors of i, j and k as the columns of a 3x3 matrix."""
        return self.ijk_to_lps[:3, :3] / np.asarray(self.spacing_mm)

    @cached_property
    def lps_to_ijk(self) -> np.ndarray:
        """Inverse of ``ijk_to_lps``."""
        return np.linalg.inv(self.ijk_to_lps)

    @cached_property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, in mL."""
        return float(abs(np.linalg.det(self.ijk_to_lps[:3, :3]))) / MM3_PER_ML

    def transformed(self, matrix_lps: np.ndarray) -> VolumeGeometry:
        """The same grid moved by a 4x4 matrix: its voxels keep their values, nothing is interpolated."""
        return VolumeGeometry(self.shape_kji, np.asarray(matrix_lps, dtype=float) @ self.ijk_to_lps)

    def cropped(self, lower_kji: tuple[int, int, int], shape_kji: tuple[int, int, int]) -> VolumeGeometry:
        """The part of the grid that begins at voxel ``lower_kji`` (may be negative) and has ``shape_kji`` voxels."""
        matrix = self.ijk_to_lps.copy()
        matrix[:3, 3] += self.ijk_to_lps[:3, :3] @ np.asarray(lower_kji[::-1], dtype=float)
        return VolumeGeometry(shape_kji, matrix)

    def coarsened(self, factors_kji: tuple[int, int, int]) -> VolumeGeometry:
        """The grid whose voxels are whole blocks of this one's; a remainder at the far end is left off."""
        factors = np.asarray(factors_kji[::-1], dtype=float)
        matrix = self.ijk_to_lps.copy()
        matrix[:3, 3] += self.ijk_to_lps[:3, :3] @ ((factors - 1.0) / 2.0)
        matrix[:3, :3] = self.ijk_to_lps[:3, :3] * factors
        shape = tuple(n // f for n, f in zip(self.shape_kji, factors_kji, strict=True))
        return VolumeGeometry(shape, matrix)  # type: ignore[arg-type]

    def corners_lps_mm(self) -> np.ndarray:
        """The eight outer corners of the grid, shape (8, 3), in mm."""
        k, j, i = self.shape_kji
        index = np.array([[a, b, c, 1.0] for a in (-0.5, i - 0.5) for b in (-0.5, j - 0.5) for c in (-0.5, k - 0.5)])
        return (index @ self.ijk_to_lps.T)[:, :3]


def same_grid(first: VolumeGeometry, second: VolumeGeometry) -> bool:
    """Whether two grids have the same shape and their corners coincide."""
    if first.shape_kji != second.shape_kji:
        return False
    tolerance_mm = SAME_GRID_TOLERANCE * min(first.spacing_mm)
    return bool(np.abs(first.corners_lps_mm() - second.corners_lps_mm()).max() <= tolerance_mm)


def describe(geometry: VolumeGeometry) -> str:
    """One phrase for messages: size, spacing and origin."""
    k, j, i = geometry.shape_kji
    spacing = " x ".join(f"{s:.4g}" for s in geometry.spacing_mm)
    origin = ", ".join(f"{x:.4g}" for x in geometry.origin_lps_mm)
    return f"{i} x {j} x {k} voxels of {spacing} mm from ({origin}) mm"


def require_same_grid(expected: VolumeGeometry, actual: VolumeGeometry, where: str) -> None:
    """Raise GeometryError unless the two grids are the same; the sentence says both."""
    if not same_grid(expected, actual):
        raise GeometryError(
            where,
            f"its grid does not match: expected {describe(expected)}, got {describe(actual)}",
            "Resample it onto the same grid first",
            code="grids-differ",
        )
