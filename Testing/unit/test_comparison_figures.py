"""Figures of predicted against delivered dose, and what they show of a small patient."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
from test_report_content import sample_content
from unit.test_case_comparing import computed

from TARECOMETLib.case.comparing import comparison_document
from TARECOMETLib.case.comparison_report import FEWEST_LESIONS, _limits, comparison_report
from TARECOMETLib.case.steps import finish
from TARECOMETLib.report.comparison_content import ComparisonReport, ComparisonRow
from TARECOMETLib.report.comparison_figures import write_comparison_figures
from TARECOMETLib.report.comparison_page import comparison_page
from TARECOMETLib.report.pdf import MOST_PAGES, write_pdf
from TARECOMETLib.report.pdf_data import name, number


def rows_of(pairs: list[tuple[float, float]]) -> tuple[ComparisonRow, ...]:
    return tuple(ComparisonRow(f"t{n}", "tumour", {}, predicted_gy=a, delivered_gy=b) for n, (a, b) in enumerate(pairs))


def of_small_patient() -> ComparisonReport:
    results = computed()
    document = comparison_document(results)
    assert document is not None
    return finish(comparison_report(results, document))


class ComparisonReportTestCase(unittest.TestCase):
    def test_gamma_is_that_of_the_dose_steps(self) -> None:
        ten, three = of_small_patient().gammas
        # By hand: 10 Gy of 10 Gy (10 % of the maximum of 100 Gy) give 1 where no steeper place is near; of 3 Gy more.
        self.assertEqual((ten.name, three.name), ("10 %/5 mm global", "3 %/3 mm global"))
        self.assertLess(three.pass_rate, ten.pass_rate)
        self.assertAlmostEqual(float(ten.shares.sum()), 1.0, places=12)

    def test_isodose_overlap_of_a_uniform_tumour(self) -> None:
        # 100 Gy predicted, 90 Gy delivered, uniform: one volume at levels up to 90 Gy, none in common above.
        for level, dice in of_small_patient().isodoses["t1"]:
            self.assertEqual(dice, 1.0 if level <= 90.0 else 0.0, level)

    def test_noise_and_registration_are_said(self) -> None:
        said = " ".join(of_small_patient().sentences)
        self.assertIn("3 %/3 mm is below the voxel noise of 90Y PET", said)
        self.assertIn("before 0.970, after 0.400", said)

    def test_one_lesion_has_no_limits_and_it_is_said(self) -> None:
        report = of_small_patient()
        self.assertIsNone(report.limits)
        self.assertIn("No limits of agreement: 1 lesion,", " ".join(report.sentences))

    def test_limits_are_bias_and_196_sd(self) -> None:
        # Differences 1 to 6: mean 3.5, variance 17.5 / 5 = 3.5.
        limits, _ = _limits(rows_of([(100.0, 100.0 + n) for n in range(1, FEWEST_LESIONS + 1)]))
        half = 1.96 * 3.5**0.5
        np.testing.assert_allclose(limits, (3.5, 3.5 - half, 3.5 + half), rtol=1e-12)

    def test_every_figure_in_three_formats_and_the_same_bytes_again(self) -> None:
        report = of_small_patient()
        with tempfile.TemporaryDirectory() as name:
            first, second = Path(name) / "a", Path(name) / "b"
            drawn = write_comparison_figures(report, first)
            write_comparison_figures(report, second)
            self.assertEqual(set(drawn), {"scatter", "bland-altman", "isodose-dice", "gamma", "maps"})
            files = sorted(path.name for path in first.iterdir())
            self.assertEqual(len(files), 15)
            for file in files:
                self.assertEqual((first / file).read_bytes(), (second / file).read_bytes(), file)

    def test_the_page_holds_four_quantities_and_both_resolutions_and_fits_one_more_page(self) -> None:
        rows = of_small_patient().rows
        cells = {row[0]: row for row in comparison_page(of_small_patient(), 24, name, number)["rows"]}["t1"]
        # Planned 1200 of 1000 MBq net, scaled to 950 of 760 MBq; no resolution is given: no matched figures.
        self.assertEqual(cells[1:7], ["120.0", "100.0", "90.0", "112.5", number(-10.0), "0.90"])
        self.assertTrue(all(cell.endswith("/ –") for cell in cells[8:]))
        self.assertEqual(comparison_page(of_small_patient(), 1, name, number)["more"], len(rows) - 1)
        with tempfile.TemporaryDirectory() as folder:
            content = replace(sample_content(["a", "b"], findings=80), comparison=of_small_patient())
            self.assertLessEqual(write_pdf(Path(folder) / "r.pdf", content, pictures=()), MOST_PAGES + 1)

    def test_nothing_known_draws_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            self.assertEqual(write_comparison_figures(ComparisonReport(rows=()), Path(name)), {})


if __name__ == "__main__":
    unittest.main()
