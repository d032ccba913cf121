"""Masks become segments and come back voxel for voxel."""

import unittest

import numpy as np
from scene_support import SceneTestCase, ball, oblique_geometry, positions_lps_mm

from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume

CENTER = (-40.0, 12.0, 25.0)


class Segmentations(SceneTestCase):
    def setUp(self) -> None:
        super().setUp()
        from TARECOMETLib.mrml.segmentations import Segment

        self.geometry = oblique_geometry((30, 40, 44), (2.0, 2.2, 3.0))
        x, y, z = CENTER
        self.masks = {
            "Liver": ball(self.geometry, CENTER, 36.0),
            "Tumor 1": ball(self.geometry, (x + 8, y, z), 15.0),
            "Tumor 2": ball(self.geometry, (x + 20, y, z), 14.0),
        }
        self.segments = [
            Segment(name, "liver" if name == "Liver" else "tumour", mask, (0.9, 0.5, 0.1))
            for name, mask in self.masks.items()
        ]

    def test_overlapping_segments_keep_all_their_voxels(self) -> None:
        from TARECOMETLib.mrml.segmentations import read_segment, segment_ids, write_segmentation

        self.assertTrue(np.any(self.masks["Tumor 1"].array & self.masks["Tumor 2"].array))
        node = write_segmentation(self.scene, self.segments, "Contours")
        for key, mask in zip(segment_ids(node), self.masks.values(), strict=True):
            np.testing.assert_array_equal(read_segment(node, key, self.geometry).array, mask.array)
            cropped = read_segment(node, key)
            self.assertEqual(cropped.array.sum(), mask.array.sum())
            self.assertAlmostEqual(cropped.geometry.voxel_volume_ml, self.geometry.voxel_volume_ml, places=9)
            middle = positions_lps_mm(cropped.geometry)[cropped.array].mean(axis=0)
            np.testing.assert_allclose(middle, positions_lps_mm(self.geometry)[mask.array].mean(axis=0), atol=1e-6)

    def test_reading_leaves_no_node_behind(self) -> None:
        from TARECOMETLib.mrml.segmentations import read_segment, segment_ids, write_segmentation

        node = write_segmentation(self.scene, self.segments, "Contours")
        names = self.node_names()
        for key in segment_ids(node):
            read_segment(node, key, self.geometry)
        self.assertEqual(self.node_names(), names)

    def test_segment_on_another_grid_keeps_its_volume(self) -> None:
        from TARECOMETLib.mrml.segmentations import read_segment, segment_ids, write_segmentation

        node = write_segmentation(self.scene, self.segments, "Contours")
        other = VolumeGeometry.from_components(
            (60, 70, 80), spacing_mm=(1.5, 1.5, 1.7), origin_lps_mm=(-100.0, -40.0, -25.0)
        )
        liver = read_segment(node, segment_ids(node)[0], other)
        expected_ml = self.masks["Liver"].array.sum() * self.geometry.voxel_volume_ml
        # Nearest voxel: unbiased; the surface of a 195 mL ball has about 5,000 voxels, so half a percent is generous.
        self.assertAlmostEqual(liver.array.sum() * other.voxel_volume_ml / expected_ml, 1.0, delta=0.005)

    def test_segment_drawn_outside_a_grid_is_cut_there(self) -> None:
        from TARECOMETLib.mrml.segmentations import read_segment, segment_ids, write_segmentation

        node = write_segmentation(self.scene, self.segments, "Contours")
        lower, shape = (12, 15, 18), (40, 30, 30)
        part = self.geometry.cropped(lower, shape)
        got = read_segment(node, segment_ids(node)[0], part).array
        expected = np.zeros(shape, dtype=bool)
        source = self.masks["Liver"].array[12:, 15:, 18:]
        k, j, i = (min(a, b) for a, b in zip(source.shape, shape, strict=True))
        expected[:k, :j, :i] = source[:k, :j, :i]
        np.testing.assert_array_equal(got, expected)

    def test_roles_names_and_ids_stay_on_a_second_writing(self) -> None:
        from TARECOMETLib.mrml.segmentations import segment_ids, segment_role, write_segmentation

        node = write_segmentation(self.scene, self.segments, "Contours", owner="A")
        ids, names = segment_ids(node), self.node_names()
        node.GetDisplayNode().SetSegmentVisibility(ids[1], False)
        again = write_segmentation(self.scene, self.segments, "Contours", owner="A")
        self.assertIs(node, again)
        self.assertEqual(segment_ids(again), ids)
        self.assertEqual([segment_role(again, key) for key in ids], ["liver", "tumour", "tumour"])
        self.assertEqual(self.node_names(), names)
        self.assertFalse(again.GetDisplayNode().GetSegmentVisibility(ids[1]))
        write_segmentation(self.scene, self.segments[:2], "Contours", owner="A")
        self.assertEqual(segment_ids(again), ids[:2])

    def test_parent_transform_moves_the_segment(self) -> None:
        from TARECOMETLib.mrml.coordinates import vtk_matrix
        from TARECOMETLib.mrml.segmentations import read_segment, segment_ids, write_segmentation

        node = write_segmentation(self.scene, self.segments, "Contours")
        before = read_segment(node, segment_ids(node)[1])
        shift_ras = np.eye(4)
        shift_ras[:3, 3] = [5.0, -7.0, 11.0]
        transform = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(vtk_matrix(shift_ras))
        node.SetAndObserveTransformNodeID(transform.GetID())
        after = read_segment(node, segment_ids(node)[1])
        moved = np.array(after.geometry.origin_lps_mm) - before.geometry.origin_lps_mm
        np.testing.assert_allclose(moved, [-5.0, 7.0, 11.0], atol=1e-6)

    def test_empty_segment_is_empty_on_a_grid_and_unknown_id_is_refused(self) -> None:
        from TARECOMETLib.mrml.segmentations import Segment, read_segment, segment_ids, write_segmentation

        nothing = Volume(np.zeros(self.geometry.shape_kji, dtype=bool), self.geometry)
        node = write_segmentation(self.scene, [Segment("None", "other", nothing, (1.0, 1.0, 1.0))], "Contours")
        self.assertFalse(read_segment(node, segment_ids(node)[0], self.geometry).array.any())
        with self.assertRaisesRegex(InputError, "no segment with the ID"):
            read_segment(node, "missing", self.geometry)
        with self.assertRaisesRegex(InputError, "one word of ASCII"):
            Segment("None", "rôle; x", nothing, (1.0, 1.0, 1.0))


if __name__ == "__main__":
    unittest.main()
