"""The study report as PDF: answers first, then everyone, everything and how it was computed."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ..files import write_whole
from ..report.glyphs import fallback_fonts, families, font_folder, printable

_TEMPLATE = Path(__file__).with_name("report.typ")
# What a reader looks for first, in this order; the first that is there of each group.
_ANSWERS = (
    ("difference.patient",),
    ("difference.lesion",),
    ("dose-response.lesion.random-intercept", "dose-response.lesion.firth", "dose-response.lesion"),
    ("dose-response.patient.logistic", "dose-response.patient.firth", "dose-response.patient"),
    ("toxicity.whole",),
    ("toxicity.perfused",),
    ("progression.overall",),
    ("progression.overall.cox.mean",),
    ("concordance.tumours",),
    ("window.whole",),
)


def write_report(document: dict[str, Any], figures: list[tuple[str, str]], folder: Path, path: Path) -> int:
    """Write the report; returns its number of pages.

    Parameters
    ----------
    document : dict
        From ``analysis.analyse``, with ``study``.
    figures : list of (str, str)
        From ``figures.write_figures``.
    folder : Path
        Where the figures are.
    path : Path
    """
    import typst

    with tempfile.TemporaryDirectory(prefix="tarecomet-study-") as name:
        place = Path(name)
        data = _page_data(document)
        data["figures"] = []
        for stem, caption in figures:
            shutil.copyfile(folder / f"{stem}.svg", place / f"{stem}.svg")
            data["figures"].append({"file": f"{stem}.svg", "caption": printable(caption)})
        shutil.copyfile(_TEMPLATE, place / "report.typ")
        texts = _texts(data)
        data["fonts"] = families(texts)
        (place / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        fonts = [str(font_folder()), *sorted({str(Path(font).parent) for font in fallback_fonts(texts)})]
        compiler = typst.Compiler(
            str(place / "report.typ"), root=str(place), font_paths=fonts, ignore_system_fonts=True
        )
        pages = int(json.loads(compiler.query("<pages>", field="value", one=True)))
        pdf = compiler.compile(format="pdf")
        assert isinstance(pdf, bytes)
        write_whole(path, pdf)
    return pages


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100.0 else f"{value:.3g}"


def _page_data(document: dict[str, Any]) -> dict[str, Any]:
    results = {r["key"]: r for r in document["results"]}
    answers = [next((results[key] for key in group if key in results), None) for group in _ANSWERS]
    versions = document["software"]
    plan = [[name.replace("_", " "), printable(_plan_value(value))] for name, value in document["plan"].items()]
    if len(plan) % 2:
        plan.append(["", ""])
    return {
        "study": printable(document["study"], 60),
        "software": f"tarecomet {versions['tarecomet']}",
        "post_hoc": document["post_hoc"],
        "answers": [
            {
                "title": printable(r["title"]),
                "role": r["role"],
                "n": _counts(r),
                "sentence": printable(r["sentence"]),
                "warnings": r["warnings"],
            }
            for r in answers
            if r is not None
        ],
        "flow": [[row["label"], str(row["patients"])] for row in document["flow"]],
        "remarks": [printable(text) for text in document["remarks"]],
        "results": [_row(r) for r in document["results"]],
        "locked": document["plan_locked_utc"],
        "plan_sha256": document["plan_sha256"],
        "changed": [printable(text) for text in document["changed_since_lock"]],
        "plan": plan,
        "assumptions": [
            {"title": r["title"], "text": printable("; ".join(r["assumptions"]))}
            for r in document["results"]
            if r["assumptions"]
        ],
        "data_sha256": document["data_sha256"],
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _plan_value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "the one in the study"


def _counts(result: dict[str, Any]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in result["n"].items())


def _row(result: dict[str, Any]) -> dict[str, Any]:
    interval = result.get("confidence_interval", {})
    bounds = [_figure(interval.get("low")), _figure(interval.get("high"))]
    p = result.get("p")
    return {
        "title": printable(result["title"]),
        "primary": result["role"] == "primary",
        "n": _counts(result),
        "estimate": f"{_figure(result.get('estimate'))} {result.get('unit', '')}".strip()
        if "estimate" in result
        else "",
        "interval": f"{bounds[0] or '–'} to {bounds[1] or '–'}" if any(bounds) else "",
        "p": "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}",
        "method": printable(result["method"]),
    }
