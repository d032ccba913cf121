"""What the Study step shows and does, without Qt: the scene holds only the study's path and hash."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_whole
from ..study.cohort import Cohort, read_cohort
from ..study.consistency import BLOCK, inconsistencies
from ..study.database import StudyDatabase, create_study, open_study
from ..study.dates import ISO, parse_date
from ..study.flow import flow
from ..study.plan import StudyPlan, locked_plan, read_plan
from ..study.schema import DATE, NUMBER, TABLES, WHOLE, YES_NO, Field, Value, check_value
from .document import Case
from .panel_state import DONE, PROBLEM, READY, TO_DO, Action, StepState
from .study_rows import Curves, add_to_study

ADD, ANALYSE, EDIT = "add case", "analyse", "edit follow-up"
# What is typed at follow-up; the rest comes from computed cases and imports.
FOLLOW_UP_TABLES = (
    "patients",
    "lesion_visits",
    "patient_visits",
    "laboratory",
    "toxicities",
    "reild",
    "progressions",
    "other_events",
)
COHORT_COLUMNS = (
    "Patient",
    "Treated",
    "Tumours",
    "Tumour dose (Gy)",
    "Whole normal liver (Gy)",
    "Response",
    "Not evaluable",
    "Progression (months)",
    "Death (months)",
)


@dataclass(frozen=True)
class StudyReference:
    """What the scene keeps of a study: no patient's data.

    Parameters
    ----------
    path : str
    sha256 : str
        Of the study's contents when it was last used.
    """

    path: str
    sha256: str


def refer_to(path: Path) -> StudyReference:
    """Path and hash of a study, for the scene."""
    with open_study(path) as study:
        return StudyReference(str(path), study.content_sha256())


def has_changed(reference: StudyReference) -> bool:
    """Whether the study holds something else than when the scene last used it."""
    with open_study(Path(reference.path)) as study:
        return study.content_sha256() != reference.sha256


def open_or_make(path: Path, who: str = "") -> StudyReference:
    """Make the study where there is none, and refer to it."""
    if not path.exists():
        create_study(path, who).close()
    return refer_to(path)


def study_step(path: Path | None, has_results: bool, is_outdated: bool, busy: str = "") -> StepState:
    """Badge, text and actions of the step.

    Parameters
    ----------
    path : Path or None
        The chosen study.
    has_results, is_outdated : bool
        Of the open case.
    busy : str
        What is running; empty where nothing is.
    """

    def all_of(reason: str) -> dict[str, Action]:
        return {name: Action(False, reason) for name in (ADD, ANALYSE, EDIT)}

    if busy:
        return StepState(READY, busy, all_of(f"Wait: {busy}"))
    if path is None:
        return StepState(TO_DO, "Choose or make a study file", all_of("Choose or make a study file first"))
    try:
        with open_study(path) as study:
            patients = study.count("patients")
            blocks = [f for f in inconsistencies(study) if f.severity == BLOCK]
            is_locked = locked_plan(study) is not None
    except InputError as error:
        return StepState(PROBLEM, str(error), all_of(error.problem))
    some = Action(True) if patients else Action(False, "The study has no patients yet")
    actions = {ADD: Action(True), ANALYSE: some, EDIT: some}
    if not has_results:
        actions[ADD] = Action(False, "Compute the open case first")
    elif is_outdated:
        actions[ADD] = Action(False, "The doses are out of date: compute them again")
    text = f"{patients} patients; " + ("plan locked" if is_locked else "plan not locked yet")
    if blocks:
        return StepState(PROBLEM, blocks[0].sentence(), actions)
    return StepState(DONE if patients else READY, text, actions)


def add_open_case(
    path: Path, case: Case, results: dict[str, Any], curves: Curves, patient_id: str = "", who: str = ""
) -> int:
    """Add the open case; returns the number of changes. ``curves`` from ``study_rows.curves_of_phases``."""
    with open_study(path, who) as study:
        return add_to_study(study, case, results, curves, patient_id)


def cohort_table(path: Path, plan: StudyPlan | None = None) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Column titles and rows of text, one per patient.

    Outcomes are shown only once a plan is locked: before that the columns stay empty.
    """
    with open_study(path) as study:
        chosen = locked_plan(study)
        cohort = read_cohort(study, plan or chosen or _unlocked_plan(study))
    return COHORT_COLUMNS, [_cohort_row(cohort, n, chosen is not None) for n in range(len(cohort.patients))]


def _unlocked_plan(study: StudyDatabase) -> StudyPlan:
    """What the table shows before a plan is locked: local deposition where cases brought several methods."""
    methods = {row["method"] for row in study.rows("doses")}
    return StudyPlan(dose_method="local") if len(methods) > 1 and "local" in methods else StudyPlan()


def _cohort_row(cohort: Cohort, number: int, with_outcomes: bool) -> tuple[str, ...]:
    patient = cohort.patients[number]

    def text(value: float | None, digits: int = 0) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    normal = patient.normal_dose_gy["Whole normal liver"].get(cohort.plan.dose_phase)
    shown = (
        patient.patient_id,
        "" if patient.treated is None else patient.treated.isoformat(),
        str(len(patient.lesions)),
        text(patient.tumour_dose_gy.get("plan")),
        text(normal),
    )
    if not with_outcomes:
        return (*shown, "", "", "", "")
    first = min((month for month, _ in patient.progressions), default=None)
    response = "" if patient.not_evaluable else patient.response.category
    return (*shown, response, patient.not_evaluable, text(first, 1), text(patient.death_month, 1))


def cohort_flow(path: Path) -> list[tuple[str, int]]:
    """Label and number of patients, once a plan is locked."""
    with open_study(path) as study:
        plan = locked_plan(study)
        return flow(read_cohort(study, plan)).rows() if plan is not None else []


@dataclass(frozen=True)
class FollowUpRow:
    """One row that can be edited: values as text, by field."""

    table: str
    key: dict[str, Value]
    values: dict[str, str]


def follow_up(path: Path, patient_id: str) -> list[FollowUpRow]:
    """Everything typed of a patient."""
    with open_study(path) as study:
        return [
            FollowUpRow(
                name,
                {k: row[k] for k in TABLES[name].keys},
                {n: "" if v is None else str(v) for n, v in row.items() if n not in TABLES[name].keys},
            )
            for name in FOLLOW_UP_TABLES
            for row in study.rows(name)
            if row["patient_id"] == patient_id
        ]


def follow_up_fields(table: str) -> tuple[Field, ...]:
    """Fields of a table with kind, label (with unit), range and choices, for the editor's cells and tooltips."""
    return tuple(f for f in TABLES[table].fields if f.name != "patient_id")


def edit_follow_up(path: Path, table: str, key: dict[str, Value], values: dict[str, str], who: str = "") -> int:
    """Write what was typed; returns the number of changes, all in the audit trail.

    Raises
    ------
    InputError
        Where a text is no value of its field, or the patient's dates then contradict each other.
    """
    if table not in FOLLOW_UP_TABLES:
        raise InputError(table, "it is not edited by hand", f"Choose one of {', '.join(FOLLOW_UP_TABLES)}")
    row: dict[str, Value] = dict(key)
    for name, text in values.items():
        row[name] = _typed(table, name, text.strip())
    with open_study(path, who) as study, study.transaction("panel"):
        changes = study.put(table, row)
        _refuse_contradictions(study, str(key["patient_id"]))
    return changes


def remove_follow_up(path: Path, table: str, key: dict[str, Value], who: str = "") -> bool:
    """Take a row out; the audit trail keeps it."""
    if table not in FOLLOW_UP_TABLES or table == "patients":
        raise InputError(table, "it is not removed by hand", "Correct its fields instead")
    with open_study(path, who) as study, study.transaction("panel"):
        return study.remove(table, key)


def _typed(table: str, name: str, text: str) -> Value:
    field = TABLES[table].field(name)
    if not text:
        return None
    if field.kind == DATE:
        return parse_date(text, ISO, f"{table}.{name}").isoformat()
    if field.kind == YES_NO:
        return check_value(table, name, {"yes": 1, "no": 0, "1": 1, "0": 0}.get(text.lower(), text))
    if field.kind in (NUMBER, WHOLE):
        return check_value(table, name, text)
    return check_value(table, name, text)


def _refuse_contradictions(study: StudyDatabase, patient_id: str) -> None:
    blocks = [f for f in inconsistencies(study, {patient_id}) if f.severity == BLOCK]
    if blocks:
        raise InputError(blocks[0].where, blocks[0].message, blocks[0].mend, blocks[0].code)


def analysing(
    path: Path, out: Path, plan_file: Path | None = None, who: str = ""
) -> Generator[tuple[float, str], None, dict[str, Any]]:
    """Analyse and write analysis.json, tables, figures and report.pdf; a generator of (share done, what).

    Long steps are better run as ``tarecomet study analyse STUDY --out OUT`` in a process of their own.
    """
    from ..study.analysis import analyse
    from ..study.figures import write_figures
    from ..study.report_pdf import write_report
    from ..study.report_tables import write_tables

    yield 0.0, "analysing"
    with open_study(path, who) as study:
        plan = read_plan(plan_file) if plan_file is not None else locked_plan(study) or StudyPlan()
        document = {"study": path.name, **analyse(study, plan)}
    yield 0.7, "tables and figures"
    write_tables(document, out / "tables")
    figures = write_figures(document, out / "figures")
    yield 0.9, "report"
    write_report(document, figures, out / "figures", out / "report.pdf")
    write_whole(out / "analysis.json", json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return document


@dataclass(frozen=True)
class Chart:
    """One chart for a plot view: lines of the same axes."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[tuple[str, list[float], list[float]], ...]


def charts(document: dict[str, Any]) -> list[Chart]:
    """What can be plotted of an analysis: dose-response, toxicity, ROC, time to progression."""
    found = []
    for result in document["results"]:
        curve, key = result.get("curve", {}), result["key"]
        if "dose_gy" in curve:
            label = "Probability of toxicity" if key.startswith("toxicity") else "Probability of response"
            lines = [(name, curve["dose_gy"], curve[name]) for name in ("probability", "low", "high")]
            found.append(Chart(f"{result['title']}: {key}", "Dose (Gy)", label, tuple(lines)))
        elif "sensitivity" in curve:
            line = ("ROC", curve["one_minus_specificity"], curve["sensitivity"])
            found.append(Chart(result["title"], "1 - specificity", "Sensitivity", (line,)))
        if "kaplan_meier" in result:
            steps = result["kaplan_meier"]
            lines = [(name, steps["months"], steps[name]) for name in ("value", "low", "high")]
            found.append(Chart(result["title"], "Months", "Free of progression", tuple(lines)))
    return found


def figure_list(out: Path) -> list[tuple[str, Path]]:
    """Title and SVG of every figure that an analysis left in a folder."""
    return [(path.stem.replace("-", " "), path) for path in sorted((out / "figures").glob("*.svg"))]
