"""The whole family of PET reference objects, those that are not at hand made from those that are.

oncoray/suv_computation (CC BY 4.0) holds 17 objects that must all give SUV minimum 0.2, median 1.0, maximum 4.0 for
368.08 MBq in 70 kg, one hour before the scan. Eight are in ../shared; the others are made here by writing the
conventions their list names into a copy of the first: what DICOM (PS3.3 C.8.9), Philips' and GE's conformance
statements say these attributes mean.
"""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import pydicom
from dicom_support import NO_SHARED, SHARED, RefusalMixin, propose

from TARECOMETLib.case.quantification import quantification
from TARECOMETLib.imaging.dicom_series import read_series, scan_dicom
from TARECOMETLib.imaging.emission import concentration_at_injection_factor, concentration_factor, slice_factors
from TARECOMETLib.imaging.emission_header import emission_facts

OBJECTS = SHARED / "data" / "dicom-pet-reference-objects"
DOSE_BQ, WEIGHT_G, HALF_LIFE_H, HEIGHT_CM = 368.08e6, 70000.0, 6586.2 / 3600.0, 175.0
DECAYED_BQ = DOSE_BQ * 2.0 ** (-1.0 / HALF_LIFE_H)
# DuBois 1916 by hand: 0.007184 * 70^0.425 * 175^0.725 = 1.84810 m2; James 128: 1.10 * 70 - 128 * 0.4^2 = 56.52 kg;
# Janmahasatian: 9270 * 70 / (6680 + 216 * 22.857) = 55.84 kg.
SURFACE_CM2, LEAN_JAMES_G, LEAN_JANMA_G = 18481.0, 56520.0, 55844.0


@unittest.skipUnless(OBJECTS.is_dir(), NO_SHARED)
class TestTheFamily(RefusalMixin, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = [pydicom.dcmread(p) for p in sorted((OBJECTS / "DRO_0_0").rglob("*.dcm"))]

    def written(self, change, scale=None):
        """A folder with the base object changed; ``scale`` writes values times a factor, stored finely."""
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        for number, source in enumerate(self.base):
            dataset = pydicom.dcmread(source.filename)
            if scale is not None:
                factor = scale(number) if callable(scale) else scale
                values = dataset.pixel_array.astype(float) * factor
                slope = max(values.max(), 1e-9) / 32000.0
                dataset.RescaleSlope = f"{slope:.10g}"
                dataset.PixelData = np.rint(values / float(dataset.RescaleSlope)).astype("<i2").tobytes()
            change(dataset, dataset.RadiopharmaceuticalInformationSequence[0], number)
            dataset.save_as(Path(scratch.name) / f"{number:03d}.dcm")
        return Path(scratch.name)

    def suv(self, folder):
        """SUV by the concentration at scan start, and the same by the concentration at injection."""
        series = scan_dicom(sorted(folder.glob("*.dcm"))).series
        self.assertEqual(len(series), 1)
        facts, volume = emission_facts(series[0].headers), read_series(series[0])
        start = volume.array * slice_factors(facts, HALF_LIFE_H, len(volume.array), "pet")
        at_scan = start * concentration_factor(facts, HALF_LIFE_H, "pet")
        at_injection = start * concentration_at_injection_factor(facts, HALF_LIFE_H, "2025-01-01T10:00:00", "pet")
        self.facts = facts
        return at_scan / (DECAYED_BQ / WEIGHT_G), at_injection / (DOSE_BQ / WEIGHT_G)

    def assert_suv(self, folder, rtol=1.5e-3):
        # Stored as whole numbers, 717 Bq/mL at the minimum: half a step is 0.07 %; scaled ones round once more.
        for suv in self.suv(folder):
            inside = suv[suv > 0.05]
            got = [float(inside.min()), float(np.median(inside)), float(inside.max())]
            np.testing.assert_allclose(got, [0.2, 1.0, 4.0], rtol=rtol)

    def to_suv(self, grams=WEIGHT_G):
        return grams / DECAYED_BQ

    def test_as_given(self):
        self.assert_suv(self.written(lambda d, item, n: None))

    def test_gives_both_factors_in_a_new_case(self):
        def admin(dataset, item, number):
            dataset.DecayCorrection = "ADMIN"

        told = quantification(propose(self.written(admin)).case)["y90_pet"]
        self.assertAlmostEqual(told["bq_ml_per_value_at_scan"], 2.0 ** (-1.0 / HALF_LIFE_H), places=9)
        self.assertAlmostEqual(told["bq_ml_per_value_at_injection"], 1.0, places=9)

        def counts(dataset, item, number):
            dataset.Units = "CNTS"

        told = quantification(propose(self.written(counts)).case)["y90_pet"]
        self.assertNotIn("bq_ml_per_value_at_scan", told)
        self.assertIn("counts", told["refused"])

    def test_in_suv_by_body_surface(self):
        def change(dataset, item, number):
            dataset.Units = "CM2ML"

        self.assert_suv(self.written(change, self.to_suv(SURFACE_CM2)))

    def test_in_suv_by_lean_mass(self):
        for kind, grams in (("LBMJAMES128", LEAN_JAMES_G), ("LBMJANMA", LEAN_JANMA_G)):
            for sex in ("M", "F", "O"):
                with self.subTest(kind=kind, sex=sex):

                    def change(dataset, item, number, kind=kind, sex=sex):
                        dataset.Units, dataset.SUVType, dataset.PatientSex = "GML", kind, sex

                    folder = self.written(change, self.to_suv(grams))
                    if sex == "M":
                        self.assert_suv(folder)
                        continue
                    if sex == "O":
                        self.assert_refused(lambda f=folder: self.suv(f), "sex", code="units")
                        continue
                    # A woman's: 1.07 * 70 - 148 * 0.16 = 51.22 kg; 9270 * 70 / (8780 + 244 * 22.857) = 45.199 kg.
                    expected = (51220.0 if kind == "LBMJAMES128" else 45199.0) / grams
                    suv = self.suv(folder)[0]
                    np.testing.assert_allclose(float(np.median(suv[suv > 0.05])) * expected, 1.0, rtol=1.5e-3)

    def test_in_suv_by_ideal_weight_is_refused(self):
        def change(dataset, item, number):
            dataset.Units, dataset.SUVType = "GML", "IBW"

        self.assert_refused(lambda: self.suv(self.written(change)), "SUVibw", code="units")

    def philips(self, element, value, creator=True):
        def change(dataset, item, number):
            dataset.Units, dataset.Manufacturer = "CNTS", "Philips Medical Systems"
            if creator:
                block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
                block.add_new(element, "DS", value(number) if callable(value) else value)
            else:
                dataset.add_new((0x7053, 0x1000 + element), "UN", str(value).encode())

        return change

    def test_in_philips_counts_with_an_suv_or_an_activity_factor(self):
        for creator in (True, False):
            self.assert_suv(self.written(self.philips(0x00, f"{0.5 * self.to_suv():.10g}", creator), 2.0))
            self.assertEqual(self.facts.units, "SUVbw (g/mL)")
            self.assert_suv(self.written(self.philips(0x09, "0.5", creator), 2.0))
            self.assertEqual(self.facts.units, "Bq/mL")

    def test_in_philips_counts_without_a_factor_or_with_varying_ones_is_refused(self):
        for value in ("0", lambda n: f"{1 + n % 2}"):
            folder = self.written(self.philips(0x09, value))
            self.assert_refused(lambda f=folder: self.suv(f), "counts", code="units")

    def test_in_philips_counts_with_factors_that_contradict_is_said(self):
        def change(dataset, item, number):
            self.philips(0x09, "0.5")(dataset, item, number)
            dataset.private_block(0x7053, "Philips PET Private Group").add_new(0x00, "DS", f"{0.1 * self.to_suv():.9g}")

        self.suv(self.written(change, 2.0))
        self.assertIn("vendor-scales-differ", self.facts.remarks)

    def test_with_the_dose_in_mbq_is_said_and_right_in_suv(self):
        def change(dataset, item, number):
            dataset.Units, dataset.SUVType, item.RadionuclideTotalDose = "GML", "BW", "368.08"

        self.assert_suv(self.written(change, self.to_suv()))
        self.assertEqual(self.facts.remarks, ("dose-in-mbq",))

    def test_with_a_series_time_after_the_acquisition(self):
        def change(dataset, item, number):
            dataset.SeriesTime = "153000"

        self.assert_suv(self.written(change))
        self.assertEqual(self.facts.remarks, ("reprocessed-series",))

    def test_reprocessed_with_its_first_bed_missing_starts_where_the_frames_tell(self):
        # Frames from 11:20 on, each with a reference 20 min + 149.6 s after the common start.
        def change(dataset, item, number):
            dataset.SeriesTime, dataset.AcquisitionTime, dataset.FrameReferenceTime = "153000", "112000", "1349600"

        self.assert_suv(self.written(change))
        self.assertEqual(self.facts.remarks, ("reprocessed-series", "first-bed-missing"))

    def test_with_ges_private_time_of_decay_correction(self):
        def change(dataset, item, number):
            dataset.SeriesTime, dataset.Manufacturer = "153000", "GE MEDICAL SYSTEMS"
            dataset.AcquisitionTime = "110500"
            block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
            block.add_new(0x0D, "DT", "20250101110000.00")

        self.assert_suv(self.written(change))
        self.assertEqual(self.facts.remarks, ("vendor-scan-time",))

    def test_without_decay_correction_in_beds_acquired_one_after_the_other(self):
        # Two beds of ten slices, the second 30 min later; a frame of 300 s holds the mean over itself.
        rate = np.log(2.0) / (HALF_LIFE_H * 3600.0)
        mean = -np.expm1(-rate * 300.0) / (rate * 300.0)

        def change(dataset, item, number):
            dataset.DecayCorrection = "NONE"
            dataset.AcquisitionTime = "110000" if number < 10 else "113000"
            dataset.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "RAN"]

        self.assert_suv(self.written(change, lambda n: mean * np.exp(-rate * (0.0 if n < 10 else 1800.0))))
        self.assertEqual(len(self.facts.slice_delay_s), 20)

    def test_with_either_attribute_of_administration_and_over_midnight(self):
        def only_time(dataset, item, number):
            del item.RadiopharmaceuticalStartDateTime
            dataset.DecayCorrection = "ADMIN"

        growth = 2.0 ** (1.0 / HALF_LIFE_H)
        self.assert_suv(self.written(only_time, growth))

        def only_datetime(dataset, item, number):
            del item.RadiopharmaceuticalStartTime
            dataset.DecayCorrection = "ADMIN"

        self.assert_suv(self.written(only_datetime, growth))

    def test_over_midnight(self):
        for full in (True, False):

            def change(dataset, item, number, full=full):
                dataset.DecayCorrection = "ADMIN"
                dataset.SeriesDate = dataset.AcquisitionDate = "20250102"
                dataset.SeriesTime = dataset.AcquisitionTime = "003000"
                item.RadiopharmaceuticalStartTime = "233000"
                item.RadiopharmaceuticalStartDateTime = "20250101233000"
                if not full:
                    del item.RadiopharmaceuticalStartDateTime

            folder = self.written(change, 2.0 ** (1.0 / HALF_LIFE_H))
            series = scan_dicom(sorted(folder.glob("*.dcm"))).series[0]
            facts = emission_facts(series.headers)
            self.assertEqual(facts.administration_time, "2025-01-01T23:30:00")
            values = read_series(series).array * concentration_factor(facts, HALF_LIFE_H, "pet")
            median = float(np.median(values[values > 0.0]))
            np.testing.assert_allclose(median / (DECAYED_BQ / WEIGHT_G), 1.0, rtol=1.5e-3)

    def test_with_administration_attributes_that_differ_is_said(self):
        def change(dataset, item, number):
            item.RadiopharmaceuticalStartTime = "090000"

        self.assert_suv(self.written(change))
        self.assertEqual(self.facts.remarks, ("administration-attributes",))

    def test_without_corrections_is_said(self):
        def change(dataset, item, number):
            dataset.CorrectedImage = ["NORM"]

        self.assert_suv(self.written(change))
        self.assertEqual(self.facts.remarks, ("no-attenuation-correction", "no-scatter-correction", "decay-not-listed"))


if __name__ == "__main__":
    unittest.main()
