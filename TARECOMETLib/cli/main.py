"""Entry point of the command ``tarecomet``."""

from __future__ import annotations

import sys

import typer

from .. import __version__
from . import bench, case, compare, demo, dose, dvh, kernel, plan, study, verify
from .output import INTERRUPTED, report_error

app = typer.Typer(
    name="tarecomet",
    help="Dosimetry of 90Y radioembolization before and after treatment. Research use only, not a medical device.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("kernel")(kernel.kernel)
app.add_typer(case.app, name="case")
app.command("dose")(dose.dose)
app.command("dvh")(dvh.dvh)
app.command("compare")(compare.compare)
app.add_typer(study.app, name="study")
app.command("plan")(plan.plan)
app.command("verify")(verify.verify)
app.command("bench")(bench.bench)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tarecomet {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the command as a whole."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; every refusal is one line on standard error and exit code 2."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=words, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("tarecomet: stopped.\n")
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - nothing but a plain sentence may reach the person
        code = report_error(error, "--json" in words)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
