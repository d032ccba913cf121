"""Where contours cut through voxels: the pieces of each voxel that lie in the same set of contours.

A voxel at a border belongs partly to several compartments. Its pieces ("parcels") carry the exact set of
contours they lie in, so that set operations (liver without tumours, normal liver inside a territory) and
volumes stay exact whatever the grids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..imaging.geometry import VolumeGeometry
from ..imaging.volume import Volume

MAXIMUM_CONTOURS = 63


@dataclass(frozen=True, eq=False)
class Parcels:
    """Pieces of voxels, each inside one set of contours.

    Parameters
    ----------
    geometry : VolumeGeometry
        The grid whose voxels are divided.
    names : tuple of str
        Contours; the n-th is bit n of ``code``.
    voxel : ndarray of shape (n,), int64
        Flat index of the voxel in [k, j, i] order.
    code : ndarray of shape (n,), uint64
        Set of contours the piece lies in; never 0.
    volume_ml : ndarray of shape (n,)
        Size of the piece.
    """

    geometry: VolumeGeometry
    names: tuple[str, ...]
    voxel: np.ndarray
    code: np.ndarray
    volume_ml: np.ndarray

    def bit(self, name: str) -> np.uint64:
        """Mask of one contour."""
        return np.uint64(1) << np.uint64(self.names.index(name))

    def bits(self, names: Sequence[str]) -> np.uint64:
        """Mask of several contours together."""
        mask = np.uint64(0)
        for name in names:
            mask |= self.bit(name)
        return mask

    def occupancy(self, chosen: np.ndarray) -> np.ndarray:
        """Filled share of every voxel by the chosen pieces (boolean over parcels), shape (k, j, i)."""
        size = int(np.prod(self.geometry.shape_kji))
        volume = np.bincount(self.voxel[chosen], self.volume_ml[chosen], minlength=size)
        return (volume / self.geometry.voxel_volume_ml).reshape(self.geometry.shape_kji)


def _groups_by_grid(contours: Sequence[Volume]) -> list[tuple[VolumeGeometry, np.ndarray]]:
    """One code volume for all contours of each grid."""
    from ..imaging.geometry import same_grid

    groups: list[tuple[VolumeGeometry, np.ndarray]] = []
    for number, contour in enumerate(contours):
        code = next((code for geometry, code in groups if same_grid(geometry, contour.geometry)), None)
        if code is None:
            code = np.zeros(contour.geometry.shape_kji, dtype=np.uint64)
            groups.append((contour.geometry, code))
        code[contour.array.astype(bool)] |= np.uint64(1) << np.uint64(number)
    return groups


def _reach(code: np.ndarray, source: VolumeGeometry, target: VolumeGeometry) -> tuple[np.ndarray, np.ndarray] | None:
    """First and past-the-last target index (k, j, i) that contours on the source grid can touch."""
    filled = [np.flatnonzero(code.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if any(part.size == 0 for part in filled):
        return None
    low = np.array([part[0] for part in filled])[::-1] - 0.5
    high = np.array([part[-1] for part in filled])[::-1] + 0.5
    corners = np.array(
        [[x, y, z, 1.0] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    )
    index = (corners @ (target.lps_to_ijk @ source.ijk_to_lps).T)[:, :3]
    shape = np.array(target.shape_kji)
    first = np.clip(np.floor(index.min(axis=0) + 0.5).astype(int)[::-1], 0, shape)
    last = np.clip(np.ceil(index.max(axis=0) + 0.5).astype(int)[::-1], 0, shape)
    return (first, last) if np.all(last > first) else None


def divide(
    contours: Sequence[tuple[str, Volume]], target: VolumeGeometry, samples_kji: tuple[int, int, int]
) -> Parcels:
    """Divide the voxels of a grid by contours.

    Each target voxel is probed at ``samples_kji`` evenly spaced points; a point lies in a contour when the
    contour voxel that holds it is set. Where the target's voxels are whole blocks of the contours' voxels and
    the samples fall on their centers, volumes are exact.

    Parameters
    ----------
    contours : sequence of (str, Volume)
        Name and boolean volume; grids may differ. At most 63.
    target : VolumeGeometry
        Grid to divide, in the same patient space.
    samples_kji : tuple of int
        Points per voxel along k, j, i.

    Returns
    -------
    Parcels
        Pieces inside at least one contour.
    """
    names = tuple(name for name, _ in contours)
    if len(names) > MAXIMUM_CONTOURS or len(set(names)) != len(names):
        raise InputError(
            "contours",
            f"expected at most {MAXIMUM_CONTOURS} with different names, got {len(names)} with {len(set(names))} names",
            "Leave some out, or rename those that share a name",
            "contour-names",
        )
    groups = _groups_by_grid([volume for _, volume in contours])
    counts: dict[int, np.ndarray] = {}
    reaches = [_reach(code, geometry, target) for geometry, code in groups]
    bounds = [bound for bound in reaches if bound is not None]
    if not bounds:
        return _no_parcels(target, names)
    first = np.min([bound[0] for bound in bounds], axis=0)
    last = np.max([bound[1] for bound in bounds], axis=0)
    axes = [np.arange(low, high) for low, high in zip(first, last, strict=True)]
    flat = np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), target.shape_kji).ravel()
    for offset in np.ndindex(*samples_kji):
        shift = [(step + 0.5) / count - 0.5 for step, count in zip(offset, samples_kji, strict=True)]
        code = np.zeros(flat.size, dtype=np.uint64)
        for geometry, codes in groups:
            code |= _nearest(codes, geometry, target, axes, shift)
        hit = np.flatnonzero(code)
        for value in np.unique(code[hit]):
            tally = counts.setdefault(int(value), np.zeros(flat.size, dtype=np.int32))
            tally[hit[code[hit] == value]] += 1
    if not counts:  # what there is lies between the points
        return _no_parcels(target, names)
    share = target.voxel_volume_ml / float(np.prod(samples_kji))
    voxel, code_of, volume = [], [], []
    for value, tally in sorted(counts.items()):
        filled = np.flatnonzero(tally)
        voxel.append(flat[filled])
        code_of.append(np.full(filled.size, value, dtype=np.uint64))
        volume.append(tally[filled] * share)
    return Parcels(target, names, np.concatenate(voxel), np.concatenate(code_of), np.concatenate(volume))


def probes_per_voxel(target: VolumeGeometry, contour: VolumeGeometry) -> tuple[int, int, int]:
    """Points per target voxel (k, j, i) for contours on another grid.

    One where the grids agree; else two per smallest contour voxel edge, at least 4 and at most 8 along each edge.
    """
    from ..imaging.geometry import same_grid

    if same_grid(target, contour):
        return 1, 1, 1
    step = min(contour.spacing_mm) / 2.0
    k, j, i = (int(np.clip(np.ceil(spacing / step), 4, 8)) for spacing in target.spacing_mm[::-1])
    return k, j, i


def _no_parcels(target: VolumeGeometry, names: tuple[str, ...]) -> Parcels:
    empty = np.zeros(0)
    return Parcels(target, names, empty.astype(np.int64), empty.astype(np.uint64), empty)


def _nearest(
    codes: np.ndarray, source: VolumeGeometry, target: VolumeGeometry, axes: list[np.ndarray], shift_kji: list[float]
) -> np.ndarray:
    """Code of the source voxel that holds each shifted target voxel center; 0 outside the source grid."""
    matrix = source.lps_to_ijk @ target.ijk_to_lps
    k, j, i = (axis + step for axis, step in zip(axes, shift_kji, strict=True))
    index = []
    inside = np.ones((len(k), len(j), len(i)), dtype=bool)
    for row, length in zip((2, 1, 0), codes.shape, strict=True):
        position = (
            (matrix[row, 2] * k)[:, None, None]
            + (matrix[row, 1] * j)[None, :, None]
            + (matrix[row, 0] * i)[None, None, :]
            + matrix[row, 3]
        )
        # Positions on a border between voxels are the lower voxel's, whatever the rounding of the matrix.
        nearest = np.ceil(position - 0.5 - 1e-6).astype(np.int32)
        inside &= (nearest >= 0) & (nearest < length)
        index.append(np.clip(nearest, 0, length - 1))
    return np.where(inside, codes[tuple(index)], np.uint64(0)).ravel()
