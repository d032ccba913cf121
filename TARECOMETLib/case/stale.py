"""Whether results on disk still belong to the case beside them."""

from __future__ import annotations

import json
from pathlib import Path

from .document import Case
from .findings import DOUBT, Finding


def stale_results(case: Case, base: Path) -> list[Finding]:
    """A doubt where CASE/results was computed from other inputs; nothing where there are no results."""
    path = base / "results" / "results.json"
    try:
        made_from = json.loads(path.read_text(encoding="utf-8"))["provenance"]["case_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if made_from == case.sha256():
        return []
    return [
        Finding(
            DOUBT,
            "stale-results",
            str(path),
            "these results were computed before the case was changed",
            "Run `tarecomet case run` again",
        )
    ]
