"""The images and contours a case names, in memory and checked against what the case says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..imaging.dicom_contours import is_dicom_file, read_dicom_contours
from ..imaging.dicom_series import DicomScan, read_series, scan_dicom
from ..imaging.image_files import is_image_file, read_contours, read_image
from ..imaging.inspect import require_finite_image
from ..imaging.volume import Volume
from .document import Case, CaseFiles
from .findings import DOUBT, Finding
from .steps import Steps


@dataclass
class Inputs:
    """Everything the workflow computes from, besides the Case.

    Parameters
    ----------
    images : dict
        Role to volume; CT in HU, emission images as stored (rescaled).
    contours : dict
        Name to boolean volume, in the space of the image it was drawn on.
    findings : list of Finding
        What loading brought up.
    """

    images: dict[str, Volume] = field(default_factory=dict)
    contours: dict[str, Volume] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def load_image(path: Path, series_uid: str = "", scans: dict[Path, DicomScan] | None = None) -> Volume:
    """An image from a file, or from a folder and all below it with one DICOM series (or that of a given UID).

    ``scans`` keeps what folders hold, for several series in one folder.
    """
    if path.is_file() and is_image_file(path):
        return read_image(path)
    if not path.exists():
        raise InputError(
            str(path), "there is no such file or folder", "Check the paths under files in case.json", "no-file"
        )
    scans = {} if scans is None else scans
    if path not in scans:
        below = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")]
        scans[path] = scan_dicom(p for p in below if not is_image_file(p))
    scan = scans[path]
    chosen = [s for s in scan.series if not series_uid or s.uid == series_uid]
    if scan.unreadable:
        raise InputError(
            str(scan.unreadable[0]), "it cannot be read as DICOM", "Export the series again", "corrupt-dicom"
        )
    if len(chosen) != 1:
        wanted = f"series {series_uid}" if series_uid else "one DICOM series"
        raise InputError(
            str(path), f"expected {wanted}, found {len(scan.series)} series", "Check the path", "no-series"
        )
    return read_series(chosen[0])


def load_inputs(case: Case, files: CaseFiles, base: Path) -> Steps[Inputs]:
    """Load everything, as a generator of (share done, what) whose value is the Inputs.

    Parameters
    ----------
    case : Case
    files : CaseFiles
        Paths, relative ones from ``base``.
    base : Path
        Folder of case.json.
    """
    inputs = Inputs()
    total = len(case.images) + len(case.contours)
    done = 0
    cache: dict[str, list[tuple[str, Volume]]] = {}
    scans: dict[Path, DicomScan] = {}
    for role, entry in case.images.items():
        yield done / total, f"reading {role}"
        place = base / _path_of(files.images, role, f"files.images.{role}")
        volume = load_image(place, entry.series_instance_uid, scans)
        require_finite_image(volume, role)
        _compare_hash(volume, entry.content_sha256, role, inputs)
        inputs.images[role] = volume
        done += 1
    for contour in case.contours:
        yield done / total, f"reading contour {contour.name}"
        text = _path_of(files.contours, contour.name, f'files.contours."{contour.name}"')
        if text not in cache:
            image = inputs.images.get(contour.drawn_on)
            cache[text] = (
                read_dicom_contours(base / text, image.geometry if image is not None else None)
                if not is_image_file(Path(text)) and is_dicom_file(base / text)
                else read_contours(base / text)
            )
        named = dict(cache[text])
        if contour.name in named:
            volume = named[contour.name]
        elif len(named) == 1:
            volume = next(iter(named.values()))
        else:
            raise InputError(
                f'contour "{contour.name}"', f"{text} holds no segment of this name", f"It holds: {', '.join(named)}"
            )
        _compare_hash(volume, contour.content_sha256, f'contour "{contour.name}"', inputs)
        inputs.contours[contour.name] = volume
        done += 1
    return inputs


def _path_of(paths: dict[str, str], key: str, where: str) -> str:
    if key not in paths:
        raise InputError(where, "its path is missing", "Write where the file or DICOM folder is", "no-file")
    return paths[key]


def _compare_hash(volume: Volume, expected: str, where: str, inputs: Inputs) -> None:
    if expected and volume.content_hash() != expected:
        inputs.findings.append(
            Finding(
                DOUBT,
                "content-changed",
                where,
                "its voxels are not those the case was made with",
                "Run `tarecomet case new` again if the change was meant",
            )
        )
