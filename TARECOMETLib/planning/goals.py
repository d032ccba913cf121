"""Goals and limits: what a plan should reach and must not exceed, each with where the figure comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError

TUMOUR, ALL_TUMOURS = "tumour", "all tumours"
NORMAL_PERFUSED, WHOLE_NORMAL, PERFUSED = "normal perfused liver", "whole normal liver", "perfused liver"
LUNGS, LUNG_ACTIVITY, RESERVE = "lungs", "lung activity", "hepatic reserve"
VOLUMES = (TUMOUR, ALL_TUMOURS, NORMAL_PERFUSED, WHOLE_NORMAL, PERFUSED, LUNGS, LUNG_ACTIVITY, RESERVE)

MEAN, BED, EUD = "mean", "BED", "gEUD"
MOST_VALUE = 1.0e6
_DOSE_TO_VOLUME = re.compile(r"D(\d{1,2}(?:\.\d+)?)")

UMOL_L_PER_MG_DL = 17.104  # molar mass of bilirubin 584.66 g/mol: 10 mg/L over it
BILIRUBIN_BORDER_MG_DL = 1.1
_PLAUSIBLE_BILIRUBIN_MG_DL = (0.1, 60.0)


@dataclass(frozen=True)
class Goal:
    """A wish (at least), a limit (at most), or a band of both.

    Parameters
    ----------
    volume : str
        One of ``VOLUMES``. "tumour" means each target tumour by itself. *Normal perfused liver* and *whole normal
        liver* are two different volumes.
    metric : str
        ``mean``, ``D70`` (any D and per cent), ``gEUD`` or ``BED`` (mean of voxel BED).
    at_least, at_most : float or None
        Gy; MBq for lung activity; per cent for the hepatic reserve. One of them or both.
    territory : str
        Restricts perfused volumes to one territory; empty means all of them.
    cumulative : bool
        Whether earlier treatments count; a limit without it applies to each treatment by itself.
    advisory : bool
        Reported but never binding.
    exponent : float or None
        Of gEUD.
    reference, level_of_evidence, note, origin : str
        Where it comes from; origin is typed, preset or study.
    """

    volume: str
    metric: str = MEAN
    at_least: float | None = None
    at_most: float | None = None
    territory: str = ""
    cumulative: bool = True
    advisory: bool = False
    exponent: float | None = None
    reference: str = ""
    level_of_evidence: str = ""
    note: str = ""
    origin: str = "typed"

    def __post_init__(self) -> None:
        where = f'goal "{self.volume} {self.metric}"'
        if self.volume not in VOLUMES:
            mend = f"Choose one of {', '.join(VOLUMES)}"
            if self.volume.strip().lower() == "normal liver":
                mend = "Say which: normal perfused liver or whole normal liver"
            raise InputError(where, f'there is no volume "{self.volume}"', mend, "goal")
        dose_to_volume = self.dose_to_volume_percent
        if self.metric not in (MEAN, BED, EUD) and dose_to_volume is None:
            raise InputError(where, f'there is no metric "{self.metric}"', "Write mean, D70, gEUD or BED", "goal")
        if dose_to_volume is not None and not 0.0 < dose_to_volume < 100.0:
            raise InputError(where, f"expected a share above 0, got {dose_to_volume:g} %", "Write D70 or D95", "goal")
        if self.metric != MEAN and self.volume in (LUNGS, LUNG_ACTIVITY, RESERVE):
            raise InputError(where, "only its mean is known", "Write mean", "goal")
        if self.metric == EUD and (self.exponent is None or not 1e-3 <= abs(self.exponent) <= 100.0):
            raise InputError(where, "its exponent is missing, 0, or beyond 100", "Give the exponent", "goal")
        if self.at_least is None and self.at_most is None:
            raise InputError(where, "it has no value", "Give at_least or at_most", "goal")
        for name in ("at_least", "at_most"):
            value = getattr(self, name)
            if value is not None and not 1e-3 <= value <= MOST_VALUE:
                raise InputError(
                    f"{where}, {name}", f"expected more than 0 to {MOST_VALUE:g}, got {value:g}", "Correct it", "goal"
                )
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise InputError(
                where,
                f"at least {self.at_least:g} and at most {self.at_most:g} {self.unit} contradict each other by "
                f"{self.at_least - self.at_most:g} {self.unit}",
                "Lower the first or raise the second",
                "goals-contradict",
            )

    @property
    def dose_to_volume_percent(self) -> float | None:
        """The x of D_x; None for other metrics."""
        found = _DOSE_TO_VOLUME.fullmatch(self.metric)
        return float(found.group(1)) if found else None

    @property
    def unit(self) -> str:
        """Unit of its values."""
        return {LUNG_ACTIVITY: "MBq", RESERVE: "%"}.get(self.volume, "Gy")

    def words(self) -> str:
        """Volume, metric and territory as a person reads them."""
        place = f" ({self.territory})" if self.territory else ""
        return f"{self.volume}{place}" if self.volume == RESERVE else f"{self.metric} of {self.volume}{place}"


def require_consistent(goals: Sequence[Goal]) -> None:
    """Refuse a goal that no activity can meet together with a limit on the same volume.

    A mean is compared with a mean, D70 with D70. A D_x of a dose is also compared with the mean: x % of the volume at
    that dose already bring the mean to x % of it.

    Raises
    ------
    InputError
        Naming the pair and by how much they contradict each other.
    """
    for goal in goals:
        if goal.at_least is None or goal.advisory:
            continue
        for limit in goals:
            if limit.at_most is None or limit.advisory or limit.volume != goal.volume:
                continue
            if limit.territory and goal.territory and limit.territory != goal.territory:
                continue
            share, word = 1.0, ""
            if goal.metric != limit.metric or goal.exponent != limit.exponent:
                if limit.metric != MEAN or goal.dose_to_volume_percent is None:
                    continue
                share = goal.dose_to_volume_percent / 100.0
                word = f" (which brings the mean to at least {share * goal.at_least:g} {goal.unit})"
            excess = share * goal.at_least - limit.at_most
            if excess > 0.0:
                raise InputError(
                    "goals",
                    f"{goal.words()} at least {goal.at_least:g} {goal.unit}{word} and {limit.words()} at most "
                    f"{limit.at_most:g} {limit.unit} contradict each other by {excess:g} {goal.unit}",
                    "Change one of the two",
                    "goals-contradict",
                )


def bilirubin_mg_dl(value: float, unit: str) -> float:
    """Total bilirubin in mg/dL from mg/dL or µmol/L.

    Raises
    ------
    InputError
        For an unknown unit, and for a value so far off that the unit must be wrong: it decides the limit.
    """
    plain = unit.strip().replace("μ", "u").replace("µ", "u").lower()
    if plain not in ("mg/dl", "umol/l"):
        raise InputError("bilirubin", f'there is no unit "{unit}"', "Write mg/dL or µmol/L", "bilirubin")
    converted = value if plain == "mg/dl" else value / UMOL_L_PER_MG_DL
    low, high = _PLAUSIBLE_BILIRUBIN_MG_DL
    if not low <= converted <= high:
        factor = 1.0 if plain == "mg/dl" else UMOL_L_PER_MG_DL
        raise InputError(
            "bilirubin",
            f"expected {low * factor:.3g} to {high * factor:.4g} {unit}, got {value:g}",
            "Check value and unit (1 mg/dL is 17.1 µmol/L)",
            "bilirubin",
        )
    return converted
