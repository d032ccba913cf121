"""Earlier treatments: their doses count against every cumulative limit, in dose and in BED."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dosimetry.radiobiology import Radiobiology, bed_gy
from ..errors import InputError
from .goals import MOST_VALUE

LUNGS = "Lungs"


@dataclass(frozen=True)
class EarlierTreatment:
    """Doses of one earlier treatment, as typed or as its results gave them.

    Parameters
    ----------
    name : str
        How it is called in tables, for instance its date.
    mean_gy : dict
        Compartment name (``Whole normal liver``, ``Normal perfused liver``, ``Lungs``, a tumour's name) to mean dose.
    bed_gy : dict
        Compartment name to mean of voxel BED; where it is missing BED of the mean dose is taken.
    """

    name: str
    mean_gy: dict[str, float] = field(default_factory=dict)
    bed_gy: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for doses in (self.mean_gy, self.bed_gy):
            for region, value in doses.items():
                if not 0.0 <= value <= MOST_VALUE:
                    raise InputError(
                        f'earlier treatment "{self.name}", {region}',
                        f"expected 0 to {MOST_VALUE:g} Gy, got {value:g}",
                        "Correct the dose",
                        "earlier",
                    )


def earlier_mean_gy(earlier: Sequence[EarlierTreatment], region: str) -> float:
    """Sum of the earlier mean doses of a region.

    Raises
    ------
    InputError
        Where an earlier treatment does not say what the region got: that is not the same as nothing.
    """
    return sum(_of(treatment, treatment.mean_gy, region) for treatment in earlier)


def earlier_bed_gy(earlier: Sequence[EarlierTreatment], region: str, tissue: Radiobiology, half_life_h: float) -> float:
    """Sum of the earlier BEDs of a region: each treatment has decayed before the next, so their BEDs add."""
    total = 0.0
    for treatment in earlier:
        if region in treatment.bed_gy:
            total += treatment.bed_gy[region]
        else:
            total += float(bed_gy(_of(treatment, treatment.mean_gy, region), tissue, half_life_h))
    return total


def _of(treatment: EarlierTreatment, doses: Mapping[str, float], region: str) -> float:
    if region not in doses:
        raise InputError(
            f'earlier treatment "{treatment.name}"',
            f"its dose to {region} is not given, but a cumulative limit needs it",
            "Enter it, 0 where it got none",
            "earlier",
        )
    return doses[region]


def earlier_from_results(document: Mapping[str, Any], name: str = "", method: str = "local") -> EarlierTreatment:
    """An earlier treatment from its results document: delivered doses where there are any, else predicted ones.

    Parameters
    ----------
    document : mapping
        Content of results.json.
    name : str, optional
        Else the case's pseudonym.
    method : str
        local or kernel.
    """
    phase = document.get("post") or document.get("pre")
    if not phase or "compartments" not in phase:
        raise InputError("earlier treatment", "its results hold no doses", "Choose results.json of a computed case")
    mean, bed = {}, {}
    for entry in phase["compartments"]:
        doses = entry.get("dose", {}).get(method)
        if doses is None or entry.get("role") == "lung":
            continue
        mean[entry["name"]] = float(doses["mean_gy"])
        if "bed_gy" in doses:
            bed[entry["name"]] = float(doses["bed_gy"])
    mean[LUNGS] = float(phase["lung"]["mean_gy"])
    return EarlierTreatment(name or str(document.get("case_id", "earlier")), mean, bed)
