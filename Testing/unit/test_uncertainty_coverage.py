"""Intervals hold the truth: a short form of Testing/validation/uncertainty_coverage.py, which has 200 realisations."""

from __future__ import annotations

import unittest

from uncertainty_realisations import coverage, make_ground

COUNT = 20
LEAST_ML = 10.0


class CoverageTestCase(unittest.TestCase):
    def test_intervals_hold_the_truth_and_are_not_much_wider_than_the_spread(self) -> None:
        ground = make_ground()
        for kind in ("absolute", "relative"):
            for name, found in coverage(ground, kind, COUNT, seed=5).items():
                if ground.volume_ml(name) < LEAST_ML:
                    continue
                with self.subTest(kind=kind, name=name):
                    # Of 20 intervals at 95 %, fewer than 16 hold it once in 400 times; at 75 %, half the time.
                    self.assertGreaterEqual(round(found.held * COUNT), 16)
                    # 1.3 and one and a half standard errors (16 %) of a standard deviation of 20.
                    self.assertLessEqual(found.spread_ratio, 1.3 * 1.24)
                    self.assertGreaterEqual(found.spread_ratio, 0.65)


if __name__ == "__main__":
    unittest.main()
