"""Partial-volume correction of a phase, beside what was measured: by compartment, never in place of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dosimetry.compartments import LIVER, LUNG, TERRITORY, TUMOUR, Compartment
from ..dosimetry.dose import dose_per_activity_gy_g_per_mbq
from ..dosimetry.parcels import Parcels
from ..dosimetry.recovery import TransferMatrix, recovered_mean, table_recovery, transfer_matrix
from ..imaging.volume import Volume
from ..physics.nuclides import ConstantsSet
from .document import Case, RecoverySettings

if TYPE_CHECKING:
    from .phase import Ground, Phase

BY_RESOLUTION, BY_TABLE = "resolution", "table"
# Smaller regions are left as part of what surrounds them: a division by less amplifies noise beyond use.
_LEAST_COEFFICIENT = 0.2
_MARGIN_FWHM = 3.0


@dataclass(frozen=True, eq=False)
class Recovered:
    """Corrected figures of a phase.

    Parameters
    ----------
    method : str
        For a person: what was done, with the resolution or the table's size.
    activity_mbq : dict
        Compartment to corrected activity at injection.
    coefficient, noise_amplification : dict
        Tumour to its recovery coefficient and to the factor by which its relative noise grows.
    left_out : tuple of str
        Tumours too small to be corrected.
    """

    method: str
    activity_mbq: dict[str, float]
    coefficient: dict[str, float]
    noise_amplification: dict[str, float]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Regions:
    """Disjoint regions over parcels, and one for all that is in none."""

    names: list[str]
    of_parcel: np.ndarray


def recover(
    case: Case, phase: Phase, ground: Ground, density: Volume, parcels: Parcels, at_parcel: np.ndarray
) -> tuple[np.ndarray, Recovered] | None:
    """Corrected value of each parcel, and what goes with it; None where the correction is off or has no resolution.

    Parameters
    ----------
    density : Volume
        Activity or counts per mL on the image's own grid.
    parcels : Parcels
        Of that grid.
    at_parcel : ndarray of shape (n,)
        Measured value of each parcel's voxel.
    """
    settings = case.settings.recovery
    if settings is None:
        return None
    tumours = [name for name in case.contours_of(TUMOUR) if (parcels.code & parcels.bit(name)).any()]
    if settings.method == BY_TABLE:
        return _by_table(settings, tumours, ground, parcels, at_parcel)
    fwhm = case.settings.resolution_fwhm_mm.get(phase.image_role)
    widths = settings.fwhm_ijk_mm or ((fwhm,) * 3 if fwhm is not None else None)
    if widths is None:
        return None
    return _by_resolution(case, tumours, density, parcels, tuple(widths[::-1]))


def _divided(case: Case, tumours: list[str], parcels: Parcels) -> _Regions:
    """Tumours first, then normal liver by set of territories, then what is left of the liver, then lungs."""
    of_parcel = np.full(parcels.code.shape, -1, dtype=np.int32)
    names: list[str] = []

    def add(name: str, chosen: np.ndarray) -> None:
        free = chosen & (of_parcel < 0)
        if free.any():
            of_parcel[free] = len(names)
            names.append(name)

    for name in tumours:
        add(name, (parcels.code & parcels.bit(name)) != 0)
    territory_bits = parcels.code & parcels.bits(case.contours_of(TERRITORY))
    for code in np.unique(territory_bits[territory_bits != 0]):
        add(f"territories {code}", territory_bits == code)
    add("other liver", (parcels.code & parcels.bits(case.contours_of(LIVER))) != 0)
    add("lungs", (parcels.code & parcels.bits(case.contours_of(LUNG))) != 0)
    add("other", np.ones(of_parcel.shape, dtype=bool))
    return _Regions(names, of_parcel)


def _by_resolution(
    case: Case,
    tumours: list[str],
    density: Volume,
    parcels: Parcels,
    fwhm_kji_mm: tuple[float, ...],
) -> tuple[np.ndarray, Recovered]:
    spacing = density.geometry.spacing_mm[::-1]
    wanted, left_out = list(tumours), []
    while True:
        regions = _divided(case, wanted, parcels)
        occupancies, image = _cropped(regions, parcels, density.array, fwhm_kji_mm, spacing)
        matrix = transfer_matrix(occupancies, fwhm_kji_mm, spacing)
        poor = [n for n, c in zip(regions.names, matrix.coefficients, strict=False) if c < _LEAST_COEFFICIENT]
        poor = [name for name in poor if name in wanted]
        if not poor:
            break
        left_out += poor
        wanted = [name for name in wanted if name not in poor]
    means = np.array([_mean(region, image) for region in occupancies])
    true = matrix.correct(means)
    width = " x ".join(f"{w:g}" for w in fwhm_kji_mm[::-1]) if len(set(fwhm_kji_mm)) > 1 else f"{fwhm_kji_mm[0]:g}"
    corrected = true[regions.of_parcel]
    figures = _tumour_figures(regions.names, wanted, matrix)
    return corrected, Recovered(f"geometric transfer matrix at {width} mm FWHM", {}, *figures, tuple(left_out))


def _tumour_figures(
    names: list[str], tumours: list[str], matrix: TransferMatrix
) -> tuple[dict[str, float], dict[str, float]]:
    amplification = matrix.noise_amplification()
    coefficient = {n: float(matrix.coefficients[names.index(n)]) for n in tumours if n in names}
    return coefficient, {n: float(amplification[names.index(n)]) for n in coefficient}


def _cropped(
    regions: _Regions,
    parcels: Parcels,
    image: np.ndarray,
    fwhm_kji_mm: tuple[float, ...],
    spacing_kji_mm: tuple[float, ...],
) -> tuple[list[np.ndarray], np.ndarray]:
    """Occupancies near the liver, the last of them all that is outside, and the image there."""
    occupancies = [parcels.occupancy(regions.of_parcel == n) for n in range(len(regions.names))]
    near = np.sum([o for o, n in zip(occupancies, regions.names, strict=True) if n not in ("lungs", "other")], axis=0)
    filled = [np.flatnonzero(near.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(
        slice(max(int(part[0]) - margin, 0), int(part[-1]) + 1 + margin)
        for part, margin in zip(
            filled,
            (int(np.ceil(_MARGIN_FWHM * w / s)) for w, s in zip(fwhm_kji_mm, spacing_kji_mm, strict=True)),
            strict=True,
        )
    )
    kept = [o[box].astype(np.float32) for o in occupancies]
    outside = np.clip(1.0 - np.sum(kept, axis=0), 0.0, 1.0)
    # A region that does not reach the box would make the matrix singular.
    empty = [n for n, o in enumerate(kept) if not o.any()]
    for number in empty:
        kept[number] = np.zeros_like(outside)
        kept[number].flat[0] = 1.0e-3
    return [*kept, outside], image[box]


def _mean(region: np.ndarray, image: np.ndarray) -> float:
    size = float(region.sum(dtype=np.float64))
    return float((region * image).sum(dtype=np.float64)) / size if size > 0.0 else 0.0


def _by_table(
    settings: RecoverySettings, tumours: list[str], ground: Ground, parcels: Parcels, at_parcel: np.ndarray
) -> tuple[np.ndarray, Recovered]:
    """Each tumour by the table's coefficient at its volume, against the normal liver around all of them."""
    assert settings.table is not None
    corrected = at_parcel.copy()
    in_tumour = (parcels.code & parcels.bits(tumours)) != 0
    coefficient: dict[str, float] = {}
    for name in tumours:
        inside = (parcels.code & parcels.bit(name)) != 0
        volume_ml = float(parcels.volume_ml[inside].sum())
        same = _same_territory(inside, in_tumour, ground, parcels)
        surrounding = float(np.average(at_parcel[same], weights=parcels.volume_ml[same])) if same.any() else 0.0
        coefficient[name] = table_recovery(settings.table, volume_ml)
        measured = float(np.average(at_parcel[inside], weights=parcels.volume_ml[inside]))
        corrected[inside] = recovered_mean(measured, surrounding, coefficient[name])
    figures = coefficient, {name: 1.0 / value for name, value in coefficient.items()}
    return corrected, Recovered(f"recovery table of {len(settings.table)} spheres", {}, *figures)


def _same_territory(inside: np.ndarray, in_tumour: np.ndarray, ground: Ground, parcels: Parcels) -> np.ndarray:
    """Normal liver with the same territories as most of a tumour."""
    territories = [c.name for c in ground.compartments if c.role == TERRITORY]
    livers = [c.name for c in ground.compartments if c.role == LIVER]
    bits = parcels.code & parcels.bits(territories)
    codes, volumes = np.unique(bits[inside]), []
    for code in codes:
        volumes.append(float(parcels.volume_ml[inside & (bits == code)].sum()))
    wanted = codes[int(np.argmax(volumes))]
    return ((parcels.code & parcels.bits(livers)) != 0) & ~in_tumour & (bits == wanted)


def collect_recovered(
    recovered: Recovered, compartments: tuple[Compartment, ...], parcels: Parcels, parcel_mbq: np.ndarray
) -> Recovered:
    """The corrected activity of every compartment that the method speaks of."""
    by_table = recovered.method.startswith("recovery table")
    activity = {}
    for compartment in compartments:
        tumours_only = compartment.role == TUMOUR or compartment.any_of == tuple(recovered.coefficient)
        if compartment.role == LUNG or (by_table and not tumours_only) or compartment.name in recovered.left_out:
            continue
        chosen = compartment.holds(parcels.code, parcels.names)
        activity[compartment.name] = float(parcel_mbq[chosen].sum())
    return Recovered(
        recovered.method, activity, recovered.coefficient, recovered.noise_amplification, recovered.left_out
    )


def recovered_document(phase: Phase, name: str, constants: ConstantsSet) -> dict[str, Any]:
    """Corrected and measured mean dose of a compartment, side by side; empty where there is no correction."""
    recovered = phase.recovered
    if recovered is None or name not in recovered.activity_mbq:
        return {}
    per_mbq = dose_per_activity_gy_g_per_mbq(constants) / phase.mass_g[name]
    document: dict[str, Any] = {
        "method": recovered.method,
        "activity_mbq": recovered.activity_mbq[name],
        "mean_gy": per_mbq * recovered.activity_mbq[name],
        "measured_mean_gy": per_mbq * phase.multicompartment_mbq[name],
    }
    if name in recovered.coefficient:
        document["recovery_coefficient"] = recovered.coefficient[name]
        document["noise_amplification"] = recovered.noise_amplification[name]
    return document
