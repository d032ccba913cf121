"""Rigid registration of an emission image's CT to the diagnostic CT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .sitk_images import resample, to_sitk
from .volume import Volume

SEED = 20260301
# HU outside this window carry no anatomy that a rigid fit of the trunk should follow (air inside and out, metal).
_WINDOW_HU = (-200.0, 300.0)
_MARGIN_MM = 25.0


@dataclass(frozen=True, eq=False)
class Registration:
    """A rigid map from an image's frame of reference to the diagnostic CT's.

    Parameters
    ----------
    matrix_lps : ndarray of shape (4, 4)
        Maps points, mm.
    quality : float
        Correlation of the two CTs' windowed HU in the region of the liver after registration, -1 to 1.
    quality_before : float
        The same without moving anything.
    method : str
    """

    matrix_lps: np.ndarray
    quality: float
    quality_before: float
    method: str


def identity(reason: str) -> Registration:
    """No movement, and why: the image shares the diagnostic CT's frame of reference."""
    return Registration(np.eye(4), 1.0, 1.0, reason)


def _windowed(volume: Volume) -> Volume:
    return Volume(np.clip(volume.array, *_WINDOW_HU).astype(np.float32), volume.geometry)


def _correlation(fixed: np.ndarray, moving: np.ndarray, mask: np.ndarray) -> float:
    first, second = fixed[mask].astype(float), moving[mask].astype(float)
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / norm) if norm > 0.0 else 0.0


def _region(fixed: Volume, liver: np.ndarray | None) -> np.ndarray:
    """Voxels near the liver, or inside the body where no liver is drawn."""
    from scipy.ndimage import binary_dilation

    if liver is None or not liver.any():
        return fixed.array > _WINDOW_HU[0]
    box = tuple(slice(int(p.min()), int(p.max()) + 1) for p in np.nonzero(liver))
    margin = [int(np.ceil(_MARGIN_MM / s)) for s in fixed.geometry.spacing_mm[::-1]]
    grown = tuple(
        slice(max(0, part.start - m), min(n, part.stop + m))
        for part, m, n in zip(box, margin, liver.shape, strict=True)
    )
    near = np.zeros(liver.shape, dtype=bool)
    steps = max(1, int(round(_MARGIN_MM / max(fixed.geometry.spacing_mm))))
    near[grown] = binary_dilation(liver[grown], iterations=steps)
    return near


def register_rigid(
    fixed: Volume, moving: Volume, liver: np.ndarray | None = None, step: Callable[[], None] | None = None
) -> Registration:
    """Find the rigid movement that lays one CT on another.

    Mattes mutual information over three resolutions on the whole trunk, then correlation near the liver: the
    trunk finds the movement, the liver's own surroundings fix it where doses are read. Samples are drawn
    with a fixed seed, so the same images give the same matrix.

    Parameters
    ----------
    fixed : Volume
        Diagnostic CT, HU.
    moving : Volume
        CT of the emission image, HU.
    liver : ndarray of bool, optional
        On the fixed grid.
    step : callable, optional
        Called after each stage, for progress.

    Returns
    -------
    Registration
        With its quality figure.
    """
    import SimpleITK as sitk

    def report() -> None:
        if step is not None:
            step()

    fixed_volume, moving_volume = _windowed(fixed), _windowed(moving)
    fixed_image, moving_image = to_sitk(fixed_volume), to_sitk(moving_volume)
    region = _region(fixed, liver)
    center = _center_mm(fixed, region)

    def euler(previous: sitk.Transform | None) -> sitk.Euler3DTransform:
        transform = sitk.Euler3DTransform()
        transform.SetCenter(center)
        if previous is not None:
            transform.SetParameters(previous.GetParameters())
        return transform

    def optimize(start: sitk.Euler3DTransform, shrink: list[int], smooth: list[float], local: bool) -> sitk.Euler3DTransform:
        method = sitk.ImageRegistrationMethod()
        if local:
            method.SetMetricAsCorrelation()
            method.SetMetricFixedMask(to_sitk_mask(region, fixed))
        else:
            method.SetMetricAsMattesMutualInformation(48)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentagePerLevel([min(1.0, 0.02 * s**2) for s in shrink], SEED)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetShrinkFactorsPerLevel(shrink)
        method.SetSmoothingSigmasPerLevel(smooth)
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=1.0, minStep=1e-4, numberOfIterations=120, relaxationFactor=0.6, gradientMagnitudeTolerance=1e-7
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(start, inPlace=True)
        method.Execute(fixed_image, moving_image)
        return start

    transform = optimize(euler(None), [4, 2], [4.0, 2.0], local=False)
    report()
    if liver is not None and liver.any():
        transform = optimize(euler(transform), [2, 1], [1.5, 0.7], local=True)
        report()
    # The optimizer maps fixed points to moving ones; the case keeps the other direction.
    matrix = np.linalg.inv(_matrix(transform))
    result = _quality(fixed_volume, moving_volume, region, matrix)
    before = _quality(fixed_volume, moving_volume, region, np.eye(4))
    report()
    return Registration(matrix, result, before, "rigid, CT to CT: mutual information, then correlation near the liver")


def to_sitk_mask(mask: np.ndarray, like: Volume):  # noqa: ANN201
    """A mask on a volume's grid as an 8-bit image."""
    return to_sitk(Volume(mask, like.geometry), np.uint8)


def _center_mm(fixed: Volume, region: np.ndarray) -> list[float]:
    middle = [float(np.mean(np.flatnonzero(region.any(axis=tuple(a for a in range(3) if a != n))))) for n in range(3)]
    point = fixed.geometry.ijk_to_lps @ np.array([*middle[::-1], 1.0])
    return [float(x) for x in point[:3]]


def _matrix(transform) -> np.ndarray:  # noqa: ANN001
    """4x4 matrix of a centered Euler transform."""
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    center, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = center + shift - rotation @ center
    return matrix


def _quality(fixed: Volume, moving: Volume, region: np.ndarray, matrix: np.ndarray) -> float:
    nowhere = -1.0e6
    carried = resample(moving, fixed.geometry, matrix, outside=nowhere).array
    common = region & (carried > nowhere / 2)
    return _correlation(fixed.array, carried, common) if common.sum() > 1000 else 0.0
