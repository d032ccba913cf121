"""The Case: one patient's inputs as one immutable document."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..dosimetry.compartments import ROLES
from ..dosimetry.delivery import VialAssay, WasteMeasurement
from ..dosimetry.effect import EffectModel
from ..dosimetry.lung_shunt import PlanarShunt
from ..dosimetry.parcels import MAXIMUM_CONTOURS
from ..dosimetry.recovery import RecoveryPoint
from ..dosimetry.uncertainty_inputs import InputUncertainties
from ..errors import InputError
from ..imaging.emission import EmissionFacts, local_time
from ..physics.nuclides import DEFAULT_CONSTANTS_SET, constants_set
from .codec import decode, encode
from .plan_document import PlanSettings

SCHEMA_VERSION = 1

DIAGNOSTIC = "diagnostic"
MAA_SPECT, MAA_CT = "maa_spect", "maa_ct"
Y90_PET, Y90_SPECT, Y90_CT = "y90_pet", "y90_spect", "y90_ct"
IMAGE_ROLES = (DIAGNOSTIC, MAA_SPECT, MAA_CT, Y90_PET, Y90_SPECT, Y90_CT)
# As a person reads them.
ROLE_WORDS = {
    DIAGNOSTIC: "diagnostic image",
    MAA_SPECT: "MAA SPECT",
    MAA_CT: "CT of the SPECT",
    Y90_PET: "90Y PET",
    Y90_SPECT: "90Y SPECT",
    Y90_CT: "CT of the 90Y image",
}


@dataclass(frozen=True)
class ImageEntry:
    """One image by its role: what its tags say, taken down when the role was given.

    Parameters
    ----------
    modality : str
        CT, MR, NM or PT.
    description, series_instance_uid, frame_of_reference_uid, patient_id : str
    content_sha256 : str
        Over voxels and grid; a file that changed later is found by it.
    emission : EmissionFacts or None
        For NM and PT.
    """

    modality: str
    description: str = ""
    series_instance_uid: str = ""
    frame_of_reference_uid: str = ""
    patient_id: str = ""
    content_sha256: str = ""
    emission: EmissionFacts | None = None


@dataclass(frozen=True)
class ContourEntry:
    """One drawn structure.

    Parameters
    ----------
    name : str
        As the person named it.
    role : str
        liver, territory, tumour, lung or other.
    source : str
        What it was drawn on: CT, MR, FDG, uptake, or unknown.
    drawn_on : str
        Role of the image whose space it lies in.
    content_sha256 : str
    """

    name: str
    role: str
    source: str = "unknown"
    drawn_on: str = DIAGNOSTIC
    content_sha256: str = ""

    def __post_init__(self) -> None:
        where = f'contour "{self.name}"'
        if not self.name.strip():
            raise InputError(where, "it has no name", "Give it one")
        if self.role not in ROLES:
            raise InputError(where, f'there is no role "{self.role}"', f"Choose one of {', '.join(ROLES)}")
        if self.drawn_on not in IMAGE_ROLES:
            raise InputError(
                f"{where}, drawn_on",
                f'there is no image role "{self.drawn_on}"',
                f"Choose one of {', '.join(IMAGE_ROLES)}",
            )


@dataclass(frozen=True)
class Injection:
    """One injection of microspheres into one territory, all in MBq at its own time.

    Parameters
    ----------
    id, territory, time : str
        ``time`` is an ISO date and time, local.
    vial_mbq, residual_mbq, planned_mbq : float
        Doses use vial less residual.
    lung_shunt_fraction : float or None
        Its own; else the case's.
    assay : VialAssay or None
    waste : WasteMeasurement or None
        What vial and residual were measured by; a case check compares them.
    """

    id: str
    territory: str
    time: str
    vial_mbq: float
    residual_mbq: float = 0.0
    planned_mbq: float | None = None
    lung_shunt_fraction: float | None = None
    assay: VialAssay | None = None
    waste: WasteMeasurement | None = None

    def __post_init__(self) -> None:
        where = f'injection "{self.id}"'
        local_time(self.time, where)
        if self.assay is not None:
            local_time(self.assay.time, f"{where}, assay")
        for name in ("vial_mbq", "residual_mbq", "planned_mbq"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"{where}, {name}", f"expected a finite number, got {value}", "Correct the value")
        if not self.vial_mbq > 0.0:
            raise InputError(where, f"its vial activity is {self.vial_mbq:g} MBq", "Give the assayed activity in MBq")
        if self.residual_mbq < 0.0 or self.residual_mbq >= self.vial_mbq:
            raise InputError(
                where,
                f"its residual of {self.residual_mbq:g} MBq is not between 0 and the vial's {self.vial_mbq:g} MBq",
                "Check both assays and their units",
                "residual",
            )
        if self.lung_shunt_fraction is not None:
            require_shunt(self.lung_shunt_fraction, where)

    @property
    def net_mbq(self) -> float:
        """Activity that reached the patient."""
        return self.vial_mbq - self.residual_mbq


def require_shunt(fraction: float, where: str) -> None:
    """Refuse a lung shunt that is not a fraction from 0 to below 1."""
    if not 0.0 <= fraction < 1.0:
        raise InputError(
            where,
            f"its lung shunt fraction is {fraction:g}, expected 0 to below 1",
            "Write 5 % as 0.05",
            "lung-shunt",
        )


@dataclass(frozen=True)
class Tissue:
    """Radiobiological parameters, given by the person: there is no default.

    Parameters
    ----------
    alpha_beta_gy : float
        Above 0.
    repair_half_time_h : float
        At least 0; at 0 BED is the dose.
    eud_exponent : float or None
        Exponent of gEUD.
    alpha_per_gy : float or None
        Linear coefficient, for EUD by survival and EUBED.
    """

    alpha_beta_gy: float
    repair_half_time_h: float
    eud_exponent: float | None = None
    alpha_per_gy: float | None = None

    def __post_init__(self) -> None:
        for name in ("alpha_beta_gy", "alpha_per_gy"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise InputError(f"tissue.{name}", f"expected above 0, got {value:g}", "Correct the value")
        if not self.repair_half_time_h >= 0.0:
            raise InputError(
                "tissue.repair_half_time_h", f"expected 0 or more, got {self.repair_half_time_h:g}", "Write it in hours"
            )
        if self.eud_exponent == 0.0:
            raise InputError("tissue.eud_exponent", "it is 0, for which gEUD is not defined", "Correct the value")


@dataclass(frozen=True)
class RecoverySettings:
    """Partial-volume correction; the case has none unless a person asks for it.

    Parameters
    ----------
    method : str
        ``"resolution"`` (transfer matrix of the drawn regions) or ``"table"`` (a phantom's coefficients).
    fwhm_ijk_mm : tuple of float or None
        Resolution along the image's axes where it is not the settings' one.
    table : tuple of RecoveryPoint or None
        For ``"table"``.
    """

    method: str = "resolution"
    fwhm_ijk_mm: tuple[float, ...] | None = None
    table: tuple[RecoveryPoint, ...] | None = None

    def __post_init__(self) -> None:
        where = "settings.recovery"
        if self.method not in ("resolution", "table"):
            raise InputError(f"{where}.method", f'there is no "{self.method}"', 'Write "resolution" or "table"')
        if self.method == "table" and len(self.table or ()) < 2:
            raise InputError(f"{where}.table", "it holds fewer than two points", "Give a phantom's spheres")
        widths = self.fwhm_ijk_mm
        if widths is not None and not (len(widths) == 3 and all(1.0 <= w <= 40.0 for w in widths)):
            raise InputError(f"{where}.fwhm_ijk_mm", "expected three widths of 1 to 40 mm", "Correct them")


@dataclass(frozen=True)
class Settings:
    """How doses are computed.

    Parameters
    ----------
    pre_calibration, post_calibration : str
        ``"relative"`` (counts shared out) or ``"absolute"`` (Bq/mL).
    liver_density_g_ml : float
        Of liver and tumours.
    other_density_g_ml : float
        Of everything outside liver, tumours and lungs; it only takes energy that leaves them.
    lung_mass_g : float
        Assumed where the lungs are cut off by the field of view, not drawn, or the CT gives none.
    resolution_fwhm_mm : dict
        Image role to resolution of the reconstructed image, for what blur does at each lesion's size.
    dose_grid_mm : float
        Wanted edge of a dose voxel; the contours' grid is divided or joined by whole factors to come near.
    tumour_tissue, liver_tissue : Tissue or None
        For BED, EQD2 and equivalent uniform doses.
    effects : tuple of EffectModel or None
        Dose-effect models to evaluate: published ones completed, those fitted by a study, or the person's own.
    uncertainty : InputUncertainties or None
        Standard uncertainties of the inputs; None for the named defaults.
    recovery : RecoverySettings or None
        Partial-volume correction beside the measured figures; None for none.
    """

    pre_calibration: str = "relative"
    post_calibration: str = "absolute"
    liver_density_g_ml: float = 1.05
    other_density_g_ml: float = 1.04
    lung_mass_g: float = 1000.0
    resolution_fwhm_mm: dict[str, float] = field(default_factory=dict)
    dose_grid_mm: float = 2.0
    tumour_tissue: Tissue | None = None
    liver_tissue: Tissue | None = None
    effects: tuple[EffectModel, ...] | None = None
    uncertainty: InputUncertainties | None = None
    recovery: RecoverySettings | None = None

    def __post_init__(self) -> None:
        for name in ("pre_calibration", "post_calibration"):
            if getattr(self, name) not in ("relative", "absolute"):
                raise InputError(
                    f"settings.{name}", f'there is no "{getattr(self, name)}"', 'Write "relative" or "absolute"'
                )
        for name, low, high in (
            ("liver_density_g_ml", 0.9, 1.2),
            ("other_density_g_ml", 0.8, 1.3),
            ("lung_mass_g", 100.0, 3000.0),
            ("dose_grid_mm", 1.0, 6.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise InputError(
                    f"settings.{name}", f"expected {low:g} to {high:g}, got {getattr(self, name):g}", "Check the unit"
                )
        for role, width in self.resolution_fwhm_mm.items():
            where = f"settings.resolution_fwhm_mm.{role}"
            if role not in IMAGE_ROLES:
                raise InputError(where, "there is no such image role", f"Choose one of {', '.join(IMAGE_ROLES)}")
            if not 1.0 <= width <= 40.0:
                raise InputError(where, f"expected 1 to 40, got {width:g}", "Write the resolution in mm")


@dataclass(frozen=True)
class Case:
    """All inputs of one patient except where the files are.

    Parameters
    ----------
    case_id : str
        Pseudonym.
    device : str
    constants_set : str
        Name of the decay data set.
    images : dict
        Role to entry.
    contours : tuple of ContourEntry
    injections : tuple of Injection
    lung_shunt_fraction : float
        For injections without their own.
    lung_shunt_method : str
        planar, SPECT or entered.
    settings : Settings
    registration_lps : dict
        ``"pre"`` or ``"post"`` to a 4x4 matrix (image frame to diagnostic) that a person fixed; else it is computed.
    accepted : dict
        Code of a doubt to the person's reason for accepting it.
    catheter_position : str or None
        At treatment, against the angiography with MAA: same or changed.
    primary_resolution : str or None
        Which voxel comparison is primary, stated beforehand: matched (the sharper map blurred) or unmatched.
    nudge_lps_mm : dict or None
        ``"pre"`` or ``"post"`` to three mm by which the emission image is moved against its own CT.
    plan : PlanSettings or None
        Goals, targets, planned injections and vials; None leaves all of it to the defaults.
    planar_counts : PlanarShunt or None
        Counts that the lung shunt fraction was computed from.
    earlier_lung_gy : dict or None
        Date or name of earlier treatments to their mean lung dose, Gy.
    """

    case_id: str
    images: dict[str, ImageEntry]
    contours: tuple[ContourEntry, ...]
    injections: tuple[Injection, ...] = ()
    device: str = "TheraSphere"
    constants_set: str = DEFAULT_CONSTANTS_SET
    lung_shunt_fraction: float = 0.0
    lung_shunt_method: str = "entered"
    settings: Settings = field(default_factory=Settings)
    registration_lps: dict[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    catheter_position: str | None = None
    primary_resolution: str | None = None
    plan: PlanSettings | None = None
    planar_counts: PlanarShunt | None = None
    earlier_lung_gy: dict[str, float] | None = None
    nudge_lps_mm: dict[str, tuple[float, ...]] | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise InputError(
                "case",
                f"its schema version is {self.schema_version}, expected {SCHEMA_VERSION}",
                "Use `case new` again",
            )
        for name, words in (
            ("catheter_position", ("same", "changed")),
            ("primary_resolution", ("matched", "unmatched")),
        ):
            if getattr(self, name) not in (None, *words):
                raise InputError(name, f'there is no "{getattr(self, name)}"', f'Write "{words[0]}" or "{words[1]}"')
        constants_set(self.constants_set)
        require_shunt(self.lung_shunt_fraction, "case")
        for name, dose_gy in (self.earlier_lung_gy or {}).items():
            if not dose_gy >= 0.0:
                raise InputError(f"earlier_lung_gy.{name}", f"expected at least 0 Gy, got {dose_gy:g}", "Correct it")
        for phase, shift in (self.nudge_lps_mm or {}).items():
            if phase not in ("pre", "post") or len(shift) != 3 or not all(abs(x) <= 50.0 for x in shift):
                raise InputError(
                    f"nudge_lps_mm.{phase}", "expected pre or post, and three shifts within 50 mm", "Correct it"
                )
        for role in self.images:
            if role not in IMAGE_ROLES:
                raise InputError(f"images.{role}", "there is no such role", f"Choose one of {', '.join(IMAGE_ROLES)}")
        names = [contour.name for contour in self.contours]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f'contour "{name}"', "two contours have this name", "Rename one of them")
        if len(names) > MAXIMUM_CONTOURS:
            raise InputError(
                "contours",
                f"expected at most {MAXIMUM_CONTOURS}, got {len(names)}",
                "Take out those that are not needed",
            )
        ids = [injection.id for injection in self.injections]
        for name in ids:
            if ids.count(name) > 1:
                raise InputError(f'injection "{name}"', "two injections have this id", "Give each its own")
        for phase, rows in self.registration_lps.items():
            _require_rigid(rows, phase)
        for code, reason in self.accepted.items():
            if not reason.strip():
                raise InputError(f"accepted.{code}", "it has no reason", "Write why it is accepted, or take it out")

    def contours_of(self, role: str) -> list[str]:
        """Names of the contours with a role, in order."""
        return [contour.name for contour in self.contours if contour.role == role]

    def sha256(self) -> str:
        """Hash of the canonical text that doses depend on; results carry it.

        The plan is left out: moving a goal changes no dose, so it must not make doses stale.
        """
        values = encode(self)
        values.pop("plan", None)
        return _hash(values)

    def plan_sha256(self) -> str:
        """Hash of the canonical text with the plan."""
        return _hash(encode(self))


def _hash(values: Any) -> str:
    # Every number as a float: 1690 and 1690.0 are the same input.
    values = json.loads(json.dumps(values), parse_int=float)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _require_rigid(rows: tuple[tuple[float, ...], ...], phase: str) -> None:
    """Refuse a registration that is not a movement of one of the phases."""
    where = f"registration_lps.{phase}"
    if phase not in ("pre", "post"):
        raise InputError(where, "there is no such phase", 'Write "pre" or "post"')
    rigid = len(rows) == 4 and all(len(row) == 4 for row in rows)
    if rigid:
        matrix = np.array(rows, dtype=float)
        turn = matrix[:3, :3]
        rigid = (
            bool(np.all(np.isfinite(matrix)))
            and np.allclose(turn @ turn.T, np.eye(3), atol=1e-3)
            and float(np.linalg.det(turn)) > 0.0
            and np.allclose(matrix[3], (0.0, 0.0, 0.0, 1.0))
        )
    if not rigid:
        raise InputError(where, "expected a rigid 4x4 matrix", "Correct it or take it out")


@dataclass(frozen=True)
class CaseFiles:
    """Where images and contours are found: outside the hashed text."""

    images: dict[str, str] = field(default_factory=dict)
    contours: dict[str, str] = field(default_factory=dict)


def case_to_json(case: Case, files: CaseFiles) -> str:
    """The case file's text."""
    data = {"schema_version": case.schema_version, "case_id": case.case_id, **encode(case), "files": encode(files)}
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a path that is not UTF-8 on disk
        return json.dumps(data, indent=1) + "\n"
    return text


def case_from_json(text: str, where: str) -> tuple[Case, CaseFiles]:
    """Read a case file's text; errors name the field."""
    try:
        data: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            where, f"it is not valid JSON (line {error.lineno}, column {error.colno})", "Correct that place", "json"
        ) from None
    except (ValueError, RecursionError):  # numbers of thousands of digits, brackets without end
        raise InputError(where, "it is not a case file", "Make it with `tarecomet case new`", "json") from None
    if not isinstance(data, dict):
        raise InputError(where, "expected one JSON object", "Make it with `tarecomet case new`", "json")
    files = decode(CaseFiles, data.pop("files", {}), "files")
    return decode(Case, data, "case"), files
