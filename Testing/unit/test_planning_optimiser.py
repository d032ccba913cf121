"""The optimum and the trade-off curve, against a search of every corner by closed forms.

The reference shares nothing with the library: doses are K A (1 - LSF) f / m (MIRD schema), the optimum of a linear
program lies on a corner of its feasible set, and every corner is where as many bounds hold as there are unknowns.
"""

import itertools
import unittest
from dataclasses import replace

import numpy as np

from TARECOMETLib.dosimetry.radiobiology import Radiobiology
from TARECOMETLib.errors import InputError
from TARECOMETLib.planning.criteria import choose_targets, make_criteria
from TARECOMETLib.planning.goals import Goal
from TARECOMETLib.planning.optimiser import LINEAR, MONOTONE, NONLINEAR, optimise
from TARECOMETLib.planning.patient import (
    DERIVED,
    TUMOUR,
    PlanInputs,
    PlannedInjection,
    Region,
    TypedTerritory,
    TypedTumour,
    typed_inputs,
)
from TARECOMETLib.planning.problem import make_problem
from TARECOMETLib.planning.response import Response
from TARECOMETLib.planning.trade_off import trade_off

K = 49.67
GOALS = (Goal("tumour", at_least=189.0, cumulative=False),)
LIMITS = (
    Goal("whole normal liver", at_most=75.0),
    Goal("lungs", at_most=30.0, cumulative=False),
    Goal("lung activity", at_most=610.0, cumulative=False),
)


def random_patient(rng):
    """Overlapping territories: every structure takes up something of some injections; also as plain numbers."""
    count = int(rng.integers(1, 4))
    shunts = rng.uniform(0.0, 0.15, count)
    tumour_g = rng.uniform(6.0, 400.0, int(rng.integers(1, 6)))
    names = [f"T{n}" for n in range(len(tumour_g))]
    normal_g = rng.uniform(600.0, 1800.0)
    # Counts of tumours and normal liver inside each territory; a tumour is reached by at least one.
    reach = rng.random((len(names), count)) < 0.6
    reach[np.arange(len(names)), rng.integers(0, count, len(names))] = True
    tumour_counts = reach * (rng.uniform(0.5, 8.0, len(names))[:, None] * tumour_g[:, None])
    tumour_counts = tumour_counts * rng.uniform(0.3, 1.0, tumour_counts.shape)
    normal_counts = normal_g * rng.uniform(0.2, 0.9, count)
    total = tumour_counts.sum(axis=0) + normal_counts
    regions = [
        Region(name, TUMOUR, mass / 1.05, mass, tuple(counts))
        for name, mass, counts in zip(names, tumour_g, tumour_counts, strict=True)
    ]
    regions.append(Region("Whole normal liver", DERIVED, normal_g / 1.05, normal_g, tuple(normal_counts)))
    inputs = PlanInputs(
        tuple(PlannedInjection(str(n), f"territory {n}", float(s)) for n, s in enumerate(shunts)),
        tuple(regions),
        tuple(total),
        liver_volume_ml=(normal_g + tumour_g.sum()) / 1.05,
    )
    tumour = K * (1.0 - shunts) * tumour_counts / total / (tumour_g[:, None] / 1000.0)
    normal = K * (1.0 - shunts) * normal_counts / total / (normal_g / 1000.0)
    return inputs, tumour, normal, K * shunts, 1000.0 * shunts


def corners(rows, bounds):
    """Every point where as many of the bounds rows·x <= bounds hold exactly as x has entries, and all hold."""
    size = rows.shape[1]
    found = []
    for chosen in itertools.combinations(range(len(rows)), size):
        square = rows[list(chosen)]
        if abs(np.linalg.det(square)) < 1e-12:
            continue
        point = np.linalg.solve(square, bounds[list(chosen)])
        if np.all(rows @ point <= bounds + 1e-9 * np.maximum(np.abs(bounds), 1.0)):
            found.append(point)
    return np.array(found)


def best_by_corners(tumour, normal, lung_gy, lung_mbq):
    """Largest worst margin, and the least normal-liver dose with it."""
    count = len(normal)
    rows = [np.append(-np.eye(count)[n], 0.0) for n in range(count)]
    bounds = [0.0] * count
    for row, bound in ((normal, 75.0), (lung_gy, 30.0), (lung_mbq, 610.0)):
        if np.any(row > 0.0):
            rows.append(np.append(row, 0.0))
            bounds.append(bound)
    for row in tumour:
        rows.append(np.append(-row, 1.0))
        bounds.append(-189.0)
    found = corners(np.array(rows), np.array(bounds))
    margin = found[:, -1].max()
    tied = found[found[:, -1] >= margin - 1e-9]
    return margin, float((tied[:, :-1] @ normal).min())


class BruteForceTestCase(unittest.TestCase):
    def test_optimum_of_200_random_patients_with_overlapping_territories(self):
        rng = np.random.default_rng(20260310)
        worst = [0.0, 0.0]
        several = 0
        for number in range(200):
            inputs, *numbers = random_patient(rng)
            problem = make_problem(inputs, make_criteria(inputs, GOALS + LIMITS, choose_targets(inputs)))
            found = optimise(problem)
            margin, normal = best_by_corners(*numbers)
            several += len(numbers[1]) > 1
            worst = [
                max(worst[0], abs(found.worst_margin - margin)),
                max(worst[1], abs(found.normal_liver_gy - normal)),
            ]
            with self.subTest(patient=number):
                self.assertEqual(found.solver, LINEAR)
                # Bar of the comparison: 1e-6 of the optimum, in Gy of doses of order 100.
                self.assertAlmostEqual(found.worst_margin, margin, delta=1e-6 * max(abs(margin), 1.0))
                self.assertAlmostEqual(found.normal_liver_gy, normal, delta=1e-6 * max(normal, 1.0))
                for criterion in problem.limits:
                    self.assertGreaterEqual(criterion.margin(found.activity_gbq), 0.0)
        self.assertGreater(several, 100)

    def test_trade_off_curve_is_best_everywhere_between_its_corners(self):
        rng = np.random.default_rng(7)
        for number in range(25):
            inputs, tumour, normal, lung_gy, lung_mbq = random_patient(rng)
            problem = make_problem(inputs, make_criteria(inputs, GOALS + LIMITS, choose_targets(inputs)))
            curve = trade_off(problem)
            self.assertTrue(curve.exact)
            for share in (0.2, 0.5, 0.77):
                at = share * curve.normal_gy[-1]
                activity = curve.activities_at(at)
                reference, _ = best_by_corners(tumour, normal * 75.0 / at, lung_gy, lung_mbq)
                margin = min(goal.margin(activity) for goal in problem.goals)
                with self.subTest(patient=number, share=share):
                    self.assertAlmostEqual(float(normal @ activity), at, delta=1e-6)
                    self.assertAlmostEqual(margin, reference, delta=1e-5)


class ByHandTestCase(unittest.TestCase):
    """Two lobes without overlap: 800 g with A (150 g, T/N 3), 400 g with C (60 g, T/N 4); no lung shunt."""

    def setUp(self):
        self.inputs = typed_inputs(
            [
                TypedTerritory("right", 800.0, (TypedTumour("A", 150.0, 3.0), TypedTumour("tiny", 2.0, 0.1))),
                TypedTerritory("left", 400.0, (TypedTumour("C", 60.0, 4.0),)),
            ],
            [PlannedInjection("1", "right"), PlannedInjection("2", "left")],
        )
        self.targets = choose_targets(self.inputs)

    def problem(self, *goals, **options):
        return make_problem(self.inputs, make_criteria(self.inputs, goals, self.targets, **options))

    def test_worst_margins_are_equal_and_the_limit_is_used_up(self):
        found = optimise(self.problem(GOALS[0], Goal("whole normal liver", at_most=75.0)))
        # D_A = 3 n1, D_C = 4 n2, (800 n1 + 400 n2) / 1200 = 75, 3 n1 = 4 n2: n1 = 81.818 Gy, tumours 245.4545 Gy.
        self.assertAlmostEqual(found.worst_margin, 245.4545454545 - 189.0, places=6)
        self.assertAlmostEqual(found.normal_liver_gy, 75.0, places=6)
        self.assertEqual([c.region for c in found.binding], ["Whole normal liver"])
        self.assertEqual(found.missed, ())

    def test_tiny_cold_metastasis_does_not_drive_the_vial(self):
        self.assertEqual(self.targets.names, ("A", "C"))
        self.assertIn("tiny", self.targets.excluded)

    def test_missed_goal_is_named_with_the_amount(self):
        found = optimise(self.problem(GOALS[0], Goal("whole normal liver", at_most=50.0)))
        # 2/3 of the doses above: 163.6364 Gy, 25.3636 Gy short for both.
        self.assertEqual({miss.criterion.region for miss in found.missed}, {"A", "C"})
        for miss in found.missed:
            self.assertAlmostEqual(miss.amount, 25.3636363636, places=6)

    def test_territory_without_a_target_gets_nothing(self):
        inputs = typed_inputs(
            [TypedTerritory("right", 800.0, (TypedTumour("A", 150.0, 3.0),)), TypedTerritory("left", 400.0)],
            [PlannedInjection("1", "right"), PlannedInjection("2", "left")],
        )
        criteria = make_criteria(inputs, (*GOALS, Goal("whole normal liver", at_most=75.0)), choose_targets(inputs))
        self.assertAlmostEqual(optimise(make_problem(inputs, criteria)).activity_gbq[1], 0.0, places=9)

    def test_bed_goals_are_found_by_monotone_search(self):
        tissue = Radiobiology(10.0, 1.5)
        goal = Goal("tumour", "BED", at_least=270.0, cumulative=False)
        found = optimise(self.problem(goal, Goal("whole normal liver", at_most=75.0), tumour_tissue=tissue))
        self.assertEqual(found.solver, MONOTONE)
        # BED grows with the dose alone, so the doses are those of the linear case: 245.4545 Gy each.
        half_life_h = self.inputs.constants.half_life_h
        bed = 245.4545454545 * (1.0 + 245.4545454545 * 1.5 / (1.5 + half_life_h) / 10.0)
        self.assertAlmostEqual(found.worst_margin, bed - 270.0, delta=1e-5)

    def test_bed_limit_over_two_injections_goes_to_the_named_nonlinear_solver(self):
        tissue = Radiobiology(2.5, 2.5)
        limit = Goal("whole normal liver", "BED", at_most=150.0)
        found = optimise(self.problem(GOALS[0], limit, liver_tissue=tissue))
        self.assertEqual(found.solver, NONLINEAR)
        # BED of the mean dose: 150 Gy is reached at one mean dose d, so the optimum is the linear one with 75 -> d.
        per_gy2 = 2.5 / (2.5 + self.inputs.constants.half_life_h) / 2.5
        mean = (np.sqrt(1.0 + 4.0 * per_gy2 * 150.0) - 1.0) / (2.0 * per_gy2)
        self.assertAlmostEqual(found.worst_margin + 189.0, 245.4545454545 * mean / 75.0, delta=1e-3)

    def test_dose_to_volume_over_two_injections_against_a_fine_grid(self):
        rng = np.random.default_rng(3)
        regions = []
        for region in self.inputs.regions:
            if region.name == "A":
                mean = self.inputs.rates_gy_per_gbq(region)
                voxels = np.column_stack((rng.uniform(0.3, 1.7, 60), rng.uniform(0.0, 0.8, 60))) * mean[0]
                regions.append(replace(region, rate_gy_per_gbq=voxels, voxel_ml=np.full(60, region.volume_ml / 60)))
            else:
                regions.append(region)
        self.inputs = replace(self.inputs, regions=tuple(regions))
        self.targets = choose_targets(self.inputs, ["A"])
        problem = self.problem(
            Goal("tumour", "D70", at_least=100.0, cumulative=False), Goal("whole normal liver", at_most=75.0)
        )
        found = optimise(problem)
        self.assertEqual(found.solver, NONLINEAR)
        # The best D70 lies on the limit; every mixture of the two injections is tried.
        best = 0.0
        for share in np.linspace(0.0, 1.0, 2001):
            activity = np.array([share / problem.normal[0], (1.0 - share) / problem.normal[1]]) * 75.0
            dose = np.sort(voxels @ activity)[::-1]
            best = max(best, dose[41])  # 42 of 60 voxels are 70 %
        self.assertGreaterEqual(found.worst_margin + 100.0, 0.99 * best)
        self.assertLessEqual(found.normal_liver_gy, 75.0 * (1.0 + 1e-9))

    def test_search_with_fewer_voxels_keeps_the_figures(self):
        rng = np.random.default_rng(5)
        rates = (
            rng.gamma(2.0, 20.0, (40000, 2))
            * np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.8, 0.2]])[rng.integers(0, 4, 40000)]
        )
        sizes = rng.uniform(0.5, 1.0, 40000)
        for metric, exponent in (("D50", None), ("D95", None), ("gEUD", 2.0), ("gEUD", -3.0)):
            whole = Response(rates.mean(axis=0), 0.0, None, rates + 1.0, sizes, metric, exponent)
            few = whole.condensed()
            self.assertLess(len(few.voxel_ml), 5000)
            self.assertAlmostEqual(few.voxel_ml.sum() / sizes.sum(), 1.0, places=9)
            for activity in (np.array([1.0, 2.0]), np.array([3.0, 0.2])):
                # Voxels of one piece differ by up to 1/8 in their mixture: 1.5 % is what the search may be off before
                # all voxels judge the result.
                self.assertAlmostEqual(few.value(activity) / whole.value(activity), 1.0, delta=0.015)

    def test_dose_to_volume_fed_by_one_injection_is_linear(self):
        mean = self.inputs.rates_gy_per_gbq(self.inputs.region("A"))[0]
        voxels = np.array([[0.5 * mean, 0.0], [1.5 * mean, 0.0]])
        regions = [
            replace(r, rate_gy_per_gbq=voxels, voxel_ml=np.full(2, r.volume_ml / 2)) if r.name == "A" else r
            for r in self.inputs.regions
        ]
        self.inputs = replace(self.inputs, regions=tuple(regions))
        self.targets = choose_targets(self.inputs, ["A"])
        goal = Goal("tumour", "D70", at_least=100.0, cumulative=False)
        found = optimise(self.problem(goal, Goal("whole normal liver", at_most=75.0)))
        self.assertEqual(found.solver, LINEAR)
        # All for the right lobe: its normal liver gets 75 x 1200 / 800 Gy, A three times that, its cold half 0.5 of it.
        self.assertAlmostEqual(found.worst_margin + 100.0, 0.5 * 3.0 * 112.5, places=6)

    def test_perfused_goal_alone_gives_the_least_activity_not_the_most(self):
        inputs = replace(
            self.inputs,
            injections=tuple(replace(i, lung_shunt_fraction=0.05) for i in self.inputs.injections),
        )
        goals = (Goal("perfused liver", at_least=400.0, cumulative=False), Goal("lungs", at_most=30.0))
        problem = make_problem(inputs, make_criteria(inputs, goals, self.targets))
        found = optimise(problem)
        # 400 Gy to 952 g and 460 g of perfused liver, LSF 5 %; the lungs would allow far more.
        expected = 400.0 * np.array([0.952, 0.460]) / (K * 0.95)
        np.testing.assert_allclose(found.activity_gbq, expected, rtol=1e-6)
        self.assertEqual(found.missed, ())

    def test_other_goals_are_met_first_and_tumours_driven_after(self):
        liver = Goal("whole normal liver", at_most=75.0)
        free = optimise(self.problem(GOALS[0], liver))
        # The left lobe's normal liver gets 245.45 / 4 = 61.4 Gy; a wish of 70 Gy there costs the right lobe.
        wish = Goal("normal perfused liver", territory="left", at_least=70.0)
        found = optimise(self.problem(GOALS[0], liver, wish))
        # 800 n1 + 400 x 70 = 75 x 1200: n1 = 77.5 Gy, A 232.5 Gy.
        self.assertAlmostEqual(found.worst_margin, 232.5 - 189.0, places=4)
        self.assertLess(found.worst_margin, free.worst_margin)
        # Already met: nothing changes.
        easy = Goal("normal perfused liver", territory="left", at_least=50.0)
        again = optimise(self.problem(GOALS[0], liver, easy))
        self.assertAlmostEqual(again.worst_margin, free.worst_margin, places=6)
        # With BED, the same through the other solvers: monotone and nonlinear.
        tissue = Radiobiology(2.5, 1.5)
        half_life_h = self.inputs.constants.half_life_h
        bed = 70.0 * (1.0 + 70.0 * 1.5 / (1.5 + half_life_h) / 2.5)
        wish = Goal("normal perfused liver", "BED", territory="left", at_least=bed)
        monotone = optimise(self.problem(GOALS[0], liver, wish, liver_tissue=tissue))
        self.assertEqual(monotone.solver, MONOTONE)
        self.assertAlmostEqual(monotone.worst_margin, 232.5 - 189.0, delta=1e-3)
        mean = 75.0 * (1.0 + 75.0 * 1.5 / (1.5 + half_life_h) / 2.5)
        limit = Goal("whole normal liver", "BED", at_most=mean)
        nonlinear = optimise(self.problem(GOALS[0], limit, wish, liver_tissue=tissue))
        self.assertEqual(nonlinear.solver, NONLINEAR)
        self.assertAlmostEqual(nonlinear.worst_margin, 232.5 - 189.0, delta=0.05)

    def test_other_goal_out_of_reach_is_missed_by_as_little_as_can_be(self):
        liver = Goal("whole normal liver", at_most=75.0)
        wish = Goal("normal perfused liver", territory="left", at_least=300.0)
        found = optimise(self.problem(GOALS[0], liver, wish))
        self.assertGreaterEqual(len(found.missed), 1)
        # All margins as even as can be: 3 n1 - 189 = n2 - 300 with 800 n1 + 400 n2 = 90000, n1 = 22.8 Gy.
        self.assertAlmostEqual(found.worst_margin, 3.0 * 22.8 - 189.0, delta=1e-4)

    def test_what_cannot_be_planned_is_refused_with_the_nearest_valid_twin(self):
        with self.assertRaises(InputError) as caught:
            self.problem(GOALS[0])
        self.assertEqual(caught.exception.code, "no-limit")
        with self.assertRaises(InputError) as caught:
            self.problem(Goal("whole normal liver", at_most=75.0))
        self.assertEqual(caught.exception.code, "goal")
        from TARECOMETLib.planning.retreatment import EarlierTreatment

        limit = Goal("whole normal liver", at_most=75.0)
        with self.assertRaisesRegex(InputError, "exceeded by 1 Gy without any activity"):
            self.problem(GOALS[0], limit, earlier=[EarlierTreatment("2025", {"Whole normal liver": 76.0})])
        self.problem(GOALS[0], limit, earlier=[EarlierTreatment("2025", {"Whole normal liver": 75.0})])


if __name__ == "__main__":
    unittest.main()
