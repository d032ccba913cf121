"""The phantom measured again and again, every source of the budget drawn anew: do the intervals hold the truth?"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import support  # noqa: F401 - finds the library

from TARECOMETLib.dosimetry.compartments import derive_compartments
from TARECOMETLib.dosimetry.contour_edge import occupancy, random_field, signed_distance_mm
from TARECOMETLib.dosimetry.image_noise import ImageNoise, estimate_noise
from TARECOMETLib.dosimetry.uncertainty import CommonUncertainty, Recovery, propagate, sphere_recovery_of
from TARECOMETLib.dosimetry.uncertainty_inputs import InputUncertainties
from TARECOMETLib.dosimetry.uncertainty_scene import DoseScene, EdgeUncertainty, Share, compartment_occupancy
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.phantom.acquisition import (
    AcquisitionParameters,
    RigidMove,
    emission_image,
    pet_bq_ml,
    surrounding_grid,
)
from TARECOMETLib.phantom.anatomy import Anatomy, AnatomyParameters, build_anatomy
from TARECOMETLib.phantom.treatment import TreatmentParameters
from TARECOMETLib.phantom.uptake import UptakeParameters, make_distributions

K, DENSITY = 49.67, 1.05
FWHM_MM = {"absolute": 6.5, "relative": 12.0}
SPECT_COUNTS = 6.0e6
SIGMA_PER_FWHM = 1.0 / 2.3548


@dataclass(eq=False)
class Ground:
    """The true patient on one grid, and what stays the same in every measurement."""

    anatomy: Anatomy
    activity_mbq: np.ndarray
    masks: dict[str, np.ndarray]
    box: tuple[slice, ...]
    geometry: VolumeGeometry
    signed_mm: dict[str, np.ndarray]
    compartments: tuple
    truth_gy: dict[str, float] = field(default_factory=dict)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Along k, j, i."""
        x, y, z = self.anatomy.geometry.spacing_mm
        return z, y, x

    def volume_ml(self, name: str) -> float:
        """True volume of a compartment."""
        mask = self.masks.get(name)
        if mask is None:
            lesions = [other for key, other in self.masks.items() if key != "liver"]
            mask = self.masks["liver"] & ~np.any(lesions, axis=0)
        return float(mask.sum()) * self.anatomy.geometry.voxel_volume_ml


def make_ground(spacing_mm: float = 4.0) -> Ground:
    """The package's phantom on a coarse grid, with its truth."""
    anatomy = build_anatomy(AnatomyParameters(spacing_mm=(spacing_mm,) * 3), seed=20270)
    treatment = TreatmentParameters()
    uptake = UptakeParameters(normal_variation=0.3, tumour_variation=0.25)
    y90, _ = make_distributions(anatomy, treatment.injections, uptake, seed=20270)
    liver_only = sum(y90.by_injection_mbq)
    masks = {"liver": anatomy.liver, **{f"m{name}": mask for name, mask in anatomy.tumours.items()}}
    masks = {name: mask for name, mask in masks.items() if np.count_nonzero(mask) >= 40}
    filled = np.argwhere(anatomy.liver)
    margin = int(np.ceil(28.0 / spacing_mm))
    low = np.maximum(filled.min(axis=0) - margin, 0)
    high = np.minimum(filled.max(axis=0) + margin + 1, anatomy.geometry.shape_kji)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    roles = {name: "liver" if name == "liver" else "tumour" for name in masks}
    geometry = anatomy.geometry.cropped(tuple(low), tuple(high - low))
    ground = Ground(anatomy, liver_only, masks, box, geometry, {}, tuple(derive_compartments(roles)))
    voxel_g = spacing_mm**3 / 1000.0 * DENSITY
    for name, mask in masks.items():
        ground.signed_mm[name] = signed_distance_mm(mask[box], ground.spacing_mm)
        ground.truth_gy[name] = K * float(liver_only[mask].sum()) / (mask.sum() * voxel_g)
    normal = masks["liver"] & ~np.any([mask for name, mask in masks.items() if name != "liver"], axis=0)
    ground.truth_gy["Whole normal liver"] = K * float(liver_only[normal].sum()) / (normal.sum() * voxel_g)
    return ground


def measure(
    ground: Ground, kind: str, inputs: InputUncertainties, rng: np.random.Generator
) -> tuple[DoseScene, list[CommonUncertainty], ImageNoise, dict[str, Recovery]]:
    """One measurement with every source drawn anew, as a person would have it on the screen."""
    spacing, anatomy = ground.spacing_mm, ground.anatomy
    scanners = AcquisitionParameters(pet_bias_bq_ml=0.0)
    move = RigidMove((0.0, 0.0, 0.0), tuple(inputs.registration_mm * rng.standard_normal(3)))
    matrix = move.matrix_lps(anatomy.center_lps_mm)
    fwhm = FWHM_MM[kind]
    width = scanners.pet_spacing_mm if kind == "absolute" else scanners.spect_spacing_mm
    grid = surrounding_grid(ground.geometry, width, 8.0)
    sharp = emission_image(Volume(ground.activity_mbq[ground.box], ground.geometry), grid, matrix, fwhm)
    if kind == "absolute":
        body = np.ones(grid.shape_kji)
        image = pet_bq_ml(sharp, grid, body, scanners, rng) / 1.0e6
    else:
        image = rng.poisson(np.maximum(sharp, 0.0) * SPECT_COUNTS / sharp.sum()) / grid.voxel_volume_ml
    # Contours as drawn on the diagnostic image: the true edge and an error along it, as whole voxels.
    drawn = {}
    for name, signed in ground.signed_mm.items():
        error = inputs.contour_mm * random_field(rng, signed.shape, inputs.contour_correlation_mm, spacing)
        drawn[name] = signed_distance_mm(occupancy(signed, spacing, error) > 0.5, spacing, name)
    value = _on_grid(ground, image, grid)
    constant = K * (1.0 + inputs.dose_constant * rng.standard_normal())
    density = DENSITY * (1.0 + inputs.density * rng.standard_normal())
    energy = 1.0 + inputs.kernel * rng.standard_normal()
    lambda_t = np.log(2.0) / 64.2 * inputs.time_min / 60.0
    common = [
        CommonUncertainty("Dose constant", inputs.dose_constant),
        CommonUncertainty("Energy transport", inputs.kernel),
        CommonUncertainty("Tissue density", inputs.density),
    ]
    shares: tuple[Share, ...] = ()
    if kind == "absolute":
        scale = (1.0 + inputs.pet_calibration * rng.standard_normal()) * np.exp(lambda_t * rng.standard_normal())
        value, image = value * scale, image * scale
        common += [
            CommonUncertainty("PET calibration", inputs.pet_calibration),
            CommonUncertainty("Decay times", float(lambda_t)),
        ]
    else:
        shunt = 0.041
        relative_shunt = inputs.lung_shunt * shunt / (1.0 - shunt)
        net = float(ground.activity_mbq.sum())
        vial = (1.0 + inputs.dose_calibrator * rng.standard_normal()) * (1.0 + relative_shunt * rng.standard_normal())
        shares = (Share("liver", net * vial),)
        common += [
            CommonUncertainty("Dose calibrator (vial)", inputs.dose_calibrator),
            CommonUncertainty("Lung shunt", relative_shunt),
        ]
    edges = {
        name: (
            EdgeUncertainty("Contour", inputs.contour_mm, inputs.contour_correlation_mm),
            EdgeUncertainty("Voxel size", spacing[0] / np.sqrt(12.0), spacing[0] / 2.0),
        )
        for name in drawn
    }
    scene = DoseScene(spacing, drawn, ground.compartments, value, constant * energy, density, shares, edges)
    believed = fwhm * (1.0 + inputs.resolution * rng.standard_normal())
    inside = _on_scanner(ground, grid, matrix)
    noise = estimate_noise(image, inside, tuple(grid.spacing_mm[::-1]), believed)
    return scene, common, noise, blur_correction(scene, believed, inputs)


def _on_grid(ground: Ground, image: np.ndarray, grid: VolumeGeometry) -> np.ndarray:
    """The image as it is believed to lie, in the box."""
    from scipy.ndimage import affine_transform

    matrix = grid.lps_to_ijk @ ground.geometry.ijk_to_lps
    shape = ground.geometry.shape_kji
    return affine_transform(image, matrix[2::-1, 2::-1], matrix[2::-1, 3], shape, order=3, mode="nearest")


def _on_scanner(ground: Ground, grid: VolumeGeometry, matrix: np.ndarray) -> np.ndarray:
    """Voxels of the image that lie wholly in the liver."""
    from scipy.ndimage import affine_transform

    back = ground.geometry.lps_to_ijk @ matrix @ grid.ijk_to_lps
    liver = ground.masks["liver"][ground.box].astype(float)
    return affine_transform(liver, back[2::-1, 2::-1], back[2::-1, 3], grid.shape_kji, order=1) > 0.99


def blur_correction(scene: DoseScene, fwhm_mm: float, inputs: InputUncertainties) -> dict[str, Recovery]:
    """Recovery of every compartment by its own shape: what blur leaves in it and brings into it.

    Regions (lesions, normal liver) are taken as uniform, nothing outside (geometric transfer matrix, Rousset 1998);
    misregistration blurs too.
    """
    from scipy.ndimage import gaussian_filter

    filled = scene.occupancies()
    regions = {c.name: compartment_occupancy(c, filled) for c in scene.compartments if c.role == "tumour"}
    normal = next(c for c in scene.compartments if c.name == "Whole normal liver")
    regions[normal.name] = compartment_occupancy(normal, filled)
    volumes = {name: float(part.sum()) for name, part in regions.items()}
    measured = np.array([float(np.sum(scene.value_per_ml * part)) / volumes[name] for name, part in regions.items()])
    names = list(regions)
    liver_counts = float(np.sum(scene.value_per_ml * filled["liver"]))

    def solve(width: float) -> tuple[dict[str, tuple[float, float]], np.ndarray]:
        wide = np.hypot(width, inputs.registration_mm / SIGMA_PER_FWHM) * SIGMA_PER_FWHM / np.array(scene.spacing_mm)
        blurred = [gaussian_filter(part.astype(float), wide) for part in regions.values()]
        transfer = np.array([[float(np.sum(regions[a] * b)) / volumes[a] for b in blurred] for a in names])
        true = np.linalg.solve(transfer, measured)
        total = float(sum(value * volumes[name] for value, name in zip(true, names, strict=True)))
        gain = total / liver_counts if scene.shares else 1.0
        found = {}
        for number, name in enumerate(names):
            own = transfer[number, number]
            found[name] = own * gain, float(transfer[number] @ true - own * true[number])
        liver_volume = float(filled["liver"].sum())
        seen = float(np.sum(filled["liver"] * sum(v * b for v, b in zip(true, blurred, strict=True))))
        found["liver"] = (seen / total * gain, 0.0)
        return found, np.append(true, total / liver_volume)

    middle, true = solve(fwhm_mm)
    per_unit = scene.gy_g_per_mbq / scene.density_g_ml
    if scene.shares:
        per_unit *= scene.shares[0].liver_mbq / (liver_counts * scene.voxel_ml)
    wider, _ = solve(fwhm_mm * (1.0 + inputs.resolution))
    result = {}
    for name, (coefficient, spill) in middle.items():
        corrected = true[-1] if name == "liver" else true[names.index(name)]
        uncorrected = coefficient * corrected + spill
        # Change of the corrected mean by the resolution, as an uncertainty of the coefficient that gives the same.
        other = (uncorrected - wider[name][1]) / wider[name][0]
        slope = max(abs(corrected - (spill / (1.0 - coefficient) if coefficient < 0.999 else 0.0)), 1e-9) / coefficient
        bend = 0.0
        if name in regions and name != normal.name:
            # How recovery follows the drawn volume: that of a sphere.
            volume_ml = volumes[name] * scene.voxel_ml
            width = float(np.hypot(fwhm_mm, inputs.registration_mm / SIGMA_PER_FWHM))
            bend = sphere_recovery_of(volume_ml, width, 0.0, 0.0).volume_slope
        result[name] = Recovery(min(coefficient, 1.05), abs(other - corrected) / slope, spill * per_unit, bend)
    return result


@dataclass
class Coverage:
    """Of one compartment: share of intervals that hold the truth, widths against the realised spread."""

    held: float
    width_ratio: float
    bias_percent: float
    width_percent: float
    spread_ratio: float


def coverage(ground: Ground, kind: str, count: int, seed: int) -> dict[str, Coverage]:
    """Measure again and again."""
    inputs = InputUncertainties()
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ground.truth_gy}
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        scene, common, noise, blur = measure(ground, kind, inputs, rng)
        doses = propagate(scene, common, noise, inputs.registration_mm, blur)
        for name, rows in found.items():
            rows.append((doses[name].mean_gy, *doses[name].interval_gy))
    result = {}
    for name, rows in found.items():
        mean, low, high = np.array(rows).T
        truth = ground.truth_gy[name]
        spread = float(np.subtract(*np.percentile(mean, (97.5, 2.5))))
        result[name] = Coverage(
            float(np.mean((low <= truth) & (truth <= high))),
            float(np.median(high - low)) / spread,
            100.0 * (float(mean.mean()) / truth - 1.0),
            100.0 * float(np.median(high - low)) / 2.0 / truth,
            # By the standard deviation, which a few realisations give better than outer percentiles.
            float(np.median(high - low)) / (2.0 * 1.959964 * float(np.std(mean, ddof=1))),
        )
    return result
