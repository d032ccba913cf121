"""Which structures a slice meets: the legend of a picture names what is in it and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from vtk.util.numpy_support import vtk_to_numpy

from ..errors import InputError
from .coordinates import ijk_to_ras
from .segmentations import read_segment


def segment_meets_slice(node: Any, segment_id: str, slice_to_ras: np.ndarray) -> bool:
    """Whether a voxel of a segment is cut by the plane z = 0 of ``slice_to_ras`` (4x4)."""
    try:
        mask = read_segment(node, segment_id)
    except InputError:
        return False  # empty
    to_slice_z = (np.linalg.inv(slice_to_ras) @ ijk_to_ras(mask.geometry))[2]
    # A voxel reaches this far from its center along the slice's normal.
    reach_mm = 0.5 * float(np.abs(to_slice_z[:3]).sum())
    k, j, i = np.nonzero(mask.array)
    distance_mm = i * to_slice_z[0] + j * to_slice_z[1] + k * to_slice_z[2] + to_slice_z[3]
    return bool(np.any(np.abs(distance_mm) <= reach_mm))


def model_meets_slice(node: Any, slice_to_ras: np.ndarray) -> bool:
    """Whether a model without a parent transform has points on both sides of the plane z = 0 of ``slice_to_ras``."""
    data = node.GetPolyData()
    if data is None or data.GetNumberOfPoints() == 0:
        return False
    to_slice_z = np.linalg.inv(slice_to_ras)[2]
    distance_mm = vtk_to_numpy(data.GetPoints().GetData()) @ to_slice_z[:3] + to_slice_z[3]
    return bool(distance_mm.min() <= 0.0 <= distance_mm.max())
