"""A computed case in a scene, and pictures of it by Slicer's own displayable managers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..case.document import DIAGNOSTIC
from ..case.inputs import Inputs
from ..case.phase import KERNEL, LOCAL
from ..case.workflow import CaseResults
from ..dosimetry.compartments import LIVER, TUMOUR
from ..errors import InputError
from ..imaging.volume import Volume
from .headless import HeadlessSlicer
from .patient_scene import PatientNodes, build_patient_scene
from .rendering import render_3d, render_slice, write_png
from .volumes import read_geometry

PHASE_NAMES = {"pre": "Predicted dose", "post": "Delivered dose"}
METHOD_NAMES = {LOCAL: "local deposition", KERNEL: "voxel kernel"}
ISODOSE_LEVELS_GY = (50.0, 100.0, 200.0)
# Colors end near this share of the voxels, so that a few noisy ones do not darken all else.
_WINDOW_PERCENTILE = 99.5
_LEVEL_IN_3D_GY = 100.0
_WIDEST_MM = 450.0


def dose_name(phase: str, method: str) -> str:
    """Name of a dose map's node."""
    return f"{PHASE_NAMES[phase]}, {METHOD_NAMES[method]}"


def window_top_gy(results: CaseResults) -> float:
    """Dose of the last color, the same for all maps of a case: a round number near the hottest liver voxels."""
    doses = [
        dvhs[LOCAL].dose_to_volume_gy(100.0 - _WINDOW_PERCENTILE)
        for p in results.phases.values()
        for dvhs in p.dvh.values()
    ]
    top = max(doses, default=100.0)
    return float(max(50.0, 50.0 * np.ceil(top / 50.0)))


def build_case_scene(scene: Any, results: CaseResults, inputs: Inputs) -> PatientNodes:
    """CT, contours, dose maps and isodoses of a case; a second call replaces what the first one made.

    Parameters
    ----------
    scene : vtkMRMLScene
    results : CaseResults
    inputs : Inputs
        For the diagnostic image.
    """
    if DIAGNOSTIC not in inputs.images:
        raise InputError("scene", "the case has no diagnostic image to show doses on", "Add a CT to the case")
    grid = results.ground.parcels.geometry
    doses = {
        dose_name(phase, method): Volume(array, grid)
        for method in (LOCAL, KERNEL)
        for phase, computed in results.phases.items()
        for array in (computed.dose_gy[method],)
    }
    contours = [(c.name, c.role, results.ground.contours[c.name]) for c in results.case.contours]
    return build_patient_scene(
        scene,
        inputs.images[DIAGNOSTIC],
        contours,
        doses,
        ISODOSE_LEVELS_GY,
        results.case.case_id,
        window_top_gy=window_top_gy(results),
    )


def center_of_largest_tumour(results: CaseResults) -> tuple[float, float, float]:
    """LPS point the standard views go through: the middle of the largest tumour, else of the first contour."""
    names = results.case.contours_of(TUMOUR) or [results.case.contours[0].name]
    return _center(max((results.ground.contours[name] for name in names), key=lambda v: int(np.count_nonzero(v.array))))


def _center(contour: Volume) -> tuple[float, float, float]:
    """Centroid of a contour, LPS mm."""
    index = np.argwhere(contour.array).mean(axis=0)[::-1]
    x, y, z = (contour.geometry.ijk_to_lps @ np.array([*index, 1.0]))[:3]
    return float(x), float(y), float(z)


def save_pictures(headless: HeadlessSlicer, nodes: PatientNodes, results: CaseResults, folder: Path) -> list[Path]:
    """Three planes through the largest tumour for each phase, and a 3D view; PNG files.

    Returns
    -------
    list of Path
    """
    tumour = center_of_largest_tumour(results)
    ct = read_geometry(nodes.ct)
    middle = ct.corners_lps_mm().mean(axis=0)
    liver = _center(results.ground.contours[results.case.contours_of(LIVER)[0]])
    # Slices pass through the tumour; the picture is laid over the whole trunk, at the liver's height.
    centers = {
        "Axial": (float(middle[0]), float(middle[1]), tumour[2]),
        "Coronal": (float(middle[0]), tumour[1], liver[2]),
        "Sagittal": (tumour[0], float(middle[1]), liver[2]),
    }
    width_mm = min(_WIDEST_MM, 1.05 * ct.shape_kji[2] * ct.spacing_mm[0])
    pictures = []
    for phase in results.phases:
        name = dose_name(phase, LOCAL)
        for orientation, center in centers.items():
            picture = render_slice(
                headless,
                nodes.ct,
                nodes.doses[name],
                nodes.contours,
                orientation,
                center,
                (1100, 800),
                width_mm,
                models=tuple(nodes.isodoses[name].values()),
                title=f"{results.case.case_id}: {name.lower()}",
            )
            path = folder / f"{phase}-{orientation.lower()}.png"
            write_png(picture.rgb, path)
            pictures.append(path)
    # In 3D the kernel's map: single noisy voxels, which it spreads, would stand as dust before the tumours.
    last = dose_name(list(results.phases)[-1], KERNEL)
    shown = [model for level, model in sorted(nodes.isodoses[last].items()) if level == _LEVEL_IN_3D_GY]
    path = folder / "view-3d.png"
    write_png(
        render_3d(
            headless,
            nodes.contours,
            shown,
            size_px=(1100, 800),
            title=f"{results.case.case_id}: {last.lower()}, {_LEVEL_IN_3D_GY:g} Gy",
        ),
        path,
    )
    return [*pictures, path]
