"""The voxel kernel as an integral: conserved energy, convergence, symmetry, scaling, refusals."""

from __future__ import annotations

import unittest

import numpy as np
from support import AgreementTestCase

from TARECOMETLib.errors import InputError
from TARECOMETLib.physics import voxel_kernel as module
from TARECOMETLib.physics.point_kernel import PointKernel, load_point_kernel
from TARECOMETLib.physics.voxel_kernel import VoxelKernel, voxel_kernel

# Edges along i, j, k in mm and medium: PET, SPECT, CT, the range's ends and unequal edges.
GRIDS = (
    ((0.5, 0.5, 0.5), "soft-tissue"),
    ((1.0, 1.0, 1.0), "water"),
    ((2.21, 2.21, 2.21), "water"),
    ((3.0, 3.0, 3.0), "soft-tissue"),
    ((4.0, 4.0, 3.0), "water"),
    ((4.07, 4.07, 3.0), "soft-tissue"),
    ((4.07, 4.07, 3.0), "lung"),
    ((6.0, 6.0, 6.0), "soft-tissue"),
    ((10.0, 10.0, 10.0), "water"),
    ((10.0, 10.0, 10.0), "lung"),
    ((2.0, 2.0, 5.0), "soft-tissue"),
    ((10.0, 0.5, 3.0), "soft-tissue"),
)


def shoot(
    kernel: PointKernel, density_g_ml: float, spacing_mm: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Voxel offsets (i, j, k) where shots from random points of a voxel end; those that leave the table are dropped."""
    shell = np.searchsorted(np.cumsum(kernel.energy_fraction), generator.random(count))
    shell = shell[shell < kernel.energy_fraction.size]
    widths = np.diff(kernel.edges_mm_g_ml)
    flight = (kernel.edges_mm_g_ml[shell] + generator.random(shell.size) * widths[shell]) / density_g_ml
    direction = generator.normal(size=(shell.size, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    start = generator.random((shell.size, 3)) - 0.5
    return np.rint(start + direction * flight[:, None] / spacing_mm).astype(int)


def polar_energy(
    kernel: PointKernel, density_g_ml: float, spacing_mm: np.ndarray, offsets_ijk: np.ndarray, directions: int
) -> np.ndarray:
    """The tent integral in polar coordinates: no singularity, no cells, energy uniform in radius inside a shell."""
    index = np.arange(directions) + 0.5
    cosine, angle = 1.0 - 2.0 * index / directions, np.pi * (1.0 + np.sqrt(5.0)) * index
    sine = np.sqrt(1.0 - cosine**2)
    direction = np.stack((sine * np.cos(angle), sine * np.sin(angle), cosine))
    steps = (np.arange(4) + 0.5) / 4.0
    energy = np.zeros(len(offsets_ijk))
    for low, high, fraction in zip(
        kernel.edges_mm_g_ml[:-1], kernel.edges_mm_g_ml[1:], kernel.energy_fraction, strict=True
    ):
        for step in steps:
            reach = (low + step * (high - low)) / density_g_ml * direction / spacing_mm[:, None]
            for number, offset in enumerate(offsets_ijk):
                tent = np.clip(1.0 - np.abs(reach - offset[:, None]), 0.0, None)
                energy[number] += fraction / 4.0 * float(np.mean(tent[0] * tent[1] * tent[2]))
    return energy


def with_nodes(kernel: VoxelKernel, factor: float) -> np.ndarray:
    """The octant (k, j, i) of a kernel from a quadrature with ``factor`` times the nodes."""
    point = load_point_kernel(kernel.medium).truncated(module.DEFAULT_CUTOFF_MM_G_ML)
    spacing = np.array(kernel.spacing_mm)
    reach = point.edges_mm_g_ml[-1] / kernel.density_g_ml
    nodes = module._NODES_AT_LEAST + int(
        np.ceil(module._NODES_PER_MM_G_ML * float(spacing.max()) * kernel.density_g_ml)
    )
    energy = module._octant_energy(
        point.energy_per_mm(kernel.density_g_ml),
        spacing,
        reach,
        tuple(int(np.ceil(reach / v)) + 1 for v in spacing),
        round(nodes * factor),
        module._BETA_REACH_MM_G_ML / kernel.density_g_ml,
    )
    return energy.transpose(2, 1, 0)


class EnergyTestCase(AgreementTestCase):
    def test_the_sum_is_the_tabulated_cumulative_energy_fraction_at_the_cut_off(self) -> None:
        worst = 0.0
        for spacing, name in GRIDS:
            with self.subTest(spacing=spacing, medium=name):
                kernel = voxel_kernel(spacing, name)
                table = load_point_kernel(name).cumulative_fraction(module.DEFAULT_CUTOFF_MM_G_ML)
                self.assertAlmostEqual(kernel.energy_fraction, table, delta=1e-12)
                found = float(kernel.full().sum())
                self.assertAlmostEqual(found, table, delta=1e-4)
                worst = max(worst, abs(found - table))
        self.assert_agrees("Voxel kernel, sum, 0.5-10 mm", "cumulative energy fraction", worst, 1e-4)

    def test_a_nearer_cut_off_leaves_the_energy_beyond_it_off(self) -> None:
        kernel = voxel_kernel((3.0, 3.0, 3.0), "water", cutoff_mm_g_ml=12.0)
        # KERNELS.md 2b: 0.9958 within 11 mm, 0.99604 within 20 mm; 5e-4 as in the point kernel's test.
        self.assertAlmostEqual(float(kernel.full().sum()), 0.99582, delta=5e-4)
        self.assertEqual(kernel.half_width_kji, (4, 4, 4))

    def test_the_kernel_is_not_renormalized(self) -> None:
        self.assertLess(voxel_kernel((4.0, 4.0, 4.0), "water").full().sum(), 0.9975)


class QuadratureTestCase(AgreementTestCase):
    def test_more_nodes_do_not_change_it(self) -> None:
        worst = 0.0
        for spacing, name, density in (
            ((1.0, 1.0, 1.0), "water", 1.0),
            ((2.21, 2.21, 2.21), "water", 1.0),
            ((3.0, 3.0, 3.0), "soft-tissue", 1.05),
            ((4.07, 4.07, 3.0), "soft-tissue", 1.05),
            ((4.07, 4.07, 3.0), "lung", 0.26),
            ((6.0, 6.0, 6.0), "water", 1.0),
            ((10.0, 10.0, 10.0), "water", 1.0),
            ((2.0, 2.0, 5.0), "soft-tissue", 1.04),
            ((10.0, 1.0, 3.0), "soft-tissue", 1.04),
        ):
            with self.subTest(spacing=spacing, medium=name):
                kernel = voxel_kernel(spacing, name, density)
                finer = with_nodes(kernel, 2.0)
                # Relative to the value where it is above a thousandth of the source voxel's, else to that thousandth.
                change = np.abs(kernel.octant - finer) / np.maximum(finer, 1e-3 * finer[0, 0, 0])
                self.assertLessEqual(change.max(), 1e-4)
                worst = max(worst, float(change.max()))
        self.assert_agrees("Voxel kernel, quadrature against twice the nodes", "itself", 100.0 * worst, 1e-2, "%")

    def test_the_error_estimate_covers_the_true_error(self) -> None:
        for spacing in ((2.21, 2.21, 2.21), (4.07, 4.07, 3.0), (2.0, 2.0, 5.0), (6.0, 1.0, 1.0)):
            with self.subTest(spacing=spacing):
                kernel = voxel_kernel(spacing, "soft-tissue", 1.05)
                finer = with_nodes(kernel, 2.5)
                # Of values that matter to a dose; far smaller ones are cut by the sphere at which the kernel ends.
                large = finer > 1e-3 * finer[0, 0, 0]
                self.assertTrue(np.all(kernel.octant_error[large] >= np.abs(kernel.octant - finer)[large]))
                self.assertLess(float((kernel.octant_error[large] / finer[large]).max()), 1e-3)

    def test_it_equals_shots_from_random_points_of_the_source_voxel(self) -> None:
        generator = np.random.default_rng(90)
        spacing, count = np.array([4.0, 3.0, 2.0]), 2_000_000
        ends = np.abs(shoot(load_point_kernel("soft-tissue").truncated(25.0), 1.05, spacing, count, generator))
        octant = voxel_kernel((4.0, 3.0, 2.0), "soft-tissue", 1.05).octant
        worst = 0.0
        for i, j, k in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 1, 1), (0, 0, 2)):
            with self.subTest(offset=(i, j, k)):
                images = 2 ** ((i > 0) + (j > 0) + (k > 0))
                share = float(np.mean(np.all(ends == (i, j, k), axis=1))) / images * ends.shape[0] / count
                sigma = np.sqrt(share / images / count)
                self.assertAlmostEqual(octant[k, j, i], share, delta=3.5 * sigma)  # of 8 values
                worst = max(worst, abs(octant[k, j, i] / share - 1.0))
        self.assert_agrees("Voxel kernel, 8 nearest voxels, 4x3x2 mm", "random shots", 100.0 * worst, 1.0, "%")

    def test_it_equals_the_same_integral_in_polar_coordinates(self) -> None:
        spacing = np.array([4.07, 4.07, 3.0])
        offsets = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 0, 2], [2, 1, 0]])
        point = load_point_kernel("water").truncated(12.0)
        expected = polar_energy(point, 1.0, spacing, offsets, 6000)
        octant = voxel_kernel(tuple(spacing), "water", cutoff_mm_g_ml=12.0).octant
        found = np.array([octant[k, j, i] for i, j, k in offsets])
        deviation = 100.0 * np.abs(found / expected - 1.0).max()
        # Fibonacci directions and 4 steps a shell on the reference's side: its own change from 6000 to 24000
        # directions is 0.02 %; the smooth curve through the shells moves single voxels by as much.
        self.assert_agrees("Voxel kernel, 8 voxels, 4.07x4.07x3 mm", "polar integral", deviation, 0.1, "%")


class SymmetryTestCase(unittest.TestCase):
    def test_the_full_kernel_is_even_along_every_axis_with_the_source_in_the_middle(self) -> None:
        kernel = voxel_kernel((2.0, 3.0, 5.0))
        full = kernel.full()
        for axis in range(3):
            np.testing.assert_array_equal(full, np.flip(full, axis))
        middle = tuple(n // 2 for n in full.shape)
        self.assertEqual(middle, kernel.half_width_kji)
        self.assertEqual(np.unravel_index(np.argmax(full), full.shape), middle)
        self.assertEqual(full[middle], kernel.octant[0, 0, 0])

    def test_swapping_the_edges_swaps_the_axes(self) -> None:
        first, second = voxel_kernel((2.0, 3.0, 5.0)).octant, voxel_kernel((5.0, 2.0, 3.0)).octant
        # Axes are (k, j, i): edges (2, 3, 5) lie along (i, j, k), edges (5, 2, 3) have 5 along i.
        np.testing.assert_allclose(first, second.transpose(2, 0, 1), rtol=1e-9, atol=1e-16)

    def test_values_fall_with_distance_along_an_axis_and_are_never_negative(self) -> None:
        octant = voxel_kernel((3.0, 3.0, 3.0)).octant
        self.assertTrue(np.all(octant >= 0.0))
        self.assertTrue(np.all(np.diff(octant[0, 0, :]) < 0.0))

    def test_results_cannot_be_changed_by_accident_and_are_computed_once(self) -> None:
        kernel = voxel_kernel((3.0, 3.0, 3.0))
        self.assertIs(kernel, voxel_kernel([3.0, 3.0, 3.0000001]))
        with self.assertRaises(ValueError):
            kernel.octant[0, 0, 0] = 1.0


class ScalingTestCase(AgreementTestCase):
    def test_density_scales_lengths(self) -> None:
        # O'Connor: equal mass thickness, equal energy: 6 mm at 0.5 g/mL is 3 mm at 1 g/mL.
        light, dense = voxel_kernel((6.0, 6.0, 4.0), "water", 0.5), voxel_kernel((3.0, 3.0, 2.0), "water", 1.0)
        # Both take the same nodes over the same mass thickness: equal but for rounding.
        np.testing.assert_allclose(light.octant, dense.octant, rtol=1e-9, atol=1e-15)
        # S has the target's mass below it: 8 times the volume at half the density.
        ratio = dense.s_value_mgy_per_mbq_s()[0, 0, 0] / light.s_value_mgy_per_mbq_s()[0, 0, 0]
        self.assertAlmostEqual(ratio, 4.0, delta=1e-8)

    def test_the_s_values_times_mass_sum_to_the_energy_per_decay(self) -> None:
        # KERNELS.md 6.1: sum S m = E, here 0.932914 MeV * 1.602176634e-13 J = 1.494693e-13 J, times the energy share.
        kernel = voxel_kernel((4.0, 4.0, 3.0), "soft-tissue", 1.05)
        mass_kg = 4.0 * 4.0 * 3.0 * 1e-6 * 1.05
        weights = np.array([1.0] + [2.0] * 40)
        s = kernel.s_value_mgy_per_mbq_s()
        k, j, i = s.shape
        total = np.einsum("kji,k,j,i->", s, weights[:k], weights[:j], weights[:i])
        joule = total * 1e-3 / 1e6 * mass_kg
        self.assertAlmostEqual(joule / (1.494693e-13 * kernel.energy_fraction), 1.0, delta=1e-4)

    def test_coarse_voxels_are_sums_of_fine_ones(self) -> None:
        # A 6 mm voxel is 27 voxels of 2 mm: the coarse kernel is the mean over sources of sums over targets, which
        # are the weights 1, 2, 3, 2, 1 on fine offsets -2..2 around each coarse offset, over 3 per axis.
        fine, coarse = voxel_kernel((2.0, 2.0, 2.0)).full(), voxel_kernel((6.0, 6.0, 6.0)).octant
        middle = fine.shape[0] // 2
        weights = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 3.0
        worst = 0.0
        for k, j, i in ((0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1)):
            box = tuple(slice(middle + 3 * n - 2, middle + 3 * n + 3) for n in (k, j, i))
            expected = np.einsum("abc,a,b,c->", fine[box], weights, weights, weights)
            worst = max(worst, abs(coarse[k, j, i] / expected - 1.0))
        # Both are self-converged to 1e-4.
        self.assert_agrees("Voxel kernel, 6 mm from 2 mm voxels", "exact sum", 100.0 * worst, 0.02, "%")


class RefusalTestCase(unittest.TestCase):
    def test_spacings_outside_the_range_are_refused_with_the_range(self) -> None:
        for spacing in ((0.2, 3.0, 3.0), (3.0, 21.0, 3.0), (3.0, 3.0), (3.0, float("nan"), 3.0), (-3.0, 3.0, 3.0)):
            with self.subTest(spacing=spacing), self.assertRaises(InputError) as caught:
                voxel_kernel(spacing)
            self.assertIn("0.25 to 20 mm", str(caught.exception))

    def test_densities_that_are_no_tissue_are_refused(self) -> None:
        for density in (0.0, 0.04, -1.0, 3.5, float("nan"), float("inf")):
            with self.subTest(density=density), self.assertRaises(InputError):
                voxel_kernel((3.0, 3.0, 3.0), density_g_ml=density)

    def test_a_cut_off_inside_the_betas_reach_or_beyond_the_table_is_refused(self) -> None:
        for cutoff in (11.9, float("nan"), 1e9):
            with self.subTest(cutoff=cutoff), self.assertRaises(InputError):
                voxel_kernel((3.0, 3.0, 3.0), cutoff_mm_g_ml=cutoff)

    def test_an_unknown_medium_is_refused(self) -> None:
        with self.assertRaises(InputError):
            voxel_kernel((3.0, 3.0, 3.0), "bone")

    def test_the_nearest_valid_inputs_pass(self) -> None:
        voxel_kernel((20.0, 20.0, 20.0), "water", cutoff_mm_g_ml=12.0)
        voxel_kernel((0.25, 3.0, 3.0), "water", 3.0)
        voxel_kernel((20.0, 20.0, 20.0), "lung", 0.05)


if __name__ == "__main__":
    unittest.main()
