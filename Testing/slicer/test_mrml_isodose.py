"""Isodose surfaces lie where the dose is; a second run replaces them."""

import unittest

import numpy as np
from scene_support import SceneTestCase, oblique_geometry, positions_lps_mm

from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.volume import Volume

CENTER = np.array([-40.0, 12.0, 25.0])
TOP_GY, WIDTH_MM = 300.0, 30.0


def spherical_dose() -> Volume:
    """A dose of 300 Gy in the middle, falling as a Gauss curve of the distance."""
    geometry = oblique_geometry((40, 60, 64), (2.0, 2.2, 3.0))
    distance = np.linalg.norm(positions_lps_mm(geometry) - CENTER, axis=-1)
    return Volume(TOP_GY * np.exp(-((distance / WIDTH_MM) ** 2)), geometry)


def radius_mm(level_gy: float) -> float:
    """Distance from the middle at which ``spherical_dose`` has a level."""
    return float(WIDTH_MM * np.sqrt(np.log(TOP_GY / level_gy)))


class Isodoses(SceneTestCase):
    def test_surface_lies_within_half_a_voxel_of_the_analytic_sphere(self) -> None:
        from vtk.util.numpy_support import vtk_to_numpy

        from TARECOMETLib.mrml.isodose import isodose_surface

        dose = spherical_dose()
        half_voxel_mm = 0.5 * min(dose.geometry.spacing_mm)
        for level in (50.0, 100.0, 200.0):
            surface = isodose_surface(dose, level)
            lps = vtk_to_numpy(surface.GetPoints().GetData()) * [-1.0, -1.0, 1.0]
            offset = np.linalg.norm(lps - CENTER, axis=1) - radius_mm(level)
            self.assertGreater(len(lps), 500)
            self.assertLess(np.abs(offset).max(), half_voxel_mm)
            normals = vtk_to_numpy(surface.GetPointData().GetNormals()) * [-1.0, -1.0, 1.0]
            self.assertGreater(np.sum(normals * (lps - CENTER), axis=1).min(), 0.0, "normals point outward")

    def test_surface_is_closed_where_the_dose_reaches_the_border(self) -> None:
        import vtk

        from TARECOMETLib.mrml.isodose import isodose_surface

        dose = spherical_dose()
        geometry = dose.geometry.cropped((0, 0, 0), (20, 60, 64))
        edges = vtk.vtkFeatureEdges()
        edges.SetInputData(isodose_surface(Volume(dose.array[:20], geometry), 100.0))
        edges.FeatureEdgesOff()
        edges.NonManifoldEdgesOff()
        edges.Update()
        self.assertEqual(edges.GetOutput().GetNumberOfCells(), 0)

    def test_second_run_reuses_nodes_and_drops_levels_no_longer_asked_for(self) -> None:
        from TARECOMETLib.mrml.hierarchy import patient_study_item
        from TARECOMETLib.mrml.isodose import write_isodoses

        study = patient_study_item(self.scene, "CASE")
        dose = spherical_dose()
        first = write_isodoses(self.scene, dose, [200.0, 50.0, 900.0], "Dose", owner="CASE", parent_item=study)
        self.assertEqual(list(first), [50.0, 200.0])
        names = self.node_names()
        again = write_isodoses(self.scene, dose, [200.0, 50.0, 900.0], "Dose", owner="CASE", parent_item=study)
        self.assertEqual(self.node_names(), names)
        self.assertTrue(all(first[level] is again[level] for level in first))
        again[200.0].AddDefaultStorageNode()
        write_isodoses(self.scene, dose, [50.0], "Dose", owner="CASE", parent_item=study)
        left = [(kind, name) for kind, name in self.node_names() if kind.startswith("vtkMRMLModel")]
        self.assertEqual([kind for kind, _ in left], ["vtkMRMLModelDisplayNode", "vtkMRMLModelNode"])
        self.assertEqual(left[1][1], "Dose: 50 Gy")

    def test_level_of_zero_is_refused(self) -> None:
        from TARECOMETLib.mrml.isodose import isodose_surface

        with self.assertRaisesRegex(InputError, "above 0 Gy"):
            isodose_surface(spherical_dose(), 0.0)


if __name__ == "__main__":
    unittest.main()
