"""Where the activity is: 90Y and MAA distributions over the phantom's liver, tumours and lungs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from ..errors import InputError
from ..units import MBQ_PER_GBQ, SECONDS_PER_HOUR
from .anatomy import Anatomy
from .tissues import correlated_noise

# Half-life that the phantom decays by and that its DICOM headers state (230580 s, ENSDF's 64.05 h).
Y90_HALF_LIFE_H = 64.05


@dataclass(frozen=True)
class Injection:
    """One vial given into one territory.

    Parameters
    ----------
    id, territory : str
        Short name, and the territory's name in plain words.
    structure : str
        File name of the territory's contour.
    vial_gbq, residual_gbq, planned_gbq : float
        Activity in the vial and left over, both at ``time``; and as planned.
    time : datetime
        When it was given.
    """

    id: str
    territory: str
    structure: str
    vial_gbq: float
    residual_gbq: float
    planned_gbq: float
    time: datetime

    @property
    def net_mbq(self) -> float:
        """Activity given, at its own time."""
        return (self.vial_gbq - self.residual_gbq) * MBQ_PER_GBQ


@dataclass(frozen=True)
class UptakeParameters:
    """How the microspheres and the MAA spread.

    Parameters
    ----------
    tumour_to_normal : tuple of float
        Mean uptake per mL of each tumour, in units of the normal liver's of its lobe: 90Y.
    maa_ratio_sigma_ln : float
        Standard deviation of ln(MAA ratio / 90Y ratio), drawn for each tumour.
    lung_shunt_fraction : float
        Share of the net activity in the lungs.
    normal_variation, tumour_variation, lung_variation : float
        Coefficients of variation within normal liver, tumours and lungs.
    texture_fwhm_mm : float
        Size of the patches.
    maa_correlation : float
        Correlation of the MAA's texture with the microspheres'.
    core_share : float
        Uptake of a tumour's dead core relative to its living part.
    """

    tumour_to_normal: tuple[float, ...] = (4.4, 4.8, 3.6, 3.2)
    maa_ratio_sigma_ln: float = 0.3
    lung_shunt_fraction: float = 0.041
    normal_variation: float = 0.30
    tumour_variation: float = 0.25
    lung_variation: float = 0.20
    texture_fwhm_mm: float = 18.0
    maa_correlation: float = 0.7
    core_share: float = 0.35


@dataclass(frozen=True, eq=False)
class Distribution:
    """Activity per voxel on the diagnostic CT's grid, each injection at its own time.

    Parameters
    ----------
    by_injection_mbq : tuple of ndarray
        What each injection put into the liver.
    lung_by_injection_mbq : tuple of ndarray
        What each injection put into the lungs.
    tumour_to_normal : dict
        Ratio of means by tumour.
    """

    by_injection_mbq: tuple[np.ndarray, ...]
    lung_by_injection_mbq: tuple[np.ndarray, ...]
    tumour_to_normal: dict[str, float] = field(default_factory=dict)

    def total_mbq(self, decay_factors: Sequence[float] | None = None) -> np.ndarray:
        """All activity, each injection times its factor (none: at its own time)."""
        factors = decay_factors if decay_factors is not None else [1.0] * len(self.by_injection_mbq)
        total = np.zeros_like(self.by_injection_mbq[0])
        for factor, liver, lung in zip(factors, self.by_injection_mbq, self.lung_by_injection_mbq, strict=True):
            total += factor * (liver + lung)
        return total


def decay_factor(start: datetime, end: datetime) -> float:
    """Share of 90Y that is left at ``end`` of what there was at ``start``."""
    hours = (end - start).total_seconds() / SECONDS_PER_HOUR
    return float(0.5 ** (hours / Y90_HALF_LIFE_H))


def make_distributions(
    anatomy: Anatomy, injections: Sequence[Injection], parameters: UptakeParameters, *, seed: int
) -> tuple[Distribution, Distribution]:
    """Spread the injections over the phantom.

    Returns
    -------
    tuple of Distribution
        90Y, and MAA scaled to the same net activities.
    """
    names = list(anatomy.tumours)
    if len(names) != len(parameters.tumour_to_normal):
        raise InputError(
            "uptake", f"expected {len(names)} tumour-to-normal ratios, got {len(parameters.tumour_to_normal)}",
            "Give one ratio per tumour",
        )  # fmt: skip
    rng = np.random.default_rng([seed, 2])
    shape, spacing = anatomy.geometry.shape_kji, anatomy.geometry.spacing_mm
    ratios = dict(zip(names, parameters.tumour_to_normal, strict=True))
    factors = np.exp(rng.normal(0.0, parameters.maa_ratio_sigma_ln, len(names)))
    maa_ratios = {name: float(ratios[name] * f) for name, f in zip(names, factors, strict=True)}
    texture = correlated_noise(rng, shape, spacing, parameters.texture_fwhm_mm)
    other = correlated_noise(rng, shape, spacing, parameters.texture_fwhm_mm)
    r = parameters.maa_correlation
    maa_texture = r * texture + (1.0 - r * r) ** 0.5 * other
    y90 = _spread(anatomy, injections, parameters, texture, ratios)
    return y90, _spread(anatomy, injections, parameters, maa_texture, maa_ratios)


def _spread(
    anatomy: Anatomy,
    injections: Sequence[Injection],
    parameters: UptakeParameters,
    texture: np.ndarray,
    ratios: dict[str, float],
) -> Distribution:
    structures = anatomy.structures()
    shape = anatomy.geometry.shape_kji
    lsf = parameters.lung_shunt_fraction
    tumours = anatomy.all_tumours
    lung_weight = np.zeros(shape)
    # More blood flows to the bases of the lungs.
    height = np.broadcast_to(np.linspace(0.0, 1.0, shape[0])[:, None, None], shape)[anatomy.lungs]
    lung_weight[anatomy.lungs] = _patchy(texture[anatomy.lungs], parameters.lung_variation) * np.exp(-1.5 * height)
    lung_weight /= lung_weight.sum()
    liver_maps, lung_maps = [], []
    for injection in injections:
        territory = structures[injection.structure]
        density = np.zeros(shape)
        normal = territory & ~tumours
        density[normal] = _mean_one(_patchy(texture[normal], parameters.normal_variation))
        for name, mask in anatomy.tumours.items():
            if not territory[mask].any():
                continue
            values = _patchy(texture[mask], parameters.tumour_variation)
            values[anatomy.tumour_cores[mask]] *= parameters.core_share
            density[mask] = ratios[name] * _mean_one(values)
        density[~territory] = 0.0
        liver_maps.append(density * (injection.net_mbq * (1.0 - lsf) / density.sum()))
        lung_maps.append(lung_weight * (injection.net_mbq * lsf))
    return Distribution(tuple(liver_maps), tuple(lung_maps), dict(ratios))


def _patchy(texture: np.ndarray, variation: float) -> np.ndarray:
    """Positive weights of about the given coefficient of variation."""
    sigma = np.log1p(variation**2) ** 0.5
    return np.exp(sigma * texture.astype(np.float64))


def _mean_one(values: np.ndarray) -> np.ndarray:
    return values / values.mean()
