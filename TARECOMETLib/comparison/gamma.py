"""Gamma index of two dose maps: how near, in dose and place together, the evaluated dose comes to the reference's."""

from __future__ import annotations

import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..errors import GeometryError, InputError
from ..imaging.geometry import VolumeGeometry, same_grid
from ..imaging.volume import Volume
from .cells import cut_into_cells
from .gamma_exact import exact_gamma
from .gamma_shells import shell_gamma

EXACT, SHELLS = "exact", "shells"
# Points at a time and per worker.
_CHUNK = 16384
# Voxel noise of 90Y PET: SD of about 20 % on the day of treatment in a phantom (doi:10.1186/s13550-017-0341-9).
PET_NOISE_PERCENT = 10.0
PET_NOISE_SENTENCE = (
    "{percent:g} %/{distance:g} mm is below the voxel noise of 90Y PET (about 20 % SD on the day of treatment in a "
    "phantom, doi:10.1186/s13550-017-0341-9): where it fails, that may be noise"
)


@dataclass(frozen=True)
class GammaCriterion:
    """What counts as a gamma of 1.

    Parameters
    ----------
    dose_percent : float
        Dose difference, in per cent of the reference maximum (global) or of the reference dose at the point (local).
    distance_mm : float
    is_local : bool
    threshold_percent : float
        Reference points below this share of the reference maximum are left out. TG-218 (doi:10.1002/mp.12810): 10 %.
    maximum : float
        Largest gamma searched for; larger ones are given as this.
    """

    dose_percent: float = 10.0
    distance_mm: float = 5.0
    is_local: bool = False
    threshold_percent: float = 10.0
    maximum: float = 2.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("dose_percent", 0.01, 1000.0),
            ("distance_mm", 0.01, 1000.0),
            ("threshold_percent", 0.0, 99.9),
            ("maximum", 1.0, 100.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise InputError(
                    f"gamma {name}", f"expected {low:g} to {high:g}, got {getattr(self, name):g}", "Correct the value"
                )

    @property
    def name(self) -> str:
        """As it is written: ``"10 %/5 mm global"``."""
        return f"{self.dose_percent:g} %/{self.distance_mm:g} mm {'local' if self.is_local else 'global'}"

    @property
    def noise_sentence(self) -> str:
        """A warning where the dose criterion is finer than the noise of 90Y PET, else empty."""
        if self.dose_percent >= PET_NOISE_PERCENT:
            return ""
        return PET_NOISE_SENTENCE.format(percent=self.dose_percent, distance=self.distance_mm)


@dataclass(frozen=True, eq=False)
class GammaMap:
    """Gamma over the reference grid.

    Parameters
    ----------
    criterion : GammaCriterion
    search : str
        ``"exact"`` or ``"shells"``.
    gamma : Volume
        float32; NaN where it was not computed.
    normalization_gy : float
        The reference maximum that global per cents and the threshold refer to.
    """

    criterion: GammaCriterion
    search: str
    gamma: Volume
    normalization_gy: float

    def values(self, inside: np.ndarray | None = None) -> np.ndarray:
        """Computed gammas, of all points or of those in a boolean array of the grid's shape."""
        array = self.gamma.array if inside is None else self.gamma.array[inside]
        return array[np.isfinite(array)]

    def pass_rate(self, inside: np.ndarray | None = None) -> float | None:
        """Share of points, 0 to 1, with a gamma of at most 1; None where there is none."""
        values = self.values(inside)
        return float(np.mean(values <= 1.0)) if values.size else None

    def histogram(self, inside: np.ndarray | None = None, bins: int = 40) -> tuple[np.ndarray, np.ndarray]:
        """Edges from 0 to the largest gamma searched for, shape (bins + 1,), and the share of points in each bin."""
        values = self.values(inside)
        counts, edges = np.histogram(values, bins=bins, range=(0.0, self.criterion.maximum))
        return edges, counts / max(1, values.size)


def gamma_index(
    reference: Volume,
    evaluated: Volume,
    criterion: GammaCriterion,
    search: str = EXACT,
    *,
    inside: np.ndarray | None = None,
    normalization_gy: float | None = None,
    steps_per_criterion: int = 10,
) -> GammaMap:
    """``computing_gamma`` run to its end."""
    steps = computing_gamma(
        reference,
        evaluated,
        criterion,
        search,
        inside=inside,
        normalization_gy=normalization_gy,
        steps_per_criterion=steps_per_criterion,
    )
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def computing_gamma(
    reference: Volume,
    evaluated: Volume,
    criterion: GammaCriterion,
    search: str = EXACT,
    *,
    inside: np.ndarray | None = None,
    normalization_gy: float | None = None,
    steps_per_criterion: int = 10,
) -> Generator[tuple[float, str], None, GammaMap]:
    """Gamma at every reference point; a generator of (share done, what) whose value is a GammaMap.

    Low et al. 1998 (doi:10.1118/1.598248). The evaluated dose is linearly interpolated between its voxel centers.

    Parameters
    ----------
    reference, evaluated : Volume
        Doses in Gy in one patient space; their grids may differ and may be turned against each other.
    criterion : GammaCriterion
    search : str
        ``"exact"``: the true minimum (within 0.008). ``"shells"``: over the points that pymedphys looks at.
    inside : ndarray of bool, optional
        Reference points to compute; all by default.
    normalization_gy : float, optional
        For global criteria and the threshold; the reference maximum by default.
    steps_per_criterion : int
        Of the shells.

    Raises
    ------
    GeometryError
        Where the grids have no place in common, or the evaluated one is sheared or one voxel thick.
    InputError
        Where a dose is not finite or the reference has no dose.
    """
    if search not in (EXACT, SHELLS):
        raise InputError("gamma", f'there is no search "{search}"', f"Choose {EXACT} or {SHELLS}")
    _require_usable(reference, evaluated)
    top_gy = float(reference.array.max()) if normalization_gy is None else float(normalization_gy)
    if not top_gy > 0.0:
        raise InputError("reference dose", f"its maximum is {top_gy:g} Gy", "Give a dose map in Gy", "no-dose")
    chosen = reference.array >= criterion.threshold_percent / 100.0 * top_gy
    if criterion.is_local:
        chosen &= reference.array > 0.0  # a share of nothing is no criterion
    if inside is not None:
        chosen &= inside
    flat = np.flatnonzero(chosen)
    cells = cut_into_cells(evaluated.array, np.asarray(evaluated.geometry.spacing_mm) / criterion.distance_mm)
    gamma = np.full(reference.array.size, np.nan, dtype=np.float32)
    dose_gy = reference.array.ravel()
    same = same_grid(reference.geometry, evaluated.geometry)

    def compute(part: np.ndarray) -> None:
        points = np.stack(np.unravel_index(part, reference.array.shape)[::-1], axis=1).astype(float)
        if not same:
            points = _carried(points, reference.geometry, evaluated.geometry)
        doses = dose_gy[part].astype(float)
        limit = criterion.dose_percent / 100.0 * (doses if criterion.is_local else np.full(doses.size, top_gy))
        if search == EXACT:
            gamma[part] = exact_gamma(cells, points, doses, limit, criterion.maximum)
        else:
            gamma[part] = shell_gamma(cells, points, doses, limit, criterion.maximum, steps_per_criterion)

    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = [flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(parts), workers):
            yield start / len(parts), "gamma"
            list(pool.map(compute, parts[start : start + workers]))
    return GammaMap(criterion, search, Volume(gamma.reshape(reference.array.shape), reference.geometry), top_gy)


def _carried(points_ijk: np.ndarray, source: VolumeGeometry, target: VolumeGeometry) -> np.ndarray:
    """Indices of one grid as indices of another; differences of rounding are taken off."""
    matrix = target.lps_to_ijk @ source.ijk_to_lps
    moved = points_ijk @ matrix[:3, :3].T + matrix[:3, 3]
    near = np.round(moved)
    return np.where(np.abs(moved - near) < 1e-5, near, moved)


def _require_usable(reference: Volume, evaluated: Volume) -> None:
    for volume, words in ((reference, "reference dose"), (evaluated, "evaluated dose")):
        if not np.all(np.isfinite(volume.array)):
            raise InputError(words, "it holds values that are not numbers", "Repair the image", "not-finite")
    if min(evaluated.array.shape) < 2:
        raise GeometryError(
            "evaluated dose",
            f"expected two voxels or more along each axis, got {evaluated.array.shape}",
            "Give the whole dose map",
        )
    axes = evaluated.geometry.direction_lps
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
        raise GeometryError(
            "evaluated dose", "its axes are not at right angles", "Resample it onto a straight grid", "sheared"
        )
    require_common_place(reference, evaluated)


def require_common_place(first: Volume, second: Volume) -> None:
    """Refuse two volumes whose fields share less than a tenth of the smaller one: they are in different frames."""
    box = [(v.geometry.corners_lps_mm().min(axis=0), v.geometry.corners_lps_mm().max(axis=0)) for v in (first, second)]
    shared = np.maximum(np.minimum(box[0][1], box[1][1]) - np.maximum(box[0][0], box[1][0]), 0.0)
    smaller = min(float(np.prod(high - low)) for low, high in box)
    share = float(np.prod(shared)) / smaller
    if share < 0.1:
        raise GeometryError(
            "dose maps",
            f"their fields share {100.0 * share:.0f} % of the smaller one, so they have no common frame",
            "Register one to the other first",
            "no-common-frame",
        )
