"""A case from a folder as a hospital hands it over: roles proposed, treatment read, doubts said."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ..dosimetry.activity import ABSOLUTE, RELATIVE
from ..dosimetry.compartments import LIVER, OTHER, TERRITORY
from ..dosimetry.delivery import VialAssay, WasteMeasurement, residual_share, vial_at_injection_mbq
from ..dosimetry.lung_shunt import PlanarShunt, planar_lung_shunt
from ..dosimetry.recovery import read_recovery_table
from ..errors import InputError
from ..imaging.dicom_contours import contours_frame_of_reference, read_dicom_contours
from ..imaging.dicom_series import DicomScan, DicomSeries, read_series, scan_dicom
from ..imaging.emission import COUNTS, EmissionFacts, hours_between, local_time
from ..imaging.emission_header import emission_facts
from ..imaging.image_files import image_stem, is_image_file, read_contours, read_image
from ..imaging.inspect import require_finite_image
from ..imaging.volume import Volume
from ..physics.nuclides import constants_set
from ..units import MBQ_PER_GBQ
from .codec import decode
from .document import (
    DIAGNOSTIC,
    Y90_PET,
    Y90_SPECT,
    Case,
    CaseFiles,
    ContourEntry,
    ImageEntry,
    Injection,
    RecoverySettings,
    Settings,
)
from .roles import contour_role, file_image_role, match_territory, propose_image_roles, words
from .steps import Steps

T = TypeVar("T")
_CONTOUR_FOLDERS = ("contour", "contours", "segmentation", "segmentations", "masks", "structures", "rois")
_RESOLUTION_KEYS = {"spect": ("maa_spect", "y90_spect"), "pet": ("y90_pet",)}


@dataclass(frozen=True)
class NewCase:
    """A proposed case, where its files are, and what a person should look at."""

    case: Case
    files: CaseFiles
    remarks: tuple[str, ...]


def new_case(folder: Path, base: Path) -> Steps[NewCase]:
    """Scan a folder and propose a case; a generator of (share done, what) whose value is a NewCase.

    Parameters
    ----------
    folder : Path
        DICOM of any layout, NRRD, NIfTI, .seg.nrrd, and treatment.json where there is one.
    base : Path
        Folder the case file will stand in; paths are written relative to it.

    Raises
    ------
    InputError
        Where nothing usable is found or something found is damaged.
    """
    if not folder.is_dir():
        raise InputError(str(folder), "there is no such folder", "Give the folder with the patient's images", "no-file")
    yield 0.0, "looking through the folder"
    all_files = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    image_files = [p for p in all_files if is_image_file(p)]
    scan = scan_dicom(
        p for p in all_files if not is_image_file(p) and p.suffix.lower() not in (".json", ".csv", ".txt")
    )
    if scan.unreadable:
        raise InputError(
            str(scan.unreadable[0]),
            f"it cannot be read as DICOM ({len(scan.unreadable)} such file(s))",
            "Export these files again or take them out of the folder",
            "corrupt-dicom",
        )
    treatment, treatment_path = _find_treatment(all_files)
    contour_files, plain_images = _sort_image_files(image_files, folder)
    if not scan.series and not plain_images:
        raise InputError(
            str(folder),
            f"no image found among {len(all_files)} file(s)",
            "Give a folder with DICOM, NRRD or NIfTI",
            "no-images",
        )
    images, paths, remarks = yield from _collect_images(scan, plain_images, base)
    contours, contour_paths = yield from _collect_contours(contour_files, treatment, base)
    for kind in ("RTSTRUCT", "SEG"):
        for path in scan.other_objects.get(kind, []):
            yield 0.95, f"reading contours of {path.name}"
            try:
                _add_dicom_contours(path, scan, images, contours, contour_paths, base)
            except InputError as error:
                if not contour_files:
                    raise
                # Label maps are there: what the object of another image or system holds is said, not needed.
                remarks.append(f"{path.name} is DICOM {kind} and was left out: {error}")
    _sort_contours(contours)
    if not contours:
        remarks.append("no contour was found: draw at least the liver, its territories and tumours")
    where = str(treatment_path) if treatment_path else "case"
    case = _assemble(folder, images, contours, treatment, where, remarks)
    files = CaseFiles(images=paths, contours=contour_paths)
    return NewCase(case, files, tuple(remarks))


def _relative(path: Path, base: Path) -> str:
    """Path as written into the case file: relative where it can be, with forward slashes."""
    try:
        return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return path.resolve().as_posix()


def _find_treatment(files: list[Path]) -> tuple[dict[str, Any], Path | None]:
    named = [p for p in files if p.suffix.lower() == ".json" and "treatment" in p.name.lower()]
    named = [p for p in named if p.name.lower() == "treatment.json"] or named
    if not named:
        return {}, None
    path = named[0]
    if len(named) > 1:
        raise InputError(
            str(path), f"{len(named)} files tell of the treatment", "Keep one treatment.json", "several-treatments"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):  # not UTF-8, not JSON, numbers or brackets without end
        raise InputError(str(path), "it is not valid JSON", "Correct or remove it", "json") from None
    if not isinstance(data, dict):
        raise InputError(str(path), "expected one JSON object", "Correct or remove it", "json")
    return data, path


def _sort_image_files(files: list[Path], folder: Path) -> tuple[list[Path], list[Path]]:
    """Contours and plain images among NRRD/NIfTI files: by extension, folder and name."""
    contours, images = [], []
    for path in files:
        in_contour_folder = any(part.lower() in _CONTOUR_FOLDERS for part in path.relative_to(folder).parts[:-1])
        own_words = set(words(image_stem(path)))
        if path.name.lower().endswith(".seg.nrrd") or in_contour_folder:
            contours.append(path)
        elif own_words & {"ct", "mr", "mri", "pet", "spect", "maa"}:
            images.append(path)
        elif contour_role(image_stem(path)) != OTHER:
            contours.append(path)
        elif file_image_role(path) is not None:
            images.append(path)
    return contours, images


def _collect_images(
    scan: DicomScan, plain: list[Path], base: Path
) -> Steps[tuple[dict[str, ImageEntry], dict[str, str], list[str]]]:
    entries: dict[str, ImageEntry] = {}
    paths: dict[str, str] = {}
    roles, remarks = propose_image_roles(scan.series, any(file_image_role(path) == DIAGNOSTIC for path in plain))
    total = len(roles) + len(plain) + 1
    for number, (role, series) in enumerate(roles.items()):
        yield (number + 1) / total * 0.8, f"reading {role}"
        volume = read_series(series)
        require_finite_image(volume, series.where)
        entries[role] = dicom_entry(series, volume)
        single = len(series.files) == 1
        place = series.files[0] if single else Path(os.path.commonpath([path.parent for path in series.files]))
        paths[role] = _relative(place, base)
    for number, path in enumerate(plain):
        role = file_image_role(path) or ""
        if not role:
            continue
        if role in entries:
            remarks.append(f"{path.name} could be {role} too; {paths[role]} was taken")
            continue
        yield (len(roles) + number + 1) / total * 0.8, f"reading {role}"
        volume = read_image(path)
        require_finite_image(volume, str(path))
        emission = EmissionFacts() if role in ("maa_spect", "y90_spect", "y90_pet") else None
        modality = {"maa_spect": "NM", "y90_spect": "NM", "y90_pet": "PT"}.get(role, "CT")
        if emission is not None and modality == "NM":
            emission = EmissionFacts(units="counts")
            remarks.append(f"{path.name} has no tags: its values were taken as counts")
        elif emission is not None:
            remarks.append(f"{path.name} has no tags: write units, decay_correction and scan_start into the case")
        entries[role] = ImageEntry(
            modality=modality, description=path.name, content_sha256=volume.content_hash(), emission=emission
        )
        paths[role] = _relative(path, base)
    return entries, paths, remarks


def dicom_entry(series: DicomSeries, volume: Volume | None = None) -> ImageEntry:
    """What a series' tags say, with the hash of its voxels where they were read."""
    header = series.header
    return ImageEntry(
        modality=series.modality,
        description=series.description,
        series_instance_uid=series.uid,
        frame_of_reference_uid=series.frame_of_reference_uid,
        patient_id=str(header.get("PatientID", "")),
        content_sha256=volume.content_hash() if volume is not None else "",
        emission=emission_facts(series.headers) if series.modality in ("PT", "NM") else None,
    )


def _collect_contours(
    files: list[Path], treatment: dict[str, Any], base: Path
) -> Steps[tuple[list[ContourEntry], dict[str, str]]]:
    drawn_on = {
        "diagnostic-ct": DIAGNOSTIC,
        "diagnostic": DIAGNOSTIC,
        "maa-spect": "maa_spect",
        "y90-pet": "y90_pet",
    }.get(str(treatment.get("contours_drawn_on", DIAGNOSTIC)), DIAGNOSTIC)
    entries: list[ContourEntry] = []
    paths: dict[str, str] = {}
    for number, path in enumerate(files):
        yield 0.8 + 0.2 * number / len(files), f"reading contour {image_stem(path)}"
        for name, volume in read_contours(path):
            if not volume.array.any():
                raise InputError(
                    f'contour "{name}"', f"it is empty ({path.name})", "Draw it or take the file away", "empty-contour"
                )
            if name in paths:
                raise InputError(f'contour "{name}"', f"two files hold it, {path.name} is the second", "Rename one")
            entries.append(
                ContourEntry(
                    name=name,
                    role=contour_role(name),
                    source="CT" if drawn_on == DIAGNOSTIC else "uptake",
                    drawn_on=drawn_on,
                    content_sha256=volume.content_hash(),
                )
            )
            paths[name] = _relative(path, base)
    return entries, paths


def _sort_contours(entries: list[ContourEntry]) -> None:
    """Liver first, then territories, then the others as they came."""
    order = {LIVER: 0, TERRITORY: 1}
    entries.sort(key=lambda entry: order.get(entry.role, 2))


def _add_dicom_contours(
    path: Path,
    scan: DicomScan,
    images: dict[str, ImageEntry],
    entries: list[ContourEntry],
    paths: dict[str, str],
    base: Path,
) -> None:
    """The structures of an RTSTRUCT or SEG, drawn on the image whose frame of reference they name."""
    frame = contours_frame_of_reference(path)
    order = (DIAGNOSTIC, *(role for role in images if role != DIAGNOSTIC))
    drawn_on = next((r for r in order if frame and r in images and images[r].frame_of_reference_uid == frame), None)
    if drawn_on is None:
        raise InputError(
            str(path),
            "its contours lie in a frame of reference that none of the images has",
            "Add the image they were drawn on, or draw them on this one",
            "other-frame",
        )
    series = next((s for s in scan.series if s.uid == images[drawn_on].series_instance_uid), None)
    grid = read_series(series).geometry if series is not None else None
    for name, volume in read_dicom_contours(path, grid):
        if name in paths:
            raise InputError(f'contour "{name}"', f"two files hold it, {path.name} is the second", "Rename one")
        entries.append(
            ContourEntry(
                name=name,
                role=contour_role(name),
                source=images[drawn_on].modality if images[drawn_on].modality in ("CT", "MR") else "uptake",
                drawn_on=drawn_on,
                content_sha256=volume.content_hash(),
            )
        )
        paths[name] = _relative(path, base)


def _number(data: dict[str, Any], name: str, where: str) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise InputError(f"{where}, {name}", f"expected a number, got {value!r:.60}", "Correct the value", "case-field")
    return float(value)


def _is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(float(value))
    except OverflowError:
        return False


def _text(data: dict[str, Any], name: str, where: str, default: str = "") -> str:
    value = data.get(name)
    if value is None:
        return default
    if not isinstance(value, str) and not _is_number(value):
        raise InputError(f"{where}, {name}", f"expected text, got {value!r:.60}", "Correct the value", "case-field")
    return str(value)


def _activity_mbq(data: dict[str, Any], name: str, where: str) -> float | None:
    """A field given as name_mbq or name_gbq."""
    gbq = _number(data, f"{name}_gbq", where)
    return round(gbq * MBQ_PER_GBQ, 9) if gbq is not None else _number(data, f"{name}_mbq", where)


def _measured(kind: type[T], data: dict[str, Any], name: str, where: str) -> T | None:
    """A measurement written as an object; None where there is none."""
    return decode(kind, data[name], f"{where}, {name}") if data.get(name) is not None else None


def _recovery(treatment: dict[str, Any], folder: Path, where: str) -> RecoverySettings | None:
    """Partial-volume correction as treatment.json asks for it: "resolution", or a CSV of a phantom's coefficients."""
    wanted = _text(treatment, "recovery", where)
    if not wanted:
        return None
    if wanted == "resolution":
        return RecoverySettings()
    path = folder / wanted
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise InputError(
            f"{where}, recovery",
            f'there is no readable file "{wanted}"',
            'Write "resolution" or a CSV\'s name',
            "no-file",
        ) from None
    return RecoverySettings("table", None, read_recovery_table(text, str(path)))


def _post_calibration(images: dict[str, ImageEntry]) -> str:
    """Relative for counts (bremsstrahlung SPECT), absolute for everything else."""
    role = next((role for role in (Y90_PET, Y90_SPECT) if role in images), None)
    facts = images[role].emission if role else None
    return RELATIVE if facts is not None and facts.units == COUNTS and role == Y90_SPECT else ABSOLUTE


def _named_otherwise(wanted: str, contours: list[ContourEntry]) -> str | None:
    """The liver, or a contour of no known role (Segment 2), that an injection names; it becomes a territory then."""
    if not words(wanted):
        return None
    found = match_territory(wanted, [contour.name for contour in contours if contour.role in (LIVER, OTHER)])
    for number, contour in enumerate(contours):
        if contour.name == found and contour.role == OTHER:
            contours[number] = replace(contour, role=TERRITORY)
    return found


def _assemble(
    folder: Path,
    images: dict[str, ImageEntry],
    contours: list[ContourEntry],
    treatment: dict[str, Any],
    where: str,
    remarks: list[str],
) -> Case:
    identifiers = sorted({entry.patient_id for entry in images.values() if entry.patient_id})
    if len(identifiers) > 1:
        raise InputError(
            str(folder),
            f"its images belong to several patients ({', '.join(identifiers)})",
            "Give one patient's folder",
            "several-patients",
        )
    territories = [c.name for c in contours if c.role == TERRITORY] or [c.name for c in contours if c.role == LIVER]
    injections: list[Injection] = []
    constants = constants_set()
    given = treatment.get("injections", [])
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise InputError(f"{where}, injections", "expected a list of objects", "Correct the file", "case-field")
    for number, item in enumerate(given):
        place = f"{where}, injections[{number}]"
        assay = _measured(VialAssay, item, "assay", place)
        waste = _measured(WasteMeasurement, item, "waste", place)
        time, vial = _text(item, "time", place), _activity_mbq(item, "vial", place)
        if vial is None and assay is not None:
            local_time(time, place)
            local_time(assay.time, f"{place}, assay")
            vial = vial_at_injection_mbq(assay, hours_between(assay.time, time), constants)
        if vial is None:
            raise InputError(place, "its vial activity is missing", "Write vial_gbq, vial_mbq or assay", "case-field")
        residual = _activity_mbq(item, "residual", place)
        if residual is None:
            residual = vial * residual_share(waste, constants) if waste is not None else 0.0
        wanted = _text(item, "territory", place)
        territory = match_territory(wanted, territories) or _named_otherwise(wanted, contours)
        if territory is None:
            if not territories:
                raise InputError(place, f'there is no contour for its territory "{wanted}"', "Draw it", "territory")
            raise InputError(
                place,
                f'no single contour matches its territory "{wanted}"',
                f"Name it as one of: {', '.join(territories)}",
                "territory",
            )
        injections.append(
            Injection(
                id=_text(item, "id", place, str(number + 1)),
                territory=territory,
                time=time,
                vial_mbq=vial,
                residual_mbq=residual,
                planned_mbq=_activity_mbq(item, "planned", place),
                lung_shunt_fraction=_number(item, "lung_shunt_fraction", place),
                assay=assay,
                waste=waste,
            )
        )
    if not injections:
        remarks.append("no treatment.json with injections was found: write the injections into the case")
    planar = _number(treatment, "lung_shunt_fraction_planar", where)
    counts = _measured(PlanarShunt, treatment, "planar_counts", where)
    if planar is None and counts is not None:
        planar = planar_lung_shunt(counts)
    earlier = treatment.get("earlier_lung_gy")
    if earlier is not None and not (isinstance(earlier, dict) and all(_is_number(dose) for dose in earlier.values())):
        raise InputError(
            f"{where}, earlier_lung_gy", "expected an object of lung doses in Gy", "Correct it", "case-field"
        )
    shunt = planar if planar is not None else _number(treatment, "lung_shunt_fraction", where)
    if shunt is None and injections:
        remarks.append("no lung shunt fraction was given: 0 is written, correct it")
    resolution = treatment.get("resolution_fwhm_mm") or {}
    if not isinstance(resolution, dict):
        raise InputError(
            f"{where}, resolution_fwhm_mm", "expected an object", "Write spect and pet in mm", "case-field"
        )
    widths = {key: _number(resolution, key, f"{where}, resolution_fwhm_mm") for key in _RESOLUTION_KEYS}
    return Case(
        case_id=_text(treatment, "patient", where) or (identifiers[0] if identifiers else folder.resolve().name),
        device=_text(treatment, "device", where, "TheraSphere"),
        images=images,
        contours=tuple(contours),
        injections=tuple(injections),
        lung_shunt_fraction=shunt or 0.0,
        lung_shunt_method="planar" if planar is not None else "entered",
        planar_counts=counts,
        earlier_lung_gy={name: float(dose) for name, dose in earlier.items()} if earlier else None,
        settings=Settings(
            post_calibration=_post_calibration(images),
            recovery=_recovery(treatment, folder, where),
            resolution_fwhm_mm={
                role: width
                for key, wanted_roles in _RESOLUTION_KEYS.items()
                if (width := widths[key]) is not None
                for role in wanted_roles
                if role in images
            },
        ),
    )
