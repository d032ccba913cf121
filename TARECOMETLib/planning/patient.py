"""The one set of inputs that every prescription model, the window and the optimum are computed from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..dosimetry.compartments import ALL_TUMOURS, NORMAL_PERFUSED, WHOLE_NORMAL
from ..errors import InputError
from ..physics.nuclides import ConstantsSet, constants_set
from ..units import G_PER_KG, MBQ_PER_GBQ
from .prescription import require_mass, require_ratio, require_residual, require_shunt

TUMOUR, DERIVED, PERFUSED = "tumour", "derived", "perfused"
GLASS, RESIN = "glass", "resin"


def perfused_name(territory: str) -> str:
    """Name of the region that holds everything in a territory, tumours included."""
    return f"Perfused liver: {territory}"


def normal_perfused_name(territory: str) -> str:
    """Name of the normal perfused liver of one territory."""
    return f"{NORMAL_PERFUSED}: {territory}"


@dataclass(frozen=True)
class PlannedInjection:
    """One injection that is being planned.

    Parameters
    ----------
    name : str
    territory : str
        Contour, or typed territory, it goes into.
    lung_shunt_fraction : float
        0 to below 1.
    residual_fraction : float
        Expected share of the vial that does not reach the patient, 0 to below 1.
    session : str
        Date, or any word, that injections of one treatment share; limits "per treatment" add up inside it.
    """

    name: str
    territory: str
    lung_shunt_fraction: float = 0.0
    residual_fraction: float = 0.0
    session: str = ""

    def __post_init__(self) -> None:
        require_shunt(self.lung_shunt_fraction, f'planned injection "{self.name}", lung shunt fraction')
        require_residual(self.residual_fraction, f'planned injection "{self.name}", expected residual')


@dataclass(frozen=True, eq=False)
class Region:
    """A volume that goals, limits and predictions speak of.

    Parameters
    ----------
    name : str
    kind : str
        tumour, perfused (one territory, tumours included) or derived.
    volume_ml, mass_g : float
    counts : tuple of float
        Uptake inside each injection's territory, in any one unit; 0 where that territory does not reach it.
    mass_inside_g : tuple of float
        Mass inside each injection's territory.
    rate_gy_per_gbq : ndarray of shape (n, injections) or None
        Dose of each voxel per GBq net of each injection; None where only means are known.
    voxel_ml : ndarray of shape (n,) or None
    """

    name: str
    kind: str
    volume_ml: float
    mass_g: float
    counts: tuple[float, ...]
    mass_inside_g: tuple[float, ...] = ()
    rate_gy_per_gbq: np.ndarray | None = None
    voxel_ml: np.ndarray | None = None

    def __post_init__(self) -> None:
        require_mass(self.mass_g, f'region "{self.name}"')
        if not all(math.isfinite(count) for count in self.counts):
            raise InputError(f'region "{self.name}"', "its counts are not numbers", "Repair the image", "not-finite")


@dataclass(frozen=True, eq=False)
class PlanInputs:
    """Everything a plan is computed from.

    Parameters
    ----------
    injections : tuple of PlannedInjection
    regions : tuple of Region
    territory_counts : tuple of float
        All uptake inside each injection's territory, in the unit of the regions' counts.
    liver_volume_ml : float
    non_perfused_ml : float
        Liver outside all territories, without tumours.
    lung_mass_g : float
    constants : ConstantsSet
    spheres : str
        glass or resin.
    height_cm, weight_kg : float or None
        For the body-surface model of resin spheres.
    source : str
        Where the uptake comes from, in words.
    """

    injections: tuple[PlannedInjection, ...]
    regions: tuple[Region, ...]
    territory_counts: tuple[float, ...]
    liver_volume_ml: float
    non_perfused_ml: float = 0.0
    lung_mass_g: float = 1000.0
    constants: ConstantsSet = field(default_factory=constants_set)
    spheres: str = GLASS
    height_cm: float | None = None
    weight_kg: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if not self.injections:
            raise InputError("plan", "no injection is planned", "Draw a territory or name the injections")
        require_mass(self.lung_mass_g, "lungs")
        for injection, counts in zip(self.injections, self.territory_counts, strict=True):
            if not counts > 0.0:
                raise InputError(
                    f'territory "{injection.territory}"',
                    "there are no counts in it, so no activity can be distributed",
                    "Check the contour and the registration, or choose another territory",
                    "no-counts",
                )

    def region(self, name: str) -> Region:
        """A region by name."""
        for region in self.regions:
            if region.name == name:
                return region
        raise InputError(
            "plan", f'there is no region "{name}"', f"There are: {', '.join(r.name for r in self.regions)}"
        )

    def has(self, name: str) -> bool:
        """Whether there is a region of this name."""
        return any(region.name == name for region in self.regions)

    def of_kind(self, kind: str) -> list[Region]:
        """Regions of a kind, in order."""
        return [region for region in self.regions if region.kind == kind]

    def rates_gy_per_gbq(self, region: Region) -> np.ndarray:
        """Mean dose of a region per GBq net of each injection, shape (injections,): K (1 - LSF) f / m."""
        share = np.array(region.counts) / np.array(self.territory_counts)
        kept = 1.0 - np.array([injection.lung_shunt_fraction for injection in self.injections])
        return self.constants.gy_kg_per_gbq * kept * share / (region.mass_g / G_PER_KG)

    @cached_property
    def lung_rates_gy_per_gbq(self) -> np.ndarray:
        """Mean lung dose per GBq net of each injection: K LSF / m_lung."""
        return self.constants.gy_kg_per_gbq * self.lung_rates_mbq_per_gbq / MBQ_PER_GBQ / (self.lung_mass_g / G_PER_KG)

    @cached_property
    def lung_rates_mbq_per_gbq(self) -> np.ndarray:
        """Activity to the lungs per GBq net of each injection."""
        return np.array([injection.lung_shunt_fraction for injection in self.injections]) * MBQ_PER_GBQ

    def tumour_to_normal(self, number: int, tumours: Sequence[Region] | None = None) -> float:
        """TN = (C_t / m_t) / (C_n / m_n) inside one injection's territory, over the tumours given (all by default)."""
        chosen = self.of_kind(TUMOUR) if tumours is None else tumours
        tumour_g = sum(region.mass_inside_g[number] for region in chosen)
        tumour_counts = sum(region.counts[number] for region in chosen)
        normal = self.region(normal_perfused_name(self.injections[number].territory))
        normal_g, normal_counts = normal.mass_inside_g[number], normal.counts[number]
        where = f'territory "{self.injections[number].territory}"'
        require_mass(tumour_g, f"{where}, tumours")
        require_mass(normal_g, f"{where}, normal perfused liver")
        if not normal_counts > 0.0:
            raise InputError(
                f"{where}, normal perfused liver",
                "there are no counts in it, so there is no tumour-to-normal ratio",
                "Check contours and registration",
                "no-counts",
            )
        ratio = (tumour_counts / tumour_g) / (normal_counts / normal_g)
        require_ratio(ratio, f"{where}, tumour-to-normal ratio")
        return ratio

    @property
    def non_perfused_share(self) -> float:
        """Hepatic reserve: liver outside all territories over the whole liver."""
        return self.non_perfused_ml / self.liver_volume_ml


@dataclass(frozen=True)
class TypedTumour:
    """A tumour as a person types it.

    Parameters
    ----------
    name : str
    mass_g : float
    tumour_to_normal : float
        Ratio of its concentration to that of the territory's normal liver.
    """

    name: str
    mass_g: float
    tumour_to_normal: float

    def __post_init__(self) -> None:
        require_mass(self.mass_g, f'tumour "{self.name}"')
        require_ratio(self.tumour_to_normal, f'tumour "{self.name}", tumour-to-normal ratio')


@dataclass(frozen=True)
class TypedTerritory:
    """A territory as a person types it: normal liver and tumours inside it. Territories do not overlap.

    Parameters
    ----------
    name : str
    normal_mass_g : float
    tumours : tuple of TypedTumour
    """

    name: str
    normal_mass_g: float
    tumours: tuple[TypedTumour, ...] = ()

    def __post_init__(self) -> None:
        require_mass(self.normal_mass_g, f'territory "{self.name}", normal perfused liver')


def typed_inputs(
    territories: Sequence[TypedTerritory],
    injections: Sequence[PlannedInjection],
    *,
    non_perfused_g: float = 0.0,
    density_g_ml: float = 1.05,
    lung_mass_g: float = 1000.0,
    constants: ConstantsSet | None = None,
    spheres: str = GLASS,
    height_cm: float | None = None,
    weight_kg: float | None = None,
) -> PlanInputs:
    """Plan inputs without images: uptake of each tumour is its ratio times its mass, of normal liver its mass."""
    by_name = {territory.name: territory for territory in territories}
    for injection in injections:
        if injection.territory not in by_name:
            raise InputError(
                f'planned injection "{injection.name}"',
                f'there is no territory "{injection.territory}"',
                f"There are: {', '.join(by_name)}",
                "territory",
            )

    def inside(values: dict[str, float]) -> tuple[float, ...]:
        return tuple(values.get(injection.territory, 0.0) for injection in injections)

    def region(name: str, kind: str, mass: dict[str, float], counts: dict[str, float], rest_g: float = 0.0) -> Region:
        total = sum(mass.values()) + rest_g
        return Region(name, kind, total / density_g_ml, total, inside(counts), inside(mass))

    regions = []
    normal = {t.name: t.normal_mass_g for t in territories}
    tumour = {t.name: sum(lesion.mass_g for lesion in t.tumours) for t in territories if t.tumours}
    uptake = {t.name: sum(lesion.mass_g * lesion.tumour_to_normal for lesion in t.tumours) for t in territories}
    for territory in territories:
        regions += [
            region(
                lesion.name,
                TUMOUR,
                {territory.name: lesion.mass_g},
                {territory.name: lesion.mass_g * lesion.tumour_to_normal},
            )
            for lesion in territory.tumours
        ]
    if tumour:
        regions.append(region(ALL_TUMOURS, DERIVED, tumour, uptake))
    planned = {injection.territory for injection in injections}
    perfused = {name: mass for name, mass in normal.items() if name in planned}
    outside = sum(mass for name, mass in normal.items() if name not in planned) + non_perfused_g
    regions.append(region(WHOLE_NORMAL, DERIVED, perfused, perfused, outside))
    regions.append(region(NORMAL_PERFUSED, DERIVED, perfused, perfused))
    total = {name: normal[name] + uptake[name] for name in normal}
    for name in perfused:
        regions.append(region(normal_perfused_name(name), DERIVED, {name: normal[name]}, {name: normal[name]}))
        mass = normal[name] + tumour.get(name, 0.0)
        regions.append(region(perfused_name(name), PERFUSED, {name: mass}, {name: total[name]}))
    return PlanInputs(
        injections=tuple(injections),
        regions=tuple(regions),
        territory_counts=inside(total),
        liver_volume_ml=(sum(normal.values()) + sum(tumour.values()) + non_perfused_g) / density_g_ml,
        non_perfused_ml=outside / density_g_ml,
        lung_mass_g=lung_mass_g,
        constants=constants or constants_set(),
        spheres=spheres,
        height_cm=height_cm,
        weight_kg=weight_kg,
        source="typed masses and tumour-to-normal ratios",
    )
