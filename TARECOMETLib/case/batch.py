"""Many cases, one process each: resumable, no failure stops the rest, memory bounded by the number of workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import write_whole
from .document import case_from_json

DONE, FAILED, SKIPPED = "done", "failed", "up to date"
SUMMARY = "batch.json"


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    Parameters
    ----------
    case : Path
        Its folder.
    status : str
        done, failed or up to date.
    seconds : float
    message : str
        Why it failed.
    """

    case: Path
    status: str
    seconds: float = 0.0
    message: str = ""


def find_cases(folder: Path) -> list[Path]:
    """Folders below with a case.json, in order; results are not searched."""
    if not folder.is_dir():
        raise InputError(str(folder), "there is no such folder", "Check the path", "no-file")
    found = sorted(path.parent for path in folder.rglob("case.json") if "results" not in path.relative_to(folder).parts)
    if not found:
        raise InputError(str(folder), "there is no case in it", "Make cases with `tarecomet case new`", "no-case")
    return found


def is_up_to_date(case: Path) -> bool:
    """Whether results of the present case, by this version, are there."""
    from .. import __version__

    try:
        document, _ = case_from_json((case / "case.json").read_text(encoding="utf-8"), str(case))
        provenance = json.loads((case / "results" / "results.json").read_text(encoding="utf-8"))["provenance"]
        fits = provenance["case_sha256"] == document.sha256() and provenance["software"]["tarecomet"] == __version__
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(fits)


def compute_case(case: str, threads: int = 1) -> tuple[str, float, str]:
    """Compute one case in a process of its own, by the same command; returns status, seconds and message.

    Module-level and of plain values, so that a Dask worker can be handed it.
    """
    start = time.monotonic()
    environment = {**os.environ, **{name: str(threads) for name in _THREADS}}
    words = [sys.executable, "-m", "TARECOMETLib", "case", "run", case, "--json"]
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    try:
        done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False)
    except OSError as error:
        return FAILED, time.monotonic() - start, str(error)
    seconds = time.monotonic() - start
    if done.returncode == 0:
        return DONE, seconds, ""
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    message = next((line for line in reversed(lines) if line.startswith("tarecomet:")), lines[-1] if lines else "")
    if done.returncode < 0:
        message = f"its process was ended by signal {-done.returncode}" + (
            " (out of memory?)" if done.returncode == -9 else ""
        )
    return FAILED, seconds, message.removeprefix("tarecomet: ")


_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def run_cases(
    cases: list[Path],
    workers: int = 1,
    scheduler: str = "",
    again: bool = False,
    tell: Callable[[Outcome, int, int, float], None] | None = None,
) -> list[Outcome]:
    """Compute cases that have no results yet.

    Parameters
    ----------
    cases : list of Path
    workers : int
        Cases at once on this machine, one core each; with a scheduler, its workers decide.
    scheduler : str
        Address of a Dask scheduler; cases must lie where its workers see them.
    again : bool
        Compute also those with results.
    tell : callable, optional
        Told each outcome, number done, number in all and estimated seconds left.
    """
    if workers < 1:
        raise InputError("--workers", f"expected at least 1, got {workers}", "Give the number of cases at once")
    outcomes = [Outcome(case, SKIPPED) for case in cases if not again and is_up_to_date(case)]
    skipped = {outcome.case for outcome in outcomes}
    todo = [case for case in cases if case not in skipped]
    start = time.monotonic()
    source = _on_dask(todo, scheduler) if scheduler else _on_this_machine(todo, workers)
    for outcome in source:
        outcomes.append(outcome)
        count = len(outcomes) - len(skipped)
        if tell is not None:
            left = (time.monotonic() - start) / count * (len(todo) - count)
            tell(outcome, len(outcomes), len(cases), left)
    order = {case: number for number, case in enumerate(cases)}
    return sorted(outcomes, key=lambda outcome: order[outcome.case])


def _on_this_machine(cases: list[Path], workers: int) -> Iterator[Outcome]:
    waiting = iter(cases)
    # Threads only wait for processes; no more cases are handed out than are computed at once.
    with ThreadPoolExecutor(workers) as pool:
        running: dict[Future[tuple[str, float, str]], Path] = {}
        for case in waiting:
            running[pool.submit(compute_case, str(case))] = case
            if len(running) < workers:
                continue
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            yield from (Outcome(running.pop(future), *future.result()) for future in finished)
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            yield from (Outcome(running.pop(future), *future.result()) for future in finished)


def _on_dask(cases: list[Path], address: str) -> Iterator[Outcome]:
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise InputError(
            "--scheduler",
            "dask.distributed is not installed",
            'Install it: pip install "tarecomet[cluster]"',
            "package",
        ) from None
    try:
        client = Client(address, timeout="20s", set_as_default=False)
    except (OSError, TimeoutError, ValueError):
        raise InputError(
            "--scheduler",
            f"no scheduler answers at {address}",
            "Start it with `dask scheduler`, then `dask worker`",
            "no-scheduler",
        ) from None
    with client:
        futures = {client.submit(compute_case, str(case.resolve()), pure=False, retries=1): case for case in cases}
        for future in as_completed(list(futures), loop=client.loop):
            case = futures[future]
            if future.status == "finished":
                yield Outcome(case, *future.result())
            else:
                yield Outcome(case, FAILED, 0.0, f"its worker was lost ({future.status})")


def write_summary(folder: Path, outcomes: list[Outcome]) -> dict[str, Any]:
    """Write batch.json beside the cases and return it."""
    document = {
        "cases": [
            {
                "case": os.path.relpath(o.case, folder),
                "status": o.status,
                "seconds": round(o.seconds, 2),
                **({"message": o.message} if o.message else {}),
            }
            for o in outcomes
        ],
        "counts": {status: sum(o.status == status for o in outcomes) for status in (DONE, SKIPPED, FAILED)},
    }
    write_whole(folder / SUMMARY, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return document
