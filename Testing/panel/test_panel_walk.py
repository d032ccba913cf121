"""The module's own panel file, driven without the application."""

import importlib.util
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "slicer")]
from scene_support import SceneTestCase, requires_slicer  # noqa: E402

HAS_PYSIDE = importlib.util.find_spec("PySide6") is not None


@requires_slicer
@unittest.skipUnless(HAS_PYSIDE, "needs PySide6-Essentials as the host of the panel")
class TestPanel(SceneTestCase):
    def setUp(self):
        super().setUp()
        from qt_host import HOST

        self.host = HOST
        HOST.start()
        HOST.errors.clear()
        self.widget = HOST.widget(self.scene)
        self.addCleanup(self.widget.cleanup)

    def tearDown(self):
        self.widget.cleanup()
        super().tearDown()
        self.assertEqual(self.host.errors, [])

    def test_every_named_widget_of_the_form_is_found(self):
        import xml.etree.ElementTree as ET

        form = ET.parse(Path(self.widget.resourcePath("UI/TARECOMET.ui")))
        names = {element.get("name") for element in form.iter("widget")}
        self.assertLessEqual(names, set(vars(type(self.widget.ui))) | set(vars(self.widget.ui)))

    def test_walk_from_an_empty_scene_to_doses(self):
        from TARECOMETPanel.walk import walk

        walk(self.widget, self.scene, self)

    def test_entering_and_leaving_installs_and_removes_shortcuts_and_view_observations(self):
        editor = self.widget.panel.steps[1].editor
        self.widget.enter()
        self.assertTrue(editor.has_shortcuts and editor.observes_views)
        self.widget.exit()
        self.assertFalse(editor.has_shortcuts or editor.observes_views)
        import slicer

        self.assertEqual(
            editor.mrmlSegmentEditorNode().GetOverwriteMode(), slicer.vtkMRMLSegmentEditorNode.OverwriteNone
        )


if __name__ == "__main__":
    unittest.main()
