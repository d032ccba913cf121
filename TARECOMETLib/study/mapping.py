"""What each column of an imported file means: a proposal from its name, to be shown, corrected and saved as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from dataclasses import field as attribute
from pathlib import Path
from typing import Any

from ..errors import InputError
from .dates import ISO, ORDERS
from .schema import ALL_TUMOURS, LUNGS, NORMAL_PERFUSED, TABLES, TUMOUR, WHOLE_NORMAL

PATIENT, LESION, VISIT, SESSION = "patient", "lesion", "visit", "session"
MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", ".", "-", "NULL", "null", "None", "unknown")
_UNIT_FACTORS: dict[str, float] = {
    "gy": 1.0,
    "mbq": 1.0,
    "gbq": 1000.0,
    "ml": 1.0,
    "cc": 1.0,
    "cm3": 1.0,
    "l": 1000.0,
    "mm": 1.0,
    "cm": 10.0,
    "percent": 1.0,
    "pct": 1.0,
    "perc": 1.0,
    "g": 1.0,
    "kg": 1000.0,
    "years": 1.0,
    "yrs": 1.0,
    "h": 1.0,
    "cgy": 0.01,
    "mgy": 0.001,
}
_LAB_UNITS = {
    "mg_dl": "mg/dL",
    "g_dl": "g/dL",
    "g_l": "g/L",
    "umol_l": "µmol/L",
    "mmol_l": "mmol/L",
    "u_l": "U/L",
    "ng_ml": "ng/mL",
}
_ANALYTES = [
    "bilirubin",
    "albumin",
    "inr",
    "alt",
    "ast",
    "ggt",
    "alp",
    "creatinine",
    "platelets",
    "cea",
    "ammonia",
    "lymphocytes",
    "hemoglobin",
    "ldh",
    "crp",
]
_VISIT = re.compile(
    r"(?:^|_)(?:(baseline|bl|screening|pre_?treatment)|(?:month|mo|m)_?(\d{1,2})|(\d{1,2})_?(?:months?|mo|m)|"
    r"(?:week|w)_?(\d{1,2})|(\d{1,2})_?weeks?)(?=_|$)"
)


@dataclass(frozen=True)
class Target:
    """Where a column goes.

    Parameters
    ----------
    table, field : str
    fixed : dict
        Key fields that the column's name gives: phase, visit, compartment's name, analyte.
    factor : float
        The cell's number times this is in the field's unit.
    codes : dict
        Cell to stored value, for coded answers.
    """

    table: str
    field: str
    fixed: dict[str, str] = attribute(default_factory=dict)
    factor: float = 1.0
    codes: dict[str, str] = attribute(default_factory=dict)

    def words(self) -> str:
        """One line for people."""
        fixed = ", ".join(str(v) for v in self.fixed.values())
        scale = "" if self.factor == 1.0 else f" × {self.factor:g}"
        return f"{self.table}.{self.field}" + (f" ({fixed})" if fixed else "") + scale


@dataclass(frozen=True)
class Mapping:
    """Columns and what they mean, and how the file writes things."""

    roles: dict[str, str]
    columns: dict[str, Target]
    ignored: tuple[str, ...] = ()
    date_order: str = ""
    decimal: str = "."
    missing: tuple[str, ...] = MISSING
    events: dict[str, str] = attribute(default_factory=dict)

    def __post_init__(self) -> None:
        if PATIENT not in self.roles:
            raise InputError(
                "mapping.roles",
                "no column is the patient's pseudonym",
                'Name it record_id, or set "patient"',
                "mapping",
            )
        if self.date_order not in ("", *ORDERS):
            raise InputError(
                "mapping.date_order", f'there is no "{self.date_order}"', f"Choose one of {', '.join(ORDERS)}"
            )
        if self.decimal not in (".", ","):
            raise InputError("mapping.decimal", f'there is no "{self.decimal}"', "Choose . or ,")
        for column, target in self.columns.items():
            if target.table not in TABLES:
                raise InputError(f"mapping.columns.{column}", f'there is no table "{target.table}"', "See the manual")
            for name in (target.field, *target.fixed):
                if not (target.table == "doses" and name == "kind"):
                    TABLES[target.table].field(name)

    def as_json(self) -> str:
        """The mapping's file."""
        return json.dumps({"schema_version": 1, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"


def read_mapping(path: Path) -> Mapping:
    """A saved mapping."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        columns = {name: Target(**target) for name, target in data["columns"].items()}
        return Mapping(
            roles=dict(data["roles"]),
            columns=columns,
            ignored=tuple(data.get("ignored", ())),
            date_order=data.get("date_order", ""),
            decimal=data.get("decimal", "."),
            missing=tuple(data.get("missing", MISSING)),
            events=dict(data.get("events", {})),
        )
    except FileNotFoundError:
        raise InputError(str(path), "there is no such mapping", "Check the path", "no-file") from None
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            str(path), f"it is no mapping ({error})", "Let one be proposed and edit that", "mapping"
        ) from None


def propose_mapping(
    columns: tuple[str, ...], delimiter: str = ",", cells: dict[str, list[str]] | None = None
) -> Mapping:
    """A mapping from the columns' names.

    Parameters
    ----------
    columns : tuple of str
    delimiter : str
        Of the file: decimal commas are looked for where it is not a comma.
    cells : dict, optional
        Some cells by column.
    """
    roles: dict[str, str] = {}
    plain = {column: _plain(column) for column in columns}
    for column, name in plain.items():
        role = _role(name)
        if role is not None and role not in roles:
            roles[role] = column
    targets: dict[str, Target] = {}
    ignored = []
    for column, name in plain.items():
        if column in roles.values():
            continue
        target = _target(name, LESION in roles)
        if target is None:
            ignored.append(column)
        else:
            targets[column] = target
    decimal = "."
    if delimiter != "," and cells is not None:
        numbers = [c for column in targets for c in cells.get(column, []) if re.fullmatch(r"-?\d+,\d+", c)]
        points = [c for column in targets for c in cells.get(column, []) if re.fullmatch(r"-?\d+\.\d+", c)]
        decimal = "," if numbers and not points else "."
    return Mapping(roles, targets, tuple(ignored), decimal=decimal)


def visit_of(text: str) -> str | None:
    """The visit in a name such as ``diameter_month3`` or ``month_3_arm_1``."""
    match = _VISIT.search(_plain(text))
    if match is None:
        return None
    if match[1]:
        return "baseline"
    month, week = match[2] or match[3], match[4] or match[5]
    return f"month{int(month)}" if month else f"week{int(week)}"


def _plain(column: str) -> str:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1_\2", column.strip())
    name = re.sub(r"[^a-z0-9]+", "_", spaced.lower().replace("µ", "u").replace("%", " percent ")).strip("_")
    return re.sub(r"tumor(?!u)", "tumour", name)


def _role(name: str) -> str | None:
    if re.fullmatch(
        r"(record|patient|subject|study|participant|case|screening)_?(id|no|nr|number|code)|patient|pseudonym|id", name
    ):
        return PATIENT
    if re.fullmatch(r"(lesion|tumour|target|metastasis|roi|compartment)(_?(id|no|nr|number|name))?", name):
        return LESION
    if name in ("visit", "timepoint", "time_point", "redcap_event_name", "event_name", "visit_name"):
        return VISIT
    if name in ("session", "treatment_session", "treatment_number"):
        return SESSION
    return None


def _split_unit(name: str) -> tuple[str, str]:
    for unit in sorted((*_LAB_UNITS, *_UNIT_FACTORS), key=len, reverse=True):
        if name.endswith(f"_{unit}"):
            return name[: -len(unit) - 1], unit
    return name, ""


_PATIENT_NAMES = {
    r"sex|gender": "sex",
    r"age(_at_treatment)?": "age_years",
    r"ecog(_ps|_status)?": "ecog",
    r"(prior|previous)_(lines|therapy_lines)|lines_of_therapy": "prior_lines",
    r"site|cent(er|re)(_id)?": "site",
    r"liver_volume": "liver_volume_ml",
    r"tumour_(burden|load|involvement)": "tumour_burden_percent",
    r"death_date|date_of_death|dod": "death_date",
    r"(last_)?(follow_?up|contact|seen|known_alive)_date": "last_contact_date",
    r"date_of_last_(contact|follow_?up)|last_(contact|follow_?up)": "last_contact_date",
}
_TREATMENT_NAMES = {
    r"(treatment|tare|sirt|injection|radioembolization|therapy)_date|date_of_treatment": "date",
    r"(net_|injected_|administered_|delivered_)+activity": "net_activity_mbq",
    r"lsf|lung_shunt(_fraction)?": "lung_shunt_fraction",
    r"(mean_)?lung_dose": "lung_dose_gy",
    r"device|microspheres?": "device",
}
_LESION_NAMES = {
    r"segment|location": "segment",
    r"(tumour_|lesion_)?volume": "volume_ml",
    r"(tumour_|lesion_)?mass": "mass_g",
    r"contour_source|contour": "contour_source",
    r"(is_)?dose_defined": "is_dose_defined",
    r"(is_)?lymph_node|node": "is_lymph_node",
    r"organ": "organ",
    r"kind|compartment_kind": "kind",
}
_LESION_VISIT_NAMES = {
    r"(longest_)?diameter|size|ld": "diameter_mm",
    r"viable_diameter|enhancing_diameter|mrecist_diameter": "viable_diameter_mm",
    r"sul_?peak": "sul_peak",
    r"suv_?max": "suv_max",
    r"tlg": "tlg",
    r"(scan|visit|imaging)_date": "date",
}
_PATIENT_VISIT_NAMES = {
    r"(scan|visit|imaging)_date": "date",
    r"new_lesions?": "new_lesion",
    r"non_target_progression": "non_target_progression",
    r"liver_sul(_mean)?": "liver_sul_mean",
    r"(overall_|best_)?response": "response_stated",
    r"response_criterion": "response_criterion",
}
_DOSE_NAMES = {
    r"(mean_)?dose(_mean)?|d_?mean|absorbed_dose": "mean_gy",
    r"dose_sd|sd_dose": "sd_gy",
    r"(mean_)?dose_(uncertainty|se|error|u)|u_dose": "mean_uncertainty_gy",
    r"(mean_)?bed": "bed_gy",
    r"g?eud": "eud_gy",
    **{rf"d_?{x}": f"d{x}_gy" for x in (2, 50, 70, 95, 98)},
    **{rf"v_?{x}": f"v{x}_percent" for x in (50, 100, 150, 200)},
}
_COMPARTMENTS = (
    (r"(normal|healthy|non_?tumour(al)?)_?perfused(_liver)?|perfused_normal(_liver)?", NORMAL_PERFUSED),
    (r"(whole_)?(normal|healthy|non_?tumour(al)?)_liver", WHOLE_NORMAL),
    (r"(all_)?tumours?", ALL_TUMOURS),
    (r"lungs?", LUNGS),
)
_EVENT_NAMES = {
    r"(systemic_therapy|chemotherapy|other_therapy|subsequent_therapy)_date": "systemic therapy",
    r"(local_therapy|ablation)_date": "local therapy",
    r"(surgery|resection|transplant)_date": "surgery",
    r"(biliary_)?obstruction_date": "biliary obstruction",
}
# Tables of one event a row: adverse events and laboratory values.
_LONG_NAMES = {
    r"(ae|ctcae|toxicity|adverse_event)(_term)|adverse_event": ("toxicities", "term"),
    r"(ae|ctcae|toxicity|adverse_event)_grade": ("toxicities", "grade"),
    r"(ae|ctcae|toxicity|adverse_event)(_onset|_start)?_date": ("toxicities", "date"),
    r"(ae|ctcae|toxicity|adverse_event)_(cause|attribution|caused_by)": ("toxicities", "caused_by"),
    r"analyte|lab_(test|analyte|name)": ("laboratory", "analyte"),
    r"lab_(value|result)": ("laboratory", "value"),
    r"lab_unit": ("laboratory", "unit"),
    r"lab_date": ("laboratory", "date"),
}
_SEX = {"m": "M", "male": "M", "f": "F", "female": "F", "w": "F", "x": "X"}


def _match(names: dict[str, str], text: str) -> str | None:
    return next((value for pattern, value in names.items() if re.fullmatch(pattern, text)), None)


def _target(name: str, is_lesion_file: bool) -> Target | None:
    if re.fullmatch(r".*_complete|redcap_(repeat_.*|data_access_group|survey_.*)", name):
        return None
    base, unit = _split_unit(name)
    visit = visit_of(base)
    rest = _VISIT.sub("", base).strip("_") if visit else base
    at = {"visit": visit} if visit else {}
    factor = _UNIT_FACTORS.get(unit, 1.0)
    if is_lesion_file:
        if found := _match(_LESION_NAMES, base):
            return Target("compartments", found, factor=factor, codes=_yes_no(found))
        if found := _match(_LESION_VISIT_NAMES, rest):
            return Target("lesion_visits", found, at, factor)
        return _dose(base, unit, None)
    if found := _match(_PATIENT_NAMES, base):
        return Target("patients", found, factor=factor, codes=_SEX if found == "sex" else {})
    if found := _match(_TREATMENT_NAMES, base):
        if found == "lung_shunt_fraction" and unit in ("percent", "pct", "perc"):
            factor = 0.01
        return Target("treatments", found, factor=factor)
    if found := _match(_PATIENT_VISIT_NAMES, rest):
        return Target("patient_visits", found, at, factor, _yes_no(found))
    if found := _match(_EVENT_NAMES, base):
        return Target("other_events", "date", {"kind": found})
    if match := re.fullmatch(r"progression_(date|kind|type)|date_of_progression", base):
        return Target("progressions", "date" if match[1] in (None, "date") else "kind")
    if match := re.fullmatch(r"reild(_grade|_date)?", base):
        return Target("reild", "date" if match[1] == "_date" else "grade")
    for pattern, (table, name_of_field) in _LONG_NAMES.items():
        if re.fullmatch(pattern, base):
            return Target(table, name_of_field)
    if match := re.fullmatch(r"(?:toxicity|ctcae|ae)_(\w+?)(?:_grade)?|(\w+?)_(?:ctcae|toxicity)(?:_grade)?", rest):
        return Target("toxicities", "grade", {"term": (match[1] or match[2]).replace("_", " "), **at})
    if rest in _ANALYTES:
        return Target("laboratory", "value", {"analyte": rest, "unit": _LAB_UNITS.get(unit, unit), **at})
    for pattern, compartment in _COMPARTMENTS:
        if (match := re.match(rf"(?:{pattern})_", base)) and (dose := _dose(base[match.end() :], unit, compartment)):
            return dose
        if (match := re.fullmatch(rf"(?:{pattern})_(volume|mass)", base)) is not None:
            return Target(
                "compartments",
                "volume_ml" if base.endswith("volume") else "mass_g",
                {"name": compartment, "kind": compartment},
                factor,
            )
    return None


def _yes_no(found: str) -> dict[str, str]:
    if found not in ("new_lesion", "non_target_progression", "is_dose_defined", "is_lymph_node"):
        return {}
    return {"yes": "1", "no": "0", "y": "1", "n": "0", "true": "1", "false": "0", "present": "1", "absent": "0"}


def _dose(base: str, unit: str, compartment: str | None) -> Target | None:
    phase, rest = "", base
    for word, meaning in (
        ("pre", "pre"),
        ("post", "post"),
        ("maa", "pre"),
        ("predicted", "pre"),
        ("delivered", "post"),
        ("planned", "pre"),
        ("y90", "post"),
    ):
        if re.search(rf"(^|_){word}(_|$)", rest):
            phase, rest = meaning, re.sub(rf"(^|_){word}(?=_|$)", "", rest).strip("_")
    method = "unstated"
    for word in ("local", "kernel", "multicompartment"):
        if re.search(rf"(^|_){word}(_|$)", rest):
            method, rest = word, re.sub(rf"(^|_){word}(?=_|$)", "", rest).strip("_")
    found = _match(_DOSE_NAMES, rest)
    if found is None or not phase:
        return None
    fixed = {"phase": phase, "method": method}
    if compartment is not None:
        fixed |= {"name": compartment, "kind": compartment}
    return Target("doses", found, fixed, _UNIT_FACTORS.get(unit, 1.0))


def default_kind(is_lesion_file: bool) -> str:
    """Kind of a compartment that the file does not name."""
    return TUMOUR if is_lesion_file else "other"


__all__ = ["ISO", "Mapping", "Target", "default_kind", "propose_mapping", "read_mapping", "visit_of"]
