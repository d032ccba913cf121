"""The order and administration sheet: one page an injection, and the same lines as a table."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_whole
from .glyphs import printable
from .pdf_data import name
from .tables import write_csv
from .typeset import pdf_of, prepare

ORDER_COLUMNS = ("case_id", "injection", "section", "item", "value", "unit")
_TEMPLATE = Path(__file__).with_name("order.typ")
_LONGEST = 300


@dataclass(frozen=True)
class SheetLine:
    """One line: what, how much, in which unit; ``unsure`` marks what the site has to confirm."""

    item: str
    value: str
    unit: str = ""
    unsure: bool = False


@dataclass(frozen=True)
class HourLine:
    """What the ordered vials hold at one hour of the day of treatment."""

    hour: str
    vial_gbq: str
    net_gbq: str
    deviation: str
    bq_per_sphere: str
    within: bool
    planned: bool


@dataclass(frozen=True)
class OrderBlock:
    """One injection.

    Parameters
    ----------
    injection, territory : str
    headline : str
        What to do in one line: "Order 3 GBq ... give it Monday ...".
    order, administration, predicted : tuple of SheetLine
    hours : tuple of HourLine
    others : tuple of tuple of str
        Other choices: vials, calibration, hour, deviation.
    warnings : tuple of str
    """

    injection: str
    territory: str
    headline: str
    order: tuple[SheetLine, ...]
    administration: tuple[SheetLine, ...]
    predicted: tuple[SheetLine, ...]
    hours: tuple[HourLine, ...]
    others: tuple[tuple[str, ...], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class OrderSheet:
    """All of the sheet.

    Parameters
    ----------
    case_id, device, software, time_zone, constants : str
    tolerance_percent : float
    blocks : tuple of OrderBlock
    provenance : tuple of (str, str)
    """

    case_id: str
    device: str
    software: str
    time_zone: str
    constants: str
    tolerance_percent: float
    blocks: tuple[OrderBlock, ...]
    provenance: tuple[tuple[str, str], ...] = ()


def write_order_pdf(path: Path, sheet: OrderSheet) -> None:
    """Write the sheet as PDF; the same sheet gives the same bytes."""
    with tempfile.TemporaryDirectory(prefix="tarecomet-order-") as folder:
        write_whole(path, pdf_of(prepare(Path(folder), _TEMPLATE, _data(sheet))))


def write_order_csv(path: Path, sheet: OrderSheet) -> None:
    """Write the same lines as a table."""
    write_csv(path, order_rows(sheet), ORDER_COLUMNS)


def order_rows(sheet: OrderSheet) -> list[dict[str, str]]:
    """Rows of the table: every line of the sheet."""
    rows = []
    for block in sheet.blocks:
        start = {"case_id": sheet.case_id, "injection": block.injection}
        sections = (("order", block.order), ("administration", block.administration), ("predicted", block.predicted))
        for section, lines in sections:
            rows += [
                {
                    **start,
                    "section": section,
                    "item": line.item + (" (to be confirmed by the site)" if line.unsure else ""),
                    "value": line.value,
                    "unit": line.unit,
                }
                for line in lines
            ]
        for hour in block.hours:
            for item, value, unit in (
                ("in the vial", hour.vial_gbq, "GBq"),
                ("net", hour.net_gbq, "GBq"),
                ("net against prescription", hour.deviation, "%"),
            ):
                rows.append({**start, "section": f"hour {hour.hour}", "item": item, "value": value, "unit": unit})
        rows += [{**start, "section": "warning", "item": text, "value": "", "unit": ""} for text in block.warnings]
    return rows


def _lines(lines: Sequence[SheetLine]) -> list[dict[str, Any]]:
    return [
        {
            "item": printable(line.item, _LONGEST),
            "value": name(line.value, _LONGEST),
            "unit": line.unit,
            "unsure": line.unsure,
        }
        for line in lines
    ]


def _data(sheet: OrderSheet) -> dict[str, Any]:
    return {
        "case_id": name(sheet.case_id),
        "device": name(sheet.device),
        "software": name(sheet.software),
        "time_zone": name(sheet.time_zone),
        "constants": printable(sheet.constants, _LONGEST),
        "tolerance": f"{sheet.tolerance_percent:g}",
        "provenance": [[name(a), name(b, _LONGEST)] for a, b in sheet.provenance],
        "blocks": [
            {
                "injection": name(block.injection),
                "territory": name(block.territory),
                "headline": name(block.headline, _LONGEST),
                "order": _lines(block.order),
                "administration": _lines(block.administration),
                "predicted": _lines(block.predicted),
                "hours": [
                    {
                        "values": [line.hour, line.vial_gbq, line.net_gbq, line.deviation, line.bq_per_sphere],
                        "within": line.within,
                        "planned": line.planned,
                    }
                    for line in block.hours
                ],
                "others": [[printable(cell, 60) for cell in row] for row in block.others],
                "warnings": [name(text, _LONGEST) for text in block.warnings],
            }
            for block in sheet.blocks
        ],
    }
