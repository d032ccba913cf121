"""The PDF: never more than four pages, whatever people name things, and nothing left out in silence."""

from __future__ import annotations

import re
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from test_report_content import NASTY, sample_content

from TARECOMETLib.report import glyphs
from TARECOMETLib.report.content import PlanReport
from TARECOMETLib.report.pdf import MOST_PAGES, write_figures, write_pdf
from TARECOMETLib.report.pdf_data import number, page_data


def pages_in(path: Path) -> int:
    """Page objects of a PDF whose page tree is not compressed."""
    return len(re.findall(rb"/Type\s*/Page(?![A-Za-z])", path.read_bytes()))


class PdfTestCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "report.pdf"

    def test_fifteen_tumours_with_any_names_and_many_findings_fit_on_four_pages(self) -> None:
        content = sample_content([*NASTY, *(f"metastasis {n}" for n in range(8))], findings=80)
        nasty = tuple(
            replace(f, where=NASTY[n % len(NASTY)], message=3 * NASTY[(n + 1) % len(NASTY)], accepted=NASTY[n % 3])
            for n, f in enumerate(content.findings)
        )
        content = replace(content, case_id=NASTY[0], device=NASTY[1], stale_reason=NASTY[6], findings=nasty)
        content = replace(content, provenance=tuple((name, 3 * name) for name in NASTY))
        pages = write_pdf(self.path, content)
        self.assertLessEqual(pages, MOST_PAGES)
        self.assertEqual(pages_in(self.path), pages)

    def test_sixty_tumours_still_fit(self) -> None:
        content = sample_content([f"metastasis {n}" for n in range(60)], findings=300)
        self.assertLessEqual(write_pdf(self.path, content, pictures=()), MOST_PAGES)

    def test_a_plan_of_any_size_and_names_fits_and_says_what_is_left_out(self) -> None:
        rows = tuple((NASTY[n % len(NASTY)], *7 * ("1.0",)) for n in range(60))
        goals = tuple((NASTY[n % len(NASTY)], "75.0 Gy", "missed by 3.0", "", 3 * NASTY[n % 4]) for n in range(40))
        plan = PlanReport("1: 1.500 GBq net", rows, 20 * (NASTY[0],), goals, 20 * (NASTY[1],), 20 * (NASTY[2],))
        content = replace(sample_content([*NASTY, *(f"metastasis {n}" for n in range(8))], findings=80), plan=plan)
        self.assertLessEqual(write_pdf(self.path, content), MOST_PAGES)
        data = page_data(content, 3, 3, 3, 2)["plan"]
        self.assertEqual((len(data["models"]), len(data["criteria"])), (2, 2))
        self.assertEqual(data["more"], 58 + 38 + 3 * 18)
        self.assertNotIn("plan", page_data(replace(content, plan=None), 3, 3, 3))

    def test_same_content_gives_the_same_bytes(self) -> None:
        content = sample_content()
        pictures = write_figures(content, self.folder)
        self.assertEqual([p.file.name for p in pictures], ["overlay.png", "dvh.png"])
        write_pdf(self.path, content, pictures)
        first = self.path.read_bytes()
        write_pdf(self.path, content, pictures)
        self.assertEqual(self.path.read_bytes(), first)

    def test_one_phase_alone_and_no_dose_maps_make_a_report(self) -> None:
        content = sample_content()
        bare = replace(content.phases[1], dose={}, compartments=())
        content = replace(content, phases=(bare,), findings=(), structures=(), ct=None, injections=(), provenance=())
        self.assertEqual(write_figures(content, self.folder), ())
        self.assertEqual(write_pdf(self.path, content), 1)
        self.assertLessEqual(write_pdf(self.path, replace(content, phases=())), 1)


class PageDataTestCase(unittest.TestCase):
    def test_both_normal_livers_always_appear_under_their_names(self) -> None:
        content = sample_content()
        kept = tuple(
            replace(phase, compartments=tuple(c for c in phase.compartments if "perfused" not in c.name))
            for phase in content.phases
        )
        groups = page_data(replace(content, phases=kept), 5, 5, 5)["compartments"]["groups"]
        names = [row["name"] for group in groups for row in group["rows"]]
        self.assertIn("Normal perfused liver", names)
        self.assertIn("Whole normal liver", names)

    def test_doubts_come_first_and_what_is_left_out_is_counted(self) -> None:
        findings = page_data(sample_content(findings=20), 12, 5, 5)["findings"]
        self.assertEqual([f["severity"] for f in findings["listed"]], ["doubt"] * 10 + ["note"] * 2)
        self.assertEqual((findings["more"], findings["more_doubts"]), (8, 0))
        self.assertTrue(any(f["accepted"] for f in findings["listed"]))

    def test_the_smallest_tumours_are_left_to_the_tables(self) -> None:
        compartments = page_data(sample_content([f"t{n}" for n in range(9)]), 5, 4, 5)["compartments"]
        self.assertEqual(len(compartments["groups"][0]["rows"]), 4 + 1)
        self.assertEqual(compartments["more"], 5)

    def test_figures_are_never_minus_zero(self) -> None:
        self.assertEqual(number(-0.01), "0.0")
        self.assertEqual(number(-0.2), "\u22120.2")
        self.assertEqual(number(None), "–")


class GlyphsTestCase(unittest.TestCase):
    def test_controls_go_and_long_texts_lose_their_middle(self) -> None:
        self.assertEqual(glyphs.printable("a\n\tb\u202ec\x07"), "a bc")
        short = glyphs.printable("start" + 100 * "x" + "end", 20)
        self.assertTrue(short.startswith("start") and short.endswith("end") and len(short) == 20)

    def test_a_character_that_no_font_has_is_written_by_its_number(self) -> None:
        glyphs._fallbacks.cache_clear()
        self.addCleanup(glyphs._fallbacks.cache_clear)
        with mock.patch.object(glyphs, "_system_fonts", return_value=()):
            self.assertEqual(glyphs.printable("转 1"), "U+8F6C 1")

    def test_names_in_latin_greek_and_cyrillic_need_no_system_font(self) -> None:
        self.assertEqual(glyphs.fallback_fonts(["Müller ½ µ α/β Ж – ≥ 50 Gy · …"]), ())


if __name__ == "__main__":
    unittest.main()
