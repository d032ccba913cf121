"""Speed of the DVHs that follow the brush: from a stroke's voxels in the segmentation to the rewritten chart table."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np
import slicer

from ..imaging.geometry import VolumeGeometry
from ..imaging.volume import Volume
from .case_node import CaseNode, add_case_node
from .contour_tools import new_contour
from .coordinates import vtk_matrix
from .headless import HeadlessSlicer
from .images import set_image_scalars
from .live_dose import LiveDose
from .segmentations import ijk_to_ras
from .volumes import write_dose_volume

_STROKES = 21
_CONTOUR_SHAPE, _CONTOUR_MM = (200, 330, 330), 1.5
_DOSE_SHAPE, _DOSE_MM = (110, 200, 200), 2.5
# Name, role, center (shares of the field), radius in mm: a liver of 1.5 L, its lobes, seven tumours.
_BALLS = (
    ("Liver", "liver", (0.5, 0.5, 0.5), 71.0),
    ("Right lobe", "territory", (0.5, 0.5, 0.45), 55.0),
    ("Left lobe", "territory", (0.5, 0.5, 0.58), 40.0),
    *((f"T{n + 1}", "tumour", (0.5, 0.45 + 0.015 * n, 0.44 + 0.02 * n), 8.0 + 2.0 * n) for n in range(7)),
)


def live_rows() -> list[dict[str, Any]]:
    """One row against a full recompute of chart and metrics.

    Times are medians: a person paints once, not best of several.
    """
    with HeadlessSlicer() as headless:
        return [_row(headless.scene)]


def _row(scene: Any) -> dict[str, Any]:
    contour_grid = VolumeGeometry.from_components(_CONTOUR_SHAPE, spacing_mm=(_CONTOUR_MM,) * 3)
    dose_grid = VolumeGeometry.from_components(_DOSE_SHAPE, spacing_mm=(_DOSE_MM,) * 3)
    opened = CaseNode(add_case_node(scene, "BENCH"))
    rng = np.random.default_rng(1)
    for phase in ("pre", "post"):
        dose = Volume(rng.gamma(2.0, 40.0, dose_grid.shape_kji).astype(np.float32), dose_grid)
        node = write_dose_volume(scene, dose, f"{phase} dose", owner="BENCH")
        opened.node.SetNodeReferenceID(f"Dose.{phase}.local", node.GetID())
    contours = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Contours")
    opened.set_contours(contours)
    position = np.ogrid[tuple(slice(0, n) for n in _CONTOUR_SHAPE)]

    def ball(center: tuple[float, float, float], radius_mm: float) -> np.ndarray:
        offset = [axis - c * n for axis, c, n in zip(position, center, _CONTOUR_SHAPE, strict=True)]
        squared = offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2
        return np.asarray(squared * _CONTOUR_MM**2 <= radius_mm**2)

    for name, role, center, radius_mm in _BALLS:
        key = new_contour(contours, name, role, "CT", Volume(ball(center, radius_mm), contour_grid))
    live = LiveDose(opened, "local")
    _name, _role, center, radius_mm = _BALLS[-1]
    strokes = []
    for grown in (2.0, 0.0):
        image = slicer.vtkOrientedImageData()
        set_image_scalars(image, ball(center, radius_mm + grown).astype(np.uint8), (0, 0, 0))
        image.SetGeometryFromImageToWorldMatrix(vtk_matrix(ijk_to_ras(contour_grid)))
        strokes.append(image)
    followed, again = [], []
    for number in range(_STROKES):
        start = time.perf_counter()
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(strokes[number % 2], contours, key)
        live.update()
        followed.append(time.perf_counter() - start)
        if number < 3:
            start = time.perf_counter()
            LiveDose(opened, "local")
            again.append(time.perf_counter() - start)
    ours, peer = 1000.0 * median(followed), 1000.0 * median(again)
    return {
        "task": "DVHs and metrics after a stroke, ten contours up to 1.5 L, median",
        "peer": "full recompute of the same chart",
        "ours_ms": ours,
        "peer_ms": peer,
        "ratio": peer / ours,
    }
