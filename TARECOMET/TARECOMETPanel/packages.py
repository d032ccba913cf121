"""Packages beyond Slicer's own: offered on first use, never installed unasked; all else works without them."""

import importlib.metadata
import importlib.util
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

# What the report needs: figures, and a PDF. Sizes as downloaded, rounded up.
REPORT_PACKAGES = ("matplotlib>=3.8", "typst>=0.15")
REPORT_PURPOSE = "TARECOMET: figures and PDF of the report (about 40 MB)"
STUDY_PACKAGES = ("lifelines>=0.28",)
STUDY_PURPOSE = "TARECOMET: statistics, figures and PDF of the study (about 70 MB)"
# Slicer's own packages, which an installation must not change under it.
FROZEN = ("numpy", "scipy", "vtk", "SimpleITK", "pydicom", "highdicom")


def missingPackages(packages=REPORT_PACKAGES) -> list:
    """Requirements that this Python does not fulfil by name."""
    return [text for text in packages if importlib.util.find_spec(text.partition(">=")[0]) is None]


def constraintsText() -> str:
    """One line a package, freezing the versions that Slicer brought."""
    lines = []
    for name in FROZEN:
        try:
            lines.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue  # VTK comes with Slicer's build and has no entry there
    return "\n".join(lines) + "\n"


def offerPackages(packages=REPORT_PACKAGES, purpose: str = REPORT_PURPOSE) -> None:
    """Ask for what is missing, saying what for and how large.

    :param packages: requirements.
    :param purpose: shown to the person.
    :raises InputError: where the person declines or the installation fails.
    """
    from TARECOMETLib.errors import InputError

    missing = missingPackages(packages)
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(constraintsText(), encoding="utf-8")
        try:
            slicer.packaging.pip_ensure(missing, constraints=constraints, requester=purpose)
        except (RuntimeError, OSError) as error:
            raise InputError(
                _("packages"),
                _("it needs {names}, which were not installed ({error})").format(
                    names=", ".join(missing), error=str(error) or type(error).__name__
                ),
                _("Allow the installation, or install them from a folder of wheels"),
            ) from None
        except Exception as error:  # noqa: BLE001 - pip ends in its own family of errors
            raise InputError(
                _("packages"), _("its packages could not be installed ({error})").format(error=error), _("See the log")
            ) from None
    if missingPackages(packages):
        raise InputError(
            _("packages"),
            _("it needs {names}, which are not installed").format(names=", ".join(missingPackages(packages))),
            _("Install them from a folder of wheels, or allow the installation"),
        )


def installFromFolder(folder: Path) -> None:
    """Install the report's packages from a folder of wheels, without a network.

    :param folder: holds the wheels and those they need.
    :raises InputError: where a wheel is missing or does not fit.
    """
    from TARECOMETLib.errors import InputError

    if not any(folder.glob("*.whl")):
        raise InputError(str(folder), _("it holds no wheel (.whl)"), _("Choose the folder the wheels were copied to"))
    with tempfile.TemporaryDirectory() as scratch:
        constraints = Path(scratch) / "constraints.txt"
        constraints.write_text(constraintsText(), encoding="utf-8")
        # A list, so that a folder with blanks in its name stays one word.
        command = ["--no-index", "--find-links", str(folder), *REPORT_PACKAGES]
        try:
            slicer.packaging.pip_install(command, constraints=constraints, requester=REPORT_PURPOSE)
        except Exception as error:  # noqa: BLE001 - pip ends in its own family of errors
            raise InputError(
                str(folder),
                _("installing {names} from it failed ({error})").format(names=", ".join(REPORT_PACKAGES), error=error),
                _("Add the wheels that the log names, for this Slicer's Python"),
            ) from None
