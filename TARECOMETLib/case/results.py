"""Results as the document that goes with a case: results.json."""

from __future__ import annotations

from typing import Any

from ..dosimetry.activity import ABSOLUTE
from ..dosimetry.blur import contrast_before_blur, expected_reading, is_resolved
from ..dosimetry.compartments import LUNG, TUMOUR, Compartment
from ..dosimetry.dose import dose_per_activity_gy_g_per_mbq
from ..dosimetry.dvh import Dvh
from ..physics.nuclides import ConstantsSet
from ..physics.voxel_kernel import DEFAULT_CUTOFF_MM_G_ML
from .biology import biological_metrics, effects_of, radiobiology_document, tissue_of
from .comparing import comparison_document
from .document import SCHEMA_VERSION, Tissue
from .finding_references import reference_of
from .findings import Finding
from .lung import lung_report
from .phase import KERNEL, Phase
from .provenance import provenance
from .ratios import tumour_to_normal
from .recovery import recovered_document
from .uncertainty import inputs_document, uncertainty_document
from .uncertainty_check import sampling_document
from .workflow import CaseResults

DOSE_TO_VOLUME_PERCENT = (2, 50, 70, 95, 98)
VOLUME_AT_DOSE_GY = (50, 100, 150, 200)


def results_document(results: CaseResults) -> dict[str, Any]:
    """The JSON object of a computed case. A figure that was not computed is absent, never zero or null."""
    case, constants = results.case, results.constants
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "case_id": case.case_id,
        "device": case.device,
        "constants": constants_document(constants),
        "densities_g_ml": {
            "liver": case.settings.liver_density_g_ml,
            "other": case.settings.other_density_g_ml,
        },
        "dose_grid": {
            "spacing_mm": list(results.ground.parcels.geometry.spacing_mm),
            "shape_kji": list(results.ground.parcels.geometry.shape_kji),
        },
    }
    if results.ground.lung_density_g_ml > 0.0:
        document["densities_g_ml"]["lung_mean_by_ct"] = results.ground.lung_density_g_ml
    for name, phase in results.phases.items():
        document[name] = _phase_document(results, phase, results.findings.get(name, []))
    comparison = comparison_document(results)
    if comparison is not None:
        document["comparison"] = comparison
    biology = radiobiology_document(case)
    if biology:
        document["radiobiology"] = biology
    document["warnings"] = [finding_document(f) for f in results.findings.get("case", [])]
    document["provenance"] = provenance(case)
    return document


def constants_document(constants: ConstantsSet) -> dict[str, Any]:
    """A constants set as JSON."""
    return {
        "set": constants.name,
        "half_life_h": constants.half_life_h,
        "mean_energy_mev": constants.mean_energy_mev,
        "mean_energy_is_implied": constants.mean_energy_is_implied,
        "gy_kg_per_gbq": constants.gy_kg_per_gbq,
        "reference": constants.reference,
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    document = {
        "severity": finding.severity,
        "code": finding.code,
        "where": finding.where,
        "message": finding.message,
        "mend": finding.mend,
    }
    if finding.accepted is not None:
        document["accepted"] = finding.accepted
    reference = reference_of(finding.code)
    if reference:
        document["reference"] = reference
    return document


def _phase_document(results: CaseResults, phase: Phase, findings: list[Finding]) -> dict[str, Any]:
    registration = phase.registration
    return {
        "image": phase.image_role,
        "calibration": phase.calibration,
        "registration": {
            "matrix_lps": registration.matrix_lps.tolist(),
            "quality": registration.quality,
            "quality_before": registration.quality_before,
            "method": registration.method,
        },
        **_alignment_document(phase),
        "kernel": {
            "energy_fraction": phase.kernel_energy_fraction,
            "medium": "soft-tissue",
            "density_g_ml": results.case.settings.liver_density_g_ml,
            "cutoff_mm_g_ml": DEFAULT_CUTOFF_MM_G_ML,
        },
        "injections": [
            {
                "id": d.name,
                "territory": d.territory,
                "net_mbq": d.net_mbq,
                "lung_shunt_fraction": d.lung_shunt_fraction,
                **({"hours_to_scan": d.elapsed_to_scan_h} if d.elapsed_to_scan_h is not None else {}),
            }
            for d in phase.deliveries
        ],
        "activity_balance": dict(phase.balance),
        **({"scaled_to_net": {"factor": phase.scaled_to_net}} if phase.scaled_to_net is not None else {}),
        **(_recovery_document(phase) if phase.recovered is not None else {}),
        "lung": lung_report(results.case, phase, results.ground),
        "compartments": [
            _compartment_document(results, phase, compartment)
            for compartment in results.ground.compartments
            if compartment.name in phase.dvh
        ],
        **({"uncertainty": inputs_document(phase)} if phase.uncertainty is not None else {}),
        "warnings": [finding_document(f) for f in findings],
    }


def _compartment_document(results: CaseResults, phase: Phase, compartment: Compartment) -> dict[str, Any]:
    case, ground, name = results.case, results.ground, compartment.name
    dvhs = phase.dvh[name]
    volume_ml = dvhs[KERNEL].total_volume_ml
    injected = sum(d.net_mbq for d in phase.deliveries)
    document: dict[str, Any] = {
        "name": name,
        "role": compartment.role,
        "volume_ml": volume_ml,
        "mass_g": phase.mass_g[name],
        "activity_mbq": phase.activity_mbq[name],
        "share_of_injected": phase.activity_mbq[name] / injected,
    }
    fwhm = case.settings.resolution_fwhm_mm.get(phase.image_role)
    if fwhm is not None:
        document["resolved"] = is_resolved(volume_ml, fwhm)
    if compartment.role == LUNG:
        document["lung_shunt"] = lung_report(case, phase, ground)
        document["voxel_doses_are_indicative"] = True
        if phase.calibration != ABSOLUTE:
            # Counts are shared out inside the territories alone: the map says nothing of the lungs.
            del document["activity_mbq"], document["share_of_injected"]
            return document
    tissue = tissue_of(case, compartment)
    half_life_h = results.constants.half_life_h
    document["dose"] = {method: dose_metrics(dvh, tissue, half_life_h) for method, dvh in dvhs.items()}
    uncertainty = uncertainty_document(phase, name)
    if uncertainty:
        document["uncertainty"] = uncertainty
        sampled = sampling_document(phase.sampling, name)
        if sampled:
            uncertainty["sampling"] = sampled
        relative = uncertainty["mean_uncertainty_gy"] / uncertainty["mean_gy"]
        for method, dvh in dvhs.items():
            document["dose"][method]["mean_uncertainty_gy"] = abs(relative * dvh.mean_gy())
    for method, dvh in dvhs.items():
        effects = effects_of(case, compartment, dvh, half_life_h)
        if effects:
            document["dose"][method]["effects"] = effects
    activity = phase.multicompartment_mbq[name]
    document["multicompartment"] = {
        "activity_mbq": activity,
        "mean_gy": dose_per_activity_gy_g_per_mbq(results.constants) * activity / phase.mass_g[name],
    }
    corrected = recovered_document(phase, name, results.constants)
    if corrected:
        document["recovery_corrected"] = corrected
    if phase.scaled_to_net is not None:
        document["scaled_to_net"] = {
            "factor": phase.scaled_to_net,
            "mean_gy": {method: phase.scaled_to_net * dvh.mean_gy() for method, dvh in dvhs.items()},
        }
    if compartment.role == TUMOUR:
        ratio = tumour_to_normal(case, phase, ground, name)
        if ratio is not None:
            document["tumour_to_normal"] = {"ratio": ratio[0], "reference": ratio[1]}
        if ratio is not None and fwhm is not None and "uncertainty" in document:
            # In the uniform surrounding of a blurred sphere: what is read of the true mean, as a bias.
            reading = expected_reading(volume_ml, fwhm, contrast_before_blur(ratio[0], volume_ml, fwhm))
            document["uncertainty"]["blur_bias_percent"] = 100.0 * (reading - 1.0)
    return document


def _alignment_document(phase: Phase) -> dict[str, Any]:
    """Where the uptake lies against the territories, and what a nudge of it changed."""
    document: dict[str, Any] = {}
    if phase.uptake_offset is not None:
        document["uptake_offset_mm"] = phase.uptake_offset.offset_mm
        document["likeness"] = phase.uptake_offset.likeness
    if phase.registration.before_nudge_lps is not None:
        document["matrix_before_nudge_lps"] = phase.registration.before_nudge_lps.tolist()
        document["nudge_changes_mean_percent"] = phase.nudge_change_percent
    return {"alignment": document} if document else {}


def _recovery_document(phase: Phase) -> dict[str, Any]:
    """What partial-volume correction was made."""
    assert phase.recovered is not None
    document: dict[str, Any] = {"method": phase.recovered.method}
    if phase.recovered.left_out:
        document["left_out"] = list(phase.recovered.left_out)
    return {"recovery_correction": document}


def dose_metrics(dvh: Dvh, tissue: Tissue | None, half_life_h: float) -> dict[str, Any]:
    """The dose figures of one compartment and method."""
    metrics: dict[str, Any] = {
        "mean_gy": dvh.mean_gy(),
        "sd_gy": dvh.sd_gy(),
        "min_gy": dvh.min_gy(),
        "max_gy": dvh.max_gy(),
        "d_gy": {str(x): dvh.dose_to_volume_gy(x) for x in DOSE_TO_VOLUME_PERCENT},
        "v_percent": {str(x): dvh.volume_at_dose_percent(x) for x in VOLUME_AT_DOSE_GY},
        "v_ml": {str(x): dvh.volume_at_dose_ml(x) for x in VOLUME_AT_DOSE_GY},
    }
    if tissue is not None:
        metrics |= biological_metrics(dvh, tissue, half_life_h)
    return metrics
