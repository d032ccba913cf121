"""Vials and the calendar.

Decay: exp(-ln 2 t / T) by hand with T = 64.1 h; 24, 48, 72, 96 h: .77142 .59509 .45906 .35413.
Clocks: the European Union changes to summer time on the last Sunday of March (29 March 2026) and back on the last
Sunday of October (25 October 2026); the United States change on the second Sunday of March (8 March 2026).
"""

import itertools
import unittest
from dataclasses import replace
from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

from TARECOMETLib.errors import InputError
from TARECOMETLib.physics.nuclides import constants_set
from TARECOMETLib.planning.treatment_calendar import WorkingHours, exists, hours_between, typed_date, typed_moment
from TARECOMETLib.planning.vials import Vial, VialFacts, give, vial_choices

Y90 = replace(constants_set(), half_life_h=64.1)
NEW_YORK, MADRID = ZoneInfo("America/New_York"), ZoneInfo("Europe/Madrid")


class CalendarTestCase(unittest.TestCase):
    def test_week_has_every_working_hour_in_local_time(self):
        hours = WorkingHours("Europe/Madrid").in_week(date(2026, 3, 12))
        self.assertEqual(len(hours), 50)
        self.assertEqual(
            (hours[0].isoformat(), hours[-1].isoformat()[:16]), ("2026-03-09T08:00:00+01:00", "2026-03-13T17:00")
        )

    def test_skipped_hour_is_left_out_and_repeated_hour_comes_twice(self):
        nights = WorkingHours("Europe/Madrid", 0, 23, (6,))
        spring, autumn = nights.in_week(date(2026, 3, 29)), nights.in_week(date(2026, 10, 25))
        self.assertEqual((len(spring), len(autumn)), (23, 25))
        for hours in (spring, autumn):
            steps = [hours_between(a, b) for a, b in itertools.pairwise(hours)]
            self.assertEqual(set(steps), {1.0})

    def test_hours_between_counts_the_lost_hour(self):
        start = datetime(2026, 3, 28, 12, tzinfo=MADRID)
        self.assertEqual(hours_between(start, datetime(2026, 3, 29, 12, tzinfo=MADRID)), 23.0)

    def test_skipped_local_time_and_unknown_zone_are_refused(self):
        self.assertFalse(exists(datetime(2026, 3, 29, 2, 30, tzinfo=MADRID)))
        with self.assertRaisesRegex(InputError, "skip"):
            typed_moment("2026-03-29T02:30", MADRID, "hour")
        self.assertEqual(typed_moment("2026-03-29T03:00", MADRID, "hour").utcoffset().total_seconds(), 7200.0)
        with self.assertRaisesRegex(InputError, "Europe/Atlantis"):
            WorkingHours("Europe/Atlantis")
        with self.assertRaises(InputError):
            WorkingHours("Europe/Madrid", 17, 8)
        with self.assertRaises(InputError):
            typed_date("10/03/2026", "week")
        self.assertEqual(typed_date("2026-03-10", "week"), date(2026, 3, 10))


class VialTestCase(unittest.TestCase):
    def setUp(self):
        self.vial = Vial(3.0, VialFacts().calibration_in_week(date(2026, 3, 8)))

    def test_calibration_is_sunday_noon_in_new_york_also_on_the_day_clocks_change(self):
        self.assertEqual(self.vial.calibration.isoformat(), "2026-03-08T12:00:00-04:00")
        self.assertEqual(VialFacts().calibration_in_week(date(2026, 3, 1)).astimezone(timezone.utc).hour, 17)

    def test_decay_across_zones(self):
        # Noon in New York (UTC-4) is 17:00 in Madrid (UTC+1) in the weeks when only America has changed its clocks.
        for days, factor in ((1, 0.77142), (2, 0.59509), (3, 0.45906), (4, 0.35413)):
            hour = datetime(2026, 3, 8 + days, 17, tzinfo=MADRID)
            self.assertAlmostEqual(self.vial.activity_gbq(hour, Y90) / 3.0, factor, delta=5e-6)

    def test_spheres_and_activity_per_sphere(self):
        hour = datetime(2026, 3, 10, 17, tzinfo=MADRID)
        choice = give([self.vial], hour, 1.7, 0.02, Y90)
        # 3 GBq / 2500 Bq = 1.2 million spheres (World J Hepatol 2015;7:738).
        self.assertAlmostEqual(choice.spheres, 1.2e6, places=6)
        self.assertAlmostEqual(choice.bq_per_sphere, 2500.0 * 0.59509, delta=0.02)
        self.assertAlmostEqual(choice.delivered_gbq, 3.0 * 0.59509 * 0.98, delta=2e-5)
        self.assertAlmostEqual(choice.deviation, 3.0 * 0.59509 * 0.98 / 1.7 - 1.0, delta=2e-5)

    def test_before_calibration_and_past_shelf_life_are_refused(self):
        with self.assertRaisesRegex(InputError, "1.0 h before its calibration") as caught:
            self.vial.activity_gbq(datetime(2026, 3, 8, 16, tzinfo=MADRID), Y90)
        self.assertEqual(caught.exception.code, "vial-early")
        self.assertEqual(self.vial.activity_gbq(datetime(2026, 3, 8, 17, tzinfo=MADRID), Y90), 3.0)
        self.assertEqual(self.vial.expiry.astimezone(MADRID).isoformat()[:16], "2026-03-20T17:00")
        with self.assertRaisesRegex(InputError, "1.0 h past its shelf life of 12 days") as caught:
            self.vial.activity_gbq(datetime(2026, 3, 20, 18, tzinfo=MADRID), Y90)
        self.assertEqual(caught.exception.code, "vial-expired")
        self.assertGreater(self.vial.activity_gbq(datetime(2026, 3, 20, 17, tzinfo=MADRID), Y90), 0.0)

    def test_wrong_facts_are_refused(self):
        for bad in (
            {"sizes_gbq": ()},
            {"sizes_gbq": (0.0,)},
            {"sizes_gbq": (3000.0,)},
            {"shelf_life_days": 0.0},
            {"calibration_weekday": 7},
            {"bq_per_sphere": 0.0},
            {"bq_per_sphere": 1e-300},
            {"shelf_life_days": 1e9},
            {"calibration_time_zone": "nowhere"},
        ):
            with self.subTest(bad=bad), self.assertRaises(InputError):
                VialFacts(**bad)
        self.assertEqual(VialFacts(sizes_gbq=(4.25,)).sizes_gbq, (4.25,))


class ChoicesTestCase(unittest.TestCase):
    working = WorkingHours("Europe/Madrid")

    def choices(self, prescribed=1.7, residual=0.02, weeks=(date(2026, 3, 10),), **options):
        return vial_choices(prescribed, residual, weeks, self.working, Y90, **options)

    def test_they_are_all_and_only_those_within_the_tolerance(self):
        found = {(c.sizes_gbq, c.vials[0].calibration, c.hour) for c in self.choices()}
        expected = set()
        # By brute force over calendar days, in UTC: calibrations on the Sundays before, noon in New York.
        for calibration in (datetime(2026, 2, 22, 17), datetime(2026, 3, 1, 17), datetime(2026, 3, 8, 16)):
            for size in (3.0, 5.0, 7.0, 10.0, 15.0, 20.0):
                for day in range(9, 14):
                    for hour in range(8, 18):
                        elapsed = (datetime(2026, 3, day, hour - 1) - calibration).total_seconds() / 3600.0
                        delivered = 0.98 * size * 2.0 ** (-elapsed / 64.1)
                        if 0.0 <= elapsed <= 288.0 and abs(delivered - 1.7) <= 0.05 * 1.7:
                            zoned = calibration.replace(tzinfo=timezone.utc).astimezone(NEW_YORK)
                            expected.add(((size,), zoned, datetime(2026, 3, day, hour, tzinfo=MADRID)))
        self.assertTrue(expected)
        self.assertEqual(found, expected)

    def test_all_activities_are_recomputed_by_hand_and_in_order_of_time(self):
        found = self.choices(weeks=(date(2026, 3, 10), date(2026, 3, 17)))
        self.assertEqual([c.hour for c in found], sorted(c.hour for c in found))
        for choice in found:
            self.assertLessEqual(abs(choice.deviation), 0.05)
            self.assertAlmostEqual(choice.delivered_gbq, 1.7 * (1.0 + choice.deviation), places=12)

    def test_several_vials_reach_what_none_does_alone(self):
        self.assertEqual(self.choices(30.0), [])
        found = self.choices(30.0, most_vials=3)
        self.assertTrue(found)
        self.assertTrue(all(len(c.vials) > 1 for c in found))
        for choice in found:
            self.assertEqual(len({vial.calibration for vial in choice.vials}), 1)

    def test_custom_sizes(self):
        found = self.choices(1.7, facts=VialFacts(sizes_gbq=(2.2,)))
        self.assertEqual({c.sizes_gbq for c in found}, {(2.2,)})

    def test_bad_values_are_refused(self):
        for call in (
            lambda: self.choices(residual=1.0),
            lambda: self.choices(residual=1.5),
            lambda: self.choices(tolerance=0.0),
            lambda: self.choices(most_vials=0),
        ):
            with self.assertRaises(InputError):
                call()
        with self.assertRaises(InputError):
            give(
                [Vial(3.0, datetime(2026, 3, 8, 12, tzinfo=NEW_YORK))],
                datetime(2026, 3, 9, 12, tzinfo=MADRID),
                0.0,
                0.0,
                Y90,
            )
        self.assertEqual(self.choices(residual=0.99, tolerance=0.05), [])


if __name__ == "__main__":
    unittest.main()
