"""Slicer's scene and logics on a machine without the application."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from types import TracebackType

# Draws one red picture in a process of its own, because a broken OpenGL ends the process instead of raising.
_PROBE = """
import sys
import vtkmodules.vtkRenderingOpenGL2 as opengl
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter
window = getattr(opengl, "vtkEGLRenderWindow", vtkRenderWindow)()
window.SetOffScreenRendering(1)
window.SetSize(8, 8)
renderer = vtkRenderer()
renderer.SetBackground(1.0, 0.0, 0.0)
window.AddRenderer(renderer)
window.Render()
grab = vtkWindowToImageFilter()
grab.SetInput(window)
grab.ReadFrontBufferOff()
grab.Update()
pixel = [grab.GetOutput().GetScalarComponentAsDouble(2, 2, 0, n) for n in range(3)]
sys.exit(0 if pixel == [255.0, 0.0, 0.0] else 3)
"""


def require_slicer_core() -> Any:
    """The ``slicer`` package with MRML classes.

    Raises
    ------
    InputError
        Where slicer-core is not installed.
    """
    try:
        import slicer
    except ImportError as error:
        raise InputError(
            "slicer-core", f"not usable here ({error})", 'Run: pip install "tarecomet[scene]"', code="no-slicer-core"
        ) from error
    if not hasattr(slicer, "vtkMRMLScene"):
        raise InputError(
            "slicer-core",
            "the package named slicer that is installed here is not 3D Slicer's",
            'Run: pip install "tarecomet[scene]"',
            code="no-slicer-core",
        )
    return slicer


@lru_cache(maxsize=1)
def can_render_offscreen() -> bool:
    """Whether VTK can draw without a screen here; tried once, in a process of its own."""
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def require_offscreen_rendering() -> None:
    """Raise InputError, in one line, where VTK cannot draw without a screen."""
    if not can_render_offscreen():
        raise InputError(
            "off-screen rendering",
            "VTK cannot draw without a screen on this machine",
            "Install Mesa's EGL, on Debian or Ubuntu: apt install libegl1 libgl1-mesa-dri",
            code="no-egl",
        )


class HeadlessSlicer:
    """A scene with the logics that the application would have set up; use it in a ``with`` block.

    Attributes
    ----------
    scene : vtkMRMLScene
        The scene.
    application_logic : vtkSlicerApplicationLogic
        Knows the module logics below.

    Raises
    ------
    InputError
        Where slicer-core is not installed.
    """

    def __init__(self) -> None:
        slicer = require_slicer_core()
        self._cache = tempfile.TemporaryDirectory(prefix="tarecomet-scene-")
        self.scene = slicer.vtkMRMLScene()
        self.application_logic = slicer.vtkSlicerApplicationLogic()
        self.application_logic.SetMRMLScene(self.scene)
        self._remote_io = slicer.vtkMRMLRemoteIOLogic()
        self._remote_io.GetCacheManager().SetRemoteCacheDirectory(self._cache.name)
        self._remote_io.SetMRMLScene(self.scene)
        self._remote_io.AddDataIOToScene()
        self._logics: dict[str, Any] = {}
        # The plain color logic: vtkSlicerColorLogic looks for color files in the application's folder.
        self.application_logic.GetColorLogic().SetMRMLScene(self.scene)
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        for module, logic in (
            ("Volumes", slicer.vtkSlicerVolumesLogic()),
            ("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic()),
            ("Models", slicer.vtkSlicerModelsLogic()),
        ):
            self._add_logic(module, logic)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene)
        self._views: dict[str, Any] = {}

    def _add_logic(self, module: str, logic: Any) -> None:
        logic.SetMRMLApplicationLogic(self.application_logic)
        logic.SetMRMLScene(self.scene)
        self.application_logic.SetModuleLogic(module, logic)
        self._logics[module] = logic

    def view(self, kind: str, factory: Any) -> Any:
        """The view of this kind, made by ``factory(self)`` on first use and closed with the scene."""
        if kind not in self._views:
            self._views[kind] = factory(self)
        return self._views[kind]

    def close(self) -> None:
        """Take views, nodes and logics apart in the order that leaves nothing observing anything."""
        for view in self._views.values():
            view.close()
        self._views.clear()
        if self.scene is None:
            return
        self.scene.Clear(1)
        for module in self._logics:
            self.application_logic.SetModuleLogic(module, None)
        self._logics.clear()
        self._remote_io.RemoveDataIOFromScene()
        self._remote_io = None
        self.application_logic = None
        self.scene = None
        self._cache.cleanup()

    def __enter__(self) -> HeadlessSlicer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
