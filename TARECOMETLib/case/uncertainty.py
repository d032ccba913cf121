"""Uncertainty of a phase's doses: from the case's inputs and its image to intervals and a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dosimetry.activity import ABSOLUTE, back_to_injection_factor
from ..dosimetry.compartments import LIVER, LUNG, TERRITORY, TUMOUR, WHOLE_NORMAL
from ..dosimetry.contour_edge import signed_distance_mm
from ..dosimetry.contour_margin import MARGINS_MM, MarginDose, margin_doses
from ..dosimetry.dose import dose_per_activity_gy_g_per_mbq
from ..dosimetry.image_noise import ImageNoise, estimate_noise
from ..dosimetry.uncertainty import CommonUncertainty, DoseUncertainty, Recovery, propagate, sphere_recovery_of
from ..dosimetry.uncertainty_inputs import (
    DEFAULT_SOURCES,
    DRAWN_ON_FWHM_MM,
    InputUncertainties,
    drawn_edges,
)
from ..dosimetry.uncertainty_scene import DoseScene, Share
from ..errors import InputError
from ..imaging.volume import Volume
from ..physics.nuclides import ConstantsSet
from .document import Case
from .steps import Steps, part

if TYPE_CHECKING:
    from .phase import Ground, Phase

_MARGIN_MM = 8.0
# Of the region that the noise is taken from, what a voxel must hold of the liver.
_INSIDE = 0.99


@dataclass(frozen=True, eq=False)
class PhaseUncertainty:
    """What is uncertain about one phase's doses.

    Parameters
    ----------
    inputs : InputUncertainties
    doses : dict
        Compartment to its mean local dose with uncertainty; those without an edge that can move are absent.
    margins : dict
        Drawn contour of liver and tumours to its dose at margins.
    noise : ImageNoise
        In the unit of the scene's values.
    noise_sd_gy : dict
        Compartment to the part of its voxel doses' SD that is image noise, on the image's own voxels.
    scene, common : DoseScene, tuple of CommonUncertainty
        For sampling.
    box : tuple of slice
        The scene's part of the dose grid.
    corrected : dict
        Tumour to its mean local dose corrected for blur, as a uniform sphere in uniform surroundings.
    recovery : dict
        Tumour to the recovery that was used.
    """

    inputs: InputUncertainties
    doses: dict[str, DoseUncertainty]
    margins: dict[str, tuple[MarginDose, ...]]
    noise: ImageNoise
    noise_sd_gy: dict[str, float]
    scene: DoseScene
    common: tuple[CommonUncertainty, ...]
    box: tuple[slice, ...]
    corrected: dict[str, DoseUncertainty] = field(default_factory=dict)
    recovery: dict[str, Recovery] = field(default_factory=dict)


def phase_uncertainty(
    case: Case, constants: ConstantsSet, phase: Phase, ground: Ground, native: Volume, value_per_ml: np.ndarray
) -> Steps[PhaseUncertainty | None]:
    """Uncertainty of a computed phase; a generator of (share done, what) whose value is PhaseUncertainty.

    Its value is None where the image's resolution is not set (a finding asks for it).

    Parameters
    ----------
    native : Volume
        Image per mL on its own grid: counts, or MBq at scan.
    value_per_ml : ndarray of shape (k, j, i)
        The same on the dose grid.
    """
    fwhm_mm = case.settings.resolution_fwhm_mm.get(phase.image_role)
    if fwhm_mm is None:
        return None
    inputs = case.settings.uncertainty or InputUncertainties()
    scale = 1.0
    if phase.calibration == ABSOLUTE:
        scale = back_to_injection_factor(phase.deliveries, constants)
    steps = _scene(case, constants, phase, ground, value_per_ml * scale, inputs, fwhm_mm)
    scene, box = yield from part(steps, 0.0, 0.4)
    try:
        noise = estimate_noise(native.array, _inside(case, phase, ground, native), _kji(native), fwhm_mm)
    except InputError:  # a liver of a few voxels: nothing to take the noise from, the other sources remain
        noise = ImageNoise(0.0, 1.0)
    yield 0.5, "noise of the image"
    noise = replace(noise, variance_per_signal=noise.variance_per_signal * scale)
    common = tuple(common_uncertainties(case, constants, phase, inputs))
    found: dict[str, DoseUncertainty] = {}
    for number, compartment in enumerate(scene.compartments):
        yield 0.5 + 0.5 * number / len(scene.compartments), f"uncertainty of {compartment.name}"
        one = replace(scene, compartments=(compartment,))
        found |= propagate(one, common, noise, inputs.registration_mm)
    doses = _scaled(found, phase)
    recovery = _recoveries(case, scene, found, fwhm_mm, inputs)
    corrected: dict[str, DoseUncertainty] = {}
    for name, blur in recovery.items():
        yield 0.98, f"blur of {name}"
        one = replace(scene, compartments=tuple(c for c in scene.compartments if c.name == name))
        made = propagate(one, common, noise, inputs.registration_mm, {name: blur})[name]
        corrected[name] = made.scaled(doses[name].mean_gy / found[name].mean_gy)
    dose_gy = phase.dose_gy["local"][box]
    margins = {}
    for contour in case.contours:
        if contour.role in (LIVER, TUMOUR) and contour.name in scene.signed_mm:
            deepest = -float(scene.signed_mm[contour.name].min())
            wanted = tuple(margin for margin in MARGINS_MM if margin > -deepest)
            margins[contour.name] = margin_doses(
                scene.signed_mm[contour.name], dose_gy, scene.spacing_mm, wanted, f'contour "{contour.name}"'
            )
    noise_sd = {
        name: found.mean_gy * math.sqrt(noise.variance_per_signal / mean)
        for name, found in doses.items()
        if (mean := _mean_value(scene, found)) > 0.0
    }
    return PhaseUncertainty(inputs, doses, margins, noise, noise_sd, scene, common, box, corrected, recovery)


def _recoveries(
    case: Case, scene: DoseScene, found: dict[str, DoseUncertainty], fwhm_mm: float, inputs: InputUncertainties
) -> dict[str, Recovery]:
    """What blur leaves in each tumour, as a sphere of its volume surrounded by normal liver's mean dose."""
    surrounding = found.get(WHOLE_NORMAL)
    recovery = {}
    for name in case.contours_of(TUMOUR):
        if name in found and surrounding is not None and found[name].mean_gy > surrounding.mean_gy > 0.0:
            volume_ml = float(np.count_nonzero(scene.signed_mm[name] < 0.0)) * scene.voxel_ml
            recovery[name] = sphere_recovery_of(volume_ml, fwhm_mm, inputs.resolution, surrounding.mean_gy)
    return recovery


def _mean_value(scene: DoseScene, found: DoseUncertainty) -> float:
    """Image value per mL behind a mean dose."""
    if not scene.shares:
        return found.mean_gy * scene.density_g_ml / scene.gy_g_per_mbq
    counts = [float(np.sum(scene.value_per_ml[scene.signed_mm[s.territory] < 0.0])) for s in scene.shares]
    per_count = sum(s.liver_mbq for s in scene.shares) / max(sum(counts) * scene.voxel_ml, 1.0e-30)
    return found.mean_gy * scene.density_g_ml / scene.gy_g_per_mbq / per_count


def _kji(volume: Volume) -> tuple[float, float, float]:
    x, y, z = volume.geometry.spacing_mm
    return z, y, x


def _scene(
    case: Case,
    constants: ConstantsSet,
    phase: Phase,
    ground: Ground,
    value_per_ml: np.ndarray,
    inputs: InputUncertainties,
    fwhm_mm: float,
) -> Steps[tuple[DoseScene, tuple[slice, ...]]]:
    """Liver, territories and tumours in the smallest box with room around them."""
    parcels = ground.parcels
    spacing_mm = (
        parcels.geometry.spacing_mm[2],
        parcels.geometry.spacing_mm[1],
        parcels.geometry.spacing_mm[0],
    )
    entries = [c for c in case.contours if c.role in (LIVER, TERRITORY, TUMOUR)]
    masks = {c.name: parcels.occupancy((parcels.code & parcels.bit(c.name)) != 0) for c in entries}
    filled = np.zeros(parcels.geometry.shape_kji, dtype=bool)
    for mask in masks.values():
        filled |= mask > 0.0
    box = []
    for axis, edge in enumerate(spacing_mm):
        used = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        room = int(np.ceil(_MARGIN_MM / edge))
        box.append(slice(max(0, used[0] - room), min(filled.shape[axis], used[-1] + 1 + room)))
    signed, edges = {}, {}
    for number, entry in enumerate(entries):
        yield number / len(entries), f"edge of {entry.name}"
        try:
            signed[entry.name] = signed_distance_mm(masks[entry.name][tuple(box)] >= 0.5, spacing_mm, entry.name)
        except InputError:  # a few voxels: what is drawn there has no interval, the rest has
            continue
        drawn = ground.contours[entry.name].geometry.spacing_mm
        resolution = fwhm_mm if entry.source == "uptake" else DRAWN_ON_FWHM_MM.get(entry.source, 1.0)
        edges[entry.name] = drawn_edges(inputs, float(np.prod(drawn)) ** (1.0 / 3.0), resolution)
    shares = tuple(Share(d.territory, d.liver_mbq) for d in phase.deliveries if phase.calibration != ABSOLUTE)
    compartments = tuple(
        c
        for c in ground.compartments
        if c.role != LUNG and {*c.any_of, *c.also_any_of, *c.none_of} <= set(signed) | _tiny(case, signed)
    )
    compartments = tuple(_without(c, set(signed)) for c in compartments if set(c.any_of) & set(signed))
    scene = DoseScene(
        spacing_mm,
        signed,
        compartments,
        np.asarray(value_per_ml[tuple(box)], dtype=np.float32),
        dose_per_activity_gy_g_per_mbq(constants),
        case.settings.liver_density_g_ml,
        shares,
        edges,
    )
    return scene, tuple(box)


def _tiny(case: Case, signed: dict[str, np.ndarray]) -> set[str]:
    """Tumours too small for an edge: sums over tumours and normal liver go on without them."""
    return {name for name in case.contours_of(TUMOUR) if name not in signed}


def _without(compartment: Any, known: set[str]) -> Any:
    """A compartment without the contours that have no edge."""
    return replace(
        compartment,
        any_of=tuple(name for name in compartment.any_of if name in known),
        none_of=tuple(name for name in compartment.none_of if name in known),
    )


def _inside(case: Case, phase: Phase, ground: Ground, native: Volume) -> np.ndarray:
    """Voxels of the image that lie wholly in liver that was perfused (in the liver where no territory is drawn)."""
    from ..imaging.sitk_images import resample

    territories = sorted({d.territory for d in phase.deliveries}) or case.contours_of(LIVER)
    union: np.ndarray | None = None
    for name in territories:
        contour = ground.contours[name]
        share = Volume(contour.array.astype(np.float32), contour.geometry)
        carried = resample(share, native.geometry, np.linalg.inv(phase.registration.matrix_lps), outside=0.0).array
        union = carried if union is None else np.maximum(union, carried)
    assert union is not None
    return union >= _INSIDE


def common_uncertainties(
    case: Case, constants: ConstantsSet, phase: Phase, inputs: InputUncertainties
) -> list[CommonUncertainty]:
    """Sources that move all doses of a phase together."""

    def words(name: str) -> str:
        return DEFAULT_SOURCES[name][1]

    found = [
        CommonUncertainty(words("dose_constant"), inputs.dose_constant),
        CommonUncertainty(words("kernel"), inputs.kernel),
        CommonUncertainty(words("density"), inputs.density),
    ]
    if phase.calibration == ABSOLUTE:
        name = "spect_calibration" if phase.image_role.endswith("spect") else "pet_calibration"
        found.append(CommonUncertainty(words(name), getattr(inputs, name)))
        decay = math.log(2.0) / constants.half_life_h * inputs.time_min / 60.0
        found.append(CommonUncertainty(words("time_min"), decay))
        return found
    net = sum(injection.net_mbq for injection in case.injections)
    vial = sum(injection.vial_mbq for injection in case.injections)
    residual = math.sqrt(sum(injection.residual_mbq**2 for injection in case.injections))
    shunted = sum(d.lung_mbq for d in phase.deliveries)
    found.append(CommonUncertainty(words("dose_calibrator"), inputs.dose_calibrator * vial / net))
    found.append(CommonUncertainty(words("residual"), inputs.residual * residual / net))
    # The liver holds net (1 - LSF): a share of the shunt is the other way round a share of the rest.
    found.append(CommonUncertainty(words("lung_shunt"), inputs.lung_shunt * shunted / (net - shunted)))
    return found


def _scaled(found: dict[str, DoseUncertainty], phase: Phase) -> dict[str, DoseUncertainty]:
    """On the mean local doses that are reported: the box's own differ by how its edges fall on voxels."""
    result = {}
    for name, one in found.items():
        if name not in phase.dvh or one.mean_gy <= 0.0:
            continue
        mean = phase.dvh[name]["local"].mean_gy()
        if mean <= 0.0:  # nothing was given there: no dose, and nothing to say about it
            continue
        result[name] = one.scaled(mean / one.mean_gy)
    return result


def lung_uncertainty_gy(case: Case, mean_gy: float) -> float:
    """Standard uncertainty of the lung dose K A LSF / m."""
    inputs = case.settings.uncertainty or InputUncertainties()
    net = sum(injection.net_mbq for injection in case.injections)
    vial = sum(injection.vial_mbq for injection in case.injections)
    parts = (inputs.lung_shunt, inputs.lung_mass, inputs.dose_calibrator * vial / net, inputs.dose_constant)
    return mean_gy * math.sqrt(sum(part * part for part in parts))


def uncertainty_document(phase: Phase, name: str) -> dict[str, Any]:
    """Budget, bias and margins of one compartment as JSON; empty where there is no uncertainty."""
    whole = phase.uncertainty
    if whole is None or name not in whole.doses:
        return {}
    one = whole.doses[name]
    document: dict[str, Any] = {
        "method": "propagation",
        "mean_gy": one.mean_gy,
        "mean_uncertainty_gy": one.uncertainty_gy,
        "interval_95_gy": list(one.interval_gy),
        "main_source": one.main_source,
        "budget": [
            {"source": line.source, "uncertainty_gy": line.uncertainty_gy, "share": line.share} for line in one.lines
        ],
        "registration_bias_gy": one.registration_bias_gy,
    }
    if name in whole.noise_sd_gy:
        document["noise_sd_gy"] = whole.noise_sd_gy[name]
    if name in whole.corrected:
        better, blur = whole.corrected[name], whole.recovery[name]
        document["blur_corrected"] = {
            "model": "uniform sphere in uniform surroundings",
            "recovery": blur.coefficient,
            "recovery_uncertainty": blur.uncertainty,
            "mean_gy": better.mean_gy,
            "mean_uncertainty_gy": better.uncertainty_gy,
            "interval_95_gy": list(better.interval_gy),
            "budget": [
                {"source": line.source, "uncertainty_gy": line.uncertainty_gy, "share": line.share}
                for line in better.lines
            ],
        }
    if name in whole.margins:
        document["margins"] = [dict(vars(entry)) for entry in whole.margins[name]]
    return document


def inputs_document(phase: Phase) -> dict[str, Any]:
    """Standard uncertainties of the inputs with what each default rests on, and the noise found in the image."""
    whole = phase.uncertainty
    if whole is None:
        return {}
    default = InputUncertainties()
    rows = {}
    for name, (unit, words, source) in DEFAULT_SOURCES.items():
        value = getattr(whole.inputs, name)
        rows[name] = {"value": value, "unit": unit, "what": words}
        rows[name]["source"] = source if value == getattr(default, name) else "given in the case"
    return {
        "coverage": 0.95,
        "inputs": rows,
        "noise": {
            "variance_per_signal": whole.noise.variance_per_signal,
            "correlation_mm": float(whole.noise.correlation_mm),
        },
        "note": "Blur is not in the intervals: what it takes from lesions is a bias and is reported as such.",
    }
