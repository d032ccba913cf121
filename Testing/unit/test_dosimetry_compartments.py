"""Compartments that follow from the drawn contours by set operations."""

from __future__ import annotations

import itertools
import unittest

import numpy as np
import support  # noqa: F401 - finds the library

from TARECOMETLib.dosimetry.compartments import Compartment, derive_compartments

ROLES = {
    "Liver": "liver",
    "Left": "territory",
    "Right": "territory",
    "T1": "tumour",
    "T2": "tumour",
    "Lungs": "lung",
    "Spleen": "other",
}
NAMES = tuple(ROLES)
# Every combination of being inside or outside of the seven contours.
CODES = np.arange(2 ** len(NAMES), dtype=np.uint64)


def inside(name: str) -> np.ndarray:
    """Which combinations lie in a drawn contour, by plain arithmetic."""
    return np.array([(int(code) // 2 ** NAMES.index(name)) % 2 == 1 for code in CODES])


class DerivedTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.held = {c.name: c.holds(CODES, NAMES) for c in derive_compartments(ROLES)}

    def test_drawn_contours_come_first_and_keep_names_order_and_roles(self) -> None:
        compartments = derive_compartments(ROLES)
        self.assertEqual([c.name for c in compartments[:7]], list(NAMES))
        self.assertEqual([c.role for c in compartments[:7]], list(ROLES.values()))
        for name in NAMES:
            np.testing.assert_array_equal(self.held[name], inside(name))

    def test_derived_ones_carry_the_names_of_the_contract(self) -> None:
        # DESIGN.md, results.json.
        derived = [c.name for c in derive_compartments(ROLES) if c.role == "derived"]
        self.assertEqual(
            derived,
            [
                "All tumours",
                "Whole normal liver",
                "Normal perfused liver",
                "Normal perfused liver: Left",
                "Normal perfused liver: Right",
                "Non-perfused liver",
            ],
        )

    def test_every_place_is_where_the_definitions_put_it(self) -> None:
        liver, tumour = inside("Liver"), inside("T1") | inside("T2")
        perfused = inside("Left") | inside("Right")
        expected = {
            "All tumours": tumour,
            "Whole normal liver": liver & ~tumour,
            "Normal perfused liver": liver & perfused & ~tumour,
            "Normal perfused liver: Left": liver & inside("Left") & ~tumour,
            "Normal perfused liver: Right": liver & inside("Right") & ~tumour,
            "Non-perfused liver": liver & ~perfused & ~tumour,
        }
        for name, where in expected.items():
            with self.subTest(compartment=name):
                np.testing.assert_array_equal(self.held[name], where)

    def test_perfused_and_non_perfused_make_up_the_whole_normal_liver(self) -> None:
        both = self.held["Normal perfused liver"].astype(int) + self.held["Non-perfused liver"]
        np.testing.assert_array_equal(both, self.held["Whole normal liver"].astype(int))

    def test_a_tumour_outside_the_liver_stays_a_tumour_and_is_never_normal(self) -> None:
        outside = inside("T1") & ~inside("Liver")
        self.assertTrue(self.held["All tumours"][outside].all())
        self.assertFalse(self.held["Whole normal liver"][outside].any())

    def test_the_order_of_the_contours_does_not_matter(self) -> None:
        for order in itertools.islice(itertools.permutations(NAMES), 0, 5040, 631):
            shuffled = {name: ROLES[name] for name in order}
            moved = np.zeros(CODES.size, dtype=np.uint64)
            for bit, name in enumerate(order):
                moved |= inside(name).astype(np.uint64) << np.uint64(bit)
            for compartment in derive_compartments(shuffled):
                np.testing.assert_array_equal(compartment.holds(moved, order), self.held[compartment.name])


class FewContoursTestCase(unittest.TestCase):
    def names(self, roles: dict[str, str]) -> list[str]:
        return [c.name for c in derive_compartments(roles) if c.role == "derived"]

    def test_without_tumours_all_liver_is_normal(self) -> None:
        self.assertEqual(self.names({"Liver": "liver"}), ["Whole normal liver"])
        whole = next(c for c in derive_compartments({"Liver": "liver"}) if c.name == "Whole normal liver")
        np.testing.assert_array_equal(whole.holds(np.array([0, 1], dtype=np.uint64), ("Liver",)), [False, True])

    def test_a_single_territory_is_not_listed_twice(self) -> None:
        roles = {"Liver": "liver", "Lobe": "territory"}
        self.assertEqual(self.names(roles), ["Whole normal liver", "Normal perfused liver", "Non-perfused liver"])

    def test_the_63rd_contour_is_held_like_the_first(self) -> None:
        names = tuple(f"c{n}" for n in range(63))
        last = Compartment("x", "other", ("c62",), none_of=("c0",))
        codes = np.array([1 << 62, (1 << 62) | 1, 1 << 61], dtype=np.uint64)
        np.testing.assert_array_equal(last.holds(codes, names), [True, False, False])


if __name__ == "__main__":
    unittest.main()
