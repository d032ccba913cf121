"""How one dose figure of one region answers to the activities: linear, quadratic, or voxel by voxel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..dosimetry.dvh import Dvh, make_dvh
from ..dosimetry.radiobiology import Radiobiology, generalized_eud_gy
from ..errors import InputError
from .goals import BED, EUD, MEAN
from .patient import PlanInputs, Region

# Activities are searched up to this; far above any vial.
MOST_GBQ = 1.0e4


@dataclass(frozen=True, eq=False)
class Response:
    """A figure as a function of the net activities in GBq; it never falls when an activity rises.

    Parameters
    ----------
    linear : ndarray of shape (injections,)
        Gy per GBq.
    offset : float
        What is there without any of them: earlier treatments.
    quadratic : ndarray of shape (injections, injections) or None
        Gy per GBq², of BED.
    rate_gy_per_gbq, voxel_ml : ndarray or None
        Of each voxel, where the figure is read off a DVH.
    metric : str
    exponent : float or None
    """

    linear: np.ndarray
    offset: float = 0.0
    quadratic: np.ndarray | None = None
    rate_gy_per_gbq: np.ndarray | None = None
    voxel_ml: np.ndarray | None = None
    metric: str = MEAN
    exponent: float | None = None

    @property
    def is_linear(self) -> bool:
        """Whether it is a weighted sum of the activities."""
        return self.quadratic is None and self.rate_gy_per_gbq is None

    @property
    def feeding(self) -> tuple[int, ...]:
        """Injections it depends on."""
        if self.rate_gy_per_gbq is not None:
            return tuple(int(n) for n in np.flatnonzero(self.rate_gy_per_gbq.any(axis=0)))
        return tuple(int(n) for n in np.flatnonzero(self.linear))

    def value(self, activity_gbq: np.ndarray) -> float:
        """The figure at these activities."""
        if self.rate_gy_per_gbq is not None:
            assert self.voxel_ml is not None
            dose = self.rate_gy_per_gbq @ activity_gbq
            return self.offset + dvh_figure(make_dvh(dose, self.voxel_ml, 1.0), self.metric, self.exponent)
        total = self.offset + float(self.linear @ activity_gbq)
        if self.quadratic is not None:
            total += float(activity_gbq @ self.quadratic @ activity_gbq)
        return total

    def activity_reaching(self, bound: float, injection: int, others_gbq: np.ndarray) -> float:
        """Activity of one injection at which the figure reaches a bound, the others as given.

        0 where it is there already, infinite where this injection cannot bring it there.
        """
        base = others_gbq.copy()
        base[injection] = 0.0
        start = self.value(base)
        if start >= bound:
            return 0.0
        if self.is_linear:
            slope = float(self.linear[injection])
            return (bound - start) / slope if slope > 0.0 else np.inf
        if self.quadratic is not None:
            square = float(self.quadratic[injection, injection])
            slope = float(self.linear[injection] + 2.0 * self.quadratic[injection] @ base)
            if square <= 0.0:
                return (bound - start) / slope if slope > 0.0 else np.inf
            # The root written so that nothing cancels for a small square term.
            return 2.0 * (bound - start) / (slope + np.sqrt(slope**2 + 4.0 * square * (bound - start)))
        return self._search(bound, injection, base)

    def condensed(self, most: int = 3000) -> Response:
        """The same figure of fewer voxels, for searches: alike voxels are taken together.

        Voxels are sorted by the share of their dose that each injection brings, then by dose, and cut into pieces of
        equal number; each piece keeps its volume and mean.
        """
        if self.rate_gy_per_gbq is None or self.voxel_ml is None or len(self.voxel_ml) <= most:
            return self
        rates, sizes = self.rate_gy_per_gbq, self.voxel_ml
        total = rates.sum(axis=1)
        shares = np.rint(8.0 * rates / np.where(total > 0.0, total, 1.0)[:, None]).astype(int)
        mix = shares @ (9 ** np.arange(rates.shape[1]))
        order = np.lexsort((total, mix))
        edges = np.flatnonzero(np.diff(mix[order])) + 1
        starts = np.unique(np.concatenate(([0], edges, np.linspace(0, len(order), most, endpoint=False).astype(int))))
        volume = np.add.reduceat(sizes[order], starts)
        mean = np.add.reduceat((rates * sizes[:, None])[order], starts, axis=0) / volume[:, None]
        return replace(self, rate_gy_per_gbq=mean, voxel_ml=volume)

    def _search(self, bound: float, injection: int, base: np.ndarray) -> float:
        from scipy.optimize import brentq

        def missing(activity: float) -> float:
            trial = base.copy()
            trial[injection] = activity
            return self.value(trial) - bound

        high = 1.0
        while missing(high) < 0.0:
            high *= 4.0
            if high > MOST_GBQ:
                return np.inf
        return float(brentq(missing, 0.0, high, xtol=1e-12, rtol=1e-12))


def dvh_figure(dvh: Dvh, metric: str, exponent: float | None) -> float:
    """D_x, gEUD or mean of a DVH."""
    if metric == EUD:
        assert exponent is not None
        return generalized_eud_gy(dvh, exponent)
    return dvh.mean_gy() if metric == MEAN else dvh.dose_to_volume_gy(float(metric[1:]))


def region_response(
    inputs: PlanInputs,
    region: Region,
    metric: str = MEAN,
    exponent: float | None = None,
    tissue: Radiobiology | None = None,
    offset: float = 0.0,
) -> Response:
    """Response of a region's figure.

    Parameters
    ----------
    inputs : PlanInputs
    region : Region
    metric : str
        mean, D70 and the like, gEUD or BED.
    exponent : float, optional
        Of gEUD.
    tissue : Radiobiology, optional
        For BED.
    offset : float
        From earlier treatments; only for mean and BED, which add up.

    Raises
    ------
    InputError
        Where the metric needs voxels or tissue parameters that there are none of.
    """
    where = f'goal "{metric} of {region.name}"'
    rates = inputs.rates_gy_per_gbq(region)
    if metric == MEAN:
        return Response(rates, offset)
    voxels, sizes = region.rate_gy_per_gbq, region.voxel_ml
    if metric == BED:
        if tissue is None:
            raise InputError(
                where, "BED needs alpha/beta and repair half-time", "Give tumour_tissue and liver_tissue in settings"
            )
        repair = tissue.repair_half_time_h
        per_gy2 = repair / (repair + inputs.constants.half_life_h) / tissue.alpha_beta_gy
        if voxels is None or sizes is None:
            return Response(rates, offset, per_gy2 * np.outer(rates, rates), metric=BED)
        square = (voxels * (sizes / sizes.sum())[:, None]).T @ voxels
        return Response(rates, offset, per_gy2 * square, metric=BED)
    if voxels is None or sizes is None:
        raise InputError(where, "it needs a dose map, and there are only mean doses", "Add the MAA SPECT, or use mean")
    if offset:
        raise InputError(
            where, "earlier doses add up for means and BED only", "Use mean or BED, or make it not cumulative"
        )
    fed = np.flatnonzero(voxels.any(axis=0))
    if fed.size == 1:
        # D_x and gEUD scale with the dose, so one injection makes them linear.
        single = np.zeros(len(inputs.injections))
        single[fed[0]] = dvh_figure(make_dvh(voxels[:, fed[0]], sizes, 1.0), metric, exponent)
        return Response(single, 0.0, metric=metric, exponent=exponent)
    return Response(rates, 0.0, None, voxels, sizes, metric, exponent)
