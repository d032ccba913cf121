"""What the panel's radiobiology box shows and changes: tissues, published models and the person's own. No Qt here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..dosimetry.effect import EffectModel
from ..dosimetry.effect_sets import SCOPE, published_model, published_models, published_tissues
from ..errors import InputError
from .document import Case, Tissue

TUMOUR_TISSUE, LIVER_TISSUE = "tumour_tissue", "liver_tissue"
_WORDS = {
    "d50_gy": "dose of half effect (Gy)",
    "td50_gy": "dose of half effect (Gy)",
    "slope_per_gy": "slope (1/Gy)",
    "gamma50": "normalized slope γ50",
    "alpha_per_gy": "α (1/Gy)",
    "clonogens_per_ml": "clonogens per mL",
    "m": "m",
    "n": "n",
    "k": "k",
    "reserve_mean": "mean functional reserve (share)",
    "reserve_sd": "SD of the functional reserve (share)",
}


def box_state(case: Case) -> dict[str, Any]:
    """What the box shows: tissues as numbers (absent where not given), models in use, presets, and the scope.

    Returns
    -------
    dict
        ``tumour_tissue`` and ``liver_tissue``: dict of name to number; ``effects``: list of (name, tooltip);
        ``presets``: list of (name, tooltip, parameters to give as (key, words)); ``tissue_presets``: list of
        (name, tooltip, numbers); ``scope``: one sentence.
    """
    return {
        TUMOUR_TISSUE: _numbers(case.settings.tumour_tissue),
        LIVER_TISSUE: _numbers(case.settings.liver_tissue),
        "effects": [(model.name, _tooltip(model)) for model in case.settings.effects or ()],
        "presets": [
            (model.name, _tooltip(model), [(key, _WORDS[key]) for key in model.to_give]) for model in published_models()
        ],
        "tissue_presets": [
            (
                tissue.name,
                tissue.reference,
                {
                    key: value
                    for key in ("alpha_beta_gy", "repair_half_time_h")
                    if (value := getattr(tissue, key)) is not None
                },
            )
            for tissue in published_tissues()
        ],
        "scope": SCOPE,
    }


def _numbers(tissue: Tissue | None) -> dict[str, float]:
    return {} if tissue is None else {key: value for key, value in vars(tissue).items() if value is not None}


def _tooltip(model: Any) -> str:
    return f"{model.endpoint}; {model.device}; of {model.quantity}. {model.reference}".strip()


def with_tissue(
    case: Case,
    which: str,
    alpha_beta_gy: float | None,
    repair_half_time_h: float | None,
    eud_exponent: float | None = None,
    alpha_per_gy: float | None = None,
) -> Case:
    """The case with a tissue as typed; both α/β and repair half-time empty take it out.

    Parameters
    ----------
    which : str
        ``"tumour_tissue"`` or ``"liver_tissue"``.

    Raises
    ------
    InputError
        Where one of the two is missing, or a number has no meaning.
    """
    if alpha_beta_gy is None and repair_half_time_h is None:
        return _with(case, which, None)
    if alpha_beta_gy is None or repair_half_time_h is None:
        raise InputError(which.replace("_", " "), "one of α/β and repair half-time is missing", "Give both or neither")
    tissue = Tissue(alpha_beta_gy, repair_half_time_h, eud_exponent, alpha_per_gy)
    return _with(case, which, tissue)


def _with(case: Case, which: str, tissue: Tissue | None) -> Case:
    if which == TUMOUR_TISSUE:
        return replace(case, settings=replace(case.settings, tumour_tissue=tissue))
    return replace(case, settings=replace(case.settings, liver_tissue=tissue))


def with_effect(case: Case, model: EffectModel) -> Case:
    """The case with one more model, in place of one of the same name."""
    kept = [other for other in case.settings.effects or () if other.name != model.name]
    return replace(case, settings=replace(case.settings, effects=(*kept, model)))


def with_published_effect(case: Case, name: str, given: dict[str, float]) -> Case:
    """The case with a published model, completed by the parameters that its source does not state."""
    return with_effect(case, published_model(name).model(**given))


def without_effect(case: Case, name: str) -> Case:
    """The case without a model; the last one leaves the field as if it had never been."""
    kept = tuple(other for other in case.settings.effects or () if other.name != name)
    return replace(case, settings=replace(case.settings, effects=kept or None))
