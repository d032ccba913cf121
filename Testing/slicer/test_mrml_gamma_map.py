"""Gamma of two dose maps as a volume of the patient."""

import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from scene_support import SceneTestCase, oblique_geometry, requires_slicer

from TARECOMETLib.comparison.gamma import GammaCriterion
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.volume import Volume


def run(steps):
    """A generator's value."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


@requires_slicer
class TestGammaMap(SceneTestCase):
    def setUp(self):
        super().setUp()
        from TARECOMETLib.mrml.case_node import CaseNode, add_case_node
        from TARECOMETLib.mrml.volumes import write_dose_volume

        self.grid = oblique_geometry()
        self.opened = CaseNode(add_case_node(self.scene, "C"))
        self.pre = np.full(self.grid.shape_kji, 100.0, np.float32)
        self.pre[0] = 1.0  # under the threshold of 10 %
        for phase, array in (("pre", self.pre), ("post", self.pre + 5.0)):
            node = write_dose_volume(self.scene, Volume(array, self.grid), phase, owner="C")
            self.opened.node.SetNodeReferenceID(f"Dose.{phase}.local", node.GetID())

    def test_a_uniform_difference_gives_its_share_of_the_criterion_and_nan_under_the_threshold(self):
        from TARECOMETLib.mrml.gamma_map import write_gamma_map
        from TARECOMETLib.mrml.volumes import read_volume

        node, gamma = run(write_gamma_map(self.opened, "local", GammaCriterion(10.0, 0.5)))
        array = read_volume(node).array
        self.assertTrue(np.isnan(array[0]).all())
        # By hand: 5 Gy of 10 % of 100 Gy; the other slab lies further off than 2 times 0.5 mm from the last slabs.
        np.testing.assert_allclose(array[-1], 0.5, atol=0.008)
        self.assertEqual(gamma.pass_rate(), 1.0)
        self.assertEqual(node.GetVoxelValueUnits().GetCodeValue(), "1")
        display = node.GetDisplayNode()
        self.assertTrue(display.GetApplyThreshold())
        self.assertEqual(display.GetLowerThreshold(), 0.0)

    def test_a_voxel_without_gamma_is_transparent_and_one_with_gamma_is_painted(self):
        from TARECOMETLib.mrml.gamma_map import write_gamma_map

        node, _ = run(write_gamma_map(self.opened, "local", GammaCriterion(10.0, 0.5)))
        display = node.GetDisplayNode()
        display.SetInputImageDataConnection(node.GetImageDataConnection())
        display.GetOutputImageDataConnection().GetProducer().Update()
        painted = display.GetOutputImageData()
        k = self.grid.shape_kji[0] - 1
        self.assertEqual(painted.GetScalarComponentAsDouble(1, 1, 0, 3), 0.0)
        self.assertEqual(painted.GetScalarComponentAsDouble(1, 1, k, 3), 255.0)

    def test_a_second_call_writes_into_the_same_node(self):
        from TARECOMETLib.mrml.gamma_map import write_gamma_map

        first, _ = run(write_gamma_map(self.opened, "local", GammaCriterion()))
        second, _ = run(write_gamma_map(self.opened, "local", GammaCriterion(3.0, 3.0)))
        self.assertEqual(first.GetID(), second.GetID())
        self.assertEqual(second.GetAttribute("TARECOMET.GammaCriterion"), "3 %/3 mm global")

    def test_a_missing_dose_is_said(self):
        from TARECOMETLib.mrml.gamma_map import write_gamma_map

        self.opened.node.SetNodeReferenceID("Dose.post.local", None)
        with self.assertRaisesRegex(InputError, "no delivered dose"):
            run(write_gamma_map(self.opened, "local", GammaCriterion()))


if __name__ == "__main__":
    unittest.main()
