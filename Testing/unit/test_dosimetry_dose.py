"""Dose maps: what convolution must keep whatever the kernel, and independent ways to the same numbers."""

from __future__ import annotations

import unittest

import numpy as np
from scipy.signal import fftconvolve
from support import AgreementTestCase, plain_convolution

from TARECOMETLib.dosimetry.dose import convolve, dose_per_activity_gy_g_per_mbq, kernel_dose_gy, local_dose_gy
from TARECOMETLib.errors import InputError
from TARECOMETLib.physics.nuclides import constants_set
from TARECOMETLib.physics.voxel_kernel import voxel_kernel

SPACING = (4.07, 4.07, 3.0)
CONSTANTS = constants_set("MIRD 49.67")
# float32 has 6e-8; a transform of 1e5 values adds a few of them, relative to the largest value.
FLOAT32 = 3e-6


def some_activity(shape: tuple[int, int, int], seed: int, filled: float = 1.0) -> np.ndarray:
    """Random activities in MBq; ``filled`` is the share of voxels that have any."""
    generator = np.random.default_rng(seed)
    return generator.gamma(2.0, 0.5, shape) * (generator.random(shape) < filled)


class LocalDepositionTestCase(unittest.TestCase):
    def test_dose_is_k_times_activity_over_mass(self) -> None:
        # 49.67 Gy kg/GBq is 49.67 Gy g/MBq: 2 MBq in 0.05 g are 1986.8 Gy.
        self.assertAlmostEqual(dose_per_activity_gy_g_per_mbq(CONSTANTS), 49.67, delta=1e-12)
        activity = np.array([[[2.0, 0.0, 1.0]]])
        np.testing.assert_allclose(local_dose_gy(activity, 0.05, CONSTANTS), [[[1986.8, 0.0, 993.4]]], rtol=1e-12)
        mass = np.array([[[0.1, 0.2, 0.5]]])
        np.testing.assert_allclose(local_dose_gy(activity, mass, CONSTANTS), [[[993.4, 0.0, 99.34]]], rtol=1e-12)

    def test_example_c_tumour_and_normal_liver(self) -> None:
        # FACTS.md section 3 (c): tumour 0.2 kg, normal 1.3 kg, ratio 3, 3.0 GBq, shunt 0.05: 223.515 and 74.505 Gy.
        liver_mbq = 3000.0 * 0.95
        shares = np.array([3.0 * 0.2, 1.3]) / (3.0 * 0.2 + 1.3)
        dose = local_dose_gy(liver_mbq * shares, np.array([200.0, 1300.0]), CONSTANTS)
        np.testing.assert_allclose(dose, [223.515, 74.505], atol=5e-4)

    def test_negative_voxels_are_kept(self) -> None:
        self.assertLess(local_dose_gy(np.full((1, 1, 1), -0.1), 1.0, CONSTANTS)[0, 0, 0], 0.0)


class ConvolutionTestCase(AgreementTestCase):
    def setUp(self) -> None:
        self.kernel = voxel_kernel(SPACING, "soft-tissue", 1.05)

    def test_it_is_linear(self) -> None:
        first, second = some_activity((20, 18, 16), 1), some_activity((20, 18, 16), 2, 0.1)
        together = convolve(3.0 * first - 0.5 * second, self.kernel)
        apart = 3.0 * convolve(first, self.kernel) - 0.5 * convolve(second, self.kernel)
        np.testing.assert_allclose(together, apart, atol=FLOAT32 * float(np.abs(together).max()) * 3.0)

    def test_a_shifted_activity_gives_the_shifted_result(self) -> None:
        activity = np.zeros((40, 36, 36))
        activity[12:20, 14:20, 13:19] = some_activity((8, 6, 6), 3)
        moved = np.roll(activity, (3, -2, 4), (0, 1, 2))
        expected = np.roll(convolve(activity, self.kernel), (3, -2, 4), (0, 1, 2))
        np.testing.assert_allclose(convolve(moved, self.kernel), expected, atol=FLOAT32 * float(expected.max()))

    def test_one_voxel_gives_the_kernel_itself(self) -> None:
        activity = np.zeros((25, 21, 21))
        activity[12, 10, 10] = 5.0
        half = self.kernel.half_width_kji
        box = tuple(slice(c - h, c + h + 1) for c, h in zip((12, 10, 10), half, strict=True))
        found = convolve(activity, self.kernel)
        expected = 5.0 * self.kernel.full()
        np.testing.assert_allclose(found[box], expected, atol=FLOAT32 * float(expected.max()))
        found[box] = 0.0
        np.testing.assert_array_equal(found, 0.0)

    def test_energy_is_conserved_away_from_the_borders(self) -> None:
        activity = np.zeros((40, 36, 36))
        activity[12:27, 11:24, 10:23] = some_activity((15, 13, 13), 4)
        mass = 1.05 * np.prod(SPACING) / 1000.0
        dose = kernel_dose_gy([(activity, self.kernel)], mass, CONSTANTS)
        energy = float(np.sum(dose, dtype=np.float64)) * mass
        expected = 49.67 * activity.sum() * self.kernel.energy_fraction
        self.assert_agrees(
            "Energy, one tissue, sum D m",
            "K sum A times the energy fraction",
            100.0 * (energy / expected - 1.0),
            0.01,
            "%",
        )

    def test_uniform_activity_gives_the_energy_fraction_of_local_deposition(self) -> None:
        worst = 0.0
        for spacing, medium, density in (
            ((4.07, 4.07, 3.0), "soft-tissue", 1.05),
            ((2.0, 2.0, 5.0), "soft-tissue", 1.05),
            ((10.0, 10.0, 10.0), "water", 1.0),
        ):
            kernel = voxel_kernel(spacing, medium, density)
            shape = tuple(2 * half + 5 for half in kernel.half_width_kji)
            mass = density * np.prod(spacing) / 1000.0
            activity = np.full(shape, 0.07)
            dose = kernel_dose_gy([(activity, kernel)], mass, CONSTANTS)
            local = local_dose_gy(activity, mass, CONSTANTS)
            middle = tuple(n // 2 for n in shape)
            ratio = float(dose[middle]) / float(local[middle])
            with self.subTest(spacing=spacing):
                self.assertAlmostEqual(ratio, kernel.energy_fraction, delta=1e-4)
            worst = max(worst, abs(ratio - kernel.energy_fraction))
        self.assert_agrees("Uniform dose over local dose", "kernel's energy fraction", worst, 1e-4)

    def test_nothing_wraps_around_from_any_corner(self) -> None:
        # The grid is shorter than the kernel's reach, so a transform without padding would fold everything back.
        shape = (9, 8, 7)
        full = self.kernel.full()
        for corner in np.ndindex(2, 2, 2):
            activity = np.zeros(shape)
            activity[tuple(0 if c == 0 else n - 1 for c, n in zip(corner, shape, strict=True))] = 1.0
            with self.subTest(corner=corner):
                expected = plain_convolution(activity, full)
                np.testing.assert_allclose(convolve(activity, self.kernel), expected, atol=FLOAT32 * full.max())

    def test_no_padding_is_too_short_whatever_the_place_and_size(self) -> None:
        generator = np.random.default_rng(5)
        kernel = voxel_kernel((6.0, 5.0, 7.0), "soft-tissue", 1.05)
        full = kernel.full()
        for _ in range(40):
            shape = tuple(int(n) for n in generator.integers(1, 24, 3))
            activity = np.zeros(shape)
            start = [int(generator.integers(0, n)) for n in shape]
            stop = [int(generator.integers(a + 1, n + 1)) for a, n in zip(start, shape, strict=True)]
            box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
            activity[box] = generator.random(activity[box].shape)
            with self.subTest(shape=shape, box=(start, stop)):
                expected = fftconvolve(activity, full, mode="full")
                inner = tuple(slice(h, h + n) for h, n in zip(kernel.half_width_kji, shape, strict=True))
                np.testing.assert_allclose(
                    convolve(activity, kernel), expected[inner], atol=FLOAT32 * float(expected.max())
                )

    def test_it_equals_a_plain_sum_and_scipys_convolution(self) -> None:
        activity = some_activity((17, 15, 13), 6, 0.15)
        full = self.kernel.full()
        found = convolve(activity, self.kernel)
        for name, expected in (
            ("plain numpy sum", plain_convolution(activity, full)),
            ("scipy.signal.fftconvolve", fftconvolve(activity, full, mode="same")),
        ):
            # mode="same" keeps the first argument's shape; the kernel is odd, so its middle is one voxel.
            self.assertEqual(expected.shape, found.shape)
            deviation = float(np.abs(found - expected).max() / expected.max())
            self.assert_agrees("Convolution, share of the maximum", name, deviation, FLOAT32)

    def test_an_anisotropic_kernel_follows_its_axes(self) -> None:
        kernel = voxel_kernel((2.0, 3.0, 8.0), "soft-tissue", 1.05)
        activity = np.zeros((7, 31, 31))
        activity[3, 15, 15] = 1.0
        found = convolve(activity, kernel)
        # Array axes are (k, j, i): the 2 mm neighbor along i gets most, the 8 mm one along k least.
        self.assertGreater(found[3, 15, 16], found[3, 16, 15])
        self.assertGreater(found[3, 16, 15], found[4, 15, 15])
        np.testing.assert_allclose(found[3, 15, 15:20], kernel.octant[0, 0, :5], atol=FLOAT32)
        np.testing.assert_allclose(found[3, 15:20, 15], kernel.octant[0, :5, 0], atol=FLOAT32)
        np.testing.assert_allclose(found[3:6, 15, 15], kernel.octant[:3, 0, 0], atol=FLOAT32)

    def test_single_precision_is_kept_for_whole_body_activities(self) -> None:
        # 1e12 Bq beside 1: float32 in, float32 out, and the error stays relative to the largest value.
        activity = some_activity((30, 30, 30), 7, 0.2)
        small = convolve(activity.astype(np.float32), self.kernel)
        large = convolve(activity * 1e12, self.kernel)
        self.assertEqual(small.dtype, np.float32)
        self.assertEqual(large.dtype, np.float32)
        np.testing.assert_allclose(large / 1e12, small, atol=FLOAT32 * float(small.max()))
        expected = fftconvolve(activity, self.kernel.full(), mode="same")
        deviation = float(np.abs(small - expected).max() / expected.max())
        self.assert_agrees("Convolution in float32, share of the maximum", "float64", deviation, FLOAT32)

    def test_inputs_are_not_changed(self) -> None:
        activity = some_activity((9, 9, 9), 8)
        before = activity.copy()
        convolve(activity, self.kernel)
        local_dose_gy(activity, 1.0, CONSTANTS)
        np.testing.assert_array_equal(activity, before)

    def test_no_activity_gives_no_dose(self) -> None:
        activity = np.zeros((6, 5, 4))
        np.testing.assert_array_equal(convolve(activity, self.kernel), 0.0)
        dose = kernel_dose_gy([(activity, self.kernel)], 0.05, CONSTANTS)
        self.assertEqual((dose.shape, dose.dtype), ((6, 5, 4), np.float32))
        self.assertEqual(float(np.abs(dose).max()), 0.0)
        np.testing.assert_array_equal(local_dose_gy(activity, 0.05, CONSTANTS), 0.0)

    def test_integer_counts_are_accepted(self) -> None:
        counts = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
        np.testing.assert_allclose(
            convolve(counts, self.kernel), convolve(counts.astype(float), self.kernel), atol=1e-12
        )


class TwoTissuesTestCase(AgreementTestCase):
    def test_energy_is_conserved_across_tissues(self) -> None:
        generator = np.random.default_rng(9)
        spacing = (5.0, 5.0, 4.0)
        liver, lung = voxel_kernel(spacing, "soft-tissue", 1.05), voxel_kernel(spacing, "lung", 0.3)
        shape = tuple(2 * half + 11 for half in lung.half_width_kji)
        in_liver, in_lung = np.zeros(shape), np.zeros(shape)
        box = tuple(slice(half, half + 11) for half in lung.half_width_kji)
        where = generator.random((11, 11, 11)) < 0.5
        amount = generator.random((11, 11, 11))
        in_liver[box], in_lung[box] = amount * where, amount * ~where
        density = np.full(shape, 1.05)
        density[:, :, shape[2] // 2 :] = generator.uniform(0.1, 0.4, density[:, :, shape[2] // 2 :].shape)
        mass = density * np.prod(spacing) / 1000.0
        dose = kernel_dose_gy([(in_liver, liver), (in_lung, lung)], mass, CONSTANTS)
        energy = float(np.sum(dose * mass, dtype=np.float64))
        expected = 49.67 * (in_liver.sum() * liver.energy_fraction + in_lung.sum() * lung.energy_fraction)
        self.assert_agrees(
            "Energy, two tissues, sum D m",
            "K sum A times the energy fractions",
            100.0 * (energy / expected - 1.0),
            0.01,
            "%",
        )

    def test_each_source_uses_its_own_kernel_and_each_target_its_own_mass(self) -> None:
        spacing = (5.0, 5.0, 4.0)
        liver, lung = voxel_kernel(spacing, "soft-tissue", 1.05), voxel_kernel(spacing, "lung", 0.3)
        first, second = np.zeros((9, 9, 9)), np.zeros((9, 9, 9))
        first[4, 4, 2], second[4, 4, 6] = 1.0, 2.0
        mass = np.full((9, 9, 9), 0.105)
        mass[:, :, 5:] = 0.03
        dose = kernel_dose_gy([(first, liver), (second, lung)], mass, CONSTANTS)
        spread = plain_convolution(first, liver.full()) + plain_convolution(second, lung.full())
        expected = 49.67 * spread / mass
        np.testing.assert_allclose(dose, expected, atol=FLOAT32 * float(expected.max()))


class RefusalTestCase(unittest.TestCase):
    def test_values_that_are_not_numbers_are_refused_and_counted(self) -> None:
        kernel = voxel_kernel((6.0, 6.0, 6.0))
        for bad in (np.nan, np.inf, -np.inf):
            activity = np.ones((4, 4, 4))
            activity[1, 2, 3] = bad
            with self.subTest(value=bad):
                for run in (
                    lambda a=activity: local_dose_gy(a, 1.0, CONSTANTS),
                    lambda a=activity: kernel_dose_gy([(a, kernel)], 1.0, CONSTANTS),
                ):
                    with self.assertRaises(InputError) as caught:
                        run()
                    self.assertEqual(caught.exception.code, "not-finite")
                    self.assertIn("1 of 64", str(caught.exception))

    def test_the_nearest_valid_activity_passes(self) -> None:
        activity = np.ones((4, 4, 4))
        activity[1, 2, 3] = 0.0
        self.assertTrue(np.all(np.isfinite(local_dose_gy(activity, 1.0, CONSTANTS))))

    def test_no_source_at_all_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            kernel_dose_gy([], 1.0, CONSTANTS)


if __name__ == "__main__":
    unittest.main()
