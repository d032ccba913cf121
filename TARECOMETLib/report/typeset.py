"""A page template and its data to a compiler: our own fonts first, no network, no system fonts but those needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from .glyphs import fallback_fonts, families, font_folder


def prepare(folder: Path, template: Path, data: dict[str, Any]) -> Any:
    """Put template and data into a folder and return a ``typst.Compiler`` for them.

    Parameters
    ----------
    folder : Path
        Empty or with the pictures that the data name; the compiler sees nothing outside it.
    template : Path
    data : dict
        Plain values; ``fonts`` is added.
    """
    import typst

    texts = _texts(data)
    shutil.copyfile(template, folder / template.name)
    text = json.dumps({**data, "fonts": families(texts)}, ensure_ascii=False)
    (folder / "data.json").write_text(text, encoding="utf-8")
    fonts = [str(font_folder()), *sorted({str(Path(font).parent) for font in fallback_fonts(texts)})]
    return typst.Compiler(str(folder / template.name), root=str(folder), font_paths=fonts, ignore_system_fonts=True)


def pages_of(compiler: Any) -> int:
    """Number of pages, from the template's label ``pages``."""
    return int(json.loads(compiler.query("<pages>", field="value", one=True)))


def pdf_of(compiler: Any) -> bytes:
    """The PDF."""
    pdf = compiler.compile(format="pdf")
    assert isinstance(pdf, bytes)
    return pdf


def _texts(value: Any) -> list[str]:
    """All strings in nested data."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []
