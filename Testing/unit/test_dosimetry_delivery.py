"""Vial, residual, lung shunt and lung dose against hand calculations."""

import unittest

import numpy as np
from dicom_support import RefusalMixin

from TARECOMETLib.dosimetry.delivery import (
    VialAssay,
    WasteMeasurement,
    delivered_share,
    residual_share,
    vial_at_injection_mbq,
)
from TARECOMETLib.dosimetry.lung_shunt import (
    PlanarShunt,
    RegionCounts,
    lung_dose,
    lung_mass_by_ct_g,
    planar_lung_shunt,
    spect_lung_shunt,
)
from TARECOMETLib.physics.nuclides import constants_set

CONSTANTS = constants_set()


class TestTheVial(RefusalMixin, unittest.TestCase):
    def test_is_brought_to_the_injection_by_decay_and_calibration(self):
        # FACTS: exp(-ln2 24 / 64.2) = 0.77173 (64.1: 0.77142); 3000 MBq * 0.98 * decay.
        decay = 2.0 ** (-24.0 / CONSTANTS.half_life_h)
        self.assertAlmostEqual(decay, 0.7715, delta=3e-4)
        assay = VialAssay(3000.0, "2026-03-09T11:20:00", 0.98)
        self.assertAlmostEqual(vial_at_injection_mbq(assay, 24.0, CONSTANTS), 2940.0 * decay, places=9)
        self.assertAlmostEqual(vial_at_injection_mbq(assay, -24.0, CONSTANTS), 2940.0 / decay, places=9)

    def test_without_activity_is_refused(self):
        for values in ((0.0, 1.0), (-3.0, 1.0), (10.0, 0.0), (float("nan"), 1.0)):
            self.assert_refused(lambda v=values: VialAssay(v[0], "t", v[1]), "positive", code="assay")


class TestTheResidual(RefusalMixin, unittest.TestCase):
    def test_is_the_ratio_of_net_dose_rates(self):
        # (0.30 - 0.10) / (10.10 - 0.10) = 2 %.
        waste = WasteMeasurement(10.10, 0.30, 0.10)
        self.assertAlmostEqual(residual_share(waste, CONSTANTS), 0.02, places=12)
        self.assertAlmostEqual(delivered_share(waste, CONSTANTS), 0.98, places=12)

    def test_undoes_the_decay_between_the_readings(self):
        # A jar read one half-life later holds twice what its rate says.
        waste = WasteMeasurement(10.0, 0.2, 0.0, CONSTANTS.half_life_h)
        self.assertAlmostEqual(residual_share(waste, CONSTANTS), 0.04, places=12)

    def test_of_a_jar_below_background_is_nothing(self):
        self.assertEqual(residual_share(WasteMeasurement(10.0, 0.05, 0.1), CONSTANTS), 0.0)

    def test_that_cannot_be_is_refused(self):
        self.assert_refused(lambda: WasteMeasurement(0.1, 0.0, 0.2), "background", code="waste")
        self.assert_refused(lambda: residual_share(WasteMeasurement(1.0, 2.0), CONSTANTS), "200 %", code="waste")
        self.assert_refused(lambda: WasteMeasurement(1.0, -0.1), "at least 0", code="waste")


class TestTheLungShunt(RefusalMixin, unittest.TestCase):
    def test_of_planar_views_is_by_geometric_mean_less_background(self):
        # Lungs sqrt(40 * 90) = 60 k, liver sqrt(1600 * 900) = 1200 k: 60 / 1260.
        lungs, liver = RegionCounts(40e3, 90e3, 2000), RegionCounts(1600e3, 900e3, 1000)
        self.assertAlmostEqual(planar_lung_shunt(PlanarShunt(lungs, liver)), 60.0 / 1260.0, places=12)
        # Background 5 and 10 a pixel: lungs (30, 70) k, liver (1595, 890) k.
        background = RegionCounts(500.0, 1000.0, 100)
        expected = np.sqrt(30.0 * 70.0) / (np.sqrt(30.0 * 70.0) + np.sqrt(1595.0 * 890.0))
        self.assertAlmostEqual(planar_lung_shunt(PlanarShunt(lungs, liver, background)), expected, places=12)

    def test_below_background_is_zero_and_without_liver_is_refused(self):
        background = RegionCounts(500.0, 1000.0, 100)
        empty = RegionCounts(1e3, 1e3, 2000)
        self.assertEqual(planar_lung_shunt(PlanarShunt(empty, RegionCounts(1e6, 1e6, 1000), background)), 0.0)
        self.assert_refused(lambda: planar_lung_shunt(PlanarShunt(empty, empty, background)), "no counts")
        bare = RegionCounts(1e6, 1e6)
        self.assert_refused(lambda: planar_lung_shunt(PlanarShunt(bare, bare, background)), "pixels")

    def test_of_spect_is_lungs_over_both(self):
        self.assertAlmostEqual(spect_lung_shunt(5.0, 95.0), 0.05, places=12)
        self.assert_refused(lambda: spect_lung_shunt(5.0, 0.0), "no counts", code="lung-shunt")

    def test_mass_is_by_ct_number(self):
        # 1000 voxels of 1 mL at -700 HU: 300 g; one at -1000 counts 0.05, one of bone 1.2.
        self.assertAlmostEqual(lung_mass_by_ct_g(np.full(1000, -700.0), 1.0), 300.0, places=9)
        self.assertAlmostEqual(lung_mass_by_ct_g(np.array([-1000.0, 900.0]), 2.0), 2.5, places=9)


class TestTheLungDose(RefusalMixin, unittest.TestCase):
    def test_is_k_times_activity_over_mass(self):
        # FACTS: 0.61 GBq in 1 kg is 30.30 Gy for K 49.67; worked example (c): 150 MBq in 1 kg 7.4505 Gy.
        self.assertAlmostEqual(lung_dose(610.0, 1000.0, CONSTANTS).treatment_gy, 30.30, delta=0.005)
        self.assertAlmostEqual(lung_dose(150.0, 1000.0, CONSTANTS).treatment_gy, 7.4505, places=9)

    def test_adds_earlier_treatments_and_says_which_limits_are_exceeded(self):
        dose = lung_dose(600.0, 1000.0, CONSTANTS, (20.0, 5.0))
        self.assertAlmostEqual(dose.cumulative_gy, 29.802 + 25.0, places=6)
        self.assertEqual(len(dose.exceeded), 1)
        self.assertIn("54.8 Gy over all treatments", dose.exceeded[0])
        self.assertEqual(len(lung_dose(620.0, 1000.0, CONSTANTS).exceeded), 2)
        self.assertEqual(lung_dose(500.0, 1000.0, CONSTANTS, (20.0,)).exceeded, ())
        self.assert_refused(lambda: lung_dose(1.0, 0.0, CONSTANTS), "mass", code="lung-mass")


if __name__ == "__main__":
    unittest.main()
