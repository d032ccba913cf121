"""Everything a computed case leaves on disk; a run that fails leaves what was there before."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dosimetry.uncertainty_sampling import require_samples
from ..errors import InputError
from ..imaging.image_files import write_image
from ..imaging.volume import Volume
from .biology import bed_map_gy
from .document import Case, CaseFiles
from .findings import NOTE, Finding
from .inputs import Inputs, load_inputs
from .plan import CasePlan, plan_of_results
from .plan_results import plan_document
from .reporting import write_report
from .results import finding_document, results_document
from .steps import Steps, part
from .uncertainty_check import sample_case
from .workflow import CaseResults, run_case


@dataclass(frozen=True, eq=False)
class Written:
    """A computed case and the files it was written to."""

    results: CaseResults
    inputs: Inputs
    paths: tuple[Path, ...]


def compute_and_write(case: Case, files: CaseFiles, base: Path, out: Path, samples: int = 0) -> Steps[Written]:
    """Load, compute and write a case; a generator of (share done, what) whose value is Written.

    Parameters
    ----------
    case, files : Case, CaseFiles
    base : Path
        Folder the case's relative paths start from.
    out : Path
        Folder for results; made where it does not exist.
    samples : int
        Draws that check the propagated uncertainty; 0 for none.
    """
    _require_folder(out)
    inputs: Inputs = yield from part(load_inputs(case, files, base), 0.0, 0.1)
    if samples:
        require_samples(samples)
    computed = 0.3 if samples else 0.8
    results: CaseResults = yield from part(run_case(case, inputs), 0.1, computed)
    if samples:
        yield from part(sample_case(results, samples), computed, 0.8)
    return (yield from part(write_results(results, inputs, out), 0.8, 1.0))


def _require_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(str(out), "it is a file, expected a folder", "Choose another place for the results")


def write_results(results: CaseResults, inputs: Inputs, out: Path) -> Steps[Written]:
    """Write a computed case; a generator of (share done, what) whose value is Written.

    Everything is written into a folder aside, then moved file by file over what an earlier run left.

    Parameters
    ----------
    results : CaseResults
    inputs : Inputs
        What it was computed from.
    out : Path
        Folder for results; made where it does not exist.
    """
    _require_folder(out)
    aside = out.with_name(f".{out.name}.part{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        document = results_document(results)
        plan = _planned(results, document)
        for phase, computed in results.phases.items():
            for method, dose_gy in computed.dose_gy.items():
                yield 0.0, f"writing {phase} dose map"
                name = f"dose-{phase}-{method}.nrrd"
                write_image(aside / name, Volume(dose_gy, results.ground.parcels.geometry))
                bed_gy = bed_map_gy(results.case, results.ground, dose_gy, results.constants.half_life_h)
                if bed_gy is not None:
                    write_image(aside / f"bed-{phase}-{method}.nrrd", Volume(bed_gy, results.ground.parcels.geometry))
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (aside / "results.json").write_text(text, encoding="utf-8")
        yield from part(write_report(results, document, inputs, aside, plan), 0.1, 1.0)
        paths = _move_all(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Written(results, inputs, tuple(paths))


def _planned(results: CaseResults, document: dict[str, Any]) -> CasePlan | None:
    """The plan of a case that has one, put into the document; a plan that cannot be made keeps no dose back."""
    if results.case.plan is None:
        return None
    try:
        plan = plan_of_results(results)
    except InputError as error:
        document["warnings"].append(
            finding_document(Finding(NOTE, "plan", error.where, f"there is no plan: {error.problem}", error.mend))
        )
        return None
    if plan is not None:
        document["plan"] = plan_document(plan)
    return plan


def _move_all(aside: Path, out: Path) -> list[Path]:
    """Move every file to its place; results.json last, so that it never speaks of files that are not there yet."""
    found = sorted(path.relative_to(aside) for path in aside.rglob("*") if path.is_file())
    found.sort(key=lambda path: path.name == "results.json")
    for path in found:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside / path, out / path)
    return [out / path for path in found]
