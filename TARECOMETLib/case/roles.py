"""Proposals: which role an image or a contour has, from its tags and its name."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from ..dosimetry.compartments import LIVER, LUNG, OTHER, TERRITORY, TUMOUR
from ..imaging.dicom_series import DicomSeries
from ..imaging.emission_header import emission_facts
from .document import DIAGNOSTIC, MAA_CT, MAA_SPECT, Y90_CT, Y90_PET, Y90_SPECT

_TUMOUR_WORDS = {
    "tumour",
    "tumor",
    "tumours",
    "tumors",
    "tumeur",
    "lesion",
    "lesions",
    "lasion",
    "met",
    "mets",
    "metastasis",
    "metastases",
    "metastase",
    "metastasen",
    "gtv",
    "hcc",
    "nodule",
}
_TERRITORY_WORDS = {"perfused", "territory", "lobe", "lobes", "treated", "injected", "perfusion", "lobar", "lappen"}


def words(name: str) -> list[str]:
    """Lower-case words of a name without accents; letters and digits are parted from all else."""
    parted = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in parted if not unicodedata.combining(letter))
    return re.findall(r"[^\W\d_]+|\d+", plain)


def contour_role(name: str) -> str:
    """Role proposed for a contour's name."""
    found = set(words(name))
    normal = found & {"normal", "healthy", "non", "minus", "without"}
    if found & _TUMOUR_WORDS and not normal:
        return TUMOUR
    if found & {"lung", "lungs", "lunge", "lungen", "poumon", "poumons", "pulmonary"}:
        return LUNG
    if found & _TERRITORY_WORDS and not normal:
        return TERRITORY
    if found & {"liver", "hepar", "foie", "leber"} and not normal and not found & {"right", "left"}:
        return LIVER
    if found & {"liver", "hepatic"} and found & {"right", "left"} and not normal:
        return TERRITORY
    if re.match(r"^(t|m)\s*\d+$", " ".join(words(name))):
        return TUMOUR
    return OTHER


def match_territory(wanted: str, territories: list[str]) -> str | None:
    """The territory contour an injection's words mean: equal words first, else the only one that holds them all."""
    target = words(wanted)
    if not target:
        return territories[0] if len(territories) == 1 else None
    exact = [name for name in territories if words(name) == target]
    if len(exact) == 1:
        return exact[0]
    holding = [name for name in territories if set(target) <= set(words(name))]
    return holding[0] if len(holding) == 1 else None


def emission_role(series: DicomSeries) -> str | None:
    """Role of a PET or NM series from its radionuclide, else from its modality."""
    facts = emission_facts(series.headers)
    if series.modality == "PT":
        return Y90_PET
    if series.modality == "NM":
        kind = [str(part).upper() for part in series.header.get("ImageType") or ()]
        if len(kind) > 2 and not kind[2].startswith("RECON"):
            return None  # planar views and projections: no volume
        if facts.radionuclide == "Y-90" or "brems" in series.description.lower():
            return Y90_SPECT
        return MAA_SPECT
    return None


def _is_volume(series: DicomSeries) -> bool:
    """Whether a CT or MR series has slices enough and a place, as scouts and screen captures have not."""
    kind = [str(part).upper() for part in series.header.get("ImageType") or ()]
    placed = series.header.get("ImageOrientationPatient") or "SharedFunctionalGroupsSequence" in series.header
    frames = sum(int(header.get("NumberOfFrames", 1) or 1) for header in series.headers)
    return bool(placed) and "LOCALIZER" not in kind and frames > 2


def _score_diagnostic(series: DicomSeries) -> tuple[int, int]:
    text = series.description.lower()
    good = sum(word in text for word in ("portal", "venous", "arterial", "liver", "diagnostic", "contrast", "abdomen"))
    poor = sum(word in text for word in ("ac ct", "ctac", "attenuation", "low dose", "localizer", "scout", "topogram"))
    return good - 2 * poor, len(series.files)


def propose_image_roles(
    series: list[DicomSeries], diagnostic_elsewhere: bool = False
) -> tuple[dict[str, DicomSeries], list[str]]:
    """Roles for all series of a patient, and what was left over or is ambiguous, in sentences.

    An emission image's own CT shares its frame of reference, else its study. The best described CT that is
    left, or MR where there is none, is the diagnostic image. A lone CT is kept for that, unless there is an MR or
    a diagnostic image elsewhere (a file without DICOM tags).
    """
    roles: dict[str, DicomSeries] = {}
    remarks: list[str] = []
    for candidate in series:
        role = emission_role(candidate)
        if role is None:
            continue
        if role in roles:
            kept = max((roles[role], candidate), key=_score_emission)
            other = candidate if kept is roles[role] else roles[role]
            remarks.append(f"{other.where} could be {role} too; {kept.where} was taken")
            roles[role] = kept
        else:
            roles[role] = candidate
    anatomical = [s for s in series if s.modality in ("CT", "MR")]
    volumes = [s for s in anatomical if _is_volume(s)]
    anatomical = volumes or anatomical
    taken: set[str] = set()
    for emission, own in ((MAA_SPECT, MAA_CT), (Y90_PET, Y90_CT), (Y90_SPECT, Y90_CT)):
        if emission not in roles or own in roles:
            continue
        image = roles[emission]
        frame, study = image.frame_of_reference_uid, str(image.header.get("StudyInstanceUID", ""))
        cts = [s for s in anatomical if s.modality == "CT" and s.uid not in taken]
        near = [s for s in cts if frame and s.frame_of_reference_uid == frame]
        near = near or [s for s in cts if study and str(s.header.get("StudyInstanceUID", "")) == study]
        # Where the diagnostic CT shares the frame too, the one that is least like a diagnostic CT is the own CT.
        if near and (len(cts) > 1 or diagnostic_elsewhere or any(s.modality == "MR" for s in anatomical)):
            chosen = min(near, key=_score_diagnostic)
            roles[own] = chosen
            taken.add(chosen.uid)
    left = [s for s in anatomical if s.uid not in taken]
    for modality in ("CT", "MR"):
        choice = [s for s in left if s.modality == modality]
        if choice and DIAGNOSTIC not in roles:
            roles[DIAGNOSTIC] = max(choice, key=_score_diagnostic)
            if len(choice) > 1:
                taken_one = roles[DIAGNOSTIC].where
                remarks.append(f"{len(choice)} {modality} series could be the diagnostic image; {taken_one} was taken")
    return roles, remarks


def _score_emission(series: DicomSeries) -> tuple[int, int, int]:
    text = series.description.lower()
    corrected = " ".join(str(x) for x in (series.header.get("CorrectedImage") or [])).lower() + " " + text
    poor = sum(word in text for word in ("nac", "uncorrected", "no ac", "fdg"))
    right_nuclide = emission_facts(series.headers).radionuclide in ("Y-90", "Tc-99m")
    return int(right_nuclide), ("attn" in corrected or " ac" in corrected) - 3 * poor, len(series.files)


def file_image_role(path: Path) -> str | None:
    """Role proposed for an image file without DICOM tags, from its name and its folder's."""
    found = set(words(path.name)) | set(words(path.parent.name))
    if "maa" in found or ("spect" in found and not found & {"y", "brems", "post"}):
        return MAA_CT if "ct" in set(words(path.stem)) and "spect" not in set(words(path.stem)) else MAA_SPECT
    if "pet" in found:
        return Y90_CT if "ct" in set(words(path.stem)) and "pet" not in set(words(path.stem)) else Y90_PET
    if "spect" in found or "brems" in found:
        return Y90_CT if "ct" in set(words(path.stem)) and "spect" not in set(words(path.stem)) else Y90_SPECT
    if found & {"ct", "mr", "mri", "diagnostic", "portal", "venous"}:
        return DIAGNOSTIC
    return None
