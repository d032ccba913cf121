"""Deformable registration by B-splines as an option: Jacobian limits, and transport that keeps activity."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .geometry import VolumeGeometry
from .registration import SEED, prepared_ct, region_of_fit, single_thread
from .sitk_images import to_sitk
from .volume import Volume

# Liver tissue is neither squeezed to half nor drawn to double its volume by breathing.
JACOBIAN_LIMITS = (0.5, 2.0)
_CONTROL_SPACING_MM, _SAMPLES = 40.0, 60_000


@dataclass(frozen=True, eq=False)
class Deformation:
    """A map from points of the diagnostic image to points of the emission image's frame.

    Parameters
    ----------
    displacement_lps_mm : ndarray of shape (k, j, i, 3)
        Added to a point of ``geometry`` after the rigid map.
    geometry : VolumeGeometry
        Grid of the displacements, in the diagnostic image's space.
    matrix_lps : ndarray of shape (4, 4)
        Rigid part, emission image's frame to diagnostic.
    jacobian_range : tuple of float
        Least and greatest local change of volume near the liver.
    largest_mm : float
        Largest displacement near the liver beyond the rigid map.
    quality, quality_rigid : float
        Correlation of the two CTs near the liver with the deformation and without.
    """

    displacement_lps_mm: np.ndarray
    geometry: VolumeGeometry
    matrix_lps: np.ndarray
    jacobian_range: tuple[float, float]
    largest_mm: float
    quality: float
    quality_rigid: float

    @property
    def within_limits(self) -> bool:
        """Whether no tissue near the liver is folded, or squeezed or drawn beyond the limits."""
        return JACOBIAN_LIMITS[0] <= self.jacobian_range[0] and self.jacobian_range[1] <= JACOBIAN_LIMITS[1]


def registering_deformable(
    fixed: Volume, moving: Volume, liver: Volume, matrix_lps: np.ndarray, where: str = "registration"
) -> Generator[tuple[float, str], None, Deformation]:
    """Refine a rigid registration of two CTs by B-splines of 40 mm; a generator of (share done, what).

    Parameters
    ----------
    fixed, moving : Volume
        Diagnostic CT and the emission image's own, HU.
    liver : Volume of bool
        In the diagnostic image's space.
    matrix_lps : ndarray of shape (4, 4)
        The rigid registration it starts from, emission image's frame to diagnostic.
    where : str
        Image's name for messages.

    Raises
    ------
    InputError
        Where the images cannot be fitted.
    """
    import SimpleITK as sitk

    yield 0.05, "averaging to the registration's grid"
    still = _cropped(prepared_ct(fixed), region_of_fit(fixed, liver))
    region = _on_grid(region_of_fit(fixed, liver), still.geometry)
    # The moving image's grid is carried by the rigid map: the splines begin at rest.
    other = prepared_ct(moving)
    other = Volume(other.array, other.geometry.transformed(matrix_lps))
    first, second = to_sitk(still), to_sitk(other)
    size = np.array(still.geometry.shape_kji[::-1]) * np.array(still.geometry.spacing_mm)
    mesh = [max(2, round(float(extent) / _CONTROL_SPACING_MM)) for extent in size]
    splines = sitk.BSplineTransformInitializer(first, mesh, 3)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(to_sitk(Volume(region, still.geometry), np.uint8))
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, _SAMPLES / still.array.size), SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([2.0, 0.7])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-6, numberOfIterations=40, maximumNumberOfFunctionEvaluations=120
    )
    method.SetInitialTransform(splines, inPlace=True)
    yield 0.2, "fitting splines near the liver"
    try:
        with single_thread():
            method.Execute(first, second)
    except RuntimeError:
        raise InputError(
            where, "its CT cannot be deformed onto the diagnostic CT", "Use the rigid registration", "cannot-register"
        ) from None
    yield 0.8, "judging the deformation"
    field = _displacement(splines, first)
    jacobian = jacobian_determinant(field, still.geometry)[region]
    length = np.linalg.norm(field, axis=-1)[region]
    moved = _sampled(other, still.geometry, field)
    plain = _sampled(other, still.geometry, np.zeros_like(field))
    return Deformation(
        field,
        still.geometry,
        np.asarray(matrix_lps, dtype=float),
        (float(jacobian.min()), float(jacobian.max())),
        float(length.max()),
        _correlation(still.array[region], moved[region]),
        _correlation(still.array[region], plain[region]),
    )


def _displacement(splines: Any, reference: Any) -> np.ndarray:
    import SimpleITK as sitk

    make = sitk.TransformToDisplacementFieldFilter()
    make.SetReferenceImage(reference)
    return sitk.GetArrayFromImage(make.Execute(splines)).astype(np.float64)


def _cropped(volume: Volume, region: Volume) -> Volume:
    """A volume around a region on another grid of the same space, with a margin for the splines."""
    corners = region.geometry.corners_lps_mm()
    index = (np.c_[corners, np.ones(8)] @ volume.geometry.lps_to_ijk.T)[:, 2::-1]
    shape = np.array(volume.geometry.shape_kji)
    low = np.clip(np.floor(index.min(axis=0)).astype(int), 0, shape - 1)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, low + 1, shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part = volume.array[box]
    return Volume(part, volume.geometry.cropped(tuple(int(x) for x in low), part.shape))  # type: ignore[arg-type]


def _on_grid(region: Volume, grid: VolumeGeometry) -> np.ndarray:
    from .sitk_images import resample

    return resample(region, grid, np.eye(4), outside=0.0).array > 0.5


def jacobian_determinant(displacement_lps_mm: np.ndarray, geometry: VolumeGeometry) -> np.ndarray:
    """Local change of volume of x → x + u(x), shape (k, j, i): above 1 where tissue is drawn out."""
    by_index = np.stack([np.gradient(displacement_lps_mm, axis=axis) for axis in (2, 1, 0)], axis=-1)
    # du/dx = du/dindex · dindex/dx
    gradient = by_index @ geometry.lps_to_ijk[:3, :3]
    return np.linalg.det(np.eye(3) + gradient)


def _sampled(moving: Volume, grid: VolumeGeometry, displacement_lps_mm: np.ndarray, outside: float = 0.0) -> np.ndarray:
    """Values of an image at displaced points of a grid, linear; both in the same space."""
    from scipy.ndimage import map_coordinates

    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape_kji), indexing="ij")
    index = np.stack([i, j, k, np.ones_like(i)], axis=-1).astype(float)
    points = index @ grid.ijk_to_lps.T
    points[..., :3] += displacement_lps_mm
    there = points @ moving.geometry.lps_to_ijk.T
    return map_coordinates(
        moving.array.astype(np.float32), [there[..., 2], there[..., 1], there[..., 0]], order=1, cval=outside
    )


def transport_density(density: Volume, deformation: Deformation) -> Volume:
    """Activity per mL carried through a deformation: value at the displaced point times the change of volume.

    The product keeps the activity of every piece of tissue: ∫ ρ(T(x)) |J_T(x)| dx = ∫ ρ(y) dy.

    Parameters
    ----------
    density : Volume
        Activity per mL in the emission image's frame.
    deformation : Deformation

    Returns
    -------
    Volume
        Activity per mL on the deformation's grid.
    """
    carried = Volume(density.array, density.geometry.transformed(deformation.matrix_lps))
    values = _sampled(carried, deformation.geometry, deformation.displacement_lps_mm)
    change = jacobian_determinant(deformation.displacement_lps_mm, deformation.geometry)
    return Volume((values * change).astype(np.float32), deformation.geometry)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first.astype(float) - first.mean(), second.astype(float) - second.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 0.0 else 0.0
