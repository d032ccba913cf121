"""The analysis as tidy CSV: results, doses at levels, curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..files import write_whole


def write_tables(document: dict[str, Any], folder: Path) -> list[Path]:
    """Write results.csv, doses.csv, curves.csv and flow.csv; returns their paths."""
    tables = {
        "results.csv": (
            [
                "key",
                "role",
                "post_hoc",
                "title",
                "n",
                "estimate",
                "unit",
                "level",
                "low",
                "high",
                "p",
                "method",
                "sentence",
            ],
            [_result_row(r) for r in document["results"]],
        ),
        "doses.csv": (
            ["key", "level_percent", "estimate_gy", "low_gy", "high_gy", "sentence"],
            list(_dose_rows(document)),
        ),
        "curves.csv": (["key", "curve", "x", "y", "low", "high"], list(_curve_rows(document))),
        "flow.csv": (["label", "patients"], [[row["label"], row["patients"]] for row in document["flow"]]),
    }
    paths = []
    for name, (columns, rows) in tables.items():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        write_whole(folder / name, text.getvalue())
        paths.append(folder / name)
    return paths


def _cell(value: Any) -> Any:
    return f"{value:.8g}" if isinstance(value, float) else "" if value is None else value


def _result_row(result: dict[str, Any]) -> list[Any]:
    interval = result.get("confidence_interval", {})
    counts = "; ".join(f"{name} {count}" for name, count in result["n"].items())
    values = (
        result["key"],
        result["role"],
        result["post_hoc"],
        result["title"],
        counts,
        result.get("estimate"),
        result.get("unit"),
        interval.get("level"),
        interval.get("low"),
        interval.get("high"),
        result.get("p"),
        result["method"],
        result["sentence"],
    )
    return [_cell(v) for v in values]


def _dose_rows(document: dict[str, Any]) -> Iterable[list[Any]]:
    for result in document["results"]:
        for entry in [*result.get("dose_at", []), *result.get("dose_at_risk", [])]:
            names = ("level_percent", "estimate_gy", "low_gy", "high_gy", "sentence")
            yield [result["key"], *(_cell(entry.get(name)) for name in names)]


def _curve_rows(document: dict[str, Any]) -> Iterable[list[Any]]:
    for result in document["results"]:
        curve = result.get("curve", {})
        if "dose_gy" in curve:
            for row in zip(curve["dose_gy"], curve["probability"], curve["low"], curve["high"], strict=True):
                yield [result["key"], "probability", *map(_cell, row)]
        if "sensitivity" in curve:
            for x, y in zip(curve["one_minus_specificity"], curve["sensitivity"], strict=True):
                yield [result["key"], "roc", _cell(x), _cell(y), "", ""]
        steps = {"survival": result.get("kaplan_meier"), **result.get("cumulative_incidence", {})}
        for name, values in steps.items():
            if values:
                for row in zip(values["months"], values["value"], values["low"], values["high"], strict=True):
                    yield [result["key"], name, *map(_cell, row)]
