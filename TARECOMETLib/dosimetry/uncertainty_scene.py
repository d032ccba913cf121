"""What a dose's uncertainty is computed on: contours with movable edges over an image, in one box of voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .compartments import Compartment
from .contour_edge import occupancy


@dataclass(frozen=True)
class EdgeUncertainty:
    """Displacement of a contour's edge: a normal field along it.

    Parameters
    ----------
    source : str
        As the budget names it.
    sd_mm : float
    correlation_mm : float
        Infinite: the whole contour is drawn too large or too small.
    """

    source: str
    sd_mm: float
    correlation_mm: float


@dataclass(frozen=True)
class Share:
    """Activity that is shared out over the counts of one territory (relative calibration)."""

    territory: str
    liver_mbq: float


@dataclass(frozen=True, eq=False)
class DoseScene:
    """Contours and image in one box.

    Parameters
    ----------
    spacing_mm : tuple of float
        Along k, j, i.
    signed_mm : mapping of str to ndarray of shape (k, j, i)
        Contour to distance from its edge, negative inside.
    compartments : tuple of Compartment
        Those whose contours are all here.
    value_per_ml : ndarray of shape (k, j, i)
        Image: MBq/mL at injection where ``shares`` is empty, else counts per mL.
    gy_g_per_mbq : float
        Dose constant K.
    density_g_ml : float
        Of liver and tumours.
    shares : tuple of Share
        Relative calibration; empty for absolute.
    edges : mapping of str to tuple of EdgeUncertainty
        By contour.
    """

    spacing_mm: tuple[float, float, float]
    signed_mm: Mapping[str, np.ndarray]
    compartments: tuple[Compartment, ...]
    value_per_ml: np.ndarray
    gy_g_per_mbq: float
    density_g_ml: float
    shares: tuple[Share, ...]
    edges: Mapping[str, tuple[EdgeUncertainty, ...]]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def occupancies(self, outward_mm: Mapping[str, np.ndarray | float] | None = None) -> dict[str, np.ndarray]:
        """Occupancy of every contour, those named moved outward."""
        moved = outward_mm or {}
        return {
            name: occupancy(signed, self.spacing_mm, moved.get(name, 0.0)) for name, signed in self.signed_mm.items()
        }


def compartment_occupancy(compartment: Compartment, filled: Mapping[str, np.ndarray]) -> np.ndarray:
    """Share of every voxel in a compartment, by set operations on shares."""

    def union(names: tuple[str, ...]) -> np.ndarray:
        result = filled[names[0]]
        for name in names[1:]:
            result = np.maximum(result, filled[name])
        return result

    inside = union(compartment.any_of)
    if compartment.also_any_of:
        inside = np.minimum(inside, union(compartment.also_any_of))
    return np.maximum(inside - union(compartment.none_of), 0.0) if compartment.none_of else inside


@dataclass(frozen=True)
class CompartmentSums:
    """Volume, and the parts that each share of activity has in it, of one compartment."""

    volume_ml: float
    counts: tuple[float, ...]
    mean_gy: float


def shares_of(scene: DoseScene, filled: Mapping[str, np.ndarray], value: np.ndarray) -> tuple[float, ...]:
    """Counts of each territory."""
    return tuple(float(np.sum(value * filled[s.territory], dtype=np.float64)) * scene.voxel_ml for s in scene.shares)


def compartment_doses(
    scene: DoseScene, filled: Mapping[str, np.ndarray], value: np.ndarray
) -> dict[str, CompartmentSums]:
    """Mean dose of every compartment by local deposition: K Σ A / m."""
    totals = shares_of(scene, filled, value)
    found = {}
    for compartment in scene.compartments:
        inside = compartment_occupancy(compartment, filled)
        volume = float(inside.sum(dtype=np.float64)) * scene.voxel_ml
        if volume <= 0.0:
            continue
        if scene.shares:
            parts = [value * np.minimum(inside, filled[s.territory]) for s in scene.shares]
            counts = tuple(float(part.sum(dtype=np.float64)) * scene.voxel_ml for part in parts)
            activity = sum(s.liver_mbq * q / t for s, q, t in zip(scene.shares, counts, totals, strict=True))
        else:
            activity = float(np.sum(value * inside, dtype=np.float64)) * scene.voxel_ml
            counts = (activity,)
        mean = scene.gy_g_per_mbq * activity / (scene.density_g_ml * volume)
        found[compartment.name] = CompartmentSums(volume, counts, float(mean))
    return found
