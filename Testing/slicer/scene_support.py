"""What the tests of the scene share: the library, a scene without the application, VTK's errors as failures."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np

if importlib.util.find_spec("TARECOMETLib") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume

HAS_SLICER_CORE = importlib.util.find_spec("slicer") is not None and importlib.util.find_spec("vtkmodules") is not None
requires_slicer = unittest.skipUnless(HAS_SLICER_CORE, 'needs slicer-core: pip install "tarecomet[scene]"')


@requires_slicer
class SceneTestCase(unittest.TestCase):
    """A fresh scene for every test; text with "ERROR" in VTK's output fails it."""

    def setUp(self) -> None:
        import vtk

        from TARECOMETLib.mrml.headless import HeadlessSlicer

        self._previous_output = vtk.vtkOutputWindow.GetInstance()
        self._output = vtk.vtkStringOutputWindow()
        vtk.vtkOutputWindow.SetInstance(self._output)
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        self.headless = HeadlessSlicer()
        self.scene = self.headless.scene
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def tearDown(self) -> None:
        import vtk

        self.headless.close()
        text = self._output.GetOutput()
        vtk.vtkOutputWindow.SetInstance(self._previous_output)
        self.assertNotIn("ERROR", text)

    def require_rendering(self) -> None:
        """Skip the test, visibly, where this machine cannot draw off-screen."""
        from TARECOMETLib.mrml.headless import can_render_offscreen

        if not can_render_offscreen():
            self.skipTest("needs Mesa's EGL for off-screen rendering: libegl1 libgl1-mesa-dri")

    def node_names(self) -> list[tuple[str, str]]:
        """Class and name of every node."""
        nodes = (self.scene.GetNthNode(n) for n in range(self.scene.GetNumberOfNodes()))
        return sorted((node.GetClassName(), node.GetName() or "") for node in nodes)


def oblique_geometry(
    shape_kji: tuple[int, int, int] = (24, 36, 30), spacing_mm: tuple[float, float, float] = (2.0, 2.5, 4.0)
) -> VolumeGeometry:
    """A grid turned by 20 and 10 degrees around two axes, with its center at (-40, 12, 25) mm LPS."""
    a, b = np.deg2rad(20.0), np.deg2rad(10.0)
    turn_z = np.array([[np.cos(a), -np.sin(a), 0.0], [np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]])
    turn_x = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(b), -np.sin(b)], [0.0, np.sin(b), np.cos(b)]])
    axes = turn_z @ turn_x
    half = axes @ (np.array(spacing_mm) * (np.array(shape_kji[::-1]) - 1) / 2.0)
    x, y, z = np.array([-40.0, 12.0, 25.0]) - half
    return VolumeGeometry.from_components(
        shape_kji, spacing_mm=spacing_mm, origin_lps_mm=(float(x), float(y), float(z)), direction_lps=axes
    )


def positions_lps_mm(geometry: VolumeGeometry) -> np.ndarray:
    """Center of every voxel, shape (k, j, i, 3)."""
    k, j, i = np.indices(geometry.shape_kji)
    return (np.stack([i, j, k, np.ones_like(i)], axis=-1) @ geometry.ijk_to_lps.T)[..., :3]


def ball(geometry: VolumeGeometry, center_lps_mm: Any, radius_mm: float) -> Volume:
    """A boolean volume, true inside a sphere."""
    distance = np.linalg.norm(positions_lps_mm(geometry) - np.asarray(center_lps_mm), axis=-1)
    return Volume(distance <= radius_mm, geometry)
