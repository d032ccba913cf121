"""Text that every font at hand can show: names come from people, in any script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

# Shipped with matplotlib, so that figures and PDF look alike on every machine.
FAMILY = "DejaVu Sans"
# Fonts of wide coverage that systems bring along, tried in this order before any other.
_LIKELY = ("notosanscjk", "notosans", "droidsansfallback", "wqy", "msyh", "simsun", "pingfang", "hiragino", "arialuni")


def font_folder() -> Path:
    """Folder of the fonts that come with matplotlib."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


@lru_cache(maxsize=32)
def _characters(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (RuntimeError, OSError):
        return frozenset()


def _own_characters() -> frozenset[int]:
    return _characters(str(font_folder() / "DejaVuSans.ttf"))


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import findSystemFonts

    def rank(path: str) -> tuple[int, str]:
        stem = Path(path).stem.lower().replace("-", "")
        return next((n for n, start in enumerate(_LIKELY) if stem.startswith(start)), len(_LIKELY)), path

    return tuple(sorted(findSystemFonts(), key=rank))


@lru_cache(maxsize=64)
def _fallbacks(missing: frozenset[str]) -> tuple[str, ...]:
    chosen, left = [], {ord(character) for character in missing}
    for path in _system_fonts():
        if not left:
            break
        if left & _characters(path):
            chosen.append(path)
            left -= _characters(path)
    return tuple(chosen)


def fallback_fonts(texts: Iterable[str]) -> tuple[str, ...]:
    """Files of system fonts for the characters that our own font lacks; mostly none."""
    own = _own_characters()
    missing = frozenset(c for c in set("".join(texts)) if ord(c) not in own and not _is_control(c))
    return _fallbacks(missing) if missing else ()


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def printable(text: str, longest: int = 0) -> str:
    """The text on one line, without invisible controls; characters that no font shows as ``U+4E2D``.

    Parameters
    ----------
    text : str
    longest : int
        Longer texts lose their middle; 0 keeps all.
    """
    text = " ".join(
        "".join(" " if c in "\t\r\n\v\f\u2028\u2029" else "" if _is_control(c) else c for c in text).split()
    )
    if 0 < longest < len(text):
        tail = longest // 3
        text = f"{text[: longest - tail - 1].rstrip()}…{text[len(text) - tail :].lstrip()}"
    own = _own_characters()
    missing = frozenset(c for c in text if ord(c) not in own)
    if missing:
        shown = frozenset().union(*(_characters(path) for path in _fallbacks(missing)))
        lost = {c for c in missing if ord(c) not in shown}
        text = "".join(f"U+{ord(c):04X}" if c in lost else c for c in text)
    return text


def families(texts: Iterable[str]) -> list[str]:
    """Font families for matplotlib that show all the texts, our own first."""
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    names = [FAMILY]
    for path in fallback_fonts(texts):
        family = FT2Font(path).family_name
        if not any(entry.fname == path for entry in fontManager.ttflist):
            fontManager.addfont(path)
        names.append(family)
    return names


@lru_cache(maxsize=1024)
def _width_at_72_dpi(text: str, families: tuple[str, ...]) -> float:
    """Width of a line of text at 100 pt, in points."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    renderer = FigureCanvasAgg(Figure(dpi=72)).get_renderer()
    properties = FontProperties(family=list(families), size=100.0)
    return float(renderer.get_text_width_height_descent(text, properties, ismath=False)[0])


def text_width_px(text: str, size_pt: float, families: list[str], dpi: float) -> float:
    """Width of a line of text in a picture."""
    return _width_at_72_dpi(text, tuple(families)) * size_pt / 100.0 * dpi / 72.0
