"""Checks that every image passes before it is used."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from .volume import Volume


def require_finite_image(volume: Volume, where: str) -> None:
    """Refuse NaN and infinity, saying how many voxels hold them."""
    if volume.array.dtype.kind != "f":
        return
    bad = int(volume.array.size - np.count_nonzero(np.isfinite(volume.array)))
    if bad:
        raise InputError(
            where,
            f"{bad} of {volume.array.size} voxels are not numbers (NaN or infinite)",
            "Export the image again or repair these voxels",
            "not-finite",
        )
