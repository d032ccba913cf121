"""The command's contract: exit codes, one line for a refusal, JSON alone on standard output, no half-written files."""

import contextlib
import csv
import io
import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from TARECOMETLib.cli.main import main
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.image_files import read_image, write_image
from TARECOMETLib.imaging.volume import Volume


def run(*words):
    """Exit code, standard output and standard error of one call."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            return stop.code, out.getvalue(), err.getvalue()
    raise AssertionError("main() must exit")


class CommandTestCase(unittest.TestCase):
    def setUp(self):
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def assert_refused(self, words, *parts):
        """Exit 2, one line on standard error with every part, nothing on standard output."""
        code, out, err = run(*words)
        self.assertEqual((code, out), (2, ""), err)
        self.assertEqual(err.count("\n"), 1, err)
        for part in parts:
            self.assertIn(part, err)
        self.assertNotIn("Traceback", err)

    def image(self, name, array, spacing=(4.0, 4.0, 3.0), origin=(0.0, 0.0, 0.0)):
        geometry = VolumeGeometry.from_components(array.shape, spacing_mm=spacing, origin_lps_mm=origin)
        write_image(self.folder / name, Volume(array, geometry))
        return self.folder / name


class TestKernel(CommandTestCase):
    def test_json_is_all_there_is_on_standard_output_and_keeps_the_contract(self):
        code, out, _ = run("kernel", "--spacing-mm", 4, 4, 3, "--medium", "water", "--json")
        document = json.loads(out)
        self.assertEqual(code, 0)
        self.assertEqual(
            (document["spacing_mm"], document["medium"], document["density_g_ml"]), ([4, 4, 3], "water", 1.0)
        )
        value = {(s["i"], s["j"], s["k"]): s["mgy_per_mbq_s"] for s in document["s_values"]}
        # Direct Monte Carlo with penRed, 4 x 4 x 3 mm in water (KERNELS.md 3c): 1.0505, sigma 0.18 %; bar 0.5 %.
        self.assertAlmostEqual(value[0, 0, 0] / 1.0505, 1.0, delta=0.005)
        # i runs along x: the neighbor along the 3 mm edge is hotter than the one along the 4 mm edge.
        self.assertGreater(value[0, 0, 1], value[1, 0, 0])

    def test_sum_of_the_whole_kernel_is_the_energy_fraction(self):
        _, out, _ = run("kernel", "--spacing-mm", 3, 3, 3, "--json")
        document = json.loads(out)
        mass_kg = 27e-6 * document["density_g_ml"]
        joule_per_mbq_s = document["mean_energy_mev"] * 1.602176634e-13 * 1e6
        total = sum(
            s["mgy_per_mbq_s"] * 1e-3 * mass_kg / joule_per_mbq_s * 2 ** sum(s[axis] > 0 for axis in "ijk")
            for s in document["s_values"]
        )
        self.assertAlmostEqual(total, document["energy_fraction"], delta=1e-4)

    def test_bad_values_are_refused_in_one_line(self):
        self.assert_refused(["kernel", "--spacing-mm", 4, 4, 300], "voxel spacing", "300")
        self.assert_refused(["kernel", "--spacing-mm", 4, 4, -3], "voxel spacing")
        self.assert_refused(["kernel", "--spacing-mm", 4, 4, 3, "--medium", "bone"], "bone", "water, soft-tissue, lung")
        self.assert_refused(["kernel", "--spacing-mm", 4, 4, 3, "--density-g-ml", 0], "density")
        self.assert_refused(["kernel", "--spacing-mm", 4, 4], "--spacing-mm")

    def test_the_kernel_is_written_with_its_middle_at_the_origin(self):
        path = self.folder / "k.nrrd"
        run("kernel", "--spacing-mm", 4, 4, 3, "--out", path)
        volume = read_image(path)
        middle = tuple(n // 2 for n in volume.array.shape)
        self.assertEqual(volume.array.max(), volume.array[middle])
        self.assertTrue(np.allclose(volume.geometry.ijk_to_lps @ [*middle[::-1], 1.0], [0, 0, 0, 1], atol=1e-6))


class TestDose(CommandTestCase):
    def test_local_deposition_is_a_plain_product(self):
        concentration = np.random.default_rng(3).random((6, 7, 8)) * 1e6
        activity = self.image("a.nrrd", concentration)
        code, out, _ = run(
            "dose", activity, "--units", "Bq/mL", "--method", "local", "--out", self.folder / "d.nrrd", "--json"
        )
        self.assertEqual(code, 0)
        # D = K C / rho: 49.67 Gy kg/GBq = 49.67e-6 Gy g/Bq x Bq/mL / (1.05 g/mL); float32 output.
        expected = 49.67e-6 * concentration / 1.05
        self.assertTrue(np.allclose(read_image(self.folder / "d.nrrd").array, expected, rtol=1e-6))
        self.assertAlmostEqual(json.loads(out)["total_activity_mbq"], concentration.sum() * 0.048 * 1e-6, delta=1e-6)

    def test_uniform_activity_gives_the_kernels_energy_fraction_of_the_local_dose(self):
        activity = self.image("a.nrrd", np.full((31, 25, 25), 1e6))
        _, out, _ = run(
            "dose", activity, "--units", "Bq/mL", "--method", "kernel", "--out", self.folder / "d.nrrd", "--json"
        )
        middle = read_image(self.folder / "d.nrrd").array[15, 12, 12]
        self.assertAlmostEqual(middle / (49.67 / 1.05), json.loads(out)["kernel_energy_fraction"], delta=1e-4)

    def test_nan_unknown_units_missing_and_corrupt_files_are_refused_and_leave_nothing(self):
        array = np.ones((4, 4, 4))
        good = self.image("good.nrrd", array)
        array[1, 2, 3] = np.nan
        bad = self.image("nan.nrrd", array)
        out = self.folder / "d.nrrd"
        self.assert_refused(["dose", bad, "--units", "Bq/mL", "--out", out], "1 of 64", "nan.nrrd")
        self.assert_refused(["dose", good, "--units", "SUV", "--out", out], "SUV")
        self.assert_refused(["dose", good, "--units", "Bq/mL", "--method", "guess", "--out", out], "guess")
        self.assert_refused(["dose", self.folder / "none.nrrd", "--units", "Bq/mL", "--out", out], "none.nrrd")
        (self.folder / "half.nrrd").write_bytes(good.read_bytes()[: len(good.read_bytes()) // 2])
        self.assert_refused(["dose", self.folder / "half.nrrd", "--units", "Bq/mL", "--out", out], "half.nrrd")
        self.assert_refused(["dose", good, "--units", "Bq/mL", "--out", self.folder / "d.txt"], "d.txt")
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["good.nrrd", "half.nrrd", "nan.nrrd"])


class TestDvh(CommandTestCase):
    def test_metrics_are_those_of_the_voxels(self):
        dose = np.random.default_rng(4).gamma(4.0, 20.0, (10, 12, 14))
        mask = np.zeros(dose.shape, np.uint8)
        mask[2:8, 3:9, 4:10] = 1
        path = self.image("dose.nrrd", dose)
        contour = self.image("tumour.nrrd", mask)
        _, out, _ = run("dvh", path, contour, "--json", "--out", self.folder / "curves.csv")
        entry = json.loads(out)["contours"][0]
        inside = dose[mask > 0]
        self.assertAlmostEqual(entry["mean_gy"], inside.mean(), places=9)
        self.assertAlmostEqual(entry["v_percent"]["100"], 100.0 * np.mean(inside >= 100.0), places=9)
        # D50 is the dose of a voxel: half of the 216 sorted voxels reach it.
        self.assertAlmostEqual(entry["d_gy"]["50"], np.sort(inside)[::-1][107], places=9)
        rows = list(csv.DictReader((self.folder / "curves.csv").open()))
        self.assertEqual(float(rows[0]["volume_percent"]), 100.0)

    def test_a_small_lesion_on_another_grid_has_finite_metrics_and_a_warning(self):
        dose = self.image("dose.nrrd", np.full((10, 10, 10), 120.0), (4.0, 4.0, 4.0))
        mask = np.zeros((20, 20, 20), np.uint8)
        mask[9:14, 9:14, 9:14] = 1  # 125 voxels of 1.331 mm edge: 0.295 mL, at 4.5 voxels of the dose grid
        lesion = self.image("lesion.nrrd", mask, (1.331, 1.331, 1.331), (5.0, 5.0, 5.0))
        _, out, _ = run("dvh", dose, lesion, "--json")
        entry = json.loads(out)["contours"][0]
        self.assertAlmostEqual(entry["volume_ml"], 125 * 1.331**3 / 1000.0, places=6)
        for value in (entry["mean_gy"], entry["d_gy"]["98"], entry["d_gy"]["2"]):
            self.assertAlmostEqual(value, 120.0, places=6)
        self.assertEqual(len(entry["warnings"]), 1)

    def test_bed_stands_beside_the_dose_in_figures_and_curves(self):
        dose = self.image("uniform.nrrd", np.full((6, 6, 6), 100.0, dtype=np.float32))
        lesion = self.image("lesion.nrrd", np.ones((6, 6, 6), dtype=np.uint8))
        words = ("dvh", dose, lesion, "--bed", 10, 1.5, "--alpha-per-gy", 0.05, "--constants", "MIRD 49.67")
        code, out, err = run(*words, "--json", "--out", self.folder / "curves.csv")
        self.assertEqual(code, 0, err)
        metrics = json.loads(out)["contours"][0]
        # 100 (1 + 100 * 1.5 / ((1.5 + 64.2) * 10)) by hand; a uniform dose is its own equivalent.
        bed = 100.0 + 15000.0 / 657.0
        for key, expected in (
            ("bed_gy", bed),
            ("eqd2_gy", bed / 1.2),
            ("eubed_gy", bed),
            ("survival_eud_gy", 100.0),
        ):
            self.assertAlmostEqual(metrics[key], expected, delta=1e-9)
        self.assertAlmostEqual(metrics["bed_d_gy"]["95"], bed, delta=1e-9)
        rows = list(csv.DictReader((self.folder / "curves.csv").read_text().splitlines()))
        self.assertAlmostEqual(float(rows[-1]["bed_gy"]), bed, delta=1e-3)
        code, out, _ = run(*words)
        self.assertIn("EQD2 Gy", out)
        # A second treatment of the same dose: twice the BED; on the same day, that of 200 Gy, by hand.
        second = (*words, "--second-dose", dose, "--json")
        for gap, expected in (((), 2.0 * bed), (("--gap-h", 0), 200.0 + 4.0 * 15000.0 / 657.0)):
            both = json.loads(run(*second, *gap)[1])["contours"][0]["both_bed_gy"]
            self.assertAlmostEqual(both, expected, delta=1e-4)
        other = self.image("other.nrrd", np.full((6, 6, 5), 100.0, dtype=np.float32))
        self.assert_refused([*words, "--second-dose", other], "other.nrrd")
        self.assert_refused(["dvh", dose, lesion, "--second-dose", dose], "--bed")
        self.assert_refused([*words, "--gap-h", 24], "--second-dose")
        self.assert_refused([*words, "--second-dose", dose, "--gap-h", -1], "gap between treatments")

    def test_bed_and_eud_are_given_when_their_parameters_are(self):
        dose = self.image("dose.nrrd", np.full((4, 4, 4), 100.0))
        contour = self.image("t.nrrd", np.ones((4, 4, 4), np.uint8))
        words = [
            "dvh",
            dose,
            contour,
            "--alpha-beta-gy",
            10,
            "--repair-half-time-h",
            1.5,
            "--eud-exponent",
            -10,
            "--json",
        ]
        _, out, _ = run(*words, "--constants", "ICRP 107")
        entry = json.loads(out)["contours"][0]
        self.assertAlmostEqual(entry["bed_gy"], 122.87, delta=0.005)  # FACTS 4.2: 64.1 h, alpha/beta 10, 1.5 h
        self.assertAlmostEqual(entry["eud_gy"], 100.0, places=9)
        self.assert_refused(["dvh", dose, contour, "--alpha-beta-gy", 10], "BED")
        self.assert_refused(["dvh", dose, contour, "--bed", 0, 1.5], "alpha/beta", "more than 0")
        self.assert_refused(["dvh", dose, contour, "--bed", 10, 1.5, "--alpha-beta-gy", 10], "twice")
        self.assert_refused(["dvh", dose, contour, "--alpha-per-gy", 0.1], "--bed")
        self.assert_refused(["dvh", dose, contour, "--bed", 10, 1.5, "--alpha-per-gy", 0], "alpha")

    def test_contours_that_are_empty_or_elsewhere_are_refused(self):
        dose = self.image("dose.nrrd", np.full((6, 6, 6), 50.0))
        empty = self.image("empty.nrrd", np.zeros((6, 6, 6), np.uint8))
        away = self.image("away.nrrd", np.ones((6, 6, 6), np.uint8), origin=(500.0, 0.0, 0.0))
        self.assert_refused(["dvh", dose, empty], "empty")
        self.assert_refused(["dvh", dose, away], "away", "outside the dose map")


class TestCase(CommandTestCase):
    def test_folders_without_images_and_cases_that_are_not_there_are_refused(self):
        self.assert_refused(["case", "new", self.folder, "--out", self.folder / "c"], "no image found")
        self.assert_refused(["case", "new", self.folder / "none", "--out", self.folder / "c"], "no such folder")
        self.assert_refused(["case", "run", self.folder], "there is no case here")
        (self.folder / "case.json").write_text("{")
        self.assert_refused(["case", "run", self.folder], "case.json", "not valid JSON")
        self.assertEqual([p.name for p in self.folder.iterdir()], ["case.json"])

    def test_an_error_is_an_object_on_standard_output_where_json_was_asked_for(self):
        code, out, err = run("case", "run", self.folder, "--json")
        self.assertEqual(code, 2)
        self.assertEqual(json.loads(out)["error"]["code"], "no-file")
        self.assertEqual(err.count("\n"), 1)


class TestMain(CommandTestCase):
    def test_unknown_words_are_refused_in_one_line(self):
        self.assert_refused(["nonsense"], "nonsense")
        self.assert_refused(["kernel", "--nonsense"], "--nonsense")

    def test_verify_passes(self):
        code, out, _ = run("verify", "--json")
        document = json.loads(out)
        self.assertEqual((code, document["failed"]), (0, 0))
        self.assertGreater(document["passed"], 30)


if __name__ == "__main__":
    unittest.main()
