"""Bootstrap of patients: all tumours of a patient are drawn together."""

from __future__ import annotations

import numpy as np


def patient_weights(patients: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each patient is drawn in each resample, shape (resamples, patients)."""
    return generator.multinomial(patients, np.full(patients, 1.0 / patients), size=resamples).astype(np.uint16)


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Percentile interval of resampled estimates; those that could not be computed are left out."""
    finite = values[np.isfinite(values)]
    low, high = np.quantile(finite, [0.5 - confidence / 2.0, 0.5 + confidence / 2.0])
    return float(low), float(high)
