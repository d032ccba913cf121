"""Places in the subject hierarchy: patient > study > folder > item, found again on a second run."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .volumes import DOSE_UNIT_NAME, DOSE_UNIT_NAME_ATTRIBUTE, DOSE_UNIT_VALUE, DOSE_UNIT_VALUE_ATTRIBUTE

PATIENT_LEVEL, STUDY_LEVEL, FOLDER_LEVEL = "Patient", "Study", "Folder"
OWNER_ITEM_ATTRIBUTE = "TARECOMET.Owner"
STUDY_NAME = "90Y radioembolization dosimetry"


def subject_hierarchy(scene: Any) -> Any:
    """The subject hierarchy node of a scene, made where there is none."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def patient_study_item(scene: Any, patient_name: str) -> int:
    """Item of our study under the patient's item; both are made on first use.

    The study carries the dose unit, because that is where SlicerRT looks for it.
    """
    hierarchy = subject_hierarchy(scene)
    patient = _child_item(hierarchy, hierarchy.GetSceneItemID(), patient_name, PATIENT_LEVEL)
    study = _child_item(hierarchy, patient, STUDY_NAME, STUDY_LEVEL)
    hierarchy.SetItemAttribute(study, DOSE_UNIT_NAME_ATTRIBUTE, DOSE_UNIT_NAME)
    hierarchy.SetItemAttribute(study, DOSE_UNIT_VALUE_ATTRIBUTE, DOSE_UNIT_VALUE)
    return study


def folder_item(scene: Any, parent_item: int, name: str) -> int:
    """Item of a folder of ours under a parent item, made on first use."""
    return _child_item(subject_hierarchy(scene), parent_item, name, FOLDER_LEVEL)


def place_node(scene: Any, node: Any, parent_item: int) -> int:
    """Put a node under an item and return the node's own item.

    In the application every node already has an item, which is moved; elsewhere the item is made.
    """
    hierarchy = subject_hierarchy(scene)
    item = hierarchy.GetItemByDataNode(node)
    if item == hierarchy.GetInvalidItemID():
        return int(hierarchy.CreateItem(parent_item, node))
    if hierarchy.GetItemParent(item) != parent_item:
        hierarchy.SetItemParent(item, parent_item)
    return int(item)


def _child_item(hierarchy: Any, parent_item: int, name: str, level: str) -> int:
    children = vtk.vtkIdList()
    hierarchy.GetItemChildren(parent_item, children)
    for n in range(children.GetNumberOfIds()):
        item = children.GetId(n)
        if hierarchy.GetItemAttribute(item, OWNER_ITEM_ATTRIBUTE) == name and hierarchy.GetItemLevel(item) == level:
            return int(item)
    item = hierarchy.CreateHierarchyItem(parent_item, name, level)
    hierarchy.SetItemAttribute(item, OWNER_ITEM_ATTRIBUTE, name)
    return int(item)
