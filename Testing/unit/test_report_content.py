"""A small made-up report for the tests of figures, tables and PDF, and what its plain data promise."""

from __future__ import annotations

import unittest
from dataclasses import replace

import numpy as np

from TARECOMETLib.dosimetry.dvh import Dvh, make_dvh
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.physics.nuclides import constants_set
from TARECOMETLib.report.content import (
    CompartmentDose,
    FindingLine,
    InjectionLine,
    LungLine,
    PhaseReport,
    ReportContent,
    Structure,
)
from TARECOMETLib.report.methods import method_sentences

NASTY = (
    '#import "x" $a^2$ [b] *c* _d_ @e <f> \\g `h` ~i // j /* k */',
    "Müller-Straße Ærø ½ µ",
    "转移灶 一",
    "x" * 150,
    "line\nbreak\ttab \u202eright-to-left \x07bell",
    "=1+1,\"quoted\";'single'",
    "{{data}} #{panic()} %s {0}",
)


def grid(
    shape_kji: tuple[int, int, int], spacing_mm: tuple[float, float, float], turn_deg: float = 0.0
) -> VolumeGeometry:
    """A grid around (0, 0, 0), turned about the superior axis."""
    angle = np.deg2rad(turn_deg)
    turned = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    matrix = np.eye(4)
    matrix[:3, :3] = turned * np.array(spacing_mm)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(shape_kji[::-1]) - 1.0) / 2.0)
    return VolumeGeometry(shape_kji, matrix)


def positions_mm(geometry: VolumeGeometry) -> np.ndarray:
    """Voxel centers, shape (k, j, i, 3)."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape_kji), indexing="ij")
    return np.stack((i, j, k), axis=-1) @ geometry.ijk_to_lps[:3, :3].T + geometry.ijk_to_lps[:3, 3]


def ball(geometry: VolumeGeometry, center_mm: tuple[float, float, float], radius_mm: float) -> Volume:
    """A boolean sphere."""
    distance = np.linalg.norm(positions_mm(geometry) - np.array(center_mm), axis=-1)
    return Volume(distance <= radius_mm, geometry)


def some_dvh(mean_gy: float, count: int = 200) -> Dvh:
    return make_dvh(np.linspace(0.3, 1.7, count) * mean_gy, np.full(count, 0.05), 1.05)


def sample_phase(phase: str, tumours: list[str], dose: Volume) -> PhaseReport:
    entries = [("liver", "liver", 60.0), ("right lobe", "territory", 80.0)]
    entries += [(name, "tumour", 120.0 + 10.0 * number) for number, name in enumerate(tumours)]
    entries += [("All tumours", "derived", 150.0), ("Whole normal liver", "derived", 40.0)]
    entries += [
        ("Normal perfused liver", "derived", 55.0),
        ("Non-perfused liver", "derived", 1.0),
        ("lungs", "lung", 2.0),
    ]
    compartments = tuple(
        CompartmentDose(
            name,
            role,
            mass_g=10.5,
            activity_mbq=25.0,
            dvh={"local": some_dvh(mean), "kernel": some_dvh(0.99 * mean)},
            multicompartment_gy=1.01 * mean,
            tumour_to_normal=2.5 if role == "tumour" else None,
            normal_reference="Normal perfused liver" if role == "tumour" else "",
            resolved=name != tumours[-1] if role == "tumour" else None,
        )
        for name, role, mean in entries
    )
    return PhaseReport(
        phase=phase,
        quantity="measured absolute" if phase == "post" else "predicted at delivered net",
        image="90Y PET" if phase == "post" else "99mTc-MAA SPECT",
        calibration="absolute" if phase == "post" else "relative",
        registration_method="rigid",
        registration_quality=0.98,
        balance={"net_injected_mbq": 1000.0, "liver_mbq": 940.0, "lungs_mbq": 30.0, "ratio": 0.97},
        lung=LungLine(3.1, 30.0, 1000.0, "assumed", "planar", visible_mass_g=333.0),
        compartments=compartments,
        kernel_energy_fraction=0.9955,
        dose={"local": dose, "kernel": dose},
    )


def sample_content(tumours: list[str] | None = None, findings: int = 3) -> ReportContent:
    """Two phases of one dose map that peaks at the patient's left, posterior and superior."""
    tumours = tumours or ["metastasis 1", "metastasis 2"]
    ct_grid, dose_grid, contour_grid = (
        grid((40, 40, 50), (4.0, 4.0, 4.0)),
        grid((50, 50, 60), (3.0, 3.0, 3.0), 20.0),
        grid((60, 60, 60), (2.5, 2.5, 2.5), -10.0),
    )
    distance = np.linalg.norm(positions_mm(dose_grid) - np.array([20.0, 15.0, 10.0]), axis=-1)
    dose = Volume((200.0 * np.exp(-((distance / 30.0) ** 2))).astype(np.float32), dose_grid)
    structures = [Structure("liver", "liver", ball(contour_grid, (0.0, 0.0, 0.0), 55.0))]
    structures.append(Structure("right lobe", "territory", ball(contour_grid, (-10.0, 0.0, 0.0), 40.0)))
    for number, name in enumerate(tumours):
        structures.append(
            Structure(name, "tumour", ball(contour_grid, (20.0 - 4.0 * number, 15.0, 10.0), 14.0 - 0.5 * number))
        )
    severities = ("note", "doubt", "note", "doubt")
    return ReportContent(
        case_id="TEST-1",
        device="TheraSphere",
        software="TARECOMET 0",
        constants=constants_set(),
        injections=(InjectionLine("one", "right lobe", "2026-03-10T11:20:00", 1050.0, 50.0, 1000.0, 0.03, 1000.0),),
        phases=(sample_phase("pre", tumours, dose), sample_phase("post", tumours, dose)),
        findings=tuple(
            FindingLine(
                phase=("pre", "post", "case")[n % 3],
                severity=severities[n % 4],
                code=f"code-{n}",
                where=f"where {n}",
                message=f"message {n} that says what was expected and what was found instead of it",
                mend="Look again",
                accepted="seen, and meant" if n % 4 == 1 else None,
            )
            for n in range(findings)
        ),
        structures=tuple(structures),
        ct=Volume(np.full((40, 40, 50), 50, dtype=np.int16), ct_grid),
        kernel_source="PENELOPE",
        provenance=(("case", "0123456789abcdef" * 4),),
    )


class MethodsTestCase(unittest.TestCase):
    def test_methods_are_three_sentences_that_name_the_kernel_and_its_energy_fraction(self) -> None:
        sentences = method_sentences(sample_content())
        self.assertEqual(len(sentences), 3)
        self.assertIn("0.9955 of the emitted energy", sentences[1])
        self.assertIn("PENELOPE", sentences[1])

    def test_each_phase_says_how_it_was_calibrated(self) -> None:
        content = sample_content()
        both = method_sentences(content)[0]
        self.assertIn("scaled in each territory", both)
        self.assertIn("Bq/mL", both)
        self.assertNotIn("scaled in each territory", method_sentences(replace(content, phases=content.phases[1:]))[0])


if __name__ == "__main__":
    unittest.main()
