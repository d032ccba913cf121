"""The dose color table: one definition for the viewer, the figures and the tests.

The table is designed in CIELAB (CIE 15:2018, D65): lightness rises in equal steps from a deep violet-blue to a pale
yellow, so that "lighter" always means "more dose", on a gray print and with every form of color blindness; the hue
goes through magenta and orange and leaves green and cyan free for lines drawn on top.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

TABLE_SIZE = 256
# Lightness and hue (degrees) along the table; hue in between is piecewise linear in the dose fraction.
LIGHTNESS_FIRST, LIGHTNESS_LAST = 14.0, 95.0
HUE_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
HUES_DEG = (300.0, 325.0, 380.0, 430.0, 465.0)
CHROMA_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
CHROMAS = (40.0, 62.0, 66.0, 66.0, 45.0)
# Share of the largest chroma that sRGB can show at a lightness and hue: stays inside, so nothing is clipped.
GAMUT_SHARE = 0.97
# D65 white point, 2 degree observer (CIE 15:2018), and XYZ -> linear sRGB (IEC 61966-2-1).
WHITE_XYZ = (0.95047, 1.0, 1.08883)
XYZ_TO_LINEAR_RGB = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)
# Lines drawn over the table: hues that it does not use, from darker to lighter with rising dose.
LINE_HUES_DEG = (218.0, 150.0)
LINE_LIGHTNESS = (55.0, 92.0)
LINE_CHROMA = 58.0


def linear_rgb_of_lab(lightness: np.ndarray, chroma: np.ndarray, hue_deg: np.ndarray) -> np.ndarray:
    """Linear sRGB (not clipped to 0..1) of CIELAB colors given as lightness 0..100, chroma and hue angle."""
    angle = np.deg2rad(hue_deg)
    f_y = (np.asarray(lightness, dtype=float) + 16.0) / 116.0
    f_xyz = np.stack([f_y + chroma * np.cos(angle) / 500.0, f_y, f_y - chroma * np.sin(angle) / 200.0], axis=-1)
    threshold = 6.0 / 29.0
    ratio = np.where(f_xyz > threshold, f_xyz**3, 3.0 * threshold**2 * (f_xyz - 4.0 / 29.0))
    return (ratio * np.asarray(WHITE_XYZ)) @ np.asarray(XYZ_TO_LINEAR_RGB).T


def lightness_of_rgb(rgb: np.ndarray) -> np.ndarray:
    """CIELAB lightness 0..100 of sRGB colors with components 0..1, shape (..., 3)."""
    rgb = np.asarray(rgb, dtype=float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.linalg.inv(np.asarray(XYZ_TO_LINEAR_RGB))[1]
    threshold = (6.0 / 29.0) ** 3
    f_y = np.where(luminance > threshold, np.cbrt(luminance), luminance / (3.0 * (6.0 / 29.0) ** 2) + 4.0 / 29.0)
    return 116.0 * f_y - 16.0


def _encode(linear: np.ndarray) -> np.ndarray:
    """Gamma-encoded sRGB 0..1 of linear sRGB."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)


def _largest_chroma(lightness: np.ndarray, hue_deg: np.ndarray) -> np.ndarray:
    """The largest chroma inside sRGB, by bisection."""
    low, high = np.zeros_like(lightness), np.full_like(lightness, 150.0)
    for _ in range(40):
        middle = (low + high) / 2.0
        rgb = linear_rgb_of_lab(lightness, middle, hue_deg)
        inside = np.all((rgb >= 0.0) & (rgb <= 1.0), axis=-1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low


def _rgb_of_path(lightness: np.ndarray, wanted_chroma: np.ndarray, hue_deg: np.ndarray) -> np.ndarray:
    chroma = np.minimum(wanted_chroma, GAMUT_SHARE * _largest_chroma(lightness, hue_deg))
    return _encode(linear_rgb_of_lab(lightness, chroma, hue_deg))


@lru_cache(maxsize=1)
def dose_color_table() -> np.ndarray:
    """The table: sRGB components 0..1, shape (256, 3), read-only; first row for dose 0, last for the window's top."""
    fraction = np.linspace(0.0, 1.0, TABLE_SIZE)
    lightness = LIGHTNESS_FIRST + (LIGHTNESS_LAST - LIGHTNESS_FIRST) * fraction
    hue = np.interp(fraction, HUE_FRACTIONS, HUES_DEG)
    table = _rgb_of_path(lightness, np.interp(fraction, CHROMA_FRACTIONS, CHROMAS), hue)
    table.setflags(write=False)
    return table


def dose_color_rgb(fraction: float) -> tuple[float, float, float]:
    """Color of a dose given as a fraction of the window's top; below 0 and above 1 the end colors.

    The steps lie where Slicer's display has them: a window is cut into 255 steps and the last color is for its top.

    Parameters
    ----------
    fraction : float
        Dose over the dose at the top of the color bar.

    Returns
    -------
    tuple of float
        Red, green, blue, each 0..1 (sRGB).
    """
    index = min(max(int(np.floor(fraction * (TABLE_SIZE - 1) + 1e-9)), 0), TABLE_SIZE - 1)
    red, green, blue = dose_color_table()[index]
    return float(red), float(green), float(blue)


def isodose_line_colors(count: int) -> list[tuple[float, float, float]]:
    """Colors of ``count`` isodose lines, lowest dose first, for drawing over a CT or over the dose colors."""
    fraction = np.linspace(0.0, 1.0, count) if count > 1 else np.full(count, 0.5)
    lightness = LINE_LIGHTNESS[0] + (LINE_LIGHTNESS[1] - LINE_LIGHTNESS[0]) * fraction
    hue = LINE_HUES_DEG[0] + (LINE_HUES_DEG[1] - LINE_HUES_DEG[0]) * fraction
    rgb = _rgb_of_path(lightness, np.full(count, LINE_CHROMA), hue)
    return [(float(r), float(g), float(b)) for r, g, b in rgb]


@lru_cache(maxsize=1)
def difference_color_table() -> np.ndarray:
    """Colors of a difference, sRGB 0..1, shape (256, 3), read-only: blue below zero, near white at zero, orange above.

    Blue and orange differ for every common form of color blindness; lightness falls alike to both sides, so that on
    a gray print darker means a larger difference, of either sign.
    """
    share = np.abs(np.linspace(-1.0, 1.0, TABLE_SIZE))
    below = np.linspace(-1.0, 1.0, TABLE_SIZE) < 0.0
    lightness = 96.0 - 52.0 * share
    hue = np.where(below, 265.0, 58.0)
    table = _rgb_of_path(lightness, 70.0 * share, hue)
    table.setflags(write=False)
    return table
