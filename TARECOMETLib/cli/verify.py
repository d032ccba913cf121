"""``tarecomet verify``: published and hand-computed numbers against what this installation computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import typer

from .output import print_json, print_table


@dataclass(frozen=True)
class Check:
    """One number with its reference, and how far apart the two may be."""

    name: str
    value: float
    expected: float
    tolerance: float
    relative: bool
    reference: str

    @property
    def deviation(self) -> float:
        """Difference from the expected value, relative where the tolerance is."""
        difference = self.value - self.expected
        return difference / self.expected if self.relative else difference

    @property
    def passed(self) -> bool:
        """Whether the value lies within the tolerance."""
        return bool(abs(self.deviation) <= self.tolerance)


def verify(as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output.")) -> None:
    """The validation suite: number, reference, tolerance, pass or fail, one row each."""
    checks = [*_constants(), *_point_kernel(), *_voxel_kernel(), *_dose(), *_radiobiology(), *_planning()]
    failed = sum(not check.passed for check in checks)
    if as_json:
        rows = [
            {
                "name": c.name,
                "value": float(c.value),
                "expected": c.expected,
                "tolerance": c.tolerance,
                "tolerance_is_relative": c.relative,
                "passed": c.passed,
                "reference": c.reference,
            }
            for c in checks
        ]
        print_json({"checks": rows, "passed": len(checks) - failed, "failed": failed})
    else:
        print_table(
            f"{len(checks) - failed} of {len(checks)} pass",
            ["check", "here", "reference", "off by", "allowed", ""],
            [
                [
                    f"{c.name} [{c.reference}]",
                    f"{c.value:.5g}",
                    f"{c.expected:.5g}",
                    f"{100 * c.deviation:+.2f} %" if c.relative else f"{c.deviation:+.1e}",
                    f"{100 * c.tolerance:g} %" if c.relative else f"{c.tolerance:g}",
                    "pass" if c.passed else "FAIL",
                ]
                for c in checks
            ],
        )
    if failed:
        raise typer.Exit(1)


def _constants() -> Iterator[Check]:
    from ..physics.nuclides import constants_set

    hand = "hand: E T½ / ln 2"
    for name, expected in (("ENSDF 2020", 49.690), ("TheraSphere label", 49.963), ("DDEP 2015", 49.384)):
        value = constants_set(name).gy_kg_per_gbq
        yield Check(f"K of {name}, Gy kg/GBq", value, expected, 2e-5, True, hand)
    label = constants_set("TheraSphere label")
    yield Check("decay over 48 h at 64.1 h", label.decay_factor(48.0), 0.59509, 1e-5, False, "hand: exp(-λt)")
    at_injection = 1.0 / constants_set("MIRD 49.67").decay_factor(20.0)
    dose = 49.67 * at_injection / 1.05
    yield Check("1 MBq/mL 20 h after injection, Gy", dose, 58.706, 1e-3, False, "hand: K C exp(λt) / ρ")


def _point_kernel() -> Iterator[Check]:
    import numpy as np

    from ..physics.point_kernel import half_space_profile, load_point_kernel, sphere_absorbed_fraction

    water = load_point_kernel("water")
    grid = np.linspace(0.0, 11.0, 11001)
    within = np.asarray(water.cumulative_fraction(grid)) / float(water.cumulative_fraction(11.0))
    graves = "Graves 2019, 10.1002/mp.13789"
    for percent, radius in ((50, 2.359), (90, 5.421), (95, 6.279)):
        value = float(np.interp(percent / 100.0, within, grid))
        yield Check(f"X{percent} in water, mm", value, radius, 0.01, True, graves)
    half = half_space_profile(water.truncated(25.0), np.array([0.0]))[0] / float(water.cumulative_fraction(25.0))
    yield Check("edge of a half-space, share of the energy held", half, 0.5, 1e-6, False, "symmetry")
    spheres = "Hashempour 2019, PMC6352054"
    for radius_mm, expected in ((2.5, 0.39), (10.0, 0.80), (13.3, 0.85), (16.8, 0.88), (28.7, 0.93)):
        value = sphere_absorbed_fraction(water, radius_mm)
        yield Check(f"absorbed fraction, sphere of {radius_mm:g} mm", value, expected, 0.01, False, spheres)


def _voxel_kernel() -> Iterator[Check]:
    from ..physics.voxel_kernel import voxel_kernel

    for spacing, expected in ((3.0, 1.61), (6.0, 0.346)):
        value = float(voxel_kernel((spacing,) * 3, "water").s_value_mgy_per_mbq_s()[0, 0, 0])
        yield Check(f"S000 at {spacing:g} mm, water", value, expected, 0.03, True, "MIRD 17, JNM 40:11S")
    lanconelli = "Lanconelli 2012, PMB 57:517"
    table = {
        3.0: (1.59, 0.275, 0.0950, 0.0429, 0.0205),
        4.42: (0.689, 0.0973, 0.0248, 0.00778, 0.00210),
        6.0: (0.342, 0.0380, 0.00686, 0.00145, 1.31e-4),
    }
    offsets = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 0, 0))
    for spacing, row in table.items():
        values = voxel_kernel((spacing,) * 3, "soft-tissue").s_value_mgy_per_mbq_s()
        for offset, expected, bar in zip(offsets, row, (0.02, 0.02, 0.02, 0.02, 0.03), strict=True):
            name = f"S{''.join(str(n) for n in offset[::-1])} at {spacing:g} mm, soft tissue"
            yield Check(name, float(values[offset]), expected, bar, True, lanconelli)


def _dose() -> Iterator[Check]:
    import numpy as np

    from ..dosimetry.dose import kernel_dose_gy, local_dose_gy
    from ..physics.nuclides import constants_set
    from ..physics.voxel_kernel import voxel_kernel

    constants = constants_set()
    kernel = voxel_kernel((4.0, 4.0, 3.0))
    activity = np.ones((31, 25, 25))
    local = local_dose_gy(activity, 0.05, constants)
    spread = kernel_dose_gy([(activity, kernel)], 0.05, constants)
    ratio = float(spread[15, 12, 12] / local[15, 12, 12])
    yield Check(
        "uniform activity, kernel over local", ratio, kernel.energy_fraction, 1e-4, False, "energy conservation"
    )
    point = np.zeros_like(activity)
    point[15, 12, 12] = 1.0
    held = float(kernel_dose_gy([(point, kernel)], 0.05, constants).sum() * 0.05 / constants.gy_kg_per_gbq)
    yield Check("energy left by one voxel, share", held, kernel.energy_fraction, 1e-4, False, "energy conservation")


def _radiobiology() -> Iterator[Check]:
    import numpy as np

    from ..dosimetry.dvh import make_dvh
    from ..dosimetry.effect import effect_probability
    from ..dosimetry.effect_sets import published_model
    from ..dosimetry.radiobiology import Radiobiology, bed_gy, dose_of_bed_gy, eqd2_gy
    from ..dosimetry.uncertainty_inputs import InputUncertainties
    from ..dosimetry.uncertainty_quick import sphere_volume_uncertainty

    for ratio, dose, expected in ((10.0, 100.0, 122.87), (10.0, 189.0, 270.68), (2.5, 75.0, 126.45)):
        value = float(bed_gy(dose, Radiobiology(ratio, 1.5), 64.1))
        yield Check(
            f"BED of {dose:g} Gy, α/β {ratio:g} Gy, repair 1.5 h", value, expected, 0.01, False, "hand: Dale 1985"
        )
    yield Check("EQD2 of a BED of 100 Gy, α/β 3 Gy", float(eqd2_gy(100.0, 3.0)), 60.0, 1e-9, False, "hand: 30 × 2 Gy")
    for name, half in (("Dewaraja 2020, dose", 292.0), ("Dewaraja 2020, BED", 441.0)):
        model = published_model(name).model(slope_per_gy=0.01)
        dose_gy = half if model.quantity == "dose" else dose_of_bed_gy(half, Radiobiology(10.0, 1.5), 64.2)
        uniform = make_dvh(np.full(3, dose_gy), np.ones(3), 1.05)
        value = effect_probability(model, uniform, Radiobiology(10.0, 1.5), 64.2)
        source = "J Nucl Med 2020;61:104"
        yield Check(f"TCP at {half:g} Gy, {name}", value, 0.5, 1e-9, False, source)
    # A fixed activity in a sphere of 20 mm, its edge uncertain by 1 mm as a whole: u(m) / m = 3 u(r) / r.
    volume_ml = 4.0 / 3.0 * np.pi * 8.0
    by_contour = sphere_volume_uncertainty(volume_ml, InputUncertainties(contour_correlation_mm=60.0))["Contour"]
    expected = 0.15 * np.sqrt((1.0 - np.exp(-2.0 / 9.0)) * 4.5)
    yield Check("volume of a 20 mm sphere, edge ± 1 mm", by_contour, float(expected), 1e-9, False, "hand: 3 u(r) / r")


def _planning() -> Iterator[Check]:
    from ..physics.nuclides import constants_set
    from ..planning.prescription import (
        lung_dose_gy,
        order_activity_gbq,
        partition_activity_gbq,
        partition_doses_gy,
        single_compartment_activity_gbq,
    )

    constants = constants_set()
    single = single_compartment_activity_gbq(constants, 100.0, 1030.0, 0.10)
    source = "hand calculation, K 49.67; an open calculator's printed digits"
    yield Check("MIRD 100 Gy to 1.03 kg, LSF 10 % (GBq)", single, 2.3041, 5e-5, False, source)
    yield Check("lung dose with it (Gy)", lung_dose_gy(constants, single, 0.10), 11.444, 5e-4, False, source)
    yield Check("order with 10 % residual (GBq)", order_activity_gbq(single, 0.10), 2.5601, 5e-5, False, source)
    partition = partition_activity_gbq(constants, 206.0, 824.0, 3.0, 0.10, tumour_gy=300.0)
    yield Check("partition 300 Gy, T/N 3 (GBq)", partition, 3.2257, 5e-5, False, source)
    doses = partition_doses_gy(constants, 3.0, 200.0, 1300.0, 3.0, 0.05)
    yield Check("partition of 3 GBq, tumour (Gy)", doses.tumour_gy, 223.515, 5e-4, False, "hand calculation, K 49.67")
    yield Check("partition of 3 GBq, normal (Gy)", doses.normal_gy, 74.505, 5e-4, False, "hand calculation, K 49.67")
