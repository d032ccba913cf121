"""Pictures of a headless scene: a slice or a 3D view, with legend, units and orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import vtk

from ..errors import InputError
from .coordinates import ras_point
from .crossings import model_meets_slice, segment_meets_slice
from .frame import ColorBar, Layout, Legend, compose, draw_orientation, draw_scale, plan_layout
from .headless import HeadlessSlicer
from .images import set_image_scalars
from .isodose import LEVEL_ATTRIBUTE
from .segmentations import segment_ids
from .slice_view import SliceView, slice_to_ras
from .three_d_view import VIEWPOINTS_RAS, three_d_view

DEFAULT_OPACITY = 0.6
POSITION_WORDS = {
    "Axial": (2, "superior", "inferior"),
    "Coronal": (1, "anterior", "posterior"),
    "Sagittal": (0, "right", "left"),
}


@dataclass(frozen=True)
class SlicePicture:
    """A drawn slice.

    Parameters
    ----------
    rgb : ndarray of shape (rows, columns, 3), uint8
        The picture, first row on top.
    ras_to_pixel : ndarray of shape (4, 4)
        RAS to (column, row, mm off the slice).
    """

    rgb: np.ndarray
    ras_to_pixel: np.ndarray

    def pixel_of_world_point(self, point_lps_mm: tuple[float, float, float]) -> tuple[float, float]:
        """Row and column (may be between pixels or outside) of an LPS point, projected onto the slice."""
        column, row, _ = (self.ras_to_pixel @ [*ras_point(point_lps_mm), 1.0])[:3]
        return float(row), float(column)

    def distance_from_slice_mm(self, point_lps_mm: tuple[float, float, float]) -> float:
        """How far an LPS point lies from the slice, signed."""
        return float((self.ras_to_pixel @ [*ras_point(point_lps_mm), 1.0])[2])


def render_slice(
    headless: HeadlessSlicer,
    background: Any | None,
    foreground: Any | None,
    segmentation: Any | None,
    orientation: str,
    center_lps_mm: tuple[float, float, float],
    size_px: tuple[int, int] = (960, 720),
    field_of_view_mm: float = 400.0,
    *,
    models: Sequence[Any] = (),
    foreground_opacity: float = DEFAULT_OPACITY,
    title: str = "",
    annotations: bool = True,
) -> SlicePicture:
    """Draw a slice through Slicer's slice logic and displayable managers.

    Parameters
    ----------
    headless : HeadlessSlicer
        Whose scene is drawn.
    background, foreground : vtkMRMLScalarVolumeNode or None
        Usually CT and dose; each is shown with its display node's colors, window and threshold.
    segmentation : vtkMRMLSegmentationNode or None
        Drawn as outlines in its segments' colors.
    orientation : {'Axial', 'Coronal', 'Sagittal'}
        Radiological: the patient's right on the left of axial and coronal pictures.
    center_lps_mm : tuple of float
        Point of the patient at the center of the slice's picture.
    size_px : tuple of int
        Columns and rows of the whole picture.
    field_of_view_mm : float
        Width of the slice's part of the picture.
    models : sequence of vtkMRMLModelNode
        Drawn as lines where they meet the slice, for example isodoses.
    foreground_opacity : float
        0..1.
    title : str
        Line above the picture.
    annotations : bool
        Whether title, legend, letters and scale are drawn; without them the slice fills the picture.

    Returns
    -------
    SlicePicture
        Pixels, and where points of the patient are in them.

    Raises
    ------
    InputError
        Where the machine cannot draw off-screen, or the orientation is unknown.
    """
    place = slice_to_ras(orientation, center_lps_mm)
    _require_size(size_px)
    view = headless.view("slice", SliceView)
    legend = _legend(foreground, segmentation, models, place) if annotations else Legend()
    layout = plan_layout(size_px, title if annotations else "", legend)
    drawn = [node for node in (segmentation, *models) if node is not None]
    rgb, ras_to_pixel = view.render(
        background, foreground, drawn, place, layout.view_size_px, field_of_view_mm, foreground_opacity
    )
    if not annotations:
        return SlicePicture(rgb, ras_to_pixel)
    draw_orientation(rgb, place[:3, 0], place[:3, 1], layout.font_px)
    caption = f"{orientation}, {_position(orientation, center_lps_mm)}"
    draw_scale(rgb, field_of_view_mm / layout.view_size_px[0], layout.font_px, caption)
    return SlicePicture(compose(rgb, layout, title, legend), _moved_down(ras_to_pixel, layout))


def render_3d(
    headless: HeadlessSlicer,
    segmentation: Any | None,
    models: Sequence[Any] = (),
    viewpoint: str = "Anterior",
    size_px: tuple[int, int] = (960, 720),
    *,
    title: str = "",
) -> np.ndarray:
    """Draw segments and isodose surfaces in 3D, seen from a side of the patient, in parallel projection.

    Returns
    -------
    ndarray of shape (rows, columns, 3), uint8
        The picture, with legend and orientation letters.
    """
    _require_size(size_px)
    view = three_d_view(headless)
    legend = _legend(None, segmentation, models, None)
    layout = plan_layout(size_px, title, legend)
    drawn = [node for node in (segmentation, *models) if node is not None]
    rgb = view.render(drawn, viewpoint, layout.view_size_px)
    towards, up = (np.array(v, dtype=float) for v in VIEWPOINTS_RAS[viewpoint])
    draw_orientation(rgb, np.cross(up, towards), up, layout.font_px)
    return compose(rgb, layout, title, legend)


def write_png(rgb: np.ndarray, path: Path) -> None:
    """Write a picture as PNG; it appears under its name only when complete."""
    path = Path(path)
    image = vtk.vtkImageData()
    rows, columns, _ = rgb.shape
    set_image_scalars(image, np.zeros((1, rows, columns), dtype=np.uint8))
    scalars = vtk.util.numpy_support.numpy_to_vtk(np.ascontiguousarray(rgb[::-1]).reshape(-1, 3), deep=True)
    image.GetPointData().SetScalars(scalars)
    writer = vtk.vtkPNGWriter()
    writer.SetInputData(image)
    writer.WriteToMemoryOn()
    writer.Write()
    draft = path.with_name(f".{path.name}.part")
    draft.write_bytes(bytes(memoryview(writer.GetResult())))
    draft.replace(path)


def _require_size(size_px: tuple[int, int]) -> None:
    if min(size_px) < 200:
        raise InputError("picture", f"expected at least 200 x 200 pixels, got {size_px}", "Ask for a larger picture")


def _position(orientation: str, center_lps_mm: tuple[float, float, float]) -> str:
    axis, positive, negative = POSITION_WORDS[orientation]
    value = float(ras_point(center_lps_mm)[axis])
    return f"{abs(value):.1f} mm {positive if value >= 0 else negative}"


def _moved_down(ras_to_pixel: np.ndarray, layout: Layout) -> np.ndarray:
    move = np.eye(4)
    move[1, 3] = layout.title_px
    return move @ ras_to_pixel


def _legend(
    foreground: Any | None, segmentation: Any | None, models: Sequence[Any], place: np.ndarray | None
) -> Legend:
    """Names and colors of what a slice at ``place`` meets, or of all that is visible in 3D where it is None."""
    groups = []
    if segmentation is not None:
        display = segmentation.GetDisplayNode()
        is_shown = display.GetSegmentVisibility3D if place is None else display.GetSegmentVisibility2DOutline
        shown = [key for key in segment_ids(segmentation) if display.GetSegmentVisibility(key) and is_shown(key)]
        if place is not None:
            shown = [key for key in shown if segment_meets_slice(segmentation, key, place)]
        segments = (segmentation.GetSegmentation().GetSegment(key) for key in shown)
        groups.append(("Contours", [(segment.GetName(), tuple(segment.GetColor())) for segment in segments]))
    met = [model for model in models if place is None or model_meets_slice(model, place)]
    groups.append(("Isodoses", [(_model_label(model), tuple(model.GetDisplayNode().GetColor())) for model in met]))
    return Legend(_color_bar(foreground) if foreground is not None else None, groups)


def _model_label(model: Any) -> str:
    level = model.GetAttribute(LEVEL_ATTRIBUTE)
    return f"{level} Gy" if level else str(model.GetName())


def _color_bar(node: Any) -> ColorBar:
    display = node.GetDisplayNode()
    table = display.GetColorNode().GetLookupTable()
    count = table.GetNumberOfTableValues()
    colors = np.array([table.GetTableValue(n)[:3] for n in range(count)])
    quantity, units = node.GetVoxelValueQuantity(), node.GetVoxelValueUnits()
    return ColorBar(
        title=quantity.GetCodeMeaning().capitalize() if quantity else node.GetName(),
        unit=units.GetCodeValue() if units else "",
        top=display.GetWindowLevelMax(),
        threshold=max(0.0, display.GetLowerThreshold()) if display.GetApplyThreshold() else 0.0,
        colors=colors,
    )
