"""Decay data as sets: half-life, energy and dose constant that belong together are never mixed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import InputError
from ..units import BQ_PER_GBQ, JOULE_PER_MEV, SECONDS_PER_HOUR

DEFAULT_CONSTANTS_SET = "MIRD 49.67"
_TABLE = Path(__file__).resolve().parent.parent / "Resources" / "nuclides.json"


@dataclass(frozen=True)
class ConstantsSet:
    """One source's decay data of one nuclide.

    Parameters
    ----------
    name : str
        Printed with every result.
    nuclide : str
        For instance ``"Y-90"``.
    half_life_h : float
        Physical half-life.
    gy_kg_per_gbq : float
        Dose constant K: mean dose to 1 kg in which 1 GBq decays completely, all energy absorbed.
    mean_energy_mev : float
        Energy per decay. Where the source publishes K alone it is K ln2 / half-life.
    mean_energy_is_implied : bool
        True where the source publishes K alone.
    reference : str
        Where the figures stand.
    """

    name: str
    nuclide: str
    half_life_h: float
    gy_kg_per_gbq: float
    mean_energy_mev: float
    mean_energy_is_implied: bool
    reference: str

    def decay_factor(self, elapsed_h: float) -> float:
        """Share of the activity that is left after ``elapsed_h`` hours (above 1 for negative times)."""
        return math.exp(-math.log(2.0) * elapsed_h / self.half_life_h)


@dataclass(frozen=True)
class Nuclide:
    """A nuclide with the sets of decay data that are known for it."""

    symbol: str
    name: str
    sct_code: str
    header_half_life_range_h: tuple[float, float]
    constants_sets: tuple[ConstantsSet, ...]


def dose_constant_gy_kg_per_gbq(mean_energy_mev: float, half_life_h: float) -> float:
    """K = E T½ / ln 2: every decay of 1 GBq deposits its mean energy in 1 kg (MIRD schema)."""
    decays_per_gbq = BQ_PER_GBQ * half_life_h * SECONDS_PER_HOUR / math.log(2.0)
    return decays_per_gbq * mean_energy_mev * JOULE_PER_MEV


def _constants_set(nuclide: str, entry: dict) -> ConstantsSet:
    half_life_h, energy, constant = entry["half_life_h"], entry["mean_energy_mev"], entry["gy_kg_per_gbq"]
    per_mev = dose_constant_gy_kg_per_gbq(1.0, half_life_h)
    return ConstantsSet(
        name=entry["name"],
        nuclide=nuclide,
        half_life_h=half_life_h,
        gy_kg_per_gbq=constant if constant is not None else energy * per_mev,
        mean_energy_mev=energy if energy is not None else constant / per_mev,
        mean_energy_is_implied=energy is None,
        reference=entry["reference"],
    )


@lru_cache(maxsize=1)
def nuclides() -> dict[str, Nuclide]:
    """All nuclides of the shipped table, by symbol."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        symbol: Nuclide(
            symbol=symbol,
            name=entry["name"],
            sct_code=entry["sct_code"],
            header_half_life_range_h=tuple(entry["header_half_life_range_h"]),
            constants_sets=tuple(_constants_set(symbol, item) for item in entry["constants_sets"]),
        )
        for symbol, entry in table["nuclides"].items()
    }


def constants_set(name: str = DEFAULT_CONSTANTS_SET, nuclide: str = "Y-90") -> ConstantsSet:
    """Look a set up by name (case does not matter).

    Raises
    ------
    InputError
        Where there is no such nuclide or set; the sentence lists those there are.
    """
    if nuclide not in nuclides():
        raise InputError("nuclide", f'there are no decay data of "{nuclide}"', f"Choose one of {', '.join(nuclides())}")
    sets = nuclides()[nuclide].constants_sets
    for candidate in sets:
        if candidate.name.casefold() == str(name).strip().casefold():
            return candidate
    names = ", ".join(f'"{candidate.name}"' for candidate in sets)
    raise InputError("constants set", f'there is no set named "{name}" for {nuclide}', f"Choose one of {names}")
