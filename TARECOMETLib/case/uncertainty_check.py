"""Sampling of a computed case: the check of the propagated uncertainty, and bands of dose-volume histograms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dosimetry.contour_edge import signed_distance_mm
from ..dosimetry.uncertainty import DoseUncertainty, propagate
from ..dosimetry.uncertainty_sampling import BAND_PERCENT, SampledDose, sample
from ..errors import InputError
from .steps import Steps, part
from .uncertainty import PhaseUncertainty

if TYPE_CHECKING:
    from .workflow import CaseResults

DEFAULT_SEED = 20270


@dataclass(frozen=True, eq=False)
class Sampling:
    """Draws of one phase's doses and what makes them again."""

    count: int
    seed: int
    doses: dict[str, SampledDose]


def sample_case(results: CaseResults, count: int, seed: int = DEFAULT_SEED) -> Steps[None]:
    """Draw the doses of every phase; a generator of (share done, what) that leaves them with the phases.

    Parameters
    ----------
    results : CaseResults
    count : int
        At least 20; 200 give an interval's ends to about a tenth of its width.
    seed : int

    Raises
    ------
    InputError
        Where no image's resolution is set, so that there is nothing to sample.
    """
    ready = {name: phase for name, phase in results.phases.items() if phase.uncertainty is not None}
    if not ready:
        raise InputError(
            "settings.resolution_fwhm_mm",
            "no image has one, so there is no uncertainty to sample",
            "Write the resolution of the images in mm",
            "resolution-not-set",
        )
    for number, (name, phase) in enumerate(ready.items()):
        start, width = number / len(ready), 1.0 / len(ready)
        steps = sample_phase(phase.uncertainty, count, seed + number)  # type: ignore[arg-type]
        doses = yield from part(steps, start, start + width, f"{name}: ")
        phase.sampling = Sampling(count, seed + number, doses)


def sample_phase(whole: PhaseUncertainty, count: int, seed: int) -> Steps[dict[str, SampledDose]]:
    """Draw one phase's doses, with the same sources as the propagation."""
    rng = np.random.default_rng(seed)
    return sample(whole.scene, whole.common, whole.noise, whole.inputs.registration_mm, rng, count)


def sampling_document(sampling: Sampling | None, name: str) -> dict[str, Any]:
    """Draws of one compartment as JSON; empty where there are none."""
    if sampling is None or name not in sampling.doses:
        return {}
    drawn = sampling.doses[name]
    low, high = drawn.interval_gy
    document: dict[str, Any] = {
        "samples": sampling.count,
        "seed": sampling.seed,
        "mean_uncertainty_gy": drawn.uncertainty_gy,
        "interval_95_gy": [low, high],
        "sampled_mean_gy": float(drawn.mean_gy.mean()),
    }
    if drawn.band_gy is not None:
        document["dvh_band"] = {
            "volume_percent": list(BAND_PERCENT),
            "low_gy": [float(x) for x in drawn.band_gy[0]],
            "high_gy": [float(x) for x in drawn.band_gy[2]],
        }
    return document


def after_stroke(whole: PhaseUncertainty, name: str, mask: np.ndarray) -> DoseUncertainty:
    """Uncertainty of one contour's mean local dose after it was changed, in a few hundredths of a second.

    Parameters
    ----------
    whole : PhaseUncertainty
    name : str
        A drawn contour of the case.
    mask : ndarray of bool, shape (k, j, i)
        On the dose grid: voxels at least half inside.

    Raises
    ------
    InputError
        Where too few voxels are left for an edge.
    """
    compartment = next((c for c in whole.scene.compartments if c.name == name), None)
    if compartment is None:
        raise InputError(f'contour "{name}"', "it had no uncertainty when doses were computed", "Compute doses again")
    signed = signed_distance_mm(mask[whole.box], whole.scene.spacing_mm, f'contour "{name}"')
    scene = replace(whole.scene, signed_mm={**whole.scene.signed_mm, name: signed}, compartments=(compartment,))
    return propagate(scene, whole.common, whole.noise, whole.inputs.registration_mm)[name]
