"""Expected blur of spheres against a Gaussian convolution in three dimensions."""

from __future__ import annotations

import unittest

import numpy as np
from support import AgreementTestCase, ball_occupancy

from TARECOMETLib.dosimetry.blur import (
    FWHM_PER_SIGMA,
    contrast_before_blur,
    expected_reading,
    is_resolved,
    sphere_diameter_mm,
    sphere_recovery,
)


def blurred_share(volume_ml: float, fwhm_mm: float, edge_mm: float) -> float:
    """Share of a ball's activity that a Gaussian leaves inside it, convolved on a fine grid."""
    from scipy.ndimage import gaussian_filter

    radius = (3.0 * volume_ml * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
    occupancy = ball_occupancy(radius, (edge_mm,) * 3)
    sigma = fwhm_mm / np.sqrt(8.0 * np.log(2.0)) / edge_mm
    padded = np.pad(occupancy, int(np.ceil(sigma * 4.0)))
    blurred = gaussian_filter(padded, sigma, mode="constant", truncate=5.0)
    return float(np.sum(blurred * padded) / occupancy.sum())


class SphereRecoveryTestCase(AgreementTestCase):
    def test_it_is_a_three_dimensional_gaussian_convolution(self) -> None:
        worst = 0.0
        for volume_ml, fwhm_mm in ((0.3, 6.0), (1.0, 6.0), (1.0, 15.0), (4.0, 8.0), (21.0, 10.0), (83.0, 15.0)):
            radius = sphere_diameter_mm(volume_ml) / 2.0
            edge = min(radius / 15.0, fwhm_mm / 8.0)
            found, expected = sphere_recovery(volume_ml, fwhm_mm), blurred_share(volume_ml, fwhm_mm, edge)
            with self.subTest(volume_ml=volume_ml, fwhm_mm=fwhm_mm):
                self.assertAlmostEqual(found, expected, delta=0.003)
            worst = max(worst, abs(found - expected))
        # Voxels of a fifteenth of the radius at the ball's border.
        self.assert_agrees("Recovery of blurred spheres, 0.3-83 mL", "Gaussian convolution in 3D", worst, 0.003)

    def test_its_integral_is_converged(self) -> None:
        # Overlap times Maxwell's distribution from 0 to 2R, here by 200 Gauss-Legendre nodes over at most 12 sigma.
        nodes, weights = np.polynomial.legendre.leggauss(200)
        for volume_ml, fwhm_mm in ((0.3, 6.0), (10.0, 6.0), (1000.0, 6.0), (2000.0, 1.0)):
            radius = (3.0 * volume_ml * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
            sigma = fwhm_mm / np.sqrt(8.0 * np.log(2.0))
            top = min(2.0 * radius, 12.0 * sigma)
            r = (nodes + 1.0) / 2.0 * top
            shape = 1.0 - 0.75 * r / radius + (r / radius) ** 3 / 16.0
            value = shape * np.sqrt(2.0 / np.pi) * r**2 / sigma**3 * np.exp(-(r**2) / (2.0 * sigma**2))
            with self.subTest(volume_ml=volume_ml, fwhm_mm=fwhm_mm):
                expected = float(np.sum(weights * value)) * top / 2.0
                self.assertAlmostEqual(sphere_recovery(volume_ml, fwhm_mm), expected, delta=1e-4)

    def test_it_rises_with_size_from_none_to_all(self) -> None:
        values = [sphere_recovery(volume, 7.0) for volume in (0.001, 0.3, 1.0, 5.0, 20.0, 100.0, 1e5)]
        self.assertEqual(values, sorted(values))
        self.assertTrue(0.0 < values[0] < 0.01 and 0.97 < values[-1] < 1.0)

    def test_only_the_ratio_of_size_and_blur_matters(self) -> None:
        # Twice the blur and eight times the volume.
        self.assertAlmostEqual(sphere_recovery(2.0, 5.0), sphere_recovery(16.0, 10.0), delta=1e-9)


class ReadingTestCase(unittest.TestCase):
    def test_a_lesion_like_its_surroundings_reads_true(self) -> None:
        self.assertAlmostEqual(expected_reading(1.0, 10.0, 1.0), 1.0, delta=1e-12)

    def test_a_hot_lesion_reads_its_recovery_and_a_warm_one_more(self) -> None:
        recovery = sphere_recovery(4.0, 8.0)
        self.assertAlmostEqual(expected_reading(4.0, 8.0, 1e9), recovery, delta=1e-6)
        # Contrast 4: R + (1 - R) / 4.
        self.assertAlmostEqual(expected_reading(4.0, 8.0, 4.0), recovery + (1.0 - recovery) / 4.0, delta=1e-12)

    def test_contrast_goes_through_blur_and_back(self) -> None:
        # In a uniform surrounding of 1 a lesion of contrast c reads c R + 1 - R.
        for contrast in (1.0, 2.5, 8.0):
            measured = contrast * expected_reading(3.0, 9.0, contrast)
            self.assertAlmostEqual(contrast_before_blur(measured, 3.0, 9.0), contrast, delta=1e-9)
        # Colder than its surroundings: taken as no contrast.
        self.assertEqual(contrast_before_blur(0.5, 3.0, 9.0), 1.0)


class SizeTestCase(unittest.TestCase):
    def test_diameters_by_hand(self) -> None:
        # (6000 V / pi)^(1/3): 0.3 mL 8.306 mm, 1 mL 12.407 mm, 33.510 mL (4/3 pi 20³) 40 mm.
        for volume_ml, diameter in ((0.3, 8.306), (1.0, 12.407), (33.5103, 40.0)):
            self.assertAlmostEqual(sphere_diameter_mm(volume_ml), diameter, delta=1e-3)

    def test_an_object_is_resolved_from_two_fwhm_on(self) -> None:
        # DEFINITIONS.md 11. 1 mL is 12.407 mm across.
        self.assertTrue(is_resolved(1.0, 6.2))
        self.assertFalse(is_resolved(1.0, 6.21))

    def test_the_fwhm_of_a_gaussian_in_sigma(self) -> None:
        self.assertAlmostEqual(float(np.exp(-((FWHM_PER_SIGMA / 2.0) ** 2) / 2.0)), 0.5, delta=1e-15)


if __name__ == "__main__":
    unittest.main()
