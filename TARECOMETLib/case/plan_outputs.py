"""What a plan leaves on disk: all files or none of them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from ..errors import InputError
from ..report.order_sheet import write_order_csv, write_order_pdf
from ..report.tables import write_csv
from .plan import CasePlan
from .plan_results import MODEL_COLUMNS, VIAL_COLUMNS, model_rows, plan_document, vial_rows
from .plan_sheet import order_sheet


def write_plan(made: CasePlan, out: Path) -> list[Path]:
    """Write plan.json and tables into a folder aside, then move them to their places."""
    if out.exists() and not out.is_dir():
        raise InputError(str(out), "it is a file, expected a folder", "Choose another place for the plan")
    document = plan_document(made)
    aside = out.with_name(f".{out.name}.part{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        write_csv(aside / "models.csv", model_rows(document), MODEL_COLUMNS)
        if made.orders:
            write_csv(aside / "vials.csv", vial_rows(document), VIAL_COLUMNS)
        sheet = order_sheet(made)
        if sheet is not None:
            write_order_pdf(aside / "order.pdf", sheet)
            write_order_csv(aside / "order.csv", sheet)
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (aside / "plan.json").write_text(text, encoding="utf-8")
        out.mkdir(parents=True, exist_ok=True)
        names = sorted((path.name for path in aside.iterdir()), key=lambda name: (name == "plan.json", name))
        for name in names:
            os.replace(aside / name, out / name)
        # What an earlier plan left and this one has not would speak of other activities.
        for name in ("vials.csv", "order.pdf", "order.csv"):
            if name not in names:
                (out / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [out / name for name in names]
