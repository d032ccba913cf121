"""The grid doses are computed on: the contours' own, joined or divided by whole factors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..imaging.geometry import VolumeGeometry
from ..imaging.volume import Volume


def dose_grid(
    reference: VolumeGeometry, contours: Iterable[Volume], wanted_mm: float, margin_mm: float
) -> tuple[VolumeGeometry, tuple[int, int, int]]:
    """A grid whose voxels are whole blocks of contour voxels, or whole parts of them.

    So contours cut its voxels at known places, volumes come out exact, and dose maps before and after treatment
    lie on one grid.

    Parameters
    ----------
    reference : VolumeGeometry
        Grid the liver was drawn on.
    contours : iterable of Volume
        What has to be covered.
    wanted_mm : float
        Edge length to come near.
    margin_mm : float
        Room around the contours, for energy that leaves them.

    Returns
    -------
    VolumeGeometry
    tuple of int
        Points per voxel (k, j, i) at which contours must be probed.
    """
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for contour in contours:
        filled = [np.flatnonzero(contour.array.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
        first = np.array([part[0] for part in filled])[::-1] - 0.5
        last = np.array([part[-1] for part in filled])[::-1] + 0.5
        corners = np.array(
            [[x, y, z, 1.0] for x in (first[0], last[0]) for y in (first[1], last[1]) for z in (first[2], last[2])]
        )
        index = (corners @ (reference.lps_to_ijk @ contour.geometry.ijk_to_lps).T)[:, :3]
        low, high = np.minimum(low, index.min(axis=0)), np.maximum(high, index.max(axis=0))
    matrix = reference.ijk_to_lps.copy()
    shape_ijk, samples_ijk = [], []
    start = np.zeros(3)
    for axis, spacing in enumerate(reference.spacing_mm):
        begin = int(np.floor(low[axis] + 0.5 - margin_mm / spacing))
        end = int(np.ceil(high[axis] + 0.5 + margin_mm / spacing))
        if spacing >= 1.5 * wanted_mm:
            parts = round(spacing / wanted_mm)
            matrix[:3, axis] /= parts
            start[axis] = begin - 0.5 + 0.5 / parts
            shape_ijk.append((end - begin) * parts)
            samples_ijk.append(1)
        else:
            block = max(1, round(wanted_mm / spacing))
            matrix[:3, axis] *= block
            start[axis] = begin - 0.5 + 0.5 * block
            shape_ijk.append(-(-(end - begin) // block))
            samples_ijk.append(block)
    matrix[:3, 3] = (reference.ijk_to_lps @ np.array([*start, 1.0]))[:3]
    shape = tuple(shape_ijk[::-1])
    return VolumeGeometry(shape, matrix), tuple(samples_ijk[::-1])  # type: ignore[arg-type, return-value]
