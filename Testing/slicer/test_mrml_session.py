"""A patient in the scene, from loaded images to saved doses, found again in a new scene."""

import sys
import tempfile
import unittest
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from scene_support import SceneTestCase, requires_slicer

from TARECOMETLib.case.inputs import load_inputs
from TARECOMETLib.case.new_case import new_case
from TARECOMETLib.case.panel_state import DONE, DOSE, IMAGES, OUTDATED, READY, TO_DO
from TARECOMETLib.case.results import results_document
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.workflow import run_case
from TARECOMETLib.phantom.acquisition import AcquisitionParameters
from TARECOMETLib.phantom.anatomy import AnatomyParameters
from TARECOMETLib.phantom.sample_patient import PhantomParameters, make_sample_patient

# Large voxels, so that a case takes two seconds; the same code as the sample patient's.
COARSE = PhantomParameters(
    anatomy=AnatomyParameters(spacing_mm=(5.0, 5.0, 5.0)),
    acquisition=AcquisitionParameters(
        spect_spacing_mm=(9.0, 9.0, 9.0), pet_spacing_mm=(8.0, 8.0, 7.0), ct_in_plane_mm=7.0
    ),
)
_KEEP = []


@lru_cache(maxsize=1)
def patient():
    """Folder, case and inputs of one small patient, made once."""
    scratch = tempfile.TemporaryDirectory()
    _KEEP.append(scratch)
    folder = make_sample_patient(Path(scratch.name) / "patient", parameters=COARSE)
    made = finish(new_case(folder, folder))
    inputs = finish(load_inputs(made.case, made.files, folder))
    return folder, made, inputs, finish(run_case(made.case, inputs))


@requires_slicer
class TestSession(SceneTestCase):
    def setUp(self):
        super().setUp()
        from TARECOMETLib.mrml.session import Session

        self.folder_of_patient, self.made, self.inputs, self.by_command = patient()
        self.parameter_node = self.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "TARECOMET")
        self.session = Session(self.scene, self.parameter_node)

    def load(self, case_id="TARE-PHANTOM", registered=True):
        """Images as volume nodes, contours as segments, treatment: what a person does in the panel.

        Registered means: placed where the command's registration puts them, which saves its seconds.
        """
        from TARECOMETLib.mrml.segmentations import Segment, write_segmentation
        from TARECOMETLib.mrml.volumes import write_volume

        opened = self.session.new(case_id)
        files = {}
        for role, volume in self.inputs.images.items():
            node = write_volume(self.scene, volume, f"{role} of {case_id}")
            place = self.folder_of_patient / self.made.files.images[role]
            files[node.GetID()] = [place] if place.is_file() else sorted(place.iterdir())
        nodes = [self.scene.GetNodeByID(key) for key in files]
        self.assertEqual(self.session.propose_images(nodes, lambda node: files[node.GetID()]), [])
        segments = [Segment(c.name, c.role, self.inputs.contours[c.name], (1, 0, 0)) for c in self.made.case.contours]
        opened.set_contours(write_segmentation(self.scene, segments, f"Contours of {case_id}"))
        case = self.made.case
        self.session.change(
            injections=case.injections, lung_shunt_fraction=case.lung_shunt_fraction, settings=case.settings
        )
        for phase, computed in self.by_command.phases.items() if registered else ():
            self.session.place(phase, computed.registration.matrix_lps)
        return opened

    def test_badges_follow_from_an_empty_scene_to_current_doses(self):
        self.assertEqual({s.badge for s in self.session.state().values()}, {TO_DO})
        self.load(registered=False)
        state = self.session.state()
        self.assertEqual((state[IMAGES].badge, state[DOSE].badge), (READY, READY))
        self.assertTrue(state[DOSE].actions["compute"].enabled)
        for phase, computed in self.by_command.phases.items():
            self.session.place(phase, computed.registration.matrix_lps)
        self.assertEqual(self.session.state()[IMAGES].badge, DONE)
        finish(self.session.compute())
        self.assertEqual(self.session.state()[DOSE].badge, DONE)

    def test_doses_equal_those_of_the_command_on_the_same_dicom(self):
        opened = self.load(registered=False)
        finish(self.session.compute())
        by_command = results_document(self.by_command)
        by_panel = opened.results()
        for phase in ("pre", "post"):
            mine = {c["name"]: c for c in by_panel[phase]["compartments"]}
            for entry in by_command[phase]["compartments"]:
                for method, dose in entry.get("dose", {}).items():
                    other = mine[entry["name"]]["dose"][method]["mean_gy"]
                    self.assertAlmostEqual(other, dose["mean_gy"], delta=1e-5 * max(1.0, abs(dose["mean_gy"])))

    def test_one_voxel_one_transform_element_or_one_injection_makes_doses_outdated_and_a_name_does_not(self):
        opened = self.load()
        finish(self.session.compute())
        segmentation = opened.contours_node()
        segmentation.SetName("Another name")
        segmentation.GetDisplayNode().SetOpacity2DOutline(0.5)
        opened.image_node("diagnostic").GetDisplayNode().SetWindowLevel(100.0, 20.0)
        segmentation.GetSegmentation().GetNthSegment(0).SetColor(0.1, 0.2, 0.3)
        self.assertTrue(opened.results_are_current())

        before = self.session.current()
        self.session.change(injections=(replace(before.injections[0], residual_mbq=51.0), *before.injections[1:]))
        self.assertEqual(self.session.state()[DOSE].badge, OUTDATED)
        self.session.change(injections=before.injections)
        self.assertTrue(opened.results_are_current())

        matrix = self.session.placement("post")
        self.session.nudge("post", (0.0, 0.0, 0.1))
        self.assertFalse(opened.results_are_current())
        self.session.place("post", matrix)
        self.assertTrue(opened.results_are_current())

        from vtk.util import numpy_support

        scalars = opened.image_node("y90_pet").GetImageData().GetPointData().GetScalars()
        numpy_support.vtk_to_numpy(scalars)[0] += 1.0
        scalars.Modified()
        opened.image_node("y90_pet").GetImageData().Modified()
        self.assertFalse(opened.results_are_current())

    def test_saved_and_opened_in_a_new_scene_all_is_equal_and_nothing_is_added(self):
        from TARECOMETLib.mrml.bundle import load_bundle, save_bundle
        from TARECOMETLib.mrml.case_node import CaseNode, case_nodes
        from TARECOMETLib.mrml.headless import HeadlessSlicer

        opened = self.load()
        finish(self.session.compute())
        bundle = save_bundle(self.scene, self.folder / "case.mrb")
        with HeadlessSlicer() as other:
            load_bundle(other.scene, bundle)
            again = CaseNode(case_nodes(other.scene)[0])
            self.assertEqual(again.results(), opened.results())
            self.assertEqual(again.stored(), opened.stored())
            self.assertTrue(again.results_are_current())
            count = other.scene.GetNumberOfNodes()
            second = save_bundle(other.scene, self.folder / "second.mrb")
            with HeadlessSlicer() as third:
                load_bundle(third.scene, second)
                self.assertEqual(third.scene.GetNumberOfNodes(), count)

    def test_computing_again_uses_the_same_nodes(self):
        self.load()
        finish(self.session.compute())
        nodes = self.node_names()
        finish(self.session.compute())
        self.assertEqual(self.node_names(), nodes)

    def test_stopping_or_a_change_during_compute_keeps_the_earlier_results(self):
        opened = self.load()
        finish(self.session.compute())
        before, nodes = opened.results(), self.node_names()
        steps = self.session.compute()
        for _ in range(6):
            next(steps)
        steps.close()
        self.assertEqual((opened.results(), self.node_names()), (before, nodes))

        from TARECOMETLib.errors import InputError

        steps = self.session.compute()
        next(steps)
        next(steps)
        self.session.change(lung_shunt_fraction=0.1)
        with self.assertRaisesRegex(InputError, "changed while"):
            finish(steps)
        self.assertEqual((opened.results(), self.node_names()), (before, nodes))

    def test_importing_another_patient_keeps_the_open_one_and_offers_the_other(self):
        self.session.new("FIRST")
        opened = self.session.open()
        other = self.session.new("SECOND").node
        self.session.choose(opened.node)
        # What an imported scene does to the module's parameter node, of which a scene holds one.
        self.parameter_node.SetNodeReferenceID("OpenCase", other.GetID())
        self.assertEqual(self.session.open().stored().case_id, "FIRST")
        self.assertEqual([name for name, _ in self.session.patients()], ["FIRST", "SECOND"])

    def test_registering_places_the_images_and_their_quality_reaches_the_results(self):
        opened = self.load()
        registration = finish(self.session.register("post"))
        self.assertIsNotNone(opened.image_node("y90_pet").GetParentTransformNode())
        self.assertEqual(opened.image_node("y90_ct").GetParentTransformNode().GetName(), "Registration post")
        self.assertTrue(np.allclose(self.session.placement("post"), registration.matrix_lps, atol=1e-9))
        finish(self.session.compute())
        self.assertAlmostEqual(opened.results()["post"]["registration"]["quality"], registration.quality, places=3)

    def test_voxels_that_lost_their_slope_on_loading_are_a_doubt_that_names_the_image(self):
        from vtk.util import numpy_support

        opened = self.load()
        self.assertNotIn("loaded-differs", {f.code for f in self.session.findings(self.session.current())})
        node = opened.image_node("y90_pet")
        scalars = node.GetImageData().GetPointData().GetScalars()
        numpy_support.vtk_to_numpy(scalars)[:] *= 2.0
        scalars.Modified()
        place = self.folder_of_patient / self.made.files.images["y90_pet"]
        self.session.set_image("y90_pet", node, sorted(place.iterdir()))
        found = {f.code: f for f in self.session.findings(self.session.current())}
        self.assertEqual((found["loaded-differs"].severity, found["loaded-differs"].where), ("doubt", "y90_pet"))

    def test_nested_and_hardened_transforms_place_an_image_alike_and_a_bent_one_is_refused(self):
        import vtk

        from TARECOMETLib.errors import InputError

        opened = self.load(registered=False)
        outer = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "outer")
        inner = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "inner")
        for node, x in ((outer, 3.0), (inner, 4.0)):
            matrix = vtk.vtkMatrix4x4()
            matrix.SetElement(0, 3, x)
            node.SetMatrixTransformToParent(matrix)
        inner.SetAndObserveTransformNodeID(outer.GetID())
        image = opened.image_node("y90_pet")
        image.SetAndObserveTransformNodeID(inner.GetID())
        # RAS +7 mm to the right is LPS -7 mm.
        self.assertAlmostEqual(self.session.current().registration_lps["post"][0][3], -7.0, places=6)
        # Contours under a transform, nested or hardened, lie at the same place in the world.
        segmentation = opened.contours_node()
        segmentation.SetAndObserveTransformNodeID(inner.GetID())
        nested = {c.name: c.content_sha256 for c in self.session.current().contours}
        segmentation.HardenTransform()
        self.assertIsNone(segmentation.GetParentTransformNode())
        self.assertEqual({c.name: c.content_sha256 for c in self.session.current().contours}, nested)

        bent = self.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "acquisition geometry")
        spline = vtk.vtkThinPlateSplineTransform()
        points = vtk.vtkPoints()
        for point in ((0, 0, 0), (100, 0, 0), (0, 100, 0), (0, 0, 100)):
            points.InsertNextPoint(point)
        moved = vtk.vtkPoints()
        moved.DeepCopy(points)
        moved.SetPoint(1, (110, 5, 0))
        spline.SetSourceLandmarks(points)
        spline.SetTargetLandmarks(moved)
        bent.SetAndObserveTransformToParent(spline)
        image.SetAndObserveTransformNodeID(bent.GetID())
        with self.assertRaisesRegex(InputError, "non-linear"):
            self.session.current()

    def test_a_nudge_moves_the_images_by_what_was_asked(self):
        self.load()
        self.session.place("pre", np.eye(4))
        self.session.nudge("pre", (1.0, -2.0, 3.0))
        self.session.nudge("pre", (0.0, 0.0, 1.0))
        self.assertTrue(np.allclose(self.session.placement("pre")[:3, 3], [1.0, -2.0, 4.0]))


if __name__ == "__main__":
    unittest.main()
