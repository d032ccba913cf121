"""What the tests of physics and dosimetry share: the library, reference data, recorded agreement, small grids."""

from __future__ import annotations

import csv
import importlib.util
import sys
import unittest
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if importlib.util.find_spec("TARECOMETLib") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume

KERNEL_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kernels"
PENELOPE, LANCONELLI = KERNEL_DATA / "penelope", KERNEL_DATA / "lanconelli2012"
requires_kernel_data = unittest.skipUnless(
    KERNEL_DATA.is_dir(), "needs the published kernel tables in ../shared/data/kernels"
)


@dataclass(frozen=True)
class Agreement:
    """One bar and how far a test came from it; Testing/validation/print_agreement.py makes a table of them."""

    quantity: str
    reference: str
    deviation: float
    tolerance: float
    unit: str


AGREEMENTS: list[Agreement] = []


class AgreementTestCase(unittest.TestCase):
    """Assertions that keep the deviation they measured."""

    def assert_agrees(self, quantity: str, reference: str, deviation: float, tolerance: float, unit: str = "") -> None:
        """Fail unless the absolute deviation is within the tolerance; ``unit`` is "%" for relative ones."""
        AGREEMENTS.append(Agreement(quantity, reference, float(deviation), tolerance, unit))
        self.assertLessEqual(
            abs(deviation),
            tolerance,
            f"{quantity}: {deviation:.3g} {unit} from {reference}, allowed {tolerance:g} {unit}",
        )


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a comma-separated file with a line of names; lines that begin with # are comments."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def read_numbers(path: Path) -> np.ndarray:
    """Numbers of a comma-separated file without names; lines that begin with # are comments."""
    return np.loadtxt(path, delimiter=",", comments="#")


def read_lanconelli(spacing_mm: str) -> dict[tuple[int, int, int], float]:
    """S values in mGy/(MBq s) by offset, of one of Lanconelli 2012's soft-tissue tables."""
    text = (LANCONELLI / f"90Y{spacing_mm}mmsoft.txt").read_text(encoding="latin-1")
    rows = [line.split() for line in text.splitlines()[2:] if line.strip()]
    return {(int(i), int(j), int(k)): float(value) for i, j, k, value in rows}


def plain_convolution(source: np.ndarray, full_kernel: np.ndarray) -> np.ndarray:
    """Every source voxel's kernel added where it falls: no transform, nothing shared with the library."""
    half = tuple(n // 2 for n in full_kernel.shape)
    result = np.zeros(tuple(n + 2 * h for n, h in zip(source.shape, half, strict=True)))
    for place in np.argwhere(source != 0):
        box = tuple(slice(p, p + n) for p, n in zip(place, full_kernel.shape, strict=True))
        result[box] += source[tuple(place)] * full_kernel
    return result[tuple(slice(h, h + n) for h, n in zip(half, source.shape, strict=True))]


def ball_occupancy(radius_mm: float, spacing_mm: tuple[float, float, float], samples: int = 8) -> np.ndarray:
    """Share of each voxel inside a ball around the center of an odd grid that just holds it, shape (k, j, i)."""
    squares = []
    for edge in spacing_mm[::-1]:
        half = int(np.ceil(radius_mm / edge - 0.5))
        steps = (np.arange(samples) + 0.5) / samples - 0.5
        squares.append(((np.arange(-half, half + 1)[:, None] + steps) * edge) ** 2)
    occupancy = np.zeros(tuple(len(part) for part in squares))
    for a, b, c in np.ndindex(samples, samples, samples):
        k, j, i = squares[0][:, a], squares[1][:, b], squares[2][:, c]
        occupancy += k[:, None, None] + j[None, :, None] + i[None, None, :] < radius_mm**2
    return occupancy / samples**3


def box_volume(geometry: VolumeGeometry, lower_kji: tuple[int, int, int], upper_kji: tuple[int, int, int]) -> Volume:
    """Boolean volume, true from ``lower_kji`` to before ``upper_kji``."""
    array = np.zeros(geometry.shape_kji, dtype=bool)
    array[tuple(slice(a, b) for a, b in zip(lower_kji, upper_kji, strict=True))] = True
    return Volume(array, geometry)


def rotation(about: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rotation matrix about an axis (Rodrigues)."""
    x, y, z = np.asarray(about, dtype=float) / np.linalg.norm(about)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
