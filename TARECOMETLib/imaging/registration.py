"""Rigid registration of an emission image's CT to the diagnostic CT."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .geometry import VolumeGeometry
from .sitk_images import resample, to_sitk
from .volume import Volume

SEED = 20260301
# HU outside this window carry no anatomy that a rigid fit of the trunk should follow (air inside and out, metal).
_WINDOW_HU = (-200.0, 300.0)
_MARGIN_MM = 25.0
# Finer voxels than this cost time and add nothing to a fit that is sub-voxel at 2 mm.
_FINEST_MM = 2.0
# Points looked at per level for a shrink factor of 1; random, with a fixed seed.
_SAMPLES = 115_000
# Below this the fit from where the images stand may have gone to a false place: other starts are tried too.
_SURE = 0.92
_SEARCH_MM = 8.0
_SEARCH_DEG = 12.0
# Fields that share less than this part of the smaller one are not laid on each other by the search.
_SEARCH_OVERLAP = 0.3
_NOWHERE = -1.0e6


@dataclass(frozen=True, eq=False)
class Registration:
    """A rigid map from an image's frame of reference to the diagnostic CT's.

    Parameters
    ----------
    matrix_lps : ndarray of shape (4, 4)
        Maps points, mm.
    quality : float
        Correlation of the two CTs' windowed HU in the region of the liver after registration, -1 to 1. With MR
        the informational correlation, 0 to 1 (Linfoot 1957, doi:10.1016/S0019-9958(57)90116-X).
    quality_before : float
        The same without moving anything.
    method : str
    before_nudge_lps : ndarray of shape (4, 4) or None
        The same without a nudge of the emission image against its own CT; None where there is none.
    """

    matrix_lps: np.ndarray
    quality: float
    quality_before: float
    method: str
    before_nudge_lps: np.ndarray | None = None

    @property
    def ct_matrix_lps(self) -> np.ndarray:
        """Map of the emission image's own CT."""
        return self.matrix_lps if self.before_nudge_lps is None else self.before_nudge_lps


def identity(reason: str) -> Registration:
    """No movement, and why: the image shares the diagnostic CT's frame of reference."""
    return Registration(np.eye(4), 1.0, 1.0, reason)


def nudged(registration: Registration, shift_lps_mm: tuple[float, ...]) -> Registration:
    """The registration of an emission image that lies shifted against its own CT.

    Parameters
    ----------
    registration : Registration
        Of that CT.
    shift_lps_mm : tuple of float
        What the image is moved by in its own frame, mm, before the CT's movement is applied.
    """
    move = np.eye(4)
    move[:3, 3] = shift_lps_mm
    shown = ", ".join(f"{x:g}" for x in shift_lps_mm)
    return Registration(
        registration.matrix_lps @ move,
        registration.quality,
        registration.quality_before,
        f"{registration.method}; emission moved by ({shown}) mm against its CT",
        registration.matrix_lps,
    )


def register_rigid(
    fixed: Volume,
    moving: Volume,
    liver: Volume | np.ndarray | None = None,
    *,
    fixed_is_ct: bool = True,
    where: str = "registration",
) -> Registration:
    """``registering`` run to its end."""
    steps = registering(fixed, moving, liver, fixed_is_ct=fixed_is_ct, where=where)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def registering(
    fixed: Volume,
    moving: Volume,
    liver: Volume | np.ndarray | None = None,
    *,
    fixed_is_ct: bool = True,
    where: str = "registration",
) -> Generator[tuple[float, str], None, Registration]:
    """Find the rigid movement that lays one CT on another; a generator of (share done, what).

    Mattes mutual information over two resolutions on the whole trunk, then correlation near the liver: the
    trunk finds the movement, the liver's own surroundings fix it where doses are read. Where the outcome is
    poor, or the fields do not overlap as they stand (scanners choose their origins freely), the best overlay
    of the two at 8 mm is sought over all shifts and a few turns, and the fit is made from there too. Samples are
    drawn with a fixed seed, so the same images give the same matrix.

    Parameters
    ----------
    fixed : Volume
        Diagnostic image: HU, or MR.
    moving : Volume
        CT of the emission image, HU.
    liver : Volume or ndarray of bool, optional
        On any grid in the diagnostic image's space; a bare array lies on the fixed grid.
    fixed_is_ct : bool
        False for MR: mutual information throughout.
    where : str
        Image's name for messages.

    Returns
    -------
    Registration
        With its quality figure.

    Raises
    ------
    InputError
        Where the two cannot be laid on each other at all.
    """
    region = _region(fixed, liver, fixed_is_ct)
    yield 0.05, "averaging to the registration's grid"
    fitting = _Fitting(_prepared(fixed, fixed_is_ct), _prepared(moving, True), region, fixed_is_ct)
    best = yield from fitting.from_start(np.eye(4), 0.1)
    before = fitting.quality(np.eye(4))
    if best is None or best[1] < _SURE:
        yield 0.45, "seeking another start over all shifts"
        start = _search(fitting.fixed, fitting.moving, fixed_is_ct)
        other = (yield from fitting.from_start(start, 0.6)) if start is not None else None
        best = max((found for found in (best, other) if found is not None), key=lambda found: found[1], default=None)
    if best is None:
        raise InputError(
            where,
            "its CT and the diagnostic image do not show the same part of the body",
            "Check both images, or give registration_lps in the case",
            "cannot-register",
        )
    words = "CT to CT: mutual information, then correlation" if fixed_is_ct else "CT to MR: mutual information"
    return Registration(best[0], best[1], before, f"rigid, {words} near the liver")


def given(
    matrix_lps: np.ndarray,
    fixed: Volume,
    moving: Volume,
    liver: Volume | np.ndarray | None = None,
    *,
    fixed_is_ct: bool = True,
) -> Registration:
    """A movement that a person fixed, with the quality figure it has."""
    region = _region(fixed, liver, fixed_is_ct)
    fitting = _Fitting(_prepared(fixed, fixed_is_ct), _prepared(moving, True), region, fixed_is_ct)
    return Registration(matrix_lps, fitting.quality(matrix_lps), fitting.quality(np.eye(4)), "rigid, given in the case")


class _Fitting:
    """Two images made ready, and the fits between them."""

    def __init__(self, fixed: Volume, moving: Volume, region: Volume, fixed_is_ct: bool) -> None:
        self.fixed, self.moving, self.fixed_is_ct = fixed, moving, fixed_is_ct
        carried = resample(region, fixed.geometry, np.eye(4), outside=0.0)
        self.region = carried.array > 0.5
        self.center = _center_mm(fixed.geometry, self.region)
        self.images = to_sitk(fixed), to_sitk(moving)

    def from_start(
        self, start: np.ndarray, share: float
    ) -> Generator[tuple[float, str], None, tuple[np.ndarray, float] | None]:
        """Matrix (image frame to diagnostic) and quality; None where the images never meet."""
        transform = self._transform(np.linalg.inv(start))
        try:
            yield share, "fitting the trunk"
            self._optimize(transform, [4, 2], [4.0, 2.0], local=False)
            if not self.region.all():
                yield share + 0.15, "fitting near the liver"
                self._optimize(transform, [2, 1], [1.5, 0.7], local=True)
        except RuntimeError:
            return None
        yield share + 0.3, "judging the fit"
        # The optimizer maps fixed points to moving ones; the case keeps the other direction.
        matrix = np.linalg.inv(_matrix(transform))
        quality = self.quality(matrix)
        return (matrix, quality) if np.all(np.isfinite(matrix)) and quality != 0.0 else None

    def quality(self, matrix: np.ndarray) -> float:
        """Likeness near the liver; 0 where there is nothing in common."""
        carried = resample(self.moving, self.fixed.geometry, matrix, outside=_NOWHERE).array
        common = self.region & (carried > _NOWHERE / 2)
        if common.sum() <= 1000:
            return 0.0
        like = _correlation if self.fixed_is_ct else _informational_correlation
        return like(self.fixed.array[common].astype(float), carried[common].astype(float))

    def _transform(self, matrix: np.ndarray) -> Any:
        import SimpleITK as sitk

        transform = sitk.Euler3DTransform()
        transform.SetCenter(self.center)
        transform.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-4)
        center = np.array(self.center)
        transform.SetTranslation((matrix[:3, :3] @ center + matrix[:3, 3] - center).tolist())
        return transform

    def _optimize(self, transform: Any, shrink: list[int], smooth: list[float], *, local: bool) -> None:
        import SimpleITK as sitk

        method = sitk.ImageRegistrationMethod()
        if local:
            method.SetMetricFixedMask(to_sitk(Volume(self.region, self.fixed.geometry), np.uint8))
        if local and self.fixed_is_ct:
            method.SetMetricAsCorrelation()
        else:
            method.SetMetricAsMattesMutualInformation(48)
        share = _SAMPLES / self.fixed.array.size
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentagePerLevel([min(1.0, share * s**2) for s in shrink], SEED)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetShrinkFactorsPerLevel(shrink)
        method.SetSmoothingSigmasPerLevel(smooth)
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=1.0,
            minStep=1e-4,
            numberOfIterations=120,
            relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-7,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)
        with single_thread():
            method.Execute(*self.images)


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread for SimpleITK's metrics, which take the number from a global only.

    Several would add up in no fixed order, so that the matrix varied from run to run in its sixth digit and with the
    number of cores; for so few samples they are slower, too.
    """
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def prepared_ct(volume: Volume) -> Volume:
    """A CT windowed and averaged to the grid that fits are made on."""
    return _prepared(volume, True)


def region_of_fit(fixed: Volume, liver: Volume) -> Volume:
    """Where a fit must hold, as 0 and 1: the liver and what lies within 25 mm of it."""
    return _region(fixed, liver, True)


def _prepared(volume: Volume, is_ct: bool) -> Volume:
    """Windowed values on a grid no finer than needed: whole blocks of voxels averaged."""
    geometry, values = volume.geometry, volume.array
    low, high = _WINDOW_HU if is_ct else np.percentile(values, (1.0, 99.0))
    factors = tuple(
        max(1, min(int(_FINEST_MM / s + 0.25), n)) for s, n in zip(geometry.spacing_mm[::-1], values.shape, strict=True)
    )
    values = np.clip(values, low, high).astype(np.float32)
    if max(factors) > 1:
        geometry = geometry.coarsened(factors)  # type: ignore[arg-type]
        for axis, factor in enumerate(factors):
            whole = np.take(values, range(geometry.shape_kji[axis] * factor), axis=axis)
            shape = (*whole.shape[:axis], -1, factor, *whole.shape[axis + 1 :])
            values = whole.reshape(shape).mean(axis=axis + 1)
    return Volume(values, geometry)


def _region(fixed: Volume, liver: Volume | np.ndarray | None, fixed_is_ct: bool) -> Volume:
    """Where the fit must hold, as 0 and 1: near the liver, or inside the body where no liver is drawn."""
    from scipy.ndimage import distance_transform_edt

    if isinstance(liver, np.ndarray):
        liver = Volume(liver, fixed.geometry)
    if liver is None or not liver.array.any():
        return Volume(_body(fixed.array, fixed_is_ct).astype(np.uint8), fixed.geometry)
    filled = [np.flatnonzero(liver.array.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    margin = [int(np.ceil(_MARGIN_MM / s)) + 1 for s in liver.geometry.spacing_mm[::-1]]
    lower = tuple(int(part[0]) - m for part, m in zip(filled, margin, strict=True))
    sizes = tuple(int(part[-1] - part[0]) + 1 + 2 * m for part, m in zip(filled, margin, strict=True))
    box = np.zeros(sizes, dtype=bool)
    inner = tuple(slice(m, n - m) for m, n in zip(margin, sizes, strict=True))
    box[inner] = liver.array[tuple(slice(int(part[0]), int(part[-1]) + 1) for part in filled)]
    near = distance_transform_edt(~box, sampling=liver.geometry.spacing_mm[::-1]) <= _MARGIN_MM
    return Volume(near.astype(np.uint8), liver.geometry.cropped(lower, sizes))  # type: ignore[arg-type]


def _body(values: np.ndarray, is_ct: bool) -> np.ndarray:
    """Voxels inside the patient; all of them where nothing stands out."""
    threshold = _WINDOW_HU[0] if is_ct else 0.1 * float(np.percentile(values, 99.0))
    inside = values > threshold
    return inside if inside.any() else np.ones(values.shape, dtype=bool)


def _center_mm(geometry: VolumeGeometry, region: np.ndarray) -> list[float]:
    if not region.any():
        region = np.ones(region.shape, dtype=bool)
    middle = [float(np.mean(np.flatnonzero(region.any(axis=tuple(a for a in range(3) if a != n))))) for n in range(3)]
    point = geometry.ijk_to_lps @ np.array([*middle[::-1], 1.0])
    return [float(x) for x in point[:3]]


def _matrix(transform: Any) -> np.ndarray:
    """4x4 matrix of a centered Euler transform."""
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    center, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = center + shift - rotation @ center
    return matrix


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / norm) if norm > 0.0 else 0.0


def _informational_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Mutual information I on the scale of a correlation: sqrt(1 - exp(-2 I))."""
    joint, _, _ = np.histogram2d(first, second, bins=32)
    joint /= joint.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    filled = joint > 0.0
    information = float((joint[filled] * np.log(joint[filled] / apart[filled])).sum())
    return float(np.sqrt(max(0.0, 1.0 - np.exp(-2.0 * information))))


def _turns() -> Iterable[np.ndarray]:
    """No turn, and one to either side about each axis."""
    from scipy.spatial.transform import Rotation

    yield np.eye(3)
    for axis in range(3):
        for angle in (-_SEARCH_DEG, _SEARCH_DEG):
            yield Rotation.from_rotvec(np.radians(angle) * np.eye(3)[axis]).as_matrix()


def _search(fixed: Volume, moving: Volume, fixed_is_ct: bool) -> np.ndarray | None:
    """The overlay of two fields that correlate best over all shifts and a few turns, as a matrix.

    Normalized correlation over the common field for every shift at once (Padfield 2012,
    doi:10.1109/TIP.2011.2181402), at 8 mm. Against MR the bodies' outlines are compared.
    """
    if not fixed_is_ct:
        outlines = [
            Volume(_body(v.array, ct).astype(np.float32), v.geometry) for v, ct in ((fixed, False), (moving, True))
        ]
        fixed, moving = outlines
    still, still_mask, still_corner = _on_search_grid(fixed, np.eye(4))
    best, found = 0.0, None
    middle = np.mean(moving.geometry.corners_lps_mm(), axis=0)
    for turn in _turns():
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = turn, middle - turn @ middle
        turned, turned_mask, corner = _on_search_grid(moving, matrix)
        score, shift_kji = _best_shift(still, still_mask, turned, turned_mask)
        if score > best:
            best, found = score, matrix
            found[:3, 3] += still_corner + _SEARCH_MM * np.array(shift_kji[::-1]) - corner
    return found


def _on_search_grid(volume: Volume, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and field of a moved image on a coarse grid along the patient's axes, and that grid's first center."""
    corners = volume.geometry.transformed(matrix).corners_lps_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = np.maximum(1, np.ceil((high - low) / _SEARCH_MM)).astype(int)
    origin = low + _SEARCH_MM / 2.0
    grid = VolumeGeometry.from_components(
        tuple(size[::-1]),  # type: ignore[arg-type]
        spacing_mm=(_SEARCH_MM,) * 3,
        origin_lps_mm=tuple(origin),  # type: ignore[arg-type]
    )
    values = resample(_smoothed(volume), grid, matrix, outside=_NOWHERE).array
    mask = values > _NOWHERE / 2
    return np.where(mask, values, 0.0), mask, origin


def _smoothed(volume: Volume) -> Volume:
    from scipy.ndimage import gaussian_filter

    sigma = [0.4 * _SEARCH_MM / s for s in volume.geometry.spacing_mm[::-1]]
    return Volume(gaussian_filter(volume.array.astype(np.float32), sigma, truncate=2.5), volume.geometry)


def _best_shift(
    still: np.ndarray, still_mask: np.ndarray, moved: np.ndarray, moved_mask: np.ndarray
) -> tuple[float, tuple[int, ...]]:
    """Highest masked correlation and its shift in voxels of the moved array against the still one."""
    from scipy.fft import irfftn, next_fast_len, rfftn

    shape = [next_fast_len(a + b - 1, real=True) for a, b in zip(still.shape, moved.shape, strict=True)]
    middle = float(still[still_mask].mean())
    first, second = np.where(still_mask, still - middle, 0.0), np.where(moved_mask, moved - middle, 0.0)

    def forward(array: np.ndarray) -> np.ndarray:
        return rfftn(array.astype(np.float64), shape)

    a, a2, am = forward(first), forward(first**2), forward(still_mask)
    b, b2, bm = (np.conj(forward(array)) for array in (second, second**2, moved_mask))

    def back(product: np.ndarray) -> np.ndarray:
        return irfftn(product, shape)

    count = np.maximum(np.rint(back(am * bm)), 0.0)
    enough = count >= _SEARCH_OVERLAP * min(int(still_mask.sum()), int(moved_mask.sum()))
    safe = np.maximum(count, 1.0)
    sum_a, sum_b = back(a * bm), back(am * b)
    spread = (back(a2 * bm) - sum_a**2 / safe) * (back(am * b2) - sum_b**2 / safe)
    enough &= spread > 1e-9 * float(spread.max())
    score = np.where(enough, (back(a * b) - sum_a * sum_b / safe) / np.sqrt(np.where(enough, spread, 1.0)), -1.0)
    peak = np.unravel_index(int(np.argmax(score)), score.shape)
    shift = tuple(int(p) if p < n else int(p) - s for p, n, s in zip(peak, still.shape, shape, strict=True))
    return float(score[peak]), shift
