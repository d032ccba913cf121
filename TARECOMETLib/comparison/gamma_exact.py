"""The gamma index as the true minimum over the linearly interpolated dose, by branch and bound.

Inside a cell of eight neighboring voxels the interpolated dose is a polynomial whose non-linear terms are bounded by
their coefficients. Allowing for them gives a convex lower bound of gamma over any box in a cell. Boxes that cannot
improve on the best value found by more than ``TOLERANCE`` are dropped, the others are halved along each axis. So the
result lies within ``TOLERANCE`` above the true minimum, whatever the dose looks like.
"""

from __future__ import annotations

import itertools

import numpy as np

from .cells import Cells

# How far a value may lie above the true minimum.
TOLERANCE = 0.008
_DEPTH = 12
# Boxes at a time: arrays of this many numbers stay in a processor's cache.
_CHUNK = 16384
_DESCENTS = 3
_SWEEPS = 2
_HALVES = np.array(list(itertools.product((-0.25, 0.25), repeat=3)), dtype=np.float32).T


def exact_gamma(
    cells: Cells, points_ijk: np.ndarray, reference_gy: np.ndarray, criterion_gy: np.ndarray, maximum: float
) -> np.ndarray:
    """Gamma of reference points, at most ``maximum``.

    Parameters
    ----------
    cells : Cells
        Of the evaluated dose.
    points_ijk : ndarray of shape (n, 3)
        Reference points as indices i, j, k of the evaluated grid, fractions and places outside it included.
    reference_gy, criterion_gy : ndarray of shape (n,)
        Dose of each point, and the dose difference that counts as 1.

    Returns
    -------
    ndarray of shape (n,)
        NaN where no evaluated voxel lies within reach.
    """
    return _Search(cells, points_ijk, reference_gy, criterion_gy, maximum).run()


class _Search:
    """The best gamma so far of a group of points, and what lowers it.

    Places are measured from each point, in units of the distance criterion; doses from its own, in units of its dose
    criterion. So gamma is the length of (place, dose). Arrays have the axes i, j, k or the polynomial's terms first.
    """

    def __init__(
        self, cells: Cells, points: np.ndarray, reference: np.ndarray, criterion: np.ndarray, maximum: float
    ) -> None:
        self.cells, self.maximum = cells, np.float32(maximum)
        self.scale = (1.0 / criterion).astype(np.float32)
        self.own = (reference / criterion).astype(np.float32)
        base = np.floor(points).T
        self.base = base.astype(np.int64)
        self.inside = (points.T - base).astype(np.float32)
        self.last = (cells.size_ijk - 2)[:, None]
        self.step = cells.step.astype(np.float32)[:, None]
        self.best = np.full(len(points), np.inf, dtype=np.float32)

    def run(self) -> np.ndarray:
        """Gamma of every point."""
        self._descend()
        reachable = self.best < self.maximum
        outside = ~((self.base >= 0) & (self.base <= self.last + 1)).all(axis=0)
        np.minimum(self.best, self.maximum, out=self.best)
        active = np.flatnonzero(~self._settled())
        for nearest, offset in self._offsets():
            active = active[self.best[active] - TOLERANCE > nearest]
            if active.size == 0:
                break
            self._look_into(active, offset)
        # A point outside the evaluated field that nothing came near has no gamma.
        missed = outside & ~reachable & (self.best >= self.maximum)
        return np.where(missed, np.nan, self.best)

    def _offsets(self) -> list[tuple[float, np.ndarray]]:
        """Cells around a point's own, nearest first, with the least distance any point has to them."""
        reach = np.ceil(self.maximum / self.cells.step).astype(int) + 1
        ranges = [np.arange(-n, n + 1) for n in reach]
        gaps = []
        for numbers, inside, step in zip(ranges, self.inside, self.cells.step, strict=True):
            before, behind = numbers - float(inside.max()), float(inside.min()) - numbers - 1
            gaps.append(np.maximum(np.maximum(before, behind), 0.0) * step)
        offset = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        a, b, c = np.meshgrid(*gaps, indexing="ij")
        nearest = np.sqrt(a**2 + b**2 + c**2).ravel()
        order = np.argsort(nearest, kind="stable")
        order = order[nearest[order] < self.maximum]
        return [(float(nearest[n]), offset[n][:, None]) for n in order]

    def _terms(self, index: np.ndarray, points: np.ndarray | slice) -> np.ndarray:
        """The polynomial of one cell for each point, shape (8, n)."""
        terms = self.cells.terms[self.cells.number(index.T)].T * self.scale[points]
        terms[0] -= self.own[points]
        return terms

    def _descend(self) -> None:
        """A good first value: from the point itself downhill on the dose as if it were linear, a few steps."""
        place = np.zeros_like(self.inside)
        for _ in range(_DESCENTS):
            index = self.base + np.floor(self.inside + place / self.step).astype(np.int64)
            index = np.clip(index, 0, self.last)
            near = (index - self.base - self.inside) * self.step
            place = np.clip(place, near, near + self.step)
            value, slope = _value_and_slope(
                self._terms(index, slice(None)), (place - near) / self.step - np.float32(0.5)
            )
            slope /= self.step
            np.minimum(self.best, np.sqrt(_dot(place, place) + value * value), out=self.best)
            place = -slope * ((value - _dot(slope, place)) / (np.float32(1.0) + _dot(slope, slope)))

    def _settled(self) -> np.ndarray:
        """Which points need no search: the steepest slope around them cannot bring the dose nearer than found.

        For points on voxels and no further than a cell away: gamma is at least |dose| / sqrt(1 + slope²).
        """
        if self.inside.any():
            return np.zeros(self.best.shape, dtype=bool)
        on_grid = ((self.base >= 0) & (self.base <= self.last + 1)).all(axis=0) & (self.best <= self.cells.step.min())
        i, j, k = np.clip(self.base, 0, self.last + 1)
        dose = np.abs(self.cells.dose_gy[k, j, i] * self.scale - self.own)
        least = dose / np.sqrt(np.float32(1.0) + self.cells.steepest2[k, j, i] * self.scale * self.scale)
        return on_grid & (self.best - least < np.float32(TOLERANCE))

    def _look_into(self, active: np.ndarray, offset: np.ndarray) -> None:
        """Search one cell of each active point, no further from the point than the best value so far."""
        index = self.base[:, active] + offset
        inside = ((index >= 0) & (index <= self.last)).all(axis=0)
        if not inside.all():
            active, index = active[inside], index[:, inside]
        reach = self.best[active] - np.float32(TOLERANCE)
        start = (offset - self.inside[:, active]) * self.step
        low, high = np.maximum(start, -reach), np.minimum(start + self.step, reach)
        kept = np.flatnonzero((low < high).all(axis=0))
        if kept.size == 0:
            return
        if kept.size < active.size:
            active, index, low, high, start = active[kept], index[:, kept], low[:, kept], high[:, kept], start[:, kept]
        shift = ((low + high) / np.float32(2.0) - start) / self.step - np.float32(0.5)
        edge = high - low
        self._refine(active, _part(self._terms(index, active), shift, edge / self.step), low, edge, _DEPTH)

    def _refine(self, point: np.ndarray, terms: np.ndarray, low: np.ndarray, edge: np.ndarray, depth: int) -> None:
        """Search boxes, ``terms`` over each; halve those that may still hold something better."""
        rest = _non_linear(terms)
        bar2 = np.square(np.maximum(self.best[point] - np.float32(TOLERANCE), np.float32(0.0)))
        # Quick bounds first: the dose alone over the whole box, and a linear dose without the box's sides.
        slopes = terms[1:4] / edge
        center = low + edge / np.float32(2.0)
        at_point = terms[0] - _dot(slopes, center)
        gap = np.abs(terms[0]) - (np.abs(terms[1]) + np.abs(terms[2]) + np.abs(terms[3])) / np.float32(2.0) - rest
        free = np.maximum(np.abs(at_point) - rest, np.float32(0.0))
        away = np.maximum(np.maximum(low, -low - edge), np.float32(0.0))
        kept = np.flatnonzero(
            (_dot(away, away) + np.square(np.maximum(gap, np.float32(0.0))) < bar2)
            & (free * free < bar2 * (np.float32(1.0) + _dot(slopes, slopes)))
        )
        if kept.size == 0:
            return
        if kept.size < point.size:
            point, terms, low, edge, rest = point[kept], terms[:, kept], low[:, kept], edge[:, kept], rest[kept]
            slopes, at_point, bar2 = slopes[:, kept], at_point[kept], bar2[kept]
        high = low + edge
        place, dose = _least(at_point, slopes, low, high, rest)
        soft = np.sign(dose) * np.maximum(np.abs(dose) - rest, np.float32(0.0))
        bound = _dot(place, place) + soft * soft
        for axis in range(3):
            # The tangent of a convex bound lies below it.
            gradient = np.float32(2.0) * (place[axis] + soft * slopes[axis])
            bound += np.minimum(gradient * (low[axis] - place[axis]), gradient * (high[axis] - place[axis]))
        kept = np.flatnonzero(bound < bar2)
        if kept.size == 0:
            return
        point, terms, low, edge, high = point[kept], terms[:, kept], low[:, kept], edge[:, kept], high[:, kept]
        place, _ = _least(at_point[kept], slopes[:, kept], low, high, np.float32(0.0))
        value, _ = _value_and_slope(terms, (place - low) / edge - np.float32(0.5))
        np.minimum.at(self.best, point, np.sqrt(_dot(place, place) + value * value))
        bar2 = np.square(np.maximum(self.best[point] - np.float32(TOLERANCE), np.float32(0.0)))
        again = np.flatnonzero(bound[kept] < bar2)
        if again.size == 0 or depth == 0:
            return
        for start in range(0, again.size, _CHUNK):
            chosen = again[start : start + _CHUNK]
            half = np.float32(0.5)
            shift = np.tile(_HALVES, chosen.size)
            halved = np.repeat(edge[:, chosen], 8, axis=1) * half
            parts = _part(np.repeat(terms[:, chosen], 8, axis=1), shift, np.full((3, 1), half, dtype=np.float32))
            lower = np.repeat(low[:, chosen], 8, axis=1) + (shift > 0.0) * halved
            self._refine(np.repeat(point[chosen], 8), parts, lower, halved, depth - 1)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products summed over the three axes."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _value_and_slope(terms: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A polynomial and its slopes at u, v, w."""
    one, a, b, c, ab, ac, bc, abc = terms
    u, v, w = at
    slope = np.empty_like(at)
    vw = v * w
    slope[0] = a + ab * v + ac * w + abc * vw
    slope[1] = b + ab * u + (bc + abc * u) * w
    slope[2] = c + ac * u + (bc + abc * u) * v
    return one + u * slope[0] + b * v + c * w + bc * vw, slope


def _part(terms: np.ndarray, shift: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The polynomial over a part of its box: centered at ``shift`` and ``share`` of it wide along each axis."""
    part = np.empty_like(terms)
    part[0], slope = _value_and_slope(terms, shift)
    part[1:4] = slope * share
    ab, ac, bc, abc = terms[4:]
    u, v, w = shift
    x, y, z = share
    xy = x * y
    part[4] = (ab + abc * w) * xy
    part[5] = (ac + abc * v) * (x * z)
    part[6] = (bc + abc * u) * (y * z)
    part[7] = abc * (xy * z)
    return part


def _non_linear(terms: np.ndarray) -> np.ndarray:
    """How far a polynomial can lie from its linear part in its box."""
    return (np.abs(terms[4]) + np.abs(terms[5]) + np.abs(terms[6])) / np.float32(4.0) + np.abs(terms[7]) / np.float32(
        8.0
    )


def _least(
    at_point: np.ndarray, slopes: np.ndarray, low: np.ndarray, high: np.ndarray, rest: np.ndarray | np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Place in a box with a small distance and a small linear dose, of which ``rest`` is forgiven; and that dose."""
    place = np.clip(np.zeros_like(low), low, high)
    dose = at_point + _dot(slopes, place)
    for _ in range(_SWEEPS):
        for axis in range(3):
            slope = slopes[axis]
            without = dose - slope * place[axis]
            soft = np.copysign(np.maximum(np.abs(without) - rest, np.float32(0.0)), without)
            place[axis] = np.clip(-slope * soft / (np.float32(1.0) + slope * slope), low[axis], high[axis])
            dose = without + slope * place[axis]
    return place, dose
