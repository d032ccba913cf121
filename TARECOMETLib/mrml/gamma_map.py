"""The gamma index of delivered against predicted dose as a volume under the patient."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import slicer

from ..comparison.gamma import GammaCriterion, GammaMap, computing_gamma
from ..errors import InputError
from .case_node import CaseNode
from .dose_colors import dose_color_node
from .hierarchy import patient_study_item, place_node
from .volumes import read_volume, write_volume

GAMMA_NAME = "Gamma index"
# UCUM's code for a figure without a unit.
_NO_UNIT = ("1", "UCUM", "no units")


def write_gamma_map(
    opened: CaseNode, method: str, criterion: GammaCriterion
) -> Generator[tuple[float, str], None, tuple[Any, GammaMap]]:
    """Gamma of the delivered dose, the predicted one being the reference; a second call writes into the same node.

    Parameters
    ----------
    opened : CaseNode
    method : str
        local or kernel.
    criterion : GammaCriterion

    Yields
    ------
    tuple of (float, str)
        Share done, and what.

    Returns
    -------
    tuple of (vtkMRMLScalarVolumeNode, GammaMap)
        Voxels without a gamma are NaN and transparent.

    Raises
    ------
    InputError
        Where a dose map is missing.
    """
    nodes = {phase: opened.dose_node(phase, method) for phase in ("pre", "post")}
    if None in nodes.values():
        missing = "predicted" if nodes["pre"] is None else "delivered"
        raise InputError("gamma", f"there is no {missing} dose", "Compute it: both phases need their image")
    gamma = yield from computing_gamma(read_volume(nodes["pre"]), read_volume(nodes["post"]), criterion)
    scene, case_id = opened.node.GetScene(), opened.stored().case_id
    node = write_volume(scene, gamma.gamma, GAMMA_NAME, owner=case_id)
    place_node(scene, node, patient_study_item(scene, case_id))
    units = slicer.vtkCodedEntry()
    units.SetValueSchemeMeaning(*_NO_UNIT)
    node.SetVoxelValueUnits(units)
    node.SetAttribute("TARECOMET.GammaCriterion", criterion.name)
    display = node.GetDisplayNode()
    was_modifying = display.StartModify()
    try:
        display.SetAndObserveColorNodeID(dose_color_node(scene).GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0.0, criterion.maximum)
        # NaN lies in no range: what has no gamma is not painted.
        display.SetAutoThreshold(False)
        display.SetThreshold(0.0, float(np.nextafter(np.float32(criterion.maximum), np.float32(np.inf))))
        display.SetApplyThreshold(True)
        display.SetInterpolate(False)
    finally:
        display.EndModify(was_modifying)
    return node, gamma
