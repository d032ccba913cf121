"""NRRD, NIfTI and MetaImage files through SimpleITK, and segmentations in Slicer's .seg.nrrd."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .geometry import VolumeGeometry
from .volume import Volume

IMAGE_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
# Headers with a second file cannot appear whole or not at all.
_WRITTEN_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")


def is_image_file(path: Path) -> bool:
    """Whether the name ends as one of the formats read here."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def image_stem(path: Path) -> str:
    """File name without its image suffix."""
    name = path.name
    for suffix in sorted((".seg.nrrd", *IMAGE_SUFFIXES), key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem


def _read(path: Path) -> Any:
    import SimpleITK as sitk

    _require_utf8_name(path)
    if not path.is_file():
        raise InputError(str(path), "there is no such file", "Check the path", "no-file")
    try:
        _require_whole_nifti(path)
        image = sitk.ReadImage(str(path))
    except (EOFError, OSError, zlib.error, RuntimeError, MemoryError, UnicodeDecodeError):
        raise InputError(
            str(path), "it cannot be read as an image", "Give a whole NRRD, NIfTI or MetaImage file", "corrupt-image"
        ) from None
    if image.GetDimension() != 3 or "complex" in image.GetPixelIDTypeAsString():
        raise InputError(
            str(path),
            f"expected a volume of three dimensions, got {image.GetPixelIDTypeAsString()} in {image.GetDimension()}",
            "Export a single volume",
            "not-a-volume",
        )
    return image


def _require_utf8_name(path: Path) -> None:
    """Refuse names of another encoding: SimpleITK does not raise on them, it ends the program."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = str(path).encode("utf-8", "replace").decode("utf-8")
        raise InputError(shown, "its name is not UTF-8", "Rename the file or folder", "file-name") from None


def _require_whole_nifti(path: Path) -> None:
    """Raise EOFError where a NIfTI file is cut off: the library below fills what is missing with arbitrary values."""
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        return
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    one = sitk.Image([1] * 3, reader.GetPixelID(), reader.GetNumberOfComponents())
    expected = math.prod(reader.GetSize()) * one.GetSizeOfPixelComponent() * reader.GetNumberOfComponents()
    if name.endswith(".gz"):
        held = 0
        with gzip.open(path) as content:
            while part := content.read(1 << 22):
                held += len(part)
    else:
        held = path.stat().st_size
    if held < expected:
        raise EOFError(path)


def _geometry(image: Any) -> VolumeGeometry:
    return VolumeGeometry.from_components(
        image.GetSize()[::-1],
        spacing_mm=image.GetSpacing(),
        origin_lps_mm=image.GetOrigin(),
        direction_lps=np.array(image.GetDirection()).reshape(3, 3),
    )


def read_image(path: Path) -> Volume:
    """Read a scalar three-dimensional image."""
    import SimpleITK as sitk

    image = _read(path)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            str(path),
            f"expected one value per voxel, got {image.GetNumberOfComponentsPerPixel()}",
            "Export a single volume",
            "not-a-volume",
        )
    return Volume(sitk.GetArrayFromImage(image), _geometry(image))


def read_contours(path: Path) -> list[tuple[str, Volume]]:
    """Read every structure in a label image or a .seg.nrrd.

    Returns
    -------
    list of (str, Volume)
        Names and boolean volumes: segments' names from a .seg.nrrd; else the file's stem, followed by the label's
        number where there are several labels.
    """
    import SimpleITK as sitk

    image = _read(path)
    array = sitk.GetArrayFromImage(image)
    geometry = _geometry(image)
    layers = [array] if image.GetNumberOfComponentsPerPixel() == 1 else list(np.moveaxis(array, -1, 0))
    segments = _segments(image, len(layers), path)
    if segments:
        return [(name, Volume(layers[layer] == label, geometry)) for name, layer, label in segments]
    if len(layers) != 1:
        raise InputError(str(path), "it holds several layers without segment names", "Save it as .seg.nrrd from Slicer")
    if array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):  # NaN differs from itself
        raise InputError(
            str(path), "it holds fractions or NaN, expected a label image", "Export the contour as labels", "not-labels"
        )
    values = [int(value) for value in np.unique(array) if np.isfinite(value) and value != 0]
    if len(values) > 63:
        raise InputError(str(path), f"it holds {len(values)} labels, expected at most 63", "Export contours as labels")
    stem = image_stem(path)
    if len(values) <= 1:
        return [(stem, Volume(array != 0, geometry))]
    return [(f"{stem} {value}", Volume(array == value, geometry)) for value in values]


def _segments(image: Any, layers: int, path: Path) -> list[tuple[str, int, int]]:
    """Name, layer and label of every segment that Slicer's .seg.nrrd header tells of, in its order."""
    keys = set(image.GetMetaDataKeys())
    found = []
    for number in sorted(int(key[7:-5]) for key in keys if re.fullmatch(r"Segment[0-9]{1,6}_Name", key)):
        prefix = f"Segment{number}_"
        try:
            name = " ".join(image.GetMetaData(prefix + "Name").split()) or f"Segment {number + 1}"
            layer = int(image.GetMetaData(prefix + "Layer")) if prefix + "Layer" in keys else 0
            label = int(image.GetMetaData(prefix + "LabelValue")) if prefix + "LabelValue" in keys else 1
        except (ValueError, UnicodeDecodeError):
            layer, label, name = -1, 0, f"Segment {number + 1}"
        if not 0 <= layer < layers:
            raise InputError(
                str(path),
                f"its segment number {number + 1} names a layer or label that the file does not hold",
                "Save it again from Slicer",
                "corrupt-image",
            )
        found.append((name, layer, label))
    return found


def write_image(path: Path, volume: Volume, *, compress: bool = True) -> None:
    """Write a volume; the file appears whole or not at all."""
    import SimpleITK as sitk

    array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_lps_mm)
    image.SetDirection(volume.geometry.direction_lps.ravel().tolist())
    suffix = next((end for end in _WRITTEN_SUFFIXES if path.name.lower().endswith(end)), None)
    if suffix is None:
        raise InputError(
            str(path), "its ending names no image format of one file", f"Use one of {', '.join(_WRITTEN_SUFFIXES)}"
        )
    _require_utf8_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{image_stem(path)}.part{os.getpid()}{suffix}")
    try:
        sitk.WriteImage(image, str(aside), compress)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
