"""Tumour-to-normal ratios and the normal tissue each tumour is compared with."""

from __future__ import annotations

import numpy as np

from ..dosimetry.compartments import NORMAL_PERFUSED, TERRITORY, WHOLE_NORMAL
from .document import Case
from .phase import LOCAL, Ground, Phase


def normal_reference(case: Case, ground: Ground, tumour: str) -> str:
    """Compartment a tumour is compared with: normal perfused liver of the territory that holds most of it."""
    parcels = ground.parcels
    inside = (parcels.code & parcels.bit(tumour)) != 0
    territories = case.contours_of(TERRITORY)
    held = [float(parcels.volume_ml[inside & ((parcels.code & parcels.bit(name)) != 0)].sum()) for name in territories]
    if not held or max(held) == 0.0:
        return WHOLE_NORMAL
    return f"{NORMAL_PERFUSED}: {territories[int(np.argmax(held))]}" if len(territories) > 1 else NORMAL_PERFUSED


def tumour_to_normal(case: Case, phase: Phase, ground: Ground, tumour: str) -> tuple[float, str] | None:
    """Ratio of mean local-deposition doses and the name of the reference; None where that has no dose."""
    reference = normal_reference(case, ground, tumour)
    if tumour not in phase.dvh or reference not in phase.dvh:
        return None
    normal_gy = phase.dvh[reference][LOCAL].mean_gy()
    return (phase.dvh[tumour][LOCAL].mean_gy() / normal_gy, reference) if normal_gy > 0.0 else None
