"""A scene without the application, and refusals that say how to mend them."""

import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from scene_support import SceneTestCase

import TARECOMETLib
from TARECOMETLib.errors import InputError
from TARECOMETLib.mrml import headless


class Headless(SceneTestCase):
    def test_a_scene_can_be_closed_twice_and_opened_again(self) -> None:
        with headless.HeadlessSlicer() as other:
            count = other.scene.GetNumberOfNodes()
        other.close()
        with headless.HeadlessSlicer() as again:
            self.assertEqual(again.scene.GetNumberOfNodes(), count)

    def test_no_drawing_is_refused_in_one_line_with_the_packages(self) -> None:
        no_drawing = mock.patch.object(headless, "can_render_offscreen", return_value=False)
        with no_drawing, self.assertRaises(InputError) as caught:
            headless.require_offscreen_rendering()
        self.assertIn("libegl1 libgl1-mesa-dri", str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_a_crash_while_drawing_is_an_answer_and_not_the_end(self) -> None:
        headless.can_render_offscreen.cache_clear()
        self.addCleanup(headless.can_render_offscreen.cache_clear)
        with mock.patch.object(headless, "_PROBE", "import os; os.abort()"):
            self.assertFalse(headless.can_render_offscreen())


class WithoutSlicer(unittest.TestCase):
    def test_missing_slicer_core_is_refused_in_one_line_with_the_mend(self) -> None:
        with mock.patch.dict(sys.modules, {"slicer": None}), self.assertRaises(InputError) as caught:
            headless.HeadlessSlicer()
        self.assertIn('pip install "tarecomet[scene]"', str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_package_and_color_numbers_import_without_slicer_and_vtk(self) -> None:
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); sys.modules.update(slicer=None, vtk=None, vtkmodules=None);"
            "import TARECOMETLib.mrml, TARECOMETLib.mrml.headless, TARECOMETLib.report.dose_colors"
        )
        library = str(Path(TARECOMETLib.__file__).resolve().parents[1])
        run = subprocess.run([sys.executable, "-c", code, library], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)


if __name__ == "__main__":
    unittest.main()
