"""Where a finding's rule or figure stands, by its code; those of plain form or file errors have none."""

from __future__ import annotations

_PET_IMAGE = "DICOM PS3.3 C.8.9 (PET Series and Image)"
_QIBA = "QIBA FDG-PET/CT profile, decay reference"
_KAFROUNI = "Kafrouni 2019, doi:10.1186/s13550-019-0533-6"
_EANM = "EANM 2022, doi:10.1007/s00259-021-05600-z"
_LABEL = "TheraSphere package insert"
_BLUR = "Rousset 1998, J Nucl Med 39:904"

FINDING_REFERENCES = {
    "units": _PET_IMAGE,
    "decay-correction": _PET_IMAGE,
    "decay-listed": _PET_IMAGE,
    "decay-not-listed": _PET_IMAGE,
    "decay-factor": _PET_IMAGE,
    "dose-in-mbq": "DICOM PS3.3 C.8.9.2 (total dose in Bq)",
    "dose-in-bq": "DICOM PS3.3 C.8.4.10 (total dose in MBq)",
    "administration-attributes": "DICOM PS3.3 C.8.9.2",
    "no-attenuation-correction": _PET_IMAGE,
    "no-scatter-correction": _PET_IMAGE,
    "reprocessed-series": _QIBA,
    "series-ahead": _QIBA,
    "first-bed-missing": _QIBA,
    "vendor-scan-time": _QIBA,
    "branching-ratio": f"{_EANM}: 32 positrons in a million decays",
    "wrong-half-life": "ENSDF: 90Y 64.05 h",
    "activity-balance": _KAFROUNI,
    "field-activity": _KAFROUNI,
    "field-surplus": _KAFROUNI,
    "lung-limit": f"{_LABEL}; {_EANM}",
    "lung-shunt-high": _LABEL,
    "lungs-cut": "Kao 2014, doi:10.1186/s13550-014-0033-7",
    "blur": _BLUR,
    "recovery-corrected": _BLUR,
    "recovery-left-out": _BLUR,
    "scaled-to-net": _KAFROUNI,
}


def reference_of(code: str) -> str:
    """Reference of a finding's code; empty where there is none."""
    return FINDING_REFERENCES.get(code, "")
