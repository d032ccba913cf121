"""``tarecomet demo``: a sample patient from DICOM to report and scene."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import typer

from .output import print_json, run_steps

_PARTS = ("patient", "case", "scene")
_MARKER = "made-by-tarecomet-demo.txt"


def demo(
    out: Path = typer.Option(Path("tarecomet-demo"), "--out", help="Folder to write everything into."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Make a sample patient, run everything, write report, overlays and scene."""
    from ..errors import InputError
    from .case import print_summary

    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / _MARKER).exists())):
        raise InputError(str(out), "it exists and is not an earlier demo's folder", "Choose another --out")
    _require_scene_tools()
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARKER).write_text("This folder is written anew by every `tarecomet demo`.\n", encoding="utf-8")
    for part in _PARTS:
        shutil.rmtree(out / part, ignore_errors=True)
    pictures = run_steps(_everything(out), "demo")
    results = json.loads((out / "case" / "results" / "results.json").read_text(encoding="utf-8"))
    places = {
        "DICOM of the sample patient": out / "patient",
        "case (edit and run again)": out / "case" / "case.json",
        "report": out / "case" / "results" / "report.pdf",
        "all figures as JSON": out / "case" / "results" / "results.json",
        "scene for 3D Slicer": out / "scene" / "tarecomet-demo.mrb",
    }
    if as_json:
        files = {name: str(path) for name, path in places.items()}
        print_json({"files": files, "pictures": [str(p) for p in pictures], "results": results})
        return
    print_summary(results)
    for name, path in places.items():
        typer.echo(f"{name}: {path}")
    for picture in pictures:
        typer.echo(f"picture by Slicer's displayable managers: {picture}")


def _require_scene_tools() -> None:
    """Say before the work begins what the scene needs and does not find."""
    try:
        from ..mrml.headless import require_offscreen_rendering, require_slicer_core
    except ImportError:
        from ..errors import InputError

        raise InputError(
            "demo",
            "slicer-core is not installed, so no scene can be made",
            'Install it: pip install "tarecomet[scene]"',
        ) from None
    require_slicer_core()
    require_offscreen_rendering()


def _everything(out: Path) -> Generator[tuple[float, str], None, list[Path]]:
    """All steps of the demo; the value is the list of pictures."""
    from ..case.document import case_to_json
    from ..case.new_case import new_case
    from ..case.outputs import compute_and_write
    from ..case.steps import part
    from ..files import write_whole
    from ..phantom.sample_patient import make_sample_patient

    yield 0.0, "making the sample patient"
    make_sample_patient(out / "patient")
    base = out / "case"
    made = yield from part(new_case(out / "patient", base), 0.2, 0.25, "case new: ")
    write_whole(base / "case.json", case_to_json(made.case, made.files))
    written = yield from part(
        compute_and_write(made.case, made.files, base, base / "results"), 0.25, 0.85, "case run: "
    )
    yield 0.85, "rendering through Slicer's displayable managers"
    return (yield from _scene(written, out / "scene"))


def _scene(written: Any, folder: Path) -> Generator[tuple[float, str], None, list[Path]]:
    from ..mrml.case_scene import build_case_scene, save_pictures
    from ..mrml.headless import HeadlessSlicer

    folder.mkdir(parents=True, exist_ok=True)
    with HeadlessSlicer() as headless:
        nodes = build_case_scene(headless.scene, written.results, written.inputs)
        pictures = save_pictures(headless, nodes, written.results, folder)
        yield 0.95, "saving the scene"
        from ..mrml.bundle import save_bundle

        save_bundle(headless.scene, folder / "tarecomet-demo.mrb")
    return pictures
