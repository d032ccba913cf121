"""Misalignments that were made: of the two CTs, and of an emission image against its own CT."""

import json
import unittest
from dataclasses import replace

import numpy as np
from dicom_support import NO_SHARED, SHARED, RefusalMixin, coarse_case, read_folder
from scipy.spatial.transform import Rotation

from TARECOMETLib.case.after_checks import REGISTRATION_DOUBT_BELOW
from TARECOMETLib.case.inputs import Inputs
from TARECOMETLib.case.results import results_document
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.workflow import run_case
from TARECOMETLib.dosimetry.uptake_offset import uptake_offset
from TARECOMETLib.imaging.image_files import read_contours
from TARECOMETLib.imaging.registration import given, register_rigid
from TARECOMETLib.imaging.volume import Volume

CASE_A = SHARED / "data" / "cases" / "case-a"


def misaligned(matrix, center, shift_mm, degrees, rng):
    """A movement followed by a shift in a random direction and a turn about a random axis through a point."""
    along, about = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    extra = np.eye(4)
    extra[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * about).as_matrix()
    extra[:3, 3] = center - extra[:3, :3] @ center + shift_mm * along
    return extra @ matrix


@unittest.skipUnless(CASE_A.is_dir(), NO_SHARED)
class TestTheQualityFigure(unittest.TestCase):
    """Its threshold: at least 95 % of 10 mm and of 8 degrees flagged, at most 5 % of 3 mm and less."""

    def test_tells_large_misalignments_from_small_ones(self):
        fixed = read_folder(CASE_A / "diagnostic-ct")
        moving = read_folder(CASE_A / "y90-pet-ct" / "ct")
        liver = read_contours(CASE_A / "contours" / "liver.nrrd")[0][1]
        right = register_rigid(fixed, moving, liver).matrix_lps
        index = np.argwhere(liver.array).mean(axis=0)[::-1]
        center = (liver.geometry.ijk_to_lps @ [*index, 1.0])[:3]
        rng = np.random.default_rng(11)
        flagged = {}
        for shift_mm, degrees in ((10.0, 0.0), (0.0, 8.0), (3.0, 0.0), (1.0, 1.0), (5.0, 0.0)):
            qualities = [
                given(misaligned(right, center, shift_mm, degrees, rng), fixed, moving, liver).quality for _ in range(8)
            ]
            flagged[(shift_mm, degrees)] = float(np.mean(np.array(qualities) < REGISTRATION_DOUBT_BELOW))
        self.assertGreaterEqual(min(flagged[(10.0, 0.0)], flagged[(0.0, 8.0)]), 0.95, flagged)
        self.assertLessEqual(max(flagged[(3.0, 0.0)], flagged[(1.0, 1.0)]), 0.05, flagged)
        print("\nflagged at 5 mm:", json.dumps(flagged[(5.0, 0.0)]))


class TestTheUptakesOffset(unittest.TestCase):
    def slab(self, moved_slices=0):
        image = np.full((40, 30, 30), 0.02)
        image[12 + moved_slices : 28 + moved_slices, 8:22, 8:22] = 1.0
        image[18 + moved_slices, 12:15, 12:15] = 8.0  # a hot lesion that must not steer
        return image

    def test_is_what_the_image_was_moved_by(self):
        territory = (self.slab() > 0.5).astype(float)
        for slices in (-4, -1, 0, 2, 5):
            found = uptake_offset(self.slab(slices), territory, (3.0, 4.0, 4.0), 1.0)
            # Steps of 2 mm refined by a parabola, on slices of 3 mm: a third of a slice.
            self.assertAlmostEqual(found.offset_mm, 3.0 * slices, delta=1.0)
            self.assertGreaterEqual(found.likeness, found.likeness_unmoved)

    def test_is_not_known_without_territory_or_uptake(self):
        territory = (self.slab() > 0.5).astype(float)
        self.assertIsNone(uptake_offset(np.zeros((40, 30, 30)), territory, (3.0, 4.0, 4.0), 6.0))
        self.assertIsNone(uptake_offset(self.slab(), 0.0 * territory, (3.0, 4.0, 4.0), 6.0))


class TestAnEmissionImageThatMoved(RefusalMixin, unittest.TestCase):
    """The sample patient's PET moved up by 14 mm (two slices) against its own CT, then nudged back."""

    @classmethod
    def setUpClass(cls):
        made, loaded = coarse_case()
        settings = replace(made.case.settings, dose_grid_mm=6.0)
        keep = ("diagnostic", "y90_pet", "y90_ct")
        images = {role: entry for role, entry in made.case.images.items() if role in keep}
        cls.case = replace(made.case, settings=settings, images=images)
        cls.loaded = loaded
        cls.right = results_document(finish(run_case(cls.case, loaded)))
        matrix = cls.right["post"]["registration"]["matrix_lps"]
        cls.case = replace(cls.case, registration_lps={"post": tuple(tuple(row) for row in matrix)})
        pet = loaded.images["y90_pet"]
        away = np.eye(4)
        away[2, 3] = 14.0
        images = dict(loaded.images, y90_pet=Volume(pet.array, pet.geometry.transformed(away)))
        cls.moved = Inputs(images, loaded.contours, [])

    def codes(self, document):
        return {w["code"] for w in document["post"]["warnings"]}

    def test_is_named_with_by_how_much(self):
        self.assertNotIn("emission-shifted", self.codes(self.right))
        document = results_document(finish(run_case(self.case, self.moved)))
        self.assertIn("emission-shifted", self.codes(document))
        change = document["post"]["alignment"]["uptake_offset_mm"] - self.right["post"]["alignment"]["uptake_offset_mm"]
        self.assertAlmostEqual(change, 14.0, delta=3.0)  # slices of 7 mm

    def test_is_put_right_by_a_nudge_that_says_what_it_changed(self):
        case = replace(self.case, nudge_lps_mm={"post": (0.0, 0.0, -14.0)})
        document = results_document(finish(run_case(case, self.moved)))
        for entry in document["post"]["compartments"]:
            before = next(c for c in self.right["post"]["compartments"] if c["name"] == entry["name"])
            if "dose" in entry:
                self.assertAlmostEqual(
                    entry["dose"]["local"]["mean_gy"] / before["dose"]["local"]["mean_gy"], 1.0, delta=1e-3
                )
        alignment = document["post"]["alignment"]
        changes = alignment["nudge_changes_mean_percent"]
        self.assertGreater(max(abs(x) for x in changes.values()), 1.0)
        self.assertIn("nudged", self.codes(document))
        self.assertNotIn("emission-shifted", self.codes(document))

    def test_is_refused_where_the_nudge_cannot_be(self):
        for nudge in ({"middle": (0.0, 0.0, 1.0)}, {"post": (1.0,)}, {"post": (0.0, 0.0, 80.0)}):
            self.assert_refused(lambda n=nudge: replace(self.case, nudge_lps_mm=n), "nudge_lps_mm")


if __name__ == "__main__":
    unittest.main()
