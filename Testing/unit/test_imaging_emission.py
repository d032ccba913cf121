"""What emission headers say, and the activity concentration that follows: hand calculations and reference objects."""

import math
import tempfile
import unittest
from datetime import datetime
from pathlib import Path

import numpy as np
from dicom_support import NO_SHARED, SHARED, RefusalMixin, edit_all, only_series, pet_folder, ramp, set_drug, set_tags
from pydicom import Dataset
from pydicom.sequence import Sequence

from TARECOMETLib.imaging.dicom_series import read_series, scan_dicom
from TARECOMETLib.imaging.dicom_time import administration_datetime, join_date_time, parse_datetime
from TARECOMETLib.imaging.emission import (
    EmissionFacts,
    concentration_factor,
    hours_between,
    negative_share,
    require_nuclide_half_life,
)
from TARECOMETLib.imaging.emission_header import emission_facts

Y90_H = 64.1
REFERENCE_OBJECTS = SHARED / "data" / "dicom-pet-reference-objects"


def pet_header(drug=None, **tags):
    """Header of a 90Y PET scanned 21 h after its injection; None takes an attribute away."""
    item, header = Dataset(), Dataset()
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "14691008", "SCT", "^90^Yttrium"
    values = {
        "Radiopharmaceutical": "90Y glass",
        "RadiopharmaceuticalStartDateTime": "20260414110500",
        "RadionuclideTotalDose": "1500000000",
        "RadionuclideHalfLife": f"{Y90_H * 3600.0:g}",
        "RadionuclideCodeSequence": Sequence([code]),
    } | (drug or {})
    set_tags(**values)(item)
    values = {
        "Modality": "PT",
        "Units": "BQML",
        "DecayCorrection": "START",
        "SeriesDate": "20260415",
        "SeriesTime": "080500",
        "AcquisitionDate": "20260415",
        "AcquisitionTime": "080500",
        "ActualFrameDuration": "1200000",
        "PatientWeight": "60",
        "SeriesDescription": "PET",
        "RadiopharmaceuticalInformationSequence": Sequence([item]),
    } | tags
    set_tags(**values)(header)
    return header


def facts_of(drug=None, **tags):
    return emission_facts([pet_header(drug, **tags)])


class TestTimesInHeaders(unittest.TestCase):
    def test_of_day_may_stop_at_hours_or_minutes(self):
        # PS3.5 table 6.2-1: TM is HH, HHMM, HHMMSS or HHMMSS.F; digits are never dealt out otherwise.
        for clock, expected in (
            ("10", (10, 0, 0, 0)),
            ("1040", (10, 40, 0, 0)),
            ("104059", (10, 40, 59, 0)),
            ("104059.5", (10, 40, 59, 500000)),
            ("104059.123456", (10, 40, 59, 123456)),
            ("104059.1234567", (10, 40, 59, 123456)),
            ("10:40:59", (10, 40, 59, 0)),
            ("235960", (23, 59, 59, 0)),
        ):
            with self.subTest(clock):
                self.assertEqual(join_date_time("20260415", clock), datetime(2026, 4, 15, *expected))

    def test_may_have_a_utc_offset_which_is_left_off(self):
        for text in ("20260415104059.5+0100", "20260415104059.5-0500", "20260415104059.5"):
            self.assertEqual(parse_datetime(text), datetime(2026, 4, 15, 10, 40, 59, 500000))

    def test_that_are_no_times_are_not_known(self):
        for text in (None, "", "20260415", "20261301120000", "2026041525", "yesterday", "2026-04-15T10:40:59", b"\xff"):
            with self.subTest(text):
                self.assertIsNone(parse_datetime(text))
        self.assertIsNone(join_date_time("20260415", ""))
        self.assertIsNone(join_date_time("", "1040"))

    def test_of_administration_without_a_date_are_the_last_before_the_scan(self):
        scan = datetime(2026, 4, 15, 8, 5)
        for clock, expected in (
            ("070000", datetime(2026, 4, 15, 7, 0)),
            ("235900", datetime(2026, 4, 14, 23, 59)),  # over midnight
            ("080500", datetime(2026, 4, 15, 8, 5)),
        ):
            item = Dataset()
            item.RadiopharmaceuticalStartTime = clock
            self.assertEqual(administration_datetime(item, scan), expected)

    def test_of_administration_count_by_their_date_where_it_is_given(self):
        item = Dataset()
        item.RadiopharmaceuticalStartTime = "070000"
        item.RadiopharmaceuticalStartDateTime = "20260413110500"
        self.assertEqual(administration_datetime(item, datetime(2026, 4, 15, 8, 5)), datetime(2026, 4, 13, 11, 5))
        item.RadiopharmaceuticalStartDateTime = "20260413"
        self.assertEqual(administration_datetime(item, datetime(2026, 4, 15, 8, 5)), datetime(2026, 4, 13, 7, 0))


class TestFacts(unittest.TestCase):
    def test_are_taken_from_a_whole_header(self):
        facts = facts_of()
        self.assertEqual(
            facts,
            EmissionFacts(
                "Bq/mL", "START", "2026-04-15T08:05:00", "2026-04-14T11:05:00", Y90_H, 1200.0, "Y-90", 1500.0, 60.0
            ),
        )

    def test_of_a_reprocessed_series_start_at_its_first_acquisition(self):
        # The series' time is that of the reconstruction here, 15 h late: 1.17 times the activity.
        self.assertEqual(facts_of(SeriesTime="230500").scan_start, "2026-04-15T08:05:00")

    def test_of_several_beds_start_with_the_series_or_the_first_bed(self):
        headers = [pet_header(AcquisitionTime=clock) for clock in ("083500", "080600", "082000")]
        self.assertEqual(emission_facts(headers).scan_start, "2026-04-15T08:05:00")
        for header in headers:
            header.SeriesTime = "090000"
        self.assertEqual(emission_facts(headers).scan_start, "2026-04-15T08:06:00")

    def test_may_have_their_time_in_one_attribute(self):
        facts = facts_of(
            SeriesDate=None,
            SeriesTime=None,
            AcquisitionDate=None,
            AcquisitionTime=None,
            AcquisitionDateTime="20260415080500",
        )
        self.assertEqual(facts.scan_start, "2026-04-15T08:05:00")

    def test_without_any_time_have_no_start(self):
        facts = facts_of(SeriesDate=None, SeriesTime=None, AcquisitionDate=None, AcquisitionTime=None)
        self.assertIsNone(facts.scan_start)

    def test_leave_out_what_is_zero_negative_or_no_number(self):
        facts = facts_of(
            {"RadionuclideHalfLife": "0", "RadionuclideTotalDose": "-5"}, ActualFrameDuration="0", PatientWeight="0"
        )
        self.assertEqual(
            (facts.half_life_h, facts.administered_mbq, facts.frame_duration_s, facts.patient_weight_kg), (None,) * 4
        )

    def test_of_a_spect_without_units_are_counts(self):
        self.assertEqual(facts_of(Modality="NM", Units=None).units, "counts")
        self.assertEqual(facts_of(Modality="NM", Units="BQML").units, "Bq/mL")
        # PS3.3 C.8.4.10: RadionuclideTotalDose is in MBq in NM, in Bq in PET.
        self.assertEqual(facts_of({"RadionuclideTotalDose": "150"}, Modality="NM").administered_mbq, 150.0)

    def test_without_a_radiopharmaceutical_are_only_what_is_known(self):
        facts = facts_of(RadiopharmaceuticalInformationSequence=None)
        self.assertEqual((facts.units, facts.half_life_h, facts.radionuclide), ("Bq/mL", None, None))

    def test_read_vendors_private_scales(self):
        header = pet_header(Units="CNTS")
        block = header.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x09, "DS", "2.5")
        self.assertEqual((emission_facts([header]).units, emission_facts([header]).scale), ("Bq/mL", 2.5))
        header = pet_header()
        header.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20260415080000")
        self.assertEqual(emission_facts([header]).scan_start, "2026-04-15T08:00:00")


class TestTheNuclide(unittest.TestCase):
    def named(self, code="", meaning="", drug="", half_life="", description=""):
        item = Dataset()
        item.CodeValue, item.CodeMeaning = code, meaning
        return facts_of(
            {
                "RadionuclideCodeSequence": Sequence([item]) if code or meaning else None,
                "Radiopharmaceutical": drug or None,
                "RadionuclideHalfLife": half_life or None,
            },
            SeriesDescription=description,
        ).radionuclide

    def test_is_known_by_its_code(self):
        # SNOMED CT and SRT codes of PS3.16 CID 4020 and CID 18.
        for code, expected in (
            ("14691008", "Y-90"),
            ("C-145A4", "Y-90"),
            ("72454006", "Tc-99m"),
            ("C-163A8", "Tc-99m"),
        ):
            self.assertEqual(self.named(code=code), expected)

    def test_is_known_by_its_meaning_or_by_words(self):
        self.assertEqual(self.named(meaning="^90^Yttrium"), "Y-90")
        self.assertEqual(self.named(meaning="Technetium Tc-99m"), "Tc-99m")
        self.assertEqual(self.named(drug="Y90 SIR-Spheres"), "Y-90")
        self.assertEqual(self.named(description="Y-90 PET liver"), "Y-90")
        self.assertEqual(self.named(description="SPECT MAA AC"), "Tc-99m")

    def test_is_known_by_its_half_life_where_nothing_else_is_said(self):
        self.assertEqual(self.named(half_life="230760"), "Y-90")
        self.assertEqual(self.named(half_life="21624"), "Tc-99m")

    def test_keeps_the_headers_words_where_it_is_another_one(self):
        self.assertEqual(self.named(code="77004003", meaning="^18^Fluorine", half_life="6586.2"), "^18^Fluorine")
        self.assertIsNone(self.named())


class TestConcentrationAtScanStart(RefusalMixin, unittest.TestCase):
    """21 h from injection to scan; half-life 64.1 h, so exp(-ln2 21 / 64.1) = 0.79687."""

    def factor(self, **changes):
        values = {
            "units": "Bq/mL",
            "decay_correction": "START",
            "scan_start": "2026-04-15T08:05:00",
            "administration_time": "2026-04-14T11:05:00",
            "half_life_h": Y90_H,
            "frame_duration_s": 1200.0,
            "administered_mbq": 1500.0,
            "patient_weight_kg": 60.0,
        }
        return concentration_factor(EmissionFacts(**(values | changes)), 64.2, "y90_pet")

    def test_is_the_value_itself_under_start(self):
        self.assertEqual(self.factor(), 1.0)

    def test_is_decayed_from_administration_under_admin(self):
        # 2 ** (-21 / 64.1) by hand: ln = -0.227084, exp = 0.796853.
        self.assertAlmostEqual(self.factor(decay_correction="ADMIN"), 0.796853, places=5)
        # The scanner's own half-life is undone, not the case's.
        self.assertAlmostEqual(
            self.factor(decay_correction="ADMIN", half_life_h=60.0), 2.0 ** (-21.0 / 60.0), places=12
        )
        self.assertAlmostEqual(
            self.factor(decay_correction="ADMIN", half_life_h=None), 2.0 ** (-21.0 / 64.2), places=12
        )

    def test_is_brought_from_the_frames_mean_to_its_start_under_none(self):
        # Mean over a frame T: (1 - exp(-x)) / x with x = ln2 T / half-life = 0.0036045; inverse 1 + x/2 + x^2/12.
        x = math.log(2.0) * (1200.0 / 3600.0) / Y90_H
        self.assertAlmostEqual(self.factor(decay_correction="NONE"), 1.0 + x / 2.0 + x**2 / 12.0, places=9)
        # A frame as long as a half-life: mean 0.5 / ln2 of the start.
        self.assertAlmostEqual(
            self.factor(decay_correction="NONE", frame_duration_s=Y90_H * 3600.0), 2.0 * math.log(2.0), places=9
        )

    def test_follows_from_suv_by_dose_and_weight_under_start_and_admin(self):
        # SUVbw = C / (decayed dose / weight): 1500 MBq 0.796853 / 60000 g = 19921.3 Bq/mL at SUV 1.
        for correction in ("START", "ADMIN"):
            got = self.factor(units="SUVbw (g/mL)", decay_correction=correction)
            self.assertAlmostEqual(got, 1500.0e6 * 2.0 ** (-21.0 / Y90_H) / 60000.0, places=6)

    def test_is_refused_in_units_that_tags_cannot_convert(self):
        for units in ("counts", "CPS", "PROPCPS", "SUVlbm", "CM2ML", None):
            with self.subTest(units):
                self.assert_refused(lambda u=units: self.factor(units=u), "y90_pet", "Bq/mL", code="units")
        self.factor(units="Bq/mL")

    def test_is_refused_as_suv_without_weight_dose_or_a_known_decay_correction(self):
        for lacking in ("patient_weight_kg", "administered_mbq"):
            self.assert_refused(lambda n=lacking: self.factor(units="SUVbw (g/mL)", **{n: None}), "SUV", code="units")
        self.assert_refused(lambda: self.factor(units="SUVbw (g/mL)", decay_correction="NONE"), "NONE", code="units")
        self.factor(units="SUVbw (g/mL)")

    def test_is_refused_without_the_times_it_needs(self):
        self.assert_refused(lambda: self.factor(scan_start=None), "scan_start", code="time")
        self.assert_refused(
            lambda: self.factor(decay_correction="ADMIN", administration_time=None), "administration_time"
        )
        self.factor(administration_time=None)
        self.assert_refused(lambda: self.factor(decay_correction="NONE", frame_duration_s=None), "frame duration")
        self.factor(frame_duration_s=None)

    def test_is_refused_where_the_administration_lies_after_the_scan(self):
        late = "2026-04-15T08:06:00"
        self.assert_refused(lambda: self.factor(decay_correction="ADMIN", administration_time=late), code="dates")
        at_once = self.factor(decay_correction="ADMIN", administration_time="2026-04-15T08:05:00")
        self.assertEqual(at_once, 1.0)

    def test_is_refused_under_a_decay_correction_of_no_known_name(self):
        for word in (None, "SCAN"):
            self.assert_refused(lambda w=word: self.factor(decay_correction=w), code="decay-correction")


class TestTheScannersHalfLife(RefusalMixin, unittest.TestCase):
    def test_of_another_nuclide_is_refused_and_of_90y_or_unknown_passes(self):
        for hours in (109.77 / 60.0, 67.71 / 60.0, 6.0, 64.1 * 60.0, 63.3, 64.9):
            facts = EmissionFacts(half_life_h=hours)
            self.assert_refused(
                lambda f=facts: require_nuclide_half_life(f, "Y-90", "y90_pet"),
                "half-life",
                "Y-90",
                code="wrong-half-life",
            )
        # Half-lives that scanners and constants sets use for 90Y.
        for hours in (64.0, 64.05, 64.1, 64.2, 230400.0 / 3600.0, None):
            require_nuclide_half_life(EmissionFacts(half_life_h=hours), "Y-90", "y90_pet")


class TestFactsWrittenByAPerson(RefusalMixin, unittest.TestCase):
    def test_are_refused_where_times_or_numbers_cannot_be(self):
        for field, bad, good in (
            ("scan_start", "15.4.2026 8:05", "2026-04-15T08:05:00"),
            ("scan_start", "2026-04-15", "2026-04-15 08:05"),
            ("scan_start", "2026-04-15T08:05:00+02:00", "2026-04-15T08:05:00"),
            ("administration_time", "", "2026-04-15T08:05"),
            ("half_life_h", 0.0, 64.1),
            ("half_life_h", math.nan, 64.1),
            ("frame_duration_s", -1.0, 1.0),
            ("administered_mbq", math.inf, 1.0),
            ("patient_weight_kg", -60.0, 60.0),
        ):
            with self.subTest(field=field, bad=bad):
                self.assert_refused(lambda f=field, b=bad: EmissionFacts(**{f: b}), "emission")
                EmissionFacts(**{field: good})

    def test_hours_between_times_are_signed(self):
        self.assertEqual(hours_between("2026-04-14T11:05:00", "2026-04-15T08:05:00"), 21.0)
        self.assertEqual(hours_between("2026-04-15T08:05:00", "2026-04-14T11:05:00"), -21.0)


class TestNegativeVoxels(unittest.TestCase):
    def test_are_counted_and_weighed_against_the_positive_sum(self):
        count, share = negative_share(np.array([[[4.0, -1.0], [6.0, 0.0]]]))
        self.assertEqual((count, share), (1, 0.1))
        self.assertEqual(negative_share(np.zeros((1, 1, 1))), (0, 0.0))


class TestAPetSeriesOnDisk(RefusalMixin, unittest.TestCase):
    """From files to concentration, by the header's convention."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pet_folder(Path(scratch.name) / "pet", ramp((6, 5, 4)))

    def factor(self):
        return concentration_factor(emission_facts(only_series(self.folder).headers), 64.2, "y90_pet")

    def test_over_midnight_with_a_time_of_day_only(self):
        # 14:05 to 08:05 of the next day: 18 h; the written half-life is 64.05 h.
        edit_all(self.folder, set_drug(RadiopharmaceuticalStartDateTime=None))
        edit_all(self.folder, set_tags(DecayCorrection="ADMIN"))
        self.assertAlmostEqual(self.factor(), 2.0 ** (-18.0 / 64.05), places=9)

    def test_in_suv_has_the_concentration_its_dose_and_weight_give(self):
        edit_all(self.folder, set_tags(Units="GML", SUVType="BW"))
        # 1500 MBq at 14:05, 56 kg, 18 h later.
        self.assertAlmostEqual(self.factor() / (1500.0e6 * 2.0 ** (-18.0 / 64.05) / 56000.0), 1.0, places=9)

    def test_in_lean_body_suv_or_counts_is_refused_and_says_so(self):
        edit_all(self.folder, set_tags(Units="GML", SUVType="LBM"))
        self.assert_refused(self.factor, "SUVlbm", code="units")
        edit_all(self.folder, set_tags(Units="PROPCPS"))
        self.assert_refused(self.factor, "PROPCPS", code="units")


@unittest.skipUnless(REFERENCE_OBJECTS.is_dir(), NO_SHARED)
class TestReferenceObjects(RefusalMixin, unittest.TestCase):
    """oncoray/suv_computation (CC BY 4.0): SUV minimum 0.2, median 1.0, maximum 4.0 in every object."""

    DOSE_MBQ, WEIGHT_G, DELAY_H = 368.08, 70000.0, 1.0

    def suv(self, name):
        """Concentration at scan start over the dose decayed to it per gram, from the object's own half-life."""
        series = scan_dicom(sorted((REFERENCE_OBJECTS / name).rglob("*.dcm"))).series
        self.assertEqual(len(series), 1)
        facts = emission_facts(series[0].headers)
        concentration = read_series(series[0]).array * concentration_factor(facts, facts.half_life_h, name)
        decayed = self.DOSE_MBQ * 1e6 * 2.0 ** (-self.DELAY_H / facts.half_life_h)
        return concentration / (decayed / self.WEIGHT_G)

    def test_give_their_suv_by_the_concentration_at_scan_start(self):
        for name in ("DRO_0_0", "DRO_1_0", "DRO_2_0", "DRO_2_1", "DRO_3_0", "DRO_3_1", "DRO_4_0", "DRO_5_0"):
            with self.subTest(name):
                suv = self.suv(name)
                suv = suv[suv > 0.0]  # the object; around it is air
                got = [float(suv.min()), float(np.median(suv)), float(suv.max())]
                # Stored as whole Bq/mL, 717 of them at the minimum: half a step is 0.07 %. In steps of 0.001 SUVlbm
                # (161 at the minimum) it is 0.31 %.
                np.testing.assert_allclose(got, [0.2, 1.0, 4.0], rtol=3.2e-3 if name == "DRO_2_1" else 1.1e-3)

    def test_with_another_nuclide_are_never_taken_for_90y(self):
        series = scan_dicom(sorted((REFERENCE_OBJECTS / "DRO_5_0").rglob("*.dcm"))).series[0]
        facts = emission_facts(series.headers)
        self.assertNotEqual(facts.radionuclide, "Y-90")
        self.assert_refused(lambda: require_nuclide_half_life(facts, "Y-90", "pet"), code="wrong-half-life")


if __name__ == "__main__":
    unittest.main()
