"""Uncertainty of mean doses: edges and fields against geometry, noise against what was put in, propagation against
hand calculations and against sampling."""

from __future__ import annotations

import math
import unittest

import numpy as np
from support import AgreementTestCase

from TARECOMETLib.dosimetry.compartments import derive_compartments
from TARECOMETLib.dosimetry.contour_edge import correlated_variance, occupancy, random_field, signed_distance_mm
from TARECOMETLib.dosimetry.contour_margin import margin_doses
from TARECOMETLib.dosimetry.image_noise import ImageNoise, estimate_noise
from TARECOMETLib.dosimetry.uncertainty import (
    CommonUncertainty,
    Recovery,
    budget,
    propagate,
    sphere_recovery_of,
)
from TARECOMETLib.dosimetry.uncertainty_inputs import (
    DEFAULT_SOURCES,
    InputUncertainties,
    proposed_fwhm_mm,
    require_fwhm_mm,
)
from TARECOMETLib.dosimetry.uncertainty_sampling import require_band_voxels, sample
from TARECOMETLib.dosimetry.uncertainty_scene import DoseScene, EdgeUncertainty, Share
from TARECOMETLib.errors import InputError

SPACING = (3.0, 3.0, 3.0)
K = 49.67
PET_FWHM_MM = 6.5


def finish(steps):
    """Value of a generator of steps."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def ball(shape, center_mm, radius_mm, spacing=SPACING):
    """A boolean sphere."""
    axes = np.indices(shape) * np.array(spacing).reshape(3, 1, 1, 1)
    return sum((axis - c) ** 2 for axis, c in zip(axes, center_mm, strict=True)) < radius_mm**2


def a_scene(shares=(), edges=None, blurred=True, shape=(38, 38, 38)):
    """A liver of radius 51 mm with lesions of 15 and 13.5 mm at four and three times its concentration."""
    from scipy.ndimage import gaussian_filter

    center = np.array(shape) * 1.5
    masks = {
        "liver": ball(shape, center, 51.0),
        "t1": ball(shape, center + np.array((5.0, -18.0, 20.0)), 15.0),
        "t2": ball(shape, center + np.array((-10.0, 18.0, -18.0)), 13.5),
    }
    value = np.where(masks["liver"], 0.6, 0.0)
    value[masks["t1"]], value[masks["t2"]] = 2.4, 1.8
    if blurred:
        value = gaussian_filter(value, PET_FWHM_MM / 2.3548 / 3.0)
    signed = {name: signed_distance_mm(mask, SPACING) for name, mask in masks.items()}
    compartments = tuple(derive_compartments({"liver": "liver", "t1": "tumour", "t2": "tumour"}))
    moving = dict.fromkeys(signed, edges or ())
    return DoseScene(SPACING, signed, compartments, value, K, 1.05, shares, moving)


class EdgeTestCase(AgreementTestCase):
    def test_a_plane_of_any_direction_is_as_far_as_geometry_says(self):
        axes = np.indices((30, 30, 30)) * 2.0
        for normal in ((1.0, 0.0, 0.0), (0.6, 0.8, 0.0), (0.577350269, 0.577350269, 0.577350269)):
            distance = sum(n * (axis - 30.0) for n, axis in zip(normal, axes, strict=True)) - 0.3
            signed = signed_distance_mm(distance < 0.0, (2.0, 2.0, 2.0))
            inner = (slice(8, 22),) * 3
            near = np.abs(distance[inner]) < 2.0
            # A mask says where a plane is to a fraction of a voxel: its mean within 0.3 mm, each within half a voxel.
            with self.subTest(normal=normal):
                self.assertLess(abs(float(np.mean((signed[inner] - distance[inner])[near]))), 0.75)
                spread = float(np.std((signed[inner] - distance[inner])[near]))
                self.assertLess(spread, 0.5)

    def test_moving_a_spheres_edge_changes_its_volume_by_its_surface(self):
        signed = signed_distance_mm(ball((30, 30, 30), (43.5, 43.5, 43.5), 20.0), SPACING)
        out, back = (float(occupancy(signed, SPACING, step).sum()) * 27.0 for step in (1.0, -1.0))
        # (4/3 pi (21³ - 19³)) / 2 per mm; a digital sphere of 1240 voxels: 3 %.
        expected = 2.0 / 3.0 * math.pi * (21.0**3 - 19.0**3)
        deviation = 100.0 * ((out - back) / 2.0 / expected - 1.0)
        self.assert_agrees("surface of a sphere of 20 mm", "4 pi r²", deviation, 4.0, "%")
        drawn = np.count_nonzero(ball((30, 30, 30), (43.5, 43.5, 43.5), 20.0))
        self.assertAlmostEqual(float(occupancy(signed, SPACING).sum()) / drawn, 1.0, delta=1e-4)

    def test_the_variance_of_a_sum_over_a_field(self):
        # Weights far apart: independent; close together: correlated as exp(-r² / 2 L²), here at r = 6 mm, L = 10 mm.
        weights = np.zeros((60, 60, 60))
        weights[5, 5, 5] = weights[55, 55, 55] = 1.0
        self.assertAlmostEqual(correlated_variance(weights, 10.0, (2.0, 2.0, 2.0)), 2.0, delta=0.1)
        weights[:] = 0.0
        weights[20:40, 20:40, 20:40] = 1.0
        # Sum over pairs, one axis at a time: (Σ_ab exp(-(2 (a - b))² / 200))³.
        step = 2.0 * (np.arange(20)[:, None] - np.arange(20)[None, :])
        expected = float(np.exp(-(step**2) / 200.0).sum()) ** 3
        self.assertAlmostEqual(correlated_variance(weights, 10.0, (2.0, 2.0, 2.0)) / expected, 1.0, delta=0.05)
        self.assertAlmostEqual(correlated_variance(weights, math.inf, (2.0, 2.0, 2.0)), 8000.0**2, delta=1.0)
        self.assertAlmostEqual(correlated_variance(weights, 0.1, (2.0, 2.0, 2.0)), 8000.0, delta=1e-6)

    def test_a_drawn_field_has_the_variance_that_the_sum_says(self):
        rng = np.random.default_rng(5)
        weights = ball((30, 30, 30), (43.5, 43.5, 43.5), 24.0).astype(float)
        for length in (5.0, 15.0):
            drawn = [float(np.sum(weights * random_field(rng, weights.shape, length, SPACING))) for _ in range(300)]
            expected = math.sqrt(correlated_variance(weights, length, SPACING))
            # Standard error of a standard deviation by 300 draws: 4 %; three of them.
            self.assertAlmostEqual(float(np.std(drawn)) / expected, 1.0, delta=0.13)

    def test_a_contour_of_few_voxels_has_no_edge_and_one_more_has(self):
        mask = np.zeros((9, 9, 9), dtype=bool)
        mask[4, 2:6, 2:6] = True
        mask[5, 2:5, 3] = True
        with self.assertRaisesRegex(InputError, "19 voxels"):
            signed_distance_mm(mask, SPACING)
        mask[5, 5, 3] = True
        signed_distance_mm(mask, SPACING)


class NoiseTestCase(AgreementTestCase):
    def test_it_is_found_in_the_image_itself(self):
        from scipy.ndimage import gaussian_filter

        rng = np.random.default_rng(8)
        shape, spacing = (40, 60, 60), (3.0, 4.0, 4.0)
        texture = 1.0 + 0.3 * random_field(rng, shape, 10.8, spacing)  # 18 mm FWHM of the smoothing
        for sigma_mm, unit in ((0.0, 0.09), (2.76, 0.09), (2.76, 0.01)):
            white = rng.standard_normal(shape)
            if sigma_mm:
                white = gaussian_filter(white, sigma_mm / np.array(spacing))
                white /= white.std()
            image = texture + np.sqrt(unit * np.maximum(texture, 0.0)) * white
            found = estimate_noise(image, np.ones(shape, dtype=bool), spacing, PET_FWHM_MM)
            volume = max(48.0, (4.0 * math.pi * sigma_mm**2) ** 1.5)
            expected = unit * volume
            got = found.variance_per_signal * (math.sqrt(2.0 * math.pi) * found.correlation_mm) ** 3
            # What enters a mean is variance times correlated volume; the square root of it to 20 %.
            with self.subTest(sigma_mm=sigma_mm, unit=unit):
                self.assertAlmostEqual(math.sqrt(got / expected), 1.0, delta=0.2)

    def test_too_small_a_region_is_refused_and_a_larger_one_is_not(self):
        image = np.random.default_rng(1).normal(10.0, 1.0, (12, 12, 12))
        inside = np.zeros(image.shape, dtype=bool)
        inside[:4, :4, :4] = True
        with self.assertRaisesRegex(InputError, "usable voxels"):
            estimate_noise(image, inside, SPACING, PET_FWHM_MM)
        inside[:8, :8, :8] = True
        estimate_noise(image, inside, SPACING, PET_FWHM_MM)


class PropagationTestCase(AgreementTestCase):
    def test_common_factors_add_in_squares(self):
        common = [CommonUncertainty("calibration", 0.05), CommonUncertainty("constant", 0.0036)]
        found = propagate(a_scene(), common)["t1"]
        self.assertAlmostEqual(found.uncertainty_gy / found.mean_gy, math.hypot(0.05, 0.0036), delta=1e-12)
        self.assertEqual(found.main_source, "calibration")
        self.assertAlmostEqual(sum(line.share for line in found.lines), 1.0, delta=1e-12)
        low, high = found.interval_gy
        self.assertAlmostEqual((high - low) / 2.0 / found.uncertainty_gy, 1.959964, delta=1e-9)

    def test_a_contour_in_uniform_activity_does_not_matter(self):
        # Volume enters the activity and the mass alike: their covariance takes all of it away.
        edges = (EdgeUncertainty("Contour", 1.0, math.inf),)
        scene = a_scene(edges=edges, blurred=False)
        scene.value_per_ml[:] = 0.6
        self.assertLess(propagate(scene, [])["t1"].uncertainty_gy, 1e-6)

    def test_with_all_the_activity_inside_it_is_that_of_the_mass(self):
        # Counts shared out over the liver alone: K A / m with A fixed, so u(D) / D = u(V) / V = area x sd / volume.
        edges = (EdgeUncertainty("Contour", 0.5, math.inf),)
        found = propagate(a_scene((Share("liver", 1000.0),), edges), [])["liver"]
        expected = 0.5 * 3.0 / 51.0
        deviation = 100.0 * (found.uncertainty_gy / found.mean_gy / expected - 1.0)
        # Surface of the digital sphere: 4 %.
        self.assert_agrees("contour of a sphere with fixed activity", "3 u(r) / r", deviation, 5.0, "%")

    def test_an_isolated_hot_sphere_loses_by_volume_what_the_guidance_says(self):
        # u(V) / V = 3 u(d) / d (Gear 2018, as recalled; here derived); the dose of a hot sphere in nothing, its edge
        # at half height: dD / D = (1/2 - 1) dV / V.
        shape = (30, 30, 30)
        axes = np.indices(shape) * 3.0
        radius = np.sqrt(sum((axis - 43.5) ** 2 for axis in axes))
        value = np.clip(0.5 - (radius - 20.0) / 3.0, 0.0, 1.0)
        signed = {"t1": signed_distance_mm(ball(shape, (43.5, 43.5, 43.5), 20.0), SPACING)}
        compartments = tuple(c for c in derive_compartments({"t1": "tumour"}) if c.name == "t1")
        edges = {"t1": (EdgeUncertainty("Contour", 0.3, math.inf),)}
        found = propagate(DoseScene(SPACING, signed, compartments, value, K, 1.05, (), edges), [])["t1"]
        expected = 0.5 * 3.0 * 0.3 / 20.0
        # The edge is one voxel wide: 15 % by how its center falls on the voxels.
        self.assertAlmostEqual(found.uncertainty_gy / found.mean_gy / expected, 1.0, delta=0.15)

    def test_recovery_enters_with_its_own_uncertainty_and_its_volume(self):
        scene = a_scene()
        plain = propagate(scene, [])["t1"].mean_gy
        blur = Recovery(0.8, 0.02, 0.2 * 28.4)
        found = propagate(scene, [], recovery={"t1": blur})["t1"]
        self.assertAlmostEqual(found.mean_gy, (plain - 0.2 * 28.4) / 0.8, delta=1e-9)
        # d/dR of (D - (1 - R) B) / R = -(corrected - B) / R, by hand.
        self.assertAlmostEqual(found.uncertainty_gy, (found.mean_gy - 28.4) / 0.8 * 0.02, delta=1e-9)

    def test_recovery_of_a_sphere_moves_with_its_volume(self):
        blur = sphere_recovery_of(14.1, PET_FWHM_MM, 0.1, 30.0)
        self.assertTrue(0.0 < blur.volume_slope < 0.5)
        self.assertAlmostEqual(blur.spill_in_gy, (1.0 - blur.coefficient) * 30.0, delta=1e-12)
        # Wider blur by 10 % takes about 10 % of what is missing.
        self.assertAlmostEqual(blur.uncertainty / (1.0 - blur.coefficient), 0.1, delta=0.03)

    def test_nothing_uncertain_is_no_uncertainty(self):
        found = propagate(a_scene(), [])["liver"]
        self.assertEqual((found.uncertainty_gy, found.lines, found.main_source), (0.0, (), ""))
        self.assertEqual(budget(10.0, {"a": 0.0}).lines, ())


class SamplingTestCase(AgreementTestCase):
    def test_sampling_and_propagation_agree(self):
        edges = (EdgeUncertainty("Contour", 1.0, 20.0), EdgeUncertainty("Voxel", 0.6, 3.0))
        noise = ImageNoise(0.09, 3.9)
        common = [CommonUncertainty("calibration", 0.05)]
        for shares in ((), (Share("liver", 1000.0),)):
            scene = a_scene(shares, edges)
            blur = {"t1": sphere_recovery_of(14.1, PET_FWHM_MM, 0.1, 30.0)}
            quick = propagate(scene, common, noise, 2.0, blur)
            drawn = finish(sample(scene, common, noise, 2.0, np.random.default_rng(11), 240, blur, bands=False))
            for name, one in quick.items():
                deviation = 100.0 * (one.uncertainty_gy / drawn[name].uncertainty_gy - 1.0)
                # The bar of 15 % holds the draws' own standard error of 4.6 %.
                kind = "relative" if shares else "absolute"
                self.assert_agrees(f"uncertainty, {kind}, {name}", "240 samples", deviation, 15.0, "%")
                # Its mean moves as the mean loss by misregistration says, to three standard errors and 2 %.
                shift = float(drawn[name].mean_gy.mean()) - one.mean_gy - one.registration_bias_gy
                self.assertLess(abs(shift), 3.0 * one.uncertainty_gy / math.sqrt(240.0) + 0.02 * one.mean_gy)

    def test_the_same_seed_gives_the_same_draws_and_work_can_be_left(self):
        scene = a_scene(edges=(EdgeUncertainty("Contour", 1.0, 20.0),))
        first, second = (
            finish(sample(scene, [], ImageNoise(0.05, 4.0), 1.0, np.random.default_rng(2), 20)) for _ in range(2)
        )
        np.testing.assert_array_equal(first["t1"].mean_gy, second["t1"].mean_gy)
        steps = sample(scene, [], None, 0.0, np.random.default_rng(2), 1000)
        self.assertEqual(next(steps)[0], 0.0)
        steps.close()
        with self.assertRaisesRegex(InputError, "at least 20"):
            finish(sample(scene, [], None, 0.0, np.random.default_rng(2), 19))

    def test_the_band_of_a_histogram_holds_its_curve(self):
        scene = a_scene(edges=(EdgeUncertainty("Contour", 1.0, 20.0),))
        steps = sample(scene, [CommonUncertainty("c", 0.05)], None, 0.0, np.random.default_rng(4), 40)
        band = finish(steps)["liver"].band_gy
        self.assertEqual(band.shape, (3, 99))
        self.assertTrue(np.all(band[0] <= band[1]) and np.all(band[1] <= band[2]))
        # Doses fall from 1 to 99 % of the volume.
        self.assertTrue(np.all(np.diff(band[1]) <= 1e-9))
        # 5 % of the dose on either side, twice 1.96, at the median, with 40 draws: a third.
        self.assertAlmostEqual((band[2] - band[0])[49] / band[1][49] / (2 * 1.96 * 0.05), 1.0, delta=0.45)

    def test_too_few_voxels_for_a_band_are_refused_and_fifty_are_not(self):
        with self.assertRaisesRegex(InputError, "49 dose voxels"):
            require_band_voxels(49, 'contour "t9"')
        require_band_voxels(50, 'contour "t9"')


class MarginTestCase(unittest.TestCase):
    def test_doses_by_margin_of_a_hot_sphere(self):
        scene = a_scene()
        dose = K * scene.value_per_ml / 1.05
        found = margin_doses(scene.signed_mm["t1"], dose, SPACING)
        self.assertEqual([entry.margin_mm for entry in found], [-2.0, -1.0, 0.0, 1.0, 2.0])
        doses = [entry.mean_gy for entry in found]
        self.assertEqual(doses, sorted(doses, reverse=True))
        for entry in found:
            # 4/3 pi (15 + margin)³; a digital sphere of 5 voxels across each half: 5 %.
            expected = 4.0 / 3.0 * math.pi * (15.0 + entry.margin_mm) ** 3 / 1000.0
            self.assertAlmostEqual(entry.volume_ml / expected, 1.0, delta=0.05)

    def test_a_margin_larger_than_the_organ_is_refused_and_a_smaller_one_is_not(self):
        scene = a_scene()
        with self.assertRaisesRegex(InputError, "leaves nothing"):
            margin_doses(scene.signed_mm["t1"], scene.value_per_ml, SPACING, (-16.0,), 'contour "t1"')
        self.assertGreater(margin_doses(scene.signed_mm["t1"], scene.value_per_ml, SPACING, (-12.0,))[0].volume_ml, 0.0)


class InputsTestCase(unittest.TestCase):
    def test_each_default_has_its_source(self):
        self.assertEqual(set(vars(InputUncertainties())), set(DEFAULT_SOURCES))
        self.assertTrue(all(source for _, _, source in DEFAULT_SOURCES.values()))

    def test_numbers_without_meaning_are_refused_and_their_neighbors_are_not(self):
        for change in (
            {"pet_calibration": -0.01},
            {"pet_calibration": 5.0},
            {"contour_mm": math.nan},
            {"registration_mm": 61.0},
            {"contour_correlation_mm": 0.0},
        ):
            with self.subTest(change=change), self.assertRaisesRegex(InputError, "expected 0 to"):
                InputUncertainties(**change)
        InputUncertainties(pet_calibration=0.0, contour_mm=0.0, registration_mm=60.0, contour_correlation_mm=0.1)

    def test_a_resolution_that_is_not_set_is_asked_for_with_a_proposal_marked_so(self):
        with self.assertRaisesRegex(InputError, "y90_pet: it is not set.*6.5 mm is usual.*a proposal, not measured"):
            require_fwhm_mm("y90_pet", None)
        self.assertEqual(require_fwhm_mm("y90_pet", 5.0), 5.0)
        self.assertIsNone(proposed_fwhm_mm("diagnostic"))


if __name__ == "__main__":
    unittest.main()
