"""What a result was made from and with."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from .. import __version__
from ..imaging.registration import SEED
from .document import Case

_PACKAGES = ("numpy", "scipy", "SimpleITK", "pydicom")


def software_versions() -> dict[str, str]:
    """Versions of this library and of what computes with it; those that are not installed are left out."""
    versions = {"tarecomet": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def provenance(case: Case) -> dict[str, Any]:
    """Hashes of the inputs and versions of the software. No time stamp: the same inputs give the same bytes."""
    return {
        "case_sha256": case.sha256(),
        "images_sha256": {role: entry.content_sha256 for role, entry in case.images.items()},
        "contours_sha256": {contour.name: contour.content_sha256 for contour in case.contours},
        "registration_seed": SEED,
        "software": software_versions(),
    }
