"""A computed-ready patient in the scene from a case and its inputs: the sample patient, made on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..case.document import DIAGNOSTIC, Case
from ..case.inputs import Inputs, load_inputs
from ..case.new_case import new_case
from ..case.steps import Steps
from .contour_tools import give_source, new_contour
from .hierarchy import patient_study_item, place_node
from .volumes import write_ct_volume, write_volume

if TYPE_CHECKING:
    from .session import Session


def load_case(session: Session, case: Case, inputs: Inputs) -> Any:
    """Add a patient with images, contours and treatment; returns its CaseNode, which is then the open one.

    Parameters
    ----------
    session : Session
    case : Case
    inputs : Inputs
        Images and contours the case names.
    """
    opened = session.new(case.case_id)
    study = patient_study_item(session.scene, case.case_id)
    for role, entry in case.images.items():
        write = write_ct_volume if entry.modality == "CT" else write_volume
        node = write(session.scene, inputs.images[role], f"{case.case_id} {role}", owner=case.case_id)
        place_node(session.scene, node, study)
        opened.set_image(role, node, entry)
    contours = session.new_contours()
    for contour in case.contours:
        key = new_contour(contours, contour.name, contour.role, "unknown", inputs.contours[contour.name])
        give_source(contours, key, contour.source)
    session.change(
        device=case.device,
        injections=case.injections,
        lung_shunt_fraction=case.lung_shunt_fraction,
        lung_shunt_method=case.lung_shunt_method,
        constants_set=case.constants_set,
        settings=case.settings,
    )
    assert opened.image_node(DIAGNOSTIC) is not None
    return opened


def load_sample_patient(session: Session, folder: Path) -> Steps[Any]:
    """Make the digital sample patient in a folder and load it; a generator of (share done, what).

    Parameters
    ----------
    session : Session
    folder : Path
        Where its DICOM is written; nothing is downloaded.
    """
    from ..phantom.sample_patient import make_sample_patient

    yield 0.0, "making the sample patient"
    place = make_sample_patient(folder)
    yield 0.6, "reading it"
    made = yield from new_case(place, place)
    yield 0.8, "loading it"
    inputs = yield from load_inputs(made.case, made.files, place)
    return load_case(session, made.case, inputs)
