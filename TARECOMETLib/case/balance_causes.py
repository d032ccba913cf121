"""What mistake would explain an activity balance that is off: each known one with the factor it makes."""

from __future__ import annotations

from dataclasses import dataclass

from ..imaging.emission import Y90_POSITRON_FRACTION, EmissionFacts, hours_between
from ..physics.nuclides import ConstantsSet
from ..units import BQ_PER_MBQ, G_PER_KG, MBQ_PER_GBQ
from .document import Case

# A cause is named where it alone would leave a balance that is quiet (DEFINITIONS: 0.85 to 1.15).
_FITS = (0.85, 1.15)
_MBQ_PER_MCI = 37.0
# Positron fractions of nuclides that scanners are set to by mistake (ENSDF).
_POSITRONS = (("18F", 0.967), ("68Ga", 0.891), ("89Zr", 0.227), ("86Y", 0.319))


@dataclass(frozen=True)
class Cause:
    """A mistake and what it does to the balance.

    Parameters
    ----------
    code : str
    text : str
        For a person, within a sentence.
    factor : float
        Ratio of the balance with the mistake to the one without.
    """

    code: str
    text: str
    factor: float


def known_causes(case: Case, facts: EmissionFacts | None, constants: ConstantsSet) -> list[Cause]:
    """Every mistake whose factor is known from the case."""
    causes = [
        Cause("mbq-for-bq", "values in MBq/mL that are labelled Bq/mL", 1.0 / BQ_PER_MBQ),
        Cause("kbq-for-bq", "values in kBq/mL that are labelled Bq/mL", 1.0e-3),
        Cause("gbq-typed-as-mbq", "a vial activity in GBq that was entered as MBq", MBQ_PER_GBQ),
        Cause("mbq-typed-as-gbq", "a vial activity in MBq that was entered as GBq", 1.0 / MBQ_PER_GBQ),
        Cause("mci-typed-as-mbq", "a vial activity in mCi that was entered as MBq", _MBQ_PER_MCI),
    ]
    for nuclide, fraction in _POSITRONS:
        factor = Y90_POSITRON_FRACTION / fraction
        causes.append(Cause("wrong-isotope", f"a scanner set to {nuclide} instead of 90Y", factor))
    if facts is None or not facts.scan_start or not case.injections:
        return causes
    net = sum(i.net_mbq for i in case.injections)
    elapsed_h = sum(i.net_mbq * hours_between(i.time, facts.scan_start) for i in case.injections) / net
    growth = 1.0 / constants.decay_factor(elapsed_h)
    hours = f"{elapsed_h:.0f} h"
    causes += [
        Cause("decay-twice", f"decay over {hours} counted twice (values already stand for the injection)", growth),
        Cause("decay-missing", f"decay over {hours} not undone (values stand for the scan)", 1.0 / growth),
        Cause("day-early", "an injection time that is a day too early", 1.0 / constants.decay_factor(24.0)),
        Cause("day-late", "an injection time that is a day too late", constants.decay_factor(24.0)),
        Cause("half-day-early", "an injection time that is 12 h too early", 1.0 / constants.decay_factor(12.0)),
        Cause("half-day-late", "an injection time that is 12 h too late", constants.decay_factor(12.0)),
    ]
    weight_kg = facts.patient_weight_kg
    at_scan_bq = net * constants.decay_factor(elapsed_h) * BQ_PER_MBQ
    if weight_kg:
        per_suv = at_scan_bq / (weight_kg * G_PER_KG)
        causes.append(Cause("suv", "SUV that is labelled Bq/mL", 1.0 / per_suv))
        causes.append(Cause("bq-as-suv", "values in Bq/mL that are labelled SUV", per_suv))
    for left_out in case.injections if len(case.injections) > 1 else ():
        text = f'injection "{left_out.id}" that was not given, or not into this patient'
        causes.append(Cause("injection-too-many", text, (net - left_out.net_mbq) / net))
    return causes


def matching_causes(
    ratio: float, case: Case, facts: EmissionFacts | None, constants: ConstantsSet, usual: float = 1.0
) -> list[Cause]:
    """The mistakes that would explain a ratio, best fit first, at most three.

    Parameters
    ----------
    ratio : float
        Activity found over activity given.
    case : Case
    facts : EmissionFacts or None
        Of the image.
    constants : ConstantsSet
    usual : float
        Ratio that is found where nothing is wrong: 1 over liver and lungs, above it over the whole field.
    """
    if not ratio > 0.0:
        return []
    scored = []
    for cause in known_causes(case, facts, constants):
        left = ratio / usual / cause.factor
        if _FITS[0] <= left <= _FITS[1]:
            scored.append((abs(left - 1.0), cause.code, cause))
    return [cause for _, _, cause in sorted(scored, key=lambda item: item[:2])][:3]


def causes_sentence(causes: list[Cause]) -> str:
    """What to look at, for a finding's mend; empty where no known cause fits."""
    if not causes:
        return ""
    named = "; or ".join(f"{cause.text} (factor {cause.factor:.3g})" for cause in causes)
    return f"It would fit {named}"
