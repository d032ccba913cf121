"""``tarecomet case``: from a folder to a case, its findings, its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from .output import print_json, print_table, run_steps

app = typer.Typer(help="Make, check and compute a patient's case.", no_args_is_help=True, rich_markup_mode=None)


def case_file(path: Path) -> Path:
    """The case.json meant by a folder or a file."""
    return path / "case.json" if path.is_dir() else path


def load_case(path: Path) -> tuple[Any, Any, Path]:
    """Case, files and the folder its relative paths start from."""
    from ..case.document import case_from_json
    from ..errors import InputError

    file = case_file(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(str(path), "there is no case here", "Make one with `tarecomet case new`", "no-file") from None
    except UnicodeDecodeError:
        raise InputError(str(file), "it is not UTF-8 text", "Make it again with `tarecomet case new`", "json") from None
    case, files = case_from_json(text, str(file))
    return case, files, file.parent


@app.command()
def new(
    folder: Path = typer.Argument(..., help="Folder with DICOM, NRRD, NIfTI, contours, treatment.json."),
    out: Path = typer.Option(..., "--out", help="Folder to write case.json into."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Scan a patient's folder, propose what each image and contour is, and write CASE/case.json for you to edit."""
    from ..case.document import case_to_json
    from ..case.new_case import new_case
    from ..errors import InputError
    from ..files import write_whole

    if out.exists() and not out.is_dir():
        raise InputError(str(out), "it is a file, expected a folder", "Choose another place")
    made = run_steps(new_case(folder, out), "case new")
    target = out / "case.json"
    write_whole(target, case_to_json(made.case, made.files))
    if as_json:
        print_json(
            {
                "case": str(target),
                "case_id": made.case.case_id,
                "images": {role: f"{e.modality} {e.description}" for role, e in made.case.images.items()},
                "contours": {c.name: c.role for c in made.case.contours},
                "injections": [i.id for i in made.case.injections],
                "remarks": list(made.remarks),
            }
        )
        return
    rows = [[role, f"{entry.modality} {entry.description}"] for role, entry in made.case.images.items()]
    print_table(f"{made.case.case_id}: images", ["role", "series"], rows)
    print_table("contours", ["name", "role"], [[c.name, c.role] for c in made.case.contours])
    for remark in made.remarks:
        typer.echo(f"note: {remark}.")
    typer.echo(f"{target}: look through it, then `tarecomet case run {out}`")


@app.command()
def check(
    case: Path = typer.Argument(..., help="Case folder or case.json."),
    limits: bool = typer.Option(False, "--limits", help="Also list mistakes that no check can find."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Everything wrong or doubtful about a case, worst first, each with its mend and its reference."""
    from dataclasses import asdict

    from ..case.checks import check_case
    from ..case.finding_references import reference_of
    from ..case.findings import BLOCK, Finding, sort_findings
    from ..case.inputs import load_inputs
    from ..case.quantification import quantification
    from ..case.results import finding_document
    from ..case.stale import stale_results
    from ..case.undetectable import UNDETECTABLE

    document, files, base = load_case(case)
    inputs = run_steps(load_inputs(document, files, base), "case check")
    found: list[Finding] = sort_findings(
        [*check_case(document, inputs), *stale_results(document, base)], document.accepted
    )
    if as_json:
        unseen = {"undetectable": [asdict(item) for item in UNDETECTABLE]} if limits else {}
        print_json(
            {
                "case_id": document.case_id,
                "findings": [finding_document(f) for f in found],
                "quantification": quantification(document),
                **unseen,
            }
        )
    else:
        for finding in found:
            reason = f" Accepted: {finding.accepted}." if finding.accepted else ""
            source = reference_of(finding.code)
            typer.echo(f"{finding.severity}: {finding.sentence()}{reason}{f' [{source}]' if source else ''}")
        if not found:
            typer.echo("nothing found")
        for item in UNDETECTABLE if limits else ():
            typer.echo(f"cannot be found: {item.what} ({item.when}). Effect: {item.effect}. Look at: {item.look}.")
        typer.echo("Registration, activity balance and blur are judged by `tarecomet case run`.")
    if any(f.severity == BLOCK for f in found):
        raise typer.Exit(2)


@app.command()
def run(
    case: Path = typer.Argument(..., help="Case folder or case.json."),
    out: Path | None = typer.Option(None, "--out", help="Folder for results; CASE/results by default."),
    samples: int = typer.Option(
        0, "--samples", help="Check the propagated uncertainty by so many draws (200 take minutes); 0 for none."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Dose maps (.nrrd, Gy), results.json, tables (.csv), figures and report.pdf."""
    from ..case.outputs import compute_and_write

    document, files, base = load_case(case)
    target = out or base / "results"
    written = run_steps(compute_and_write(document, files, base, target, samples), "case run")
    results = json.loads((target / "results.json").read_text(encoding="utf-8"))
    if as_json:
        print_json({"out": str(target), "files": [str(path) for path in written.paths], "results": results})
        return
    print_summary(results)
    typer.echo(f"results: {target}")


def _mean(figures: dict[str, Any]) -> str:
    """Mean dose, with one standard uncertainty where there is one."""
    sd = figures.get("mean_uncertainty_gy")
    return f"{figures['mean_gy']:.1f}" + (f" ± {sd:.1f}" if sd is not None else "")


def print_summary(results: dict[str, Any]) -> None:
    """The lines a person wants: dose per compartment before and after, balance, lung, doubts."""
    phases = [phase for phase in ("pre", "post") if phase in results]
    names = {phase: "predicted" if phase == "pre" else "delivered" for phase in phases}
    columns = ["compartment", "mL"]
    for phase in phases:
        columns += [f"{names[phase]} local Gy", "kernel Gy"]
    order = [c["name"] for phase in phases for c in results[phase]["compartments"]]
    rows = []
    for name in dict.fromkeys(order):
        cells, volume = [], ""
        for phase in phases:
            entry = next((c for c in results[phase]["compartments"] if c["name"] == name), None)
            volume = f"{entry['volume_ml']:.1f}" if entry else volume
            doses = entry.get("dose") if entry else None
            cells += [_mean(doses[m]) if doses else "" for m in ("local", "kernel")]
        rows.append([name, volume, *cells])
    print_table(f"{results['case_id']}: mean dose, constants {results['constants']['set']}", columns, rows)
    for phase in phases:
        result = results[phase]
        lung, balance = result["lung"], result["activity_balance"]
        typer.echo(
            f"{phase}: lung {lung['mean_gy']:.1f} Gy ({lung['activity_mbq']:.0f} MBq in {lung['mass_g']:.0f} g, "
            f"{lung['mass_source']}); liver + lungs hold {balance['ratio']:.2f} of "
            f"{balance['net_injected_mbq']:.0f} MBq; "
            f"registration {result['registration']['quality']:.3f}; "
            f"kernel keeps {result['kernel']['energy_fraction']:.4f} of the energy"
        )
    remarks: list[tuple[str, dict[str, Any]]] = [
        (phase, w) for phase in phases for w in result_warnings(results[phase])
    ]
    remarks += [("case", w) for w in result_warnings(results)]
    for place, warning in remarks:
        if warning["severity"] == "doubt":
            typer.echo(f"doubt ({place}): {warning['where']}: {warning['message']}. {warning['mend']}.")
    notes = sum(1 for _, warning in remarks if warning["severity"] == "note")
    if notes:
        typer.echo(f"{notes} notes in results.json and report.pdf")


def result_warnings(part: dict[str, Any]) -> list[dict[str, Any]]:
    """The warnings of a results part."""
    return list(part.get("warnings", []))
