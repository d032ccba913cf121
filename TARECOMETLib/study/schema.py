"""The study file's tables: one description that SQL, checks, import, export and data dictionary are made from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from ..dosimetry.compartments import ALL_TUMOURS, NON_PERFUSED, NORMAL_PERFUSED, WHOLE_NORMAL
from ..errors import InputError
from .privacy import require_harmless_text, require_pseudonym

SCHEMA_VERSION = 1
TEXT, NUMBER, WHOLE, DATE, YES_NO, CURVE, PSEUDONYM = "text", "number", "whole", "date", "yes/no", "curve", "pseudonym"
TUMOUR, LUNGS = "tumour", "lungs"
KINDS = (TUMOUR, ALL_TUMOURS, WHOLE_NORMAL, NORMAL_PERFUSED, NON_PERFUSED, LUNGS, "other")
VISITS = "baseline, week1, month1, month3, month6, ..."
_EARLIEST = date(1990, 1, 1)
_LONGEST_TEXT = 400

Value = str | float | int | None


@dataclass(frozen=True)
class Field:
    """One column.

    Parameters
    ----------
    name : str
    kind : str
        text, number, whole, date, yes/no, curve (JSON list of numbers) or pseudonym.
    label : str
        What it means, with its unit.
    low, high : float
        Allowed range of numbers, both ends included.
    choices : tuple of str
        Allowed texts; empty where any text is.
    is_key : bool
    """

    name: str
    kind: str
    label: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    is_key: bool = False

    def sql(self) -> str:
        """Column definition."""
        kind = {NUMBER: "REAL", WHOLE: "INTEGER", YES_NO: "INTEGER"}.get(self.kind, "TEXT")
        return f"{self.name} {kind}" + (" NOT NULL" if self.is_key else "")


@dataclass(frozen=True)
class Table:
    """One table; every one begins with the patient."""

    name: str
    label: str
    fields: tuple[Field, ...]
    parent: str = "patients"

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the columns that identify a row."""
        return tuple(f.name for f in self.fields if f.is_key)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(f.name for f in self.fields)

    def field(self, name: str) -> Field:
        """A column by name."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise InputError(f"{self.name}.{name}", "there is no such field", f"Fields are {', '.join(self.names)}")

    def sql(self) -> str:
        """CREATE TABLE."""
        columns = [f.sql() for f in self.fields] + [f"PRIMARY KEY ({', '.join(self.keys)})"]
        if self.name != "patients":
            parent = TABLES[self.parent]
            on = ", ".join(parent.keys)
            columns.append(f"FOREIGN KEY ({on}) REFERENCES {self.parent} ({on})")
        return f"CREATE TABLE {self.name} ({', '.join(columns)}) WITHOUT ROWID"


_PATIENT = Field("patient_id", PSEUDONYM, "Pseudonym of the patient", is_key=True)
_NAME = Field("name", TEXT, "Name of the tumour or compartment", is_key=True)
_VISIT = Field("visit", TEXT, f"Visit: {VISITS}", is_key=True)
_DATE = Field("date", DATE, "Date")


def _gy(name: str, label: str) -> Field:
    return Field(name, NUMBER, f"{label} (Gy)", 0.0, 20000.0)


def _percent(name: str, label: str) -> Field:
    return Field(name, NUMBER, f"{label} (%)", 0.0, 100.0)


def _grade(name: str, label: str) -> Field:
    return Field(name, WHOLE, f"{label}, grade 0 to 5", 0, 5)


_ALL = (
    Table(
        "patients",
        "Patients, under pseudonyms",
        (
            _PATIENT,
            Field("site", TEXT, "Site, as a code"),
            Field("sex", TEXT, "Sex", choices=("F", "M", "X")),
            Field("age_years", NUMBER, "Age at treatment (years)", 0.0, 120.0),
            Field("ecog", WHOLE, "ECOG performance status", 0, 5),
            Field("prior_lines", WHOLE, "Lines of systemic therapy before", 0, 30),
            Field("liver_volume_ml", NUMBER, "Liver volume (mL)", 100.0, 10000.0),
            _percent("tumour_burden_percent", "Tumour share of the liver"),
            Field("death_date", DATE, "Date of death"),
            Field("last_contact_date", DATE, "Date last known alive, or of death"),
        ),
    ),
    Table(
        "treatments",
        "Treatment sessions",
        (
            _PATIENT,
            Field("session", WHOLE, "Number of the session", 1, 20, is_key=True),
            Field("date", DATE, "Date of treatment"),
            Field("device", TEXT, "Device"),
            Field("net_activity_mbq", NUMBER, "Net injected activity (MBq)", 1.0, 50000.0),
            Field("lung_shunt_fraction", NUMBER, "Lung shunt fraction (0 to 1)", 0.0, 1.0),
            _gy("lung_dose_gy", "Mean lung dose"),
            Field("case_sha256", TEXT, "Hash of the computed case"),
            Field("results_sha256", TEXT, "Hash of its results"),
            Field("constants_set", TEXT, "Constants set of the doses"),
            Field("software", TEXT, "Software that computed the doses"),
        ),
    ),
    Table(
        "compartments",
        "Tumours and liver compartments",
        (
            _PATIENT,
            _NAME,
            Field("kind", TEXT, "Kind of compartment", choices=KINDS),
            Field("segment", TEXT, "Liver segment"),
            Field("volume_ml", NUMBER, "Volume (mL)", 0.001, 10000.0),
            Field("mass_g", NUMBER, "Mass (g)", 0.001, 11000.0),
            Field("contour_source", TEXT, "Image the contour was drawn on", choices=("CT", "MR", "FDG", "uptake")),
            Field("is_dose_defined", YES_NO, "Drawn on the image whose dose it reports"),
            Field("is_lymph_node", YES_NO, "Lymph node (RECIST short axis)"),
            Field("organ", TEXT, "Organ, liver where not given"),
        ),
    ),
    Table(
        "doses",
        "Dose metrics by compartment, phase and method, with full histograms",
        (
            _PATIENT,
            _NAME,
            Field(
                "phase", TEXT, "Before (predicted) or after treatment (delivered)", choices=("pre", "post"), is_key=True
            ),
            Field(
                "method", TEXT, "Dose method", choices=("local", "kernel", "multicompartment", "unstated"), is_key=True
            ),
            _gy("mean_gy", "Mass-weighted mean dose"),
            _gy("sd_gy", "SD of voxel doses"),
            *(_gy(f"d{x}_gy", f"Dose to {x} % of the volume") for x in (2, 50, 70, 95, 98)),
            *(_percent(f"v{x}_percent", f"Volume at or above {x} Gy") for x in (50, 100, 150, 200)),
            _gy("bed_gy", "Mean of voxel BED"),
            Field("alpha_beta_gy", NUMBER, "α/β of the BED (Gy)", 0.1, 50.0),
            Field("repair_half_time_h", NUMBER, "Repair half-time of the BED (h)", 0.0, 48.0),
            _gy("eud_gy", "gEUD"),
            Field("eud_exponent", NUMBER, "Exponent of the gEUD", -100.0, 100.0),
            _gy("mean_uncertainty_gy", "Standard uncertainty of the mean dose"),
            Field("calibration", TEXT, "Calibration mode", choices=("relative", "absolute")),
            Field("quantity", TEXT, "Which of the four dose quantities"),
            Field("is_resolved", YES_NO, "At least twice the image's resolution across"),
            Field("dvh_dose_gy", CURVE, "Differential DVH: dose of each bin (Gy)"),
            Field("dvh_volume_ml", CURVE, "Differential DVH: volume of each bin (mL)"),
            Field("dvh_bed_gy", CURVE, "BED of each bin of the DVH (Gy)"),
        ),
        "compartments",
    ),
    Table(
        "lesion_visits",
        "Follow-up of each tumour",
        (
            _PATIENT,
            _NAME,
            _VISIT,
            _DATE,
            Field("diameter_mm", NUMBER, "Longest diameter (node: short axis) (mm)", 0.0, 500.0),
            Field("viable_diameter_mm", NUMBER, "Longest diameter of the enhancing part (mm)", 0.0, 500.0),
            Field("sul_peak", NUMBER, "SULpeak", 0.0, 200.0),
            Field("suv_max", NUMBER, "SUVmax", 0.0, 300.0),
            Field("tlg", NUMBER, "Total lesion glycolysis (g)", 0.0, 1e6),
        ),
        "compartments",
    ),
    Table(
        "patient_visits",
        "What is judged per patient at a visit",
        (
            _PATIENT,
            _VISIT,
            _DATE,
            Field("new_lesion", YES_NO, "New lesion"),
            Field("non_target_progression", YES_NO, "Unequivocal progression of non-target disease"),
            Field("liver_sul_mean", NUMBER, "Mean SUL of normal liver", 0.0, 50.0),
            Field("response_stated", TEXT, "Response as read at the site", choices=("CR", "PR", "SD", "PD", "NE")),
            Field("response_criterion", TEXT, "Criterion of that reading"),
        ),
    ),
    Table(
        "laboratory",
        "Laboratory values",
        (
            _PATIENT,
            _VISIT,
            Field("analyte", TEXT, "Analyte", is_key=True),
            _DATE,
            Field("value", NUMBER, "Value in the given unit", -1000.0, 1e6),
            Field("unit", TEXT, "Unit"),
        ),
    ),
    Table(
        "toxicities",
        "Adverse events by CTCAE",
        (
            _PATIENT,
            _VISIT,
            Field("term", TEXT, "CTCAE term", is_key=True),
            _DATE,
            _grade("grade", "CTCAE"),
            Field("caused_by", TEXT, "Attribution", choices=("treatment", "progression", "obstruction", "other")),
        ),
    ),
    Table("reild", "Radioembolization-induced liver disease", (_PATIENT, _grade("grade", "REILD"), _DATE)),
    Table(
        "progressions",
        "Progressions",
        (
            _PATIENT,
            Field("date", DATE, "Date of progression", is_key=True),
            Field(
                "kind",
                TEXT,
                "Kind of progression",
                choices=("target", "new hepatic", "hepatic", "extrahepatic", "unspecified"),
                is_key=True,
            ),
        ),
    ),
    Table(
        "other_events",
        "Other therapy and biliary obstruction",
        (
            _PATIENT,
            Field("date", DATE, "Date", is_key=True),
            Field(
                "kind",
                TEXT,
                "Kind of event",
                choices=("systemic therapy", "local therapy", "surgery", "radioembolization", "biliary obstruction"),
                is_key=True,
            ),
        ),
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in _ALL}
# What tells how a patient fared: the plan is locked before any of these is read.
OUTCOME_TABLES = (
    "lesion_visits",
    "patient_visits",
    "laboratory",
    "toxicities",
    "reild",
    "progressions",
    "other_events",
)

_PLANS = (
    "CREATE TABLE plans (number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, text TEXT NOT NULL, "
    "locked_utc TEXT NOT NULL, who TEXT NOT NULL, outcome_rows INTEGER NOT NULL)"
)
_AUDIT = (
    "CREATE TABLE audit (number INTEGER PRIMARY KEY, time_utc TEXT NOT NULL, who TEXT NOT NULL, how TEXT NOT NULL, "
    "what TEXT NOT NULL, row_key TEXT NOT NULL, field TEXT NOT NULL, old TEXT, new TEXT)"
)


@lru_cache(maxsize=1)
def create_statements() -> tuple[str, ...]:
    """SQL of the current schema."""
    return (
        *(table.sql() for table in _ALL),
        "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        _PLANS,
        _AUDIT,
        *(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} cannot be changed'); END"
            for table in ("audit", "plans")
            for verb in ("UPDATE", "DELETE")
        ),
    )


def check_value(table: str, name: str, value: Value) -> Value:
    """The value as it is stored.

    Raises
    ------
    InputError
        Where the field does not allow it.
    """
    field = TABLES[table].field(name)
    where = f"{table}.{name}"
    if value is None or value == "":
        if field.is_key:
            raise InputError(where, "it is empty", "Every row needs it")
        return None
    if field.kind in (NUMBER, WHOLE):
        return _number(field, value, where)
    if field.kind == YES_NO:
        if value in (0, 1):
            return int(value)
        raise InputError(where, f'expected yes or no, got "{value}"', "Write 1 or 0")
    text = str(value)
    if field.kind == PSEUDONYM:
        return require_pseudonym(text, where)
    if field.kind == DATE:
        return _date(text, where)
    if field.kind == CURVE:
        return text
    if field.choices:
        if text not in field.choices:
            raise InputError(where, f'there is no "{text[:60]}"', f"Choose one of {', '.join(field.choices)}")
        return text
    if len(text) > _LONGEST_TEXT:
        raise InputError(where, f"expected at most {_LONGEST_TEXT} characters, got {len(text)}", "Shorten it")
    return require_harmless_text(text, where)


def _number(field: Field, value: Value, where: str) -> float | int:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(where, f'expected a number, got "{str(value)[:60]}"', "Correct it") from None
    unit = field.label
    if not math.isfinite(number):
        raise InputError(where, f"expected a finite number, got {number}", "Correct it or leave it empty")
    if not field.low <= number <= field.high:
        raise InputError(where, f"expected {field.low:g} to {field.high:g} [{unit}], got {number:g}", "Check the unit")
    if field.kind == WHOLE:
        if number != int(number):
            raise InputError(where, f"expected a whole number [{unit}], got {number:g}", "Correct it")
        return int(number)
    return number


def _date(text: str, where: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InputError(where, f'expected a date as YYYY-MM-DD, got "{text[:40]}"', "Correct it") from None
    if day < _EARLIEST:
        raise InputError(where, f"{text} is before {_EARLIEST.year}", "Check the year; birth dates are not kept here")
    return day.isoformat()
