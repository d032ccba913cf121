"""Standard uncertainties of what a dose is computed from: named defaults, each with its source."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError
from .blur import FWHM_PER_SIGMA
from .uncertainty_scene import EdgeUncertainty

# Resolution usual for 90Y PET, 90Y bremsstrahlung SPECT and 99mTc SPECT after reconstruction: proposals for a person
# to accept or replace by the scanner's own, never used unasked.
USUAL_FWHM_MM = {"y90_pet": 6.5, "maa_spect": 12.0, "y90_spect": 16.0}
# Resolution of the images contours are drawn on, in mm: usual values, and small beside a person's own edge.
DRAWN_ON_FWHM_MM = {"CT": 1.0, "MR": 1.5, "FDG": 6.0}


@dataclass(frozen=True)
class InputUncertainties:
    """One standard deviation each.

    Parameters
    ----------
    pet_calibration, spect_calibration : float
        Of the image's Bq/mL, relative. Cancels where counts are shared out.
    dose_calibrator : float
        Of a vial's assay, relative.
    residual : float
        Of the residual's assay, relative.
    lung_shunt : float
        Of the lung shunt fraction, relative.
    lung_mass : float
        Relative.
    time_min : float
        Of the hours from injection to scan.
    dose_constant : float
        Of K, relative.
    kernel : float
        Of the energy that stays, relative.
    density : float
        Of liver and tumours, relative.
    contour_mm : float
        Of the edge that a person draws.
    contour_correlation_mm : float
        Along the edge, how far one error reaches.
    registration_mm : float
        Of the shift along each axis.
    resolution : float
        Of the resolution in mm, relative; it makes the recovery uncertain.
    """

    pet_calibration: float = 0.05
    spect_calibration: float = 0.10
    dose_calibrator: float = 0.05
    residual: float = 0.10
    lung_shunt: float = 0.20
    lung_mass: float = 0.20
    time_min: float = 5.0
    dose_constant: float = 0.0036
    kernel: float = 0.005
    density: float = 0.006
    contour_mm: float = 1.0
    contour_correlation_mm: float = 20.0
    registration_mm: float = 2.0
    resolution: float = 0.10

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            most = 1.0 if DEFAULT_SOURCES[name][0] == "share" else 60.0
            if not (math.isfinite(value) and 0.0 <= value <= most) or (
                name == "contour_correlation_mm" and value == 0.0
            ):
                raise InputError(
                    f"uncertainty of {name}",
                    f"expected 0 to {most:g}, got {value:g}",
                    "Write 5 % as 0.05; lengths are in mm, times in minutes",
                    "uncertainty-input",
                )


# Unit, what it is in words, and where the default comes from.
DEFAULT_SOURCES: dict[str, tuple[str, str, str]] = {
    "pet_calibration": (
        "share",
        "PET calibration",
        "5 %, that of the radionuclide calibrator it is traced to: D'Arienzo 2017, doi:10.1186/s13550-017-0341-9",
    ),
    "spect_calibration": ("share", "SPECT calibration", "10 %, assumed"),
    "dose_calibrator": (
        "share",
        "Dose calibrator (vial)",
        "5 %, clinical radionuclide calibrator: D'Arienzo 2017, doi:10.1186/s13550-017-0341-9",
    ),
    "residual": ("share", "Residual", "10 %, assumed"),
    "lung_shunt": ("share", "Lung shunt", "20 % of the fraction, assumed"),
    "lung_mass": ("share", "Lung mass", "20 %, assumed"),
    "time_min": ("min", "Decay times", "5 min, assumed"),
    "dose_constant": (
        "share",
        "Dose constant",
        "0.36 %: published constants of 49.38 to 50 Gy kg/GBq as a rectangular distribution",
    ),
    "kernel": ("share", "Energy transport", "0.5 %, assumed"),
    "density": ("share", "Tissue density", "0.6 %: 1.03 and 1.05 g/mL in use, as a rectangular distribution"),
    "contour_mm": (
        "mm",
        "Contour",
        "1 mm: liver lesions drawn by several persons vary in volume by 17 %: doi:10.1186/s40658-022-00515-6",
    ),
    "contour_correlation_mm": ("mm", "Contour, reach of one error", "20 mm, assumed"),
    "registration_mm": ("mm", "Registration", "2 mm along each axis, assumed"),
    "resolution": ("share", "Recovery", "10 % of the resolution, assumed"),
}


def proposed_fwhm_mm(image_role: str) -> tuple[float, str] | None:
    """The usual resolution of a kind of image and words that mark it as a proposal; None where there is none."""
    value = USUAL_FWHM_MM.get(image_role)
    if value is None:
        return None
    return value, f"{value:g} mm is usual for this kind of image: a proposal, not measured on this scanner"


def require_fwhm_mm(image_role: str, fwhm_mm: float | None) -> float:
    """The resolution, or a refusal that proposes the usual one.

    Raises
    ------
    InputError
        Where it is not set.
    """
    if fwhm_mm is not None:
        return fwhm_mm
    proposed = proposed_fwhm_mm(image_role)
    raise InputError(
        f"settings.resolution_fwhm_mm.{image_role}",
        "it is not set, so noise and recovery of this image cannot be judged",
        f"Give the scanner's own; {proposed[1]}" if proposed else "Give the scanner's own in mm",
        "resolution-not-set",
    )


def drawn_edges(
    inputs: InputUncertainties, voxel_mm: float, drawn_on_fwhm_mm: float
) -> tuple[EdgeUncertainty, EdgeUncertainty, EdgeUncertainty]:
    """How far a drawn edge may be off: by the person, by voxels, and by the resolution of what it was drawn on.

    Voxels of edge a place an edge within a rectangular distribution, a / sqrt(12), anew from voxel to voxel. Blur of
    FWHM w moves an edge by its standard deviation w / 2.355; the two edges of a diameter do so independently, which
    for the whole contour is 1 / sqrt(2) of it: u(d)² = a² / 6 + w² / (4 ln 2) of the EANM guidance, as recalled.

    Parameters
    ----------
    inputs : InputUncertainties
    voxel_mm : float
        Edge of the voxels the contour is stored in.
    drawn_on_fwhm_mm : float
    """
    return (
        EdgeUncertainty(DEFAULT_SOURCES["contour_mm"][1], inputs.contour_mm, inputs.contour_correlation_mm),
        EdgeUncertainty("Voxel size", voxel_mm / math.sqrt(12.0), 0.5 * voxel_mm),
        EdgeUncertainty("Resolution of the drawn image", drawn_on_fwhm_mm / FWHM_PER_SIGMA / math.sqrt(2.0), math.inf),
    )
