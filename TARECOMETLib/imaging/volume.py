"""An array of voxels with the grid it lies on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ..errors import GeometryError
from .geometry import VolumeGeometry


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxel values and their place.

    Parameters
    ----------
    array : ndarray of shape (k, j, i)
        Values; what they mean and their unit is said where the volume is used.
    geometry : VolumeGeometry
        Grid of the same shape.
    """

    array: np.ndarray
    geometry: VolumeGeometry

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape_kji:
            raise GeometryError(
                "volume",
                f"expected an array of shape {self.geometry.shape_kji}, got {self.array.shape}",
                "Give the array in [k, j, i] order",
            )

    def content_hash(self) -> str:
        """SHA-256 over values and grid, as hexadecimal text.

        Positions are rounded to 1e-4 mm and numbers taken as float32, so that the same image read by another way
        (whole numbers from a scene, rescaled ones from DICOM) has the same hash.
        """
        digest = hashlib.sha256()
        # Adding 0 turns negative zeros, which depend on the order of a sum, into zeros.
        digest.update((np.round(self.geometry.ijk_to_lps, 4) + 0.0).astype("<f8").tobytes())
        digest.update(np.asarray(self.array.shape, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(self.array, dtype="|u1" if self.array.dtype == bool else "<f4").tobytes())
        return digest.hexdigest()
