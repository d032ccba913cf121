"""``tarecomet plan``: every prescription model side by side, the feasible window, vials."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from .case import load_case
from .output import print_json, print_table, run_steps


def plan(
    case: Path = typer.Argument(..., help="Case folder or case.json; what is wanted stands under plan in it."),
    earlier: list[Path] = typer.Option([], "--earlier", help="results.json of an earlier treatment; may be repeated."),
    out: Path | None = typer.Option(None, "--out", help="Folder for plan.json, tables and the order sheet."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Prescription models side by side, the feasible window, the best activities, vials and hours."""
    from ..case.inputs import Inputs, load_inputs
    from ..case.plan import before_treatment, plan_case, settings_of
    from ..case.plan_outputs import write_plan
    from ..case.plan_results import plan_document

    document, files, base = load_case(case)
    if earlier:
        settings = settings_of(document)
        doses = tuple(_earlier(path) for path in earlier)
        document = replace(document, plan=replace(settings, earlier=(*settings.earlier, *doses)))
    if settings_of(document).typed:
        inputs = Inputs()
    else:
        inputs = run_steps(load_inputs(before_treatment(document), files, base), "plan")
    made = run_steps(plan_case(document, inputs), "plan")
    written = write_plan(made, out) if out is not None else []
    planned = plan_document(made)
    if as_json:
        print_json({**planned, "files": [str(path) for path in written]} if written else planned)
        return
    print_plan(planned)
    if written:
        typer.echo(f"plan: {out}")


def _earlier(path: Path) -> Any:
    """An earlier treatment from a results.json or the folder that holds it."""
    from ..errors import InputError
    from ..planning.retreatment import earlier_from_results

    file = path / "results.json" if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return earlier_from_results(document, name=f"{document.get('case_id', '')} ({file.parent.name})")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            str(path), "there are no results here", "Choose results.json of a computed case", "no-file"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            str(file), "it is not the results of a case", "Choose results.json of a computed case", "json"
        ) from None


def _number(value: float | None, decimals: int = 1) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def print_plan(planned: dict[str, Any]) -> None:
    """The lines a person wants."""
    rows = [
        [
            f"{row['model']}: {row['prescription']}",
            row["territory"],
            _number(row["net_gbq"], 3),
            _number(row["order_gbq"], 3),
            _number(row.get("tumour_gy")),
            _number(row.get("normal_perfused_gy")),
            _number(row["lung_gy"]),
        ]
        for row in planned["models"]
    ]
    columns = ["model", "territory", "net GBq", "in vial", "tumour Gy", "normal perf.", "lung Gy"]
    print_table(f"{planned['case_id']}: models, constants {planned['constants']['set']}", columns, rows)
    for row in planned["models_without_answer"]:
        typer.echo(f"no {row['model']} for {row['territory']}: {row['reason']}")
    for window in planned["windows"]:
        typer.echo(f"window {window['text']}")
    if "optimum" in planned:
        best = planned["optimum"]
        typer.echo(
            f"best worst margin {best['worst_margin']:.1f} ({best['worst_goal']}), whole normal liver "
            f"{best['whole_normal_liver_gy']:.1f} Gy; {best['solver']}; "
            f"used up: {'; '.join(best['limits_used_up']) or 'none'}"
        )
    else:
        typer.echo(f"no optimum: {planned['no_optimum']}")
    chosen = ", ".join(f"{entry['name']} {entry['net_gbq']:.3f} GBq" for entry in planned["chosen"]["injections"])
    typer.echo(f"chosen ({planned['chosen']['by']}): {chosen} net")
    rows = [
        [
            entry["words"] + (" (advisory)" if entry["advisory"] else ""),
            f"{entry['value']:.1f} {entry['unit']}",
            "met" if entry["met"] else f"missed by {-entry['margin']:.1f}",
        ]
        for entry in planned["criteria"]
    ]
    print_table("goals and limits at the chosen activities", ["goal or limit", "value", ""], rows)
    rows = [
        [entry["name"], _number(entry["volume_ml"]), *(_number(entry.get(k)) for k in ("mean_gy", "d70_gy", "d95_gy"))]
        for entry in planned["predictions"]
    ]
    print_table("predicted doses", ["compartment", "mL", "mean Gy", "D70 Gy", "D95 Gy"], rows)
    for tumour in planned["excluded_tumours"]:
        typer.echo(f"left out: {tumour['name']} ({tumour['reason']}), predicted {tumour['predicted_mean_gy']:.1f} Gy")
    if "uncertainty" in planned:
        typer.echo(f"uncertainty: {planned['uncertainty']['varied']}; open shares and bands with --json")
    _print_vials(planned)


def _print_vials(planned: dict[str, Any]) -> None:
    if "vials" not in planned:
        typer.echo(f"no vials: {planned['no_vials']}")
        return
    rows = []
    for line in planned["vials"]["injections"]:
        for choice in sorted(line["choices"], key=lambda c: abs(c["deviation"]))[:8]:
            rows.append(
                [
                    line["injection"],
                    " + ".join(f"{size:g}" for size in choice["vials_gbq"]),
                    choice["calibration"][:16].replace("T", " "),
                    choice["hour"][:16].replace("T", " "),
                    _number(choice["vial_gbq"], 3),
                    _number(choice["delivered_gbq"], 3),
                    f"{100.0 * choice['deviation']:+.1f}",
                    f"{choice['bq_per_sphere']:.0f}",
                    f"{choice['spheres'] / 1e6:.2f}",
                ]
            )
        if not line["choices"]:
            words = f"no vial delivers {line['prescribed_net_gbq']:.3f} GBq for {line['injection']} in that time"
            if "proposed" in line:
                near = line["proposed"]
                words += (
                    f"; nearest: {' + '.join(f'{size:g}' for size in near['vials_gbq'])} GBq at "
                    f"{near['hour'][:16].replace('T', ' ')}, {100.0 * near['deviation']:+.1f} %"
                )
            typer.echo(words)
    zone = planned["vials"]["time_zone"]
    columns = [
        "injection",
        "GBq",
        "calibration",
        f"hour ({zone})",
        "in vial",
        "net GBq",
        "off %",
        "Bq/sphere",
        "million",
    ]
    print_table("vials nearest to the prescription (all with --json or --out)", columns, rows)
    unsure = planned["vials"]["facts"]["to_be_confirmed_by_the_site"]
    if unsure:
        typer.echo(f"to be confirmed by the site: {', '.join(unsure)}")
