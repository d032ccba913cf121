"""Tables of patients and lesions into the study file: validated cell by cell, all rows or none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from ..errors import InputError
from .consistency import inconsistencies
from .database import Row, StudyDatabase
from .dates import find_order, parse_date
from .mapping import LESION, PATIENT, SESSION, VISIT, Mapping, Target, propose_mapping, visit_of
from .privacy import identifying_columns
from .schema import DATE, NUMBER, TABLES, TUMOUR, WHOLE, check_value
from .table_files import TextTable, read_table

_PARENTS_FIRST = ("patients", "treatments", "compartments")


@dataclass(frozen=True)
class Problem:
    """A cell that cannot be imported."""

    file: str
    line: int
    column: str
    message: str

    def sentence(self) -> str:
        """One line."""
        return f"{self.file}, line {self.line}, {self.column}: {self.message}"


@dataclass(frozen=True)
class Plan:
    """A file, its mapping and the rows it would put."""

    table: TextTable
    mapping: Mapping
    rows: tuple[tuple[int, str, Row], ...]
    problems: tuple[Problem, ...] = field(default=())

    @property
    def is_part_of_tumours(self) -> bool:
        """Whether these are the tumours of a file that holds patients too."""
        return self.mapping.roles.get(LESION) == "lesion_id" and "lesion_id" not in _header(self.table.path)


def read_file(path: Path, mapping: Mapping | None = None, date_order: str = "") -> Plan:
    """Read and validate one file; nothing is written.

    Parameters
    ----------
    path : Path
    mapping : Mapping, optional
        Proposed from the columns' names where not given.
    date_order : str
        iso, day-first or month-first; found from the dates where empty.

    Raises
    ------
    InputError
        Where the file as a whole cannot be used; wrong cells are in ``problems``.
    """
    return _plan_of(read_table(path), mapping, date_order)


def read_parts(path: Path, date_order: str = "") -> list[Plan]:
    """As ``read_file``; an export with REDCap's repeating instruments becomes patients' and tumours' rows."""
    return [_plan_of(table, None, date_order) for table in _parts(read_table(path))]


def _parts(table: TextTable) -> list[TextTable]:
    """Rows of a repeating instrument of tumours get their instance as the tumour's name."""
    names = {column.casefold(): column for column in table.columns}
    instrument, instance = names.get("redcap_repeat_instrument"), names.get("redcap_repeat_instance")
    if instrument is None or instance is None:
        return [table]
    of_tumours = [
        (n, row) for n, row in table.rows if re.search(r"lesion|tumou?r|target|metast", row[instrument].lower())
    ]
    lines = {n for n, _ in of_tumours}
    found = []
    for rows, is_tumours in (([(n, row) for n, row in table.rows if n not in lines], False), (of_tumours, True)):
        if not rows:
            continue
        filled = [
            c
            for c in table.columns
            if c != instrument and (c != instance or is_tumours) and any(row[c] for _, row in rows)
        ]
        has_name = any(re.fullmatch(r"(lesion|tumou?r)_?(id|name|no|number)", c.lower()) for c in filled)
        columns = ["lesion_id" if c == instance and not has_name else c for c in filled]
        kept = [
            (
                n,
                {
                    new: f"L{row[old]}" if new == "lesion_id" and old == instance else row[old]
                    for old, new in zip(filled, columns, strict=True)
                },
            )
            for n, row in rows
        ]
        found.append(TextTable(table.path, tuple(columns), tuple(kept), table.delimiter, table.sha256))
    return found


def _plan_of(table: TextTable, mapping: Mapping | None, date_order: str) -> Plan:
    path = table.path
    identifying = identifying_columns(list(table.columns))
    if identifying:
        raise InputError(
            str(path),
            f'its column "{identifying[0]}" identifies persons',
            "Take it out of the file: the study file holds pseudonyms only",
            "identifying-column",
        )
    if mapping is None:
        cells = {
            column: [cell for _, cell in zip(range(200), table.cells(column), strict=False)] for column in table.columns
        }
        mapping = propose_mapping(table.columns, table.delimiter, cells)
    missing = [c for c in (*mapping.roles.values(), *mapping.columns) if c not in table.columns]
    if missing:
        raise InputError(str(path), f'it has no column "{missing[0]}"', "Correct the mapping", "mapping")
    if not mapping.columns:
        raise InputError(str(path), "none of its columns is known", "Write a mapping, see the manual", "mapping")
    order = date_order or mapping.date_order or _date_order(table, mapping)
    mapping = replace(mapping, date_order=order)
    rows: list[tuple[int, str, Row]] = []
    problems: list[Problem] = []
    for line, cells_of_row in table.rows:
        _read_row(table, mapping, line, cells_of_row, rows, problems)
    problems += _contradictions(table, rows)
    return Plan(table, mapping, tuple(rows), tuple(problems))


def _date_order(table: TextTable, mapping: Mapping) -> str:
    columns = [c for c, t in mapping.columns.items() if TABLES[t.table].field(t.field).kind == DATE]
    texts = (cell for column in columns for cell in table.cells(column) if cell not in mapping.missing)
    return find_order(texts, f"{table.path}, {', '.join(columns[:3])}")


def _read_row(
    table: TextTable,
    mapping: Mapping,
    line: int,
    cells: dict[str, str],
    rows: list[tuple[int, str, Row]],
    problems: list[Problem],
) -> None:
    file = table.path.name

    def key_cell(role: str) -> str:
        column = mapping.roles.get(role)
        text = cells[column] if column is not None else ""
        return "" if text in mapping.missing else text

    patient, lesion = key_cell(PATIENT), key_cell(LESION)
    try:
        check_value("patients", "patient_id", patient)
        if LESION in mapping.roles:
            check_value("compartments", "name", lesion)
    except InputError as error:
        column = mapping.roles[PATIENT] if error.where.startswith("patients") else mapping.roles[LESION]
        problems.append(Problem(file, line, column, f"{error.problem}. {error.mend}."))
        return
    visit = ""
    if event := key_cell(VISIT):
        visit = mapping.events.get(event) or visit_of(event) or ""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], Row] = {}
    for column, target in mapping.columns.items():
        text = cells[column]
        if text in mapping.missing:
            continue
        fixed = dict(target.fixed)
        if "visit" in TABLES[target.table].keys and "visit" not in fixed and visit:
            fixed["visit"] = visit
        try:
            value = _value(text, target, mapping)
        except InputError as error:
            problems.append(Problem(file, line, column, f"{error.problem}. {error.mend}."))
            continue
        groups.setdefault((target.table, tuple(sorted(fixed.items()))), {})[target.field] = value
    made = _rows_of_groups(groups, patient, lesion, key_cell(SESSION))
    for name, row in made:
        if "visit" in TABLES[name].keys and not row.get("visit"):
            # An event with its own date needs no planned visit.
            row["visit"] = row.get("date")
        if "visit" in TABLES[name].keys and not row.get("visit"):
            message = "it is not known at which visit this was. Name the visit in the column or in a column visit."
            problems.append(Problem(file, line, name, message))
            continue
        lacking = [key for key in TABLES[name].keys if row.get(key) in (None, "")]
        if lacking:
            problems.append(Problem(file, line, lacking[0], f"{name}: the {lacking[0]} is missing. Fill it in."))
        else:
            rows.append((line, name, row))


def _rows_of_groups(
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], Row], patient: str, lesion: str, session: str
) -> list[tuple[str, Row]]:
    """Rows of one line of the file, parents first."""
    found: list[tuple[str, Row]] = [] if lesion else [("patients", {"patient_id": patient})]
    compartments: dict[str, Row] = {}
    for (table, fixed), values in groups.items():
        row: Row = {"patient_id": patient, **dict(fixed), **values}
        keys = TABLES[table].keys
        if "name" in keys:
            row.setdefault("name", lesion)
            kind = row.pop("kind", None) if table != "compartments" else row.get("kind")
            entry = compartments.setdefault(str(row["name"]), {"patient_id": patient, "name": row["name"]})
            entry["kind"] = kind or entry.get("kind") or TUMOUR
        if table == "compartments":
            compartments[str(row["name"])].update({k: v for k, v in row.items() if v is not None})
            continue
        if table == "treatments":
            row["session"] = session or 1
        if table == "progressions" and row.get("date"):
            row.setdefault("kind", "unspecified")
        found.append((table, row))
    if lesion and lesion not in compartments:
        compartments[lesion] = {"patient_id": patient, "name": lesion, "kind": TUMOUR}
    found += [("compartments", row) for row in compartments.values()]
    rank = {name: n for n, name in enumerate(_PARENTS_FIRST)}
    return sorted(found, key=lambda item: rank.get(item[0], len(rank)))


def _value(text: str, target: Target, mapping: Mapping) -> str | float | int | None:
    kind = TABLES[target.table].field(target.field).kind
    where = f"{target.table}.{target.field}"
    coded = {code.casefold(): value for code, value in target.codes.items()}
    text = coded.get(text.casefold(), text)
    if kind == DATE:
        day = parse_date(text, mapping.date_order, where)
        if day > datetime.now(timezone.utc).date():
            raise InputError(where, f"{day} is in the future", "Correct the date")
        return check_value(target.table, target.field, day.isoformat())
    if kind in (NUMBER, WHOLE):
        return check_value(target.table, target.field, _number(text, mapping.decimal, where) * target.factor)
    return check_value(target.table, target.field, int(text) if text in ("0", "1") and kind == "yes/no" else text)


def _number(text: str, decimal: str, where: str) -> float:
    plain = text.replace("\u2212", "-")
    if decimal == ",":
        plain = plain.replace(",", ".") if "." not in plain else plain
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", plain, re.ASCII):
        hint = "Write the number alone, without unit, sign of comparison or thousands separator"
        raise InputError(where, f'expected a number, got "{text[:40]}"', hint, "number")
    return float(plain)


def _header(path: Path) -> tuple[str, ...]:
    return read_table(path).columns


def _contradictions(table: TextTable, rows: list[tuple[int, str, Row]]) -> list[Problem]:
    """Two lines of one file that say different things of the same row."""
    seen: dict[tuple[str, tuple[object, ...]], tuple[int, Row]] = {}
    found = []
    for line, name, row in rows:
        key = (name, tuple(str(row[k]) for k in TABLES[name].keys))
        first_line, first = seen.setdefault(key, (line, dict(row)))
        differing = [n for n, v in row.items() if v is not None and first.get(n) not in (None, v)]
        if differing:
            message = f"{first[differing[0]]} in line {first_line}, {row[differing[0]]} here. Keep one of them."
            found.append(Problem(table.path.name, line, f"{name}.{differing[0]}", message))
        first.update({n: v for n, v in row.items() if v is not None})
    return found


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    rows: int
    changes: int
    left_out: tuple[Problem, ...]


def write_plans(
    study: StudyDatabase, plans: list[Plan], *, overwrite: bool = False, skip_bad_rows: bool = False
) -> Imported:
    """Put the rows of one or several files in one transaction.

    Parameters
    ----------
    study : StudyDatabase
    plans : list of Plan
    overwrite : bool
        Let the files change values that are in the study already; else such a value is a conflict.
    skip_bad_rows : bool
        Leave out lines with a problem; else one problem refuses all.

    Raises
    ------
    InputError
        With the number of problems and the first of them; all are in ``problems`` of the error.
    """
    problems = [p for plan in plans for p in plan.problems]
    if problems and not skip_bad_rows:
        raise ImportProblems(problems)
    bad = {(p.file, p.line) for p in problems}
    ordered = sorted(plans, key=lambda plan: LESION in plan.mapping.roles)
    count = changes = 0
    with study.transaction("import " + ", ".join(f"{p.table.path.name} sha256:{p.table.sha256[:16]}" for p in ordered)):
        touched: set[str] = set()
        for plan in ordered:
            conflicts = []
            for line, table, row in plan.rows:
                if (plan.table.path.name, line) in bad:
                    continue
                if not overwrite:
                    conflicts += _conflicts(study, plan.table.path.name, line, table, row)
                try:
                    changes += study.put(table, row)
                except InputError as error:
                    conflicts.append(
                        Problem(plan.table.path.name, line, error.where, f"{error.problem}. {error.mend}.")
                    )
                touched.add(str(row["patient_id"]))
                count += 1
            if conflicts:
                raise ImportProblems(conflicts)
        wrong = [finding for finding in inconsistencies(study, touched) if finding.severity == "block"]
        if wrong:
            raise ImportProblems([Problem("study", 0, f.where, f"{f.message}. {f.mend}.") for f in wrong])
    return Imported(count, changes, tuple(problems))


def _conflicts(study: StudyDatabase, file: str, line: int, table: str, row: Row) -> list[Problem]:
    old = study.row(table, *(row[name] for name in TABLES[table].keys))
    if old is None:
        return []
    return [
        Problem(
            file,
            line,
            f"{table}.{name}",
            f"the study holds {old[name]}, the file {value}. Say --overwrite to change it.",
        )
        for name, value in row.items()
        if value is not None and old.get(name) is not None and check_value(table, name, value) != old[name]
    ]


class ImportProblems(InputError):
    """An import that was refused, with every problem."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        first = problems[0]
        more = f"; {len(problems) - 1} more problems" if len(problems) > 1 else ""
        where = f"{first.file}, line {first.line}, {first.column}" if first.line else first.column
        problem, _, mend = first.message.rstrip(".").rpartition(". ")
        super().__init__(
            where, f"{problem or first.message}{more}; nothing was imported", mend or "Correct the file", "import"
        )
