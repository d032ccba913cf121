"""Tissues of the phantom, their Hounsfield numbers, and a CT made from them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

# Blur of edges by the scanner before noise (FWHM about 2.4 mm).
CT_EDGE_SIGMA_MM = 1.0
SOFT_TEXTURE_HU = 5.0
LUNG_TEXTURE_HU = 25.0
SIGMA_PER_FWHM = float(1.0 / np.sqrt(8.0 * np.log(2.0)))


class Tissue(IntEnum):
    """Labels of the tissue map."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4
    MARROW = 5
    DISC = 6
    LUNG = 7
    LUNG_VESSEL = 8
    BLOOD = 9
    MYOCARDIUM = 10
    LIVER = 11
    LIVER_VESSEL = 12
    TUMOUR = 13
    TUMOUR_CORE = 14
    SPLEEN = 15
    KIDNEY = 16
    FLUID = 17
    GAS = 18
    GUT = 19
    VISCERAL_FAT = 20


# Hounsfield numbers: (portal venous, without contrast).
HOUNSFIELD: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (-1000.0, -1000.0),
    Tissue.SKIN: (10.0, 10.0),
    Tissue.FAT: (-105.0, -105.0),
    Tissue.MUSCLE: (60.0, 50.0),
    Tissue.BONE: (480.0, 470.0),
    Tissue.MARROW: (190.0, 175.0),
    Tissue.DISC: (85.0, 80.0),
    Tissue.LUNG: (-750.0, -760.0),
    Tissue.LUNG_VESSEL: (90.0, 30.0),
    Tissue.BLOOD: (155.0, 42.0),
    Tissue.MYOCARDIUM: (110.0, 45.0),
    Tissue.LIVER: (105.0, 58.0),
    Tissue.LIVER_VESSEL: (165.0, 42.0),
    Tissue.TUMOUR: (70.0, 44.0),
    Tissue.TUMOUR_CORE: (45.0, 36.0),
    Tissue.SPLEEN: (120.0, 50.0),
    Tissue.KIDNEY: (180.0, 34.0),
    Tissue.FLUID: (8.0, 8.0),
    Tissue.GAS: (-900.0, -900.0),
    Tissue.GUT: (55.0, 38.0),
    Tissue.VISCERAL_FAT: (-98.0, -98.0),
}


def correlated_noise(
    rng: np.random.Generator,
    shape_kji: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    fwhm_mm: float,
) -> np.ndarray:
    """Normal noise of mean 0 and variance 1, correlated like an image of resolution ``fwhm_mm``."""
    from scipy.ndimage import gaussian_filter

    sigma = [fwhm_mm * SIGMA_PER_FWHM / s for s in spacing_mm[::-1]]
    field = gaussian_filter(rng.standard_normal(shape_kji, dtype=np.float32), sigma, mode="wrap", truncate=3.0)
    field -= field.mean()
    return field / field.std()


def hounsfield_map(
    tissue: np.ndarray, texture: np.ndarray, spacing_mm: tuple[float, float, float], *, contrast: bool
) -> np.ndarray:
    """CT numbers before noise.

    Parameters
    ----------
    tissue : ndarray of uint8
        Labels out of `Tissue`.
    texture : ndarray
        Noise of variance 1 that belongs to the anatomy and so is the same in every CT of it.
    spacing_mm : tuple of float
        Voxel edges along i, j, k.
    contrast : bool
        Portal venous phase, else without contrast.

    Returns
    -------
    ndarray of float32
        Hounsfield units.
    """
    from scipy.ndimage import gaussian_filter

    values = np.zeros(256, dtype=np.float32)
    amplitude = np.full(256, SOFT_TEXTURE_HU, dtype=np.float32)
    for label, (venous, plain) in HOUNSFIELD.items():
        values[label] = venous if contrast else plain
    amplitude[[Tissue.AIR, Tissue.GAS]] = 0.0
    amplitude[Tissue.LUNG] = LUNG_TEXTURE_HU
    amplitude[[Tissue.BONE, Tissue.MARROW]] = 4.0 * SOFT_TEXTURE_HU
    image = values[tissue] + amplitude[tissue] * texture
    return gaussian_filter(image, [CT_EDGE_SIGMA_MM / s for s in spacing_mm[::-1]], mode="nearest", truncate=3.0)
