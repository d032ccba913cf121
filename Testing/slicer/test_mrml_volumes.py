"""Volumes keep values and place in the scene; dose maps carry their unit."""

import unittest

import numpy as np
from scene_support import SceneTestCase, oblique_geometry

from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry, same_grid
from TARECOMETLib.imaging.volume import Volume


class VolumeNodes(SceneTestCase):
    def test_oblique_anisotropic_volume_comes_back_as_it_went_in(self) -> None:
        from TARECOMETLib.mrml.volumes import read_volume, write_volume

        geometry = oblique_geometry()
        for kind in (np.int16, np.uint8, np.float32, np.float64):
            values = np.random.default_rng(1).integers(0, 200, geometry.shape_kji).astype(kind)
            back = read_volume(write_volume(self.scene, Volume(values, geometry), f"volume {kind.__name__}"))
            np.testing.assert_array_equal(back.array, values)
            self.assertEqual(back.array.dtype, values.dtype)
            np.testing.assert_allclose(back.geometry.ijk_to_lps, geometry.ijk_to_lps, atol=1e-9)

    def test_left_handed_grid_keeps_its_handedness(self) -> None:
        from TARECOMETLib.mrml.volumes import read_volume, write_volume

        geometry = VolumeGeometry.from_components(
            (4, 5, 6), spacing_mm=(1.0, 2.0, 3.0), direction_lps=np.diag([1.0, 1.0, -1.0])
        )
        volume = Volume(np.arange(120.0).reshape(4, 5, 6), geometry)
        back = read_volume(write_volume(self.scene, volume, "left-handed"))
        self.assertTrue(same_grid(back.geometry, geometry))

    def test_world_position_of_a_voxel_is_the_lps_point_in_ras(self) -> None:
        import vtk

        from TARECOMETLib.mrml.volumes import write_volume

        geometry = oblique_geometry()
        node = write_volume(self.scene, Volume(np.zeros(geometry.shape_kji), geometry), "volume")
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        ras = matrix.MultiplyPoint((3.0, 5.0, 7.0, 1.0))[:3]
        lps = (geometry.ijk_to_lps @ [3.0, 5.0, 7.0, 1.0])[:3]
        np.testing.assert_allclose(ras, [-lps[0], -lps[1], lps[2]], atol=1e-9)

    def test_linear_parent_transform_moves_the_grid_and_a_warp_is_refused(self) -> None:
        import vtk

        from TARECOMETLib.mrml.coordinates import vtk_matrix
        from TARECOMETLib.mrml.volumes import read_volume, write_volume

        geometry = oblique_geometry()
        node = write_volume(self.scene, Volume(np.zeros(geometry.shape_kji), geometry), "moved")
        shift_ras = np.eye(4)
        shift_ras[:3, 3] = [5.0, -7.0, 11.0]
        transform = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(vtk_matrix(shift_ras))
        node.SetAndObserveTransformNodeID(transform.GetID())
        moved = np.array(read_volume(node).geometry.origin_lps_mm) - geometry.origin_lps_mm
        np.testing.assert_allclose(moved, [-5.0, 7.0, 11.0], atol=1e-9)
        warp = self.scene.AddNewNodeByClass("vtkMRMLTransformNode")
        spline = vtk.vtkThinPlateSplineTransform()
        warp.SetAndObserveTransformToParent(spline)
        node.SetAndObserveTransformNodeID(warp.GetID())
        with self.assertRaisesRegex(InputError, "non-linear"):
            read_volume(node)

    def test_second_writing_reuses_the_nodes(self) -> None:
        from TARECOMETLib.mrml.volumes import write_dose_volume

        geometry = oblique_geometry()
        first = write_dose_volume(self.scene, Volume(np.ones(geometry.shape_kji), geometry), "Dose", owner="A")
        names = self.node_names()
        again = write_dose_volume(self.scene, Volume(np.full(geometry.shape_kji, 2.0), geometry), "Dose", owner="A")
        self.assertIs(first, again)
        self.assertEqual(self.node_names(), names)
        self.assertEqual(again.GetImageData().GetScalarRange(), (2.0, 2.0))

    def test_a_persons_own_volume_of_the_same_name_is_left_alone(self) -> None:
        from TARECOMETLib.mrml.volumes import write_volume

        own = self.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Dose")
        geometry = oblique_geometry()
        self.assertIsNot(write_volume(self.scene, Volume(np.ones(geometry.shape_kji), geometry), "Dose"), own)
        self.assertIsNone(own.GetImageData())

    def test_empty_node_is_refused_with_its_name(self) -> None:
        from TARECOMETLib.mrml.volumes import read_volume

        node = self.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing here")
        with self.assertRaisesRegex(InputError, "nothing here"):
            read_volume(node)


class DoseVolumes(SceneTestCase):
    def test_dose_volume_is_known_as_dose_in_gray(self) -> None:
        from TARECOMETLib.mrml.volumes import write_dose_volume

        geometry = oblique_geometry()
        values = np.linspace(0.0, 240.0, int(np.prod(geometry.shape_kji))).reshape(geometry.shape_kji)
        node = write_dose_volume(self.scene, Volume(values, geometry), "Dose")
        self.assertEqual(node.GetAttribute("DicomRtImport.DoseVolume"), "1")
        self.assertEqual(node.GetAttribute("DicomRtImport.DoseUnitName"), "GY")
        self.assertEqual(node.GetAttribute("DicomRtImport.DoseUnitValue"), "1.0")
        # DICOM PS3.16 Annex D: 128513 Absorbed Dose.
        quantity, units = node.GetVoxelValueQuantity(), node.GetVoxelValueUnits()
        self.assertEqual(quantity.GetValueSchemeMeaning(), ("128513", "DCM", "Absorbed Dose"))
        self.assertEqual(units.GetValueSchemeMeaning()[:2], ("Gy", "UCUM"))
        display = node.GetDisplayNode()
        self.assertAlmostEqual(display.GetWindowLevelMin(), 0.0)
        self.assertAlmostEqual(display.GetWindowLevelMax(), 240.0)
        self.assertAlmostEqual(display.GetLowerThreshold(), 12.0)
        self.assertTrue(display.GetApplyThreshold() and display.GetInterpolate())

    def test_color_node_has_the_numbers_of_the_figures(self) -> None:
        from TARECOMETLib.mrml.dose_colors import dose_color_node
        from TARECOMETLib.report.dose_colors import dose_color_table

        node = dose_color_node(self.scene)
        self.assertIs(dose_color_node(self.scene), node)
        table = node.GetLookupTable()
        colors = [table.GetTableValue(n)[:3] for n in range(table.GetNumberOfTableValues())]
        np.testing.assert_allclose(colors, dose_color_table(), atol=0.5 / 255.0 + 1e-9)

    def test_a_dose_that_is_not_a_number_is_refused_and_zero_dose_is_not(self) -> None:
        from TARECOMETLib.mrml.volumes import write_dose_volume

        geometry = oblique_geometry()
        values = np.zeros(geometry.shape_kji)
        write_dose_volume(self.scene, Volume(values, geometry), "zero")
        values[2, 2, 2] = np.nan
        with self.assertRaisesRegex(InputError, "finite"):
            write_dose_volume(self.scene, Volume(values, geometry), "nan")

    def test_ct_has_the_abdomen_window(self) -> None:
        from TARECOMETLib.mrml.volumes import write_ct_volume

        geometry = oblique_geometry()
        display = write_ct_volume(self.scene, Volume(np.zeros(geometry.shape_kji), geometry), "CT").GetDisplayNode()
        self.assertEqual((display.GetWindow(), display.GetLevel()), (400.0, 50.0))


if __name__ == "__main__":
    unittest.main()
