"""Pytest only: what the summary says beside pytest's own."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

os.environ.setdefault("MPLBACKEND", "Agg")


def _reason(report: Any) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").strip().splitlines()[0] if text.strip() else "no reason given"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count skips by reason: a test that did not run must be seen."""
    stats = terminalreporter.stats
    skipped = Counter(_reason(report) for report in stats.get("skipped", []))
    if skipped:
        terminalreporter.section("skipped by reason")
        for reason, count in sorted(skipped.items(), key=lambda item: (-item[1], item[0])):
            terminalreporter.write_line(f"{count:5d}  {reason}")
    passed, failed = len(stats.get("passed", [])), len(stats.get("failed", [])) + len(stats.get("error", []))
    terminalreporter.section("summary")
    terminalreporter.write_line(f"passed {passed}, failed {failed}, skipped {sum(skipped.values())}")
