"""Prescription models against worked examples, and against each other where two must agree.

Worked examples (a) to (d): hand calculation with K = 49.67, 49.38 and 50 Gy kg/GBq; (a) and (b) agree with an
independent open calculator to its printed digits (2.30 / 11.4 / 2.56 GBq and 3.23 GBq / 16.0 Gy).
"""

import unittest
from dataclasses import replace

import numpy as np

from TARECOMETLib.errors import InputError
from TARECOMETLib.physics.nuclides import constants_set
from TARECOMETLib.planning.criteria import choose_targets
from TARECOMETLib.planning.models import BSA, MULTI, PARTITION, SINGLE, VOXEL, model_table
from TARECOMETLib.planning.patient import (
    RESIN,
    PlannedInjection,
    TypedTerritory,
    TypedTumour,
    typed_inputs,
)
from TARECOMETLib.planning.prescription import (
    body_surface_activity_gbq,
    body_surface_m2,
    lung_dose_gy,
    order_activity_gbq,
    partition_activity_gbq,
    partition_doses_gy,
    single_compartment_activity_gbq,
)
from TARECOMETLib.planning.presets import preset_goals

K = constants_set()


def two_lobes(**options):
    """Right lobe with two tumours, left lobe with one; nothing outside."""
    territories = (
        TypedTerritory("right", 800.0, (TypedTumour("A", 150.0, 3.0), TypedTumour("B", 40.0, 2.0))),
        TypedTerritory("left", 400.0, (TypedTumour("C", 60.0, 4.0),)),
    )
    injections = (PlannedInjection("1", "right", 0.05, 0.02), PlannedInjection("2", "left", 0.03, 0.02))
    return typed_inputs(territories, injections, **options)


class WorkedExamplesTestCase(unittest.TestCase):
    def test_single_compartment_with_lungs_and_residual(self):
        net = single_compartment_activity_gbq(K, 100.0, 1030.0, 0.10)
        self.assertAlmostEqual(net, 2.3041, delta=5e-5)
        self.assertAlmostEqual(lung_dose_gy(K, net, 0.10), 11.444, delta=5e-4)
        self.assertAlmostEqual(order_activity_gbq(net, 0.10), 2.5601, delta=5e-5)

    def test_multiplying_by_one_minus_shunt_is_the_known_mistake(self):
        # A public calculator multiplied by (1 - LSF) instead of dividing: 1.866 GBq for example (a).
        self.assertGreater(single_compartment_activity_gbq(K, 100.0, 1030.0, 0.10), 2.3)
        self.assertNotAlmostEqual(single_compartment_activity_gbq(K, 100.0, 1030.0, 0.10), 1.866, delta=0.1)

    def test_partition_of_example_b(self):
        net = partition_activity_gbq(K, 206.0, 824.0, 3.0, 0.10, tumour_gy=300.0)
        self.assertAlmostEqual(net, 3.2257, delta=5e-5)
        doses = partition_doses_gy(K, net, 206.0, 824.0, 3.0, 0.10)
        self.assertAlmostEqual(doses.normal_gy, 100.0, delta=1e-9)
        self.assertAlmostEqual(doses.perfused_gy, 140.0, delta=1e-9)
        self.assertAlmostEqual(lung_dose_gy(K, net, 0.10), 16.022, delta=5e-4)
        # The same mistake's second half, (TN + 1) for TN: tumour dose would be 4 x D_n.
        self.assertAlmostEqual(doses.tumour_gy / doses.normal_gy, 3.0, delta=1e-12)

    def test_partition_of_example_c(self):
        doses = partition_doses_gy(K, 3.0, 200.0, 1300.0, 3.0, 0.05)
        self.assertAlmostEqual(doses.tumour_gy, 223.515, delta=5e-4)
        self.assertAlmostEqual(doses.normal_gy, 74.505, delta=5e-4)
        self.assertAlmostEqual(lung_dose_gy(K, 3.0, 0.05), 7.4505, delta=5e-5)

    def test_example_d_for_three_constants(self):
        for constant, expected in ((49.38, 4.9595), (49.67, 4.9305), (50.0, 4.8980)):
            own = replace(K, gy_kg_per_gbq=constant)
            order = order_activity_gbq(single_compartment_activity_gbq(own, 120.0, 1900.0, 0.05), 0.02)
            self.assertAlmostEqual(order, expected, delta=5e-5)

    def test_body_surface_and_the_reduction_by_lung_shunt(self):
        # 170 cm, 70 kg by hand: 0.20247 x 1.7^0.725 x 70^0.425 = 0.20247 x 1.46918 x 6.08332 = 1.80958 m2.
        self.assertAlmostEqual(body_surface_m2(170.0, 70.0), 1.8096, delta=1e-4)
        full = 1.8096 - 0.2 + 0.2
        for shunt, share in ((0.10, 1.0), (0.11, 0.8), (0.16, 0.6), (0.21, 0.0)):
            self.assertAlmostEqual(
                body_surface_activity_gbq(170.0, 70.0, 300.0, 1500.0, shunt), share * full, delta=2e-4
            )


class TableTestCase(unittest.TestCase):
    def setUp(self):
        self.inputs = two_lobes()
        self.goals = preset_goals("mcrc-glass-bilobar")
        self.targets = choose_targets(self.inputs)
        self.rows, self.missing = model_table(self.inputs, self.goals, self.targets)

    def rows_of(self, model, territory):
        return [row for row in self.rows if (row.model, row.territory) == (model, territory)]

    def test_single_compartment_shows_both_ends_of_the_band(self):
        low, high = self.rows_of(SINGLE, "right")
        # 80 and 150 Gy to 990 g, LSF 5 %: D m / (K 0.95).
        self.assertAlmostEqual(low.net_gbq, 80.0 * 0.99 / (49.67 * 0.95), places=9)
        self.assertAlmostEqual(high.net_gbq, 150.0 * 0.99 / (49.67 * 0.95), places=9)
        self.assertAlmostEqual(high.order_gbq, high.net_gbq / 0.98, places=12)

    def test_partition_and_multicompartment_agree_where_there_is_one_tumour(self):
        (partition,) = self.rows_of(PARTITION, "left")
        multi = self.rows_of(MULTI, "left")[0]
        self.assertAlmostEqual(partition.net_gbq, multi.net_gbq, places=9)
        # By hand: D_n = 189/4; A = 47.25 (4 x 0.06 + 0.4) / (49.67 x 0.97).
        self.assertAlmostEqual(multi.net_gbq, 47.25 * 0.64 / (49.67 * 0.97), places=9)
        self.assertAlmostEqual(multi.normal_perfused_gy, 47.25, places=9)

    def test_multicompartment_takes_the_worst_tumour_and_partition_their_mean(self):
        multi = self.rows_of(MULTI, "right")[0]
        self.assertIn("B", multi.prescription)
        # D_n = 189/2; A = 94.5 (0.45 + 0.08 + 0.8) / (K 0.95).
        self.assertAlmostEqual(multi.net_gbq, 94.5 * 1.33 / (49.67 * 0.95), places=9)
        (partition,) = self.rows_of(PARTITION, "right")
        ratio = (3.0 * 150.0 + 2.0 * 40.0) / 190.0
        self.assertAlmostEqual(partition.net_gbq, 189.0 / ratio * 1.33 / (49.67 * 0.95), places=9)

    def test_row_for_the_limit_speaks_of_whole_normal_liver_not_of_its_perfused_part(self):
        limited = self.rows_of(MULTI, "left")[1]
        # 75 Gy to 1200 g of whole normal liver, of which the left lobe feeds 400 g at 1/(0.64) of its uptake.
        self.assertAlmostEqual(limited.net_gbq, 75.0 * 1.2 / (49.67 * 0.97 * 0.4 / 0.64), places=9)
        self.assertAlmostEqual(limited.normal_perfused_gy, 225.0, places=9)

    def test_voxel_model_says_why_it_has_no_answer_without_a_dose_map(self):
        self.assertEqual(self.rows_of(VOXEL, "left"), [])
        self.assertIn("dose map", next(m.reason for m in self.missing if m.model == VOXEL))

    def test_voxel_model_by_hand_on_two_voxels(self):
        inputs = two_lobes()
        regions = []
        for region in inputs.regions:
            if region.name == "C":
                # Two halves of the tumour with 1/4 and 3/4 of its uptake: D70 is the colder half's dose.
                mean = inputs.rates_gy_per_gbq(region)[1]
                rates = np.array([[0.0, 0.5 * mean], [0.0, 1.5 * mean]])
                regions.append(replace(region, rate_gy_per_gbq=rates, voxel_ml=np.full(2, region.volume_ml / 2)))
            else:
                regions.append(region)
        inputs = replace(inputs, regions=tuple(regions))
        rows, _ = model_table(inputs, self.goals, self.targets)
        voxel = {row.prescription.split()[2]: row for row in rows if row.model == VOXEL}
        multi = self.rows_of(MULTI, "left")[0]
        self.assertAlmostEqual(voxel["mean"].net_gbq, multi.net_gbq, places=9)
        self.assertAlmostEqual(voxel["D70"].net_gbq, 2.0 * multi.net_gbq, places=9)

    def test_body_surface_stands_in_the_table_for_resin_only(self):
        self.assertFalse([row for row in self.rows if row.model == BSA])
        rows, _ = model_table(two_lobes(spheres=RESIN, height_cm=170.0, weight_kg=70.0), self.goals, self.targets)
        self.assertEqual(len([row for row in rows if row.model == BSA]), 1)
        _, missing = model_table(two_lobes(spheres=RESIN), self.goals, self.targets)
        self.assertTrue([row for row in missing if row.model == BSA])

    def test_every_row_carries_formula_inputs_and_source(self):
        for row in self.rows:
            self.assertTrue(row.formula and row.inputs and row.source, row)


class RefusalsTestCase(unittest.TestCase):
    """Each bad value, and the nearest valid one."""

    def assert_refused(self, code, call):
        with self.assertRaises(InputError) as caught:
            call()
        self.assertEqual(caught.exception.code, code, str(caught.exception))

    def test_tumour_to_normal_ratio(self):
        for bad in (0.0, -1.0, float("nan"), float("inf"), 1e300):
            self.assert_refused("tumour-to-normal", lambda bad=bad: TypedTumour("A", 10.0, bad))
            self.assert_refused("tumour-to-normal", lambda bad=bad: partition_doses_gy(K, 1.0, 10.0, 100.0, bad, 0.0))
        self.assertGreater(partition_doses_gy(K, 1.0, 10.0, 100.0, 1e-6, 0.0).tumour_gy, 0.0)

    def test_tumour_mass(self):
        for bad in (0.0, -5.0, float("nan"), 1e300):
            self.assert_refused("mass", lambda bad=bad: TypedTumour("A", bad, 2.0))
        self.assertEqual(TypedTumour("A", 1e-3, 2.0).mass_g, 1e-3)

    def test_lung_shunt(self):
        self.assert_refused("lung-shunt", lambda: PlannedInjection("1", "right", 1.0))
        self.assert_refused("lung-shunt", lambda: single_compartment_activity_gbq(K, 100.0, 1000.0, 5.0))
        self.assertEqual(PlannedInjection("1", "right", 0.999).lung_shunt_fraction, 0.999)

    def test_residual(self):
        for bad in (1.0, 1.2, -0.01):
            self.assert_refused("residual", lambda bad=bad: order_activity_gbq(1.0, bad))
        self.assertAlmostEqual(order_activity_gbq(1.0, 0.999), 1000.0, places=6)

    def test_territory_without_counts(self):
        inputs = two_lobes()
        self.assert_refused("no-counts", lambda: replace(inputs, territory_counts=(0.0, 1.0)))
        self.assertEqual(replace(inputs, territory_counts=(1e-9, 1.0)).territory_counts[0], 1e-9)

    def test_territory_nobody_knows(self):
        territory = TypedTerritory("right", 800.0)
        self.assert_refused("territory", lambda: typed_inputs([territory], [PlannedInjection("1", "left")]))
        self.assertEqual(len(typed_inputs([territory], [PlannedInjection("1", "right")]).injections), 1)


if __name__ == "__main__":
    unittest.main()
