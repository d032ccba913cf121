"""A Case and its results in the scene: saved with it, found again, known to be stale when anything changed.

Each patient has a node of its own. The module's parameter node, of which a scene holds only one and which an
imported scene would write over, does no more than point to the open one.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from ..case.checks import post_image, pre_image
from ..case.codec import encode
from ..case.document import Case, ContourEntry, ImageEntry, case_from_json
from ..case.findings import DOUBT, Finding
from ..case.inputs import Inputs
from ..case.results import results_document
from ..case.roles import contour_role
from ..case.workflow import CaseResults
from ..errors import InputError
from ..imaging.geometry import VolumeGeometry
from ..imaging.volume import Volume
from .case_scene import dose_name, window_top_gy
from .contour_tools import SOURCE_TAG
from .coordinates import LPS_TO_RAS, parent_matrix_ras
from .hierarchy import patient_study_item, place_node
from .segmentations import read_segment, segment_ids, segment_role, segment_tag
from .volumes import read_volume, write_dose_volume

NODE_CLASS = "vtkMRMLScriptedModuleNode"
MODULE_NAME = "TARECOMET"
CASE, RESULTS, IMAGE_DOUBTS = "Case", "Results", "ImageDoubts"
IMAGE_REFERENCE, CONTOURS_REFERENCE, DOSE_REFERENCE = "Image.", "Contours", "Dose."
_KIND_ATTRIBUTE = "TARECOMET.Kind"


def case_nodes(scene: Any) -> list[Any]:
    """All cases of a scene, in the order they came in."""
    nodes = (scene.GetNthNodeByClass(n, NODE_CLASS) for n in range(scene.GetNumberOfNodesByClass(NODE_CLASS)))
    return [node for node in nodes if node.GetAttribute(_KIND_ATTRIBUTE) == CASE]


def add_case_node(scene: Any, case_id: str) -> Any:
    """A node for a new patient."""
    node = scene.CreateNodeByClass(NODE_CLASS)
    node.UnRegister(None)
    node.SetModuleName(MODULE_NAME)
    node.SetAttribute(_KIND_ATTRIBUTE, CASE)
    node.SetName(f"{MODULE_NAME} case {case_id}")
    scene.AddNode(node)
    CaseNode(node).store(Case(case_id=case_id, images={}, contours=()))
    return node


class CaseNode:
    """Reads and writes one patient's case node.

    Parameters
    ----------
    node : vtkMRMLScriptedModuleNode
        Made by ``add_case_node``.
    """

    def __init__(self, node: Any) -> None:
        self.node = node
        self._hashes: dict[str, tuple[Any, str]] = {}

    # --- the document -----------------------------------------------------------------------------------

    def stored(self) -> Case:
        """The case as it was last stored."""
        return case_from_json(self.node.GetParameter(CASE), self.node.GetName())[0]

    def store(self, case: Case) -> None:
        """Keep a case; nothing is modified where it is the same."""
        text = json.dumps(encode(case), ensure_ascii=False)
        if text != self.node.GetParameter(CASE):
            self.node.SetParameter(CASE, text)

    def current(self) -> Case:
        """The stored case with contours, hashes and registrations as they are in the scene now."""
        stored = self.stored()
        images = {}
        for role, entry in stored.images.items():
            node = self.image_node(role)
            if node is not None and node.GetImageData() is not None:
                images[role] = replace(entry, content_sha256=self._image_hash(role, node))
        registrations = {}
        for phase, moving in (("pre", pre_image(stored)), ("post", post_image(stored))):
            node = self.image_node(moving) if moving else None
            if node is not None and node.GetParentTransformNode() is not None:
                matrix = LPS_TO_RAS @ parent_matrix_ras(node) @ LPS_TO_RAS
                # To 1e-7, as registration gives it: files keep a transform's last digits in no sure way.
                registrations[phase] = tuple(tuple(round(float(x), 7) + 0.0 for x in row) for row in matrix)
        return replace(stored, images=images, contours=self._contours(), registration_lps=registrations)

    # --- images and contours ----------------------------------------------------------------------------

    def image_node(self, role: str) -> Any | None:
        """Volume node that has a role."""
        return self.node.GetNodeReference(IMAGE_REFERENCE + role)

    def set_image(self, role: str, node: Any | None, entry: ImageEntry | None = None, doubt: str = "") -> None:
        """Give a role to a volume node together with what its tags say, or take the role away.

        Parameters
        ----------
        role : str
        node : vtkMRMLScalarVolumeNode or None
        entry : ImageEntry, optional
        doubt : str
            What is odd about the loaded voxels, in words; it is saved with the scene and found at every check.
        """
        doubts = {key: text for key, text in self._image_doubts().items() if key != role}
        if doubt:
            doubts[role] = doubt
        if doubts != self._image_doubts():
            self.node.SetParameter(IMAGE_DOUBTS, json.dumps(doubts))
        images = {key: value for key, value in self.stored().images.items() if key != role}
        self.node.SetNodeReferenceID(IMAGE_REFERENCE + role, node.GetID() if node is not None else None)
        if node is not None and entry is not None:
            images[role] = entry
        self.store(replace(self.stored(), images=images))

    def _image_doubts(self) -> dict[str, str]:
        return json.loads(self.node.GetParameter(IMAGE_DOUBTS) or "{}")

    def contours_node(self) -> Any | None:
        """Segmentation node with the contours."""
        return self.node.GetNodeReference(CONTOURS_REFERENCE)

    def set_contours(self, node: Any | None) -> None:
        """Choose the segmentation node that holds the contours."""
        self.node.SetNodeReferenceID(CONTOURS_REFERENCE, node.GetID() if node is not None else None)

    def inputs(self) -> Inputs:
        """Images and contours as arrays: emission images and their CTs in their own frame, all else in the world."""
        case = self.stored()
        inputs = Inputs()
        inputs.findings += [
            Finding(DOUBT, "loaded-differs", role, text, "Load the series again by Slicer's DICOM module")
            for role, text in self._image_doubts().items()
        ]
        moving = {role for role in case.images if role != "diagnostic"}
        for role in case.images:
            node = self.image_node(role)
            if node is None:
                raise InputError(
                    f"image {role}", "its volume is no longer in the scene", "Load it or take the role away"
                )
            volume = read_volume(node)
            if role in moving:
                back = LPS_TO_RAS @ np.linalg.inv(parent_matrix_ras(node)) @ LPS_TO_RAS
                volume = Volume(volume.array, volume.geometry.transformed(back))
            inputs.images[role] = Volume(volume.array.astype(np.float32), volume.geometry)
        segmentation = self.contours_node()
        if segmentation is None:
            return inputs
        for segment_id in segment_ids(segmentation):
            name = segmentation.GetSegmentation().GetSegment(segment_id).GetName()
            inputs.contours[name] = read_segment(segmentation, segment_id)
        return inputs

    def _contours(self) -> tuple[ContourEntry, ...]:
        segmentation = self.contours_node()
        if segmentation is None:
            return ()
        entries = []
        for segment_id in segment_ids(segmentation):
            name = segmentation.GetSegmentation().GetSegment(segment_id).GetName()
            entries.append(
                ContourEntry(
                    name=name,
                    role=segment_role(segmentation, segment_id) or contour_role(name),
                    source=segment_tag(segmentation, segment_id, SOURCE_TAG) or "unknown",
                    content_sha256=self._segment_hash(segmentation, segment_id),
                )
            )
        return tuple(entries)

    def _image_hash(self, role: str, node: Any) -> str:
        """Hash over voxels and the node's own grid; its parent transform is part of the case where it counts."""
        stamp = (node.GetID(), node.GetImageData().GetMTime(), node.GetMTime(), self._parent_stamp(node))

        def compute() -> str:
            volume = read_volume(node)
            if role != "diagnostic":
                back = LPS_TO_RAS @ np.linalg.inv(parent_matrix_ras(node)) @ LPS_TO_RAS
                volume = Volume(volume.array, volume.geometry.transformed(back))
            return volume.content_hash()

        return self._hash(f"image {role}", stamp, compute)

    def _segment_hash(self, segmentation: Any, segment_id: str) -> str:
        """Hash over the filled box alone, so that an emptied margin of the labelmap changes nothing."""
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        labelmap = segment.GetRepresentation("Binary labelmap")
        stamp = (
            labelmap.GetMTime() if labelmap is not None else None,
            segment.GetMTime(),
            self._parent_stamp(segmentation),
        )

        def compute() -> str:
            try:
                return filled_box(read_segment(segmentation, segment_id)).content_hash()
            except InputError:
                return ""

        return self._hash(f"segment {segment_id}", stamp, compute)

    def _hash(self, key: str, stamp: Any, compute: Any) -> str:
        known = self._hashes.get(key)
        if known is None or known[0] != stamp:
            self._hashes[key] = known = (stamp, compute())
        return known[1]

    @staticmethod
    def _parent_stamp(node: Any) -> Any:
        transform = node.GetParentTransformNode()
        return None if transform is None else tuple(parent_matrix_ras(node).ravel())

    # --- results ----------------------------------------------------------------------------------------

    def results(self) -> dict[str, Any] | None:
        """The results document, None where nothing was computed."""
        text = self.node.GetParameter(RESULTS)
        return json.loads(text) if text else None

    def results_are_current(self, case: Case | None = None) -> bool:
        """Whether the results were computed from what is in the scene now."""
        document = self.results()
        return document is not None and document["provenance"]["case_sha256"] == (case or self.current()).sha256()

    def dose_node(self, phase: str, method: str) -> Any | None:
        """Dose map of a phase and method."""
        return self.node.GetNodeReference(f"{DOSE_REFERENCE}{phase}.{method}")

    def store_results(self, results: CaseResults) -> None:
        """Dose maps as volumes in Gy under the patient, and the results document; nodes are used again."""
        scene, case = self.node.GetScene(), results.case
        study = patient_study_item(scene, case.case_id)
        grid = results.ground.parcels.geometry
        top_gy = window_top_gy(results)
        for phase, computed in results.phases.items():
            for method, dose_gy in computed.dose_gy.items():
                node = write_dose_volume(
                    scene,
                    Volume(dose_gy, grid),
                    dose_name(phase, method),
                    owner=case.case_id,
                    node=self.dose_node(phase, method),
                    window_top_gy=top_gy,
                )
                place_node(scene, node, study)
                self.node.SetNodeReferenceID(f"{DOSE_REFERENCE}{phase}.{method}", node.GetID())
        self.node.SetParameter(RESULTS, json.dumps(results_document(results), ensure_ascii=False, allow_nan=False))


def filled_box(contour: Volume) -> Volume:
    """A contour cropped to its filled voxels."""
    index = np.nonzero(contour.array)
    lower = tuple(int(axis.min()) for axis in index)
    upper = tuple(int(axis.max()) + 1 for axis in index)
    box = tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))
    shape = tuple(b - a for a, b in zip(lower, upper, strict=True))
    geometry: VolumeGeometry = contour.geometry.cropped(lower, shape)  # type: ignore[arg-type]
    return Volume(contour.array[box], geometry)
