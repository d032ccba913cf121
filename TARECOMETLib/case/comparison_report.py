"""Predicted against delivered dose of a case, as its figures and the report show it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..comparison.bland_altman import bland_altman
from ..comparison.gamma import GammaCriterion, GammaMap, computing_gamma
from ..comparison.voxels import isodose_agreement
from ..dosimetry.compartments import NORMAL_PERFUSED
from ..imaging.volume import Volume
from ..report.comparison_content import ComparisonReport, ComparisonRow, GammaBars
from .comparing import AT_NET, MEASURED, SCALED
from .phase import LOCAL
from .steps import Steps, part
from .workflow import CaseResults

# Below six lesions the 95 % interval of a limit of agreement (Bland and Altman 1999,
# doi:10.1177/096228029900800204) reaches further than the 1.96 SD from the limit to the bias.
FEWEST_LESIONS = 6
CRITERIA = (GammaCriterion(10.0, 5.0), GammaCriterion(3.0, 3.0))
_LEVELS = 12
_MOST_CURVES = 6


def comparison_report(results: CaseResults, comparison: dict[str, Any]) -> Steps[ComparisonReport]:
    """Gather what is shown; a generator of (share done, what).

    Parameters
    ----------
    results : CaseResults
    comparison : dict
        ``comparison_document(results)``.
    """
    rows = tuple(_row(entry) for entry in comparison["compartments"])
    limits, limits_sentence = _limits(rows)
    geometry = results.ground.parcels.geometry
    maps = [results.phases[name].dose_gy[LOCAL] for name in ("pre", "post")]
    inside = np.zeros(maps[0].shape, dtype=bool)
    inside.reshape(-1)[results.ground.parcels.voxel[_any_compartment(results, rows)]] = True
    gammas = []
    for number, criterion in enumerate(CRITERIA):
        if not float(maps[0].max()) > 0.0:
            break
        steps = computing_gamma(Volume(maps[0], geometry), Volume(maps[1], geometry), criterion, inside=inside)
        gamma: GammaMap = yield from part(steps, number / len(CRITERIA), (number + 1) / len(CRITERIA))
        rate = gamma.pass_rate()
        if rate is not None:
            gammas.append(GammaBars(criterion.name, *gamma.histogram(), rate))
    k = int(np.argmax(np.where(inside, maps[0], 0.0).max(axis=(1, 2))))
    j, i = (np.flatnonzero(inside.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    box = (k, slice(int(j[0]), int(j[-1]) + 1), slice(int(i[0]), int(i[-1]) + 1)) if j.size else (k,)
    return ComparisonReport(
        rows=rows,
        sentences=(*_sentences(comparison), limits_sentence),
        limits=limits,
        limits_sentence=limits_sentence,
        isodoses=_isodoses(results, rows, maps),
        gammas=tuple(gammas),
        slices_gy=(maps[0][box], maps[1][box]),
        spacing_mm=(geometry.spacing_mm[0], geometry.spacing_mm[1]),
        slice_words=f"slice k = {k} of the dose grid, through the largest predicted dose",
    )


def _row(entry: dict[str, Any]) -> ComparisonRow:
    mean = entry["mean_gy"]
    return ComparisonRow(
        name=entry["name"],
        role=entry["role"],
        mean_gy=mean,
        difference_gy=entry.get("difference_gy"),
        ratio=entry.get("ratio"),
        predicted_gy=mean.get(AT_NET),
        delivered_gy=mean.get(MEASURED, mean.get(SCALED)),
        tumour_to_normal=entry.get("tumour_to_normal", {}),
        voxels=entry.get("voxels", {}),
    )


def _any_compartment(results: CaseResults, rows: tuple[ComparisonRow, ...]) -> np.ndarray:
    names = {row.name for row in rows}
    chosen = np.zeros(results.ground.parcels.voxel.size, dtype=bool)
    for compartment in results.ground.compartments:
        if compartment.name in names and compartment.role != "other":
            chosen |= results.ground.holding(compartment)
    return chosen


def _limits(rows: tuple[ComparisonRow, ...]) -> tuple[tuple[float, float, float] | None, str]:
    pairs = [
        (row.predicted_gy, row.delivered_gy)
        for row in rows
        if row.role == "tumour" and row.predicted_gy is not None and row.delivered_gy is not None
    ]
    count = f"{len(pairs)} lesion{'' if len(pairs) == 1 else 's'}"
    if len(pairs) < FEWEST_LESIONS:
        return None, f"No limits of agreement: {count}, from {FEWEST_LESIONS} on they are given."
    found = bland_altman([a for a, _ in pairs], [b for _, b in pairs])
    bias, low, high = found.bias.value, found.lower_limit.value, found.upper_limit.value
    return (bias, low, high), f"Limits of agreement over {count} of this patient: {low:.0f} to {high:.0f} Gy."


def _isodoses(
    results: CaseResults, rows: tuple[ComparisonRow, ...], maps: list[np.ndarray]
) -> dict[str, tuple[tuple[float, float], ...]]:
    lesions = sorted((r for r in rows if r.role == "tumour"), key=lambda r: -max(r.mean_gy.values(), default=0.0))
    names = [row.name for row in lesions[:_MOST_CURVES]] + [r.name for r in rows if r.name == NORMAL_PERFUSED]
    parcels, curves = results.ground.parcels, {}
    for name in names:
        chosen = results.ground.holding(next(c for c in results.ground.compartments if c.name == name))
        filled = np.bincount(parcels.voxel[chosen], parcels.volume_ml[chosen], minlength=maps[0].size)
        inside = (filled >= 0.5 * parcels.geometry.voxel_volume_ml).reshape(maps[0].shape)
        if not inside.any():
            continue
        top = max(float(m[inside].max()) for m in maps)
        levels = [float(level) for level in np.linspace(0.0, top, _LEVELS + 1)[1:-1]]
        found = isodose_agreement(maps[0], maps[1], inside, parcels.geometry.spacing_mm, levels)
        curve = tuple((entry.level_gy, entry.dice) for entry in found if entry.dice is not None)
        if curve:
            curves[name] = curve
    return curves


def _sentences(comparison: dict[str, Any]) -> list[str]:
    quality = comparison["registration_quality"]
    said = [f"Registration quality: before {quality['pre']:.3f}, after {quality['post']:.3f}."]
    if "primary_resolution" in comparison:
        said.append(f"Stated beforehand as primary: {comparison['primary_resolution']} maps.")
    if "matched_absent" in comparison:
        said.append(f"No figures at matched resolution: {comparison['matched_absent']}.")
    if "catheter_position" in comparison:
        said.append(f"Catheter position: {comparison['catheter_position']}.")
    said += [f"{c.noise_sentence}." for c in CRITERIA if c.noise_sentence]
    return said
