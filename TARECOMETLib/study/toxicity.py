"""Liver toxicity and dose: who had it, who could not have it for a competing event, and the dose that is safe."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from .cohort import DAYS_PER_MONTH, Cohort, Patient, month_of
from .inverse_dose import DoseAt, dose_at, dose_of_upper_bound, on_scale
from .logistic import LogisticFit, design_of, fit_firth, fit_logistic

TOXICITY, NONE, COMPETING, UNKNOWN = "toxicity", "none", "competing event", "not known"
# Fewer events than this per coefficient: estimates and intervals are weak (Peduzzi 1996,
# doi:10.1016/S0895-4356(96)00236-3).
EVENTS_PER_COEFFICIENT = 10
_NOT_BY_TREATMENT = ("progression", "obstruction", "other")


@dataclass(frozen=True)
class ToxicityStatus:
    """What happened first to a patient within the window.

    Parameters
    ----------
    status : str
        toxicity, none, competing event or not known.
    month : float or None
    what : str
        The term or the kind of competing event.
    """

    status: str
    month: float | None = None
    what: str = ""


def toxicity_status(patient: Patient, cohort: Cohort) -> ToxicityStatus:
    """Toxicity is CTCAE at or above the plan's grade and worse than at baseline, within the plan's months.

    Progression, biliary obstruction or death before it are competing events, never "no toxicity": such a patient can
    neither show nor be shown to be free of toxicity by the treatment.
    """
    plan = cohort.plan
    wanted = [t for t in patient.toxicities if not plan.toxicity_terms or t["term"] in plan.toxicity_terms]
    baseline = {t["term"]: int(t["grade"] or 0) for t in wanted if t["visit"] == "baseline"}
    found: list[tuple[float, str]] = []
    seen_until = 0.0
    for row in wanted:
        month = _month(row, patient)
        if month is None or row["visit"] == "baseline" or row["grade"] is None:
            continue
        if month <= plan.toxicity_months + plan.visit_window_days / DAYS_PER_MONTH:
            seen_until = max(seen_until, month)
            worse = int(row["grade"]) > baseline.get(row["term"], 0)
            if int(row["grade"]) >= plan.toxicity_grade and worse and row["caused_by"] not in _NOT_BY_TREATMENT:
                found.append((month, str(row["term"])))
    competing = [(month, f"progression, {kind}") for month, kind in patient.progressions]
    competing += [(month, kind) for month, kind in patient.other_events if kind == "biliary obstruction"]
    if patient.death_month is not None:
        competing.append((patient.death_month, "death"))
    first = min(found, default=None)
    before = min((c for c in competing if c[0] < (first[0] if first else float(plan.toxicity_months))), default=None)
    if before is not None:
        return ToxicityStatus(COMPETING, *before)
    if first is not None:
        return ToxicityStatus(TOXICITY, *first)
    opens = plan.toxicity_months - plan.visit_window_days / DAYS_PER_MONTH
    if seen_until >= opens:
        return ToxicityStatus(NONE, seen_until)
    return ToxicityStatus(UNKNOWN, patient.last_month)


def _month(row: dict, patient: Patient) -> float | None:
    if row["date"] and patient.treated is not None:
        from datetime import date

        return (date.fromisoformat(str(row["date"])) - patient.treated).days / DAYS_PER_MONTH
    return month_of(str(row["visit"]))


@dataclass(frozen=True, eq=False)
class DoseToxicity:
    """Risk against the dose of one reference volume.

    Parameters
    ----------
    counts : dict
        Patients by status.
    fit : LogisticFit or None
        None where there is nothing to fit.
    worst_case : LogisticFit or None
        The same with competing events counted as toxicity.
    levels : tuple of DoseAt
        Dose at each risk level.
    safe : DoseAt or None
        Up to it the upper bound of the risk is at or below the chosen risk.
    lkb : dict
        TD50 and m with n = 1 (and n where histograms are stored).
    """

    compartment: str
    dose_gy: np.ndarray
    event: np.ndarray
    counts: dict[str, int]
    competing: dict[str, int]
    fit: LogisticFit | None
    worst_case: LogisticFit | None
    levels: tuple[DoseAt, ...]
    safe: DoseAt | None
    lkb: dict[str, float]
    warnings: tuple[str, ...]

    @property
    def seen_gy(self) -> tuple[float, float]:
        """Lowest and highest dose among those who enter."""
        return float(self.dose_gy.min()), float(self.dose_gy.max())


def dose_toxicity(cohort: Cohort, compartment: str) -> DoseToxicity:
    """Dose-toxicity of the whole normal or the normal perfused liver."""
    plan = cohort.plan
    entries = [
        (p, toxicity_status(p, cohort), p.normal_dose_gy[compartment].get(plan.dose_phase)) for p in cohort.patients
    ]
    counts = Counter(status.status if dose is not None else "no dose" for _, status, dose in entries)
    competing = Counter(s.what for _, s, d in entries if s.status == COMPETING and d is not None)
    judged = [(p, s, float(d)) for p, s, d in entries if d is not None and s.status in (TOXICITY, NONE)]
    dose = np.array([d for _, _, d in judged])
    event = np.array([s.status == TOXICITY for _, s, _ in judged])
    events = int(event.sum())
    warnings = []
    if events < EVENTS_PER_COEFFICIENT:
        warnings.append(f"{events} events: fewer than {EVENTS_PER_COEFFICIENT} per coefficient, read with care")
    unusable = len(judged) < 5 or events in (0, len(judged)) or np.ptp(dose) == 0.0
    if plan.toxicity_dose_scale == "log" and len(dose) and dose.min() <= 0.0:
        unusable = True
        warnings.append("a dose of 0 Gy has no logarithm")
    if unusable:
        warnings.append("no curve: there must be patients with and without toxicity, at several doses")
        return DoseToxicity(
            compartment, dose, event, dict(counts), dict(competing), None, None, (), None, {}, tuple(warnings)
        )
    fit = _fit(dose, event, plan.toxicity_dose_scale)
    if "Firth" in fit.method:
        warnings.append("few events or separated groups: Firth's penalized likelihood")
    seen = (float(dose.min()), float(dose.max()))
    levels = tuple(dose_at(fit, r, plan.toxicity_dose_scale, seen, plan.confidence) for r in plan.risk_levels_percent)
    safe = dose_of_upper_bound(fit, plan.chosen_risk_percent, plan.toxicity_dose_scale, seen, plan.confidence)
    rest = [(float(d), s.status != NONE) for _, s, d in entries if d is not None and s.status != UNKNOWN]
    worst = _fit(np.array([d for d, _ in rest]), np.array([e for _, e in rest]), plan.toxicity_dose_scale)
    lkb = _lkb(dose, event)
    histograms = [p.normal_dvh.get(compartment) for p, _, _ in judged]
    if all(h is not None for h in histograms):
        lkb |= _lkb_with_volume(histograms, event)
    return DoseToxicity(
        compartment, dose, event, dict(counts), dict(competing), fit, worst, levels, safe, lkb, tuple(warnings)
    )


def _fit(dose: np.ndarray, event: np.ndarray, scale: str) -> LogisticFit:
    """Maximum likelihood; Firth's where events are few or separated."""
    design = design_of(on_scale(dose, scale))
    rarer = min(int(event.sum()), int((~event).sum()))
    if rarer >= EVENTS_PER_COEFFICIENT:
        fit = fit_logistic(design, event.astype(float))
        if not fit.is_separated:
            return fit
    return fit_firth(design, event.astype(float))


def _probit(x: np.ndarray, event: np.ndarray) -> tuple[float, float, float]:
    """Intercept, slope and log-likelihood of P = Φ(a + b x)."""
    from scipy.optimize import minimize
    from scipy.special import log_ndtr

    center, spread = float(x.mean()), float(x.std()) or 1.0
    scaled, sign = (x - center) / spread, np.where(event, 1.0, -1.0)

    def loss(b: np.ndarray) -> float:
        return -float(np.sum(log_ndtr(sign * (b[0] + b[1] * scaled)))) + 1e-9 * float(b @ b)

    best = minimize(loss, np.zeros(2), method="BFGS")
    slope = best.x[1] / spread
    return float(best.x[0] - slope * center), float(slope), -float(best.fun)


def _lkb(dose: np.ndarray, event: np.ndarray) -> dict[str, float]:
    """Lyman's model with n = 1: NTCP = Φ((D - TD50) / (m TD50)) (Lyman 1985, doi:10.2307/3583506)."""
    a, b, value = _probit(dose, event)
    if b <= 0.0 or a >= 0.0:
        return {}
    return {"n": 1.0, "td50_gy": -a / b, "m": -1.0 / a, "log_likelihood": value}


def _lkb_with_volume(histograms: list, event: np.ndarray) -> dict[str, float]:
    """n profiled over a grid, with gEUD from each patient's histogram."""
    best: dict[str, float] = {}
    for n in np.geomspace(0.1, 3.0, 30):
        euds = []
        for doses, volumes in histograms:
            share = np.array(volumes) / np.sum(volumes)
            euds.append(float(np.sum(share * np.maximum(doses, 0.0) ** (1.0 / n)) ** n))
        a, b, value = _probit(np.array(euds), event)
        if b > 0.0 and a < 0.0 and value > best.get("fitted_n_log_likelihood", -np.inf):
            best = {
                "fitted_n": float(n),
                "fitted_n_td50_gy": -a / b,
                "fitted_n_m": -1.0 / a,
                "fitted_n_log_likelihood": value,
            }
    return best
