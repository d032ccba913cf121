"""Published goals and limits as data: Resources/planning_goals.json."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError
from .goals import BILIRUBIN_BORDER_MG_DL, Goal
from .patient import GLASS

_TABLE = Path(__file__).resolve().parent.parent / "Resources" / "planning_goals.json"


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return table


def preset_names(spheres: str = "") -> dict[str, str]:
    """Presets by machine name, with their words; of glass or resin, or all."""
    found = _table()["presets"].items()
    return {name: entry["title"] for name, entry in found if spheres in ("", entry["spheres"])}


def preset_goals(name: str, bilirubin_mg_dl: float | None = None) -> tuple[Goal, ...]:
    """Goals and limits of a preset, with one active limit for whole normal liver.

    Parameters
    ----------
    name : str
    bilirubin_mg_dl : float, optional
        Chooses that limit: 50 Gy at 1.1 mg/dL or more, 90 Gy below. 75 Gy where it is not known. The source leaves
        1.1 itself open; the lower limit is taken there.

    Raises
    ------
    InputError
        Where there is no such preset.
    """
    presets = _table()["presets"]
    if name not in presets:
        raise InputError("goals preset", f'there is no "{name}"', f"Choose one of {', '.join(presets)}", "preset")
    entry = presets[name]
    limits = _table()["whole_normal_liver_limits"]
    if bilirubin_mg_dl is None:
        chosen = "not known"
    else:
        chosen = "raised" if bilirubin_mg_dl >= BILIRUBIN_BORDER_MG_DL else "normal"
    rows = [*entry["goals"]]
    if entry["whole_normal_liver_limit"]:
        rows.append(limits[chosen])
    rows += _table()["every_preset"]
    if entry["spheres"] == GLASS:
        rows += _table()["every_glass_preset"]
    return tuple(Goal(**row, origin="preset") for row in rows)
