"""Between Volume and SimpleITK's images."""

from __future__ import annotations

from typing import Any

import numpy as np

from .geometry import VolumeGeometry
from .volume import Volume


def to_sitk(volume: Volume, dtype: type = np.float32) -> Any:
    """A SimpleITK image of the same values and place."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(volume.array.astype(dtype))
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_lps_mm)
    image.SetDirection(volume.geometry.direction_lps.ravel().tolist())
    return image


def affine_transform(matrix_lps: np.ndarray) -> Any:
    """A SimpleITK transform that maps points by a 4x4 matrix."""
    import SimpleITK as sitk

    transform = sitk.AffineTransform(3)
    transform.SetMatrix(np.asarray(matrix_lps)[:3, :3].ravel().tolist())
    transform.SetTranslation(np.asarray(matrix_lps)[:3, 3].tolist())
    return transform


def resample(
    volume: Volume, target: VolumeGeometry, matrix_lps: np.ndarray, *, cubic: bool = False, outside: float
) -> Volume:
    """Values of an image at another grid's voxel centers.

    Parameters
    ----------
    volume : Volume
        Values per volume (concentration, HU), never per voxel: those would not keep their sum.
    target : VolumeGeometry
        Grid wanted.
    matrix_lps : ndarray of shape (4, 4)
        Maps points of the image's space to the target's.
    cubic : bool
        Cubic B-spline instead of linear. It adds no blur of its own, where linear interpolation of 4 mm voxels
        widens a 6.5 mm resolution to 7.6 mm; it may undershoot beside steep edges.
    outside : float
        Value where the image does not reach.
    """
    import SimpleITK as sitk

    reference = sitk.Image([int(n) for n in target.shape_kji[::-1]], sitk.sitkUInt8)
    reference.SetSpacing(target.spacing_mm)
    reference.SetOrigin(target.origin_lps_mm)
    reference.SetDirection(target.direction_lps.ravel().tolist())
    result = sitk.Resample(
        to_sitk(volume),
        reference,
        affine_transform(np.linalg.inv(matrix_lps)),
        sitk.sitkBSpline3 if cubic else sitk.sitkLinear,
        float(outside),
        sitk.sitkFloat32,
    )
    return Volume(sitk.GetArrayFromImage(result), target)
