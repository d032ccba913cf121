"""Intervals as people see them: the panel's cells, tables, figures, and uncertainties without an image."""

from __future__ import annotations

import csv
import math
import unittest
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from test_report_content import sample_content

from TARECOMETLib.case.document import Case, ContourEntry, ImageEntry, Settings
from TARECOMETLib.case.interval_table import (
    budget_rows,
    dose_uncertainties,
    input_rows,
    interval,
    margin_points,
    resolution_to_ask,
    with_input,
)
from TARECOMETLib.dosimetry.contour_edge import correlated_variance
from TARECOMETLib.dosimetry.uncertainty import budget
from TARECOMETLib.dosimetry.uncertainty_inputs import InputUncertainties
from TARECOMETLib.dosimetry.uncertainty_quick import (
    difference_uncertainty_gy,
    mean_dose_uncertainty,
    ratio_uncertainty,
    sphere_volume_uncertainty,
)
from TARECOMETLib.errors import InputError
from TARECOMETLib.report import tables
from TARECOMETLib.report.content import ReportContent
from TARECOMETLib.report.dvh_figure import write_dvh_figure
from TARECOMETLib.report.margin_figure import write_margin_figure
from TARECOMETLib.report.pdf import MOST_PAGES, write_pdf
from TARECOMETLib.report.pdf_data import page_data

RESULTS = {
    "post": {
        "compartments": [
            {
                "name": "m1",
                "dose": {
                    "local": {"mean_gy": 275.2, "mean_uncertainty_gy": 16.8},
                    "kernel": {"mean_gy": 270.0, "mean_uncertainty_gy": 16.5},
                },
                "uncertainty": {
                    "mean_gy": 275.2,
                    "mean_uncertainty_gy": 16.8,
                    "budget": [
                        {"source": "PET calibration", "uncertainty_gy": 13.8, "share": 0.67},
                        {"source": "Contour", "uncertainty_gy": 9.6, "share": 0.33},
                    ],
                    "registration_bias_gy": -6.0,
                    "blur_bias_percent": -12.0,
                    "blur_corrected": {"mean_gy": 310.4, "mean_uncertainty_gy": 21.6},
                    "margins": [{"margin_mm": -1.0, "volume_ml": 80.0, "mean_gy": 281.0}],
                },
            },
            {"name": "speck", "dose": {"local": {"mean_gy": 80.0}}},
        ]
    }
}


def uncertain_content(tumours: list[str] | None = None) -> ReportContent:
    """The made-up report with uncertainties."""
    content = sample_content(tumours)
    phases = []
    for phase in content.phases:
        entries = tuple(
            replace(
                entry,
                relative_uncertainty=0.06,
                budget=(("PET calibration", 5.0, 0.7), ("Contour", 3.0, 0.3)),
                noise_sd_gy=8.0,
                blur_corrected=(130.0, 9.0) if entry.role == "tumour" else None,
                blur_bias_percent=-9.0 if entry.role == "tumour" else None,
                margins=((-1.0, 130.0), (0.0, 120.0), (1.0, 111.0)) if entry.role == "tumour" else (),
            )
            for entry in phase.compartments
        )
        phases.append(replace(phase, compartments=entries))
    return replace(content, phases=tuple(phases))


class CellTestCase(unittest.TestCase):
    def test_a_cell_shows_the_mean_and_its_tooltip_the_rest(self) -> None:
        cell = interval(RESULTS, "post", "local", "m1")
        self.assertEqual(cell.text, "275 ± 17")
        # 275.2 -/+ 1.959964 x 16.8 = 242.3 and 308.1.
        first = "95 %: 242 to 308 Gy; mainly PET calibration; blur, not in the interval: -12 %; "
        self.assertEqual(cell.tooltip, first + "corrected for blur: 310 ± 22 Gy")

    def test_a_changing_contour_carries_the_relative_uncertainty_on(self) -> None:
        self.assertEqual(interval(RESULTS, "post", "local", "m1", live_mean_gy=137.6).text, "138 ± 8")

    def test_what_has_no_interval_says_why(self) -> None:
        cell = interval(RESULTS, "post", "local", "speck")
        self.assertEqual(cell.text, "80.0")
        self.assertIn("resolution is not set", cell.tooltip)
        self.assertEqual(interval(RESULTS, "pre", "local", "m1").text, "–")

    def test_budget_margins_and_uncertainties_come_out_of_results(self) -> None:
        self.assertEqual(budget_rows(RESULTS, "post", "m1")[0], ["PET calibration", "14", "5.0", "67"])
        self.assertEqual(budget_rows(RESULTS, "post", "speck"), [])
        self.assertEqual(margin_points(RESULTS, "post", "m1"), [(-1.0, 281.0)])
        found = dose_uncertainties(RESULTS, "post")
        self.assertEqual(list(found), ["m1"])
        self.assertEqual((found["m1"].uncertainty_gy, found["m1"].main_source), (16.8, "PET calibration"))

    def test_inputs_are_shown_typed_and_taken_back(self) -> None:
        case = Case("p", {"y90_pet": ImageEntry("PT")}, (ContourEntry("liver", "liver"),))
        rows = {key: (value, unit, said) for key, _, value, unit, said in input_rows(case)}
        self.assertEqual(rows["pet_calibration"][:2], (5.0, "%"))
        self.assertIn("doi", rows["pet_calibration"][2])
        changed = with_input(case, "pet_calibration", 8.0)
        self.assertEqual(changed.settings.uncertainty, InputUncertainties(pet_calibration=0.08))
        self.assertEqual(with_input(changed, "pet_calibration", 5.0).sha256(), case.sha256())
        with self.assertRaisesRegex(InputError, "pet_calibration"):
            with_input(case, "pet_calibration", -1.0)

    def test_resolutions_that_are_missing_are_asked_for(self) -> None:
        case = Case(
            "p", {"y90_pet": ImageEntry("PT"), "maa_spect": ImageEntry("NM")}, (ContourEntry("liver", "liver"),)
        )
        case = replace(case, settings=Settings(resolution_fwhm_mm={"maa_spect": 11.0}))
        ((role, value, words),) = resolution_to_ask(case)
        self.assertEqual((role, value), ("y90_pet", 6.5))
        self.assertIn("a proposal, not measured", words)


class QuickTestCase(unittest.TestCase):
    def test_a_spheres_volume_is_three_times_its_radius(self) -> None:
        # 33.51 mL is a radius of 20 mm; an error that reaches everywhere: 3 x 1 / 20 = 15 %.
        volume = 4.0 / 3.0 * math.pi * 8.0
        far = sphere_volume_uncertainty(volume, InputUncertainties(contour_mm=1.0, contour_correlation_mm=60.0))
        # exp(-chord² / 2 L²) averaged over the sphere, (1 - exp(-2 R² / L²)) / (2 R² / L²) with R / L = 1/3, by hand.
        self.assertAlmostEqual(far["Contour"], 0.15 * math.sqrt((1.0 - math.exp(-2.0 / 9.0)) / (2.0 / 9.0)), delta=1e-9)

    def test_it_is_what_voxels_of_a_shell_give(self) -> None:
        # A shell one voxel wide, weights of its surface: the variance of its mean displacement, on 3 mm voxels: 5 %.
        axes = np.indices((40, 40, 40)) * 3.0 - 58.5
        shell = np.abs(np.sqrt(sum(axis**2 for axis in axes)) - 20.0) < 1.5
        weights = shell / np.count_nonzero(shell)
        inputs = InputUncertainties(contour_mm=1.0, contour_correlation_mm=20.0)
        expected = 0.15 * math.sqrt(correlated_variance(weights, 20.0, (3.0, 3.0, 3.0)))
        found = sphere_volume_uncertainty(4.0 / 3.0 * math.pi * 8.0, inputs)["Contour"]
        self.assertAlmostEqual(found / expected, 1.0, delta=0.05)

    def test_a_planned_dose_has_its_main_source(self) -> None:
        large = mean_dose_uncertainty(120.0, 1500.0, lung_shunt_fraction=0.05, contrast=1.5)
        self.assertEqual(large.main_source, "Dose calibrator (vial)")
        self.assertAlmostEqual(large.uncertainty_gy / 120.0, 0.052, delta=0.004)
        small = mean_dose_uncertainty(120.0, 2.0, calibration="pet")
        self.assertEqual(small.main_source, "Contour")
        self.assertGreater(small.uncertainty_gy, large.uncertainty_gy)

    def test_what_two_doses_share_does_not_part_them(self) -> None:
        first = budget(100.0, {"Dose constant": 1.0, "Dose calibrator (vial)": 5.0})
        second = budget(120.0, {"Dose constant": 1.2, "PET calibration": 6.0})
        self.assertAlmostEqual(ratio_uncertainty(first, second), math.hypot(0.05, 0.05), delta=1e-12)
        # (1.2 - 1.0)² + 5² + 6², by hand.
        self.assertAlmostEqual(difference_uncertainty_gy(first, second), math.sqrt(0.04 + 25.0 + 36.0), delta=1e-12)


class ReportTestCase(unittest.TestCase):
    def setUp(self) -> None:
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def test_tables_carry_it(self) -> None:
        content = uncertain_content()
        rows = {(r["phase"], r["compartment"], r["method"]): r for r in tables.compartment_rows(content)}
        row = rows["post", "All tumours", "local"]
        self.assertAlmostEqual(row["mean_uncertainty_gy"], 0.06 * row["mean_gy"], delta=1e-9)
        self.assertEqual(row["main_uncertainty"], "PET calibration")
        self.assertEqual(rows["post", "metastasis 1", "local"]["blur_corrected_mean_gy"], 130.0)
        self.assertNotIn("blur_corrected_mean_gy", rows["post", "metastasis 1", "kernel"])
        self.assertNotIn("mean_uncertainty_gy", rows["post", "All tumours", "multicompartment"])
        tables.write_csv(self.folder / "budget.csv", tables.budget_rows(content), tables.BUDGET_COLUMNS)
        read = list(csv.DictReader((self.folder / "budget.csv").read_text().splitlines()))
        self.assertEqual({r["source"] for r in read}, {"PET calibration", "Contour"})
        self.assertEqual(len(tables.margin_rows(content)), 2 * 2 * 3)

    def test_the_report_prints_mean_and_uncertainty_and_the_budget(self) -> None:
        data = page_data(uncertain_content(), 5, 5, 5)
        line = data["compartments"]["groups"][0]["rows"][0]["lines"][0]
        self.assertEqual(line["values"][1], "120 ± 7")
        first = data["budget"][0]
        self.assertEqual(first[1:4], ["All tumours", "132 to 168", "6.0"])
        self.assertEqual(first[4], "PET calibration 70 %, Contour 30 %")
        self.assertEqual(page_data(sample_content(), 5, 5, 5)["budget"], [])

    def test_the_report_lists_what_doses_do(self) -> None:
        content = uncertain_content()
        phase = content.phases[1]
        figures = {"bed_gy": 170.0, "eqd2_gy": 141.7, "alpha_beta_gy": 10.0, "repair_half_time_h": 1.5}
        given = {"biological": {"kernel": figures}, "effects": {"kernel": (("mine", 0.44),)}}
        entries = tuple(replace(e, **given) if e.role == "tumour" else e for e in phase.compartments)  # type: ignore[arg-type]
        content = replace(content, figure_method="kernel", phases=(replace(phase, compartments=entries),))
        row = page_data(content, 5, 5, 5)["biology"][0]
        self.assertEqual(row[2:4], ["170", "142"])
        self.assertEqual(row[-2].replace("\u00a0", " "), "mine 44 %")
        self.assertEqual(row[-1], "α/β 10 Gy, repair 1.5 h")
        table = tables.compartment_rows(content)
        self.assertIn(0.44, [r.get("probability: mine") for r in table])
        self.assertLessEqual(write_pdf(self.folder / "report.pdf", content), MOST_PAGES)

    def test_many_tumours_with_budgets_stay_on_four_pages(self) -> None:
        content = uncertain_content([f"metastasis {n}" for n in range(15)])
        self.assertLessEqual(write_pdf(self.folder / "report.pdf", content), MOST_PAGES)

    def test_the_histogram_has_a_band_and_the_margins_a_chart(self) -> None:
        path = self.folder / "figure.png"
        pictures = []
        for content in (sample_content(), uncertain_content()):
            write_dvh_figure(path, content.phases)
            pictures.append(path.read_bytes())
        self.assertNotEqual(*pictures)
        write_margin_figure(path, uncertain_content().phases)
        self.assertTrue(path.read_bytes().startswith(b"\x89PNG"))


if __name__ == "__main__":
    unittest.main()
