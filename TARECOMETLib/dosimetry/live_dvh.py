"""DVHs that follow the hand: after a stroke only the voxels that changed are counted again.

The dose map stays as it was computed. Every dose voxel keeps, for each compartment, how many of the contours' voxels
(or equal parts of them) lie in it. Counts are whole numbers, so an update by changed voxels equals a full recompute
exactly, however long one paints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..imaging.geometry import VolumeGeometry
from .compartments import LUNG, Compartment, derive_compartments
from .dvh import Dvh


@dataclass(frozen=True, eq=False)
class Box:
    """A boolean block of a lattice.

    Parameters
    ----------
    lower_kji : tuple of int
        Lattice index of its first voxel; may be negative.
    filled : ndarray of bool, shape (k, j, i)
    """

    lower_kji: tuple[int, int, int]
    filled: np.ndarray

    @property
    def upper_kji(self) -> tuple[int, int, int]:
        """One past the last index."""
        k, j, i = (a + n for a, n in zip(self.lower_kji, self.filled.shape, strict=True))
        return k, j, i


EMPTY = Box((0, 0, 0), np.zeros((0, 0, 0), dtype=bool))


class LiveDvh:
    """Compartment DVHs of fixed dose maps under contours that change.

    Parameters
    ----------
    dose_geometry : VolumeGeometry
        Grid of all dose maps.
    doses_gy : mapping of str to ndarray of shape (k, j, i)
        Dose maps by name.
    lattice : VolumeGeometry
        Lattice the contours are drawn on; only its matrix counts, boxes may reach beyond its shape.
    roles : mapping of str to str
        Contour name to role. Lungs are left out: their dose follows from the lung shunt, not from the map.

    Raises
    ------
    InputError
        Where a dose map lies on another grid.
    """

    def __init__(
        self,
        dose_geometry: VolumeGeometry,
        doses_gy: Mapping[str, np.ndarray],
        lattice: VolumeGeometry,
        roles: Mapping[str, str],
    ) -> None:
        for name, dose in doses_gy.items():
            if dose.shape != dose_geometry.shape_kji:
                raise InputError(
                    name, f"expected the grid {dose_geometry.shape_kji}, got {dose.shape}", "Compute the doses again"
                )
        self.names = tuple(name for name, role in roles.items() if role != LUNG)
        self.compartments: tuple[Compartment, ...] = tuple(
            derive_compartments({name: role for name, role in roles.items() if role != LUNG})
        )
        self._doses = {name: np.asarray(dose).ravel() for name, dose in doses_gy.items()}
        self._geometry = dose_geometry
        self._to_dose = dose_geometry.lps_to_ijk @ lattice.ijk_to_lps
        # Parts of a contour voxel along k, j, i, so that each is no larger than a dose voxel.
        size = np.linalg.norm(self._to_dose[:3, :3], axis=0)[::-1]
        self._parts = tuple(int(np.ceil(edge - 1e-6)) if edge > 1.0 + 1e-6 else 1 for edge in size)
        self.part_ml = lattice.voxel_volume_ml / float(np.prod(self._parts))
        self._boxes: dict[str, Box] = dict.fromkeys(self.names, EMPTY)
        self._place = np.full(int(np.prod(dose_geometry.shape_kji)), -1, dtype=np.int32)
        self._voxel = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros((len(self.compartments), 0), dtype=np.int32)
        self._order: dict[str, np.ndarray] = {}
        self._sorted: dict[str, np.ndarray] = {}

    def set_contour(self, name: str, box: Box) -> set[str]:
        """New voxels of one contour; returns the names of the compartments whose DVH changed.

        Parameters
        ----------
        name : str
        box : Box
            All of the contour, in lattice indices.
        """
        before = self._boxes[name]
        index = _difference(before, box)
        if index.shape[0] == 0:
            self._boxes[name] = box
            return set()
        code = np.zeros(index.shape[0], dtype=np.uint64)
        for bit, other in enumerate(self.names):
            code |= _lookup(self._boxes[other], index).astype(np.uint64) << np.uint64(bit)
        after = code ^ (np.uint64(1) << np.uint64(self.names.index(name)))
        self._boxes[name] = box
        place = self._places(index)
        changed = set()
        for row, compartment in enumerate(self.compartments):
            change = compartment.holds(after, self.names).astype(np.int8) - compartment.holds(code, self.names).astype(
                np.int8
            )
            moved = np.flatnonzero(change)
            if moved.size == 0:
                continue
            at = place[:, moved]
            known = at >= 0
            np.add.at(self._counts[row], at[known], np.broadcast_to(change[moved], at.shape)[known])
            changed.add(compartment.name)
        return changed

    def _places(self, index_kji: np.ndarray) -> np.ndarray:
        """Column of the counts for every part of lattice voxels, shape (parts, n); -1 outside the dose grid."""
        shape = np.array(self._geometry.shape_kji)
        flat = []
        for step in np.ndindex(*self._parts):
            shift = np.array([(a + 0.5) / n - 0.5 for a, n in zip(step, self._parts, strict=True)])
            ijk = (index_kji + shift)[:, ::-1]
            # A point on a border between voxels is the lower voxel's, whatever the rounding of the matrix.
            near = np.ceil(ijk @ self._to_dose[:3, :3].T + self._to_dose[:3, 3] - 0.5 - 1e-6).astype(np.int64)[:, ::-1]
            inside = np.all((near >= 0) & (near < shape), axis=1)
            cell = (near[:, 0] * shape[1] + near[:, 1]) * shape[2] + near[:, 2]
            flat.append(np.where(inside, cell, -1))
        cells = np.array(flat)
        inside = cells >= 0
        new = np.unique(cells[inside][self._place[cells[inside]] < 0])
        if new.size:
            self._place[new] = np.arange(self._voxel.size, self._voxel.size + new.size)
            self._voxel = np.concatenate((self._voxel, new))
            self._counts = np.concatenate(
                (self._counts, np.zeros((len(self.compartments), new.size), dtype=np.int32)), axis=1
            )
            self._order.clear()
            self._sorted.clear()
        return np.where(inside, self._place[np.where(inside, cells, 0)], -1)

    def _sorting(self, dose_name: str) -> tuple[np.ndarray, np.ndarray]:
        if dose_name not in self._order:
            dose = self._doses[dose_name][self._voxel].astype(np.float64)
            order = np.argsort(-dose, kind="stable")
            self._order[dose_name], self._sorted[dose_name] = order, dose[order]
        return self._order[dose_name], self._sorted[dose_name]

    def volume_ml(self, compartment: str) -> float:
        """Volume of a compartment inside the dose grid."""
        return float(self._row(compartment).sum()) * self.part_ml

    def dvh(self, dose_name: str, compartment: str, density_g_ml: float = 1.0) -> Dvh | None:
        """DVH of a compartment in a dose map; None where nothing of it is drawn.

        Parameters
        ----------
        dose_name, compartment : str
        density_g_ml : float
            Uniform, as in liver and tumours; it does not change the mean.
        """
        order, dose = self._sorting(dose_name)
        counts = self._row(compartment)[order]
        filled = counts > 0
        if not filled.any():
            return None
        volume = counts[filled] * self.part_ml
        return Dvh(dose[filled], volume, volume * density_g_ml)

    def _row(self, compartment: str) -> np.ndarray:
        return self._counts[[c.name for c in self.compartments].index(compartment)]


def _difference(first: Box, second: Box) -> np.ndarray:
    """Lattice indices (n, 3; k, j, i) that lie in one of two boxes' filled voxels and not in the other's."""
    boxes = [box for box in (first, second) if box.filled.size]
    if not boxes:
        return np.zeros((0, 3), dtype=np.int64)
    lower = np.min([box.lower_kji for box in boxes], axis=0)
    upper = np.max([box.upper_kji for box in boxes], axis=0)
    differs = np.zeros(tuple(upper - lower), dtype=bool)
    for box in boxes:
        at = tuple(slice(a - m, b - m) for a, b, m in zip(box.lower_kji, box.upper_kji, lower, strict=True))
        differs[at] ^= box.filled
    return np.argwhere(differs) + lower


def _lookup(box: Box, index_kji: np.ndarray) -> np.ndarray:
    """Whether lattice voxels are filled in a box."""
    local = index_kji - np.array(box.lower_kji)
    inside = np.all((local >= 0) & (local < np.array(box.filled.shape)), axis=1)
    found = np.zeros(len(index_kji), dtype=bool)
    if inside.any():
        found[inside] = box.filled[tuple(local[inside].T)]
    return found
