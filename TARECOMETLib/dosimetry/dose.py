"""Dose maps from activity maps: local deposition and convolution with the voxel kernel."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

from ..errors import InputError
from ..physics.nuclides import ConstantsSet
from ..physics.voxel_kernel import VoxelKernel
from ..units import G_PER_KG, MBQ_PER_GBQ


def require_finite(array: np.ndarray, where: str) -> None:
    """Refuse NaN and infinity, saying how many voxels hold them."""
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise InputError(
            where,
            f"{bad} of {array.size} voxels are not numbers (NaN or infinite)",
            "Export the image again or repair these voxels",
            code="not-finite",
        )


def dose_per_activity_gy_g_per_mbq(constants: ConstantsSet) -> float:
    """K in Gy g/MBq: what one MBq at injection leaves in one gram that absorbs all of it."""
    return constants.gy_kg_per_gbq * G_PER_KG / MBQ_PER_GBQ


def local_dose_gy(activity_mbq: np.ndarray, mass_g: np.ndarray | float, constants: ConstantsSet) -> np.ndarray:
    """Dose where every decay's energy stays in its voxel: D = K A / m.

    Parameters
    ----------
    activity_mbq : ndarray of shape (k, j, i)
        Activity per voxel at injection; microspheres stay, so all of it decays there.
    mass_g : float or ndarray of the same shape
        Mass per voxel.
    """
    require_finite(activity_mbq, "activity")
    return dose_per_activity_gy_g_per_mbq(constants) * activity_mbq / mass_g


def transform_threads() -> int:
    """Threads of a transform: ``OMP_NUM_THREADS`` where it is set, so that processes side by side share cores."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else os.cpu_count() or 1


def _support(array: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Smallest box with all non-zero voxels."""
    filled = array != 0
    slices = []
    for axis in range(3):
        used = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        if used.size == 0:
            return None
        slices.append(slice(int(used[0]), int(used[-1]) + 1))
    return slices[0], slices[1], slices[2]


@lru_cache(maxsize=4)
def _transfer_function(kernel: VoxelKernel, shape: tuple[int, int, int]) -> np.ndarray:
    """Fourier transform of the kernel on a padded grid, by cosine sums: the kernel is even, so it is real.

    Three small matrix products cost a fraction of the transform of the zero-padded kernel. The last axis
    holds the half spectrum of a real transform. Kept for the next map on the same grid.
    """
    result = kernel.octant.astype(np.float32)
    for axis, length in enumerate(shape):
        count = length // 2 + 1
        offsets = np.arange(result.shape[0])
        cosine = np.cos(2.0 * np.pi / length * np.outer(np.arange(count), offsets))
        cosine[:, 1:] *= 2.0
        # tensordot takes axis 0 off the front and puts the new one at the end: three turns restore the order.
        result = np.tensordot(result, cosine.astype(np.float32), axes=(0, 1))
        if axis < 2:
            mirrored = result[..., 1 : length - count + 1]
            result = np.concatenate((result, mirrored[..., ::-1]), axis=-1)
    return result


def convolve(energy_source: np.ndarray, kernel: VoxelKernel) -> np.ndarray:
    """Spread what decays in each voxel by the kernel's energy fractions; nothing wraps around the borders.

    The transform covers the box of voxels with activity plus the kernel's reach, not the whole grid. Energy that
    leaves the grid is lost, as it leaves the patient region that is looked at.

    Parameters
    ----------
    energy_source : ndarray of shape (k, j, i)
        Energy (or activity) emitted per voxel, in any unit.
    kernel : VoxelKernel
        For the same voxel spacing.

    Returns
    -------
    ndarray of shape (k, j, i), float32
        Energy left per voxel, in the same unit.
    """
    from scipy import fft

    source = np.asarray(energy_source)
    result = np.zeros(source.shape, dtype=np.float32)
    box = _support(source)
    if box is None:
        return result
    workers = transform_threads()
    starts, sizes, padded, targets = [], [], [], []
    for part, half, length in zip(box, kernel.half_width_kji, source.shape, strict=True):
        extent = part.stop - part.start
        before = min(half, part.start)
        after = min(half, length - part.stop)
        # Long enough that an image of the activity, one period away, stays out of reach of every voxel kept.
        padded.append(fft.next_fast_len(extent + half + max(before, after), real=True))
        starts.append(before)
        sizes.append(before + extent + after)
        targets.append(slice(part.start - before, part.stop + after))
    grid = np.zeros(padded, dtype=np.float32)
    place = tuple(slice(before, before + part.stop - part.start) for before, part in zip(starts, box, strict=True))
    grid[place] = source[box]
    spectrum = fft.rfftn(grid, workers=workers)
    spectrum *= _transfer_function(kernel, tuple(padded))  # type: ignore[arg-type]
    spread = fft.irfftn(spectrum, s=padded, workers=workers, overwrite_x=True)
    result[tuple(targets)] = spread[tuple(slice(0, size) for size in sizes)]
    return result


def kernel_dose_gy(
    sources: list[tuple[np.ndarray, VoxelKernel]], mass_g: np.ndarray | float, constants: ConstantsSet
) -> np.ndarray:
    """Dose by transport: each tissue's activity is spread by its own kernel and divided by the target's mass.

    Parameters
    ----------
    sources : list of (ndarray of shape (k, j, i), VoxelKernel)
        Activity in MBq per voxel at injection and the kernel of the tissue that holds it.
    mass_g : float or ndarray of shape (k, j, i)
        Mass per target voxel.

    Returns
    -------
    ndarray of shape (k, j, i), float32
    """
    energy: np.ndarray | None = None
    for activity_mbq, kernel in sources:
        require_finite(activity_mbq, "activity")
        part = convolve(activity_mbq, kernel)
        energy = part if energy is None else energy + part
    if energy is None:
        raise ValueError("expected at least one source")
    return (dose_per_activity_gy_g_per_mbq(constants) * energy / mass_g).astype(np.float32)
