"""The module's own panel file, driven without the application."""

import importlib.util
import re
import subprocess
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "slicer")]
from scene_support import SceneTestCase, requires_slicer  # noqa: E402

HAS_PYSIDE = importlib.util.find_spec("PySide6") is not None
ROOT = Path(__file__).resolve().parents[2]
# What a new process reads out of a saved scene, through the panel.
REOPEN = """
import json, sys
sys.path[:0] = sys.argv[2:]
from qt_host import HOST
HOST.start()
from TARECOMETLib.mrml.bundle import load_bundle, save_bundle
from TARECOMETLib.mrml.headless import HeadlessSlicer
headless = HeadlessSlicer()
load_bundle(headless.scene, sys.argv[1])
widget = HOST.widget(headless.scene)
widget.enter()
count = headless.scene.GetNumberOfNodes()
opened = widget.panel.session.open()
print(json.dumps({
    "badges": [step.badgeLabel.text for step in widget.panel.steps],
    "results": opened.results(), "nodes": count,
    "rows": widget.ui.doseTable.rowCount, "net": widget.ui.netLabel.text,
}))
widget.exit()
widget.cleanup()
headless.close()
"""


@requires_slicer
@unittest.skipUnless(HAS_PYSIDE, "needs PySide6-Essentials as the host of the panel")
class PanelTestCase(SceneTestCase):
    """The panel on a fresh scene."""

    def setUp(self):
        super().setUp()
        from qt_host import HOST

        self.host = HOST
        HOST.start()
        HOST.errors.clear()
        self.widget = HOST.widget(self.scene)
        self.ui, self.panel = self.widget.ui, self.widget.panel

    def tearDown(self):
        self.widget.cleanup()
        super().tearDown()
        self.assertEqual(self.host.errors, [])


class TestForm(PanelTestCase):
    def test_every_named_widget_of_the_form_is_found(self):
        import xml.etree.ElementTree as ET

        form = ET.parse(Path(self.widget.resourcePath("UI/TARECOMET.ui")))
        names = {element.get("name") for element in form.iter("widget")}
        self.assertLessEqual(names, set(vars(self.ui)) | set(vars(type(self.ui))))

    def test_it_fits_into_500_pixels(self):
        self.assertLessEqual(self.ui.TARECOMET.minimumSizeHint().width(), 500)

    def test_entering_and_leaving_installs_and_removes_shortcuts_and_view_observations(self):
        import slicer

        editor = self.panel.steps[1].editor
        self.widget.enter()
        self.assertTrue(editor.has_shortcuts)
        self.widget.exit()
        self.assertFalse(editor.has_shortcuts or editor.observes_views)
        self.assertEqual(
            editor.mrmlSegmentEditorNode().GetOverwriteMode(), slicer.vtkMRMLSegmentEditorNode.OverwriteNone
        )

    def test_stand_ins_have_only_members_of_the_true_classes(self):
        listed = {}
        for line in (Path(__file__).parent / "slicer_widget_members.txt").read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                name, _, members = line.partition(":")
                listed[name] = set(members.split())
        for name, kind in self.host.stand_ins.items():
            own = {member for member in vars(kind) if re.fullmatch(r"[a-z][A-Za-z0-9]*", member)} - {"setProperty"}
            own -= {"staticMetaObject", "name"}
            with self.subTest(widget=name):
                self.assertLessEqual(own, listed[name])


class TestPackages(PanelTestCase):
    """What is asked of Slicer's installer; nothing is installed here."""

    def setUp(self):
        super().setUp()
        import types

        import slicer
        from TARECOMETPanel import packages

        self.packages, self.asked = packages, []
        slicer.packaging = types.SimpleNamespace(
            pip_ensure=lambda names, **more: self.asked.append((names, more["constraints"].read_text())),
            pip_install=lambda names, **more: self.asked.append((names, more["constraints"].read_text())),
        )
        self.find = packages.importlib.util.find_spec

    def test_missing_packages_are_asked_for_and_slicers_own_stay_as_they_are(self):
        from unittest import mock

        import numpy as np

        from TARECOMETLib.errors import InputError

        with (
            mock.patch.object(self.packages, "missingPackages", lambda _packages: ["typst>=0.15"]),
            self.assertRaisesRegex(InputError, "typst"),
        ):
            self.packages.offerPackages()
        self.assertEqual(self.asked[0][0], ["typst>=0.15"])
        self.assertIn(f"numpy=={np.__version__}", self.asked[0][1])

    def test_a_folder_of_wheels_is_used_without_a_network_even_with_blanks_in_its_name(self):
        from TARECOMETLib.errors import InputError

        place = self.folder / "our wheels é"
        place.mkdir()
        with self.assertRaisesRegex(InputError, "no wheel"):
            self.packages.installFromFolder(place)
        (place / "typst-0.15-py3-none-any.whl").write_bytes(b"")
        self.packages.installFromFolder(place)
        self.assertEqual(self.asked[0][0][:3], ["--no-index", "--find-links", str(place)])


class TestWalk(PanelTestCase):
    def test_walk_from_an_empty_scene_to_doses_found_again_in_a_new_process(self):
        import json

        from TARECOMETPanel.walk import walk

        from TARECOMETLib.mrml.bundle import save_bundle

        opened = walk(self.widget, self.scene, self)
        self.panel.refresh()
        badges = [step.badgeLabel.text for step in self.panel.steps]
        bundle = save_bundle(self.scene, self.folder / "walk.mrb")
        paths = [str(Path(__file__).resolve().parent), str(ROOT), str(ROOT / "TARECOMET")]
        again = subprocess.run(
            [sys.executable, "-c", REOPEN, str(bundle), *paths],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.assertEqual(again.returncode, 0, again.stderr)
        found = json.loads(again.stdout.splitlines()[-1])
        self.assertEqual(found["badges"], badges)
        self.assertEqual(found["results"], opened.results())
        self.assertEqual(found["nodes"], self.scene.GetNumberOfNodes())
        self.assertEqual((found["rows"], found["net"]), (self.ui.doseTable.rowCount, self.ui.netLabel.text))

    def ready(self):
        """A patient that can be computed at once."""
        from TARECOMETPanel.walk import small_patient

        from TARECOMETLib.mrml.sample_patient import load_case

        _place, made, inputs = small_patient(self.folder)
        opened = load_case(self.panel.session, made.case, inputs)
        self.widget.enter()
        self.assertTrue(self.ui.computeButton.enabled, self.ui.computeButton.toolTip)
        return opened

    def test_closing_the_scene_during_compute_ends_it_quietly(self):
        self.ready()
        self.ui.computeButton.click()
        for _ in range(5):
            self.panel._runStep()
        self.scene.Clear(False)
        self.assertEqual(self.panel.busy, "")
        self.host.settle()
        self.assertIn("to do", self.ui.imagesBadge.text)

    def test_a_plan_goes_from_goals_to_vials_and_into_the_treatment(self):
        from TARECOMETPanel.walk import wait

        opened = self.ready()
        ui, step = self.ui, self.panel.planStep
        injections = len(opened.stored().injections)
        ui.planButton.click()
        wait(self.panel)
        self.assertEqual(ui.messageLabel.text, "")
        self.assertIn("done", ui.planBadge.text)
        self.assertEqual(ui.activitiesTable.rowCount, injections)
        self.assertGreater(ui.criteriaTable.rowCount, 2)
        self.assertFalse(ui.orderButton.enabled)
        self.assertIn("time zone", ui.orderButton.toolTip)
        ui.activitiesTable.item(0, 1).setText("much")
        self.assertIn("is not a number", ui.messageLabel.text)
        ui.activitiesTable.item(0, 1).setText("1.25")
        self.assertEqual(ui.messageLabel.text, "")
        self.assertEqual(ui.activitiesTable.item(0, 1).text(), "1.250")
        self.assertEqual(opened.stored().plan.injections[0].prescribed_gbq, 1.25)
        self.assertGreaterEqual(ui.modelsTable.rowCount, 3)
        goals = [goal.volume for goal in step.goals()]
        limit = goals.index("whole normal liver")
        published = ui.goalsTable.item(limit, 3).text()
        ui.goalsTable.item(limit, 3).setText("41")
        self.assertEqual(ui.messageLabel.text, "")
        self.assertEqual([goal.at_most for goal in opened.stored().plan.goals], [41.0])
        row = next(n for n, goal in enumerate(step.goals()) if goal.at_most == 41.0)
        ui.goalsTable.item(row, 3).setText("")
        self.assertEqual(opened.stored().plan.goals, ())
        row = next(n for n, goal in enumerate(step.goals()) if goal.volume == "whole normal liver")
        self.assertEqual(ui.goalsTable.item(row, 3).text(), published)
        ui.bilirubinEdit.text = "1.6"
        self.panel.attempt(step.onSettings)
        self.assertEqual(
            [goal.at_most for goal in step.goals() if goal.volume == "whole normal liver" and goal.cumulative], [50.0]
        )
        before = opened.current().sha256()
        ui.weekEdit.text = "2026-02-30"
        ui.timeZoneEdit.text = "Europe/Paris"
        self.panel.attempt(step.onSettings)
        self.assertIn("2026-02-30", ui.messageLabel.text)
        ui.weekEdit.text = "2026-03-10"
        self.panel.attempt(step.onSettings)
        self.assertEqual(ui.messageLabel.text, "")
        self.assertEqual(opened.current().sha256(), before)
        self.assertGreater(ui.vialsTable.rowCount, 0)
        step.onVial(0)
        self.panel.refresh()
        self.assertTrue(ui.takeOverButton.enabled, ui.takeOverButton.toolTip)
        ui.takeOverButton.click()
        self.assertEqual(ui.messageLabel.text, "")
        self.assertEqual([injection.time[:7] for injection in opened.stored().injections], ["2026-03"] * injections)
        if ui.tradeOffSlider.enabled:
            ui.tradeOffSlider.value = 0
            self.assertIsNone(opened.stored().plan.injections[0].prescribed_gbq)

    def test_the_open_case_goes_into_the_study_and_the_scene_keeps_no_patient_of_it(self):
        from TARECOMETPanel.walk import wait

        opened, ui = self.ready(), self.ui
        self.assertFalse(ui.addCaseButton.enabled)
        place = self.folder / "our study é.sqlite"
        ui.studyEdit.text = str(place)
        self.panel.attempt(self.panel.steps[-1].onPath, ui.studyEdit.text)
        self.assertEqual(ui.messageLabel.text, "")
        self.assertTrue(place.is_file())
        self.assertIn("Compute the open case first", ui.addCaseButton.toolTip)
        ui.computeButton.click()
        wait(self.panel)
        count = self.scene.GetNumberOfNodes()
        ui.addCaseButton.click()
        wait(self.panel)
        self.assertIn("new or changed", ui.messageLabel.text)
        self.assertEqual(ui.cohortTable.rowCount, 1)
        self.assertEqual(ui.cohortTable.item(0, 0).text(), opened.stored().case_id)
        ui.cohortTable.setCurrentCell(0, 0)
        self.assertEqual(ui.followUpTable.rowCount, 1)
        column = list(self.panel.steps[-1].rows[0].values).index("last_contact_date")
        ui.followUpTable.item(0, column).setText("31.31.2026")
        self.assertIn("31.31.2026", ui.messageLabel.text)
        ui.followUpTable.item(0, column).setText("2027-02-01")
        self.assertEqual(ui.messageLabel.text, "")
        self.assertEqual(ui.followUpTable.item(0, column).text(), "2027-02-01")
        self.assertEqual(self.scene.GetNumberOfNodes(), count)
        node = self.panel.session.parameter_node
        texts = [node.GetParameter(name) for name in node.GetParameterNames()]
        self.assertFalse([text for text in texts if "2027-02-01" in text])

    def test_radiobiology_is_typed_in_and_joins_table_and_chart(self):
        from TARECOMETPanel.walk import wait

        opened, ui = self.ready(), self.ui
        for name, text in (("tumourAlphaBetaEdit", "10"), ("tumourRepairEdit", "1.5")):
            getattr(ui, name).text = text
            self.panel.attempt(self.panel.steps[4].onTissue, "tumour_tissue")
        self.assertEqual(ui.messageLabel.text, "")
        self.assertEqual(opened.stored().settings.tumour_tissue.alpha_beta_gy, 10.0)
        ui.liverAlphaBetaEdit.text = ui.liverRepairEdit.text = "-2"
        self.panel.attempt(self.panel.steps[4].onTissue, "liver_tissue")
        self.assertIn("alpha_beta_gy", ui.messageLabel.text)
        ui.computeButton.click()
        wait(self.panel)
        row = next(n for n in range(ui.doseTable.rowCount) if ui.doseTable.item(n, 0).text() == "metastasis-1")
        entry = next(c for c in opened.results()["post"]["compartments"] if c["name"] == "metastasis-1")
        self.assertEqual(ui.doseTable.item(row, 6).text(), f"{entry['dose']['local']['bed_gy']:.1f}")
        ui.scaleCombo.setCurrentIndex(1)
        ui.liveCheck.click()
        self.assertEqual(ui.messageLabel.text, "")
        self.assertEqual(self.panel.viewStep.live.chart.GetXAxisTitle(), "BED (Gy)")
        self.assertIn("±", ui.doseTable.item(row, 3).text())
        self.assertIn("95 %", ui.doseTable.item(row, 3).toolTip())

    def test_predicted_against_delivered_stands_in_the_panel(self):
        from TARECOMETPanel.walk import wait

        opened, ui = self.ready(), self.ui
        self.assertEqual(ui.compareTable.rowCount, 0)
        ui.catheterCombo.setCurrentIndex(2)
        ui.primaryCombo.setCurrentIndex(1)
        self.assertEqual(opened.stored().catheter_position, "changed")
        ui.computeButton.click()
        wait(self.panel)
        self.assertEqual(ui.messageLabel.text, "")
        entries = opened.results()["comparison"]["compartments"]
        self.assertEqual(ui.compareTable.rowCount, len(entries))
        row = next(n for n, entry in enumerate(entries) if entry["name"] == "metastasis-1")
        self.assertEqual(ui.compareTable.item(row, 3).text(), f"{entries[row]['difference_gy']:+.1f}")
        self.assertEqual(ui.compareTable.item(row, 4).text(), f"{entries[row]['ratio']:.2f}")
        self.assertIn("Registration", ui.comparedLabel.text)
        self.assertIn("primary: unmatched", ui.comparedLabel.text)

    def test_after_closing_a_scene_the_brush_still_spares_the_liver_and_the_crosshair_is_heard(self):
        import slicer

        self.ready()
        self.scene.Clear(False)
        self.host.settle()
        node = self.panel.steps[1].editor.mrmlSegmentEditorNode()
        self.assertTrue(self.scene.IsNodePresent(node))
        self.assertEqual(node.GetOverwriteMode(), slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        if self.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode") is not None:
            self.assertIsNotNone(self.panel.viewStep.crosshair)

    def test_selectors_that_jump_by_themselves_change_no_role(self):
        """As Slicer's do when a node is deleted (to the neighbor) and when a scene comes in (to none)."""
        opened = self.ready()
        roles = {role: opened.image_node(role) for role in ("diagnostic", "maa_spect", "y90_pet")}
        contours = opened.contours_node()
        self.ui.maaSpectSelector.currentNodeChanged.emit(roles["y90_pet"])
        self.ui.y90PetSelector.currentNodeChanged.emit(None)
        self.ui.segmentationSelector.currentNodeChanged.emit(None)
        self.assertEqual({role: opened.image_node(role) for role in roles}, roles)
        self.assertIs(opened.contours_node(), contours)
        self.ui.y90PetSelector.nodeActivated.emit(None)
        self.assertIsNone(opened.image_node("y90_pet"))

    def test_a_fault_is_said_once_and_the_panel_goes_on(self):
        def faulty():
            raise KeyError("not ours")

        with self.assertRaises(KeyError):
            self.panel.attempt(faulty)
        self.assertEqual(len(self.host.errors), 1)
        self.assertIn("nothing that was there before is lost", self.host.errors[0])
        self.host.errors.clear()
        self.assertTrue(self.panel.attempt(lambda: None))

    def test_behind_another_module_the_panel_rests(self):
        opened = self.ready()
        self.widget.exit()
        opened.contours_node().GetSegmentation().GetNthSegment(0).SetName("renamed")
        self.assertFalse(self.panel.refreshTimer.isActive())
        self.widget.enter()
        self.assertIn("renamed", [row.name for row in self.panel.steps[1].rows])

    def test_fifty_scenes_come_and_go_without_a_trace(self):
        counts = set()
        for _ in range(50):
            self.widget.enter()
            self.panel.session.new("COMES-AND-GOES")
            self.panel.session.new_contours()
            self.panel.refresh()
            self.scene.Clear(False)
            self.host.settle()
            counts.add((self.scene.GetNumberOfNodes(), len(self.panel.steps[1].tags)))
        self.assertEqual(len(counts), 1)

    def test_an_image_removed_during_compute_keeps_the_earlier_results(self):
        from TARECOMETPanel.walk import wait

        opened = self.ready()
        self.ui.computeButton.click()
        wait(self.panel)
        before = opened.results()
        self.assertIsNotNone(before)
        self.ui.computeButton.click()
        self.panel._runStep()
        self.panel._runStep()
        self.scene.RemoveNode(opened.image_node("y90_pet"))
        wait(self.panel)
        self.assertIn("changed while", self.ui.messageLabel.text)
        self.assertEqual(opened.results(), before)
        self.assertIn("outdated", self.ui.doseBadge.text)

    def test_a_panel_that_was_taken_down_listens_no_more(self):
        opened = self.ready()
        segment = opened.contours_node().GetSegmentation().GetNthSegment(0)
        segment.SetName("renamed")
        self.assertTrue(self.panel.refreshTimer.isActive())
        self.ui.computeButton.click()
        self.widget.cleanup()
        self.assertEqual(self.panel.busy, "")
        self.assertFalse(self.panel.refreshTimer.isActive() or self.panel.runTimer.isActive())
        segment.SetName("renamed again")
        self.assertFalse(self.panel.refreshTimer.isActive())

    def test_the_checkerboard_and_derived_compartments_come_and_go_without_a_trace(self):
        self.ready()
        count = self.scene.GetNumberOfNodes()
        self.ui.checkerButton.click()
        self.assertEqual(self.ui.messageLabel.text, "")
        self.assertGreater(self.scene.GetNumberOfNodes(), count)
        self.ui.checkerButton.click()
        self.ui.derivedCheck.click()
        self.assertGreater(self.scene.GetNumberOfNodes(), count)
        self.ui.derivedCheck.click()
        names = [name for _, name in self.node_names()]
        self.assertNotIn("Checkerboard", names)
        self.assertNotIn("Derived compartments", names)

    def test_chart_and_volumes_follow_a_stroke_while_the_box_is_checked(self):
        from TARECOMETPanel.walk import wait

        from TARECOMETLib.mrml.contour_tools import replace_mask, with_margin
        from TARECOMETLib.mrml.segmentations import read_segment

        opened = self.ready()
        self.ui.computeButton.click()
        wait(self.panel)
        self.ui.liveCheck.click()
        view = self.panel.viewStep
        row = next(row for row in self.panel.steps[1].rows if row.role == "tumour")
        before = view.live.engine.volume_ml(row.name)
        node = opened.contours_node()
        replace_mask(node, row.segment_id, with_margin(read_segment(node, row.segment_id), 6.0))
        self.assertTrue(view.followTimer.isActive())
        view.follow()
        self.assertGreater(view.live.engine.volume_ml(row.name), before)
        self.ui.liveCheck.click()
        self.assertIsNone(view.live)

    def test_a_comparison_comes_and_goes_with_the_module(self):
        import types

        import slicer
        from TARECOMETPanel.walk import wait

        self.ready()
        self.ui.computeButton.click()
        wait(self.panel)
        logic = slicer.vtkMRMLLayoutLogic()
        logic.SetMRMLScene(self.scene)
        self.addCleanup(logic.SetMRMLScene, None)
        node = logic.GetLayoutNode()
        node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.ui.compareButton.click()
        self.assertIn("without a main window", self.ui.messageLabel.text)
        manager = types.SimpleNamespace(layoutLogic=lambda: logic)
        self.panel.layoutNode = lambda: manager.layoutLogic().GetLayoutNode()
        self.ui.compareButton.click()
        self.assertEqual(self.ui.messageLabel.text, "")
        self.assertNotEqual(node.GetViewArrangement(), slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.assertTrue(self.ui.leaveButton.enabled)
        self.widget.exit()
        self.assertEqual(node.GetViewArrangement(), slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_the_report_is_written_from_the_scene(self):
        from TARECOMETPanel.walk import wait

        if any(importlib.util.find_spec(name) is None for name in ("matplotlib", "typst")):
            self.skipTest("needs matplotlib and typst")
        self.ready()
        place = self.folder / "Bericht für A 1"
        place.mkdir()
        self.panel.attempt(self.panel.steps[4].onReport, str(place))
        wait(self.panel)
        self.assertIn("Written", self.ui.messageLabel.text)
        self.assertTrue((place / "report.pdf").read_bytes().startswith(b"%PDF"))
        self.assertTrue((place / "results.json").is_file())

    def test_a_stroke_reaches_table_and_badge(self):
        from TARECOMETLib.mrml.contour_tools import replace_mask, with_margin
        from TARECOMETLib.mrml.segmentations import read_segment

        opened = self.ready()
        node = opened.contours_node()
        row = next(row for row in self.panel.steps[1].rows if row.role == "tumour")
        replace_mask(node, row.segment_id, with_margin(read_segment(node, row.segment_id), 6.0))
        self.assertTrue(self.panel.refreshTimer.isActive())
        self.panel.refresh()
        after = next(r for r in self.panel.steps[1].rows if r.segment_id == row.segment_id)
        self.assertGreater(after.volume_ml, row.volume_ml)


if __name__ == "__main__":
    unittest.main()
