"""One phase of a case, before or after treatment: from its image to dose maps and compartment doses."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..dosimetry.activity import (
    ABSOLUTE,
    Delivery,
    absolute_parcel_activity_mbq,
    back_to_injection_factor,
    relative_parcel_activity_mbq,
)
from ..dosimetry.compartments import LIVER, LUNG, TERRITORY, TUMOUR, Compartment
from ..dosimetry.dose import dose_per_activity_gy_g_per_mbq, kernel_dose_gy, local_dose_gy
from ..dosimetry.dvh import Dvh, make_dvh
from ..dosimetry.parcels import Parcels, divide
from ..dosimetry.uncertainty_inputs import USUAL_FWHM_MM
from ..dosimetry.uptake_offset import UptakeOffset, uptake_offset
from ..errors import InputError
from ..imaging.emission import concentration_factor, hours_between, slice_factors
from ..imaging.registration import Registration
from ..imaging.sitk_images import resample
from ..imaging.volume import Volume
from ..physics.nuclides import ConstantsSet
from ..physics.point_kernel import medium
from ..physics.voxel_kernel import voxel_kernel
from ..units import BQ_PER_MBQ
from .document import Case
from .recovery import Recovered, collect_recovered, recover
from .scanner_nuclide import nuclide_correction
from .steps import Steps, part
from .uncertainty import PhaseUncertainty, phase_uncertainty
from .uncertainty_check import Sampling

LOCAL, KERNEL = "local", "kernel"
# Points per mm at which contours are probed on the emission image's own grid.
_NATIVE_PROBE_MM = 1.0


@dataclass(frozen=True, eq=False)
class Ground:
    """What both phases share: the dose grid divided by contours, and its tissue.

    Parameters
    ----------
    parcels : Parcels
        On the dose grid, in the diagnostic image's space.
    density_g_ml : ndarray of shape (n,)
        Of each parcel.
    mass_g : ndarray of shape (k, j, i)
        Of each dose voxel.
    lung_density_g_ml : float
        Mean of the lung parcels; 0 where no lung is drawn.
    compartments : tuple of Compartment
    contours : dict
        Name to boolean volume in the diagnostic image's space.
    """

    parcels: Parcels
    density_g_ml: np.ndarray
    mass_g: np.ndarray
    lung_density_g_ml: float
    compartments: tuple[Compartment, ...]
    contours: dict[str, Volume]

    def holding(self, compartment: Compartment) -> np.ndarray:
        """Boolean over parcels: which belong to a compartment."""
        return compartment.holds(self.parcels.code, self.parcels.names)

    def bits_of(self, case: Case, *roles: str) -> np.uint64:
        """Mask of all contours with one of the roles."""
        return self.parcels.bits([c.name for c in case.contours if c.role in roles])


@dataclass(eq=False)
class Phase:
    """What was computed from one emission image.

    ``dvh`` and ``activity_mbq`` are by compartment name; ``dose_gy`` by method, on the dose grid. The
    ``multicompartment`` figures come from the image's own grid and never saw a dose map. ``counts_per_ml`` on the dose
    grid is kept of an image in counts: plans are made from it.
    """

    image_role: str
    calibration: str
    registration: Registration
    deliveries: list[Delivery]
    dose_gy: dict[str, np.ndarray] = field(default_factory=dict)
    dvh: dict[str, dict[str, Dvh]] = field(default_factory=dict)
    activity_mbq: dict[str, float] = field(default_factory=dict)
    mass_g: dict[str, float] = field(default_factory=dict)
    multicompartment_mbq: dict[str, float] = field(default_factory=dict)
    balance: dict[str, float] = field(default_factory=dict)
    kernel_energy_fraction: float = 0.0
    counts_per_ml: np.ndarray | None = None
    uncertainty: PhaseUncertainty | None = None
    sampling: Sampling | None = None
    recovered: Recovered | None = None
    scaled_to_net: float | None = None
    uptake_offset: UptakeOffset | None = None
    nudge_change_percent: dict[str, float] = field(default_factory=dict)


def deliveries_of(case: Case, scan_start: str | None) -> list[Delivery]:
    """The case's injections with their own times against a scan of the same activity."""
    return [
        Delivery(
            name=injection.id,
            territory=injection.territory,
            net_mbq=injection.net_mbq,
            lung_shunt_fraction=case.lung_shunt_fraction
            if injection.lung_shunt_fraction is None
            else injection.lung_shunt_fraction,
            elapsed_to_scan_h=hours_between(injection.time, scan_start) if scan_start else None,
        )
        for injection in case.injections
    ]


def prepare_ground(
    case: Case, parcels: Parcels, compartments: tuple[Compartment, ...], contours: dict[str, Volume], ct: Volume | None
) -> Ground:
    """Tissue of every parcel and voxel: lung by CT, liver and tumours as set, all else as soft tissue.

    Parameters
    ----------
    ct : Volume or None
        Diagnostic CT in HU; without one the lungs take the lung medium's density.
    """
    density = np.full(parcels.code.shape, case.settings.other_density_g_ml)

    def having(*roles: str) -> np.ndarray:
        return (parcels.code & parcels.bits([c.name for c in case.contours if c.role in roles])) != 0

    solid = having(LIVER, TUMOUR, TERRITORY)
    lung = having(LUNG) & ~solid
    density[solid] = case.settings.liver_density_g_ml
    if lung.any():
        if ct is None:
            density[lung] = medium("lung").density_g_ml
        else:
            carried = resample(ct, parcels.geometry, np.eye(4), outside=-740.0)
            # (HU + 1000) / 1000 g/mL: Kao 2014, doi:10.1186/s13550-014-0033-7.
            by_ct = (carried.array.ravel()[parcels.voxel[lung]] + 1000.0) / 1000.0
            density[lung] = np.clip(by_ct, 0.05, 1.2)
    size = int(np.prod(parcels.geometry.shape_kji))
    filled = np.bincount(parcels.voxel, parcels.volume_ml, minlength=size)
    mass = np.bincount(parcels.voxel, parcels.volume_ml * density, minlength=size)
    mass += np.maximum(parcels.geometry.voxel_volume_ml - filled, 0.0) * case.settings.other_density_g_ml
    lung_volume = parcels.volume_ml[lung]
    return Ground(
        parcels=parcels,
        density_g_ml=density,
        mass_g=mass.reshape(parcels.geometry.shape_kji),
        lung_density_g_ml=float(np.average(density[lung], weights=lung_volume)) if lung.any() else 0.0,
        compartments=compartments,
        contours=contours,
    )


def compute_phase(
    case: Case, constants: ConstantsSet, role: str, image: Volume, registration: Registration, ground: Ground
) -> Steps[Phase]:
    """Doses from one emission image; a generator of (share done, what) whose value is a Phase."""
    calibration = case.settings.pre_calibration if role == "maa_spect" else case.settings.post_calibration
    facts = case.images[role].emission
    same_activity = role != "maa_spect"
    deliveries = deliveries_of(case, facts.scan_start if facts and same_activity else None)
    phase = Phase(role, calibration, registration, deliveries)
    yield 0.0, "activity"
    density = image_density(case, constants, role, image, calibration)
    values = carried_density(density, registration, ground, keep_negative=calibration == ABSOLUTE)
    if calibration != ABSOLUTE:
        phase.counts_per_ml = values
    activity_map, parcel_mbq = _activity(phase, constants, ground.parcels, values)
    yield 0.2, "local deposition"
    phase.dose_gy[LOCAL] = local_dose_gy(activity_map, ground.mass_g, constants).astype(np.float32)
    yield 0.3, "voxel kernel"
    sources = _kernel_sources(case, ground, activity_map, parcel_mbq)
    phase.kernel_energy_fraction = sources[0][1].energy_fraction
    yield 0.4, "kernel convolution"
    phase.dose_gy[KERNEL] = kernel_dose_gy(sources, ground.mass_g, constants)
    yield 0.7, "compartments"
    _collect(phase, constants, ground, parcel_mbq)
    yield 0.8, "multicompartment doses and balance"
    _native_figures(case, phase, constants, ground, density)
    steps = phase_uncertainty(case, constants, phase, ground, density, values)
    phase.uncertainty = yield from part(steps, 0.85, 1.0)
    return phase


def image_density(case: Case, constants: ConstantsSet, role: str, image: Volume, calibration: str) -> Volume:
    """MBq/mL at scan start, or counts per mL: values per volume, so that resampling keeps activity, not sums."""
    facts = case.images[role].emission
    if calibration == ABSOLUTE:
        assert facts is not None
        factor = concentration_factor(facts, constants.half_life_h, role) / BQ_PER_MBQ
        undone = nuclide_correction(case, role)
        factor *= undone.factor if undone is not None else 1.0
    else:
        factor = 1.0 / image.geometry.voxel_volume_ml
    values = image.array.astype(np.float32) * np.float32(factor)
    if facts is not None and facts.slice_delay_s is not None:
        values *= slice_factors(facts, constants.half_life_h, len(values), role).astype(np.float32)
    return Volume(values, image.geometry)


def carried_density(density: Volume, registration: Registration, ground: Ground, *, keep_negative: bool) -> np.ndarray:
    """Values per volume on the dose grid.

    Counts are never negative: where the image has none below 0 the spline's undershoot is taken off, and the sum
    stays what was injected.
    """
    carried = resample(density, ground.parcels.geometry, registration.matrix_lps, cubic=True, outside=0.0)
    if keep_negative or (density.array < 0).any():
        return carried.array
    return np.maximum(carried.array, 0.0)


def _activity(
    phase: Phase, constants: ConstantsSet, parcels: Parcels, density: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Activity at injection per dose voxel and per parcel, MBq."""
    at_parcel = density.ravel()[parcels.voxel].astype(float)
    size = density.size
    if phase.calibration == ABSOLUTE:
        parcel_mbq = absolute_parcel_activity_mbq(parcels, at_parcel, phase.deliveries, constants)
        filled = np.bincount(parcels.voxel, parcels.volume_ml, minlength=size)
        rest_ml = np.maximum(parcels.geometry.voxel_volume_ml - filled, 0.0)
        elsewhere = density.ravel() * rest_ml * back_to_injection_factor(phase.deliveries, constants)
        total = elsewhere + np.bincount(parcels.voxel, parcel_mbq, minlength=size)
    else:
        parcel_mbq, _ = relative_parcel_activity_mbq(parcels, at_parcel, phase.deliveries)
        total = np.bincount(parcels.voxel, parcel_mbq, minlength=size)
    return total.reshape(density.shape), parcel_mbq


def _kernel_sources(case: Case, ground: Ground, activity_map: np.ndarray, parcel_mbq: np.ndarray) -> list:
    """Activity by the tissue that holds it, each with that tissue's kernel."""
    parcels = ground.parcels
    spacing = parcels.geometry.spacing_mm
    liver_kernel = voxel_kernel(spacing, "soft-tissue", case.settings.liver_density_g_ml)
    solid = ground.bits_of(case, LIVER, TUMOUR, TERRITORY)
    lung = ((parcels.code & ground.bits_of(case, LUNG)) != 0) & ((parcels.code & solid) == 0)
    in_lung = np.bincount(parcels.voxel[lung], parcel_mbq[lung], minlength=activity_map.size).reshape(
        activity_map.shape
    )
    if not in_lung.any():
        return [(activity_map, liver_kernel)]
    lung_kernel = voxel_kernel(spacing, "lung", ground.lung_density_g_ml)
    return [(activity_map - in_lung, liver_kernel), (in_lung, lung_kernel)]


def _collect(phase: Phase, constants: ConstantsSet, ground: Ground, parcel_mbq: np.ndarray) -> None:
    """DVHs, activities and masses of every compartment."""
    parcels = ground.parcels
    mass = parcels.volume_ml * ground.density_g_ml
    local = dose_per_activity_gy_g_per_mbq(constants) * parcel_mbq / mass
    kernel = phase.dose_gy[KERNEL].ravel()[parcels.voxel]
    for compartment in ground.compartments:
        chosen = ground.holding(compartment)
        if not chosen.any():
            continue
        phase.activity_mbq[compartment.name] = float(parcel_mbq[chosen].sum())
        phase.mass_g[compartment.name] = float(mass[chosen].sum())
        phase.dvh[compartment.name] = {
            LOCAL: make_dvh(local[chosen], parcels.volume_ml[chosen], ground.density_g_ml[chosen]),
            KERNEL: make_dvh(kernel[chosen], parcels.volume_ml[chosen], ground.density_g_ml[chosen]),
        }


def _native_figures(case: Case, phase: Phase, constants: ConstantsSet, ground: Ground, density: Volume) -> None:
    """Compartment activities and the activity balance from the image's own voxels.

    Contours are carried to the image's grid, each voxel probed about every mm: no interpolation, no dose map.
    """
    parcels = _native_parcels(ground, density, phase.registration.matrix_lps)
    if parcels.voxel.size == 0:
        raise InputError(
            phase.image_role,
            "no contour lies in its field of view",
            "Check the registration and the images",
            "no-overlap",
        )
    at_parcel = density.array.ravel()[parcels.voxel].astype(float)
    parcel_mbq = _parcel_activity(phase, constants, parcels, at_parcel)
    for compartment in ground.compartments:
        chosen = compartment.holds(parcels.code, parcels.names)
        phase.multicompartment_mbq[compartment.name] = float(parcel_mbq[chosen].sum())
    injected = (parcels.code & parcels.bits(sorted({d.territory for d in phase.deliveries}))) != 0
    fwhm_mm = case.settings.resolution_fwhm_mm.get(phase.image_role) or USUAL_FWHM_MM.get(phase.image_role)
    if fwhm_mm is not None:
        spacing = density.geometry.spacing_mm[::-1]
        phase.uptake_offset = uptake_offset(density.array, parcels.occupancy(injected), spacing, fwhm_mm)
    if phase.registration.before_nudge_lps is not None:
        phase.nudge_change_percent = _change_by_nudge(phase, constants, ground, density)
    found = recover(case, phase, ground, density, parcels, at_parcel)
    if found is not None:
        corrected_mbq = _parcel_activity(phase, constants, parcels, found[0])
        phase.recovered = collect_recovered(found[1], ground.compartments, parcels, corrected_mbq)
    if phase.calibration == ABSOLUTE:
        in_liver = (parcels.code & parcels.bits(case.contours_of(LIVER) + case.contours_of(TUMOUR))) != 0
        measured = float(parcel_mbq[in_liver].sum())
        if measured > 0.0:
            phase.scaled_to_net = sum(d.liver_mbq for d in phase.deliveries) / measured
    _balance(case, phase, constants, ground, density, parcels, at_parcel, parcel_mbq)


def _native_parcels(ground: Ground, density: Volume, matrix_lps: np.ndarray) -> Parcels:
    """The image's own voxels divided by contours that are carried to it."""
    back = np.linalg.inv(matrix_lps)
    moved = [(name, Volume(v.array, v.geometry.transformed(back))) for name, v in ground.contours.items()]
    samples = tuple(max(1, int(np.ceil(s / _NATIVE_PROBE_MM))) for s in density.geometry.spacing_mm[::-1])
    return divide(moved, density.geometry, samples)  # type: ignore[arg-type]


def _change_by_nudge(phase: Phase, constants: ConstantsSet, ground: Ground, density: Volume) -> dict[str, float]:
    """By how much the nudge changed each compartment's mean dose, %."""
    parcels = _native_parcels(ground, density, phase.registration.ct_matrix_lps)
    at_parcel = density.array.ravel()[parcels.voxel].astype(float)
    parcel_mbq = _parcel_activity(phase, constants, parcels, at_parcel)
    change = {}
    for compartment in ground.compartments:
        before = float(parcel_mbq[compartment.holds(parcels.code, parcels.names)].sum())
        if before > 0.0:
            change[compartment.name] = 100.0 * (phase.multicompartment_mbq[compartment.name] / before - 1.0)
    return change


def _parcel_activity(phase: Phase, constants: ConstantsSet, parcels: Parcels, at_parcel: np.ndarray) -> np.ndarray:
    """Activity at injection of parcels on the image's grid, MBq."""
    if phase.calibration == ABSOLUTE:
        return absolute_parcel_activity_mbq(parcels, at_parcel, phase.deliveries, constants)
    return relative_parcel_activity_mbq(parcels, at_parcel, phase.deliveries)[0]


def _balance(
    case: Case,
    phase: Phase,
    constants: ConstantsSet,
    ground: Ground,
    density: Volume,
    parcels: Parcels,
    at_parcel: np.ndarray,
    parcel_mbq: np.ndarray,
) -> None:
    """Where the activity is: liver, lungs and field against what was given, at the first injection's time."""
    liver = (parcels.code & parcels.bits(case.contours_of(LIVER) + case.contours_of(TUMOUR))) != 0
    lung = ((parcels.code & parcels.bits(case.contours_of(LUNG))) != 0) & ~liver
    value = at_parcel * parcels.volume_ml
    field_total = float(density.array.sum(dtype=np.float64)) * density.geometry.voxel_volume_ml
    territory = (parcels.code & parcels.bits(sorted({d.territory for d in phase.deliveries}))) != 0
    liver_ml = float(
        sum(
            ground.contours[n].array.sum() * ground.contours[n].geometry.voxel_volume_ml
            for n in case.contours_of(LIVER)
        )
    )
    liver_only = (parcels.code & parcels.bits(case.contours_of(LIVER))) != 0
    phase.balance = {
        "territories_share_of_field": float(value[territory].sum()) / field_total if field_total > 0.0 else 0.0,
        "liver_share_of_field": float(value[liver].sum()) / field_total if field_total > 0.0 else 0.0,
        "lungs_share_of_field": float(value[lung].sum()) / field_total if field_total > 0.0 else 0.0,
        "liver_in_field_share": min(1.0, float(parcels.volume_ml[liver_only].sum()) / liver_ml),
    }
    if phase.calibration != ABSOLUTE:
        net = sum(d.net_mbq for d in phase.deliveries)
        lungs_mbq = sum(d.lung_mbq for d in phase.deliveries)
        liver_mbq = float(parcel_mbq.sum())
        phase.balance |= {
            "net_injected_mbq": net,
            "liver_mbq": liver_mbq,
            "lungs_mbq": lungs_mbq,
            "ratio": (liver_mbq + lungs_mbq) / net,
        }
        return
    first = max(d.elapsed_to_scan_h or 0.0 for d in phase.deliveries)
    to_first = 1.0 / constants.decay_factor(first)
    net = sum(d.net_mbq * constants.decay_factor(d.elapsed_to_scan_h or 0.0) for d in phase.deliveries) * to_first
    liver_mbq, lungs_mbq = float(value[liver].sum()) * to_first, float(value[lung].sum()) * to_first
    phase.balance |= {
        "net_injected_mbq": net,
        "image_total_mbq": field_total * to_first,
        "liver_mbq": liver_mbq,
        "lungs_mbq": lungs_mbq,
        "ratio": (liver_mbq + lungs_mbq) / net,
        "field_ratio": field_total * to_first / net,
    }
