"""``tarecomet study``: a study of many patients in one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from .output import print_json, print_table

app = typer.Typer(help="A study of many patients in one file.", no_args_is_help=True, rich_markup_mode=None)
_WHO = typer.Option("", "--who", help="Name for the audit trail; the account's name by default.")
_JSON = typer.Option(False, "--json", help="One JSON object on standard output.")
_STUDY = typer.Argument(..., help="Study file.")
_MOST_SHOWN = 20


@app.command()
def init(study: Path = typer.Argument(..., help="Study file to make."), who: str = _WHO, as_json: bool = _JSON) -> None:
    """Make an empty study file."""
    from ..study.database import create_study
    from ..study.schema import SCHEMA_VERSION

    with create_study(study, who):
        pass
    if as_json:
        print_json({"study": str(study), "schema_version": SCHEMA_VERSION})
    else:
        typer.echo(f"{study}: made. Next: `tarecomet study import {study} patients.csv lesions.csv`")


@app.command("import")
def import_(
    study: Path = _STUDY,
    files: list[Path] = typer.Argument(..., help="CSV, TSV or REDCap exports; patients and lesions together."),
    mapping: Path | None = typer.Option(None, "--mapping", help="A saved and edited mapping, for a single file."),
    date_order: str = typer.Option(
        "", "--date-order", help="iso, day-first or month-first, where dates leave it open."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Propose, save and validate; import nothing."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Let the files change values in the study."),
    skip_bad_rows: bool = typer.Option(False, "--skip-bad-rows", help="Leave out rows with a problem."),
    who: str = _WHO,
    as_json: bool = _JSON,
) -> None:
    """Import tables: the meaning of the columns is proposed from their names, shown, and saved beside the study."""
    from ..errors import InputError
    from ..files import write_whole
    from ..study.database import open_study
    from ..study.dates import ORDERS
    from ..study.importing import ImportProblems, read_file, read_parts, write_plans
    from ..study.mapping import read_mapping

    if date_order not in ("", *ORDERS):
        raise InputError("--date-order", f'there is no "{date_order}"', f"Choose one of {', '.join(ORDERS)}")
    if mapping is not None and len(files) > 1:
        raise InputError("--mapping", f"expected one file, got {len(files)}", "Import the files one by one")
    with open_study(study, who) as database:
        chosen = read_mapping(mapping) if mapping is not None else None
        if chosen is not None:
            plans = [read_file(files[0], chosen, date_order)]
        else:
            plans = [plan for file in files for plan in read_parts(file, date_order)]
        for plan in plans:
            if mapping is None:
                write_whole(_mapping_path(study, plan), plan.mapping.as_json())
        problems = [problem for plan in plans for problem in plan.problems]
        document: dict[str, Any] = {
            "files": [
                {
                    "file": str(plan.table.path),
                    "sha256": plan.table.sha256,
                    "mapping_file": str(mapping or _mapping_path(study, plan)),
                    "date_order": plan.mapping.date_order,
                    "mapping": {
                        **{column: role for role, column in plan.mapping.roles.items()},
                        **{column: target.words() for column, target in plan.mapping.columns.items()},
                    },
                    "ignored": list(plan.mapping.ignored),
                    "lines": len(plan.table.rows),
                }
                for plan in plans
            ],
            "problems": [problem.sentence() for problem in problems],
        }
        if not as_json:
            for entry in document["files"]:
                rows = [[column, words] for column, words in entry["mapping"].items()]
                print_table(f"{entry['file']}: {entry['lines']} lines", ["column", "becomes"], rows)
                if entry["ignored"]:
                    typer.echo(f"not imported: {', '.join(entry['ignored'])}")
                typer.echo(f"mapping: {entry['mapping_file']}")
            for problem in problems[:_MOST_SHOWN]:
                typer.echo(f"problem: {problem.sentence()}", err=not skip_bad_rows and not dry_run)
        if dry_run:
            if as_json:
                print_json(document)
            return
        try:
            done = write_plans(database, plans, overwrite=overwrite, skip_bad_rows=skip_bad_rows)
        except ImportProblems as error:
            if as_json:
                print_json(
                    {
                        "error": {
                            "where": error.where,
                            "problem": error.problem,
                            "mend": error.mend,
                            "code": error.code,
                        },
                        "problems": [p.sentence() for p in error.problems],
                    }
                )
                typer.echo(f"tarecomet: {' '.join(str(error).split())}", err=True)
                raise typer.Exit(2) from None
            raise
        document |= {"rows": done.rows, "changes": done.changes, "left_out": [p.sentence() for p in done.left_out]}
        document["patients"] = database.count("patients")
        document["data_sha256"] = database.content_sha256()
    if as_json:
        print_json(document)
    else:
        left_out = len({(p.file, p.line) for p in done.left_out})
        typer.echo(
            f"{study}: {done.changes} changes, {document['patients']} patients"
            + (f"; {left_out} lines left out" if left_out else "")
        )


def _mapping_path(study: Path, plan: Any) -> Path:
    """Beside the study; the tumours' part of a REDCap export has its own."""
    part = ".lesions" if plan.is_part_of_tumours else ""
    return study.with_name(f"{study.stem}.{plan.table.path.name}{part}.mapping.json")


@app.command()
def check(study: Path = _STUDY, as_json: bool = _JSON) -> None:
    """Everything wrong or doubtful in the study, worst first, each with its mend."""
    from dataclasses import asdict

    from ..study.consistency import BLOCK, inconsistencies
    from ..study.database import open_study
    from ..study.schema import TABLES

    with open_study(study) as database:
        damaged = database.integrity_problems()
        found = inconsistencies(database)
        counts = {table: database.count(table) for table in TABLES}
        digest = database.content_sha256()
    if as_json:
        print_json(
            {
                "study": str(study),
                "rows": counts,
                "data_sha256": digest,
                "damage": damaged,
                "findings": [asdict(f) for f in found],
            }
        )
    else:
        print_table(str(study), ["table", "rows"], [[name, str(n)] for name, n in counts.items()])
        for line in damaged:
            typer.echo(f"block: {line}")
        for finding in found:
            typer.echo(f"{finding.severity}: {finding.sentence()}")
        if not found and not damaged:
            typer.echo("nothing found")
    if damaged or any(f.severity == BLOCK for f in found):
        raise typer.Exit(2)


@app.command()
def plan(
    out: Path = typer.Argument(..., help="File to write."),
    as_json: bool = _JSON,
) -> None:
    """Write a plan with its defaults, to be edited before the data are looked at."""
    from ..errors import InputError
    from ..files import write_whole
    from ..study.plan import StudyPlan

    if out.exists():
        raise InputError(str(out), "it exists already", "Choose another name", "exists")
    write_whole(out, StudyPlan().text())
    if as_json:
        print_json({"plan": str(out), "plan_sha256": StudyPlan().sha256()})
    else:
        typer.echo(f"{out}: edit it, then `tarecomet study analyse STUDY --plan {out}`; the first analysis locks it")


def write_figures_and_tables(document: dict[str, Any], out: Path) -> int:
    """Figures, tables and report into a folder; returns the report's pages."""
    from ..study.figures import write_figures
    from ..study.report_pdf import write_report
    from ..study.report_tables import write_tables

    write_tables(document, out / "tables")
    figures = write_figures(document, out / "figures")
    return write_report(document, figures, out / "figures", out / "report.pdf")


@app.command()
def analyse(
    study: Path = _STUDY,
    plan_file: Path | None = typer.Option(None, "--plan", help="Plan; by default the locked one, else the defaults."),
    out: Path | None = typer.Option(None, "--out", help="Folder for analysis.json, tables, figures and the report."),
    bootstraps: int | None = typer.Option(None, "--bootstraps", help="Resamples; another number than the plan's."),
    who: str = _WHO,
    as_json: bool = _JSON,
) -> None:
    """All results in one go: response, effective dose, safe dose, time to progression, window, sensitivity."""
    import json
    from dataclasses import replace

    from ..files import write_whole
    from ..study.analysis import analyse as analyse_study
    from ..study.database import open_study
    from ..study.plan import StudyPlan, locked_plan, read_plan

    with open_study(study, who) as database:
        chosen = read_plan(plan_file) if plan_file is not None else locked_plan(database) or StudyPlan()
        if bootstraps is not None:
            chosen = replace(chosen, bootstraps=bootstraps)
        document = analyse_study(database, chosen)
    document = {"study": study.name, **document}
    if out is not None:
        write_figures_and_tables(document, out)
        write_whole(out / "analysis.json", json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    if as_json:
        print_json(document)
        return
    print_table("patients", ["", "n"], [[row["label"], str(row["patients"])] for row in document["flow"]])
    if document["post_hoc"]:
        typer.echo("POST HOC, changed since the lock: " + "; ".join(document["changed_since_lock"]))
    for result in document["results"]:
        typer.echo(f"[{result['role']}] {result['title']}: {result['sentence']}")
        for warning in result["warnings"]:
            typer.echo(f"    warning: {warning}")
    for remark in document["remarks"]:
        typer.echo(f"note: {remark}")
    if out is not None:
        typer.echo(f"results: {out}")


@app.command()
def add(
    study: Path = _STUDY,
    cases: list[Path] = typer.Argument(..., help="Computed case folders."),
    patient: str = typer.Option("", "--patient", help="Pseudonym in the study; the case's own by default."),
    who: str = _WHO,
    as_json: bool = _JSON,
) -> None:
    """Add computed cases: doses by method and phase with their full histograms."""
    from ..errors import InputError
    from ..study.database import open_study

    if patient and len(cases) > 1:
        raise InputError("--patient", f"expected one case, got {len(cases)}", "Add the cases one by one")
    with open_study(study, who) as database:
        changes = {str(case): _add_case(database, case, patient) for case in cases}
    if as_json:
        print_json({"study": str(study), "changes": changes})
    else:
        for case, count in changes.items():
            typer.echo(f"{case}: {count} changes")


def _add_case(database: Any, folder: Path, patient: str) -> int:
    import json

    from ..case.study_rows import add_to_study, curves_of_file
    from ..errors import InputError
    from .case import load_case

    case, _, base = load_case(folder)
    place = base / "results" / "results.json"
    try:
        results = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            str(folder), "it has no results", f"Compute it: tarecomet case run {folder}", "no-file"
        ) from None
    except ValueError:
        raise InputError(str(place), "it is not valid JSON", "Compute the case again", "json") from None
    return add_to_study(database, case, results, curves_of_file(place.with_name("dvh.csv")), patient)


@app.command()
def export(
    study: Path = _STUDY,
    out: Path = typer.Option(..., "--out", help="Folder to write into."),
    parquet: bool = typer.Option(True, "--parquet/--no-parquet", help="Also parquet, where pyarrow is installed."),
    as_json: bool = _JSON,
) -> None:
    """Tidy CSV of every table, the audit trail, a REDCap data dictionary, and parquet."""
    from ..errors import InputError
    from ..study.database import open_study
    from ..study.exporting import export_study

    if out.exists() and not out.is_dir():
        raise InputError(str(out), "it is a file, expected a folder", "Choose another place")
    with open_study(study) as database:
        paths = export_study(database, out, parquet=parquet)
    if as_json:
        print_json({"out": str(out), "files": [str(path) for path in paths]})
    else:
        typer.echo(f"{out}: {len(paths)} files")


@app.command()
def merge(
    study: Path = typer.Argument(..., help="Study file to merge into."),
    others: list[Path] = typer.Argument(..., help="Study files of other sites."),
    prefer: str = typer.Option("", "--prefer", help="ours or theirs, where both hold different values."),
    who: str = _WHO,
    as_json: bool = _JSON,
) -> None:
    """Merge other sites' studies; what contradicts is listed and refused unless you say whose value stays."""
    from ..study.database import open_study
    from ..study.merging import MergeConflicts
    from ..study.merging import merge as merge_studies

    done = []
    with open_study(study, who) as database:
        for other in others:
            with open_study(other) as source:
                try:
                    found = merge_studies(database, source, prefer)
                except MergeConflicts as error:
                    if not as_json:
                        for conflict in error.conflicts[:_MOST_SHOWN]:
                            typer.echo(f"conflict: {conflict.sentence()}", err=True)
                    raise
            done.append(
                {
                    "study": str(other),
                    "added": found.added,
                    "filled": found.filled,
                    "changed": found.changed,
                    "same": found.same,
                    "conflicts": [c.sentence() for c in found.conflicts],
                }
            )
    if as_json:
        print_json({"study": str(study), "merged": done})
        return
    for entry in done:
        typer.echo(
            f"{entry['study']}: {entry['added']} rows added, {entry['filled']} filled, {entry['changed']} changed"
        )
        for line in entry["conflicts"]:  # type: ignore[attr-defined]
            typer.echo(f"conflict, {prefer} kept: {line}")


@app.command()
def run(
    folder: Path = typer.Argument(..., help="Folder with case folders."),
    workers: int | None = typer.Option(None, "--workers", help="Cases at once, one core each; all cores by default."),
    scheduler: str = typer.Option("", "--scheduler", help="Address of a Dask scheduler, such as tcp://host:8786."),
    again: bool = typer.Option(False, "--again", help="Compute also cases whose results are up to date."),
    study: Path | None = typer.Option(None, "--study", help="Study file to add the computed cases to."),
    who: str = _WHO,
    as_json: bool = _JSON,
) -> None:
    """Compute many cases; started again, it goes on where it stopped. One failed case never stops the rest."""
    from ..case.batch import FAILED, find_cases, run_cases, write_summary
    from ..errors import InputError

    cases = find_cases(folder)

    def tell(outcome: Any, count: int, total: int, left_s: float) -> None:
        if not as_json:
            message = f": {outcome.message}" if outcome.message else ""
            left = f", about {left_s / 60:.0f} min left" if left_s >= 60 else f", about {left_s:.0f} s left"
            typer.echo(f"[{count}/{total}{left}] {outcome.case.name}: {outcome.status}{message}", err=True)

    at_once = os.cpu_count() or 1 if workers is None else workers
    outcomes = run_cases(cases, at_once, scheduler, again, tell)
    document = write_summary(folder, outcomes)
    if study is not None:
        from ..study.database import create_study, open_study

        added, refused = 0, {}
        with open_study(study, who) if study.exists() else create_study(study, who) as database:
            for outcome in outcomes:
                if outcome.status != FAILED:
                    try:
                        added += _add_case(database, outcome.case, "") > 0
                    except InputError as error:
                        refused[str(outcome.case)] = str(error)
        document |= {"study": str(study), "added": added, "refused": refused}
    if as_json:
        print_json(document)
    else:
        for case, reason in document.get("refused", {}).items():
            typer.echo(f"not added: {case}: {reason}", err=True)
        typer.echo(
            ", ".join(f"{count} {status}" for status, count in document["counts"].items())
            + f"; see {folder / 'batch.json'}"
        )
    if document["counts"][FAILED] or document.get("refused"):
        raise typer.Exit(2)
