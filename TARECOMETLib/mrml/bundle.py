"""A whole scene in one .mrb file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ..errors import InputError

SUFFIX = ".mrb"


def save_bundle(scene: Any, path: Path | str) -> Path:
    """Write the scene as a .mrb, which Slicer opens by drag and drop.

    The file is written aside and put in its place only when complete.

    Parameters
    ----------
    scene : vtkMRMLScene
        What to save.
    path : path-like
        Where to; must end in ``.mrb``, in a folder that exists.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        Where the path cannot be written or Slicer reports an error.
    """
    path = Path(path).absolute()
    if path.suffix != SUFFIX:
        raise InputError(str(path), f"a scene bundle's name ends in {SUFFIX}", f"Add {SUFFIX} to it", "bundle-name")
    if not path.parent.is_dir():
        raise InputError(str(path), "its folder does not exist", "Make the folder or choose another", "bundle-folder")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tarecomet-") as aside:
        draft = Path(aside) / path.name
        if not scene.WriteToMRB(str(draft)) or not draft.is_file():
            raise InputError(str(path), "Slicer could not write the scene", "See the log for the cause", "bundle")
        draft.replace(path)
    return path


def load_bundle(scene: Any, path: Path | str) -> None:
    """Read a .mrb into a scene, replacing what is in it.

    Parameters
    ----------
    scene : vtkMRMLScene
        A scene that knows the node classes (of the application or of HeadlessSlicer).
    path : path-like
        The file.

    Raises
    ------
    InputError
        Where the file is missing or cannot be read.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise InputError(str(path), "there is no such file", "Check the path", "bundle-missing")
    if not scene.ReadFromMRB(str(path), True):
        raise InputError(str(path), "Slicer could not read the scene", "Save it again", "bundle")
