"""What the command prints: JSON alone on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from typing import Any, TypeVar

from ..errors import InputError

T = TypeVar("T")

BAD_INPUT = 2
INTERRUPTED = 130
INTERNAL = 70


def print_json(document: Any) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def run_steps(steps: Generator[tuple[float, str], None, T], title: str) -> T:
    """Run a generator of steps to its value, with a progress bar where standard error is a terminal."""
    if not sys.stderr.isatty():
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return stop.value
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.fields[title]}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0, title=title)
        while True:
            try:
                share, what = next(steps)
            except StopIteration as stop:
                return stop.value
            progress.update(task, completed=share, description=what)


def report_error(error: Exception, as_json: bool) -> int:
    """Say what went wrong in one line and return the exit code."""
    if isinstance(error, InputError):
        code, document = (
            BAD_INPUT,
            {"where": error.where, "problem": error.problem, "mend": error.mend, "code": error.code},
        )
        line = str(error)
    elif hasattr(error, "format_message"):  # a usage error of typer's or click's
        code, document = BAD_INPUT, {"problem": error.format_message(), "code": "usage"}
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "tarecomet"
        line = f"{error.format_message().rstrip('.')}. See `{path} --help`."
    elif isinstance(error, OSError):
        code = BAD_INPUT
        place, problem = error.filename or "file", error.strerror or str(error)
        line = f"{place}: {problem}. Check the path, its permissions and the free space."
        document = {"where": str(place), "problem": problem, "code": "file-system"}
    else:
        code = INTERNAL
        line = (
            f"unexpected error ({type(error).__name__}: {error}). Please report it; "
            "with TARECOMET_TRACEBACK=1 the command shows where."
        )
        document = {"problem": line, "code": "internal"}
    if as_json:
        print_json({"error": document})
    sys.stderr.write("tarecomet: " + " ".join(line.split()) + "\n")
    if code == INTERNAL and os.environ.get("TARECOMET_TRACEBACK"):
        raise error
    return code


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on standard output; the first column is text, the others are numbers."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title) or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if number == 0 else "right", no_wrap=number > 0)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    width = None if sys.stdout.isatty() else 120
    Console(width=width).print(table)
