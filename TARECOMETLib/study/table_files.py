"""Delimited text files from spreadsheets and REDCap, read without guessing what cannot be known."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

_LARGEST_BYTES = 200_000_000
_LONGEST_CELL = 100_000
_DELIMITERS = (",", "\t", ";", "|")


@dataclass(frozen=True)
class TextTable:
    """Cells as they stand in a file.

    Parameters
    ----------
    path : Path
    columns : tuple of str
    rows : tuple of (int, dict)
        Line number in the file, then cell by column; rows without any text are left out.
    delimiter : str
    sha256 : str
        Of the file.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    delimiter: str
    sha256: str

    def cells(self, column: str) -> Iterator[str]:
        """All cells of a column that hold text."""
        return (row[column] for _, row in self.rows if row[column])


def read_table(path: Path) -> TextTable:
    """Read CSV, TSV or the like; UTF-8, or UTF-16 with its mark."""
    where = str(path)
    if not path.is_file():
        raise InputError(where, "there is no such file", "Check the path", "no-file")
    content = path.read_bytes()
    if len(content) > _LARGEST_BYTES:
        raise InputError(where, f"it has {len(content) / 1e6:.0f} MB, at most {_LARGEST_BYTES / 1e6:.0f}", "Split it")
    text = _decode(content, where)
    if not text.strip():
        raise InputError(where, "it is empty", "Export it again", "empty")
    delimiter = _delimiter(text, where)
    # A cell longer than anything a study holds is an unclosed quotation mark that ran on.
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip() for name in next(reader)]
        _require_columns(columns, where)
        rows = []
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"{where}, line {reader.line_num}",
                    f"it has {len(cells)} cells, expected {len(columns)}",
                    "Put cells that hold the delimiter in quotation marks",
                    "ragged",
                )
            rows.append((reader.line_num, dict(zip(columns, stripped, strict=True))))
    except csv.Error as error:
        raise InputError(
            f"{where}, line {reader.line_num}", f"it is not well-formed ({error})", "Check its quotation marks", "csv"
        ) from None
    if not rows:
        raise InputError(where, "it has a line of column names and nothing below", "Export it again", "empty")
    return TextTable(path, tuple(columns), tuple(rows), delimiter, hashlib.sha256(content).hexdigest())


def _decode(content: bytes, where: str) -> str:
    if content[:4] == b"PK\x03\x04":
        raise InputError(where, "it is a workbook or archive, not text", "Save it as CSV UTF-8", "not-text")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(where, f"it is not UTF-8 text (line {line})", 'Save it as "CSV UTF-8"', "encoding") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(where, f"it holds a zero byte (line {line}): it is not text", "Export it again", "not-text")
    return text


def _delimiter(text: str, where: str) -> str:
    """The one that the line of names holds most of."""
    first = text.lstrip("\r\n").splitlines()[0]
    counts = {mark: first.count(mark) for mark in _DELIMITERS}
    best = max(counts, key=lambda mark: counts[mark])
    if counts[best] == 0:
        raise InputError(
            where,
            f'its first line holds one column only ("{first[:60]}")',
            "Export it with commas or tabs",
            "delimiter",
        )
    return best


def _require_columns(columns: list[str], where: str) -> None:
    empty = [number for number, name in enumerate(columns, 1) if not name]
    if empty:
        raise InputError(where, f"column {empty[0]} has no name", "Name every column in the first line", "columns")
    folded = [name.casefold() for name in columns]
    twice = sorted({name for name, low in zip(columns, folded, strict=True) if folded.count(low) > 1})
    if twice:
        raise InputError(where, f'two columns are named "{twice[0]}"', "Rename one of them", "columns")
