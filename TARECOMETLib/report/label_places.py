"""Places for small labels in a picture: near what they name, never over one another, never cut off."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Box = tuple[float, float, float, float]


class LabelPlaces:
    """Free room of one panel, in its pixels (x right, y down).

    Parameters
    ----------
    width, height : float
        Size of the panel.
    """

    def __init__(self, width: float, height: float) -> None:
        self._limit = (width, height)
        self._taken: list[Box] = []

    def block(self, box: Box) -> None:
        """Keep labels out of a box (left, top, right, bottom)."""
        self._taken.append(box)

    def find(self, candidates: Iterable[tuple[float, float]], size: tuple[float, float]) -> tuple[float, float] | None:
        """The first candidate center at which a label of a size is free; it is taken then. None where none is."""
        for x, y in candidates:
            box = (x - size[0] / 2.0, y - size[1] / 2.0, x + size[0] / 2.0, y + size[1] / 2.0)
            if self._is_free(box):
                self._taken.append(box)
                return x, y
        return None

    def _is_free(self, box: Box) -> bool:
        left, top, right, bottom = box
        if left < 2.0 or top < 2.0 or right > self._limit[0] - 2.0 or bottom > self._limit[1] - 2.0:
            return False
        return all(right <= a or left >= c or bottom <= b or top >= d for a, b, c, d in self._taken)


def around(line: np.ndarray, size: tuple[float, float], gap: float = 3.0) -> list[tuple[float, float]]:
    """Label centers around a closed line: right, left, above, below, the corners, then farther out."""
    (left, top), (right, bottom) = line.min(axis=0), line.max(axis=0)
    x, y = (left + right) / 2.0, (top + bottom) / 2.0
    places = []
    for more in (0.0, 1.0, 2.0, 3.5):
        dx, dy = size[0] / 2.0 + gap * (1.0 + more), size[1] / 2.0 + gap + more * size[1]
        places += [(right + dx, y), (left - dx, y), (x, top - dy), (x, bottom + dy)]
        places += [(right + dx, top - dy), (left - dx, top - dy), (right + dx, bottom + dy), (left - dx, bottom + dy)]
    return [(float(a), float(b)) for a, b in places]


def along(line: np.ndarray, count: int = 24) -> list[tuple[float, float]]:
    """Points spread over a line, the middle of its straightest run first."""
    index = np.unique(np.linspace(0, len(line) - 1, count).astype(int))
    reach = max(2, len(line) // 30)
    before, after = line[np.maximum(index - reach, 0)], line[np.minimum(index + reach, len(line) - 1)]
    chord = np.linalg.norm(after - before, axis=1)
    return [(float(x), float(y)) for x, y in line[index[np.argsort(-chord, kind="stable")]]]
