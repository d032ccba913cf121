"""A whole sample patient on disk, in the shape in which a hospital hands one over."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..imaging.geometry import VolumeGeometry
from ..imaging.volume import Volume
from .acquisition import (
    AcquisitionParameters,
    RigidMove,
    body_share,
    emission_image,
    noisy_ct,
    pet_bq_ml,
    sample_world,
    spect_counts,
    surrounding_grid,
)
from .anatomy import Anatomy, AnatomyParameters, build_anatomy
from .dicom_writer import Radiopharmaceutical, SeriesInfo, write_ct_series, write_nm_tomography, write_pet_series
from .treatment import PATIENT, TreatmentParameters, net_at_first_mbq, treatment_json
from .truth import LIVER_DENSITY_G_ML, TRUTH_GY_KG_PER_GBQ, truth_table
from .uptake import Y90_HALF_LIFE_H, Distribution, UptakeParameters, decay_factor, make_distributions

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class PhantomParameters:
    """Everything that decides on the sample patient, but for the seed."""

    anatomy: AnatomyParameters = field(default_factory=AnatomyParameters)
    uptake: UptakeParameters = field(default_factory=UptakeParameters)
    acquisition: AcquisitionParameters = field(default_factory=AcquisitionParameters)
    treatment: TreatmentParameters = field(default_factory=TreatmentParameters)


def make_sample_patient(
    folder: Path,
    *,
    seed: int = 20270,
    progress: Progress | None = None,
    parameters: PhantomParameters | None = None,
) -> Path:
    """Write the sample patient: three studies in DICOM, contours, treatment.json and the truth.

    Parameters
    ----------
    folder : Path
        Made; may exist if it is empty.
    seed : int
        Equal seeds give equal files.
    progress : callable, optional
        Told the share done and what is being done.
    parameters : PhantomParameters, optional
        Patient, uptake, scanners and treatment.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        Where the folder holds something already or cannot be written.
    """
    folder = Path(folder)
    _require_free(folder)
    aside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        _write_all(aside, seed, progress or _silent, parameters or PhantomParameters())
        aside.chmod(0o755)
        _require_free(folder)
        if folder.exists():
            folder.rmdir()
        aside.replace(folder)
    except OSError as error:
        raise InputError(
            str(folder), f"it cannot be written ({error.strerror})", "Choose a folder with room that you may write to"
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def _write_all(folder: Path, seed: int, progress: Progress, parameters: PhantomParameters) -> None:
    treatment, scanners = parameters.treatment, parameters.acquisition
    progress(0.0, "Making the anatomy")
    anatomy = build_anatomy(parameters.anatomy, seed=seed)
    progress(0.15, "Spreading the activity")
    y90, maa = make_distributions(anatomy, treatment.injections, parameters.uptake, seed=seed)
    progress(0.25, "Writing the diagnostic CT")
    venous = anatomy.to_field(anatomy.world_hounsfield(contrast=True))
    rng = np.random.default_rng([seed, 3])
    ct = Volume(noisy_ct(venous, scanners.ct_noise_hu, anatomy.geometry.spacing_mm, rng), anatomy.geometry)
    info = _series(seed, "Diagnostic", "ct", 1, 1, "CT liver portal venous", treatment.ct_time, treatment.ct_time)
    write_ct_series(_made(folder / "diagnostic-ct"), ct, info, portal_venous=True)
    plain = anatomy.world_hounsfield(contrast=False)
    progress(0.4, "Scanning the MAA SPECT/CT")
    _write_spect_ct(folder / "maa-spect-ct", anatomy, maa, plain, parameters, seed)
    progress(0.6, "Scanning the 90Y PET/CT")
    _write_pet_ct(folder / "y90-pet-ct", anatomy, y90, plain, parameters, seed)
    progress(0.85, "Writing contours and truth")
    _write_contours(_made(folder / "contours"), anatomy)
    _write_json(folder / "treatment.json", treatment_json(treatment, parameters.uptake, scanners))
    _write_json(folder / "phantom.truth.json", _truth_json(anatomy, y90, maa, venous, parameters, seed))
    progress(1.0, "Done")


def _write_spect_ct(
    folder: Path, anatomy: Anatomy, maa: Distribution, plain: np.ndarray, parameters: PhantomParameters, seed: int
) -> None:
    treatment, scanners = parameters.treatment, parameters.acquisition
    matrix = scanners.spect_to_ct.matrix_lps(anatomy.center_lps_mm)
    grid = surrounding_grid(anatomy.geometry, scanners.spect_spacing_mm, scanners.margin_mm)
    rng = np.random.default_rng([seed, 4])
    expected = emission_image(Volume(maa.total_mbq(), anatomy.geometry), grid, matrix, scanners.spect_fwhm_mm)
    counts = Volume(spect_counts(expected, scanners.spect_counts, rng), grid)
    begin, scan = treatment.maa_scan_time - timedelta(minutes=4), treatment.maa_scan_time
    info = _series(seed, "MAA SPECT/CT", "spect", 2, 2, "MAA SPECT AC SC", begin, scan)
    injected = Radiopharmaceutical(treatment.maa_injection_time, treatment.maa_injected_mbq)
    write_nm_tomography(_made(folder / "spect"), counts, info, injected, frame_duration_s=treatment.spect_frame_s)
    info = _series(seed, "MAA SPECT/CT", "ct", 2, 1, "AC CT", begin, begin)
    _write_ac_ct(folder / "ct", anatomy, plain, grid, matrix, info, scanners, rng)


def _write_pet_ct(
    folder: Path, anatomy: Anatomy, y90: Distribution, plain: np.ndarray, parameters: PhantomParameters, seed: int
) -> None:
    treatment, scanners = parameters.treatment, parameters.acquisition
    matrix = scanners.pet_to_ct.matrix_lps(anatomy.center_lps_mm)
    grid = surrounding_grid(anatomy.geometry, scanners.pet_spacing_mm, scanners.margin_mm)
    rng = np.random.default_rng([seed, 5])
    left = [decay_factor(i.time, treatment.pet_start) for i in treatment.injections]
    expected = emission_image(Volume(y90.total_mbq(left), anatomy.geometry), grid, matrix, scanners.pet_fwhm_mm)
    pet = pet_bq_ml(expected, grid, body_share(anatomy, grid, matrix), scanners, rng)
    begin = treatment.pet_start - timedelta(minutes=3)
    info = _series(seed, "Y90 PET/CT", "pet", 3, 2, "Y90 PET liver AC", begin, treatment.pet_start)
    injected = Radiopharmaceutical(treatment.injections[0].time, net_at_first_mbq(treatment))
    write_pet_series(_made(folder / "pet"), Volume(pet, grid), info, injected, frame_duration_s=treatment.pet_frame_s)
    info = _series(seed, "Y90 PET/CT", "ct", 3, 1, "AC CT", begin, begin)
    _write_ac_ct(folder / "ct", anatomy, plain, grid, matrix, info, scanners, rng)


def _write_ac_ct(
    folder: Path,
    anatomy: Anatomy,
    plain: np.ndarray,
    emission: VolumeGeometry,
    matrix: np.ndarray,
    info: SeriesInfo,
    scanners: AcquisitionParameters,
    rng: np.random.Generator,
) -> None:
    pixel_mm = scanners.ct_in_plane_mm
    grid = surrounding_grid(anatomy.geometry, (pixel_mm, pixel_mm, emission.spacing_mm[2]), scanners.margin_mm)
    hounsfield = sample_world(anatomy, plain, grid, matrix, -1000.0)
    ct = noisy_ct(hounsfield, scanners.ac_ct_noise_hu, grid.spacing_mm, rng)
    write_ct_series(_made(folder), Volume(ct, grid), info, portal_venous=False)


def _series(
    seed: int, study: str, series: str, study_number: int, number: int, text: str, begin: datetime, time: datetime
) -> SeriesInfo:
    return SeriesInfo(PATIENT, seed, study, series, study, study_number, number, text, begin, time)


def _write_contours(folder: Path, anatomy: Anatomy) -> None:
    import SimpleITK as sitk

    for name, mask in anatomy.structures().items():
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(anatomy.geometry.spacing_mm)
        image.SetOrigin(anatomy.geometry.origin_lps_mm)
        sitk.WriteImage(image, str(folder / f"{name}.nrrd"), useCompression=True)


def _truth_json(
    anatomy: Anatomy,
    y90: Distribution,
    maa: Distribution,
    hounsfield: np.ndarray,
    parameters: PhantomParameters,
    seed: int,
) -> dict[str, Any]:
    scanners, treatment = parameters.acquisition, parameters.treatment
    center = anatomy.center_lps_mm

    def move(rigid: RigidMove) -> list[list[float]]:
        return [list(rigid.angles_deg), list(rigid.shift_mm)]

    return {
        "seed": seed,
        "lsf": parameters.uptake.lung_shunt_fraction,
        "net_mbq_each_at_own_time": [i.net_mbq for i in treatment.injections],
        "net_mbq_at_t0": net_at_first_mbq(treatment),
        "half_life_h": Y90_HALF_LIFE_H,
        "gy_kg_per_gbq": TRUTH_GY_KG_PER_GBQ,
        "note": f"doses by local deposition, K {TRUTH_GY_KG_PER_GBQ}, liver {LIVER_DENSITY_G_ML} g/mL, mass-weighted; "
        "activity of each injection at its own time; lungs: complete in the field, their CT mass",
        "tn_y90": y90.tumour_to_normal,
        "tn_maa": maa.tumour_to_normal,
        "decay": "START",
        "spect_to_ct": move(scanners.spect_to_ct),
        "pet_to_ct": move(scanners.pet_to_ct),
        "spect_to_ct_matrix_lps": scanners.spect_to_ct.matrix_lps(center).tolist(),
        "pet_to_ct_matrix_lps": scanners.pet_to_ct.matrix_lps(center).tolist(),
        "moves": "Euler angles x, y, z in degrees about the centre of the diagnostic CT, then shift in mm (LPS), "
        "SimpleITK Euler3DTransform; maps points of the image frame to the diagnostic CT; the matrices say the same",
        "spect_fwhm_mm": scanners.spect_fwhm_mm,
        "pet_fwhm_mm": scanners.pet_fwhm_mm,
        "pet_bias_bq_ml": scanners.pet_bias_bq_ml,
        "y90": truth_table(anatomy, y90, hounsfield),
        "maa_scaled": truth_table(anatomy, maa, hounsfield),
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _require_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            str(folder), "it exists and is not an empty folder", "Choose another folder or empty this one", "not-empty"
        )


def _silent(share: float, text: str) -> None:
    """Progress that nobody watches."""
