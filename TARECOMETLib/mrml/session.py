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
from ..case.outputs import Written, write_results
from ..case.panel_state import DOSE, OUTDATED, StepState, panel_state
from ..case.panel_table import typed_balance
from ..case.phase import KERNEL, LOCAL
from ..case.plan import computing_inputs, settings_of
from ..case.plan_panel import PlanPresenter, needs_new_inputs, plan_state
from ..case.roles import propose_image_roles
from ..case.steps import Steps, part
from ..case.study_panel import add_open_case, analysing, charts, open_or_make, study_step
from ..case.study_rows import Curves, curves_of_phases
from ..case.typed_injection import injection_from_text
from ..case.workflow import CaseResults, run_case
from ..dosimetry.compartments import LIVER, LUNG, OTHER, TERRITORY, TUMOUR
from ..errors import InputError
from ..imaging.dicom_series import DicomSeries, read_series, scan_dicom
from ..imaging.registration import Registration, registering
from ..imaging.sitk_images import resample
from ..imaging.volume import Volume
from .case_node import CaseNode, add_case_node, case_nodes
from .case_scene import dose_name
from .contour_tools import (
    contour_rows,
    density_inside,
    derived_masks,
    joined_geometry,
    new_contour,
    replace_mask,
    uptake_inside,
    with_margin,
)
from .coordinates import LPS_TO_RAS, numpy_matrix, vtk_matrix
from .dvh_chart import POINTS, write_dvh_chart
from .hierarchy import patient_study_item, place_node
from .images import array_of_image
from .isodose import write_isodoses
from .nodes import find_owned_node, owned_node, remove_node
from .role_colors import role_color
from .segmentations import Segment, read_segment, segment_ids, write_segmentation
from .study_charts import write_study_charts
from .volumes import read_volume, show_as_dose, write_ct_volume

OPEN_CASE, PLAN, STUDY = "OpenCase", "plan", "study"
STUDY_PATH, STUDY_HASH = "Study.path", "Study.sha256"
# Of the sum of an image, between what is in the scene and what its files say: float32 against float64.
LOADED_TOLERANCE = 1.0e-5
DERIVED, CHECKERBOARD = "Derived compartments", "Checkerboard"
_PHASE_IMAGE = {"pre": pre_image, "post": post_image}


def _difference_from_files(node: Any, series: DicomSeries) -> str:
    """In words, how an emission image's loaded voxels differ from its DICOM files; empty where they do not.

    Loaders have lost rescale slopes, so that one image gave two doses: a relative difference of the sum above 1e-5
    is told. Voxel order may differ between loaders, a sum does not.
    """
    if series.modality not in ("PT", "NM"):
        return ""
    image = node.GetImageData()
    if image is None:
        return ""
    expected, loaded = read_series(series), array_of_image(image).astype(np.float64)
    first, second = float(expected.array.sum(dtype=np.float64)), float(loaded.sum())
    if expected.array.size != loaded.size:
        return f"it was loaded with {loaded.size} voxels, its DICOM files have {expected.array.size}"
    if abs(second - first) > LOADED_TOLERANCE * max(abs(first), float(np.abs(expected.array).sum()), 1e-30):
        return f"its loaded voxels add up to {second:.6g}, those of its DICOM files to {first:.6g}"
    return ""


def _uptake_key(case: Case) -> Any:
    """What the uptake of a plan follows from."""
    return (
        case.case_id,
        tuple(sorted((role, entry.content_sha256) for role, entry in case.images.items())),
        tuple((contour.name, contour.role, contour.content_sha256) for contour in case.contours),
        tuple(sorted(case.registration_lps.items())),
        case.constants_set,
        replace(case.settings, resolution_fwhm_mm={}),
    )


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
        self._checked: tuple[str, list[Finding]] | None = None
        self._inputs: tuple[Any, Inputs] | None = None
        self._planned_from: Any = None
        self._curves: tuple[str, Curves] | None = None

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

    def stored(self) -> Case:
        """The open case as it was last stored."""
        return self._case().stored()

    def findings(self, case: Case) -> list[Finding]:
        """What can be found wrong before computing, worst first; checked anew only when the case changed."""
        key = case.sha256()
        if self._checked is None or self._checked[0] != key:
            self._checked = (key, sort_findings(check_case(case, self._inputs_to_check(case)), case.accepted))
        return self._checked[1]

    def _inputs_to_check(self, case: Case) -> Inputs:
        """Inputs as far as they are there: a missing one is a finding, not a failure."""
        key = (
            self._case().node.GetID(),
            tuple((role, entry.content_sha256) for role, entry in case.images.items()),
            tuple((contour.name, contour.content_sha256) for contour in case.contours),
            tuple(sorted(case.registration_lps.items())),
        )
        if self._inputs is None or self._inputs[0] != key:
            try:
                self._inputs = (key, self._case().inputs())
            except InputError:
                return Inputs()
        return self._inputs[1]

    def state(self, busy: str = "", plan: PlanPresenter | None = None) -> dict[str, StepState]:
        """What the panel shows; ``plan`` is what the step Plan holds."""
        if self.open() is None:
            nobody = Case(case_id="", images={}, contours=())
            study = study_step(self.study_path(), False, False, busy)
            return {**panel_state(nobody, None, [], busy), PLAN: plan_state(nobody, None, busy), STUDY: study}
        case = self.current()
        results = self._case().results()
        steps = panel_state(case, results, self.findings(case), busy)
        study = study_step(self.study_path(), results is not None, steps[DOSE].badge == OUTDATED, busy)
        return {**steps, PLAN: plan_state(case, plan, busy), STUDY: study}

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
            node = by_series[chosen.uid]
            opened.set_image(role, node, dicom_entry(chosen), _difference_from_files(node, chosen))
        return [*remarks, *more]

    def set_image(self, role: str, node: Any | None, files: list[Path]) -> None:
        """Give a role to a volume by hand; its tags are read where its files are known."""
        entry, doubt = None, ""
        if node is not None:
            found = scan_dicom(files).series if files else []
            if len(found) == 1:
                entry, doubt = dicom_entry(found[0]), _difference_from_files(node, found[0])
            else:
                modality = {"maa_spect": "NM", "y90_spect": "NM", "y90_pet": "PT"}.get(role, "CT")
                entry = ImageEntry(modality=modality, description=node.GetName())
        self._case().set_image(role, node, entry, doubt)

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
        steps = registering(
            inputs.images[DIAGNOSTIC],
            inputs.images[own_ct(role)],
            inputs.contours[livers[0]] if livers else None,
            fixed_is_ct=case.images[DIAGNOSTIC].modality == "CT",
            where=role,
        )
        registration: Registration = yield from steps
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

    def show_checkerboard(self, phase: str, shown: bool, square_mm: float = 30.0) -> Any | None:
        """Diagnostic image and the phase's own CT in alternating squares, to judge the registration by eye.

        Parameters
        ----------
        phase : str
            pre or post.
        shown : bool
            False takes the checkerboard away.
        square_mm : float
            Edge of a square.

        Returns
        -------
        vtkMRMLScalarVolumeNode or None
            The checkerboard, for the slice views' background.
        """
        opened = self._case()
        case = opened.stored()
        node = find_owned_node(self.scene, "vtkMRMLScalarVolumeNode", case.case_id, CHECKERBOARD)
        if not shown:
            if node is not None:
                remove_node(self.scene, node)
            return None
        role = _PHASE_IMAGE[phase](case)
        nodes = (opened.image_node(DIAGNOSTIC), opened.image_node(own_ct(role)) if role else None)
        if nodes[0] is None or nodes[1] is None:
            raise InputError("checkerboard", "an image is missing", "Choose the diagnostic CT and the image's own CT")
        base = read_volume(nodes[0])
        other = resample(read_volume(nodes[1]), base.geometry, np.eye(4), outside=float(base.array.min()))
        squares = [
            (np.arange(n) * spacing // square_mm).astype(int)
            for n, spacing in zip(base.geometry.shape_kji, base.geometry.spacing_mm[::-1], strict=True)
        ]
        odd = (squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]) % 2 == 1
        mixed = Volume(np.where(odd, other.array, base.array).astype(np.float32), base.geometry)
        node = write_ct_volume(self.scene, mixed, CHECKERBOARD, owner=case.case_id)
        place_node(self.scene, node, patient_study_item(self.scene, case.case_id))
        return node

    # --- treatment and settings -------------------------------------------------------------------------

    def change(self, **fields: Any) -> None:
        """Store changed fields of the case, for instance ``injections=`` or ``lung_shunt_fraction=``."""
        opened = self._case()
        opened.store(replace(opened.stored(), **fields))

    def change_settings(self, **fields: Any) -> None:
        """Store changed settings, for instance ``liver_density_g_ml=``."""
        self.change(settings=replace(self._case().stored().settings, **fields))

    def typed_balance(self, case: Case) -> dict[str, tuple[float, str]]:
        """Balance of what is typed now against the last measured image, by phase; empty where there is none."""
        found = typed_balance(case, self._case().results())
        return {} if found is None else {"post": found}

    # --- contours ---------------------------------------------------------------------------------------

    def new_contours(self) -> Any:
        """An empty segmentation for the open patient, on the diagnostic image's grid where there is one."""
        opened = self._case()
        case_id = opened.stored().case_id
        node = owned_node(self.scene, "vtkMRMLSegmentationNode", "Contours", case_id)
        node.CreateDefaultDisplayNodes()
        image = opened.image_node(DIAGNOSTIC)
        if image is not None:
            node.SetReferenceImageGeometryParameterFromVolumeNode(image)
        place_node(self.scene, node, patient_study_item(self.scene, case_id))
        opened.set_contours(node)
        return node

    def contour_from_uptake(self, role: str, percent: float) -> str:
        """A territory or tumour where the emission image reaches a share of its largest value in the liver."""
        opened = self._case()
        case = opened.stored()
        image = next((r for r in (pre_image(case), post_image(case)) if r is not None), None)
        node = opened.image_node(image) if image else None
        if node is None:
            raise InputError("uptake", "there is no emission image", "Choose the MAA SPECT or the 90Y image in step 1")
        found = uptake_inside(read_volume(node), self._liver(), percent)
        name = "Perfused territory" if role == TERRITORY else "Tumour by uptake"
        return new_contour(opened.contours_node(), name, role, "uptake", found)

    def contour_from_ct(self, lower_hu: float, upper_hu: float) -> str:
        """A tumour where the diagnostic CT lies between two CT numbers inside the liver."""
        opened = self._case()
        node = opened.image_node(DIAGNOSTIC)
        if node is None or opened.stored().images[DIAGNOSTIC].modality != "CT":
            raise InputError("CT limits", "the diagnostic image is no CT", "Choose a CT in step 1, or draw by hand")
        found = density_inside(read_volume(node), self._liver(), lower_hu, upper_hu)
        return new_contour(opened.contours_node(), "Tumour by CT", TUMOUR, "CT", found)

    def margin(self, segment_id: str, margin_mm: float) -> None:
        """Grow or shrink a contour."""
        node = self._case().contours_node()
        replace_mask(node, segment_id, with_margin(read_segment(node, segment_id), margin_mm))

    def take_automatic(self, draft: Any) -> None:
        """Liver and lungs out of an automatic segmentation; lung lobes become one contour, all else is left."""
        names = {key: draft.GetSegmentation().GetSegment(key).GetName().lower() for key in segment_ids(draft)}
        node = self._case().contours_node()
        for name, role in (("Liver", LIVER), ("Lungs", LUNG)):
            word = "liver" if role == LIVER else "lung"
            keys = [key for key, text in names.items() if word in text.split() or f"{word}_" in f"{text}_"]
            if not keys:
                raise InputError("automatic contours", f"no {word} was found", "Draw it in the editor")
            grid = joined_geometry(draft, keys)
            joined = np.zeros(grid.shape_kji, dtype=bool)
            for key in keys:
                joined |= read_segment(draft, key, grid).array
            new_contour(node, name, role, "CT", Volume(joined, grid))

    def show_derived(self, shown: bool) -> None:
        """Show the derived compartments in a segmentation of their own, or take it away."""
        case_id = self._case().stored().case_id
        node = find_owned_node(self.scene, "vtkMRMLSegmentationNode", case_id, DERIVED)
        if not shown:
            if node is not None:
                remove_node(self.scene, node)
            return
        masks = derived_masks(self._case().contours_node())
        segments = [
            Segment(name, OTHER, mask, role_color(OTHER, number)) for number, (name, mask) in enumerate(masks.items())
        ]
        node = write_segmentation(self.scene, segments, DERIVED, owner=case_id)
        place_node(self.scene, node, patient_study_item(self.scene, case_id))

    def _liver(self) -> Volume:
        node = self._case().contours_node()
        if node is None:
            raise InputError("contours", "there is no segmentation", "Make one in step 2")
        livers = [row for row in contour_rows(node) if row.role == LIVER and row.volume_ml > 0.0]
        if len(livers) != 1:
            raise InputError(
                "contours", f"expected one drawn liver, got {len(livers)}", "Draw the liver and give it the role liver"
            )
        return read_segment(node, livers[0].segment_id)

    # --- plan -------------------------------------------------------------------------------------------

    def planning(self) -> Steps[PlanPresenter]:
        """Read the uptake for a plan; what the value of these steps holds answers to changes at once."""
        opened = self._case()
        case = opened.current()
        yield 0.0, "reading the scene"
        inputs, _findings = yield from part(computing_inputs(case, opened.inputs()), 0.05, 0.95)
        self._planned_from = _uptake_key(case)
        yield 0.95, "planning"
        return PlanPresenter(case, inputs)

    def plan_fits(self, presenter: PlanPresenter) -> bool:
        """Whether a plan's uptake is still that of the images and contours in the scene; it follows the lung shunt."""
        opened = self.open()
        if opened is None:
            return False
        case = opened.current()
        if _uptake_key(case) != self._planned_from or needs_new_inputs(presenter.case, case):
            return False
        if case.lung_shunt_fraction != presenter.case.lung_shunt_fraction:
            presenter.case = replace(case, plan=presenter.case.plan)
            presenter.change(settings_of(presenter.case))
        return True

    def keep_plan(self, presenter: PlanPresenter) -> None:
        """Store what was decided, and show the predicted DVHs.

        Raises
        ------
        InputError
            What was typed cannot be planned; nothing is stored then.
        """
        if presenter.view.problem:
            raise InputError("plan", presenter.view.problem, "Change it back or type something else", "plan")
        self.change(plan=presenter.case.plan)
        dvh = presenter.view.dvh
        if not dvh:
            return
        top = max(float(dose[-1]) for dose, _volume in dvh.values())
        axis = np.linspace(0.0, max(10.0, 10.0 * float(np.ceil(top / 10.0))), POINTS)
        curves = {(name, "pre"): np.interp(axis, dose, volume, right=0.0) for name, (dose, volume) in dvh.items()}
        colors = {name: role_color(OTHER, number) for number, name in enumerate(dvh)}
        node = self._case().contours_node()
        for row in contour_rows(node) if node is not None else ():
            if row.name in colors:
                colors[row.name] = row.color
        write_dvh_chart(self.scene, presenter.case.case_id, axis, curves, colors)

    def take_plan_over(self, presenter: PlanPresenter) -> None:
        """Enter the plan's vials, expected residuals and hours as injections."""
        typed = [
            injection_from_text(name, territory, planned, vial, residual, time)
            for name, territory, planned, vial, residual, time in presenter.treatment_rows()
        ]
        if not typed:
            raise InputError("plan", "no vial is chosen", "Give the treatment week and the time zone first", "plan")
        self.change(injections=tuple(typed))

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
        self._curves = (case.sha256(), curves_of_phases(results.phases))
        return results

    # --- looking ----------------------------------------------------------------------------------------

    def show_window(self, top_gy: float, threshold_gy: float) -> None:
        """The same colors for all dose maps of the open patient, from 0 to ``top_gy``."""
        if not threshold_gy < top_gy:
            raise InputError(
                "colors", f"expected a threshold below {top_gy:g} Gy, got {threshold_gy:g}", "Lower the threshold"
            )
        for node in self._dose_nodes().values():
            show_as_dose(node, top_gy, threshold_gy)

    def _dose_nodes(self) -> dict[tuple[str, str], Any]:
        opened = self._case()
        every = {(p, m): opened.dose_node(p, m) for p in ("pre", "post") for m in (LOCAL, KERNEL)}
        return {key: node for key, node in every.items() if node is not None}

    def draw_isodoses(self, levels_gy: list[float], phase: str, method: str) -> list[float]:
        """Isodoses of one dose map, as one model a level; those of the other maps are taken away.

        Returns
        -------
        list of float
            Levels that are reached nowhere.
        """
        case_id = self._case().stored().case_id
        nodes = self._dose_nodes()
        if (phase, method) not in nodes:
            raise InputError("isodoses", "there is no such dose map", "Compute the doses first")
        study = patient_study_item(self.scene, case_id)
        drawn: dict[float, Any] = {}
        for key, node in nodes.items():
            levels = levels_gy if key == (phase, method) else []
            made = write_isodoses(
                self.scene, read_volume(node), levels, dose_name(*key), owner=case_id, parent_item=study
            )
            drawn |= made
        return [level for level in levels_gy if level not in drawn]

    def tumour_center_ras(self) -> np.ndarray:
        """Middle of the largest tumour, else of the largest contour, in RAS mm."""
        node = self._case().contours_node()
        rows = [row for row in contour_rows(node) if row.volume_ml > 0.0] if node is not None else []
        if not rows:
            return np.zeros(3)
        tumours = [row for row in rows if row.role == TUMOUR]
        largest = max(tumours or rows, key=lambda row: row.volume_ml)
        mask = read_segment(node, largest.segment_id)
        middle = np.argwhere(mask.array).mean(axis=0)[::-1]
        return (LPS_TO_RAS @ mask.geometry.ijk_to_lps @ np.array([*middle, 1.0]))[:3]

    def write(self, folder: Path) -> Steps[Written]:
        """Dose maps, tables, figures and report of the open case into a folder, as ``tarecomet case run`` does.

        The case is computed anew: a report never speaks of other inputs than those it was written with.
        """
        opened = self._case()
        case = opened.current()
        yield 0.0, "reading the scene"
        inputs = opened.inputs()
        results: CaseResults = yield from part(run_case(case, inputs), 0.05, 0.6)
        return (yield from part(write_results(results, inputs, folder), 0.6, 1.0))

    # --- study ------------------------------------------------------------------------------------------

    def study_path(self) -> Path | None:
        """File of the study, which lies outside the scene."""
        text = self.parameter_node.GetParameter(STUDY_PATH)
        return Path(text) if text else None

    def choose_study(self, path: Path | None) -> None:
        """Use a study, a new one where the file is not there yet; the scene keeps path and hash alone."""
        reference = open_or_make(path) if path is not None else None
        self.parameter_node.SetParameter(STUDY_PATH, reference.path if reference is not None else "")
        self.parameter_node.SetParameter(STUDY_HASH, reference.sha256 if reference is not None else "")

    def adding_to_study(self) -> Steps[int]:
        """Add the open case with its doses and histograms; the number of values that were new or changed.

        Histograms are not in the scene: after reopening it the case is computed once more for them.
        """
        opened, path = self._case(), self.study_path()
        results = opened.results()
        if path is None or results is None:
            raise InputError("study", "there is no study, or the case has no doses", "Choose a study, compute the case")
        case = opened.current()
        if self._curves is None or self._curves[0] != case.sha256():
            yield 0.0, "reading the scene"
            computed: CaseResults = yield from part(run_case(case, opened.inputs()), 0.05, 0.9)
            self._curves = (case.sha256(), curves_of_phases(computed.phases))
        yield 0.9, "writing"
        changes = add_open_case(path, case, results, self._curves[1])
        self.choose_study(path)
        return changes

    def analysing_study(self, folder: Path) -> Steps[list[Any]]:
        """Analyse the study into a folder; the charts, as nodes."""
        path = self.study_path()
        if path is None:
            raise InputError("study", "there is none", "Choose a study file")
        document = yield from analysing(path, folder)
        return write_study_charts(self.scene, charts(document))
