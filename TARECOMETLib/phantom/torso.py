"""The body outside the abdomen's organs: skin, fat, muscle, bones, lungs, heart, great vessels."""

from __future__ import annotations

import numpy as np

from .shapes import Axes, Capsule, Superquadric
from .tissues import Tissue

CAVITY_CENTER_Y_MM = 0.0
CAVITY_SEMI_AXES_MM = (131.0, 83.0)
CAVITY_EXPONENT = 2.4
DOME_STARTS_Z_MM = 4.0
LUNG_APEX_Z_MM = 142.0
SKIN_MM = 2.0
FAT_MM = 12.0
RIB_PERIOD_MM = 27.0
VERTEBRA_PERIOD_MM = 29.0
SPINE_Y_MM = 64.0


def body_level(axes: Axes, depth_mm: float = 0.0) -> np.ndarray:
    """Level of the body's surface moved inwards by ``depth_mm``."""
    z = axes.z_mm
    shoulder = np.clip((z - 140.0) / 90.0, 0.0, 1.0) ** 2
    half_x = 159.0 - 7.0 * np.exp(-(((z + 120.0) / 60.0) ** 2)) - 22.0 * shoulder - depth_mm
    half_y = 110.0 + 4.0 * np.exp(-(((z + 110.0) / 80.0) ** 2)) - 12.0 * shoulder - depth_mm
    return (np.abs(axes.x_mm / half_x) ** 2.3 + np.abs((axes.y_mm - 8.0) / half_y) ** 2.3) ** (1.0 / 2.3)


def cavity_level(axes: Axes, wall_mm: float = 0.0) -> np.ndarray:
    """Level of the inner chest and belly wall (grown by ``wall_mm``); the chest closes at the lungs' apex."""
    rise = np.clip((axes.z_mm - DOME_STARTS_Z_MM) / (LUNG_APEX_Z_MM + wall_mm - DOME_STARTS_Z_MM), 0.0, 1.0)
    scale = np.maximum(1.0 - rise**2.4, 1e-6) ** 0.5
    half_x, half_y = (scale * a + wall_mm for a in CAVITY_SEMI_AXES_MM)
    p = CAVITY_EXPONENT
    level = np.abs(axes.x_mm / half_x) ** p + np.abs((axes.y_mm - CAVITY_CENTER_Y_MM) / half_y) ** p
    return np.where(axes.z_mm < LUNG_APEX_Z_MM + wall_mm, level ** (1.0 / p), np.float32(np.inf))


def diaphragm_z_mm(axes: Axes) -> np.ndarray:
    """Height of the diaphragm over each (x, y): two domes with the central tendon between, deep behind."""
    y_span = np.where(axes.y_mm > 0.0, 82.0, 125.0)
    domes = []
    for center_x, top_z in ((-66.0, 0.0), (2.0, -14.0), (64.0, -12.0)):
        square = ((axes.x_mm - center_x) / 76.0) ** 2 + ((axes.y_mm + 4.0) / y_span) ** 2
        domes.append(top_z - 62.0 * square**1.4)
    return np.maximum(np.maximum.reduce(domes), np.float32(-110.0))


def paint_walls(axes: Axes, tissue: np.ndarray) -> np.ndarray:
    """Paint skin, fat, muscle, belly fat and lungs; returns the mask of the lungs."""
    tissue[body_level(axes) <= 1.0] = Tissue.SKIN
    tissue[body_level(axes, SKIN_MM) <= 1.0] = Tissue.FAT
    tissue[(body_level(axes, FAT_MM) <= 1.0) | (cavity_level(axes, 7.0) <= 1.0)] = Tissue.MUSCLE
    cavity = cavity_level(axes) <= 1.0
    tissue[cavity & (axes.z_mm < 40.0)] = Tissue.VISCERAL_FAT
    back = ((np.abs(axes.x_mm) - 34.0) / 30.0) ** 2 + ((axes.y_mm - 92.0) / 19.0) ** 2 <= 1.0
    psoas = (((np.abs(axes.x_mm) - 38.0) / 16.0) ** 2 + ((axes.y_mm - 62.0) / 18.0) ** 2 <= 1.0) & (axes.z_mm < -110.0)
    tissue[(back | psoas) & (body_level(axes, SKIN_MM) <= 1.0)] = Tissue.MUSCLE
    above = cavity & (axes.z_mm > diaphragm_z_mm(axes))
    return above & ~_mediastinum(axes) & ~back


def paint_chest(axes: Axes, tissue: np.ndarray, lungs: np.ndarray, rng: np.random.Generator) -> None:
    """Paint the lungs with their vessels, the mediastinum, heart, great vessels and airways."""
    muscle_sheet = (cavity_level(axes) <= 1.0) & (np.abs(axes.z_mm - diaphragm_z_mm(axes)) <= 2.5)
    tissue[muscle_sheet] = Tissue.MUSCLE
    mediastinum = _mediastinum(axes) & (cavity_level(axes) <= 1.0) & (axes.z_mm > diaphragm_z_mm(axes))
    tissue[mediastinum] = Tissue.VISCERAL_FAT
    tissue[lungs] = Tissue.LUNG
    tissue[axes.mask(*_lung_vessels(rng)) & lungs] = Tissue.LUNG_VESSEL
    above = axes.z_mm > diaphragm_z_mm(axes)
    tissue[axes.mask(_HEART) & above] = Tissue.MYOCARDIUM
    tissue[axes.mask(*_CHAMBERS) & above] = Tissue.BLOOD
    tissue[axes.mask(*_GREAT_VESSELS)] = Tissue.BLOOD
    tissue[axes.mask(Capsule((9.0, 44.0, -10.0), (2.0, 30.0, 200.0), 6.0))] = Tissue.GUT
    tissue[axes.mask(*_AIRWAYS)] = Tissue.GAS


def paint_bones(axes: Axes, tissue: np.ndarray) -> None:
    """Paint spine, ribs and breastbone."""
    _paint_ribs(axes, tissue)
    _paint_spine(axes, tissue)


_HEART = Superquadric((22.0, -28.0, 32.0), (50.0, 42.0, 44.0))
_CHAMBERS = (
    Superquadric((42.0, -28.0, 24.0), (21.0, 22.0, 27.0)),
    Superquadric((2.0, -46.0, 26.0), (23.0, 17.0, 27.0)),
    Superquadric((-12.0, -20.0, 46.0), (15.0, 18.0, 18.0)),
    Superquadric((18.0, 2.0, 54.0), (22.0, 12.0, 16.0)),
)
_GREAT_VESSELS = (
    Capsule((20.0, 40.0, -230.0), (20.0, 40.0, 98.0), 10.5),
    Capsule((20.0, 40.0, 98.0), (0.0, -14.0, 112.0), 11.5),
    Capsule((0.0, -14.0, 112.0), (8.0, -22.0, 62.0), 13.0),
    Capsule((-19.0, 32.0, -230.0), (-19.0, 26.0, -20.0), 11.0),
    Capsule((-19.0, 26.0, -20.0), (-14.0, -8.0, 40.0), 11.0),
    Capsule((-20.0, -18.0, 50.0), (-22.0, -14.0, 150.0), 8.5),
    Capsule((8.0, -20.0, 66.0), (26.0, 12.0, 84.0), 10.5),
)
_AIRWAYS = (
    Capsule((0.0, 14.0, 230.0), (0.0, 20.0, 96.0), 8.5),
    Capsule((0.0, 20.0, 96.0), (-38.0, 24.0, 68.0), 6.0),
    Capsule((0.0, 20.0, 96.0), (42.0, 26.0, 70.0), 5.5),
)


def _mediastinum(axes: Axes) -> np.ndarray:
    narrow = 30.0 - 8.0 * np.clip((axes.z_mm - 60.0) / 110.0, 0.0, 1.0)
    column = ((axes.x_mm - 2.0) / narrow) ** 2 + ((axes.y_mm - 18.0) / 62.0) ** 2 <= 1.0
    front = (np.abs(axes.x_mm - 4.0) <= 9.0) & (axes.y_mm < 0.0)
    spine = (axes.x_mm / 31.0) ** 2 + ((axes.y_mm - 76.0) / 34.0) ** 2 <= 1.0
    sac = Superquadric(_HEART.center_mm, tuple(a + 4.0 for a in _HEART.semi_axes_mm))  # type: ignore[arg-type]
    return column | front | spine | axes.mask(sac)


def _lung_vessels(rng: np.random.Generator) -> list[Capsule]:
    vessels: list[Capsule] = []
    for side in (-1.0, 1.0):
        hilum = np.array([side * 38.0, 18.0, 66.0])
        for n in range(13):
            height = -45.0 + 200.0 * n / 12.0
            tip = np.array([side * rng.uniform(65.0, 122.0), rng.uniform(-70.0, 70.0), height])
            fork = hilum + 0.5 * (tip - hilum) + rng.normal(0.0, 5.0, 3)
            vessels.append(Capsule(tuple(hilum), tuple(fork), 3.8))
            for spread in (-1.0, 0.0, 1.0):
                end = tip + spread * np.array([0.0, 26.0, 12.0])
                vessels.append(Capsule(tuple(fork), tuple(end), 1.9))
    return vessels


def _paint_ribs(axes: Axes, tissue: np.ndarray) -> None:
    shell = (cavity_level(axes, 1.5) > 1.0) & (cavity_level(axes, 8.5) <= 1.0)
    # Ribs fall by about 60 mm from the spine to the breastbone.
    phase = np.mod((axes.z_mm - 0.38 * axes.y_mm) / RIB_PERIOD_MM, 1.0)
    lower_edge_z = -95.0 - 0.9 * np.minimum(axes.y_mm - 20.0, 40.0)
    bony = shell & (phase < 0.42) & (axes.z_mm > lower_edge_z) & ~((np.abs(axes.x_mm) < 42.0) & (axes.y_mm < 0.0))
    tissue[bony] = Tissue.BONE
    core = (cavity_level(axes, 3.5) > 1.0) & (cavity_level(axes, 6.5) <= 1.0) & (phase > 0.1) & (phase < 0.32)
    tissue[bony & core] = Tissue.MARROW
    breastbone = (np.abs(axes.x_mm) < 17.0) & (axes.y_mm < 0.0) & (axes.z_mm > -5.0) & (axes.z_mm < 128.0)
    tissue[breastbone & shell] = Tissue.MARROW


def _paint_spine(axes: Axes, tissue: np.ndarray) -> None:
    x, y, z = axes.x_mm, axes.y_mm - SPINE_Y_MM, axes.z_mm
    phase = np.mod(z / VERTEBRA_PERIOD_MM, 1.0)
    body = (x / 19.0) ** 2 + (y / 15.5) ** 2
    vertebra = phase < 0.8
    tissue[(body <= 1.0) & vertebra] = Tissue.BONE
    tissue[(body <= 0.76) & (phase > 0.06) & (phase < 0.74)] = Tissue.MARROW
    tissue[(body <= 1.0) & ~vertebra] = Tissue.DISC
    arch = (x / 14.0) ** 2 + ((y - 23.0) / 12.0) ** 2
    spinous = (np.abs(x) < 4.0) & (y > 30.0) & (y < 48.0)
    transverse = (np.abs(x) < 34.0) & (np.abs(y - 22.0) < 4.5) & (phase < 0.35)
    tissue[((arch <= 1.0) & (phase < 0.6)) | (spinous & (phase < 0.6)) | transverse] = Tissue.BONE
    canal = ((x / 9.0) ** 2 + ((y - 22.0) / 8.0) ** 2 <= 1.0) & (z > -1000.0)
    tissue[canal] = Tissue.DISC
