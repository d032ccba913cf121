"""How much of a lesion's contrast survives the scanner's blur: what to expect at each size."""

from __future__ import annotations

import numpy as np

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


def sphere_diameter_mm(volume_ml: float) -> float:
    """Diameter of the sphere of the same volume."""
    return float((6.0 * volume_ml * 1000.0 / np.pi) ** (1.0 / 3.0))


def is_resolved(volume_ml: float, fwhm_mm: float) -> bool:
    """Whether an object is at least two FWHM across, so that its extremes and D2/D98 mean something."""
    return sphere_diameter_mm(volume_ml) >= 2.0 * fwhm_mm


def sphere_recovery(volume_ml: float, fwhm_mm: float) -> float:
    """Share of a uniform sphere's activity that stays within its border after a Gaussian blur.

    Two uniform points of a sphere of radius R lie a distance r apart with the overlap 1 - 3r/4R + r³/16R³ of the
    sphere with its shifted self; averaged over the Gaussian's distribution of distances (Maxwell).
    """
    sigma = fwhm_mm / FWHM_PER_SIGMA
    radius = sphere_diameter_mm(volume_ml) / 2.0
    distance = np.linspace(0.0, 2.0 * radius, 2001)
    overlap = 1.0 - 0.75 * distance / radius + (distance / radius) ** 3 / 16.0
    maxwell = np.sqrt(2.0 / np.pi) * distance**2 / sigma**3 * np.exp(-(distance**2) / (2.0 * sigma**2))
    integrand = overlap * maxwell
    return float(np.sum((integrand[1:] + integrand[:-1]) / 2.0) * (distance[1] - distance[0]))


def expected_reading(volume_ml: float, fwhm_mm: float, contrast: float) -> float:
    """Share of the true mean that a lesion reads: R + (1 - R) / contrast in a uniform surrounding.

    Parameters
    ----------
    volume_ml : float
    fwhm_mm : float
        Resolution of the reconstructed image.
    contrast : float
        True ratio of the lesion's concentration to its surroundings'.
    """
    recovery = sphere_recovery(volume_ml, fwhm_mm)
    return recovery + (1.0 - recovery) / contrast


def contrast_before_blur(measured_contrast: float, volume_ml: float, fwhm_mm: float) -> float:
    """True contrast from the measured one in a uniform surrounding: (measured - 1) / R + 1."""
    return max(1.0, (measured_contrast - 1.0) / sphere_recovery(volume_ml, fwhm_mm) + 1.0)
