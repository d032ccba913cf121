"""What one click does to contours: overlapping segments, roles, uptake, margins, derived compartments."""

import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from scene_support import SceneTestCase, ball, oblique_geometry, positions_lps_mm, requires_slicer

from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.volume import Volume

CENTER = (-40.0, 12.0, 25.0)


@requires_slicer
class TestContourTools(SceneTestCase):
    def setUp(self):
        super().setUp()
        from TARECOMETLib.mrml.contour_tools import new_contour

        self.geometry = oblique_geometry(spacing_mm=(2.0, 2.0, 2.5))
        self.node = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Contours")
        self.masks = {
            "Liver": ball(self.geometry, CENTER, 24.0),
            "Right lobe": ball(self.geometry, CENTER, 18.0),
            "T1": ball(self.geometry, CENTER, 8.0),
        }
        roles = ("liver", "territory", "tumour")
        self.ids = {
            name: new_contour(self.node, name, role, "CT", mask)
            for (name, mask), role in zip(self.masks.items(), roles, strict=True)
        }

    def test_a_tumour_in_a_territory_in_the_liver_leaves_all_volumes_as_drawn(self):
        from TARECOMETLib.mrml.contour_tools import contour_rows

        rows = {row.name: row for row in contour_rows(self.node)}
        for name, mask in self.masks.items():
            # Voxels are copied, so their count is exact.
            self.assertEqual(rows[name].volume_ml, np.count_nonzero(mask.array) * self.geometry.voxel_volume_ml)
        self.assertEqual([row.role for row in rows.values()], ["liver", "territory", "tumour"])
        self.assertEqual({row.source for row in rows.values()}, {"CT"})

    def test_a_role_is_a_tag_and_a_coded_term_and_a_territory_has_no_term(self):
        import vtk

        from TARECOMETLib.mrml.contour_tools import give_role

        text = vtk.reference("")
        segment = self.node.GetSegmentation().GetSegment(self.ids["T1"])
        self.assertTrue(segment.GetTag("TerminologyEntry", text))
        self.assertIn("SCT^14799000^Neoplasm, Secondary", str(text))
        give_role(self.node, self.ids["T1"], "territory")
        self.assertFalse(segment.GetTag("TerminologyEntry", text))
        with self.assertRaisesRegex(InputError, "no role"):
            give_role(self.node, self.ids["T1"], "spleen")

    def test_new_voxels_of_one_segment_leave_the_others_alone(self):
        from TARECOMETLib.mrml.contour_tools import contour_rows, replace_mask, segment_volume_ml

        before = {row.name: row.volume_ml for row in contour_rows(self.node)}
        smaller = ball(self.geometry, CENTER, 5.0)
        replace_mask(self.node, self.ids["T1"], smaller)
        after = {row.name: row.volume_ml for row in contour_rows(self.node)}
        self.assertEqual(after["T1"], np.count_nonzero(smaller.array) * self.geometry.voxel_volume_ml)
        self.assertEqual({k: v for k, v in after.items() if k != "T1"}, {k: v for k, v in before.items() if k != "T1"})
        self.assertGreater(segment_volume_ml(self.node, self.ids["Liver"]), 0.0)

    def test_uptake_at_half_the_maximum_is_the_half_width_of_a_linear_cone(self):
        from TARECOMETLib.mrml.contour_tools import uptake_inside

        distance = np.linalg.norm(positions_lps_mm(self.geometry) - np.array(CENTER), axis=-1)
        image = Volume(np.clip(100.0 - 5.0 * distance, 0.0, None).astype(np.float32), self.geometry)
        found = uptake_inside(image, self.masks["Liver"], 50.0)
        limit = 0.5 * float(image.array[self.masks["Liver"].array].max())
        # Voxels at the limit to within float32 may fall on either side.
        expected = self.masks["Liver"].array & (image.array >= limit)
        self.assertLessEqual(np.count_nonzero(found.array != expected), 2)
        with self.assertRaisesRegex(InputError, "100 %"):
            uptake_inside(image, self.masks["Liver"], 0.0)
        with self.assertRaisesRegex(InputError, "no uptake"):
            uptake_inside(Volume(0.0 * image.array, self.geometry), self.masks["Liver"], 50.0)

    def test_ct_limits_find_the_dark_lesion_inside_the_liver_only(self):
        from TARECOMETLib.mrml.contour_tools import density_inside

        hu = np.full(self.geometry.shape_kji, 40.0, dtype=np.float32)  # all around is as dark as the lesion
        hu[self.masks["Liver"].array] = 110.0
        hu[self.masks["T1"].array] = 50.0
        found = density_inside(Volume(hu, self.geometry), self.masks["Liver"], 0.0, 80.0)
        both = np.count_nonzero(found.array & self.masks["T1"].array)
        self.assertGreater(2.0 * both / (found.array.sum() + self.masks["T1"].array.sum()), 0.9)
        self.assertFalse((found.array & ~self.masks["Liver"].array).any())

    def test_a_margin_moves_the_radius_by_as_much_and_keeps_the_middle(self):
        from TARECOMETLib.mrml.contour_tools import with_margin

        ball_ml = np.count_nonzero(self.masks["T1"].array) * self.geometry.voxel_volume_ml
        for margin in (4.0, -3.0):
            changed = with_margin(self.masks["T1"], margin)
            volume = np.count_nonzero(changed.array) * self.geometry.voxel_volume_ml
            radius = (3.0 * 1000.0 * volume / (4.0 * np.pi)) ** (1.0 / 3.0)
            old = (3.0 * 1000.0 * ball_ml / (4.0 * np.pi)) ** (1.0 / 3.0)
            # Distances between voxel centers: half a voxel.
            self.assertAlmostEqual(radius - old, margin, delta=1.25)
            middle = np.argwhere(changed.array).mean(axis=0)[::-1]
            self.assertTrue(np.allclose((changed.geometry.ijk_to_lps @ [*middle, 1.0])[:3], CENTER, atol=0.7))
        with self.assertRaisesRegex(InputError, "nothing is left"):
            with_margin(self.masks["T1"], -20.0)

    def test_derived_compartments_add_up(self):
        from TARECOMETLib.mrml.contour_tools import derived_masks

        found = {name: int(mask.array.sum()) for name, mask in derived_masks(self.node).items()}
        voxels = {name: int(mask.array.sum()) for name, mask in self.masks.items()}
        self.assertEqual(found["Whole normal liver"], voxels["Liver"] - voxels["T1"])
        self.assertEqual(found["Normal perfused liver"], voxels["Right lobe"] - voxels["T1"])
        self.assertEqual(found["Non-perfused liver"], voxels["Liver"] - voxels["Right lobe"])

    def test_a_second_contour_of_a_name_gets_a_number_and_an_empty_one_is_refused(self):
        from TARECOMETLib.mrml.contour_tools import contour_rows, new_contour

        new_contour(self.node, "T1", "tumour", "uptake", self.masks["T1"])
        self.assertEqual(contour_rows(self.node)[-1].name, "T1 2")
        with self.assertRaisesRegex(InputError, "nothing would be in it"):
            new_contour(
                self.node, "T3", "tumour", "CT", Volume(~np.ones((2, 2, 2), dtype=bool), oblique_geometry((2, 2, 2)))
            )


if __name__ == "__main__":
    unittest.main()
