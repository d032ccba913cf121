"""What the panel does with a scene, step by step, without Qt: the module's logic passes scene and nodes in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..case.checks import check_case, own_ct, post_image, pre_image
from ..case.document import DIAGNOSTIC, Case, ImageEntry
from ..case.findings import Finding, sort_findings
from ..case.inputs import Inputs
from ..case.new_case import dicom_entry
from ..case.panel_state import StepState, panel_state
from ..case.roles import propose_image_roles
from ..case.steps import Steps
from ..case.workflow import CaseResults, run_case
from ..dosimetry.compartments import LIVER
from ..errors import InputError
from ..imaging.dicom_series import DicomSeries, scan_dicom
from ..imaging.registration import Registration, register_rigid
from .case_node import CaseNode, add_case_node, case_nodes
from .coordinates import LPS_TO_RAS, numpy_matrix, vtk_matrix
from .hierarchy import patient_study_item, place_node
from .nodes import find_owned_node, owned_node

OPEN_CASE = "OpenCase"
_PHASE_IMAGE = {"pre": pre_image, "post": post_image}


class Session:
    """The open patient of a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    parameter_node : vtkMRMLNode
        The module's own; it points to the open case's node.
    """

    def __init__(self, scene: Any, parameter_node: Any) -> None:
        self.scene = scene
        self.parameter_node = parameter_node
        self._open: CaseNode | None = None

    # --- patients ---------------------------------------------------------------------------------------

    def open(self) -> CaseNode | None:
        """The open case, None where the scene has none."""
        node = self.parameter_node.GetNodeReference(OPEN_CASE)
        if self._open is not None and self.scene.IsNodePresent(self._open.node):
            if node is not self._open.node:
                # An imported scene wrote over the pointer; the open patient stays open.
                self.parameter_node.SetNodeReferenceID(OPEN_CASE, self._open.node.GetID())
            return self._open
        self._open = CaseNode(node) if node is not None else None
        return self._open

    def new(self, case_id: str) -> CaseNode:
        """Add a patient and open it."""
        name = case_id.strip()
        if not name:
            raise InputError("patient", "the pseudonym is empty", "Type one that does not name the person")
        return self.choose(add_case_node(self.scene, name))

    def choose(self, node: Any) -> CaseNode:
        """Open the case of a node."""
        self._open = CaseNode(node)
        self.parameter_node.SetNodeReferenceID(OPEN_CASE, node.GetID())
        return self._open

    def patients(self) -> list[tuple[str, Any]]:
        """Pseudonyms and nodes of all cases in the scene."""
        return [(CaseNode(node).stored().case_id, node) for node in case_nodes(self.scene)]

    def _case(self) -> CaseNode:
        opened = self.open()
        if opened is None:
            raise InputError("patient", "none is open", "Add a patient in the first step")
        return opened

    # --- state ------------------------------------------------------------------------------------------

    def current(self) -> Case:
        """The open case as it is in the scene now."""
        return self._case().current()

    def findings(self, case: Case) -> list[Finding]:
        """What can be found wrong before computing, worst first."""
        return sort_findings(check_case(case, self._inputs_to_check()), case.accepted)

    def _inputs_to_check(self) -> Inputs:
        """Inputs as far as they are there: a missing one is a finding, not a failure."""
        try:
            return self._case().inputs()
        except InputError:
            return Inputs()

    def state(self, busy: str = "") -> dict[str, StepState]:
        """What the panel shows."""
        if self.open() is None:
            return panel_state(Case(case_id="", images={}, contours=()), None, [], busy)
        case = self.current()
        return panel_state(case, self._case().results(), self.findings(case), busy)

    # --- images -----------------------------------------------------------------------------------------

    def propose_images(self, volumes: Iterable[Any], files_of: Callable[[Any], list[Path]]) -> list[str]:
        """Give roles to volume nodes by the tags of the files they came from.

        Parameters
        ----------
        volumes : iterable of vtkMRMLScalarVolumeNode
        files_of : callable
            DICOM files of a node; empty where it was not loaded from DICOM.

        Returns
        -------
        list of str
            What was ambiguous, and volumes that could not be told, in sentences.
        """
        opened = self._case()
        by_series: dict[str, Any] = {}
        series: list[DicomSeries] = []
        remarks = []
        for node in volumes:
            found = scan_dicom(files_of(node)).series
            if len(found) != 1:
                remarks.append(f"{node.GetName()}: its DICOM tags are not known, choose its role by hand")
                continue
            by_series[found[0].uid] = node
            series.append(found[0])
        roles, more = propose_image_roles(series)
        for role, chosen in roles.items():
            opened.set_image(role, by_series[chosen.uid], dicom_entry(chosen))
        return [*remarks, *more]

    def set_image(self, role: str, node: Any | None, files: list[Path]) -> None:
        """Give a role to a volume by hand; its tags are read where its files are known."""
        entry = None
        if node is not None:
            found = scan_dicom(files).series if files else []
            if len(found) == 1:
                entry = dicom_entry(found[0])
            else:
                modality = {"maa_spect": "NM", "y90_spect": "NM", "y90_pet": "PT"}.get(role, "CT")
                entry = ImageEntry(modality=modality, description=node.GetName())
        self._case().set_image(role, node, entry)

    # --- registration -----------------------------------------------------------------------------------

    def register(self, phase: str) -> Steps[Registration]:
        """Lay a phase's emission image on the diagnostic image through their CTs; a transform node holds the result."""
        opened = self._case()
        case = opened.current()
        role = _PHASE_IMAGE[phase](case)
        if role is None or own_ct(role) not in case.images or DIAGNOSTIC not in case.images:
            raise InputError(
                "registration", "an image is missing", "Choose the emission image, its CT and the diagnostic CT"
            )
        yield 0.0, f"registering {role}"
        inputs = opened.inputs()
        livers = case.contours_of(LIVER)
        registration = register_rigid(
            inputs.images[DIAGNOSTIC],
            inputs.images[own_ct(role)],
            inputs.contours[livers[0]] if livers else None,
            fixed_is_ct=case.images[DIAGNOSTIC].modality == "CT",
            where=role,
        )
        yield 0.9, "placing the images"
        self.place(phase, registration.matrix_lps)
        return registration

    def place(self, phase: str, matrix_lps: np.ndarray) -> Any:
        """Put a phase's emission image and its CT under a transform with this matrix."""
        opened = self._case()
        case = opened.stored()
        role = _PHASE_IMAGE[phase](case)
        transform = owned_node(
            self.scene, "vtkMRMLLinearTransformNode", f"Registration {phase}", case.case_id, f"registration {phase}"
        )
        transform.SetMatrixTransformToParent(vtk_matrix(LPS_TO_RAS @ matrix_lps @ LPS_TO_RAS))
        place_node(self.scene, transform, patient_study_item(self.scene, case.case_id))
        for name in (role, own_ct(role)) if role else ():
            node = opened.image_node(name)
            if node is not None:
                node.SetAndObserveTransformNodeID(transform.GetID())
        return transform

    def nudge(self, phase: str, shift_lps_mm: tuple[float, float, float]) -> None:
        """Move a phase's images by hand, on top of where they are."""
        matrix = np.eye(4)
        matrix[:3, 3] = shift_lps_mm
        self.place(phase, matrix @ self.placement(phase))

    def placement(self, phase: str) -> np.ndarray:
        """Matrix (image frame to diagnostic, LPS) a phase's images stand under; identity where there is none."""
        case_id = self._case().stored().case_id
        node = find_owned_node(self.scene, "vtkMRMLLinearTransformNode", case_id, f"registration {phase}")
        if node is None:
            return np.eye(4)
        matrix = vtk_matrix(np.eye(4))
        node.GetMatrixTransformToParent(matrix)
        return LPS_TO_RAS @ numpy_matrix(matrix) @ LPS_TO_RAS

    def take_off(self, phase: str) -> None:
        """Back to where the images were acquired: no transform."""
        opened = self._case()
        role = _PHASE_IMAGE[phase](opened.stored())
        for name in (role, own_ct(role)) if role else ():
            node = opened.image_node(name)
            if node is not None:
                node.SetAndObserveTransformNodeID(None)

    # --- treatment and settings -------------------------------------------------------------------------

    def change(self, **fields: Any) -> None:
        """Store changed fields of the case, for instance ``injections=`` or ``lung_shunt_fraction=``."""
        opened = self._case()
        opened.store(replace(opened.stored(), **fields))

    # --- dose -------------------------------------------------------------------------------------------

    def compute(self) -> Steps[CaseResults]:
        """Compute the open case; results reach the scene at the very end, so stopping earlier changes nothing."""
        opened = self._case()
        case = opened.current()
        yield 0.0, "reading the scene"
        inputs = opened.inputs()
        results: CaseResults = yield from run_case(case, inputs)
        if self.open() is not opened or opened.current().sha256() != case.sha256():
            raise InputError(
                "scene", "it changed while doses were computed", "Compute again; earlier results were kept"
            )
        opened.store_results(results)
        return results
