"""The gamma index as a search over shells of points around each reference point, as pymedphys does it.

The same shells, the same points on them and the same linear interpolation, so that published figures can be
reproduced; the least value over these points lies above the true minimum by up to a step. Wendling et al. 2007
(doi:10.1118/1.2721657).
"""

from __future__ import annotations

import itertools

import numpy as np

from .cells import Cells

# Beyond this many different places between voxels, weights are not shared any more.
_MOST_GROUPS = 64


def shell_points(distance: float, step: float) -> np.ndarray:
    """Points on a sphere no more than about a step apart, shape (n, 3), the axis of rows last."""
    if distance == 0.0:
        return np.zeros((1, 3))
    elevations = np.linspace(0.0, np.pi, int(np.ceil(np.pi * distance / step)) + 1)
    rings = []
    for elevation in elevations:
        radius = distance * np.sin(elevation)
        count = int(np.ceil(2.0 * np.pi * radius / step)) + 1
        azimuth = np.linspace(0.0, 2.0 * np.pi, count + 1)[:-1]
        height = np.full(count, distance * np.cos(elevation))
        rings.append(np.stack((radius * np.cos(azimuth), radius * np.sin(azimuth), height), axis=1))
    return np.concatenate(rings)


def shell_gamma(
    cells: Cells,
    points_ijk: np.ndarray,
    reference_gy: np.ndarray,
    criterion_gy: np.ndarray,
    maximum: float,
    steps_per_criterion: int,
) -> np.ndarray:
    """Gamma of reference points as pymedphys finds it, at most ``maximum``; parameters as ``exact_gamma``.

    Parameters
    ----------
    steps_per_criterion : int
        Shells within the distance criterion: 10 in Wendling's paper and by default in pymedphys.
    """
    step = 1.0 / steps_per_criterion
    shells = []
    for number in range(int(np.floor(maximum * steps_per_criterion + 1e-9)) + 1):
        # Axes in pymedphys's order, the array's: k, j, i.
        offset = shell_points(number * step, step)[:, ::-1] / cells.step
        shells.append((number * step, offset))
    found = _search(cells, points_ijk, reference_gy, criterion_gy, shells)
    return np.where(np.isfinite(found), np.minimum(found, maximum), np.nan)


def _search(
    cells: Cells, points: np.ndarray, reference_gy: np.ndarray, criterion_gy: np.ndarray, shells: list
) -> np.ndarray:
    """Least gamma of a group of points; points at the same place between voxels share the weights."""
    best = np.full(len(points), np.inf, dtype=np.float32)
    fraction = points - np.floor(points)
    aligned = bool(np.all(np.minimum(fraction, 1.0 - fraction) < 1e-6))
    if aligned:
        points = np.round(points)
        fraction = np.zeros_like(points)
    _, index = np.unique(np.round(fraction, 6), axis=0, return_inverse=True)
    order = np.argsort(index.ravel(), kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(index.ravel()[order])) + 1)
    reference, scale = reference_gy.astype(np.float32), (1.0 / criterion_gy).astype(np.float32)
    if len(groups) > _MOST_GROUPS:
        return _search_scattered(cells, points, reference, scale, shells)
    for group in groups:
        base = np.floor(points[group]).astype(np.int64)
        start = fraction[group[0]]
        best[group] = _search_group(cells, base, start, reference[group], scale[group], shells)
    return best


def _search_group(
    cells: Cells, base: np.ndarray, start: np.ndarray, reference: np.ndarray, scale: np.ndarray, shells: list
) -> np.ndarray:
    size = cells.size_ijk
    best = np.full(len(base), np.inf, dtype=np.float32)
    active = np.arange(len(base))
    for distance, offsets in shells:
        active = active[best[active] > distance]
        if active.size == 0:
            break
        place = start + offsets
        whole = np.floor(place).astype(np.int64)
        # Points that lie on voxels along an axis need no neighbor there, so the far border serves them.
        on_voxels = np.abs(place - whole) < 1e-9
        names, which = np.unique(np.hstack((whole, on_voxels)), axis=0, return_inverse=True)
        for number, name in enumerate(names):
            cell, needs_none = name[:3], name[3:].astype(bool)
            weights = _weights(place[which.ravel() == number] - cell)
            index = base[active] + cell
            ok = ((index >= 0) & (index < np.where(needs_none, size, size - 1))).all(axis=1)
            chosen, index = active[ok], index[ok]
            if chosen.size:
                _lower(cells, size, chosen, index, weights, distance, reference, scale, best)
    return best


def _search_scattered(
    cells: Cells, points: np.ndarray, reference: np.ndarray, scale: np.ndarray, shells: list
) -> np.ndarray:
    """The same for points that lie anywhere between voxels (grids turned against each other)."""
    size = cells.size_ijk
    best = np.full(len(points), np.inf, dtype=np.float32)
    active = np.arange(len(points))
    for distance, offsets in shells:
        active = active[best[active] > distance]
        if active.size == 0:
            break
        for offset in offsets:
            place = points[active] + offset
            ok = ((place >= -1e-9) & (place <= size - 1 + 1e-9)).all(axis=1)
            rows, place = active[ok], place[ok]
            inner = np.clip(np.floor(place).astype(np.int64), 0, size - 2)
            corners = cells.corners_gy(inner) - reference[rows, None]
            value = (corners * _weights(place - inner).T).sum(axis=1)
            best[rows] = np.minimum(best[rows], np.sqrt((value * scale[rows]) ** 2 + np.float32(distance) ** 2))
    return best


def _weights(parts: np.ndarray) -> np.ndarray:
    """Weights of a cell's eight corners for points at parts 0 to 1 along i, j, k, shape (8, n)."""
    x, y, z = np.clip(parts, 0.0, 1.0).T
    ends = [(1.0 - v, v) for v in (z, y, x)]
    return np.array([a * b * c for a, b, c in itertools.product(*ends)], dtype=np.float32)


def _lower(
    cells: Cells,
    size: np.ndarray,
    chosen: np.ndarray,
    index: np.ndarray,
    weights: np.ndarray,
    distance: float,
    reference: np.ndarray,
    scale: np.ndarray,
    best: np.ndarray,
) -> None:
    """Lower the best values of points by what the shell finds in one cell."""
    inner = np.minimum(index, size - 2)
    number = cells.number(inner)
    ref, sc = reference[chosen], scale[chosen]
    gap = np.maximum(np.maximum(cells.low_gy[number] - ref, ref - cells.high_gy[number]), 0.0) * sc
    useful = np.flatnonzero(gap**2 + distance**2 < best[chosen] ** 2)
    if useful.size == 0:
        return
    corners = cells.corners_gy(inner[useful])
    shifted = (index - inner)[useful]
    if shifted.any():
        # On the far border the last voxel is the cell's upper corner: weights move there.
        for axis, stride in enumerate((1, 2, 4)):
            rows = np.flatnonzero(shifted[:, axis])
            for lower in (c for c in range(8) if not c & stride):
                corners[rows, lower] = corners[rows, lower | stride]
    corners -= ref[useful, None]
    dose = corners @ weights
    np.abs(dose, out=dose)
    least = dose.min(axis=1) * sc[useful]
    rows = chosen[useful]
    best[rows] = np.minimum(best[rows], np.sqrt(least**2 + np.float32(distance) ** 2))
