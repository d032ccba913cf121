"""The study as tidy CSV, with a data dictionary that REDCap reads, and as parquet where pyarrow is there."""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path

from ..files import write_whole
from .database import StudyDatabase
from .schema import CURVE, DATE, NUMBER, TABLES, WHOLE, YES_NO, Field, Table, Value

# The columns that REDCap's own data dictionaries have, in its order and words.
_DICTIONARY = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_AUDIT = ("number", "time_utc", "who", "how", "what", "row_key", "field", "old", "new")


def export_study(study: StudyDatabase, folder: Path, *, parquet: bool = True) -> list[Path]:
    """Write every table, the audit trail and the data dictionary; returns what was written.

    Parameters
    ----------
    study : StudyDatabase
    folder : Path
    parquet : bool
        Also as parquet, where pyarrow is installed.
    """
    written = []
    for table in TABLES.values():
        rows = study.rows(table.name)
        path = folder / f"{table.name}.csv"
        write_whole(path, _csv(table.names, [[_cell(table.field(n), row[n]) for n in table.names] for row in rows]))
        written.append(path)
        if parquet and importlib.util.find_spec("pyarrow") is not None:
            written.append(_write_parquet(table, rows, folder / f"{table.name}.parquet"))
    audit = study.audit_rows()
    write_whole(folder / "audit.csv", _csv(_AUDIT, [[_harmless(row[name]) for name in _AUDIT] for row in audit]))
    write_whole(folder / "redcap_data_dictionary.csv", _csv(_DICTIONARY, data_dictionary()))
    return [*written, folder / "audit.csv", folder / "redcap_data_dictionary.csv"]


def data_dictionary() -> list[list[str]]:
    """Rows of REDCap's data dictionary: a form per table, ``record_id`` first."""
    rows = [["record_id", "patients", "", "text", "Pseudonym of the patient", *[""] * 7, "y", *[""] * 5]]
    for table in TABLES.values():
        for field in table.fields:
            if field.name != "patient_id":
                rows.append(_dictionary_row(table, field))
    return rows


def _dictionary_row(table: Table, field: Field) -> list[str]:
    kind, choices, validation = "text", "", ""
    if field.choices:
        kind, choices = "dropdown", " | ".join(f"{choice}, {choice}" for choice in field.choices)
    elif field.kind == YES_NO:
        kind = "yesno"
    elif field.kind == CURVE:
        kind = "notes"
    else:
        validation = {NUMBER: "number", WHOLE: "integer", DATE: "date_ymd"}.get(field.kind, "")
    low, high = (
        f"{v:g}" if validation in ("number", "integer") and abs(v) != float("inf") else ""
        for v in (field.low, field.high)
    )
    required = "y" if field.is_key else ""
    name = f"{table.name}_{field.name}"
    return [name, table.name, "", kind, field.label, choices, "", validation, low, high, "", "", required, *[""] * 5]


def _cell(field: Field, value: Value) -> object:
    if value is None:
        return ""
    return value if field.kind in (NUMBER, WHOLE, YES_NO) else _harmless(value)


def _harmless(value: Value) -> object:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value


def _csv(columns: tuple[str, ...], rows: list[list[object]] | list[list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _write_parquet(table: Table, rows: list[dict[str, Value]], path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {NUMBER: pa.float64(), WHOLE: pa.int64(), YES_NO: pa.bool_()}
    schema = pa.schema([(f.name, kinds.get(f.kind, pa.string())) for f in table.fields])
    columns = [
        [bool(row[f.name]) if f.kind == YES_NO and row[f.name] is not None else row[f.name] for row in rows]
        for f in table.fields
    ]
    buffer = io.BytesIO()
    arrays = [pa.array(column, schema.field(f.name).type) for column, f in zip(columns, table.fields, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), buffer)
    write_whole(path, buffer.getvalue())
    return path
