"""A digital patient made of analytic shapes: tissue map, organ masks, and the CTs made from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..imaging.geometry import VolumeGeometry
from .abdomen import TumourPlan, left_side, liver_mask, paint_organs, tumour_masks
from .shapes import Axes
from .tissues import Tissue, correlated_noise, hounsfield_map
from .torso import paint_bones, paint_chest, paint_walls

DEFAULT_TUMOURS = (
    TumourPlan("1", (-84.0, 4.0, -58.0), 60.0, (1.0, 1.15, 0.95)),
    TumourPlan("2", (12.0, -50.0, -40.0), 15.0, (1.15, 1.0, 0.9)),
    TumourPlan("3", (-96.0, -34.0, -104.0), 5.0, (1.0, 0.9, 1.1)),
    TumourPlan("4", (-52.0, 40.0, -70.0), 1.5),
)


@dataclass(frozen=True)
class AnatomyParameters:
    """Size of the field and of the voxels, and the tumours.

    Parameters
    ----------
    spacing_mm : tuple of float
        Voxel edges of the diagnostic CT along left, posterior, superior. Keep them at most about two
        thirds of the emission voxels, or activity put onto these shows bands.
    lower_mm, upper_mm : tuple of float
        Corners of the diagnostic CT's field in LPS.
    margin_z_mm : float
        How far the patient goes on above and below that field, for CTs that are moved against it.
    tumours : tuple of TumourPlan
        Metastases, in the liver.
    """

    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0)
    lower_mm: tuple[float, float, float] = (-172.0, -116.0, -208.0)
    upper_mm: tuple[float, float, float] = (172.0, 132.0, 184.0)
    margin_z_mm: float = 24.0
    tumours: tuple[TumourPlan, ...] = field(default=DEFAULT_TUMOURS)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The patient. All masks lie on the diagnostic CT's grid; the tissue map goes on above and below it.

    Parameters
    ----------
    geometry : VolumeGeometry
        Grid of the diagnostic CT.
    world_geometry : VolumeGeometry
        Grid of the tissue map and texture, the former lengthened along z.
    tissue, texture : ndarray
        Labels out of `Tissue`, and noise of variance 1 that belongs to the anatomy.
    liver, lungs, right_lobe, left_lobe, tumour_cores : ndarray of bool
        Organs; the two lobes part the liver.
    tumours : dict
        Mask by the tumour's name.
    """

    geometry: VolumeGeometry
    world_geometry: VolumeGeometry
    tissue: np.ndarray
    texture: np.ndarray
    liver: np.ndarray
    lungs: np.ndarray
    right_lobe: np.ndarray
    left_lobe: np.ndarray
    tumours: dict[str, np.ndarray]
    tumour_cores: np.ndarray

    @property
    def center_lps_mm(self) -> np.ndarray:
        """Center of the diagnostic CT's field, about which scans are turned."""
        return self.geometry.corners_lps_mm().mean(axis=0)

    @property
    def all_tumours(self) -> np.ndarray:
        """Union of the tumours."""
        union = np.zeros(self.geometry.shape_kji, dtype=bool)
        for mask in self.tumours.values():
            union |= mask
        return union

    def structures(self) -> dict[str, np.ndarray]:
        """What a person would have drawn: mask by file name."""
        drawn = {"liver": self.liver, "right-lobe": self.right_lobe, "left-lobe": self.left_lobe, "lungs": self.lungs}
        return drawn | {f"metastasis-{name}": mask for name, mask in self.tumours.items()}

    def world_hounsfield(self, *, contrast: bool) -> np.ndarray:
        """CT numbers of the lengthened patient before noise."""
        return hounsfield_map(self.tissue, self.texture, self.world_geometry.spacing_mm, contrast=contrast)

    def to_field(self, world: np.ndarray) -> np.ndarray:
        """The part of an array on the lengthened grid that lies on the diagnostic CT's grid."""
        margin = (world.shape[0] - self.geometry.shape_kji[0]) // 2
        return world[margin : margin + self.geometry.shape_kji[0]]


def build_anatomy(parameters: AnatomyParameters | None = None, *, seed: int = 20270) -> Anatomy:
    """Make the patient.

    Parameters
    ----------
    parameters : AnatomyParameters, optional
        Field, voxels, tumours.
    seed : int
        Decides on texture, small vessels, gut and the tumours' edges.

    Returns
    -------
    Anatomy
        Tissue map and masks.
    """
    parameters = parameters or AnatomyParameters()
    wall_rng, tumour_rng, texture_rng = (np.random.default_rng([seed, 1, n]) for n in range(3))
    spacing = np.asarray(parameters.spacing_mm)
    low, high = np.asarray(parameters.lower_mm), np.asarray(parameters.upper_mm)
    size_ijk = np.floor((high - low) / spacing + 1e-6).astype(int) + 1
    geometry = VolumeGeometry.from_components(
        (int(size_ijk[2]), int(size_ijk[1]), int(size_ijk[0])),
        spacing_mm=parameters.spacing_mm,
        origin_lps_mm=parameters.lower_mm,
    )
    margin = int(np.ceil(parameters.margin_z_mm / spacing[2]))
    k, j, i = geometry.shape_kji
    world = geometry.cropped((-margin, 0, 0), (k + 2 * margin, j, i))
    axes = Axes.of(world)
    tissue = np.zeros(world.shape_kji, dtype=np.uint8)
    lungs = paint_walls(axes, tissue)
    paint_chest(axes, tissue, lungs, wall_rng)
    liver = liver_mask(axes)
    paint_organs(axes, tissue, liver, wall_rng)
    paint_bones(axes, tissue)
    # Bones, airways and great vessels win over lung; the liver's own vessels stay liver.
    lungs &= np.isin(tissue, (Tissue.LUNG, Tissue.LUNG_VESSEL))
    liver &= np.isin(tissue, (Tissue.LIVER, Tissue.LIVER_VESSEL))
    tumours, cores = tumour_masks(axes, parameters.spacing_mm, liver, parameters.tumours, tumour_rng)
    for mask in tumours.values():
        tissue[mask] = Tissue.TUMOUR
    tissue[cores] = Tissue.TUMOUR_CORE
    inner = slice(margin, margin + k)
    left = liver & left_side(axes)
    return Anatomy(
        geometry=geometry,
        world_geometry=world,
        tissue=tissue,
        texture=correlated_noise(texture_rng, world.shape_kji, parameters.spacing_mm, 6.0),
        liver=liver[inner],
        lungs=lungs[inner],
        right_lobe=(liver & ~left)[inner],
        left_lobe=left[inner],
        tumours={name: mask[inner] for name, mask in tumours.items()},
        tumour_cores=cores[inner],
    )
