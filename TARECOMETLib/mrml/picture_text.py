"""Text and lines put into a picture: small, exact to the pixel, and never cut off."""

from __future__ import annotations

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

SCREEN_DPI = 72
ELLIPSIS = "..."
# From the middle of capital letters down to the text's last row, as a share of the font size.
MIDDLE_TO_BOTTOM = 0.57


def text_mask(text: str, size_px: int, *, bold: bool = False) -> np.ndarray:
    """Coverage 0..1 of a line of text, shape (rows, columns); the base line is at one height above the last row."""
    if not text.strip():
        return np.zeros((size_px, 0))
    renderer = vtk.vtkTextRenderer.GetInstance()
    properties = vtk.vtkTextProperty()
    properties.SetFontFamilyToArial()
    properties.SetFontSize(size_px)
    properties.SetBold(bold)
    properties.SetColor(1.0, 1.0, 1.0)
    image = vtk.vtkImageData()
    dimensions = [0, 0]
    if not renderer.RenderString(properties, text, image, dimensions, SCREEN_DPI):
        raise RuntimeError(f"VTK could not draw the text {text!r}")
    columns, rows, _ = image.GetDimensions()
    alpha = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[..., 3] / 255.0
    # The text fills the lower left part of an image whose sides are powers of two.
    return alpha[: dimensions[1], : dimensions[0]][::-1]


def text_width(text: str, size_px: int, *, bold: bool = False) -> int:
    """Columns that a line of text takes."""
    used = np.flatnonzero(text_mask(text, size_px, bold=bold).any(axis=0))
    return int(used[-1]) + 1 if used.size else 0


def fitted(text: str, size_px: int, width_px: int, *, bold: bool = False) -> str:
    """The text, shortened with an ellipsis where it is wider than ``width_px``."""
    if text_width(text, size_px, bold=bold) <= width_px:
        return text
    while text and text_width(text + ELLIPSIS, size_px, bold=bold) > width_px:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def draw_text(
    rgb: np.ndarray,
    text: str,
    row: int,
    column: int,
    size_px: int,
    *,
    color: tuple[float, float, float] = (1.0, 1.0, 1.0),
    anchor: str = "left",
    bold: bool = False,
    halo: bool = False,
) -> None:
    """Draw a line of text into a uint8 picture, the middle of its capitals at ``row``.

    Parameters
    ----------
    rgb : ndarray of shape (rows, columns, 3)
        Changed in place. What would fall outside is moved inside.
    text : str
        One line.
    row, column : int
        Vertical middle; left end, middle or right end as ``anchor`` says.
    size_px : int
        Font size.
    color : tuple of float
        0..1.
    anchor : {'left', 'center', 'right'}
        What ``column`` means.
    bold : bool
        Heavier letters.
    halo : bool
        A dark rim, for text over an image.
    """
    mask = text_mask(text, size_px, bold=bold)
    used = np.flatnonzero(mask.any(axis=0))
    if used.size == 0:
        return
    mask = mask[:, used[0] : used[-1] + 1]
    rim = 2 if halo else 0
    mask = np.pad(mask, rim)
    rows, columns = mask.shape
    column -= rim
    left = {"left": column, "center": column + rim - columns // 2, "right": column + 2 * rim - columns}[anchor]
    top = row + round(MIDDLE_TO_BOTTOM * size_px) + rim - rows
    top, left = max(0, min(top, rgb.shape[0] - rows)), max(0, min(left, rgb.shape[1] - columns))
    mask = mask[: rgb.shape[0], : rgb.shape[1]]
    part = rgb[top : top + mask.shape[0], left : left + mask.shape[1]]
    if halo:
        _blend(part, _widened(mask, rim), (0.0, 0.0, 0.0))
    _blend(part, mask, color)


def fill(rgb: np.ndarray, rows: slice, columns: slice, color: tuple[float, float, float]) -> None:
    """Paint a rectangle."""
    rgb[rows, columns] = np.round(255.0 * np.asarray(color)).astype(np.uint8)


def _widened(mask: np.ndarray, by: int) -> np.ndarray:
    result = mask.copy()
    for down in range(-by, by + 1):
        for right in range(-by, by + 1):
            result = np.maximum(result, np.roll(mask, (down, right), axis=(0, 1)))
    return result


def _blend(part: np.ndarray, mask: np.ndarray, color: tuple[float, float, float]) -> None:
    alpha = mask[..., np.newaxis]
    part[:] = np.round(part * (1.0 - alpha) + 255.0 * np.asarray(color) * alpha).astype(np.uint8)
