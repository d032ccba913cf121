"""Compartments: the contours a person drew and those that follow from them by set operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LIVER, TERRITORY, TUMOUR, LUNG, OTHER = "liver", "territory", "tumour", "lung", "other"
ROLES = (LIVER, TERRITORY, TUMOUR, LUNG, OTHER)

ALL_TUMOURS = "All tumours"
WHOLE_NORMAL = "Whole normal liver"
NORMAL_PERFUSED = "Normal perfused liver"
NON_PERFUSED = "Non-perfused liver"


@dataclass(frozen=True)
class Compartment:
    """A volume that doses are reported for, as a rule over contour sets.

    A place belongs to it when it lies in at least one contour of ``any_of``, in at least one of ``also_any_of``
    where there are any, and in none of ``none_of``.

    Parameters
    ----------
    name : str
    role : str
        One of the drawn roles, or ``"derived"``.
    any_of : tuple of str
    also_any_of : tuple of str
        Empty means no further condition.
    none_of : tuple of str
    """

    name: str
    role: str
    any_of: tuple[str, ...]
    also_any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    def holds(self, code: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Which contour sets (bit codes over ``names``) belong to the compartment."""

        def mask(wanted: tuple[str, ...]) -> np.uint64:
            value = np.uint64(0)
            for name in wanted:
                value |= np.uint64(1) << np.uint64(list(names).index(name))
            return value

        inside = (code & mask(self.any_of)) != 0
        if self.also_any_of:
            inside &= (code & mask(self.also_any_of)) != 0
        return inside & ((code & mask(self.none_of)) == 0)


def derive_compartments(roles: dict[str, str]) -> list[Compartment]:
    """All compartments of a case, drawn ones first, in the order they were drawn.

    Whole normal liver is the liver without tumours. Normal perfused liver is its part inside the territories,
    non-perfused liver its part outside them, so the two add up to it. A tumour's part outside the liver stays
    with the tumour.

    Parameters
    ----------
    roles : dict
        Contour name to role.
    """

    def named(role: str) -> tuple[str, ...]:
        return tuple(name for name, given in roles.items() if given == role)

    livers, territories, tumours = named(LIVER), named(TERRITORY), named(TUMOUR)
    compartments = [Compartment(name, role, (name,)) for name, role in roles.items()]
    if tumours:
        compartments.append(Compartment(ALL_TUMOURS, "derived", tumours))
    compartments.append(Compartment(WHOLE_NORMAL, "derived", livers, none_of=tumours))
    if territories:
        compartments.append(Compartment(NORMAL_PERFUSED, "derived", livers, territories, tumours))
        if len(territories) > 1:
            for name in territories:
                compartments.append(Compartment(f"{NORMAL_PERFUSED}: {name}", "derived", livers, (name,), tumours))
        compartments.append(Compartment(NON_PERFUSED, "derived", livers, none_of=territories + tumours))
    return compartments
