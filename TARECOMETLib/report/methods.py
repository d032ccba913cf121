"""How the doses came about, in three sentences."""

from __future__ import annotations

from .content import PhaseReport, ReportContent, phase_title


def method_sentences(content: ReportContent) -> tuple[str, str, str]:
    """Activity, dose, and what the figures of a compartment are."""
    sources = "; ".join(f"{phase_title(phase.phase)} the activity is {_activity(phase)}" for phase in content.phases)
    fractions = sorted({round(phase.kernel_energy_fraction, 4) for phase in content.phases})
    held = " and ".join(f"{fraction:.4f}" for fraction in fractions)
    k = content.constants.gy_kg_per_gbq
    source = f" ({content.kernel_source})" if content.kernel_source else ""
    activity = f"{_as_sentence(sources)}; images were moved rigidly onto the diagnostic CT."
    dose = (
        f"Local doses are K·A/m of every voxel with K = {k:.6g} Gy·kg/GBq; kernel doses are that activity convolved "
        f"with a voxel kernel that holds {held} of the emitted energy and is not renormalized{source}."
    )
    figures = (
        "Contours divide voxels exactly; the mean is energy over mass, SD is the spread of voxel doses, D70 and D95 "
        "are the doses that 70 % and 95 % of a volume receive, V100 is the volume at or above 100 Gy, MIRD is the mean "
        "from the compartment's activity in the image's own voxels, and T/N compares mean local doses with normal "
        "perfused liver."
    )
    return activity, dose, figures


def _activity(phase: PhaseReport) -> str:
    if phase.calibration == "absolute":
        return f"that of {phase.image} in Bq/mL, traced back to the injection of each territory"
    return f"the counts of {phase.image}, scaled in each territory to the net activity less the lung shunt"


def _as_sentence(parts: str) -> str:
    return parts.replace("; After", "; after").replace("; Before", "; before")
