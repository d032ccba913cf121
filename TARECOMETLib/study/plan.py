"""The plan before the data: what is analysed and how, hashed before outcomes are read; later changes are post hoc."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError
from .database import StudyDatabase
from .histogram import is_metric
from .schema import TABLES

RECIST, MRECIST, PERCIST, TLG = "RECIST 1.1", "mRECIST", "PERCIST", "TLG"
CRITERIA = (RECIST, MRECIST, PERCIST, TLG)
LOG, LINEAR = "log", "linear"
METRICS = ("mean_gy", "d50_gy", "d70_gy", "d95_gy", "bed_gy", "eud_gy", "v100_percent")
_COVARIATES = ("age_years", "ecog", "prior_lines", "liver_volume_ml", "tumour_burden_percent")


@dataclass(frozen=True)
class StudyPlan:
    """What is decided before outcomes are looked at.

    Parameters
    ----------
    response_criterion : str
        RECIST 1.1, mRECIST, PERCIST or TLG.
    response_month : int
    visit_window_days : int
        How far from the planned day a dated visit may lie.
    dose_metric : str
        Of each tumour: mean_gy, bed_gy, eud_gy, any D_x (d70_gy) or V_x (v100_percent); for a patient the
        mass-weighted mean over all tumours.
    eud_exponent : float
        Of gEUD from the kept histograms; 0: only where it is stored.
    dose_phase : str
        pre or post.
    dose_method : str
        local, kernel, multicompartment, unstated, or empty: the one method that the study holds.
    dose_scale : str
        log or linear: how dose enters the models.
    response_levels_percent : tuple of float
        Effective doses are those at these response probabilities.
    covariates : tuple of str
        Of the patient, for the adjusted model.
    toxicity_terms : tuple of str
        CTCAE terms; empty for all.
    toxicity_grade : int
        From this grade on, and worse than at baseline, it is a toxicity.
    toxicity_months : int
    toxicity_dose_scale : str
    risk_levels_percent : tuple of float
    chosen_risk_percent : float
        The safe dose is the one whose upper confidence bound of the risk is this.
    dose_groups_gy : tuple of float
        Cut-offs for groups in survival; without any, groups get no p.
    fixed_specificity : float
    landmark_month : int
    percist_least_sul : float
        Published paraphrases give 0.8 and 1.0.
    tlg_response_percent : float
        Fall of total lesion glycolysis that is a response.
    include_dose_defined : bool
        Take tumours drawn on the image whose dose they report into the primary analysis.
    include_unresolved : bool
        Take D_x and V_x of objects that the image does not resolve.
    confidence : float
    bootstraps : int
    seed : int
    """

    response_criterion: str = RECIST
    response_month: int = 3
    visit_window_days: int = 30
    dose_metric: str = "mean_gy"
    eud_exponent: float = 0.0
    dose_phase: str = "post"
    dose_method: str = ""
    dose_scale: str = LOG
    response_levels_percent: tuple[float, ...] = (50.0, 80.0)
    covariates: tuple[str, ...] = ()
    toxicity_terms: tuple[str, ...] = ()
    toxicity_grade: int = 3
    toxicity_months: int = 6
    toxicity_dose_scale: str = LINEAR
    risk_levels_percent: tuple[float, ...] = (5.0, 10.0, 15.0, 20.0)
    chosen_risk_percent: float = 15.0
    dose_groups_gy: tuple[float, ...] = ()
    fixed_specificity: float = 0.9
    landmark_month: int = 3
    percist_least_sul: float = 0.8
    tlg_response_percent: float = 50.0
    include_dose_defined: bool = False
    include_unresolved: bool = False
    confidence: float = 0.95
    bootstraps: int = 2000
    seed: int = 20260101
    schema_version: int = 1

    def __post_init__(self) -> None:
        for name, choices in (
            ("response_criterion", CRITERIA),
            ("dose_phase", ("pre", "post")),
            ("dose_method", ("", *TABLES["doses"].field("method").choices)),
            ("dose_scale", (LOG, LINEAR)),
            ("toxicity_dose_scale", (LOG, LINEAR)),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"plan.{name}",
                    f'there is no "{getattr(self, name)}"',
                    f"Choose one of {', '.join(filter(None, choices))}",
                )
        if self.dose_metric not in METRICS and not is_metric(self.dose_metric):
            raise InputError(
                "plan.dose_metric",
                f'there is no "{self.dose_metric}"',
                f"Choose one of {', '.join(METRICS)}, any d30_gy, any v120_percent",
            )
        for name in self.covariates:
            if name not in _COVARIATES:
                raise InputError("plan.covariates", f'there is no "{name}"', f"Choose from {', '.join(_COVARIATES)}")
        for name, low, high in (
            ("response_month", 1, 60),
            ("visit_window_days", 1, 120),
            ("toxicity_grade", 1, 5),
            ("toxicity_months", 1, 60),
            ("chosen_risk_percent", 0.1, 60.0),
            ("fixed_specificity", 0.5, 0.999),
            ("landmark_month", 1, 60),
            ("confidence", 0.5, 0.999),
            ("bootstraps", 50, 100_000),
            ("percist_least_sul", 0.0, 5.0),
            ("tlg_response_percent", 1.0, 99.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise InputError(
                    f"plan.{name}", f"expected {low:g} to {high:g}, got {getattr(self, name):g}", "Correct it"
                )
        for name in ("response_levels_percent", "risk_levels_percent"):
            if any(not 0.0 < level < 100.0 for level in getattr(self, name)):
                raise InputError(f"plan.{name}", "expected shares between 0 and 100 %", "Correct them")
        if any(not cut > 0.0 for cut in self.dose_groups_gy) or list(self.dose_groups_gy) != sorted(
            self.dose_groups_gy
        ):
            raise InputError("plan.dose_groups_gy", "expected rising doses above 0 Gy", "Correct them")

    def text(self) -> str:
        """The plan as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def sha256(self) -> str:
        """Hash of the canonical text: 3 and 3.0 are the same."""
        values = json.loads(json.dumps(asdict(self)), parse_int=float)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def plan_from_text(text: str, where: str) -> StudyPlan:
    """Read a plan; fields that are not named keep their defaults."""
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        raise InputError(where, f"it is not valid JSON ({error})", "Correct that place", "json") from None
    if not isinstance(data, dict):
        raise InputError(where, "expected one JSON object", "See the manual", "json")
    known = {f.name: f for f in fields(StudyPlan)}
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name not in known:
            raise InputError(f"{where}, {name}", "there is no such field", f"Fields are {', '.join(known)}")
        default = known[name].default
        ok = isinstance(
            value,
            list
            if isinstance(default, tuple)
            else bool
            if isinstance(default, bool)
            else (int, float)
            if isinstance(default, (int, float))
            else str,
        )
        if not ok or (isinstance(value, bool) and not isinstance(default, bool)):
            raise InputError(
                f"{where}, {name}", f"its value {str(value)[:40]} is of the wrong kind", f"The default is {default}"
            )
        if isinstance(value, list):
            text_wanted = name in ("covariates", "toxicity_terms")
            if any(isinstance(v, str) != text_wanted or isinstance(v, (bool, list, dict)) for v in value):
                raise InputError(f"{where}, {name}", "its values are of the wrong kind", f"The default is {default}")
            value = tuple(value if text_wanted else map(float, value))  # noqa: PLW2901
        if isinstance(default, int) and not isinstance(default, bool):
            if value != int(value):
                raise InputError(f"{where}, {name}", f"expected a whole number, got {value}", "Correct it")
            value = int(value)  # noqa: PLW2901
        values[name] = value
    return StudyPlan(**values)


def read_plan(path: Path) -> StudyPlan:
    """Read a plan's file."""
    try:
        return plan_from_text(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InputError(str(path), "there is no such plan", "Check the path", "no-file") from None
    except UnicodeDecodeError:
        raise InputError(str(path), "it is not UTF-8 text", "Save it again", "encoding") from None


@dataclass(frozen=True)
class PlanStatus:
    """A plan and how it stands to the one that was locked first.

    Parameters
    ----------
    plan : StudyPlan
    sha256 : str
    locked_utc : str
        When the first plan was locked.
    changed : tuple of str
        Fields that differ from it: the results are post hoc.
    outcome_rows_at_lock : int
        Outcome rows that the file held by then; no analysis had read them.
    """

    plan: StudyPlan
    sha256: str
    locked_utc: str
    changed: tuple[str, ...]
    outcome_rows_at_lock: int

    @property
    def is_post_hoc(self) -> bool:
        """Whether the plan was changed after the lock."""
        return bool(self.changed)


def lock(study: StudyDatabase, plan: StudyPlan) -> PlanStatus:
    """Keep the plan in the study file before any outcome is read, and tell what changed since the first one.

    Every plan that was ever used stays in the file, with its time and who used it.
    """
    text, digest = plan.text(), plan.sha256()
    if all(row["sha256"] != digest for row in study.plans()):
        with study.transaction("plan"):
            if all(row["sha256"] != digest for row in study.plans()):
                study.lock_plan(digest, text)
    first = study.plans()[0]
    before = asdict(plan_from_text(str(first["text"]), "locked plan"))
    now = asdict(plan)
    # How many resamples were drawn changes no decision.
    changed = tuple(
        f"{name}: {before[name]} → {now[name]}" for name in now if now[name] != before[name] and name != "bootstraps"
    )
    return PlanStatus(plan, digest, str(first["locked_utc"]), changed, int(first["outcome_rows"] or 0))


def locked_plan(study: StudyDatabase) -> StudyPlan | None:
    """The plan that was locked first, if any."""
    plans = study.plans()
    return plan_from_text(str(plans[0]["text"]), "locked plan") if plans else None
