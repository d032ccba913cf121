"""A patient's scene: everything in its place, saved in one file, the same after another run."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np
from scene_support import SceneTestCase, ball, oblique_geometry
from test_mrml_isodose import CENTER, spherical_dose

import TARECOMETLib
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.volume import Volume

LOAD_ELSEWHERE = """
import json, sys
sys.path.insert(0, sys.argv[2])
import vtk
output = vtk.vtkStringOutputWindow()
vtk.vtkOutputWindow.SetInstance(output)
vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
from TARECOMETLib.mrml.bundle import load_bundle
from TARECOMETLib.mrml.headless import HeadlessSlicer
from TARECOMETLib.mrml.segmentations import read_segment, segment_ids, segment_role
with HeadlessSlicer() as headless:
    scene = headless.scene
    load_bundle(scene, sys.argv[1])
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    contours = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    dose = [node for node in nodes if node.GetAttribute("DicomRtImport.DoseVolume") == "1"][0]
    hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    item = hierarchy.GetItemByDataNode(dose)
    print(json.dumps({
        "nodes": sorted([node.GetClassName(), node.GetName() or ""] for node in nodes),
        "voxels": [int(read_segment(contours, key).array.sum()) for key in segment_ids(contours)],
        "roles": [segment_role(contours, key) for key in segment_ids(contours)],
        "units": dose.GetVoxelValueUnits().GetCodeValue(),
        "colors": dose.GetDisplayNode().GetColorNode().GetName(),
        "study": hierarchy.GetItemName(hierarchy.GetItemParent(item)),
    }))
assert "ERROR" not in output.GetOutput(), output.GetOutput()
"""


class PatientScene(SceneTestCase):
    def setUp(self) -> None:
        super().setUp()
        geometry = oblique_geometry((40, 60, 64), (2.0, 2.2, 3.0))
        self.ct = Volume(np.zeros(geometry.shape_kji, dtype=np.int16), geometry)
        x, y, z = CENTER
        self.contours = [
            ("Liver", "liver", ball(geometry, CENTER, 40.0)),
            ("Right lobe", "territory", ball(geometry, (x - 10, y, z), 30.0)),
            ("Tumor 1", "tumour", ball(geometry, (x - 10, y, z), 12.0)),
        ]
        dose = spherical_dose()
        self.doses = {"Dose, local": dose, "Dose, kernel": Volume(dose.array * 0.9, dose.geometry)}

    def build(self, patient: str = "CASE-A") -> object:
        from TARECOMETLib.mrml.patient_scene import build_patient_scene

        return build_patient_scene(self.scene, self.ct, self.contours, self.doses, [50.0, 100.0, 200.0], patient)

    def test_everything_stands_under_the_patient(self) -> None:
        from TARECOMETLib.mrml.hierarchy import subject_hierarchy

        nodes = self.build()
        hierarchy = subject_hierarchy(self.scene)
        study = nodes.study_item
        self.assertEqual(hierarchy.GetItemLevel(study), "Study")
        self.assertEqual(hierarchy.GetItemName(hierarchy.GetItemParent(study)), "CASE-A")
        # SlicerRT reads the unit from the study.
        self.assertEqual(hierarchy.GetItemAttribute(study, "DicomRtImport.DoseUnitName"), "GY")
        self.assertEqual(hierarchy.GetItemAttribute(study, "DicomRtImport.DoseUnitValue"), "1.0")
        for node in (nodes.ct, nodes.contours, *nodes.doses.values()):
            self.assertEqual(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)), study)
        for name, models in nodes.isodoses.items():
            self.assertEqual(list(models), [50.0, 100.0, 200.0])
            for model in models.values():
                folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(model))
                self.assertEqual(hierarchy.GetItemName(folder), f"Isodoses of {name}")
                self.assertEqual(hierarchy.GetItemParent(folder), study)

    def test_dose_maps_share_one_window_and_one_table(self) -> None:
        displays = [node.GetDisplayNode() for node in self.build().doses.values()]
        self.assertEqual(len({display.GetWindowLevelMax() for display in displays}), 1)
        self.assertEqual(len({display.GetColorNodeID() for display in displays}), 1)

    def test_second_run_makes_no_new_node_and_no_new_item(self) -> None:
        import vtk

        from TARECOMETLib.mrml.hierarchy import subject_hierarchy

        def item_count() -> int:
            items = vtk.vtkIdList()
            hierarchy = subject_hierarchy(self.scene)
            hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
            return items.GetNumberOfIds()

        first = self.build()
        names, items = self.node_names(), item_count()
        again = self.build()
        self.assertEqual(self.node_names(), names)
        self.assertEqual(item_count(), items)
        self.assertIs(first.ct, again.ct)
        self.assertIs(first.contours, again.contours)

    def test_two_patients_keep_apart(self) -> None:
        first, second = self.build("CASE-A"), self.build("CASE-B")
        self.assertIsNot(first.ct, second.ct)
        self.assertNotEqual(first.study_item, second.study_item)

    def test_saved_scene_opens_in_another_process_with_the_same_nodes(self) -> None:
        from TARECOMETLib.mrml.bundle import save_bundle

        self.build()
        path = save_bundle(self.scene, self.folder / "patient.mrb")
        saved = self.node_names()
        save_bundle(self.scene, path)
        self.assertEqual(self.node_names(), saved, "a second save adds nothing")
        self.assertEqual([entry.name for entry in self.folder.iterdir()], ["patient.mrb"])
        library = str(Path(TARECOMETLib.__file__).resolve().parents[1])
        run = subprocess.run(
            [sys.executable, "-c", LOAD_ELSEWHERE, str(path), library], capture_output=True, text=True, check=False
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        loaded = json.loads(run.stdout)
        self.assertEqual([tuple(entry) for entry in loaded["nodes"]], saved)
        self.assertEqual(loaded["voxels"], [int(mask.array.sum()) for _, _, mask in self.contours])
        self.assertEqual(loaded["roles"], ["liver", "territory", "tumour"])
        self.assertEqual(loaded["units"], "Gy")
        self.assertEqual(loaded["colors"], "Absorbed dose (TARECOMET)")
        self.assertEqual(loaded["study"], "90Y radioembolization dosimetry")

    def test_run_after_loading_replaces_what_was_saved(self) -> None:
        from TARECOMETLib.mrml.bundle import load_bundle, save_bundle

        self.build()
        path = save_bundle(self.scene, self.folder / "patient.mrb")
        load_bundle(self.scene, path)
        names = self.node_names()
        self.build()
        self.assertEqual(self.node_names(), names)

    def test_paths_that_cannot_work_are_refused_and_leave_nothing(self) -> None:
        from TARECOMETLib.mrml.bundle import load_bundle, save_bundle

        for path, problem in (("scene.zip", ".mrb"), ("missing/scene.mrb", "does not exist")):
            with self.assertRaisesRegex(InputError, problem):
                save_bundle(self.scene, self.folder / path)
        with self.assertRaisesRegex(InputError, "no such file"):
            load_bundle(self.scene, self.folder / "missing.mrb")
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
