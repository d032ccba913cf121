"""A PET made with the scanner set to fluorine: blocked, or undone with both factors printed."""

import math
import unittest
from dataclasses import replace

import numpy as np
from dicom_support import RefusalMixin, coarse_case

from TARECOMETLib.case.checks import check_case
from TARECOMETLib.case.inputs import Inputs
from TARECOMETLib.case.steps import finish
from TARECOMETLib.case.workflow import run_case
from TARECOMETLib.imaging.emission import EmissionFacts, undo_other_nuclide
from TARECOMETLib.imaging.volume import Volume

FLUORINE_H, FLUORINE_FRACTION, YTTRIUM_FRACTION = 109.77 / 60.0, 0.967, 3.186e-5


def start_factor(half_life_h, frame_h):
    x = math.log(2.0) * frame_h / half_life_h
    return x / (1.0 - math.exp(-x))


class TestUndoing(RefusalMixin, unittest.TestCase):
    def test_is_right_over_wrong_decay_and_wrong_over_right_branching(self):
        facts = EmissionFacts(half_life_h=FLUORINE_H, frame_duration_s=1200.0, positron_fraction=FLUORINE_FRACTION)
        undone = undo_other_nuclide(facts, 64.1, "pet")
        # 20 min are 0.12629 of e-folding for 18F (1 + x/2 + x2/12 = 1.064475) and 0.0036045 for 90Y (1.001803).
        self.assertAlmostEqual(undone.decay, 1.001803 / 1.064475, delta=2e-6)
        self.assertAlmostEqual(undone.branching, FLUORINE_FRACTION / YTTRIUM_FRACTION, places=6)

    def test_without_what_it_needs_is_refused(self):
        for change in ({"frame_duration_s": None}, {"positron_fraction": None}, {"half_life_h": None}):
            facts = replace(EmissionFacts(half_life_h=1.83, frame_duration_s=1200.0, positron_fraction=0.967), **change)
            self.assert_refused(
                lambda f=facts: undo_other_nuclide(f, 64.1, "pet"), "another nuclide", code="wrong-half-life"
            )


class TestACase(RefusalMixin, unittest.TestCase):
    def test_gives_the_doses_of_the_right_setting_once_a_person_accepts(self):
        made, loaded = coarse_case()
        keep = ("diagnostic", "y90_pet", "y90_ct")
        images = {role: entry for role, entry in made.case.images.items() if role in keep}
        case = replace(made.case, images=images, settings=replace(made.case.settings, dose_grid_mm=6.0))
        right = finish(run_case(case, loaded))
        fixed = tuple(tuple(float(x) for x in row) for row in right.phases["post"].registration.matrix_lps)
        facts = images["y90_pet"].emission
        frame_h = facts.frame_duration_s / 3600.0
        factor = (
            YTTRIUM_FRACTION
            / FLUORINE_FRACTION
            * start_factor(FLUORINE_H, frame_h)
            / start_factor(right.constants.half_life_h, frame_h)
        )
        pet = loaded.images["y90_pet"]
        wrong = Inputs(
            dict(loaded.images, y90_pet=Volume(pet.array * np.float32(factor), pet.geometry)), loaded.contours, []
        )
        facts = replace(facts, half_life_h=FLUORINE_H, positron_fraction=FLUORINE_FRACTION, radionuclide="^18^Fluorine")
        images = dict(images, y90_pet=replace(images["y90_pet"], emission=facts))
        case = replace(case, images=images, registration_lps={"post": fixed})
        blocks = {f.code for f in check_case(case, wrong) if f.severity == "block"}
        self.assertLessEqual({"wrong-half-life", "nuclide"}, blocks)
        self.assert_refused(lambda: finish(run_case(case, wrong)), code="wrong-half-life")
        accepted = replace(case, accepted={"wrong-half-life": "set to 18F", "nuclide": "set to 18F"})
        found = {f.code: f for f in check_case(accepted, wrong)}
        self.assertIn(f"{FLUORINE_FRACTION / YTTRIUM_FRACTION:.5g}", found["wrong-half-life"].message)
        self.assertNotIn("field-activity", found)
        undone = finish(run_case(accepted, wrong))
        for name, activity in right.phases["post"].activity_mbq.items():
            # Values are float32.
            self.assertAlmostEqual(undone.phases["post"].activity_mbq[name] / activity, 1.0, delta=1e-5)


if __name__ == "__main__":
    unittest.main()
