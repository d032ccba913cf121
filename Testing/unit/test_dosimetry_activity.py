"""From image values to activity at injection: nothing gets lost, nothing is counted twice."""

from __future__ import annotations

import unittest

import numpy as np
from support import AgreementTestCase

from TARECOMETLib.dosimetry.activity import (
    Delivery,
    absolute_parcel_activity_mbq,
    back_to_injection_factor,
    relative_parcel_activity_mbq,
)
from TARECOMETLib.dosimetry.parcels import Parcels
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.physics.nuclides import constants_set

CONSTANTS = constants_set("ICRP 107")  # 64.1 h
LEFT, RIGHT, LIVER = 1, 2, 4


def make_parcels(codes: list[int], volumes_ml: list[float]) -> Parcels:
    """One parcel per voxel of a row; codes over the names Left, Right, Liver."""
    geometry = VolumeGeometry.from_components((1, 1, len(codes)), spacing_mm=(10.0, 10.0, 10.0))
    return Parcels(
        geometry=geometry,
        names=("Left", "Right", "Liver"),
        voxel=np.arange(len(codes)),
        code=np.array(codes, dtype=np.uint64),
        volume_ml=np.array(volumes_ml),
    )


class DeliveryTestCase(unittest.TestCase):
    def test_net_activity_is_parted_by_the_lung_shunt(self) -> None:
        delivery = Delivery("A", "Left", 2000.0, 0.05)
        self.assertAlmostEqual(delivery.liver_mbq, 1900.0, delta=1e-9)
        self.assertAlmostEqual(delivery.lung_mbq, 100.0, delta=1e-9)


class RelativeTestCase(AgreementTestCase):
    def test_each_injection_is_spread_over_the_counts_of_its_own_territory(self) -> None:
        # Left: densities 10, 30 counts/mL in 1, 0.5 mL hold 10 and 15 counts; Right: 4 in 1 mL. 1000 MBq at shunt 0.1
        # is 900 over 25 counts, 36 MBq per count; 500 at 0.2 is 400 over 4 counts.
        parcels = make_parcels([LEFT | LIVER, LEFT | LIVER, RIGHT | LIVER, LIVER], [1.0, 0.5, 1.0, 1.0])
        deliveries = [Delivery("A", "Left", 1000.0, 0.1), Delivery("B", "Right", 500.0, 0.2)]
        activity, factors = relative_parcel_activity_mbq(parcels, np.array([10.0, 30.0, 4.0, 50.0]), deliveries)
        np.testing.assert_allclose(activity, [360.0, 540.0, 400.0, 0.0], rtol=1e-13)
        self.assertAlmostEqual(factors["A"], 36.0, delta=1e-12)
        self.assertAlmostEqual(factors["B"], 100.0, delta=1e-12)

    def test_the_sum_is_what_stayed_in_the_liver_whatever_the_image(self) -> None:
        generator = np.random.default_rng(11)
        codes = generator.choice([LEFT | LIVER, RIGHT | LIVER, LEFT | RIGHT | LIVER, LIVER], 50_000)
        parcels = make_parcels(list(codes), list(generator.uniform(0.001, 0.064, codes.size)))
        deliveries = [
            Delivery("A", "Left", 1834.5, 0.043),
            Delivery("B", "Right", 912.25, 0.11),
            Delivery("C", "Right", 455.0, 0.0),
        ]
        worst = 0.0
        for counts in (generator.poisson(30.0, codes.size), generator.gamma(0.3, 1e6, codes.size)):
            activity, _ = relative_parcel_activity_mbq(parcels, counts.astype(float), deliveries)
            expected = 1834.5 * 0.957 + 912.25 * 0.89 + 455.0
            worst = max(worst, abs(activity.sum() / expected - 1.0))
        # Double precision over 5e4 values.
        self.assert_agrees("Relative calibration, sum of activity", "sum of net (1 - LSF)", worst, 1e-9)

    def test_only_ratios_of_counts_matter(self) -> None:
        parcels = make_parcels([LEFT, LEFT], [1.0, 1.0])
        deliveries = [Delivery("A", "Left", 1000.0, 0.1)]
        first, _ = relative_parcel_activity_mbq(parcels, np.array([1.0, 3.0]), deliveries)
        second, _ = relative_parcel_activity_mbq(parcels, np.array([1e6, 3e6]), deliveries)
        np.testing.assert_allclose(first, second, rtol=1e-13)

    def test_overlapping_territories_share_the_overlap_and_keep_both_activities(self) -> None:
        # Left holds parcels 0 and 1, Right 1 and 2, all with one count: each injection halves over its two.
        parcels = make_parcels([LEFT, LEFT | RIGHT, RIGHT], [1.0, 1.0, 1.0])
        deliveries = [Delivery("A", "Left", 100.0, 0.0), Delivery("B", "Right", 40.0, 0.0)]
        activity, _ = relative_parcel_activity_mbq(parcels, np.ones(3), deliveries)
        np.testing.assert_allclose(activity, [50.0, 70.0, 20.0], rtol=1e-13)

    def test_two_injections_into_one_territory_add_up(self) -> None:
        parcels = make_parcels([LEFT, LEFT], [1.0, 1.0])
        deliveries = [Delivery("A", "Left", 100.0, 0.0), Delivery("B", "Left", 60.0, 0.5)]
        activity, factors = relative_parcel_activity_mbq(parcels, np.array([1.0, 3.0]), deliveries)
        # 100 + 30 MBq over 4 counts.
        np.testing.assert_allclose(activity, [32.5, 97.5], rtol=1e-13)
        self.assertEqual(set(factors), {"A", "B"})

    def test_negative_values_are_kept(self) -> None:
        # -1 + 5 counts: 100 MBq are 25 per count, and the sum stays 100.
        parcels = make_parcels([LEFT, LEFT], [1.0, 1.0])
        activity, _ = relative_parcel_activity_mbq(parcels, np.array([-1.0, 5.0]), [Delivery("A", "Left", 100.0, 0.0)])
        np.testing.assert_allclose(activity, [-25.0, 125.0], rtol=1e-13)

    def test_a_territory_without_counts_is_refused_by_name(self) -> None:
        parcels = make_parcels([LEFT, RIGHT], [1.0, 1.0])
        deliveries = [Delivery("A", "Left", 100.0, 0.0), Delivery("B", "Right", 40.0, 0.0)]
        for counts in (np.array([5.0, 0.0]), np.array([5.0, -1.0])):
            with self.assertRaises(InputError) as caught:
                relative_parcel_activity_mbq(parcels, counts, deliveries)
            self.assertEqual(caught.exception.code, "no-counts")
            self.assertIn('"Right"', str(caught.exception))
        # The nearest valid image passes.
        relative_parcel_activity_mbq(parcels, np.array([5.0, 1e-9]), deliveries)


class BackToInjectionTestCase(unittest.TestCase):
    def test_one_injection_is_undecayed_by_its_own_delay(self) -> None:
        # exp(ln 2 * 24 / 64.1) = 1 / 0.77142 (FACTS.md section 3, five decimals) = 1.29631.
        factor = back_to_injection_factor([Delivery("A", "Left", 1000.0, 0.0, 24.0)], CONSTANTS)
        self.assertAlmostEqual(factor, 1.29631, delta=2e-5)
        # The activity does not matter for a single one.
        other = back_to_injection_factor([Delivery("A", "Left", 1.0, 0.3, 24.0)], CONSTANTS)
        self.assertAlmostEqual(factor, other, delta=1e-12)

    def test_an_injection_at_the_scan_needs_no_factor(self) -> None:
        self.assertEqual(back_to_injection_factor([Delivery("A", "Left", 10.0, 0.0, 0.0)], CONSTANTS), 1.0)

    def test_injections_weeks_apart_are_mixed_by_what_is_left_of_each(self) -> None:
        # 2 GBq 24 h before and 1 GBq 288 h before: left 2 * 0.77142 + 0.04441 = 1.58725; 3 / 1.58725 = 1.89006.
        deliveries = [Delivery("A", "Left", 2000.0, 0.0, 24.0), Delivery("B", "Left", 1000.0, 0.0, 288.0)]
        self.assertAlmostEqual(back_to_injection_factor(deliveries, CONSTANTS), 1.89006, delta=3e-5)

    def test_what_went_to_the_lungs_has_no_weight_in_the_liver(self) -> None:
        # As above with half of the first in the lungs: 1 * 0.77142 + 0.04441 = 0.81583; 2 / 0.81583 = 2.45149.
        deliveries = [Delivery("A", "Left", 2000.0, 0.5, 24.0), Delivery("B", "Left", 1000.0, 0.0, 288.0)]
        self.assertAlmostEqual(back_to_injection_factor(deliveries, CONSTANTS), 2.45149, delta=5e-5)

    def test_only_injections_into_the_territories_that_hold_the_place_count(self) -> None:
        deliveries = [Delivery("A", "Left", 2000.0, 0.0, 24.0), Delivery("B", "Right", 1000.0, 0.0, 48.0)]
        self.assertAlmostEqual(back_to_injection_factor(deliveries, CONSTANTS, ["Right"]), 1.0 / 0.59509, delta=4e-5)
        mixed = 3.0 / (2.0 * 0.77142 + 0.59509)
        self.assertAlmostEqual(back_to_injection_factor(deliveries, CONSTANTS, ["Left", "Right"]), mixed, delta=3e-5)
        # Outside all territories nothing says which: all of them.
        self.assertAlmostEqual(back_to_injection_factor(deliveries, CONSTANTS, []), mixed, delta=3e-5)
        self.assertAlmostEqual(back_to_injection_factor(deliveries, CONSTANTS), mixed, delta=3e-5)

    def test_a_delay_that_is_not_known_is_refused(self) -> None:
        with self.assertRaises(InputError) as caught:
            back_to_injection_factor([Delivery("A", "Left", 2000.0, 0.0)], CONSTANTS)
        self.assertIn('"A"', str(caught.exception))


class AbsoluteTestCase(unittest.TestCase):
    def test_each_place_goes_back_to_its_own_injection_time(self) -> None:
        # 0.5, 0.5, 0.2, 0.1 MBq/mL in 1, 0.5, 1, 2 mL; Left 24 h, Right 48 h before the scan, equal net activities.
        parcels = make_parcels([LEFT | LIVER, RIGHT | LIVER, LEFT | RIGHT | LIVER, LIVER], [1.0, 0.5, 1.0, 2.0])
        deliveries = [Delivery("A", "Left", 1000.0, 0.05, 24.0), Delivery("B", "Right", 1000.0, 0.05, 48.0)]
        activity = absolute_parcel_activity_mbq(parcels, np.array([0.5, 0.5, 0.2, 0.1]), deliveries, CONSTANTS)
        # Decay 0.77142 and 0.59509; both together 2 / 1.36651 = 1.46358.
        expected = [0.5 / 0.77142, 0.25 / 0.59509, 0.2 * 1.46358, 0.2 * 1.46358]
        np.testing.assert_allclose(activity, expected, rtol=2e-5)  # five decimals of the decay table

    def test_example_e_one_megabecquerel_per_ml_at_20_hours(self) -> None:
        # FACTS.md section 3 (e): K = 49.67, 64.2 h, 1.05 g/mL: 58.706 Gy.
        constants = constants_set("MIRD 49.67")
        parcels = make_parcels([LEFT], [0.02])
        deliveries = [Delivery("A", "Left", 3000.0, 0.0, 20.0)]
        activity = absolute_parcel_activity_mbq(parcels, np.array([1.0]), deliveries, constants)
        self.assertAlmostEqual(49.67 * float(activity[0]) / (0.02 * 1.05), 58.706, delta=6e-4)

    def test_the_net_activity_is_not_used_as_a_scale(self) -> None:
        parcels = make_parcels([LEFT], [1.0])
        values = [
            absolute_parcel_activity_mbq(parcels, np.array([0.4]), [Delivery("A", "Left", net, 0.0, 10.0)], CONSTANTS)[
                0
            ]
            for net in (100.0, 5000.0)
        ]
        self.assertAlmostEqual(values[0], values[1], delta=1e-14)

    def test_negative_values_stay_negative(self) -> None:
        parcels = make_parcels([LEFT], [1.0])
        deliveries = [Delivery("A", "Left", 100.0, 0.0, 10.0)]
        self.assertLess(absolute_parcel_activity_mbq(parcels, np.array([-0.1]), deliveries, CONSTANTS)[0], 0.0)


if __name__ == "__main__":
    unittest.main()
