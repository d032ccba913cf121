"""The abdomen's organs: liver with vessels, lobes and tumours, spleen, kidneys, stomach, gut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .shapes import Axes, Capsule, Superquadric
from .tissues import Tissue, correlated_noise
from .torso import cavity_level, diaphragm_z_mm

# Share of a large tumour's volume that is dead, about its center.
CORE_SHARE = 0.14
CORE_FROM_ML = 30.0


@dataclass(frozen=True)
class TumourPlan:
    """Where a tumour lies and how large it is; the volume is met to the voxel."""

    name: str
    center_mm: tuple[float, float, float]
    volume_ml: float
    aspect: tuple[float, float, float] = (1.0, 1.0, 1.0)


_SPLEEN = Superquadric((98.0, 38.0, -62.0), (29.0, 40.0, 47.0), 2.3)
_STOMACH = Superquadric((62.0, -18.0, -66.0), (40.0, 42.0, 44.0))
_STOMACH_LUMEN = Superquadric((62.0, -18.0, -66.0), (35.0, 37.0, 39.0))
_STOMACH_ANTRUM = (
    Capsule((48.0, -38.0, -98.0), (2.0, -44.0, -122.0), 17.0),
    Capsule((48.0, -38.0, -98.0), (2.0, -44.0, -122.0), 12.0),
)
_KIDNEYS = (
    Superquadric((-66.0, 52.0, -142.0), (26.0, 24.0, 50.0)),
    Superquadric((68.0, 50.0, -130.0), (26.0, 24.0, 50.0)),
)
_RENAL_PELVES = (
    Superquadric((-55.0, 48.0, -142.0), (13.0, 10.0, 24.0)),
    Superquadric((57.0, 46.0, -130.0), (13.0, 10.0, 24.0)),
)
_GALLBLADDER = Superquadric((-42.0, -48.0, -118.0), (15.0, 17.0, 26.0))
_PANCREAS = (
    Capsule((-12.0, -4.0, -120.0), (42.0, 16.0, -98.0), 10.0),
    Capsule((42.0, 16.0, -98.0), (80.0, 30.0, -84.0), 8.0),
)
_CAVA_BED = Capsule((-19.0, 30.0, -230.0), (-19.0, 24.0, -6.0), 12.5)
_LIVER_RIGHT = Superquadric((-64.0, -2.0, -74.0), (74.0, 86.0, 92.0), 2.7)
_LIVER_LEFT = Superquadric((6.0, -42.0, -42.0), (72.0, 44.0, 44.0), 2.2)
_LIVER_BEDS = (
    Superquadric((62.0, -14.0, -66.0), (43.0, 45.0, 47.0)),
    Superquadric((8.0, 40.0, -74.0), (40.0, 46.0, 90.0)),
    Superquadric((-66.0, 58.0, -146.0), (31.0, 30.0, 54.0)),
)
_PORTAL_TREE = (
    Capsule((2.0, 4.0, -108.0), (-30.0, -2.0, -82.0), 7.0),
    Capsule((-30.0, -2.0, -82.0), (-62.0, 4.0, -72.0), 5.5),
    Capsule((-62.0, 4.0, -72.0), (-92.0, -30.0, -66.0), 4.0),
    Capsule((-62.0, 4.0, -72.0), (-100.0, 32.0, -82.0), 4.0),
    Capsule((-62.0, 4.0, -72.0), (-86.0, 28.0, -42.0), 3.5),
    Capsule((-92.0, -30.0, -66.0), (-104.0, -48.0, -92.0), 2.8),
    Capsule((-30.0, -2.0, -82.0), (0.0, -34.0, -58.0), 4.5),
    Capsule((0.0, -34.0, -58.0), (34.0, -48.0, -44.0), 3.2),
    Capsule((0.0, -34.0, -58.0), (2.0, -66.0, -52.0), 3.0),
)
_HEPATIC_VEINS = (
    Capsule((-22.0, 22.0, -18.0), (-84.0, 34.0, -44.0), 4.5),
    Capsule((-84.0, 34.0, -44.0), (-112.0, 30.0, -92.0), 3.5),
    Capsule((-20.0, 18.0, -18.0), (-52.0, -28.0, -40.0), 4.5),
    Capsule((-52.0, -28.0, -40.0), (-66.0, -54.0, -78.0), 3.2),
    Capsule((-18.0, 18.0, -18.0), (18.0, -30.0, -30.0), 4.0),
    Capsule((18.0, -30.0, -30.0), (42.0, -54.0, -34.0), 2.8),
)


def liver_mask(axes: Axes) -> np.ndarray:
    """The liver: two blended lobes under the diaphragm, cut by a rising lower edge and its neighbours' beds."""
    # Smooth union of the two lobes: high powers of the reciprocal levels add up.
    lobes = [np.maximum(s.level(axes.x_mm, axes.y_mm, axes.z_mm), 0.05) for s in (_LIVER_RIGHT, _LIVER_LEFT)]
    blend = (lobes[0] ** -6.0 + lobes[1] ** -6.0) ** (-1.0 / 6.0)
    lower_edge_z = -158.0 + 0.58 * (axes.x_mm + 140.0) + 0.10 * (axes.y_mm + 20.0)
    mask = (blend <= 1.0) & (axes.z_mm < diaphragm_z_mm(axes) - 4.0) & (axes.z_mm > lower_edge_z)
    mask &= cavity_level(axes, -3.0) <= 1.0
    return mask & ~axes.mask(_CAVA_BED, _GALLBLADDER, *_LIVER_BEDS)


def left_side(axes: Axes) -> np.ndarray:
    """Left of the plane through gallbladder and vena cava that parts the two lobes."""
    return axes.x_mm > -19.0 - 0.30 * (26.0 - axes.y_mm)


def tumour_masks(
    axes: Axes,
    spacing_mm: tuple[float, float, float],
    liver: np.ndarray,
    plans: Sequence[TumourPlan],
    rng: np.random.Generator,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Tumours of irregular edge with the planned volumes.

    Returns
    -------
    tuple
        Mask by name, and the mask of dead cores.
    """
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    noise = correlated_noise(rng, axes.shape_kji, spacing_mm, 14.0)
    masks: dict[str, np.ndarray] = {}
    cores = np.zeros(axes.shape_kji, dtype=bool)
    taken = np.zeros(axes.shape_kji, dtype=bool)
    for plan in plans:
        radius = (3.0 * plan.volume_ml * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
        aspect = np.asarray(plan.aspect) / np.prod(plan.aspect) ** (1.0 / 3.0)
        ball = Superquadric(plan.center_mm, tuple(radius * aspect))
        reach = Superquadric(plan.center_mm, tuple(1.4 * radius * aspect))
        window = axes.window(*reach.bounds_mm())
        level = ball.level(axes.x_mm[:, :, window[2]], axes.y_mm[:, window[1], :], axes.z_mm[window[0]])
        level = level * (1.0 + 0.09 * noise[window])
        level[~liver[window] | taken[window]] = np.inf
        count = max(1, round(plan.volume_ml / voxel_ml))
        order = np.argsort(level, axis=None, kind="stable")[:count]
        if order.size < count or not level.ravel()[order[-1]] < 1.35:
            raise InputError(
                f"tumour {plan.name}",
                f"{plan.volume_ml:g} mL do not fit into the liver around {plan.center_mm}",
                "Choose a center deeper in the liver or a smaller volume",
            )
        for share, target in ((1.0, np.zeros(axes.shape_kji, dtype=bool)), (CORE_SHARE, cores)):
            part = target[window]
            if share == 1.0 or plan.volume_ml >= CORE_FROM_ML:
                part.flat[order[: round(share * count)]] = True
                target[window] = part
            if share == 1.0:
                masks[plan.name] = target
                taken |= target
    return masks, cores


def paint_organs(axes: Axes, tissue: np.ndarray, liver: np.ndarray, rng: np.random.Generator) -> None:
    """Paint every organ of the abdomen; the liver and its vessels last."""
    below = (axes.z_mm < diaphragm_z_mm(axes) - 3.0) & (cavity_level(axes, -2.0) <= 1.0)
    tissue[axes.mask(*_gut(rng)) & below] = Tissue.GUT
    tissue[axes.mask(*_PANCREAS) & below] = Tissue.GUT
    tissue[axes.mask(*_KIDNEYS) & below] = Tissue.KIDNEY
    tissue[axes.mask(*_RENAL_PELVES) & below] = Tissue.FLUID
    tissue[axes.mask(_SPLEEN) & below] = Tissue.SPLEEN
    tissue[axes.mask(_STOMACH, _STOMACH_ANTRUM[0]) & below] = Tissue.GUT
    lumen = axes.mask(_STOMACH_LUMEN, _STOMACH_ANTRUM[1]) & below
    tissue[lumen] = Tissue.FLUID
    tissue[lumen & (axes.y_mm < -36.0)] = Tissue.GAS
    tissue[axes.mask(_GALLBLADDER) & below] = Tissue.FLUID
    tissue[axes.mask(Capsule((20.0, 40.0, -230.0), (20.0, 40.0, 20.0), 10.5))] = Tissue.BLOOD
    tissue[axes.mask(Capsule((-19.0, 32.0, -230.0), (-19.0, 26.0, -20.0), 11.0))] = Tissue.BLOOD
    tissue[axes.mask(_PORTAL_TREE[0])] = Tissue.BLOOD
    tissue[liver] = Tissue.LIVER
    tissue[axes.mask(*_PORTAL_TREE, *_HEPATIC_VEINS) & liver] = Tissue.LIVER_VESSEL


def _gut(rng: np.random.Generator) -> list[Superquadric]:
    loops = []
    for n in range(46):
        center = (rng.uniform(-105.0, 105.0), rng.uniform(-68.0, 18.0), rng.uniform(-250.0, -118.0) + 0.9 * (n % 2))
        loops.append(Superquadric(center, (rng.uniform(14, 24), rng.uniform(11, 16), rng.uniform(11, 17))))
    return loops
