"""Comparison layouts by Slicer's own layout logic: what stands in each view, and the way back."""

import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from scene_support import SceneTestCase, ball, oblique_geometry, requires_slicer

from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.volume import Volume


@requires_slicer
class TestCompareViews(SceneTestCase):
    def setUp(self):
        super().setUp()
        import slicer

        from TARECOMETLib.mrml.case_node import CaseNode, add_case_node
        from TARECOMETLib.mrml.compare_views import Comparison
        from TARECOMETLib.mrml.contour_tools import new_contour
        from TARECOMETLib.mrml.live_dose import LiveDose
        from TARECOMETLib.mrml.volumes import write_ct_volume, write_dose_volume

        grid = oblique_geometry()
        self.opened = CaseNode(add_case_node(self.scene, "C"))
        ct = write_ct_volume(self.scene, Volume(np.zeros(grid.shape_kji, np.float32), grid), "CT", owner="C")
        self.opened.node.SetNodeReferenceID("Image.diagnostic", ct.GetID())
        rng = np.random.default_rng(0)
        self.dose = {}
        for phase in ("pre", "post"):
            array = rng.uniform(0.0, 200.0, grid.shape_kji).astype(np.float32)
            self.dose[phase] = array
            node = write_dose_volume(self.scene, Volume(array, grid), phase, owner="C")
            self.opened.node.SetNodeReferenceID(f"Dose.{phase}.local", node.GetID())
        segmentation = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.opened.set_contours(segmentation)
        new_contour(segmentation, "Liver", "liver", "CT", ball(grid, (-40.0, 12.0, 25.0), 20.0))
        LiveDose(self.opened, "local")
        self.logic = slicer.vtkMRMLLayoutLogic()
        self.logic.SetMRMLScene(self.scene)
        self.layout = self.logic.GetLayoutNode()
        self.layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.comparison = Comparison(self.scene, self.layout)
        self.center = np.array([40.0, -12.0, 25.0])

    def tearDown(self):
        self.logic.SetMRMLScene(None)
        super().tearDown()

    def layers(self, tag):
        """Background and foreground of a view."""
        from TARECOMETLib.mrml.slice_layers import composite_nodes

        node = next(n for n in composite_nodes(self.scene) if n.GetLayoutName() == tag)
        names = [
            self.scene.GetNodeByID(key).GetName()
            for key in (node.GetBackgroundVolumeID(), node.GetForegroundVolumeID())
        ]
        return (*names, bool(node.GetLinkedControl()))

    def test_each_view_shows_its_dose_over_the_ct_with_linked_slices_through_one_point(self):
        from TARECOMETLib.mrml.compare_views import DIFFERENCE, DIFFERENCE_NAME

        self.comparison.show(self.opened, DIFFERENCE, "local", 0.6)
        self.comparison.center(self.center)
        self.assertEqual(self.layers("TarePredicted"), ("CT", "pre", True))
        self.assertEqual(self.layers("TareDelivered"), ("CT", "post", True))
        self.assertEqual(self.layers("TareDifference"), ("CT", DIFFERENCE_NAME, True))
        offsets = {
            self.scene.GetSingletonNode(t, "vtkMRMLSliceNode").GetSliceOffset()
            for t in ("TarePredicted", "TareDelivered", "TareDifference")
        }
        self.assertEqual(len(offsets), 1)
        self.assertAlmostEqual(offsets.pop(), 25.0, places=6)
        chart = self.scene.GetSingletonNode("TareDvh", "vtkMRMLPlotViewNode").GetPlotChartNode()
        self.assertEqual(chart.GetXAxisTitle(), "Dose (Gy)")

    def test_the_difference_is_delivered_minus_predicted_in_a_symmetric_window(self):
        from TARECOMETLib.mrml.compare_views import write_difference
        from TARECOMETLib.mrml.volumes import read_volume

        node = write_difference(self.opened, "local")
        self.assertTrue(np.array_equal(read_volume(node).array, self.dose["post"] - self.dose["pre"]))
        display = node.GetDisplayNode()
        self.assertEqual(display.GetWindowLevelMin(), -display.GetWindowLevelMax())
        self.assertIsNot(write_difference(self.opened, "local"), None)
        self.assertEqual(sum(name == "Delivered minus predicted dose" for _, name in self.node_names()), 1)

    def test_leaving_brings_the_users_layout_and_layers_back_and_takes_the_difference_away(self):
        import slicer

        from TARECOMETLib.mrml.layouts import DIFFERENCE, SIDE_BY_SIDE

        red = self.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        red.SetLayoutName("Red")
        red.SetForegroundOpacity(0.3)
        red.SetForegroundVolumeID(self.opened.dose_node("pre", "local").GetID())
        self.comparison.show(self.opened, SIDE_BY_SIDE, "local", 0.6)
        self.comparison.show(self.opened, DIFFERENCE, "local", 0.6)
        red.SetForegroundOpacity(0.9)
        self.comparison.leave()
        self.assertEqual(self.layout.GetViewArrangement(), slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.assertEqual(red.GetForegroundOpacity(), 0.3)
        self.assertNotIn("Delivered minus predicted dose", [name for _, name in self.node_names()])
        self.comparison.leave()  # a second time changes nothing

    def test_the_users_layers_and_those_of_the_comparison_stay_apart(self):
        from TARECOMETLib.mrml.layouts import SIDE_BY_SIDE
        from TARECOMETLib.mrml.slice_layers import show_layers

        red = self.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
        red.SetLayoutName("Red")
        self.comparison.show(self.opened, SIDE_BY_SIDE, "local", 0.6)
        delivered = self.opened.dose_node("post", "local")
        show_layers(self.scene, None, delivered, 0.4)
        self.assertEqual((red.GetForegroundVolumeID(), red.GetForegroundOpacity()), (delivered.GetID(), 0.4))
        self.assertEqual(self.layers("TarePredicted"), ("CT", "pre", True))
        self.comparison.set_opacity(0.2)
        self.assertEqual(red.GetForegroundOpacity(), 0.4)

    def test_a_scene_saved_in_a_comparison_can_be_left_in_a_new_session(self):
        import slicer

        from TARECOMETLib.mrml.compare_views import Comparison
        from TARECOMETLib.mrml.layouts import DIFFERENCE, SIDE_BY_SIDE

        self.comparison.show(self.opened, DIFFERENCE, "local", 0.6)
        again = Comparison(self.scene, self.layout)
        again.show(self.opened, SIDE_BY_SIDE, "local", 0.6)
        again.leave()
        self.assertEqual(self.layout.GetViewArrangement(), slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)

    def test_a_missing_phase_is_said_and_the_layout_stays(self):
        from TARECOMETLib.mrml.layouts import SIDE_BY_SIDE

        before = self.layout.GetViewArrangement()
        self.opened.node.SetNodeReferenceID("Dose.pre.local", None)
        with self.assertRaisesRegex(InputError, "no predicted dose"):
            self.comparison.show(self.opened, SIDE_BY_SIDE, "local", 0.6)
        self.assertEqual(self.layout.GetViewArrangement(), before)

    def test_difference_colors_are_neutral_in_the_middle_and_alike_in_lightness_to_both_sides(self):
        from TARECOMETLib.report.dose_colors import difference_color_table, lightness_of_rgb

        table = difference_color_table()
        lightness = lightness_of_rgb(table)
        # Gamut limits move lightness by rounding alone.
        self.assertLess(np.abs(lightness - lightness[::-1]).max(), 1.0)
        self.assertLess(np.ptp(table[127]), 0.03)
        self.assertGreater(table[0, 2], table[0, 0])
        self.assertGreater(table[-1, 0], table[-1, 2])


if __name__ == "__main__":
    unittest.main()
