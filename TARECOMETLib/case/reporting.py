"""A computed case as report, tables and figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..dosimetry.activity import ABSOLUTE
from ..dosimetry.radiobiology import bed_dvh
from ..imaging.volume import Volume
from ..report.comparison_figures import write_comparison_figures
from ..report.content import (
    SCALED_QUANTITY,
    CompartmentDose,
    FindingLine,
    InjectionLine,
    LungLine,
    PhaseReport,
    ReportContent,
    Structure,
)
from ..report.pdf import write_figures, write_pdf
from ..report.tables import (
    BUDGET_COLUMNS,
    MARGIN_COLUMNS,
    budget_rows,
    compartment_rows,
    dvh_rows,
    margin_rows,
    write_compartments_csv,
    write_csv,
    write_dvh_csv,
)
from .biology import biological_metrics, radiobiology, tissue_of
from .comparison_report import comparison_report
from .document import DIAGNOSTIC, MAA_SPECT, Y90_PET, Y90_SPECT
from .inputs import Inputs
from .phase import LOCAL, Phase
from .plan import CasePlan
from .plan_report import plan_report
from .steps import Steps, part
from .workflow import CaseResults

_IMAGE_WORDS = {MAA_SPECT: "99mTc-MAA SPECT", Y90_PET: "90Y PET", Y90_SPECT: "90Y bremsstrahlung SPECT"}
KERNEL_SOURCE = "PENELOPE 2018 (penRed), ICRP 107 spectrum, ICRU four-component soft tissue; see SOURCES.md"


def report_content(
    results: CaseResults, document: dict[str, Any], inputs: Inputs, plan: CasePlan | None = None
) -> ReportContent:
    """What the report says, from the results and their document.

    Parameters
    ----------
    results : CaseResults
    document : dict
        ``results_document(results)``.
    inputs : Inputs
        For the diagnostic image.
    plan : CasePlan, optional
        What was planned.
    """
    case = results.case
    ct_entry = case.images.get(DIAGNOSTIC)
    ct = inputs.images.get(DIAGNOSTIC) if ct_entry is not None and ct_entry.modality == "CT" else None
    software = document["provenance"]["software"]
    provenance = [("case", document["provenance"]["case_sha256"])]
    provenance += [(role, value) for role, value in document["provenance"]["images_sha256"].items()]
    provenance += [(name, version) for name, version in software.items()]
    findings = [("case", finding) for finding in document["warnings"]]
    findings += [(phase, finding) for phase in results.phases for finding in document[phase]["warnings"]]
    return ReportContent(
        case_id=case.case_id,
        device=case.device,
        software=f"tarecomet {software['tarecomet']}",
        constants=results.constants,
        injections=tuple(
            InjectionLine(
                id=injection.id,
                territory=injection.territory,
                time=injection.time,
                vial_mbq=injection.vial_mbq,
                residual_mbq=injection.residual_mbq,
                net_mbq=injection.net_mbq,
                lung_shunt_fraction=case.lung_shunt_fraction
                if injection.lung_shunt_fraction is None
                else injection.lung_shunt_fraction,
                planned_mbq=injection.planned_mbq,
            )
            for injection in case.injections
        ),
        phases=tuple(_phase(results, name, phase, document[name]) for name, phase in results.phases.items()),
        findings=tuple(FindingLine(phase=phase, **finding) for phase, finding in findings),
        structures=tuple(Structure(c.name, c.role, results.ground.contours[c.name]) for c in case.contours),
        ct=ct,
        kernel_source=KERNEL_SOURCE,
        provenance=tuple(provenance),
        figure_method=LOCAL,
        plan=plan_report(plan) if plan is not None else None,
    )


def _phase(results: CaseResults, name: str, phase: Phase, document: dict[str, Any]) -> PhaseReport:
    lung = document["lung"]
    grid = results.ground.parcels.geometry
    return PhaseReport(
        phase=name,
        quantity=quantity(name, phase),
        image=_IMAGE_WORDS[phase.image_role],
        calibration=phase.calibration,
        registration_method=phase.registration.method,
        registration_quality=phase.registration.quality,
        balance=phase.balance,
        lung=LungLine(
            mean_gy=lung["mean_gy"],
            activity_mbq=lung["activity_mbq"],
            mass_g=lung["mass_g"],
            mass_source=lung["mass_source"],
            method=lung["method"],
            visible_mass_g=lung.get("visible_mass_g"),
        ),
        compartments=tuple(
            _compartment(results, phase, entry) for entry in document["compartments"] if "dose" in entry
        ),
        kernel_energy_fraction=phase.kernel_energy_fraction,
        dose={method: Volume(array, grid) for method, array in phase.dose_gy.items()},
    )


def quantity(name: str, phase: Phase) -> str:
    """Which of the four dose quantities a phase gives."""
    if name == "pre":
        return "predicted at delivered net activity"
    return "measured absolute" if phase.calibration == ABSOLUTE else SCALED_QUANTITY


def _compartment(results: CaseResults, phase: Phase, entry: dict[str, Any]) -> CompartmentDose:
    compartment = next(c for c in results.ground.compartments if c.name == entry["name"])
    tissue = tissue_of(results.case, compartment)
    half_life_h = results.constants.half_life_h
    dvhs = phase.dvh[entry["name"]]
    ratio = entry.get("tumour_to_normal", {})
    return CompartmentDose(
        name=entry["name"],
        role=entry["role"],
        mass_g=entry["mass_g"],
        activity_mbq=entry["activity_mbq"],
        dvh=dvhs,
        multicompartment_gy=entry["multicompartment"]["mean_gy"],
        tumour_to_normal=ratio.get("ratio"),
        normal_reference=ratio.get("reference", ""),
        resolved=entry.get("resolved"),
        biological={m: biological_metrics(dvh, tissue, half_life_h) for m, dvh in dvhs.items()} if tissue else {},
        effects={
            m: tuple((e["model"], e["probability"]) for e in figures.get("effects", []))
            for m, figures in entry["dose"].items()
        },
        **_uncertain(entry.get("uncertainty")),
        recovered_gy=entry.get("recovery_corrected", {}).get("mean_gy"),
        scaled_gy=entry.get("scaled_to_net", {}).get("mean_gy", {}),
        bed_dvh={m: bed_dvh(dvh, radiobiology(tissue), half_life_h) for m, dvh in dvhs.items()} if tissue else {},
    )


def _corrected(stored: dict[str, Any]) -> tuple[float, float] | None:
    better = stored.get("blur_corrected")
    return (better["mean_gy"], better["mean_uncertainty_gy"]) if better else None


def _band(stored: dict[str, Any]) -> tuple[tuple[float, float, float], ...]:
    band = stored.get("sampling", {}).get("dvh_band")
    return tuple(zip(band["volume_percent"], band["low_gy"], band["high_gy"], strict=True)) if band else ()


def _uncertain(stored: dict[str, Any] | None) -> dict[str, Any]:
    """Uncertainty of a compartment as the report's fields."""
    if stored is None:
        return {}
    return {
        "relative_uncertainty": stored["mean_uncertainty_gy"] / stored["mean_gy"],
        "budget": tuple((line["source"], line["uncertainty_gy"], line["share"]) for line in stored["budget"]),
        "noise_sd_gy": stored.get("noise_sd_gy"),
        "blur_bias_percent": stored.get("blur_bias_percent"),
        "blur_corrected": _corrected(stored),
        "band": _band(stored),
        "margins": tuple((entry["margin_mm"], entry["mean_gy"]) for entry in stored.get("margins", [])),
    }


def write_report(
    results: CaseResults, document: dict[str, Any], inputs: Inputs, folder: Path, plan: CasePlan | None = None
) -> Steps[None]:
    """Figures, tables and report.pdf into a folder."""
    content = report_content(results, document, inputs, plan)
    yield 0.0, "figures"
    pictures = write_figures(content, folder / "figures")
    if "comparison" in document:
        comparison = yield from part(comparison_report(results, document["comparison"]), 0.4, 0.6)
        write_comparison_figures(comparison, folder / "figures")
        content = replace(content, comparison=comparison)
    yield 0.7, "tables"
    write_compartments_csv(folder / "compartments.csv", compartment_rows(content))
    write_dvh_csv(folder / "dvh.csv", dvh_rows(content))
    if any(entry.budget for phase in content.phases for entry in phase.compartments):
        write_csv(folder / "uncertainty.csv", budget_rows(content), BUDGET_COLUMNS)
        write_csv(folder / "margins.csv", margin_rows(content), MARGIN_COLUMNS)
    yield 0.9, "report"
    write_pdf(folder / "report.pdf", content, pictures)
