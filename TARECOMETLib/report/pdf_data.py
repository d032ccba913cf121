"""The report's words and figures as plain text fields, ready for the page template."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..dosimetry.compartments import ALL_TUMOURS, NON_PERFUSED, NORMAL_PERFUSED, WHOLE_NORMAL
from ..dosimetry.effect_sets import SCOPE
from ..dosimetry.uncertainty import COVERAGE_95
from .comparison_page import comparison_page
from .content import KERNEL, LOCAL, CompartmentDose, FindingLine, PhaseReport, PlanReport, ReportContent, phase_title
from .dvh_figure import METHOD_TITLES
from .glyphs import printable
from .methods import method_sentences

NONE = "–"
_SEVERITIES = ("block", "doubt", "note")
_LONGEST_NAME, _LONGEST_SENTENCE = 64, 420
_UNBROKEN_RUN = re.compile(r"(\S{20})(?=\S{12})")


def name(text: str, longest: int = _LONGEST_NAME) -> str:
    """A person's text, shortened if need be, with places to break long words."""
    return _UNBROKEN_RUN.sub("\\1\u200b", printable(text, longest))


def number(value: float | None, decimals: int = 1, factor: float = 1.0) -> str:
    """A figure, or a dash where there is none."""
    if value is None:
        return NONE
    text = f"{factor * value:.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text.replace("-", "\u2212")


def page_data(content: ReportContent, findings: int, tumours: int, provenance: int, plan: int = 40) -> dict[str, Any]:
    """All the template prints.

    Parameters
    ----------
    content : ReportContent
    findings, tumours, provenance, plan : int
        How many of each are listed at most; the rest is counted. Of a plan: rows of each of its tables.
    """
    lines = [("constants", content.constants.reference), *content.provenance]
    return {
        "case_id": name(content.case_id),
        "device": name(content.device),
        "software": name(content.software),
        "stale": printable(content.stale_reason, _LONGEST_SENTENCE),
        "constants": _constants(content),
        "tiles": list(_tiles(content)),
        "injections": list(_injections(content)),
        "phases": [_phase(phase) for phase in content.phases],
        "findings": _findings(content, findings),
        "compartments": _compartments(content, tumours),
        "biology": _biology(content, tumours),
        "biology_scope": SCOPE,
        "budget": _budget(content, min(tumours, 3)),
        "phase_names": [phase.phase for phase in content.phases],
        "figure_method": METHOD_TITLES[content.figure_method],
        "methods": [printable(sentence) for sentence in method_sentences(content)],
        **({"plan": _plan(content.plan, plan)} if content.plan is not None else {}),
        **(
            {"comparison": comparison_page(content.comparison, tumours, name, number)}
            if content.comparison is not None
            else {}
        ),
        "provenance": [[name(a), printable(b, _LONGEST_SENTENCE)] for a, b in lines[:provenance]],
        "provenance_more": max(0, len(lines) - provenance),
    }


def _plan(plan: PlanReport, most: int) -> dict[str, Any]:
    return {
        "chosen": name(plan.chosen, _LONGEST_SENTENCE),
        "models": [[name(cell) for cell in row] for row in plan.models[:most]],
        "criteria": [[name(cell, 200) for cell in row] for row in plan.criteria[:most]],
        "sentences": [
            name(text, _LONGEST_SENTENCE) for text in (*plan.windows[:most], *plan.vials[:most], *plan.notes[:most])
        ],
        "more": sum(
            max(0, len(rows) - most) for rows in (plan.models, plan.criteria, plan.windows, plan.vials, plan.notes)
        ),
    }


def _constants(content: ReportContent) -> str:
    constants = content.constants
    implied = " (implied)" if constants.mean_energy_is_implied else ""
    return (
        f"{constants.name}: K = {constants.gy_kg_per_gbq:.6g} Gy·kg/GBq, half-life {constants.half_life_h:.6g} h, "
        f"mean energy {constants.mean_energy_mev:.4f} MeV{implied}"
    )


def _entries(phase: PhaseReport) -> dict[str, CompartmentDose]:
    return {entry.name: entry for entry in phase.compartments}


def _mean(entry: CompartmentDose | None, method: str) -> float | None:
    return entry.dvh[method].mean_gy() if entry is not None and method in entry.dvh else None


def _tiles(content: ReportContent) -> Iterator[dict[str, Any]]:
    """The few figures a reader looks for first: mean local doses, and the lungs."""
    for title in (ALL_TUMOURS, NORMAL_PERFUSED, WHOLE_NORMAL):
        values = [number(_mean(_entries(phase).get(title), LOCAL), 0) for phase in content.phases]
        yield {"title": title, "values": values}
    yield {"title": "Lungs", "values": [number(phase.lung.mean_gy, 1) for phase in content.phases]}


def _injections(content: ReportContent) -> Iterator[list[str]]:
    for line in content.injections:
        yield [
            name(line.id),
            name(line.territory),
            printable(line.time.replace("T", " "), 20),
            number(line.planned_mbq, 0),
            number(line.vial_mbq, 0),
            number(line.residual_mbq, 0),
            number(line.net_mbq, 0),
            number(line.lung_shunt_fraction, 2, 100.0),
        ]
    if len(content.injections) > 1:
        planned = [line.planned_mbq for line in content.injections if line.planned_mbq is not None]
        whole = len(planned) == len(content.injections)
        yield [
            "Sum",
            "",
            "",
            number(sum(planned) if whole else None, 0),
            number(sum(line.vial_mbq for line in content.injections), 0),
            number(sum(line.residual_mbq for line in content.injections), 0),
            number(sum(line.net_mbq for line in content.injections), 0),
            "",
        ]


def _phase(phase: PhaseReport) -> dict[str, Any]:
    balance, lung = phase.balance, phase.lung
    absolute = phase.calibration == "absolute"
    visible = f", visible {lung.visible_mass_g:.0f} g" if lung.visible_mass_g is not None else ""
    return {
        "title": phase_title(phase.phase),
        "quantity": printable(phase.quantity),
        "image": name(phase.image),
        "calibration": printable(phase.calibration),
        "registration": f"{printable(phase.registration_method, 90)}; correlation {phase.registration_quality:.3f}",
        "balance": [
            number(balance.get("net_injected_mbq"), 0),
            number(balance.get("liver_mbq"), 0),
            number(balance.get("lungs_mbq"), 0),
            number(balance.get("ratio"), 3) if absolute else "1 by calibration",
            number(balance.get("image_total_mbq"), 0),
            number(balance.get("field_ratio"), 3),
            number(balance.get("territories_share_of_field"), 1, 100.0),
            number(balance.get("lungs_share_of_field"), 1, 100.0),
        ],
        "lung": [
            number(lung.mean_gy, 1),
            number(lung.activity_mbq, 1),
            f"{lung.mass_g:.0f} g, {printable(lung.mass_source, 40)}{visible}",
            name(lung.method),
        ],
    }


def _findings(content: ReportContent, most: int) -> dict[str, Any]:
    def rank(line: FindingLine) -> int:
        return _SEVERITIES.index(line.severity) if line.severity in _SEVERITIES else 0

    ordered = sorted(content.findings, key=rank)
    return {
        "listed": [
            {
                "severity": line.severity if line.severity in _SEVERITIES else "block",
                "phase": phase_title(line.phase) if line.phase != "case" else "Case",
                "where": name(line.where),
                "message": name(line.message.rstrip("."), _LONGEST_SENTENCE) + ".",
                "mend": name(line.mend.rstrip("."), _LONGEST_SENTENCE) + "." if line.mend else "",
                "accepted": name(line.accepted, _LONGEST_SENTENCE) if line.accepted else "",
            }
            for line in ordered[:most]
        ],
        "counts": {severity: sum(line.severity == severity for line in ordered) for severity in _SEVERITIES},
        "more": max(0, len(ordered) - most),
        "more_doubts": sum(line.severity != "note" for line in ordered[most:]),
    }


def _compartments(content: ReportContent, most: int) -> dict[str, Any]:
    """Groups of rows; tumours beyond ``most`` (the smallest) and then other structures are left to the tables."""
    roles = {entry.name: entry.role for phase in content.phases for entry in phase.compartments}
    volumes = {entry.name: entry.volume_ml for phase in content.phases for entry in phase.compartments}
    per_territory = [title for title in roles if title.startswith(f"{NORMAL_PERFUSED}: ")]
    tumours = [title for title, role in roles.items() if role == "tumour"]
    rest = [title for title, role in roles.items() if role in ("liver", "territory", "other")]
    kept = set(sorted(tumours, key=lambda title: -volumes[title])[:most])
    groups = [
        ("Tumours", [*(t for t in tumours if t in kept), *([ALL_TUMOURS] if ALL_TUMOURS in roles else [])]),
        # Both reference volumes always appear, under these names.
        ("Normal liver", [NORMAL_PERFUSED, *per_territory, WHOLE_NORMAL, *(t for t in (NON_PERFUSED,) if t in roles)]),
        ("Drawn structures", rest),
    ]
    shown = []
    left_out = len(tumours) - len(kept)
    for title, names in groups:
        listed = names[: max(most, 3)] if title != "Tumours" else names
        left_out += len(names) - len(listed)
        if listed:
            shown.append({"title": title, "rows": [_rows(content, entry) for entry in listed]})
    return {"groups": shown, "more": left_out}


def _rows(content: ReportContent, title: str) -> dict[str, Any]:
    found = [(phase, _entries(phase).get(title)) for phase in content.phases]
    first = next((entry for _, entry in found if entry is not None), None)
    return {
        "name": name(title),
        "is_sum": title in (ALL_TUMOURS, NORMAL_PERFUSED, WHOLE_NORMAL),
        "volume": number(first.volume_ml if first else None, 1),
        "mass": number(first.mass_g if first else None, 1),
        "lines": [_line(phase.phase, entry, content.figure_method) for phase, entry in found],
    }


def _with_uncertainty(entry: CompartmentDose, method: str) -> str:
    """Mean and one standard uncertainty, with as many digits as that has a meaning for."""
    mean = _mean(entry, method)
    if mean is None or entry.relative_uncertainty is None:
        return number(mean)
    sd = abs(entry.relative_uncertainty * mean)
    decimals = 0 if sd >= 2.0 else 1
    return f"{number(mean, decimals)} ± {number(sd, decimals)}"


_DOSES_OF_EFFECT = ("bed_gy", "eqd2_gy", "eud_gy", "survival_eud_gy", "eubed_gy")
_MOST_BIOLOGY = 5


def _biology(content: ReportContent, most: int) -> list[list[str]]:
    """BED, EQD2, equivalent uniform doses and probabilities of the sums and the largest tumours."""
    rows = []
    method = content.figure_method
    for phase in content.phases:
        entries = [entry for entry in phase.compartments if method in entry.biological or entry.effects.get(method)]
        tumours = sorted((e for e in entries if e.role == "tumour"), key=lambda e: -e.volume_ml)
        sums = [e for title in (ALL_TUMOURS, NORMAL_PERFUSED, WHOLE_NORMAL) for e in entries if e.name == title]
        for entry in [*sums, *tumours[: min(most, _MOST_BIOLOGY)]]:
            figures = entry.biological.get(method, {})
            chances = [f"{name(model, 30)} {number(p, 0, 100.0)}\u00a0%" for model, p in entry.effects.get(method, ())]
            doses = [number(figures.get(key), 0) for key in _DOSES_OF_EFFECT]
            rows.append(
                [phase.phase, name(entry.name), *doses, ", ".join(chances) or NONE, _parameters(figures) or NONE]
            )
    return rows


def _parameters(figures: dict[str, float]) -> str:
    words = (
        ("alpha_beta_gy", "α/β {:g} Gy"),
        ("repair_half_time_h", "repair {:g} h"),
        ("eud_exponent", "a {:g}"),
        ("alpha_per_gy", "α {:g}/Gy"),
    )
    return ", ".join(text.format(figures[key]) for key, text in words if key in figures)


def _budget(content: ReportContent, most: int) -> list[list[str]]:
    """The largest sources of the sums and of the largest tumours, for each phase."""
    rows = []
    for phase in content.phases:
        entries = [entry for entry in phase.compartments if entry.budget]
        tumours = sorted((e for e in entries if e.role == "tumour"), key=lambda e: -e.volume_ml)[:most]
        sums = [e for title in (ALL_TUMOURS, NORMAL_PERFUSED, WHOLE_NORMAL) for e in entries if e.name == title]
        for entry in [*sums, *tumours]:
            mean = _mean(entry, LOCAL)
            if mean is None or entry.relative_uncertainty is None:
                continue
            half = COVERAGE_95 * abs(entry.relative_uncertainty * mean)
            sources = ", ".join(f"{source} {100.0 * share:.0f}\u00a0%" for source, _, share in entry.budget[:3])
            rows.append(
                [
                    phase.phase,
                    name(entry.name),
                    f"{number(max(0.0, mean - half), 0)} to {number(mean + half, 0)}",
                    number(entry.relative_uncertainty, 1, 100.0),
                    printable(sources),
                    number(entry.blur_bias_percent, 0),
                    number(entry.noise_sd_gy, 0),
                ]
            )
    return rows


def _line(phase: str, entry: CompartmentDose | None, method: str) -> dict[str, Any]:
    if entry is None:
        return {"phase": phase, "values": [NONE] * 9, "unresolved": False}
    dvh = entry.dvh.get(method)
    values = [
        number(entry.activity_mbq),
        _with_uncertainty(entry, LOCAL),
        _with_uncertainty(entry, KERNEL),
        number(entry.multicompartment_gy),
        number(dvh.sd_gy() if dvh else None),
        number(dvh.dose_to_volume_gy(70.0) if dvh else None),
        number(dvh.dose_to_volume_gy(95.0) if dvh else None),
        number(dvh.volume_at_dose_percent(100.0) if dvh else None),
        number(entry.tumour_to_normal, 2),
    ]
    return {"phase": phase, "values": values, "unresolved": entry.resolved is False}
