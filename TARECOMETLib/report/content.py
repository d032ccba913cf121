"""What a report says, as plain data: the case fills it in, figures, tables and the PDF read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..dosimetry.dvh import Dvh
from ..imaging.volume import Volume
from ..physics.nuclides import ConstantsSet
from .comparison_content import ComparisonReport

LOCAL, KERNEL, MULTICOMPARTMENT = "local", "kernel", "multicompartment"
RECOVERED = "multicompartment, recovery-corrected"
SCALED_QUANTITY = "measured scaled to net × (1 - LSF)"
PHASE_TITLES = {"pre": "Before treatment", "post": "After treatment"}


def phase_title(phase: str) -> str:
    """Words for a phase's machine name."""
    return PHASE_TITLES.get(phase, phase)


@dataclass(frozen=True)
class InjectionLine:
    """One injection; activities in MBq at its own time."""

    id: str
    territory: str
    time: str
    vial_mbq: float
    residual_mbq: float
    net_mbq: float
    lung_shunt_fraction: float
    planned_mbq: float | None = None


@dataclass(frozen=True)
class LungLine:
    """Mean lung dose of a phase, K · Σ A · LSF / m.

    Parameters
    ----------
    mean_gy, activity_mbq, mass_g : float
        Dose, shunted activity and the mass the dose was taken over.
    mass_source : str
        For instance ``"assumed"`` or ``"CT densitometry"``.
    method : str
        How the shunt was measured.
    visible_mass_g : float or None
        Of the lungs as drawn, where they are drawn.
    """

    mean_gy: float
    activity_mbq: float
    mass_g: float
    mass_source: str
    method: str
    visible_mass_g: float | None = None


@dataclass(frozen=True, eq=False)
class CompartmentDose:
    """Doses of one compartment in one phase.

    Parameters
    ----------
    name, role : str
        The role is liver, territory, tumour, lung, other or derived.
    mass_g, activity_mbq : float
    dvh : dict
        Method (``"local"``, ``"kernel"``) to DVH.
    multicompartment_gy : float or None
        K · A / m from the image's own voxels, without a dose map.
    tumour_to_normal : float or None
        Ratio of mean local doses.
    normal_reference : str
        The compartment that ratio refers to.
    resolved : bool or None
        False where it is smaller than the image resolves; None where that is not known.
    biological : dict
        Method to BED, EQD2 and equivalent uniform doses with their parameters; empty where no tissue is given.
    bed_dvh : dict
        Method to histogram of voxel BED.
    effects : dict
        Method to dose-effect models with the probability of their end point.
    relative_uncertainty : float or None
        Standard uncertainty of the mean dose over the mean; None where there is none.
    budget : tuple of (str, float, float)
        Source, standard uncertainty of the mean local dose in Gy, share of the variance; largest first.
    noise_sd_gy : float or None
        Part of the SD of voxel doses that is image noise.
    blur_bias_percent : float or None
        What blur is expected to take off the mean; not in the uncertainty.
    blur_corrected : tuple of (float, float) or None
        Mean local dose corrected for blur as a sphere, and its standard uncertainty, in Gy.
    margins : tuple of (float, float)
        Margin on the contour in mm and mean local dose in Gy.
    band : tuple of (float, float, float)
        Volume in %, 2.5 and 97.5 % points of the local dose it receives, by sampling; empty where not sampled.
    recovered_gy : float or None
        Multicompartment mean corrected for partial volume; None where that is off.
    scaled_gy : dict
        Method to mean measured dose scaled to net · (1 - LSF) over the liver; empty where it is not absolute.
    """

    name: str
    role: str
    mass_g: float
    activity_mbq: float
    dvh: dict[str, Dvh]
    multicompartment_gy: float | None = None
    tumour_to_normal: float | None = None
    normal_reference: str = ""
    resolved: bool | None = None
    biological: dict[str, dict[str, float]] = field(default_factory=dict)
    bed_dvh: dict[str, Dvh] = field(default_factory=dict)
    effects: dict[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    relative_uncertainty: float | None = None
    budget: tuple[tuple[str, float, float], ...] = ()
    noise_sd_gy: float | None = None
    blur_bias_percent: float | None = None
    blur_corrected: tuple[float, float] | None = None
    margins: tuple[tuple[float, float], ...] = ()
    band: tuple[tuple[float, float, float], ...] = ()
    recovered_gy: float | None = None
    scaled_gy: dict[str, float] = field(default_factory=dict)

    @property
    def volume_ml(self) -> float:
        """Volume on the dose grid."""
        return next(iter(self.dvh.values())).total_volume_ml


@dataclass(frozen=True, eq=False)
class PhaseReport:
    """One phase, before or after treatment.

    Parameters
    ----------
    phase : str
        ``"pre"`` or ``"post"``.
    quantity : str
        Which dose this is: predicted as planned, predicted at delivered net, measured absolute, measured scaled.
    image : str
        What it comes from, in words: ``"99mTc-MAA SPECT/CT"``.
    calibration : str
        ``"relative"`` or ``"absolute"``.
    registration_method : str
    registration_quality : float
        Correlation of the CTs near the liver.
    balance : dict
        As the workflow gives it: net_injected_mbq, liver_mbq, lungs_mbq, ratio; image_total_mbq and field_ratio where
        the image is absolute, shares of the field's counts where it is not.
    lung : LungLine
    compartments : tuple of CompartmentDose
    kernel_energy_fraction : float
    dose : dict
        Method to dose map in Gy, in the diagnostic image's space. Empty: no pictures of this phase.
    """

    phase: str
    quantity: str
    image: str
    calibration: str
    registration_method: str
    registration_quality: float
    balance: dict[str, float]
    lung: LungLine
    compartments: tuple[CompartmentDose, ...]
    kernel_energy_fraction: float
    dose: dict[str, Volume] = field(default_factory=dict)


@dataclass(frozen=True)
class FindingLine:
    """A finding: fields as in the case's own, and the phase it belongs to (``"case"`` for both)."""

    phase: str
    severity: str
    code: str
    where: str
    message: str
    mend: str = ""
    accepted: str | None = None
    reference: str = ""


@dataclass(frozen=True, eq=False)
class Structure:
    """A drawn contour as figures need it: a boolean volume in the diagnostic image's space."""

    name: str
    role: str
    volume: Volume


@dataclass(frozen=True)
class PlanReport:
    """What was planned, as text.

    Parameters
    ----------
    chosen : str
        Activities of the injections.
    models : tuple of tuple of str
        Model, territory, prescription, net and order activity, dose to tumour, normal perfused liver and lungs.
    windows, vials, notes : tuple of str
        Sentences.
    criteria : tuple of tuple of str
        Goal or limit, value, met or by how much not, advisory or nothing, reference.
    """

    chosen: str
    models: tuple[tuple[str, ...], ...]
    windows: tuple[str, ...]
    criteria: tuple[tuple[str, ...], ...]
    vials: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ReportContent:
    """Everything a report of one case says.

    Parameters
    ----------
    case_id, device : str
        Pseudonym; product.
    software : str
        Name and version.
    constants : ConstantsSet
    injections : tuple of InjectionLine
    phases : tuple of PhaseReport
        Before treatment first.
    findings : tuple of FindingLine
        In any order; reports sort them.
    structures : tuple of Structure
        Drawn contours, for the pictures.
    ct : Volume or None
        Diagnostic CT in HU; without one the pictures have a black ground.
    kernel_source : str
        Where the point kernel comes from.
    provenance : tuple of (str, str)
        Label and value: hashes, versions, files.
    figure_method : str
        Dose map and DVH that the figures show: ``"local"`` or ``"kernel"``.
    stale_reason : str
        Not empty: the results no longer belong to the inputs; every page and picture says so.
    plan : PlanReport or None
    comparison : ComparisonReport or None
        Predicted against delivered; None where a phase is missing.
    """

    case_id: str
    device: str
    software: str
    constants: ConstantsSet
    injections: tuple[InjectionLine, ...]
    phases: tuple[PhaseReport, ...]
    findings: tuple[FindingLine, ...] = ()
    structures: tuple[Structure, ...] = ()
    ct: Volume | None = None
    kernel_source: str = ""
    provenance: tuple[tuple[str, str], ...] = ()
    figure_method: str = KERNEL
    stale_reason: str = ""
    plan: PlanReport | None = None
    comparison: ComparisonReport | None = None
