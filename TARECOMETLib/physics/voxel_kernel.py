"""Voxel kernels (voxel S values) for any voxel size, by deterministic quadrature of the point kernel.

A source voxel that is uniformly active and a target voxel over which the dose is averaged turn the point
kernel into K(d) = ∫ k(u) Π max(0, 1 - |u_n - d_n| / v_n) d³u, with voxel edges v and offset d. Between
neighboring offsets the weights are trilinear, so the integral is taken cell by cell with Gauss-Legendre
nodes; in the cell at the source k grows as 1/r², which three pyramids with their tips at the source cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import InputError
from ..units import BQ_PER_MBQ, JOULE_PER_MEV, MGY_PER_GY, MM3_PER_ML
from .point_kernel import KERNEL_MEAN_ENERGY_MEV, load_point_kernel
from .point_kernel import medium as find_medium

# Mass radius at which the kernel is cut. The betas end near 11 mm g/mL; the next 14 hold bremsstrahlung
# (about 0.0004 of the energy), kept so that the nearest voxels outside the beta range are not zero.
DEFAULT_CUTOFF_MM_G_ML = 25.0
SPACING_RANGE_MM = (0.25, 20.0)

# Gauss-Legendre nodes per cell edge: 7 + 3.5 per mm g/mL, found by raising them until no S value above 1e-3 of
# the source voxel's moved by more than 1e-4. Beyond the betas' reach, where the kernel is flat, a third of them.
# The error estimate takes three quarters, and is never less than this bar: by chance both may agree better.
_NODES_AT_LEAST = 7
_NODES_PER_MM_G_ML = 3.5
_CONVERGED_TO = 1.0e-4
_BETA_REACH_MM_G_ML = 12.5
_CELLS_AT_ONCE = 1 << 21


@dataclass(frozen=True, eq=False)
class VoxelKernel:
    """Energy fractions from a source voxel to its neighbors.

    Parameters
    ----------
    spacing_mm : tuple of float
        Voxel edges along i, j, k.
    medium : str
    density_g_ml : float
    octant : ndarray of shape (k, j, i)
        Share of the emitted energy left in the voxel at offset (i, j, k) >= 0; the kernel is symmetric in each.
    octant_error : ndarray of shape (k, j, i)
        Quadrature error estimate of ``octant``: the change on taking a quarter of the nodes away, at least 1e-4
        of the value. The Monte Carlo noise of the point kernel is not in it.
    energy_fraction : float
        Sum over the whole kernel: share of the emitted energy it holds. Not renormalized.
    """

    spacing_mm: tuple[float, float, float]
    medium: str
    density_g_ml: float
    octant: np.ndarray
    octant_error: np.ndarray
    energy_fraction: float

    @property
    def half_width_kji(self) -> tuple[int, int, int]:
        """Largest offset with energy, along k, j, i."""
        k, j, i = self.octant.shape
        return k - 1, j - 1, i - 1

    def s_value_mgy_per_mbq_s(self, energy: np.ndarray | float | None = None) -> np.ndarray:
        """Mean dose to each target voxel of the octant per decay in the source voxel, mGy/(MBq s)."""
        fraction = self.octant if energy is None else np.asarray(energy)
        mass_kg = float(np.prod(self.spacing_mm)) / MM3_PER_ML * self.density_g_ml * 1e-3
        return fraction * (KERNEL_MEAN_ENERGY_MEV * JOULE_PER_MEV * BQ_PER_MBQ * MGY_PER_GY / mass_kg)

    def full(self) -> np.ndarray:
        """The whole kernel, odd in every dimension, source voxel in the middle."""
        array = self.octant
        for axis in range(3):
            mirrored = np.flip(np.delete(array, 0, axis=axis), axis=axis)
            array = np.concatenate((mirrored, array), axis=axis)
        return array


def _gauss_legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1.0) / 2.0, weights / 2.0


def _source_cell(energy_per_mm: Callable, spacing_mm: np.ndarray, count: int) -> np.ndarray:
    """Energy of the cell at the source, split trilinearly to its eight corners; shape (2, 2, 2).

    With u = s (v1, v2 p, v3 q) and its two cyclic twins the volume element carries s², which cancels k's 1/r².
    """
    nodes, weights = _gauss_legendre(count + 4)
    s, p, q = np.meshgrid(nodes, nodes, nodes, indexing="ij")
    weight = weights[:, None, None] * weights[None, :, None] * weights[None, None, :] * np.prod(spacing_mm)
    corners = np.zeros((2, 2, 2))
    for tip in range(3):
        share = np.empty((3, *s.shape))
        share[tip], share[(tip + 1) % 3], share[(tip + 2) % 3] = s, s * p, s * q
        radius = np.sqrt(np.einsum("n...,n->...", share**2, spacing_mm**2))
        value = weight * energy_per_mm(radius) * (s / radius) ** 2 / (4.0 * np.pi)
        split = np.stack((1.0 - share, share))
        corners += np.einsum("xyz,axyz,bxyz,cxyz->abc", value, split[:, 0], split[:, 1], split[:, 2], optimize=True)
    return corners


def _octant_energy(
    energy_per_mm: Callable,
    spacing_mm: np.ndarray,
    reach_mm: float,
    shape_ijk: tuple[int, ...],
    count: int,
    beta_reach_mm: float,
) -> np.ndarray:
    """Energy share at every offset >= 0 of the full kernel, shape (i, j, k)."""
    cells = np.stack(np.meshgrid(*(np.arange(n - 1) for n in shape_ijk), indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.sqrt(np.sum((cells * spacing_mm) ** 2, axis=1))
    energy = np.zeros(shape_ijk)
    energy[:2, :2, :2] += _source_cell(energy_per_mm, spacing_mm, count)
    near = (nearest > 0.0) & (nearest < beta_reach_mm)
    far = (nearest >= beta_reach_mm) & (nearest < reach_mm)
    _add_cells(energy, cells[near], energy_per_mm, spacing_mm, count)
    _add_cells(energy, cells[far], energy_per_mm, spacing_mm, max(3, count // 3))
    # All eight octants: along each axis an offset of zero is shared by two mirror images, any other by none.
    for axis in range(3):
        energy[tuple(slice(0, 1) if n == axis else slice(None) for n in range(3))] *= 2.0
    return energy


def _add_cells(
    energy: np.ndarray, cells: np.ndarray, energy_per_mm: Callable, spacing_mm: np.ndarray, count: int
) -> None:
    """Integrate the kernel over cells away from the source and add each cell's energy to its eight corners."""
    nodes, weights = _gauss_legendre(count)
    # Each cell's weight towards its near and its far corner, times the quadrature weight: shape (2, count).
    split = np.stack(((1.0 - nodes) * weights, nodes * weights))
    per_pass = max(1, _CELLS_AT_ONCE // count**3)
    for start in range(0, len(cells), per_pass):
        part = cells[start : start + per_pass]
        x, y, z = (((part[:, [axis]] + nodes) * spacing_mm[axis]) ** 2 for axis in range(3))
        square = x[:, :, None, None] + y[:, None, :, None] + z[:, None, None, :]
        value = energy_per_mm(np.sqrt(square)) / square
        value = np.tensordot(value, split, (3, 1))
        value = np.einsum("nxyc,by->nxbc", value, split, optimize=True)
        value = np.einsum("nxbc,ax->nabc", value, split, optimize=True)
        value *= np.prod(spacing_mm) / (4.0 * np.pi)
        for corner in np.ndindex(2, 2, 2):
            np.add.at(energy, tuple((part + corner).T), value[(slice(None), *corner)])


@lru_cache(maxsize=32)
def _build(
    spacing_mm: tuple[float, float, float], medium_name: str, density_g_ml: float, cutoff_mm_g_ml: float
) -> VoxelKernel:
    kernel = load_point_kernel(medium_name).truncated(cutoff_mm_g_ml)
    spacing = np.asarray(spacing_mm)
    reach_mm = float(kernel.edges_mm_g_ml[-1]) / density_g_ml
    shape_ijk = tuple(int(np.ceil(reach_mm / v)) + 1 for v in spacing_mm)
    largest = float(spacing.max()) * density_g_ml
    count = _NODES_AT_LEAST + int(np.ceil(_NODES_PER_MM_G_ML * largest))
    energy_per_mm = kernel.energy_per_mm(density_g_ml)
    beta_reach_mm = _BETA_REACH_MM_G_ML / density_g_ml
    fine, coarse = (
        _octant_energy(energy_per_mm, spacing, reach_mm, shape_ijk, nodes, beta_reach_mm)
        for nodes in (count, count * 3 // 4)
    )
    octant = np.ascontiguousarray(fine.transpose(2, 1, 0))
    error = np.ascontiguousarray(np.maximum(np.abs(fine - coarse), _CONVERGED_TO * fine).transpose(2, 1, 0))
    for array in (octant, error):
        array.setflags(write=False)
    return VoxelKernel(
        spacing_mm=spacing_mm,
        medium=medium_name,
        density_g_ml=density_g_ml,
        octant=octant,
        octant_error=error,
        energy_fraction=float(kernel.energy_fraction.sum()),
    )


def voxel_kernel(
    spacing_mm: tuple[float, float, float],
    medium: str = "soft-tissue",
    density_g_ml: float | None = None,
    cutoff_mm_g_ml: float = DEFAULT_CUTOFF_MM_G_ML,
) -> VoxelKernel:
    """The voxel kernel of a grid and medium; computed once per set of arguments.

    Parameters
    ----------
    spacing_mm : tuple of float
        Voxel edges along i, j, k, each 0.25 to 20 mm.
    medium : {"water", "soft-tissue", "lung"}
        Composition.
    density_g_ml : float, optional
        Density, 0.05 to 3 g/mL; the medium's own by default.
    cutoff_mm_g_ml : float
        Mass radius beyond which energy is left off, at least 12 mm g/mL.

    Raises
    ------
    InputError
        Where a value lies outside its range.
    """
    chosen = find_medium(medium)
    density = chosen.density_g_ml if density_g_ml is None else float(density_g_ml)
    # Rounded to 1e-5 mm: header decimals must not make a new kernel for the same scanner.
    spacing = tuple(round(float(v), 5) for v in spacing_mm)
    if len(spacing) != 3 or not all(SPACING_RANGE_MM[0] <= v <= SPACING_RANGE_MM[1] for v in spacing):
        raise InputError(
            "voxel spacing",
            f"expected three values of {SPACING_RANGE_MM[0]:g} to {SPACING_RANGE_MM[1]:g} mm, got {spacing}",
            "Resample the image or check its header",
        )
    if not 0.05 <= density <= 3.0:
        raise InputError("density", f"expected 0.05 to 3 g/mL, got {density:g}", "Give the tissue's density in g/mL")
    if cutoff_mm_g_ml < 12.0:
        raise InputError(
            "kernel cut-off", f"expected at least 12 mm g/mL, got {cutoff_mm_g_ml:g}", "The betas of 90Y reach 11 mm"
        )
    return _build(spacing, chosen.name, density, float(cutoff_mm_g_ml))  # type: ignore[arg-type]
