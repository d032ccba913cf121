"""The dose point kernel: how far from its decay a beta particle leaves its energy."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import InputError

_FOLDER = Path(__file__).resolve().parent.parent / "Resources" / "kernels"

# Mean energy per decay of the spectrum the tables were computed with (ICRP 107, cubic spline through
# its 120 points). S values are quoted with it; doses use the constants set's K instead.
KERNEL_MEAN_ENERGY_MEV = 0.932914


@dataclass(frozen=True)
class Medium:
    """A material the kernel is computed in.

    ``density_g_ml`` is the default density. Composition decides the table, density scales its lengths:
    energy deposited per mass thickness does not depend on density for equal composition (O'Connor's theorem).
    """

    name: str
    table: str
    density_g_ml: float
    note: str


MEDIA = {
    medium.name: medium
    for medium in (
        Medium("water", "y90_water.csv", 1.00, "liquid water"),
        Medium("soft-tissue", "y90_soft_tissue.csv", 1.04, "ICRU four-component soft tissue"),
        # Lung tissue in mass thickness differs from water by 0.3 % in range (PENELOPE), less than its density is known.
        Medium("lung", "y90_water.csv", 0.26, "water kernel in mass thickness"),
    )
}


def medium(name: str) -> Medium:
    """Look a medium up by name, or raise InputError that lists those there are."""
    try:
        return MEDIA[name]
    except KeyError:
        raise InputError("medium", f'there is no medium "{name}"', f"Choose one of {', '.join(MEDIA)}") from None


@dataclass(frozen=True, eq=False)
class PointKernel:
    """Energy left in spherical shells around a point source in a uniform medium.

    Parameters
    ----------
    medium : str
        Composition.
    edges_mm_g_ml : ndarray of shape (n + 1,)
        Shell borders in mass thickness (radius times density): mm g/mL.
    energy_fraction : ndarray of shape (n,)
        Share of the emitted mean energy left in each shell. Within a shell it is uniform in r.
    """

    medium: str
    edges_mm_g_ml: np.ndarray
    energy_fraction: np.ndarray

    def cumulative_fraction(self, radius_mm_g_ml: float | np.ndarray) -> float | np.ndarray:
        """Share of the emitted energy left within a mass radius."""
        cumulative = np.concatenate(([0.0], np.cumsum(self.energy_fraction)))
        value = np.interp(radius_mm_g_ml, self.edges_mm_g_ml, cumulative)
        return float(value) if np.ndim(radius_mm_g_ml) == 0 else value

    def energy_per_mm(self, density_g_ml: float) -> Callable[[np.ndarray], np.ndarray]:
        """Energy share per mm of radius as a continuous function of the radius in mm; 0 beyond the table.

        The derivative of a monotone cubic through the cumulative fractions: each shell keeps its energy exactly.
        Tabulated every 0.01 mm g/mL, a tenth of the finest shell, and read linearly.
        """
        from scipy.interpolate import PchipInterpolator

        cumulative = np.concatenate(([0.0], np.cumsum(self.energy_fraction)))
        last = self.edges_mm_g_ml[-1]
        grid = np.linspace(0.0, last, round(last / 0.01) + 1)
        values = PchipInterpolator(self.edges_mm_g_ml, cumulative).derivative()(grid) * density_g_ml
        grid_mm = grid / density_g_ml
        return lambda radius_mm: np.interp(radius_mm, grid_mm, values, right=0.0)

    def truncated(self, cutoff_mm_g_ml: float) -> PointKernel:
        """The kernel up to a mass radius; what lies beyond is left off, not folded back."""
        if not 0.0 < cutoff_mm_g_ml <= self.edges_mm_g_ml[-1]:
            raise InputError(
                "kernel cut-off",
                f"expected more than 0 and at most {self.edges_mm_g_ml[-1]:g} mm g/mL, got {cutoff_mm_g_ml:g}",
                "Choose a cut-off inside the table",
            )
        last = int(np.searchsorted(self.edges_mm_g_ml, cutoff_mm_g_ml, side="left"))
        edges = np.append(self.edges_mm_g_ml[:last], cutoff_mm_g_ml)
        cumulative = np.asarray(self.cumulative_fraction(edges))
        return PointKernel(self.medium, edges, np.diff(cumulative))


@lru_cache(maxsize=4)
def load_point_kernel(medium_name: str = "water") -> PointKernel:
    """Read the shipped table of a medium (see Resources/SOURCES.md for how each was made)."""
    path = _FOLDER / medium(medium_name).table
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    edges = np.array([0.0] + [float(row["outer_radius_mm_g_ml"]) for row in rows])
    fraction = np.array([float(row["energy_fraction"]) for row in rows])
    return PointKernel(medium_name, edges, fraction)


def sphere_absorbed_fraction(kernel: PointKernel, mass_radius_mm_g_ml: float) -> float:
    """Share of the energy that a uniformly active sphere keeps to itself.

    The chance that a segment of length r from a uniform point in a sphere of radius R ends inside it is
    1 - 3r/4R + r³/16R³ for r < 2R (geometric reduction factor; Berger, MIRD Pamphlet 7), averaged over the
    kernel with energy uniform in r inside each shell.
    """
    radius = mass_radius_mm_g_ml
    edges = np.minimum(kernel.edges_mm_g_ml, 2.0 * radius)
    integral = edges - 3.0 * edges**2 / (8.0 * radius) + edges**4 / (64.0 * radius**3)
    widths = np.diff(kernel.edges_mm_g_ml)
    return float(np.sum(kernel.energy_fraction / widths * np.diff(integral)))


def half_space_profile(kernel: PointKernel, mass_depth_mm_g_ml: np.ndarray) -> np.ndarray:
    """Dose at a depth inside a uniformly active half-space, as a share of complete absorption.

    F(z) = ∫ E'(r) (1 + min(z/r, 1)) / 2 dr: the share of directions whose source lies in the active side.
    """
    depth = np.asarray(mass_depth_mm_g_ml, dtype=float)[:, None]
    lower, upper = kernel.edges_mm_g_ml[:-1][None, :], kernel.edges_mm_g_ml[1:][None, :]
    split = np.clip(depth, lower, upper)
    near = split - lower
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(upper > split, depth * np.log(upper / np.maximum(split, 1e-12)), 0.0)
    density = kernel.energy_fraction / (upper - lower)
    return np.sum(density * 0.5 * ((upper - lower) + near + far), axis=1)
