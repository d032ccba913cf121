"""Intervals hold the truth: a short form of Testing/validation/uncertainty_coverage.py, which has 200 realisations."""

from __future__ import annotations

import unittest

from uncertainty_realisations import coverage, make_ground

COUNT = 30
LEAST_ML = 10.0


class CoverageTestCase(unittest.TestCase):
    def test_intervals_hold_the_truth_and_are_not_much_wider_than_the_spread(self) -> None:
        ground = make_ground()
        for kind in ("absolute", "relative"):
            for name, found in coverage(ground, kind, COUNT, seed=5).items():
                if ground.volume_ml(name) < LEAST_ML:
                    continue
                with self.subTest(kind=kind, name=name):
                    # Of 30 intervals at 95 %, fewer than 25 hold it once in 300 times; at 80 %, half the time.
                    self.assertGreaterEqual(found.held * COUNT, 25.0)
                    # 1.3 with the standard error of a standard deviation of 30, 13 %, on top; and half of it below.
                    self.assertLessEqual(found.spread_ratio, 1.3 * 1.2)
                    self.assertGreaterEqual(found.spread_ratio, 0.65)


if __name__ == "__main__":
    unittest.main()
