"""Bands of the window and of doses under uncertain inputs.

Expected widths: propagation by hand of log-normal factors, compared within the spread of 4000 draws.
"""

import unittest
from dataclasses import replace

import numpy as np

from TARECOMETLib.dosimetry.radiobiology import Radiobiology
from TARECOMETLib.errors import InputError
from TARECOMETLib.planning.criteria import choose_targets, make_criteria
from TARECOMETLib.planning.goals import Goal
from TARECOMETLib.planning.patient import PlannedInjection, TypedTerritory, TypedTumour, typed_inputs
from TARECOMETLib.planning.retreatment import EarlierTreatment
from TARECOMETLib.planning.uncertain import (
    PredictionError,
    Uncertainty,
    criterion_bands,
    draw,
    prediction_error_of,
    window_band,
)
from TARECOMETLib.planning.window import feasible_window

GOALS = [
    Goal("tumour", at_least=189.0, cumulative=False),
    Goal("normal perfused liver", at_most=75.0),
    Goal("lungs", at_most=30.0),
]
# 95th percentile of a standard normal distribution.
Z = 1.6449


def lobe():
    territory = TypedTerritory("right", 800.0, (TypedTumour("A", 100.0, 4.0),))
    return typed_inputs([territory], [PlannedInjection("1", "right", 0.05)])


def bands(**spread):
    inputs = lobe()
    criteria = make_criteria(inputs, GOALS, choose_targets(inputs))
    return criteria, draw(inputs, criteria, Uncertainty(**{"draws": 4000, **spread}))


class UncertainTestCase(unittest.TestCase):
    def test_window_of_a_draw_is_the_window_of_the_changed_patient(self):
        """Every path of the many-draws code against the window's own, with BED, two injections and earlier doses."""
        inputs = typed_inputs(
            [
                TypedTerritory("right", 800.0, (TypedTumour("A", 100.0, 4.0),)),
                TypedTerritory("left", 400.0, (TypedTumour("B", 60.0, 2.0),)),
            ],
            [PlannedInjection("1", "right", 0.05), PlannedInjection("2", "left", 0.0)],
        )
        goals = [
            Goal("tumour", "BED", at_least=270.0, cumulative=False),
            Goal("whole normal liver", "BED", at_most=130.0),
            Goal("lungs", at_most=30.0),
            Goal("perfused liver", at_least=60.0, at_most=150.0),
        ]
        earlier = [
            EarlierTreatment(
                "2025",
                dict.fromkeys(("Whole normal liver", "Lungs", "Perfused liver: right", "Perfused liver: left"), 5.0),
            )
        ]
        tissue = Radiobiology(2.5, 1.5)
        criteria = make_criteria(inputs, goals, choose_targets(inputs), earlier, tissue, tissue)
        spread = Uncertainty(0.2, 0.2, 0.1, PredictionError("x", 0.9, 0.1, 1.1, 0.1), draws=20)
        draws, others = draw(inputs, criteria, spread), np.array([9.0, 0.4])
        lows, highs, opens = [], [], []
        for number in range(20):
            changed = [
                replace(
                    c,
                    response=replace(
                        c.response,
                        linear=c.response.linear * f[number],
                        quadratic=None
                        if c.response.quadratic is None
                        else c.response.quadratic * np.outer(f[number], f[number]),
                    ),
                )
                for c, f in zip(draws.criteria, draws.factors, strict=True)
            ]
            window = feasible_window(changed, 0, others)
            lows.append(window.low_gbq)
            highs.append(window.high_gbq)
            opens.append(window.is_open)
        band = window_band(draws, 0, others)
        for edge, values in ((band.low_gbq, lows), (band.high_gbq, highs)):
            expected = np.percentile(values, [5, 50, 95], method="nearest")
            np.testing.assert_allclose([edge.low, edge.middle, edge.high], expected, rtol=1e-9)
        self.assertEqual(band.open_share, np.mean(opens))

    def test_without_spread_the_band_is_the_window(self):
        criteria, draws = bands(draws=20)
        window, band = feasible_window(criteria), window_band(draws, 0)
        for edge, value in ((band.low_gbq, window.low_gbq), (band.high_gbq, window.high_gbq)):
            for end in (edge.low, edge.middle, edge.high):
                self.assertAlmostEqual(end, value, places=9)
        self.assertEqual(band.open_share, 1.0)

    def test_ratio_moves_tumour_and_normal_liver_against_each_other(self):
        criteria, draws = bands(tumour_to_normal_relative_sd=0.2)
        window, band = feasible_window(criteria), window_band(draws, 0)
        # D_t = T K' / (0.1 T + 0.8) with T = 4 f, D_n = K' / (0.1 T + 0.8): f at its 5th and 95th percentile.
        sigma = np.sqrt(np.log(1.04))
        # A 5th percentile of 4000 draws has a standard error of 0.7 % here; three of them.
        low, high = 4.0 * np.exp(-Z * sigma), 4.0 * np.exp(Z * sigma)
        self.assertAlmostEqual(band.low_gbq.high / window.low_gbq, (0.1 * low + 0.8) / low / 0.3, delta=0.02)
        self.assertAlmostEqual(band.low_gbq.low / window.low_gbq, (0.1 * high + 0.8) / high / 0.3, delta=0.02)
        self.assertAlmostEqual(band.high_gbq.high / window.high_gbq, (0.1 * high + 0.8) / 1.2, delta=0.02)

    def test_volume_of_normal_liver_moves_its_dose(self):
        _, draws = bands(volume_relative_sd=0.1)
        values = {b.criterion.region: b.value for b in criterion_bands(draws, np.array([1.0]))}
        # Normal liver s x 800 g, tumour t x 100 g at four times the concentration: D_n = K'/(0.4 t + 0.8 s).
        rng = np.random.default_rng(99)
        sigma = np.sqrt(np.log(1.01))
        t, s = np.exp(rng.normal(0.0, sigma, (2, 200000)))
        expected = np.percentile(49.67 * 0.95 / (0.4 * t + 0.8 * s), [5, 95])
        found = values["Normal perfused liver"]
        self.assertAlmostEqual(found.low / expected[0], 1.0, delta=0.01)
        self.assertAlmostEqual(found.high / expected[1], 1.0, delta=0.01)
        # The lungs do not see it.
        self.assertAlmostEqual(values["Lungs"].low, values["Lungs"].high, places=9)

    def test_shunt_moves_the_lungs(self):
        _, draws = bands(lung_shunt_relative_sd=0.3)
        lungs = {b.criterion.region: b.value for b in criterion_bands(draws, np.array([1.0]))}["Lungs"]
        sigma = np.sqrt(np.log(1.09))
        self.assertAlmostEqual(lungs.high / (49.67 * 0.05), np.exp(Z * sigma), delta=0.03)
        self.assertAlmostEqual(lungs.middle / (49.67 * 0.05), 1.0, delta=0.02)

    def test_prediction_error_is_off_by_default_and_named_where_it_is_on(self):
        self.assertIn("no error of MAA", Uncertainty().words())
        error = PredictionError("study concordance, 31 lesions", tumour_ratio=0.8, tumour_log_sd=0.2)
        spread = Uncertainty(prediction_error=error)
        self.assertIn("study concordance, 31 lesions", spread.words())
        _, draws = bands(prediction_error=error)
        values = {b.criterion.region: b for b in criterion_bands(draws, np.array([5.0]))}
        normal = 49.67 * 0.95 * 5.0 / 1.2
        self.assertAlmostEqual(values["A"].value.middle / (4.0 * normal), 0.8, delta=0.015)
        self.assertAlmostEqual(values["A"].value.high / (4.0 * normal), 0.8 * np.exp(Z * 0.2), delta=0.03)
        self.assertAlmostEqual(values["Normal perfused liver"].value.high, normal, places=9)

    def test_prediction_error_of_a_concordance(self):
        # Ratios 0.5, 1 and 2: logarithms -ln 2, 0, ln 2: mean 0, standard deviation ln 2.
        error = prediction_error_of("Our study", [0.5, 1.0, 2.0])
        self.assertAlmostEqual(error.tumour_ratio, 1.0, places=12)
        self.assertAlmostEqual(error.tumour_log_sd, np.log(2.0), places=12)
        self.assertEqual((error.normal_ratio, error.normal_log_sd), (1.0, 0.0))
        self.assertIn("3 tumours", error.name)
        for bad in ([0.5, 1.0], [0.5, 1.0, 0.0]):
            with self.assertRaises(InputError):
                prediction_error_of("x", bad)

    def test_share_of_draws_that_keep_a_bound(self):
        _, draws = bands(tumour_to_normal_relative_sd=0.2)
        at_goal = 189.0 * 1.2 / 4.0 / (49.67 * 0.95)
        share = {b.criterion.region: b.met_share for b in criterion_bands(draws, np.array([at_goal]))}
        # At the activity that just meets the goal one half of the draws does.
        self.assertAlmostEqual(share["A"], 0.5, delta=0.03)
        self.assertEqual(share["Lungs"], 1.0)

    def test_same_seed_same_band(self):
        first, second = bands(volume_relative_sd=0.1)[1], bands(volume_relative_sd=0.1)[1]
        self.assertEqual(window_band(first, 0), window_band(second, 0))
        self.assertNotEqual(window_band(first, 0), window_band(bands(volume_relative_sd=0.1, seed=2)[1], 0))

    def test_wrong_spreads_are_refused(self):
        for bad in ({"volume_relative_sd": -0.1}, {"lung_shunt_relative_sd": 20.0}, {"draws": 3}):
            with self.subTest(bad=bad), self.assertRaises(InputError):
                Uncertainty(**bad)
        with self.assertRaises(InputError):
            PredictionError(" ")
        with self.assertRaises(InputError):
            PredictionError("x", tumour_ratio=0.0)
        replace(Uncertainty(), volume_relative_sd=1.0)


if __name__ == "__main__":
    unittest.main()
