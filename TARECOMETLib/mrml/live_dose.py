"""DVH chart and metrics that follow each stroke in the Segment Editor, on the dose maps as they were computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from ..case.biology import curves_in_bed
from ..case.roles import contour_role
from ..dosimetry.live_dvh import Box, LiveDvh
from ..errors import InputError
from ..imaging.geometry import VolumeGeometry, same_grid
from ..physics.nuclides import constants_set
from .case_node import CaseNode
from .coordinates import LPS_TO_RAS, parent_matrix_ras
from .dvh_chart import BED_TITLE, DOSE_COLUMN, MILLILITERS, PER_CENT, POINTS, write_dvh_chart, write_text_table
from .role_colors import role_color
from .segmentations import image_geometry, segment_ids, segment_role
from .volumes import read_geometry, read_volume

HEADER = [
    "Compartment",
    "Volume (mL)",
    "Predicted mean (Gy)",
    "Delivered mean (Gy)",
    "Predicted D70 (Gy)",
    "Delivered D70 (Gy)",
    "Predicted V100 (%)",
    "Delivered V100 (%)",
]
NOT_THERE = "–"


class LiveDose:
    """Follows the contours of one patient.

    Parameters
    ----------
    opened : CaseNode
        With dose maps in the scene.
    method : str
        local or kernel.
    volume_unit : str
        Of the chart: ``"%"`` or ``"mL"``.
    in_bed : bool
        The chart's axis is BED, each compartment by its own tissue; those without one are not drawn.

    Raises
    ------
    InputError
        Where there is no dose map or no contour.
    """

    def __init__(self, opened: CaseNode, method: str, volume_unit: str = PER_CENT, in_bed: bool = False) -> None:
        self.opened, self.method, self.volume_unit, self.in_bed = opened, method, volume_unit, in_bed
        nodes = {phase: opened.dose_node(phase, method) for phase in ("pre", "post")}
        self.nodes = {phase: node for phase, node in nodes.items() if node is not None}
        segmentation = opened.contours_node()
        if not self.nodes:
            raise InputError("dose", "there is no dose map", "Compute the doses first")
        if segmentation is None or not segment_ids(segmentation):
            raise InputError("contours", "there is none", "Draw the liver and its tumours first")
        self.segmentation: Any = segmentation
        self.stamp = self._stamp()
        self._layers: dict[str, tuple[int, np.ndarray, tuple[int, int, int]]] = {}
        self._boxes: dict[str, Box] = {}
        self._begin()

    def _stamp(self) -> Any:
        """What a new engine is needed for: dose maps, names and roles of the contours, and where they stand."""
        segmentation = self.segmentation.GetSegmentation()
        rows = tuple(
            (key, segmentation.GetSegment(key).GetName(), segment_role(self.segmentation, key))
            for key in segment_ids(self.segmentation)
        )
        doses = tuple((node.GetID(), node.GetImageData().GetMTime()) for node in self.nodes.values())
        return rows, doses, tuple(parent_matrix_ras(self.segmentation).ravel())

    def _begin(self) -> None:
        self._ids = {}
        roles = {}
        for key in segment_ids(self.segmentation):
            name = self.segmentation.GetSegmentation().GetSegment(key).GetName()
            self._ids[name] = key
            roles[name] = segment_role(self.segmentation, key) or contour_role(name)
        self.roles = roles
        volumes = {phase: read_volume(node) for phase, node in self.nodes.items()}
        grid = next(iter(volumes.values())).geometry
        for volume in volumes.values():
            if not same_grid(volume.geometry, grid):
                raise InputError("dose", "the two dose maps lie on different grids", "Compute the doses again")
        self.lattice = self._first_lattice()
        self.engine = LiveDvh(grid, {phase: volume.array for phase, volume in volumes.items()}, self.lattice, roles)
        top = max(float(volume.array.max()) for volume in volumes.values())
        self.axis_gy = np.linspace(0.0, max(10.0, 10.0 * np.ceil(top / 10.0)), POINTS)
        self._curves: dict[tuple[str, str], np.ndarray] = {}
        self._rows: dict[str, list[str]] = {}
        self._changed_contours()
        self._figures({c.name for c in self.engine.compartments})
        self._write()

    def _first_lattice(self) -> VolumeGeometry:
        for key in segment_ids(self.segmentation):
            image = _labelmap(self.segmentation, key)
            if image is not None:
                return image_geometry(image, parent_matrix_ras(self.segmentation))
        raise InputError("contours", "nothing is drawn yet", "Draw the liver first")

    # --- after a stroke ---------------------------------------------------------------------------------

    def update(self) -> set[str]:
        """Follow the contours; returns the compartments that changed. Cheap where nothing did."""
        if self._stamp() != self.stamp:
            self.stamp = self._stamp()
            self._layers.clear()
            self._boxes.clear()
            self._begin()
            return {c.name for c in self.engine.compartments}
        changed = self._changed_contours()
        if changed:
            self._figures(changed)
            self._write()
        return changed

    def _changed_contours(self) -> set[str]:
        """Bring contours whose voxels changed to the engine.

        Segments that share a layer share a labelmap, and its change names none of them: the old and new voxels are
        compared, and the label values that differ tell which.
        """
        changed: set[str] = set()
        touched: dict[str, np.ndarray | None] = {}
        for name, key in self._ids.items():
            if name not in self.engine.names:
                continue
            image = _labelmap(self.segmentation, key)
            if image is None:
                changed |= self.engine.set_contour(name, Box((0, 0, 0), np.zeros((0, 0, 0), dtype=bool)))
                continue
            address = image.GetAddressAsString("")
            if address not in touched:
                touched[address] = self._labels_that_changed(address, image)
            labels = touched[address]
            value = self.segmentation.GetSegmentation().GetSegment(key).GetLabelValue()
            if name in self._boxes and labels is not None and value not in labels:
                continue
            self._boxes[name] = self._box(address, image, value)
            changed |= self.engine.set_contour(name, self._boxes[name])
        self._layers = {address: layer for address, layer in self._layers.items() if address in touched}
        return changed

    def _labels_that_changed(self, address: str, image: Any) -> np.ndarray | None:
        """Label values whose voxels changed since last time; None where the layer is new."""
        known = self._layers.get(address)
        stamp = max(image.GetMTime(), image.GetPointData().GetScalars().GetMTime())
        if known is not None and known[0] == stamp:
            return np.zeros(0, dtype=int)
        view = _view(image)
        lower = (image.GetExtent()[4], image.GetExtent()[2], image.GetExtent()[0])
        labels: np.ndarray | None = None
        if known is not None and known[2] == lower and known[1].shape == view.shape:
            differs = known[1] != view
            labels = np.unique(np.concatenate((known[1][differs], view[differs])))
        self._layers[address] = (stamp, view.copy(), lower)
        return labels

    def _box(self, address: str, image: Any, value: int) -> Box:
        """Voxels of one label, in indices of the engine's lattice."""
        filled = self._layers[address][1] == value
        bounds = []
        for axis in range(3):
            hit = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
            if hit.size == 0:
                return Box((0, 0, 0), np.zeros((0, 0, 0), dtype=bool))
            bounds.append(slice(int(hit[0]), int(hit[-1]) + 1))
        geometry = image_geometry(image, parent_matrix_ras(self.segmentation))
        to_lattice = self.lattice.lps_to_ijk @ geometry.ijk_to_lps
        shift = np.round(to_lattice[:3, 3])
        if not np.allclose(to_lattice[:3, :3], np.eye(3), atol=1e-4) or not np.allclose(
            to_lattice[:3, 3], shift, atol=1e-2
        ):
            raise InputError(
                "contours",
                "the segments lie on different grids, so DVHs cannot follow the brush",
                "Compute the doses for their DVHs, or draw all contours in one segmentation geometry",
                "segment-grids",
            )
        lower = tuple(int(b.start + s) for b, s in zip(bounds, shift[::-1], strict=True))
        return Box(lower, filled[tuple(bounds)])  # type: ignore[arg-type]

    # --- figures ----------------------------------------------------------------------------------------

    def _figures(self, names: set[str]) -> None:
        for name in names:
            dvhs = {phase: self.engine.dvh(phase, name) for phase in self.nodes}
            volume_ml = self.engine.volume_ml(name)
            row = [name, f"{volume_ml:.1f}" if volume_ml > 0.0 else NOT_THERE]
            for figure in (
                lambda dvh: dvh.mean_gy(),
                lambda dvh: dvh.dose_to_volume_gy(70.0),
                lambda dvh: dvh.volume_at_dose_percent(100.0),
            ):
                for phase in ("pre", "post"):
                    dvh = dvhs.get(phase)
                    row.append(NOT_THERE if dvh is None else f"{figure(dvh):.1f}")
            self._rows[name] = row
            for phase, dvh in dvhs.items():
                if dvh is None:
                    self._curves[name, phase] = np.full(POINTS, np.nan)
                else:
                    self._curves[name, phase] = curve_at(dvh, self.axis_gy, self.volume_unit)

    def _write(self) -> None:
        scene = self.segmentation.GetScene()
        case_id = self.opened.stored().case_id
        order = [c.name for c in self.engine.compartments]
        curves = {(name, phase): self._curves[name, phase] for name in order for phase in self.nodes}
        axis, title = self.axis_gy, DOSE_COLUMN
        if self.in_bed:
            case = self.opened.stored()
            half_life_h = constants_set(case.constants_set).half_life_h
            compartments = {c.name: c for c in self.engine.compartments}
            axis, curves = curves_in_bed(case, compartments, self.axis_gy, curves, half_life_h)
            title = BED_TITLE
            if not curves:
                raise InputError(
                    "BED", "no tissue is given", "Type α/β and repair half-time of tumor or liver in the step Dose"
                )
        self.chart = write_dvh_chart(scene, case_id, axis, curves, self._colors(), self.volume_unit, title)
        self.metrics = write_text_table(scene, case_id, HEADER, [self._rows[name] for name in order])

    def _colors(self) -> dict[str, tuple[float, float, float]]:
        """Drawn compartments in their segments' colors, derived ones in neutral tones."""
        segmentation = self.segmentation.GetSegmentation()
        derived = [c.name for c in self.engine.compartments if c.name not in self._ids]
        colors = {name: role_color("other", number) for number, name in enumerate(derived)}
        return colors | {name: tuple(segmentation.GetSegment(key).GetColor()) for name, key in self._ids.items()}


def curve_at(dvh: Any, axis_gy: np.ndarray, volume_unit: str) -> np.ndarray:
    """Volume at or above each dose of an axis, in % of the structure or in mL."""
    above = np.concatenate(([0.0], np.cumsum(dvh.volume_ml)))
    count = np.searchsorted(-dvh.dose_gy, -axis_gy, side="right")
    return above[count] if volume_unit == MILLILITERS else 100.0 * above[count] / above[-1]


def _labelmap(node: Any, segment_id: str) -> Any | None:
    """A segment's labelmap with voxels in it, as it is stored: shared with others of its layer."""
    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    image = node.GetSegmentation().GetSegment(segment_id).GetRepresentation(name)
    if image is None or min(image.GetDimensions()) < 1 or image.GetPointData().GetScalars() is None:
        return None
    return image


def _view(image: Any) -> np.ndarray:
    """Voxels of a labelmap as [k, j, i], not copied."""
    i, j, k = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)


def readout(opened: CaseNode, method: str, point_ras_mm: tuple[float, float, float], gy_g_per_mbq: float) -> str:
    """What lies under the crosshair: predicted and delivered dose, difference, activity, and compartments.

    Parameters
    ----------
    opened : CaseNode
    method : str
        Dose map shown.
    point_ras_mm : tuple of float
    gy_g_per_mbq : float
        Dose constant, for the activity at injection that local deposition stands for.
    """
    point = LPS_TO_RAS @ np.array([*point_ras_mm, 1.0])
    doses: dict[str, float] = {}
    for phase in ("pre", "post"):
        node = opened.dose_node(phase, method)
        value = _value_at(node, point)
        if value is not None:
            doses[phase] = value
    words = [f"{'predicted' if p == 'pre' else 'delivered'} {d:.1f} Gy" for p, d in doses.items()]
    if len(doses) == 2:
        words.append(f"difference {doses['post'] - doses['pre']:+.1f} Gy")
    local = _value_at(opened.dose_node("post", "local"), point)
    if local is not None:
        density = opened.stored().settings.liver_density_g_ml
        words.append(f"{local * density / gy_g_per_mbq:.2f} MBq/mL at injection")
    names = _names_at(opened.contours_node(), point)
    return "; ".join(words or ["outside the dose map"]) + (f" in {', '.join(names)}" if names else "")


def _value_at(node: Any, point_lps: np.ndarray) -> float | None:
    if node is None:
        return None
    geometry = read_geometry(node)
    i, j, k = np.round((geometry.lps_to_ijk @ point_lps)[:3]).astype(int)
    if not all(0 <= n < size for n, size in zip((k, j, i), geometry.shape_kji, strict=True)):
        return None
    return float(node.GetImageData().GetScalarComponentAsDouble(int(i), int(j), int(k), 0))


def _names_at(node: Any, point_lps: np.ndarray) -> list[str]:
    names = []
    for key in segment_ids(node) if node is not None else ():
        image = _labelmap(node, key)
        if image is None:
            continue
        geometry = image_geometry(image, parent_matrix_ras(node))
        index = np.round((geometry.lps_to_ijk @ point_lps)[:3]).astype(int)[::-1]
        segment = node.GetSegmentation().GetSegment(key)
        inside = all(0 <= n < size for n, size in zip(index, geometry.shape_kji, strict=True))
        if inside and _view(image)[tuple(index)] == segment.GetLabelValue():
            names.append(segment.GetName())
    return names
