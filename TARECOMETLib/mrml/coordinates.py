"""Between our grids (LPS) and Slicer's (RAS): the only place where the signs of x and y change."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk

from ..errors import InputError
from ..imaging.geometry import VolumeGeometry

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def vtk_matrix(matrix: np.ndarray) -> vtk.vtkMatrix4x4:
    """A vtkMatrix4x4 with the values of a 4x4 array."""
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=float).ravel())
    return result


def numpy_matrix(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A 4x4 array with the values of a vtkMatrix4x4."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def ijk_to_ras(geometry: VolumeGeometry) -> np.ndarray:
    """Voxel indices to Slicer's world, 4x4."""
    return LPS_TO_RAS @ geometry.ijk_to_lps


def ras_point(point_lps_mm: np.ndarray | tuple[float, float, float]) -> np.ndarray:
    """One or more LPS points, shape (..., 3), in RAS. The same signs bring RAS back to LPS."""
    return np.asarray(point_lps_mm, dtype=float) * np.array([-1.0, -1.0, 1.0])


def parent_matrix_ras(node: Any) -> np.ndarray:
    """The 4x4 matrix from a node's own coordinates to the world, identity where it has no parent transform.

    Raises
    ------
    InputError
        Where the parent transform is not linear: a grid cannot follow it.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            node.GetName(),
            "it stands under a non-linear transform, which its grid cannot follow",
            "Harden the transform in the Transforms module",
            code="nonlinear-transform",
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return numpy_matrix(matrix)
