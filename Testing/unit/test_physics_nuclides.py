"""Constants sets: half-life, energy and K belong together, and each agrees with its source."""

from __future__ import annotations

import math
import unittest

from support import AgreementTestCase

from TARECOMETLib.errors import InputError
from TARECOMETLib.physics.nuclides import constants_set, dose_constant_gy_kg_per_gbq, nuclides

# K = E T½ / ln 2 in Gy kg/GBq with 1.602176634e-13 J/MeV, calculated by hand to five figures
# (shared/docs/FACTS.md section 3): (half-life in h, energy in MeV) to K.
K_TABLE = {
    (64.05, 0.9267): 49.391,
    (64.05, 0.9327): 49.711,
    (64.05, 0.9336): 49.759,
    (64.05, 0.9367): 49.924,
    (64.05, 0.94): 50.100,
    (64.1, 0.9267): 49.429,
    (64.1, 0.9327): 49.749,
    (64.1, 0.9336): 49.797,
    (64.1, 0.9367): 49.963,
    (64.1, 0.94): 50.139,
    (64.2, 0.9267): 49.506,
    (64.2, 0.9327): 49.827,
    (64.2, 0.9336): 49.875,
    (64.2, 0.9367): 50.041,
    (64.2, 0.94): 50.217,
}
# exp(-ln 2 t / T) for t in h, to five decimals (FACTS.md section 3).
HOURS = (24.0, 48.0, 72.0, 96.0, 168.0, 288.0)
DECAY_TABLE = {
    "ENSDF 2020": (0.77126, 0.59484, 0.45878, 0.35384, 0.16234, 0.04430),  # 64.05 h
    "ICRP 107": (0.77142, 0.59509, 0.45906, 0.35413, 0.16257, 0.04441),  # 64.1 h
    "MIRD 49.67": (0.77173, 0.59557, 0.45962, 0.35470, 0.16303, 0.04463),  # 64.2 h
}


class DoseConstantTestCase(AgreementTestCase):
    def test_k_follows_from_energy_and_half_life(self) -> None:
        worst = max(abs(dose_constant_gy_kg_per_gbq(e, t) - k) for (t, e), k in K_TABLE.items())
        # The table has three decimals.
        self.assert_agrees("K from energy and half-life", "15 hand-calculated values", worst, 0.0006, "Gy kg/GBq")

    def test_each_set_carries_the_k_of_its_own_energy_and_half_life(self) -> None:
        # Hand calculations: FACTS.md section 3 (ENSDF 49.690, label 49.963) and KERNELS.md section 1
        # (49.77 of 0.9331 MeV at 64.1 h; DDEP 49.38-49.39 at 64.04-64.05 h), at their printed precision.
        expected = {
            "ENSDF 2020": (49.690, 0.0006),
            "TheraSphere label": (49.963, 0.0006),
            "ICRP 107": (49.77, 0.006),
            "DDEP 2015": (49.385, 0.006),
            "MIRD 49.67": (49.67, 0.0),
        }
        self.assertEqual({s.name for s in nuclides()["Y-90"].constants_sets}, set(expected))
        for name, (value, tolerance) in expected.items():
            with self.subTest(set=name):
                self.assertAlmostEqual(constants_set(name).gy_kg_per_gbq, value, delta=tolerance)

    def test_every_set_is_consistent_in_itself(self) -> None:
        for chosen in nuclides()["Y-90"].constants_sets:
            with self.subTest(set=chosen.name):
                product = dose_constant_gy_kg_per_gbq(chosen.mean_energy_mev, chosen.half_life_h)
                self.assertAlmostEqual(product / chosen.gy_kg_per_gbq, 1.0, delta=1e-14)
                self.assertTrue(chosen.reference.strip())

    def test_a_set_published_only_as_k_has_its_energy_implied(self) -> None:
        chosen = constants_set("MIRD 49.67")
        self.assertTrue(chosen.mean_energy_is_implied)
        # By hand: 49.67 ln2 / (64.2 * 3600 * 1e9 * 1.602176634e-13) = 34.4286 / 37.0295 = 0.92976 MeV.
        self.assertAlmostEqual(chosen.mean_energy_mev, 0.92976, delta=5e-6)
        implied = [s.name for s in nuclides()["Y-90"].constants_sets if s.mean_energy_is_implied]
        self.assertEqual(implied, ["MIRD 49.67"])

    def test_the_implied_energy_of_other_half_lives_is_the_published_one(self) -> None:
        # FACTS.md section 3: 49.67 needs 0.9312 MeV at 64.1 h or 0.9319 MeV at 64.05 h (four decimals).
        for half_life_h, energy in ((64.1, 0.9312), (64.05, 0.9319)):
            self.assertAlmostEqual(49.67 / dose_constant_gy_kg_per_gbq(1.0, half_life_h), energy, delta=6e-5)


class DecayTestCase(AgreementTestCase):
    def test_decay_factors_are_those_of_the_half_life(self) -> None:
        worst = max(
            abs(constants_set(name).decay_factor(hours) - factor)
            for name, row in DECAY_TABLE.items()
            for hours, factor in zip(HOURS, row, strict=True)
        )
        # The table has five decimals.
        self.assert_agrees("Decay factors, 1 to 12 days", "18 hand-calculated values", worst, 6e-6)

    def test_decay_over_a_half_life_is_one_half_and_reverses(self) -> None:
        chosen = constants_set("ICRP 107")
        self.assertAlmostEqual(chosen.decay_factor(64.1), 0.5, delta=1e-15)
        self.assertAlmostEqual(chosen.decay_factor(-10.0) * chosen.decay_factor(10.0), 1.0, delta=1e-15)
        self.assertEqual(chosen.decay_factor(0.0), 1.0)


class WorkedExampleTestCase(unittest.TestCase):
    """FACTS.md section 3's examples, as far as K and decay alone decide them (density 1.03 g/mL)."""

    def setUp(self) -> None:
        self.k = constants_set("MIRD 49.67").gy_kg_per_gbq

    def test_example_a_single_compartment(self) -> None:
        # 1000 mL, 100 Gy, lung shunt 0.10: 2.3041 GBq net, lungs of 1 kg 11.444 Gy, order 2.5601 GBq at 10 % residual.
        net_gbq = 100.0 * 1.03 / self.k / (1.0 - 0.10)
        self.assertAlmostEqual(net_gbq, 2.3041, delta=5e-5)
        self.assertAlmostEqual(self.k * net_gbq * 0.10, 11.444, delta=5e-4)
        self.assertAlmostEqual(net_gbq / 0.90, 2.5601, delta=5e-5)

    def test_example_d_the_order_of_the_sets(self) -> None:
        # 120 Gy, 1.9 kg, shunt 0.05, residual 0.02: 4.9305 GBq for 49.67; DDEP's 49.385 asks for 49.67 / 49.385 of it.
        ordered_gbq = 120.0 * 1.9 / self.k / 0.95 / 0.98
        self.assertAlmostEqual(ordered_gbq, 4.9305, delta=5e-5)

    def test_example_e_pet_concentration_at_20_hours(self) -> None:
        # 1 MBq/mL at 20 h p.i., K = 49.67: dose in Gy at 1.05 and 1.03 g/mL for 64.05, 64.1 and 64.2 h.
        expected = {
            "ENSDF 2020": (58.736, 59.876),
            "ICRP 107": (58.726, 59.866),
            "MIRD 49.67": (58.706, 59.846),
        }
        for name, doses in expected.items():
            back = 1.0 / constants_set(name).decay_factor(20.0)
            for density, dose in zip((1.05, 1.03), doses, strict=True):
                with self.subTest(set=name, density=density):
                    # MBq per g equals GBq per kg. Three decimals are printed.
                    self.assertAlmostEqual(self.k * back / density, dose, delta=6e-4)


class LookUpTestCase(unittest.TestCase):
    def test_an_unknown_set_is_refused_with_the_list_of_those_there_are(self) -> None:
        with self.assertRaises(InputError) as caught:
            constants_set("ICRP 38")
        sentence = str(caught.exception)
        self.assertIn('"ICRP 38"', sentence)
        for known in nuclides()["Y-90"].constants_sets:
            self.assertIn(known.name, sentence)
        self.assertNotIn("\n", sentence)

    def test_case_and_blanks_around_a_name_do_not_matter(self) -> None:
        self.assertIs(constants_set("  icrp 107 "), constants_set("ICRP 107"))

    def test_an_unknown_nuclide_is_refused_with_the_list_of_those_there_are(self) -> None:
        with self.assertRaises(InputError) as caught:
            constants_set("ICRP 107", nuclide="Xx-1")
        self.assertIn("Y-90", str(caught.exception))

    def test_the_header_half_lives_that_pass_hold_every_set_and_no_other_pet_nuclide(self) -> None:
        low, high = nuclides()["Y-90"].header_half_life_range_h
        for chosen in nuclides()["Y-90"].constants_sets:
            self.assertTrue(low < chosen.half_life_h < high)
        # I-124 100.2 h, Zr-89 78.4 h, Cu-64 12.7 h (ICRP 107).
        for other in (100.2, 78.4, 12.7):
            self.assertFalse(low <= other <= high)

    def test_the_decay_constant_times_the_half_life_is_ln_2(self) -> None:
        chosen = constants_set()
        self.assertAlmostEqual(-math.log(chosen.decay_factor(1.0)) * chosen.half_life_h, math.log(2.0), delta=1e-14)


if __name__ == "__main__":
    unittest.main()
