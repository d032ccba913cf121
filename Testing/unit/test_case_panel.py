"""What the panel says and decides, without Qt: badges, typed injections, rows and remarks."""

from __future__ import annotations

import math
import unittest
from dataclasses import replace

from TARECOMETLib.case.document import Case, ContourEntry, ImageEntry, Injection
from TARECOMETLib.case.findings import Finding
from TARECOMETLib.case.panel_state import (
    CONTOURS,
    DONE,
    DOSE,
    IMAGES,
    OUTDATED,
    PROBLEM,
    READY,
    TO_DO,
    TREATMENT,
    panel_state,
)
from TARECOMETLib.case.panel_table import dose_rows, finding_lines, typed_balance
from TARECOMETLib.case.typed_injection import injection_from_text, injection_texts
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.emission import EmissionFacts
from TARECOMETLib.physics.nuclides import constants_set

INJECTION = Injection("right", "right lobe", "2026-03-10T11:20:00", vial_mbq=1770.0, residual_mbq=80.0)
FACTS = EmissionFacts(units="Bq/mL", scan_start="2026-03-11T11:20:00", decay_correction="START", radionuclide="Y-90")
CASE = Case(
    case_id="A-1",
    images={
        "diagnostic": ImageEntry("CT", frame_of_reference_uid="1.2"),
        "y90_pet": ImageEntry("PT", frame_of_reference_uid="1.2", emission=FACTS),
    },
    contours=(
        ContourEntry("liver", "liver"),
        ContourEntry("right lobe", "territory"),
        ContourEntry("T1", "tumour"),
    ),
    injections=(INJECTION,),
)

RESULTS = {
    "constants": {"set": "MIRD 49.67"},
    "post": {
        "calibration": "absolute",
        "injections": [{"hours_to_scan": 24.0}],
        "activity_balance": {"liver_mbq": 1500.0, "lungs_mbq": 100.0},
        "compartments": [
            {
                "name": "T1",
                "volume_ml": 12.345,
                "dose": {"local": {"mean_gy": 101.26, "d_gy": {"70": 80.0}, "v_percent": {"100": 55.5}}},
            },
            {"name": "lungs", "volume_ml": 3000.0},
        ],
        "warnings": [
            {"severity": "doubt", "code": "balance", "where": "y90_pet", "message": "off", "mend": "Look"},
            {"severity": "note", "code": "n", "where": "liver", "message": "fine", "mend": ""},
        ],
    },
}


class BadgesTestCase(unittest.TestCase):
    def test_an_empty_case_waits_for_each_step_and_says_what_for(self) -> None:
        state = panel_state(Case("A", {}, ()))
        self.assertEqual({s.badge for s in state.values()}, {TO_DO})
        self.assertIn("Choose the diagnostic CT", state[DOSE].actions["compute"].reason)

    def test_a_complete_case_can_be_computed(self) -> None:
        state = panel_state(CASE)
        self.assertEqual([state[s].badge for s in (IMAGES, CONTOURS, TREATMENT, DOSE)], [DONE, DONE, DONE, READY])
        self.assertTrue(state[DOSE].actions["compute"].enabled)
        self.assertIn("net 1690 MBq", state[TREATMENT].text)

    def test_a_block_is_a_problem_in_its_own_step_and_stops_computing(self) -> None:
        found = [Finding("block", "outside-liver", 'tumour "T1"', "80 % of it lies outside the liver", "Check it")]
        state = panel_state(CASE, None, found)
        self.assertEqual(state[CONTOURS].badge, PROBLEM)
        self.assertFalse(state[DOSE].actions["compute"].enabled)
        self.assertIn("80 %", state[DOSE].actions["compute"].reason)

    def test_results_are_done_while_their_hash_is_the_cases_and_outdated_after_a_change(self) -> None:
        results = {"provenance": {"case_sha256": CASE.sha256()}, "warnings": []}
        self.assertEqual(panel_state(CASE, results)[DOSE].badge, DONE)
        other = replace(CASE, lung_shunt_fraction=0.02)
        self.assertEqual(panel_state(other, results)[DOSE].badge, OUTDATED)

    def test_while_something_runs_only_cancel_can_be_pressed(self) -> None:
        actions = panel_state(CASE, busy="computing")[DOSE].actions
        self.assertFalse(actions["compute"].enabled)
        self.assertTrue(actions["cancel"].enabled)
        self.assertFalse(panel_state(CASE)[DOSE].actions["cancel"].enabled)

    def test_an_open_doubt_is_counted_and_an_accepted_one_is_not(self) -> None:
        doubt = {"severity": "doubt", "code": "x", "where": "", "message": "", "mend": ""}
        results = {"provenance": {"case_sha256": CASE.sha256()}, "warnings": [doubt, {**doubt, "accepted": "why"}]}
        self.assertIn("1 doubt needs a reason", panel_state(CASE, results)[DOSE].text)


class TypedInjectionTestCase(unittest.TestCase):
    def test_what_is_shown_gives_the_same_injection_when_typed_again(self) -> None:
        self.assertEqual(
            injection_from_text("x", "right lobe", *injection_texts(INJECTION), before=INJECTION), INJECTION
        )

    def test_a_decimal_comma_is_understood_and_a_thousands_comma_is_refused(self) -> None:
        typed = injection_from_text("i", "right lobe", "", "1,77", "0,08", "2026-03-10 11:20")
        self.assertAlmostEqual(typed.net_mbq, 1690.0, places=9)
        with self.assertRaisesRegex(InputError, "is not a number"):
            injection_from_text("i", "right lobe", "", "1,770.5", "", "2026-03-10 11:20")

    def test_bad_times_and_residuals_are_refused_by_row(self) -> None:
        with self.assertRaisesRegex(InputError, "not an ISO date"):
            injection_from_text("injection 2", "right lobe", "", "1.7", "", "10.03.2026 11:20")
        with self.assertRaisesRegex(InputError, 'injection "injection 2".*residual'):
            injection_from_text("injection 2", "right lobe", "", "1.7", "1.8", "2026-03-10 11:20")


class RowsTestCase(unittest.TestCase):
    def test_a_figure_that_was_not_computed_is_a_dash(self) -> None:
        rows = dose_rows(RESULTS, "local", "post")
        dash = "–"
        self.assertEqual(rows[0], ["T1", "12.3", dash, "101.3", "80.0", "55.5", dash, dash])
        self.assertEqual(rows[1], ["lungs", "3000.0", *[dash] * 6])
        self.assertEqual(dose_rows({}, "local", "post"), [])

    def test_the_balance_follows_what_is_typed(self) -> None:
        # By hand: image 1600 MBq and net 1690 MBq, both at the one injection: decay cancels.
        found = typed_balance(CASE, RESULTS)
        assert found is not None
        self.assertAlmostEqual(found[0], 1600.0 / 1690.0, places=12)
        self.assertEqual(found[1], "quiet")
        # Injected 24 h earlier than it was: at the scan less is left, so the image holds more of it.
        early = replace(CASE, injections=(replace(INJECTION, time="2026-03-09T11:20:00"),))
        half_life_h = constants_set("MIRD 49.67").half_life_h
        ratio, word = typed_balance(early, RESULTS) or (0.0, "")
        self.assertAlmostEqual(ratio, 1600.0 / 1690.0 * math.exp(math.log(2.0) * 24.0 / half_life_h), places=12)
        self.assertEqual(word, "doubt")
        half = replace(CASE, injections=(replace(INJECTION, vial_mbq=880.0),))
        self.assertEqual((typed_balance(half, RESULTS) or (0, ""))[1], "block")
        self.assertIsNone(typed_balance(CASE, {}))

    def test_remarks_are_worst_first_in_plain_words_and_an_accepted_doubt_is_closed(self) -> None:
        block = Finding("block", "no-liver", "contours", "none", "Draw it")
        lines, doubts = finding_lines([block], RESULTS, {})
        self.assertEqual([severity for severity, _ in lines], ["block", "doubt", "note"])
        self.assertIn("post, 90Y PET: off", lines[1][1])
        self.assertEqual(doubts, [("balance", "90Y PET: off")])
        lines, doubts = finding_lines([], RESULTS, {"balance": "known"})
        self.assertIn("Accepted: known", lines[0][1])
        self.assertEqual(doubts, [])


if __name__ == "__main__":
    unittest.main()
