"""Nodes this library made: found again on a second run, so that results are replaced and never piled up.

A node is ours when it carries our attributes; a person's own node of the same name is never touched.
"""

from __future__ import annotations

from typing import Any

OWNER_ATTRIBUTE = "TARECOMET.Owner"
KEY_ATTRIBUTE = "TARECOMET.Key"


def find_owned_node(scene: Any, class_name: str, owner: str, key: str) -> Any | None:
    """The node of exactly this class that an earlier run made for ``owner`` under ``key``, or None."""
    for node in owned_nodes(scene, class_name, owner):
        if node.GetAttribute(KEY_ATTRIBUTE) == key:
            return node
    return None


def owned_nodes(scene: Any, class_name: str, owner: str) -> list[Any]:
    """All nodes of exactly this class that earlier runs made for ``owner``."""
    nodes = (scene.GetNthNodeByClass(n, class_name) for n in range(scene.GetNumberOfNodesByClass(class_name)))
    return [node for node in nodes if node.GetClassName() == class_name and node.GetAttribute(OWNER_ATTRIBUTE) == owner]


def owned_node(scene: Any, class_name: str, name: str, owner: str = "", key: str | None = None) -> Any:
    """The node made earlier for this owner and key, renamed to ``name``; a new one where there is none.

    Parameters
    ----------
    scene : vtkMRMLScene
        Scene to look in and to add to.
    class_name : str
        Exact MRML class.
    name : str
        What a person sees.
    owner : str
        Whose result it is, for example the patient's pseudonym.
    key : str, optional
        What tells this node from the owner's others; the name by default.

    Returns
    -------
    vtkMRMLNode
        The node, in the scene.
    """
    key = name if key is None else key
    node = find_owned_node(scene, class_name, owner, key)
    if node is None:
        node = scene.AddNewNodeByClass(class_name, name)
        node.SetAttribute(OWNER_ATTRIBUTE, owner)
        node.SetAttribute(KEY_ATTRIBUTE, key)
    elif node.GetName() != name:
        node.SetName(name)
    return node


def remove_node(scene: Any, node: Any) -> None:
    """Remove a node together with its display and storage nodes, which Slicer would leave behind."""
    followers = []
    if hasattr(node, "GetNthDisplayNode"):
        followers += [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
    if hasattr(node, "GetNthStorageNode"):
        followers += [node.GetNthStorageNode(n) for n in range(node.GetNumberOfStorageNodes())]
    scene.RemoveNode(node)
    for follower in followers:
        if follower is not None and scene.IsNodePresent(follower):
            scene.RemoveNode(follower)
