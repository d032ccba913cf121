"""Long work as a generator of short steps: a panel drives it by a timer and can stop between steps."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")
# Yields (share done from 0 to 1, what is being done); its value is the result.
Steps = Generator[tuple[float, str], None, T]


def finish(steps: Steps[T], report: Callable[[float, str], None] | None = None) -> T:
    """Run steps to their end and return their value."""
    while True:
        try:
            share, what = next(steps)
        except StopIteration as stop:
            return stop.value
        if report is not None:
            report(share, what)


def part(steps: Steps[T], start: float, end: float, prefix: str = "") -> Steps[T]:
    """Steps as a part of longer ones."""
    while True:
        try:
            share, what = next(steps)
        except StopIteration as stop:
            return stop.value
        yield start + (end - start) * share, prefix + what
