"""One patient's images, contours, doses and isodoses in a scene, in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..imaging.volume import Volume
from .hierarchy import patient_study_item, place_node
from .isodose import write_isodoses
from .nodes import find_owned_node
from .role_colors import role_color
from .segmentations import Segment, segment_ids, segment_role, write_segmentation
from .volumes import add_color_legend, write_ct_volume, write_dose_volume

CT_NAME = "CT"
CONTOURS_NAME = "Contours"
SOLID_IN_3D = frozenset({"tumour", "tumor"})
HIDDEN_IN_3D = frozenset({"territory"})
GLASS_OPACITY = 0.25


class PatientNodes(NamedTuple):
    """Nodes of one patient."""

    ct: Any
    contours: Any
    doses: dict[str, Any]
    isodoses: dict[str, dict[float, Any]]
    study_item: int


def build_patient_scene(
    scene: Any,
    ct_hu: Volume,
    contours: Sequence[tuple[str, str, Volume]],
    doses_gy: Mapping[str, Volume],
    isodose_levels_gy: Sequence[float],
    patient_name: str,
    *,
    window_top_gy: float | None = None,
) -> PatientNodes:
    """Put everything about a patient into the scene; a second call replaces what the first one made.

    Parameters
    ----------
    scene : vtkMRMLScene
        Scene to write to: the application's or ``HeadlessSlicer().scene``.
    ct_hu : Volume
        Diagnostic CT, in HU.
    contours : sequence of (name, role, mask)
        Structures; masks are boolean and may overlap.
    doses_gy : mapping of str to Volume
        Dose maps by name, in Gy.
    isodose_levels_gy : sequence of float
        Levels of the isodoses, drawn for every dose map.
    patient_name : str
        Pseudonym: name of the patient's item in the subject hierarchy.
    window_top_gy : float, optional
        Dose of the last color, the same for all dose maps so that they can be compared; the largest dose by default.

    Returns
    -------
    PatientNodes
        The nodes. Only the first dose map's isodoses and legend are switched on.
    """
    study = patient_study_item(scene, patient_name)
    top_gy = window_top_gy or max((float(dose.array.max()) for dose in doses_gy.values()), default=0.0) or None
    ct = write_ct_volume(scene, ct_hu, CT_NAME, owner=patient_name)
    place_node(scene, ct, study)
    is_new = find_owned_node(scene, "vtkMRMLSegmentationNode", patient_name, CONTOURS_NAME) is None
    segmentation = write_segmentation(scene, _colored(contours), CONTOURS_NAME, owner=patient_name, reference=ct)
    if is_new:
        _show_in_3d(segmentation)
    place_node(scene, segmentation, study)
    dose_nodes: dict[str, Any] = {}
    isodoses: dict[str, dict[float, Any]] = {}
    for number, (name, dose) in enumerate(doses_gy.items()):
        node = write_dose_volume(scene, dose, name, owner=patient_name, window_top_gy=top_gy)
        dose_nodes[name] = node
        add_color_legend(node).SetVisibility(number == 0)
        place_node(scene, node, study)
        isodoses[name] = write_isodoses(scene, dose, isodose_levels_gy, name, owner=patient_name, parent_item=study)
        for model in isodoses[name].values():
            model.GetDisplayNode().SetVisibility(number == 0)
    return PatientNodes(ct, segmentation, dose_nodes, isodoses, study)


def _show_in_3d(segmentation: Any) -> None:
    """Tumors solid in a glassy liver; territories share the liver's surface and would only flicker with it."""
    display = segmentation.GetDisplayNode()
    for key in segment_ids(segmentation):
        role = segment_role(segmentation, key)
        display.SetSegmentVisibility3D(key, role not in HIDDEN_IN_3D)
        display.SetSegmentOpacity3D(key, 1.0 if role in SOLID_IN_3D else GLASS_OPACITY)
    display.SetOpacity3D(1.0)


def _colored(contours: Sequence[tuple[str, str, Volume]]) -> list[Segment]:
    seen: dict[str, int] = {}
    segments = []
    for name, role, mask in contours:
        number = seen.get(role, 0)
        seen[role] = number + 1
        segments.append(Segment(name, role, mask, role_color(role, number)))
    return segments
