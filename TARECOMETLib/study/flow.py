"""Who entered, who was treated, who could be judged: everyone is in the table once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from .cohort import Cohort


@dataclass(frozen=True)
class Flow:
    """Counts of patients.

    Parameters
    ----------
    not_evaluable : dict
        Reason to number; they count as non-responders in the main reading and are left out in the other.
    """

    enrolled: int
    treated: int
    with_dose: int
    evaluable: int
    responders: int
    not_evaluable: dict[str, int]

    def rows(self) -> list[tuple[str, int]]:
        """Label and count, for a table."""
        return [
            ("In the study file", self.enrolled),
            ("Treated", self.treated),
            ("With a tumour dose", self.with_dose),
            *((f"Not evaluable: {reason}", count) for reason, count in self.not_evaluable.items()),
            ("Evaluable", self.evaluable),
            ("Responders", self.responders),
        ]


def flow(cohort: Cohort) -> Flow:
    """Count everyone."""
    reasons = Counter(p.not_evaluable for p in cohort.patients if p.not_evaluable)
    evaluable = [p for p in cohort.patients if not p.not_evaluable]
    return Flow(
        enrolled=len(cohort.patients),
        treated=sum(p.treated is not None for p in cohort.patients),
        with_dose=sum("plan" in p.tumour_dose_gy for p in cohort.patients),
        evaluable=len(evaluable),
        responders=sum(p.is_responder is True for p in evaluable),
        not_evaluable=dict(reasons.most_common()),
    )
