"""From activity to what the scanners hand over: MAA SPECT in counts, 90Y PET in Bq/mL, attenuation CTs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GeometryError
from ..imaging.geometry import VolumeGeometry
from ..imaging.volume import Volume
from ..units import BQ_PER_MBQ
from .anatomy import Anatomy
from .tissues import SIGMA_PER_FWHM, Tissue, correlated_noise

CT_RANGE_HU = (-1024, 3071)


@dataclass(frozen=True)
class RigidMove:
    """How a scan lies against the diagnostic CT: points of the image's frame are mapped to the diagnostic CT's.

    Parameters
    ----------
    angles_deg : tuple of float
        Turns about the axes L, P, S, in SimpleITK's Euler3DTransform order (about L after P, then S),
        about the center of the diagnostic CT.
    shift_mm : tuple of float
        Shift after the turn, LPS.
    """

    angles_deg: tuple[float, float, float]
    shift_mm: tuple[float, float, float]

    def matrix_lps(self, center_lps_mm: np.ndarray) -> np.ndarray:
        """The 4x4 matrix of the move, about a center."""
        (sx, sy, sz), (cx, cy, cz) = (f(np.radians(self.angles_deg)) for f in (np.sin, np.cos))
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        matrix = np.eye(4)
        matrix[:3, :3] = about_z @ about_x @ about_y
        matrix[:3, 3] = center_lps_mm + np.asarray(self.shift_mm) - matrix[:3, :3] @ center_lps_mm
        return matrix


@dataclass(frozen=True)
class AcquisitionParameters:
    """The scanners.

    Parameters
    ----------
    spect_spacing_mm, pet_spacing_mm, ct_in_plane_mm
        Voxels of the emission images; pixels of their CTs, which have the emission images' slices.
    spect_fwhm_mm, pet_fwhm_mm : float
        Resolution of the finished images, the voxel's own share included.
    spect_counts : float
        Expected counts in the whole SPECT.
    pet_cov_at_1_mbq_ml : float
        Coefficient of variation of a PET voxel at 1 MBq/mL; it grows as 1/sqrt(activity) up to
        ``pet_cov_limit``.
    pet_bias_bq_ml : float
        False activity everywhere in the body, as seen in low-count 90Y PET.
    ct_noise_hu, ac_ct_noise_hu : float
        Noise of the diagnostic and of the low-dose CTs.
    margin_mm : float
        How far the emission images and their CTs reach beyond the diagnostic CT sideways.
    spect_to_ct, pet_to_ct : RigidMove
        Known misalignments.
    """

    spect_spacing_mm: tuple[float, float, float] = (4.4196, 4.4196, 4.4196)
    pet_spacing_mm: tuple[float, float, float] = (4.0728, 4.0728, 3.0)
    ct_in_plane_mm: float = 2.6
    spect_fwhm_mm: float = 12.0
    pet_fwhm_mm: float = 6.5
    spect_counts: float = 6.0e6
    pet_cov_at_1_mbq_ml: float = 0.30
    pet_cov_limit: float = 1.5
    pet_bias_bq_ml: float = 4000.0
    ct_noise_hu: float = 11.0
    ac_ct_noise_hu: float = 28.0
    margin_mm: float = 36.0
    spect_to_ct: RigidMove = RigidMove((1.4, -0.9, 1.8), (3.5, -2.5, 6.0))
    pet_to_ct: RigidMove = RigidMove((-0.8, 1.2, -1.5), (-4.0, 2.0, -6.5))


def surrounding_grid(
    geometry: VolumeGeometry, spacing_mm: tuple[float, float, float], margin_mm: float
) -> VolumeGeometry:
    """An unturned grid about the same center, larger by a margin sideways and not along z."""
    corners = geometry.corners_lps_mm()
    extent = corners.max(axis=0) - corners.min(axis=0) + np.array([2.0 * margin_mm, 2.0 * margin_mm, 0.0])
    size = np.ceil(extent / np.asarray(spacing_mm) - 1e-6).astype(int)
    # Scanners' matrices have even numbers of pixels; ours at least those.
    size[:2] += size[:2] % 2
    origin = corners.mean(axis=0) - (size - 1) / 2.0 * np.asarray(spacing_mm)
    return VolumeGeometry.from_components(
        (int(size[2]), int(size[1]), int(size[0])),
        spacing_mm=spacing_mm,
        origin_lps_mm=tuple(np.round(origin, 3).tolist()),  # type: ignore[arg-type]
    )


def deposit(activity: Volume, grid: VolumeGeometry, image_to_ct: np.ndarray) -> np.ndarray:
    """Put every voxel's activity onto a moved, coarser grid without loss.

    Each source voxel is shared among the eight nearest target voxels by distance, so total and center of
    mass stay what they are; the target's values are activity per voxel.

    Parameters
    ----------
    activity : Volume
        Activity per voxel.
    grid : VolumeGeometry
        Target, in the image's own frame of reference.
    image_to_ct : ndarray of shape (4, 4)
        Maps the image's frame to the activity's.

    Raises
    ------
    GeometryError
        Where activity lies outside the target.
    """
    k, j, i = np.nonzero(activity.array)
    to_target = grid.lps_to_ijk @ np.linalg.inv(image_to_ct) @ activity.geometry.ijk_to_lps
    index = np.stack([i, j, k], axis=1) @ to_target[:3, :3].T + to_target[:3, 3]
    low = np.floor(index).astype(np.int64)
    share = index - low
    nk, nj, ni = grid.shape_kji
    if low.size and (low.min() < 0 or np.any(low.max(axis=0) + 1 >= (ni, nj, nk))):
        raise GeometryError("emission image", "some activity lies outside its field", "Choose a larger field")
    values = activity.array[k, j, i].astype(np.float64)
    flat = np.zeros(nk * nj * ni)
    for corner in np.ndindex(2, 2, 2):
        weight = values.copy()
        for axis, upper in enumerate(corner):
            weight *= share[:, axis] if upper else 1.0 - share[:, axis]
        place = ((low[:, 2] + corner[2]) * nj + low[:, 1] + corner[1]) * ni + low[:, 0] + corner[0]
        flat += np.bincount(place, weights=weight, minlength=flat.size)
    return flat.reshape(grid.shape_kji)


def emission_image(activity: Volume, grid: VolumeGeometry, image_to_ct: np.ndarray, fwhm_mm: float) -> np.ndarray:
    """Activity per voxel of a moved grid at a scanner's resolution, before noise."""
    from scipy.ndimage import gaussian_filter

    # Sharing among eight voxels blurs with variance h^2/6 along each axis; the rest is the scanner's.
    spacing = np.asarray(grid.spacing_mm)
    sigma_mm = np.sqrt(np.maximum((fwhm_mm * SIGMA_PER_FWHM) ** 2 - spacing**2 / 6.0, 0.0))
    sharp = deposit(activity, grid, image_to_ct)
    return gaussian_filter(sharp, (sigma_mm / spacing)[::-1], mode="constant", truncate=5.0)


def spect_counts(expected_mbq: np.ndarray, total_counts: float, rng: np.random.Generator) -> np.ndarray:
    """Poisson counts in proportion to the activity, as uint16."""
    expected = np.maximum(expected_mbq, 0.0) * (total_counts / expected_mbq.sum())
    return np.minimum(rng.poisson(expected), np.iinfo(np.uint16).max).astype(np.uint16)


def pet_bq_ml(
    expected_mbq: np.ndarray,
    grid: VolumeGeometry,
    body_share: np.ndarray,
    parameters: AcquisitionParameters,
    rng: np.random.Generator,
) -> np.ndarray:
    """PET with bias and noise, in Bq/mL.

    The noise is lognormal, so nothing is negative and the mean stays, and correlated at the resolution.
    """
    mean = expected_mbq * (BQ_PER_MBQ / grid.voxel_volume_ml) + parameters.pet_bias_bq_ml * body_share
    cov = parameters.pet_cov_at_1_mbq_ml / np.sqrt(np.maximum(mean, 1.0) / BQ_PER_MBQ)
    variance = np.log1p(np.minimum(cov, parameters.pet_cov_limit) ** 2)
    noise = correlated_noise(rng, grid.shape_kji, grid.spacing_mm, parameters.pet_fwhm_mm)
    return np.maximum(mean, 0.0) * np.exp(np.sqrt(variance) * noise - variance / 2.0)


def sample_world(
    anatomy: Anatomy, world: np.ndarray, grid: VolumeGeometry, image_to_ct: np.ndarray, outside: float
) -> np.ndarray:
    """Values of the lengthened patient at the voxels of a moved grid, linearly interpolated."""
    from scipy.ndimage import affine_transform

    matrix = anatomy.world_geometry.lps_to_ijk @ image_to_ct @ grid.ijk_to_lps
    return affine_transform(
        world.astype(np.float32),
        matrix[2::-1, 2::-1],
        offset=matrix[2::-1, 3],
        output_shape=grid.shape_kji,
        order=1,
        mode="constant",
        cval=outside,
    )


def body_share(anatomy: Anatomy, grid: VolumeGeometry, image_to_ct: np.ndarray) -> np.ndarray:
    """1 inside the body and 0 outside, on a moved grid."""
    body = (anatomy.tissue != Tissue.AIR).astype(np.float32)
    return sample_world(anatomy, body, grid, image_to_ct, 0.0)


def noisy_ct(
    hounsfield: np.ndarray, noise_hu: float, spacing_mm: tuple[float, float, float], rng: np.random.Generator
) -> np.ndarray:
    """A CT as stored: noise correlated over about a pixel, whole Hounsfield units, int16."""
    noise = correlated_noise(rng, hounsfield.shape, spacing_mm, 1.2 * spacing_mm[0])  # type: ignore[arg-type]
    return np.clip(np.rint(hounsfield + noise_hu * noise), *CT_RANGE_HU).astype(np.int16)
