"""Any D_x, V_x or gEUD from the histogram that the study keeps, without the images."""

from __future__ import annotations

import json
import re

import numpy as np

from ..dosimetry.dvh import make_dvh
from ..dosimetry.radiobiology import generalized_eud_gy
from .database import Row

_DOSE_TO_VOLUME = re.compile(r"d(\d{1,2}(?:\.\d+)?)_gy")
_VOLUME_AT_DOSE = re.compile(r"v(\d{1,4}(?:\.\d+)?)_percent")
EUD = "eud_gy"


def is_metric(name: str) -> bool:
    """Whether a metric can be read from a histogram."""
    return bool(_DOSE_TO_VOLUME.fullmatch(name) or _VOLUME_AT_DOSE.fullmatch(name) or name == EUD)


def metric_from_histogram(row: Row, metric: str, eud_exponent: float = 0.0) -> float | None:
    """The metric of a row of ``doses``; None where no histogram is kept.

    Parameters
    ----------
    row : dict
    metric : str
        ``d30_gy``, ``v120_percent`` or the like, or ``eud_gy``.
    eud_exponent : float
        For gEUD; 0 where none was chosen.
    """
    if not row["dvh_dose_gy"] or not row["dvh_volume_ml"]:
        return None
    dvh = make_dvh(np.array(json.loads(str(row["dvh_dose_gy"]))), np.array(json.loads(str(row["dvh_volume_ml"]))), 1.0)
    if match := _DOSE_TO_VOLUME.fullmatch(metric):
        return dvh.dose_to_volume_gy(float(match[1]))
    if match := _VOLUME_AT_DOSE.fullmatch(metric):
        return dvh.volume_at_dose_percent(float(match[1]))
    return generalized_eud_gy(dvh, eud_exponent) if metric == EUD and eud_exponent != 0.0 else None
