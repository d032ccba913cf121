"""Dose maps against physical truths: spheres, a half-space, a border between tissue and lung."""

from __future__ import annotations

import unittest

import numpy as np
from support import PENELOPE, AgreementTestCase, ball_occupancy, read_columns, requires_kernel_data

from TARECOMETLib.dosimetry.dose import convolve, kernel_dose_gy, local_dose_gy
from TARECOMETLib.physics.nuclides import constants_set
from TARECOMETLib.physics.point_kernel import half_space_profile, load_point_kernel, sphere_absorbed_fraction
from TARECOMETLib.physics.voxel_kernel import voxel_kernel

CONSTANTS = constants_set("ICRP 107")
# Mass in g at density 1, absorbed fraction (KERNELS.md section 6.4; 2000 g from shared/data/kernels/
# sphere_absorbed_fractions_90Y_water.csv) and voxel edge in mm. A border voxel shares its energy between inside and
# outside by volume, though its activity lies inside: the map's fraction is low by about 0.16 h²/R (measured here), so
# the grid has to be fine: edges that keep this under 0.004.
SPHERES = (
    (0.1, 0.4337, 0.25),
    (0.5, 0.6179, 0.3),
    (1.0, 0.6877, 0.35),
    (4.0, 0.7965, 0.45),
    (10.0, 0.8479, 0.5),
    (40.0, 0.9022, 0.7),
    (100.0, 0.9269, 0.8),
    (500.0, 0.9558, 1.0),
    (2000.0, 0.9711, 1.3),
)


class SphereTestCase(AgreementTestCase):
    def absorbed(self, mass_g: float, spacing: tuple[float, float, float], medium: str, density: float) -> float:
        """Share of the energy that a ball of uniform activity keeps, from a convolved map."""
        radius = (3.0 * mass_g / density * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
        occupancy = ball_occupancy(radius, spacing)
        # Within the ball nothing travels further than its diameter: a nearer cut-off changes nothing there.
        cutoff = 25.0 if 2.0 * radius * density > 12.5 else 12.5
        energy = convolve(occupancy, voxel_kernel(spacing, medium, density, cutoff))
        return float(np.sum(energy * occupancy, dtype=np.float64) / occupancy.sum())

    def test_absorbed_fractions_in_water_are_the_references(self) -> None:
        for mass_g, expected, edge in SPHERES:
            found = self.absorbed(mass_g, (edge,) * 3, "water", 1.0)
            # The bar of issue 2.
            self.assert_agrees(
                f"Sphere absorbed fraction, {mass_g:g} g, {edge:g} mm voxels", "KERNELS.md 6.4", found - expected, 0.005
            )

    def test_absorbed_fractions_in_liver_follow_the_soft_tissue_kernel(self) -> None:
        kernel = load_point_kernel("soft-tissue")
        for mass_g, edge in ((1.0, 0.3), (30.0, 0.6)):
            radius = (3.0 * mass_g / 1.05 * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
            expected = sphere_absorbed_fraction(kernel, radius * 1.05)
            found = self.absorbed(mass_g, (edge, edge, 1.2 * edge), "soft-tissue", 1.05)
            self.assertAlmostEqual(found, expected, delta=0.005)

    def test_the_mean_dose_of_a_sphere_is_its_absorbed_fraction_of_local_deposition(self) -> None:
        # 100 MBq in 10 g, ICRP 107: K = 49.770 Gy kg/GBq (KERNELS.md 1), phi 0.8479: 497.70 * 0.8479 = 422.0 Gy.
        spacing = (0.5, 0.5, 0.5)
        radius = (3.0 * 10.0 * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
        occupancy = ball_occupancy(radius, spacing)
        activity = 100.0 * occupancy / occupancy.sum()
        dose = kernel_dose_gy([(activity, voxel_kernel(spacing, "water", 1.0))], 1.25e-4, CONSTANTS)
        mean = float(np.sum(dose * occupancy, dtype=np.float64) / occupancy.sum())
        # 0.005 of 497.7 Gy.
        self.assertAlmostEqual(mean, 422.0, delta=2.5)


class HalfSpaceTestCase(AgreementTestCase):
    """Activity on one side of a plane between voxels; D_inf is the dose where all energy stays."""

    def profile(
        self, spacing: tuple[float, float, float], medium: str, density: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Depth of each voxel's middle in mm, positive on the active side, and D / D_inf on the central line."""
        kernel = voxel_kernel(spacing, medium, density)
        half_k, half_j, half_i = kernel.half_width_kji
        activity = np.zeros((4 * half_k, 2 * half_j + 1, 2 * half_i + 1))
        activity[2 * half_k :] = 0.01
        mass = density * np.prod(spacing) / 1000.0
        dose = kernel_dose_gy([(activity, kernel)], mass, CONSTANTS)
        local = float(local_dose_gy(activity, mass, CONSTANTS).max())
        depth = (np.arange(4 * half_k) - 2 * half_k + 0.5) * spacing[2]
        inside = slice(half_k, 3 * half_k)  # further in, the end of the grid is in reach
        return depth[inside], dose[inside, half_j, half_i] / local

    def expected(self, depth: np.ndarray, edge_mm: float, medium: str, density: float, energy: float) -> np.ndarray:
        """The analytic profile averaged over each voxel; what the cut-off leaves off is half on each side."""
        kernel = load_point_kernel(medium).truncated(25.0)
        steps = ((np.arange(40) + 0.5) / 40.0 - 0.5) * edge_mm
        points = (depth[:, None] + steps).ravel() * density
        inside = half_space_profile(kernel, np.abs(points))
        return np.where(points > 0.0, inside, energy - inside).reshape(depth.size, -1).mean(axis=1)

    def test_the_edge_profile_is_the_analytic_one(self) -> None:
        for spacing, medium, density in (
            ((2.0, 2.0, 2.0), "water", 1.0),
            ((5.0, 5.0, 0.5), "water", 1.0),
            ((4.07, 4.07, 3.0), "soft-tissue", 1.05),
        ):
            depth, found = self.profile(spacing, medium, density)
            energy = voxel_kernel(spacing, medium, density).energy_fraction
            expected = self.expected(depth, spacing[2], medium, density, energy)
            deviation = 100.0 * float(np.abs(found - expected).max())
            name = "x".join(f"{v:g}" for v in spacing)
            self.assert_agrees(f"Half-space edge, {name} mm", "analytic profile", deviation, 1.0, "% of D_inf")

    def test_the_edge_profile_in_water_is_the_printed_one(self) -> None:
        # KERNELS.md section 6.2, read between the two 0.25 mm voxels that meet at each depth; the profile's curvature
        # over them is 0.003 at 0.5 mm. The bar of issue 2 is 1 % of D_inf.
        depth, found = self.profile((5.0, 5.0, 0.25), "water", 1.0)
        printed = {0.0: 0.499, 0.5: 0.670, 1.0: 0.764, 1.5: 0.829, 2.0: 0.876, 2.5: 0.911, 3.0: 0.937, 4.0: 0.969}
        printed |= {5.0: 0.985, 6.0: 0.993, 8.0: 0.9965, 10.0: 0.997}
        worst = max(abs(float(np.interp(z, depth, found)) - value) for z, value in printed.items())
        self.assert_agrees("Half-space edge, 5x5x0.25 mm", "KERNELS.md 6.2", 100.0 * worst, 1.0, "% of D_inf")

    def test_both_sides_of_the_edge_add_up_to_the_energy_fraction(self) -> None:
        spacing = (5.0, 5.0, 0.5)
        _, found = self.profile(spacing, "water", 1.0)
        np.testing.assert_allclose(found + found[::-1], voxel_kernel(spacing, "water", 1.0).energy_fraction, atol=2e-5)


class InterfaceTestCase(AgreementTestCase):
    """Soft tissue (1.06 g/mL, z < 0) beside lung (0.26 g/mL), active on one side: DEFINITIONS.md 5.

    Energy is spread with the kernel of the source's tissue as if that tissue went on, then divided by the target's
    mass. Total energy is exact by definition. Where the energy lies beyond the border is not: in the other tissue
    the betas travel four times nearer or further. How far off that is, these tests state.
    """

    spacing = (8.0, 8.0, 0.5)

    def profile(self, source: str) -> tuple[np.ndarray, np.ndarray]:
        """z of the bins' middles and D relative to local deposition in the source's tissue."""
        medium, density, slab_mm = ("soft-tissue", 1.06, 20.0) if source == "tissue" else ("lung", 0.26, 50.0)
        kernel = voxel_kernel(self.spacing, medium, density)
        half_k, half_j, half_i = kernel.half_width_kji
        reach = max(half_k, 100)
        slab = round(slab_mm / self.spacing[2])
        z = (np.arange(2 * (reach + slab)) - (reach + slab) + 0.5) * self.spacing[2]
        active = (z < 0.0) & (z > -slab_mm) if source == "tissue" else (z > 0.0) & (z < slab_mm)
        activity = np.zeros((z.size, 2 * half_j + 1, 2 * half_i + 1))
        activity[active] = 0.001
        voxel_ml = float(np.prod(self.spacing)) / 1000.0
        mass = np.where(z < 0.0, 1.06, 0.26)[:, None, None] * voxel_ml * np.ones(activity.shape)
        dose = kernel_dose_gy([(activity, kernel)], mass, CONSTANTS)[:, half_j, half_i]
        local = float(local_dose_gy(np.array([[[0.001]]]), density * voxel_ml, CONSTANTS)[0, 0, 0])
        return z, dose.astype(float) / local

    def test_total_energy_is_conserved_per_area(self) -> None:
        for source, slab_mm, density in (("tissue", 20.0, 1.06), ("lung", 50.0, 0.26)):
            z, relative = self.profile(source)
            medium = "soft-tissue" if source == "tissue" else "lung"
            energy = float(np.sum(relative * np.where(z < 0.0, 1.06, 0.26))) * self.spacing[2] / density
            fraction = voxel_kernel(self.spacing, medium, density).energy_fraction
            self.assert_agrees(
                f"Interface, source in {source}, total energy",
                "the slab's",
                100.0 * (energy / slab_mm / fraction - 1.0),
                0.01,
                "%",
            )

    @requires_kernel_data
    def test_dose_in_the_sources_own_tissue_is_the_monte_carlo_profile(self) -> None:
        for source, reach_mm in (("tissue", 10.0), ("lung", 30.0)):
            z, found = self.profile(source)
            table = read_columns(PENELOPE / f"interface_{source}_source_penelope.csv")
            depth = -table["z_mm"] if source == "tissue" else table["z_mm"]
            own = (depth > 0.0) & (depth < reach_mm)
            deviation = 100.0 * np.abs(np.interp(table["z_mm"], z, found) - table["D_rel"])[own].max()
            # The table's sigma is 0.5 to 1 % of D_inf: the largest of 20 or 60 values lies at 2 to 3 sigma.
            self.assert_agrees(f"Interface, source in {source}, its own side", "PENELOPE", deviation, 2.0, "% of D_inf")

    @requires_kernel_data
    def test_dose_beyond_the_border_is_indicative_and_this_is_how_far_off_it_is(self) -> None:
        # No bar but what was measured: the rule puts the energy as near to the border as the source's tissue would,
        # so lung beside tissue gets 1.61 of D_inf in its first 0.5 mm (Monte Carlo 0.46) and 0.03 at 5 mm (0.18);
        # tissue beside lung gets 0.11 (0.39) and 0.045 (0.007).
        for source, z_mm, allowed in (("tissue", 0.25, 120.0), ("tissue", 5.25, 20.0), ("lung", -0.25, 30.0)):
            z, found = self.profile(source)
            table = read_columns(PENELOPE / f"interface_{source}_source_penelope.csv")
            difference = np.interp(z_mm, z, found) - np.interp(z_mm, table["z_mm"], table["D_rel"])
            self.assert_agrees(
                f"Interface, source in {source}, {abs(z_mm):g} mm beyond",
                "PENELOPE",
                100.0 * difference,
                allowed,
                "% of D_inf",
            )

    @requires_kernel_data
    def test_the_energy_that_crosses_the_border_is_the_monte_carlo_codes(self) -> None:
        for source, printed in (("tissue", 3.28), ("lung", 5.2)):
            # KERNELS.md 6.3: 3.28 % of the energy of a 20 mm tissue slab, 5.2 % of a 50 mm lung slab.
            z, found = self.profile(source)
            other = z > 0.0 if source == "tissue" else z < 0.0
            slab = 20.0 * 1.06 if source == "tissue" else 50.0 * 0.26
            weight = 0.26 if source == "tissue" else 1.06
            crossing = 100.0 * float(found[other].sum()) * self.spacing[2] * weight / slab
            self.assert_agrees(
                f"Interface, source in {source}, energy that crosses",
                "KERNELS.md 6.3",
                crossing - printed,
                0.5,
                "% of E",
            )


if __name__ == "__main__":
    unittest.main()
