"""From dose to the probability of an effect: tumor control and normal tissue complication.

Models are data: a named kind with its parameters, the device and end point they were fitted for and the reference. A
set without its device and end point means nothing for another product, whatever the dose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from .dvh import Dvh
from .radiobiology import Radiobiology, bed_gy, eqd2_gy, generalized_eud_gy

DOSE, BED, EQD2 = "dose", "bed", "eqd2"
QUANTITIES = (DOSE, BED, EQD2)
MEAN_ALONE = ("logistic", "logit", "poisson")
# Parameters of each kind; all must be given.
KINDS: dict[str, tuple[str, ...]] = {
    # 1 / (1 + (D50 / D)^(4 γ50)), D the mean.
    "logistic": ("d50_gy", "gamma50"),
    # 1 / (1 + exp(-slope (D - D50))): the logit fit b0 + b1 D with b1 = slope and b0 = -slope D50, D the mean.
    "logit": ("d50_gy", "slope_per_gy"),
    # 2^(-exp(e γ50 (1 - D / D50))), D the mean.
    "poisson": ("d50_gy", "gamma50"),
    # exp(-Σ V n exp(-α D)): every clonogen of every voxel must die; n per mL.
    "poisson-voxel": ("alpha_per_gy", "clonogens_per_ml"),
    # Lyman-Kutcher-Burman: Φ((gEUD - TD50) / (m TD50)) with gEUD exponent 1 / n.
    "lkb": ("td50_gy", "m", "n"),
    # Parallel tissue: subunits die with 1 / (1 + (D50 / D)^k), a complication follows when the dead share exceeds a
    # functional reserve that is normal in the population.
    "parallel": ("d50_gy", "k", "reserve_mean", "reserve_sd"),
}
REFERENCES = {
    "logistic": "Niemierko, Radiother Oncol 1999;50:S55",
    "logit": "Dewaraja et al., J Nucl Med 2020;61:104",
    "poisson": "Bentzen and Tucker, Int J Radiat Biol 1997;71:531",
    "poisson-voxel": "Webb and Nahum, Phys Med Biol 1993;38:653",
    "lkb": "Kutcher and Burman, Int J Radiat Oncol Biol Phys 1989;16:1623",
    "parallel": "Jackson, Kutcher and Yorke, Med Phys 1993;20:613",
}


@dataclass(frozen=True)
class EffectModel:
    """One dose-effect model with its parameters.

    Parameters
    ----------
    name : str
    kind : str
        A key of ``KINDS``.
    compartment : str
        Role or derived name it speaks of: ``"tumour"``, ``"Whole normal liver"``, ``"Normal perfused liver"``.
    parameters : dict
        As ``KINDS`` names them; doses in Gy of the quantity.
    quantity : str
        ``"dose"``, ``"bed"`` or ``"eqd2"``.
    device, endpoint, reference : str
        What it was fitted for and where it stands.

    Raises
    ------
    InputError
        For an unknown kind, or a parameter that is missing, unknown or out of range.
    """

    name: str
    kind: str
    compartment: str
    parameters: dict[str, float] = field(default_factory=dict)
    quantity: str = DOSE
    device: str = ""
    endpoint: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        where = f'effect model "{self.name}"'
        if self.kind not in KINDS:
            raise InputError(where, f'there is no kind "{self.kind}"', f"Choose one of {', '.join(KINDS)}", "effect")
        if self.quantity not in QUANTITIES:
            raise InputError(
                where, f'there is no quantity "{self.quantity}"', f"Choose one of {', '.join(QUANTITIES)}", "effect"
            )
        wanted = KINDS[self.kind]
        missing = [key for key in wanted if key not in self.parameters]
        unknown = [key for key in self.parameters if key not in wanted]
        if missing or unknown:
            problem = f"it lacks {', '.join(missing)}" if missing else f"it has no parameter {', '.join(unknown)}"
            raise InputError(where, problem, f"{self.kind} takes {', '.join(wanted)}", "effect-parameters")
        for key in wanted:
            value = self.parameters[key]
            if not (math.isfinite(value) and value > 0.0):
                raise InputError(f"{where}, {key}", f"expected above 0, got {value:g}", "Correct it", "effect-value")
        if self.parameters.get("reserve_mean", 0.5) >= 1.0:
            raise InputError(f"{where}, reserve_mean", "expected below 1", "Give it as a share", "effect-value")


def fitted_logit(
    name: str,
    intercept: float,
    slope_per_gy: float,
    compartment: str = "tumour",
    *,
    quantity: str = DOSE,
    device: str = "",
    endpoint: str = "",
    reference: str = "",
) -> EffectModel:
    """A model from a logistic regression on dose: logit p = intercept + slope D, as a study fits it.

    Raises
    ------
    InputError
        Where the effect does not grow with dose, or half of it needs no dose.
    """
    if not (slope_per_gy > 0.0 and intercept < 0.0):
        raise InputError(
            f'effect model "{name}"',
            f"intercept {intercept:g} and slope {slope_per_gy:g} per Gy give no dose of half effect above 0",
            "Check the fit: the slope must be above 0 and the intercept below",
            "effect-value",
        )
    values = {"d50_gy": -intercept / slope_per_gy, "slope_per_gy": slope_per_gy}
    return EffectModel(name, "logit", compartment, values, quantity, device, endpoint, reference)


def logistic(dose_gy: float, d50_gy: float, gamma50: float) -> float:
    """1 / (1 + (D50 / D)^(4 γ50)); γ50 is the normalized slope D dP/dD at D50. 0 at no dose."""
    if dose_gy <= 0.0:
        return 0.0
    return _expit(4.0 * gamma50 * math.log(dose_gy / d50_gy))


def logit(dose_gy: float, d50_gy: float, slope_per_gy: float) -> float:
    """1 / (1 + exp(-slope (D - D50)))."""
    return _expit(slope_per_gy * (dose_gy - d50_gy))


def poisson(dose_gy: float, d50_gy: float, gamma50: float) -> float:
    """2^(-exp(e γ50 (1 - D / D50))), one half at D50; the slope there is γ50 up to e ln2 / 2 = 0.942."""
    return 2.0 ** -math.exp(min(700.0, math.e * gamma50 * (1.0 - dose_gy / d50_gy)))


def poisson_voxel(dvh: Dvh, alpha_per_gy: float, clonogens_per_ml: float) -> float:
    """exp(-Σ V n exp(-α D)): no clonogen of any voxel survives."""
    dose = np.maximum(dvh.dose_gy, 0.0)
    return math.exp(-clonogens_per_ml * float(np.sum(dvh.volume_ml * np.exp(-alpha_per_gy * dose))))


def lyman(dvh: Dvh, td50_gy: float, m: float, n: float) -> float:
    """Φ((gEUD - TD50) / (m TD50)) with gEUD exponent 1 / n."""
    return _normal((generalized_eud_gy(dvh, 1.0 / n) - td50_gy) / (m * td50_gy))


def parallel(dvh: Dvh, d50_gy: float, k: float, reserve_mean: float, reserve_sd: float) -> float:
    """Φ((f - reserve_mean) / reserve_sd) with the dead share f = Σ v / (1 + (D50 / D)^k)."""
    dose = np.maximum(dvh.dose_gy, 1.0e-12)
    dead = 1.0 / (1.0 + np.exp(np.clip(k * np.log(d50_gy / dose), -700.0, 700.0)))
    share = float(np.sum(dvh.volume_ml * dead) / dvh.total_volume_ml)
    return _normal((share - reserve_mean) / reserve_sd)


def effect_probability(
    model: EffectModel, dvh: Dvh, tissue: Radiobiology | None = None, half_life_h: float | None = None
) -> float:
    """Probability of the model's end point for a compartment's dose distribution.

    Parameters
    ----------
    model : EffectModel
    dvh : Dvh
        In physical dose.
    tissue : Radiobiology, optional
    half_life_h : float, optional
        Both needed by models in BED or EQD2.

    Raises
    ------
    InputError
        Where a model in BED or EQD2 is used without tissue parameters.
    """
    chosen = dvh
    if model.quantity != DOSE:
        if tissue is None or half_life_h is None:
            raise InputError(
                f'effect model "{model.name}"',
                f"it is one of {model.quantity.upper()}, and α/β and repair half-time are not given",
                "Give them, or choose a model of dose",
                "effect-tissue",
            )
        value = bed_gy(np.maximum(dvh.dose_gy, 0.0), tissue, half_life_h)
        if model.quantity == EQD2:
            value = eqd2_gy(value, tissue.alpha_beta_gy)
        chosen = Dvh(np.asarray(value), dvh.volume_ml, dvh.mass_g)
    p = model.parameters
    if model.kind == "poisson-voxel":
        return poisson_voxel(chosen, p["alpha_per_gy"], p["clonogens_per_ml"])
    if model.kind == "lkb":
        return lyman(chosen, p["td50_gy"], p["m"], p["n"])
    if model.kind == "parallel":
        return parallel(chosen, p["d50_gy"], p["k"], p["reserve_mean"], p["reserve_sd"])
    function = {"logistic": logistic, "logit": logit, "poisson": poisson}[model.kind]
    return function(chosen.mean_gy(), p["d50_gy"], p[KINDS[model.kind][1]])


def _expit(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0.0 else 1.0 - 1.0 / (1.0 + math.exp(value))


def _normal(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2.0))
