"""What figures and tables of predicted against delivered dose show, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class ComparisonRow:
    """A lesion or compartment.

    Parameters
    ----------
    name, role : str
    mean_gy : dict
        Dose quantity to mean local dose; those that are not known are absent.
    difference_gy, ratio : float or None
        Delivered against predicted at the delivered net activity.
    predicted_gy, delivered_gy : float or None
        The two of them.
    tumour_to_normal : dict
        Phase to ratio.
    voxels : dict
        ``"unmatched"``, ``"matched"`` to figures by name.
    """

    name: str
    role: str
    mean_gy: dict[str, float]
    difference_gy: float | None = None
    ratio: float | None = None
    predicted_gy: float | None = None
    delivered_gy: float | None = None
    tumour_to_normal: dict[str, float] = field(default_factory=dict)
    voxels: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class GammaBars:
    """Histogram of gamma inside the liver: bin edges, share of points in each bin, share with at most 1."""

    name: str
    edges: np.ndarray
    shares: np.ndarray
    pass_rate: float


@dataclass(frozen=True, eq=False)
class ComparisonReport:
    """Predicted against delivered dose of a case.

    Parameters
    ----------
    rows : tuple of ComparisonRow
    sentences : tuple of str
        Registration quality, resolution, catheter, noise: what stands beside the figures.
    limits : tuple of (float, float, float) or None
        Bias, lower and upper limit of agreement over the lesions, in Gy.
    limits_sentence : str
        Over how many lesions, or why there are no limits.
    isodoses : dict
        Compartment to pairs of level in Gy and Dice, of the unmatched maps.
    gammas : tuple of GammaBars
    slices_gy : tuple of (ndarray, ndarray) or None
        Predicted and delivered, one slice of the dose grid, shape (j, i).
    spacing_mm : tuple of (float, float)
        Along i and j.
    slice_words : str
        Which slice this is.
    """

    rows: tuple[ComparisonRow, ...]
    sentences: tuple[str, ...] = ()
    limits: tuple[float, float, float] | None = None
    limits_sentence: str = ""
    isodoses: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    gammas: tuple[GammaBars, ...] = ()
    slices_gy: tuple[np.ndarray, np.ndarray] | None = None
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    slice_words: str = ""
