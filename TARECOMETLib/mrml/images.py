"""numpy arrays as vtkImageData and back. Arrays are [k, j, i]; VTK runs i fastest, so the memory is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy


def storable(array: np.ndarray) -> np.ndarray:
    """The array contiguous, in the machine's byte order and in a type that VTK and NRRD files know."""
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype in (np.int64, np.uint64):
        # Slicer's readers, writers and displays are not safe with 64-bit whole numbers; doubles are exact to 2^53.
        array = array.astype(np.float64)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def set_image_scalars(image: Any, array: np.ndarray, lower_kji: tuple[int, int, int] = (0, 0, 0)) -> None:
    """Fill a vtkImageData with a copy of a [k, j, i] array whose first voxel has index ``lower_kji``."""
    values = storable(array)
    bounds = [(low, low + size - 1) for low, size in zip(lower_kji[::-1], array.shape[::-1], strict=True)]
    image.SetExtent([index for pair in bounds for index in pair])
    scalars = numpy_to_vtk(values.ravel(), deep=True, array_type=get_vtk_array_type(values.dtype))
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)


def image_of_array(array: np.ndarray) -> vtk.vtkImageData:
    """A new vtkImageData in index space (origin 0, spacing 1), as MRML volume nodes expect it."""
    image = vtk.vtkImageData()
    set_image_scalars(image, array)
    return image


def array_of_image(image: Any) -> np.ndarray:
    """A [k, j, i] copy of the scalars of a one-component vtkImageData."""
    i, j, k = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i).copy()
