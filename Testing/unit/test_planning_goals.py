"""Goals, limits and the feasible window of one injection."""

import math
import unittest
from dataclasses import replace

import numpy as np

from TARECOMETLib.dosimetry.radiobiology import Radiobiology
from TARECOMETLib.errors import InputError
from TARECOMETLib.planning.criteria import choose_targets, make_criteria
from TARECOMETLib.planning.goals import Goal, bilirubin_mg_dl, require_consistent
from TARECOMETLib.planning.patient import PlannedInjection, TypedTerritory, TypedTumour, typed_inputs
from TARECOMETLib.planning.presets import preset_goals, preset_names
from TARECOMETLib.planning.retreatment import EarlierTreatment, earlier_from_results
from TARECOMETLib.planning.window import feasible_window, window_text

TUMOUR_189 = Goal("tumour", at_least=189.0, cumulative=False)


def one_lobe(ratio=4.0, non_perfused_g=600.0, shunt=0.05):
    """800 g normal, tumour of 100 g, one of 3 g; 600 g not perfused."""
    territory = TypedTerritory("right", 800.0, (TypedTumour("A", 100.0, ratio), TypedTumour("tiny", 3.0, 0.5)))
    return typed_inputs([territory], [PlannedInjection("1", "right", shunt)], non_perfused_g=non_perfused_g)


def half_life_64_1(inputs):
    """The half-life of the printed BED references."""
    return replace(inputs, constants=replace(inputs.constants, half_life_h=64.1))


def window(goals, inputs=None, **options):
    inputs = inputs or one_lobe()
    return feasible_window(make_criteria(inputs, goals, choose_targets(inputs), **options))


class GoalsTestCase(unittest.TestCase):
    def test_normal_liver_alone_is_refused_and_both_names_are_offered(self):
        with self.assertRaisesRegex(InputError, "normal perfused liver or whole normal liver"):
            Goal("normal liver", at_most=75.0)
        Goal("normal perfused liver", at_most=75.0)
        Goal("whole normal liver", at_most=75.0)

    def test_each_wrong_field_is_refused(self):
        for bad in (
            {"volume": "spleen", "at_most": 1.0},
            {"volume": "tumour", "metric": "D0", "at_least": 1.0},
            {"volume": "tumour", "metric": "median", "at_least": 1.0},
            {"volume": "lungs", "metric": "D70", "at_most": 30.0},
            {"volume": "tumour", "metric": "gEUD", "at_least": 1.0},
            {"volume": "tumour"},
            {"volume": "tumour", "at_least": 0.0},
            {"volume": "tumour", "at_least": float("nan")},
        ):
            with self.subTest(bad=bad), self.assertRaises(InputError):
                Goal(**bad)
        Goal("tumour", "D0.5", at_least=1.0)
        Goal("tumour", "gEUD", at_least=1.0, exponent=-5.0)

    def test_contradiction_names_the_pair_and_the_amount(self):
        with self.assertRaisesRegex(InputError, "mean of tumour at least 189.*at most 150.*contradict.*by 39 Gy"):
            require_consistent([TUMOUR_189, Goal("tumour", at_most=150.0)])
        require_consistent([TUMOUR_189, Goal("tumour", at_most=189.0)])
        # 70 % of the volume at 139 Gy is a mean of 97.3 Gy at the least.
        with self.assertRaisesRegex(InputError, "by 7.3 Gy"):
            require_consistent([Goal("tumour", "D70", at_least=139.0), Goal("tumour", at_most=90.0)])
        require_consistent([Goal("tumour", "D70", at_least=139.0), Goal("tumour", at_most=97.4)])
        # Two different volumes never contradict each other by name.
        require_consistent([Goal("normal perfused liver", at_least=80.0), Goal("whole normal liver", at_most=50.0)])
        with self.assertRaisesRegex(InputError, "by 10 Gy"):
            Goal("perfused liver", at_least=150.0, at_most=140.0)

    def test_bilirubin_in_both_units_chooses_the_one_active_limit(self):
        # 1 mg/dL = 17.104 µmol/L (molar mass 584.66 g/mol): 1.1 mg/dL = 18.81 µmol/L.
        for value, unit, limit in (
            (1.2, "mg/dL", 50.0),
            (1.1, "mg/dL", 50.0),
            (1.09, "mg/dL", 90.0),
            (19.0, "µmol/L", 50.0),
            (18.7, "umol/L", 90.0),
            (18.7, "μmol/l", 90.0),
        ):
            goals = preset_goals("mcrc-glass-unilobar", bilirubin_mg_dl(value, unit))
            limits = [g for g in goals if g.volume == "whole normal liver"]
            with self.subTest(value=value, unit=unit):
                self.assertEqual([g.at_most for g in limits], [limit])
                self.assertIn("not validated after chemotherapy", limits[0].note)
        limits = [g for g in preset_goals("mcrc-glass-unilobar") if g.volume == "whole normal liver"]
        self.assertEqual([g.at_most for g in limits], [75.0])

    def test_bilirubin_in_the_wrong_unit_is_refused(self):
        for value, unit in ((1.0, "µmol/L"), (900.0, "mg/dL"), (1.0, "g/L"), (-1.0, "mg/dL")):
            with self.subTest(value=value, unit=unit), self.assertRaises(InputError):
                bilirubin_mg_dl(value, unit)
        self.assertAlmostEqual(bilirubin_mg_dl(17.104, "µmol/L"), 1.0, places=9)

    def test_presets_carry_the_figures_of_the_guideline_with_reference_and_evidence(self):
        bands = {"unilobar": (80, 150), "bilobar": (80, 150), "lobectomy": (140, 150), "segmentectomy": (400, None)}
        for name in preset_names("glass"):
            goals = preset_goals(name)
            (band,) = [g for g in goals if g.volume == "perfused liver"]
            self.assertEqual((band.at_least, band.at_most), bands[name.split("-")[-1]])
            tumour = [g.at_least for g in goals if g.volume == "tumour"]
            self.assertEqual(tumour, [] if "segment" in name else [189.0])
            self.assertEqual([g.at_most for g in goals if g.volume == "lungs"], [30.0, 50.0])
            self.assertEqual([g.at_most for g in goals if g.volume == "lung activity"], [610.0])
            for goal in goals:
                self.assertTrue(goal.reference and goal.level_of_evidence, goal)

    def test_resin_presets_are_those_of_its_own_table(self):
        # EANM 2022, Table 3: mCRC unilobar normal perfused < 40 Gy, tumour > 100 Gy; lobectomy normal perfused > 70 Gy;
        # segmental single-compartment > 150 Gy. The 610 MBq of TheraSphere's label are not resin's.
        def values(name):
            goals = preset_goals(f"mcrc-resin-{name}")
            self.assertFalse([g for g in goals if g.volume in ("lung activity", "whole normal liver")])
            self.assertEqual([g.at_most for g in goals if g.volume == "lungs"], [30.0, 50.0])
            return [(g.volume, g.at_least, g.at_most) for g in goals if "lung" not in g.volume][:-1]

        self.assertEqual(values("unilobar"), [("tumour", 100.0, None), ("normal perfused liver", None, 40.0)])
        self.assertEqual(values("bilobar"), [("tumour", 100.0, None), ("normal perfused liver", None, 40.0)])
        self.assertEqual(values("lobectomy"), [("tumour", 100.0, None), ("normal perfused liver", 70.0, None)])
        self.assertEqual(values("segmentectomy"), [("perfused liver", 150.0, None)])


class TargetsTestCase(unittest.TestCase):
    def test_small_and_unfed_tumours_are_left_out_with_a_reason(self):
        inputs = typed_inputs(
            [
                TypedTerritory("right", 800.0, (TypedTumour("A", 100.0, 4.0), TypedTumour("tiny", 5.0, 0.5))),
                TypedTerritory("left", 400.0, (TypedTumour("far", 50.0, 4.0),)),
            ],
            [PlannedInjection("1", "right")],
        )
        targets = choose_targets(inputs)
        self.assertEqual(targets.names, ("A",))
        # 5 g at 1.05 g/mL is 4.76 mL.
        self.assertEqual(set(targets.excluded), {"tiny", "far"})
        self.assertEqual(choose_targets(inputs, minimum_ml=4.7).names, ("A", "tiny"))
        self.assertEqual(choose_targets(inputs, ["tiny"]).names, ("tiny",))
        with self.assertRaisesRegex(InputError, "there is no tumour"):
            choose_targets(inputs, ["B"])


class WindowTestCase(unittest.TestCase):
    """By hand: uptake 4 x 100 + 0.5 x 3 + 800 = 1201.5 g; D_n = K 0.95 A / 1.2015 = 39.2732 Gy/GBq; tumour x 4."""

    normal = 49.67 * 0.95 / 1.2015

    def test_interval_and_binding_goal_and_limit(self):
        found = window([TUMOUR_189, Goal("whole normal liver", at_most=75.0), Goal("lungs", at_most=30.0)])
        self.assertAlmostEqual(found.low_gbq, 189.0 / (4.0 * self.normal), places=9)
        # Whole normal liver is 1400 g, 800 of them perfused.
        self.assertAlmostEqual(found.high_gbq, 75.0 / (self.normal * 800.0 / 1400.0), places=9)
        self.assertTrue(found.is_open)
        self.assertEqual(found.binding_limit.region, "Whole normal liver")
        self.assertEqual(found.binding_goal.region, "A")

    def test_normal_perfused_and_whole_normal_liver_bind_at_different_activities(self):
        whole = window([Goal("whole normal liver", at_most=75.0)]).high_gbq
        perfused = window([Goal("normal perfused liver", at_most=75.0)]).high_gbq
        self.assertAlmostEqual(whole / perfused, 1400.0 / 800.0, places=9)

    def test_empty_window_says_by_how_much(self):
        found = window([Goal("tumour", at_least=400.0), Goal("normal perfused liver", at_most=75.0)])
        self.assertFalse(found.is_open)
        (miss,) = found.misses
        self.assertAlmostEqual(miss.value, 300.0, places=9)
        self.assertAlmostEqual(miss.amount, 100.0, places=9)
        self.assertIn("missed by 100 Gy (25.0 %)", window_text(found, "1"))

    def test_band_and_advisory_goals(self):
        band = Goal("perfused liver", at_least=80.0, at_most=150.0)
        found = window([band])
        # 903 g perfused.
        self.assertAlmostEqual(found.low_gbq, 80.0 * 0.903 / (49.67 * 0.95), places=9)
        self.assertAlmostEqual(found.high_gbq, 150.0 * 0.903 / (49.67 * 0.95), places=9)
        advisory = window([Goal("perfused liver", at_least=80.0, at_most=150.0, advisory=True)])
        self.assertEqual((advisory.low_gbq, advisory.high_gbq), (0.0, math.inf))

    def test_lung_activity_limit(self):
        found = window([Goal("lung activity", at_most=610.0)], one_lobe(shunt=0.2))
        self.assertAlmostEqual(found.high_gbq, 0.61 / 0.2, places=12)

    def test_bed_limit_is_the_root_of_its_quadratic(self):
        tissue = Radiobiology(2.5, 2.5)
        inputs = half_life_64_1(one_lobe())
        found = window([Goal("normal perfused liver", "BED", at_most=159.46)], inputs, liver_tissue=tissue)
        # D = 75 Gy has BED 159.46 Gy at alpha/beta 2.5 Gy, repair 2.5 h, half-life 64.1 h, printed to 0.01 Gy.
        self.assertAlmostEqual(found.high_gbq * self.normal, 75.0, delta=0.005)

    def test_earlier_treatment_takes_its_part_of_cumulative_limits_only(self):
        earlier = [EarlierTreatment("2025", {"Whole normal liver": 30.0, "Lungs": 25.0})]
        limit = Goal("whole normal liver", at_most=75.0)
        fresh, later = window([limit]), window([limit], earlier=earlier)
        self.assertAlmostEqual(later.high_gbq / fresh.high_gbq, 45.0 / 75.0, places=9)
        lungs = [Goal("lungs", at_most=30.0, cumulative=False), Goal("lungs", at_most=50.0)]
        # LSF 5 %, 1 kg: 2.4835 Gy/GBq. 30 Gy alone would allow 12.08 GBq; 50 - 25 Gy allow 10.07.
        self.assertAlmostEqual(window(lungs, earlier=earlier).high_gbq, 25.0 / (49.67 * 0.05), places=9)

    def test_earlier_bed_adds_to_bed(self):
        tissue = Radiobiology(2.5, 1.5)
        earlier = [EarlierTreatment("2025", {"Normal perfused liver": 50.0})]
        # BED of 50 Gy at 2.5 Gy and 1.5 h: 72.87 Gy (64.1 h); so 199.32 Gy leave 126.45 Gy, the BED of 75 Gy.
        limit = Goal("normal perfused liver", "BED", at_most=199.32)
        found = window([limit], half_life_64_1(one_lobe()), liver_tissue=tissue, earlier=earlier)
        self.assertAlmostEqual(found.high_gbq * self.normal, 75.0, delta=0.005)

    def test_earlier_treatment_beyond_a_limit_leaves_no_activity(self):
        earlier = [EarlierTreatment("2025", {"Whole normal liver": 80.0})]
        found = window([Goal("whole normal liver", at_most=75.0)], earlier=earlier)
        self.assertLess(found.high_gbq, 0.0)
        self.assertAlmostEqual(found.misses[0].amount, 5.0, places=9)
        self.assertIn("no activity is possible", window_text(found, "1"))

    def test_earlier_treatment_that_does_not_name_the_region_is_refused(self):
        with self.assertRaisesRegex(InputError, "dose to Whole normal liver is not given"):
            window([Goal("whole normal liver", at_most=75.0)], earlier=[EarlierTreatment("2025", {"Lungs": 1.0})])

    def test_limit_per_treatment_holds_in_each_session_and_cumulative_over_all(self):
        territories = [TypedTerritory("right", 800.0), TypedTerritory("left", 400.0)]
        injections = [
            PlannedInjection("1", "right", 0.1, session="2026-03-10"),
            PlannedInjection("2", "left", 0.1, session="2026-04-21"),
        ]
        inputs = typed_inputs(territories, injections)
        goals = [Goal("lungs", at_most=30.0, cumulative=False), Goal("lungs", at_most=50.0)]
        criteria = make_criteria(inputs, goals, choose_targets(inputs))
        self.assertEqual([c.session for c in criteria], ["2026-03-10", "2026-04-21", ""])
        per_gbq = 49.67 * 0.1
        self.assertAlmostEqual(feasible_window(criteria, 0, np.array([0.0, 1.0])).high_gbq, 30.0 / per_gbq, places=9)
        given = 25.0 / per_gbq
        self.assertAlmostEqual(feasible_window(criteria, 0, np.array([0.0, given])).high_gbq, given, places=9)

    def test_earlier_treatment_comes_from_results(self):
        document = {
            "case_id": "P1",
            "post": {
                "lung": {"mean_gy": 4.0},
                "compartments": [
                    {
                        "name": "Whole normal liver",
                        "role": "derived",
                        "dose": {"local": {"mean_gy": 31.0, "bed_gy": 40.0}},
                    },
                    {"name": "lungs", "role": "lung", "dose": {"local": {"mean_gy": 3.0}}},
                ],
            },
        }
        earlier = earlier_from_results(document)
        self.assertEqual(earlier.mean_gy, {"Whole normal liver": 31.0, "Lungs": 4.0})
        self.assertEqual(earlier.bed_gy, {"Whole normal liver": 40.0})
        with self.assertRaises(InputError):
            earlier_from_results({"case_id": "P1"})


if __name__ == "__main__":
    unittest.main()
