"""Tumour response from measurements: RECIST 1.1, mRECIST, PERCIST and total lesion glycolysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .plan import MRECIST, PERCIST, RECIST, TLG

CR, PR, SD, PD, NE = "CR", "PR", "SD", "PD", "NE"
# Eisenhauer EA et al., Eur J Cancer 2009;45:228-247, doi:10.1016/j.ejca.2008.10.026.
MOST_TARGETS, MOST_TARGETS_PER_ORGAN = 5, 2
LEAST_TARGET_MM, LEAST_TARGET_NODE_MM, NORMAL_NODE_MM = 10.0, 15.0, 10.0
_FIELDS = {RECIST: "diameter_mm", MRECIST: "viable_diameter_mm", PERCIST: "sul_peak", TLG: "tlg"}
# PERCIST's threshold of a measurable tumour is 1.5 x liver mean + 2 SD (Wahl RL et al., J Nucl Med 2009;50 Suppl
# 1:122S-150S, doi:10.2967/jnumed.108.057307); the SD is not kept, so the mean part alone is asked for.
_MEASURABLE_LIVER_RATIO = 1.5


def measure_field(criterion: str) -> str:
    """Which measurement of a tumour the criterion reads."""
    return _FIELDS[criterion]


@dataclass(frozen=True)
class Measured:
    """A tumour's measurements by visit, for one criterion.

    Parameters
    ----------
    name : str
    organ : str
    is_node : bool
    values : dict
        Visit to millimetres, SUL or grams.
    size_mm : float or None
        Diameter at baseline, by which targets are chosen.
    """

    name: str
    organ: str = "liver"
    is_node: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    size_mm: float | None = None


@dataclass(frozen=True)
class Response:
    """Response of a patient at a visit.

    Parameters
    ----------
    category : str
        CR, PR, SD, PD or NE (PERCIST's and TLG's words are mapped to these).
    change_percent : float or None
        Of the sum or the hottest tumour against baseline.
    targets : tuple of str
    reason : str
        Why NE, or what made it PD.
    """

    category: str
    change_percent: float | None = None
    targets: tuple[str, ...] = ()
    reason: str = ""

    @property
    def is_responder(self) -> bool | None:
        """CR or PR; None where not evaluable."""
        return None if self.category == NE else self.category in (CR, PR)


def choose_targets(lesions: Sequence[Measured]) -> list[Measured]:
    """At most five measurable tumours, two per organ, the largest first."""
    measurable = [
        m
        for m in lesions
        if m.size_mm is not None and m.size_mm >= (LEAST_TARGET_NODE_MM if m.is_node else LEAST_TARGET_MM)
    ]
    chosen: list[Measured] = []
    for lesion in sorted(measurable, key=lambda m: (-(m.size_mm or 0.0), m.name)):
        organ = "lymph node" if lesion.is_node else lesion.organ
        alike = sum(("lymph node" if m.is_node else m.organ) == organ for m in chosen)
        if len(chosen) < MOST_TARGETS and alike < MOST_TARGETS_PER_ORGAN:
            chosen.append(lesion)
    return chosen


def patient_response(
    criterion: str,
    lesions: Sequence[Measured],
    visit: str,
    earlier: Sequence[str] = (),
    *,
    new_lesion: bool = False,
    non_target_progression: bool = False,
    liver_sul: Mapping[str, float] | None = None,
    percist_least_sul: float = 0.8,
    tlg_response_percent: float = 50.0,
) -> Response:
    """Response at a visit.

    Parameters
    ----------
    criterion : str
    lesions : sequence of Measured
    visit : str
    earlier : sequence of str
        Visits between baseline and this one, for the nadir.
    new_lesion, non_target_progression : bool
        Either is PD by every criterion.
    liver_sul : dict, optional
        Mean SUL of normal liver by visit (PERCIST).
    """
    if criterion in (RECIST, MRECIST):
        found = _by_diameters(criterion, lesions, visit, earlier)
    elif criterion == PERCIST:
        found = _percist(lesions, visit, liver_sul or {}, percist_least_sul)
    else:
        found = _tlg(lesions, visit, tlg_response_percent)
    if new_lesion or non_target_progression:
        reason = "new lesion" if new_lesion else "non-target progression"
        return Response(PD, found.change_percent, found.targets, reason)
    return found


def _by_diameters(criterion: str, lesions: Sequence[Measured], visit: str, earlier: Sequence[str]) -> Response:
    targets = [m for m in choose_targets(lesions) if m.values.get("baseline")]
    names = tuple(m.name for m in targets)
    if not targets:
        return Response(NE, None, (), "no measurable target at baseline")
    baseline = sum(m.values["baseline"] for m in targets)
    there = [m for m in targets if visit in m.values]
    now = sum(m.values[visit] for m in there)
    sums = [baseline]
    for before in earlier:
        if all(before in m.values for m in targets):
            sums.append(sum(m.values[before] for m in targets))
    nadir = min(sums)
    # What was measured may already exceed the limit without the rest.
    is_progression = now - nadir >= 5.0 - 1e-9 and now >= 1.2 * nadir * (1.0 - 1e-12)
    change = 100.0 * (now - baseline) / baseline
    if len(there) < len(targets):
        if is_progression:
            return Response(PD, None, names, "growth of those measured")
        return Response(NE, None, names, f"{len(targets) - len(there)} of {len(targets)} targets not measured")
    is_gone = all(
        m.values[visit] < NORMAL_NODE_MM if m.is_node and criterion == RECIST else m.values[visit] == 0.0
        for m in targets
    )
    if is_gone:
        return Response(CR, change, names)
    if is_progression:
        return Response(PD, change, names, "growth of targets")
    return Response(PR if now <= 0.7 * baseline * (1.0 + 1e-12) else SD, change, names)


def _percist(lesions: Sequence[Measured], visit: str, liver: Mapping[str, float], least_sul: float) -> Response:
    """SULpeak of the hottest tumour at each time, not necessarily the same."""
    baseline = [m.values["baseline"] for m in lesions if "baseline" in m.values]
    now = [m.values[visit] for m in lesions if visit in m.values]
    if not baseline or not now:
        return Response(NE, None, (), "SULpeak is missing")
    first, last = max(baseline), max(now)
    if "baseline" in liver and first < _MEASURABLE_LIVER_RATIO * liver["baseline"]:
        return Response(NE, None, (), "no tumour is hotter than 1.5 times the liver at baseline")
    change = 100.0 * (last - first) / first if first > 0.0 else None
    everything_seen = len(now) >= len(baseline)
    if visit in liver and last <= liver[visit] and everything_seen:
        return Response(CR, change)
    if change is None:
        return Response(NE, None, (), "SULpeak at baseline is 0")
    if change <= -30.0 + 1e-9 and first - last >= least_sul - 1e-9:
        return Response(PR, change) if everything_seen else Response(NE, None, (), "not all tumours were measured")
    if change > 30.0 and last - first >= least_sul:
        return Response(PD, change, (), "SULpeak rose")
    return Response(SD, change)


def _tlg(lesions: Sequence[Measured], visit: str, response_percent: float) -> Response:
    """Sum of TLG; -50 % is a response as in Levillain 2018 (doi:10.1186/s13550-018-0419-z)."""
    both = [m for m in lesions if "baseline" in m.values]
    if not both or any(visit not in m.values for m in both):
        return Response(NE, None, (), "TLG is missing")
    first, last = sum(m.values["baseline"] for m in both), sum(m.values[visit] for m in both)
    if first <= 0.0:
        return Response(NE, None, (), "TLG at baseline is 0")
    change = 100.0 * (last - first) / first
    names = tuple(m.name for m in both)
    if last == 0.0:
        return Response(CR, change, names)
    if change <= -response_percent:
        return Response(PR, change, names)
    return Response(PD, change, names, "TLG rose") if change >= response_percent else Response(SD, change, names)


def lesion_response(
    criterion: str,
    baseline: float | None,
    now: float | None,
    *,
    percist_least_sul: float = 0.8,
    tlg_response_percent: float = 50.0,
) -> tuple[bool | None, float | None]:
    """Whether one tumour responded and its change in per cent; "adapted", for the criteria judge patients."""
    if baseline is None or now is None or baseline <= 0.0:
        return None, None
    change = 100.0 * (now - baseline) / baseline
    if criterion == TLG:
        return change <= -tlg_response_percent, change
    if criterion == PERCIST:
        return change <= -30.0 + 1e-9 and baseline - now >= percist_least_sul - 1e-9, change
    return change <= -30.0 + 1e-9, change
