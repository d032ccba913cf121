"""Every prescription model side by side, from one set of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..dosimetry import compartments
from ..errors import InputError
from .criteria import Targets
from .goals import BED, MEAN, PERFUSED, TUMOUR, WHOLE_NORMAL, Goal
from .patient import RESIN, PlanInputs, normal_perfused_name, perfused_name
from .patient import TUMOUR as TUMOUR_KIND
from .prescription import (
    body_surface_activity_gbq,
    lung_dose_gy,
    order_activity_gbq,
    partition_activity_gbq,
    partition_doses_gy,
    single_compartment_activity_gbq,
)
from .response import region_response

BSA, SINGLE, PARTITION, MULTI, VOXEL = (
    "BSA",
    "MIRD single compartment",
    "partition",
    "multicompartment",
    "voxel-based",
)
# EANM 2022's single-compartment band, where no goal gives another.
DEFAULT_PERFUSED_GY = (80.0, 150.0)
DEFAULT_VOXEL_METRICS = (MEAN, "D70", "D95")


@dataclass(frozen=True)
class ModelRow:
    """One model's answer for one prescription.

    Parameters
    ----------
    model, territory, prescription : str
        The last in words: "189 Gy to Metastasis 1".
    net_gbq, order_gbq : float
        What must reach the patient, and what the vial must hold at injection.
    lung_gy : float
    formula, inputs, source : str
    tumour_gy, normal_perfused_gy, perfused_gy : float or None
        What the model itself says these get; None where it says nothing of them.
    """

    model: str
    territory: str
    prescription: str
    net_gbq: float
    order_gbq: float
    lung_gy: float
    formula: str
    inputs: str
    source: str
    tumour_gy: float | None = None
    normal_perfused_gy: float | None = None
    perfused_gy: float | None = None


@dataclass(frozen=True)
class NoRow:
    """A model that cannot answer for a territory, and why."""

    model: str
    territory: str
    reason: str


def model_table(
    inputs: PlanInputs,
    goals: Sequence[Goal],
    targets: Targets,
    perfused_gy: Sequence[float] | None = None,
) -> tuple[list[ModelRow], list[NoRow]]:
    """All models for all territories.

    Parameters
    ----------
    inputs : PlanInputs
    goals : sequence of Goal
        Tumour goals prescribe to the partition, multicompartment and voxel models, perfused ones to the single
        compartment.
    targets : Targets
    perfused_gy : sequence of float, optional
        Doses for the single compartment instead of those of the goals.

    Returns
    -------
    list of ModelRow
    list of NoRow
    """
    rows: list[ModelRow] = []
    missing: list[NoRow] = []
    if inputs.spheres == RESIN:
        _collect(rows, missing, BSA, "whole liver", partial(_body_surface, inputs))
    bands = [g for g in goals if g.volume == PERFUSED and g.metric == MEAN]
    from_goals = [value for g in bands for value in (g.at_least, g.at_most) if value is not None]
    wishes = [g for g in goals if g.volume == TUMOUR and g.at_least is not None]
    limits = [g for g in goals if g.volume == WHOLE_NORMAL and g.at_most is not None and g.metric == MEAN]
    mean = next((g.at_least for g in wishes if g.metric == MEAN), None)
    first = mean if mean is not None else next((g.at_least for g in wishes), None)
    for number, injection in enumerate(inputs.injections):
        place = injection.territory
        for dose in dict.fromkeys(perfused_gy or from_goals or DEFAULT_PERFUSED_GY):
            _collect(rows, missing, SINGLE, place, partial(_single, inputs, number, dose))
        if first is None:
            missing += [NoRow(model, place, "no goal for tumours") for model in (PARTITION, MULTI, VOXEL)]
            continue
        _collect(rows, missing, PARTITION, place, partial(_partition, inputs, number, first))
        _collect(rows, missing, MULTI, place, partial(_multi, inputs, number, first, targets, limits))
        asked = {(g.metric, g.exponent): g.at_least or first for g in wishes if g.metric != BED}
        for metric in DEFAULT_VOXEL_METRICS:
            asked.setdefault((metric, None), first)
        for (metric, exponent), dose in asked.items():
            _collect(rows, missing, VOXEL, place, partial(_voxel, inputs, number, metric, exponent, dose, targets))
    return rows, missing


def _collect(
    rows: list[ModelRow], missing: list[NoRow], model: str, place: str, make: Callable[[], ModelRow | list[ModelRow]]
) -> None:
    try:
        made = make()
        rows += made if isinstance(made, list) else [made]
    except InputError as error:
        missing.append(NoRow(model, place, f"{error.where}: {error.problem}"))


def _row(patient: PlanInputs, number: int, model: str, prescription: str, net_gbq: float, **rest: Any) -> ModelRow:
    injection = patient.injections[number]
    return ModelRow(
        model=model,
        territory=injection.territory,
        prescription=prescription,
        net_gbq=net_gbq,
        order_gbq=order_activity_gbq(net_gbq, injection.residual_fraction),
        lung_gy=lung_dose_gy(patient.constants, net_gbq, injection.lung_shunt_fraction, patient.lung_mass_g),
        **rest,
    )


def _body_surface(inputs: PlanInputs) -> ModelRow:
    if inputs.height_cm is None or inputs.weight_kg is None:
        raise InputError("BSA", "height and weight are not given", "Give both")
    shunt = max(injection.lung_shunt_fraction for injection in inputs.injections)
    tumour_ml = inputs.region(compartments.ALL_TUMOURS).volume_ml if inputs.has(compartments.ALL_TUMOURS) else 0.0
    net = body_surface_activity_gbq(inputs.height_cm, inputs.weight_kg, tumour_ml, inputs.liver_volume_ml, shunt)
    residual = max(injection.residual_fraction for injection in inputs.injections)
    return ModelRow(
        model=BSA,
        territory="whole liver",
        prescription="by body surface and tumour share",
        net_gbq=net,
        order_gbq=order_activity_gbq(net, residual),
        lung_gy=lung_dose_gy(inputs.constants, net, shunt, inputs.lung_mass_g),
        formula="A = (BSA - 0.2 + V_t/V_liver), less 20/40/100 % for LSF > 10/15/20 %",
        inputs=f"{inputs.height_cm:g} cm, {inputs.weight_kg:g} kg, tumour {tumour_ml:.1f} of "
        f"{inputs.liver_volume_ml:.1f} mL, LSF {shunt:.4g}",
        source="resin spheres, in common use; to be confirmed by the site",
    )


def _shunt(inputs: PlanInputs, number: int) -> str:
    return f"LSF {inputs.injections[number].lung_shunt_fraction:.4g}"


def _single(inputs: PlanInputs, number: int, dose_gy: float) -> ModelRow:
    injection = inputs.injections[number]
    mass_g = inputs.region(perfused_name(injection.territory)).mass_g
    net = single_compartment_activity_gbq(inputs.constants, dose_gy, mass_g, injection.lung_shunt_fraction)
    return _row(
        inputs,
        number,
        SINGLE,
        f"{dose_gy:g} Gy to perfused liver",
        net,
        formula="A = D m / (K (1 - LSF))",
        inputs=f"m {mass_g:.1f} g, {_shunt(inputs, number)}",
        source="MIRD schema; EANM 2022, doi:10.1007/s00259-021-05600-z",
        perfused_gy=dose_gy,
    )


def _partition(inputs: PlanInputs, number: int, dose_gy: float) -> ModelRow:
    injection = inputs.injections[number]
    ratio = inputs.tumour_to_normal(number)
    tumour_g = sum(region.mass_inside_g[number] for region in inputs.of_kind(TUMOUR_KIND))
    normal_g = inputs.region(normal_perfused_name(injection.territory)).mass_inside_g[number]
    masses = (tumour_g, normal_g, ratio, injection.lung_shunt_fraction)
    net = partition_activity_gbq(inputs.constants, *masses, tumour_gy=dose_gy)
    doses = partition_doses_gy(inputs.constants, net, *masses)
    return _row(
        inputs,
        number,
        PARTITION,
        f"{dose_gy:g} Gy to tumour",
        net,
        formula="A = D_n (TN m_t + m_n) / (K (1 - LSF)), D_t = TN D_n",
        inputs=f"T/N {ratio:.4g}, m_t {tumour_g:.1f} g, m_n {normal_g:.1f} g, {_shunt(inputs, number)}",
        source="Ho 1996, Eur J Nucl Med 23:947-952; Chiesa 2021, doi:10.1186/s40658-021-00394-3",
        tumour_gy=doses.tumour_gy,
        normal_perfused_gy=doses.normal_gy,
        perfused_gy=doses.perfused_gy,
    )


def _multi(inputs: PlanInputs, number: int, dose_gy: float, targets: Targets, limits: Sequence[Goal]) -> list[ModelRow]:
    """One row for the worst target tumour, one for the limit of whole normal liver."""
    injection = inputs.injections[number]
    rates = {name: float(inputs.rates_gy_per_gbq(inputs.region(name))[number]) for name in targets.names}
    rates = {name: rate for name, rate in rates.items() if rate > 0.0}
    if not rates:
        raise InputError(f'territory "{injection.territory}"', "it feeds no target tumour", "Choose target tumours")
    worst = min(rates, key=lambda name: rates[name])
    asked = [(f"{dose_gy:g} Gy to {worst}, the least of {len(rates)} targets", dose_gy / rates[worst])]
    if limits and inputs.has(compartments.WHOLE_NORMAL):
        whole = float(inputs.rates_gy_per_gbq(inputs.region(compartments.WHOLE_NORMAL))[number])
        value = limits[0].at_most or 0.0
        if whole > 0.0:
            asked.append((f"{value:g} Gy to whole normal liver", value / whole))
    perfused = inputs.region(perfused_name(injection.territory))
    return [
        _row(
            inputs,
            number,
            MULTI,
            words,
            net,
            formula="D_k = K A (1 - LSF) f_k / m_k, sum of f_k = 1",
            inputs=f"f_k of {len(inputs.of_kind(TUMOUR_KIND))} tumours by counts, {_shunt(inputs, number)}",
            source="Chiesa 2021, doi:10.1186/s40658-021-00394-3",
            tumour_gy=net * rates[worst],
            normal_perfused_gy=_normal_gy(inputs, number, net),
            perfused_gy=net * float(inputs.rates_gy_per_gbq(perfused)[number]),
        )
        for words, net in asked
    ]


def _voxel(
    inputs: PlanInputs, number: int, metric: str, exponent: float | None, dose_gy: float, targets: Targets
) -> ModelRow:
    """The metric of the predicted dose map in the worst target tumour, this injection alone."""
    place = inputs.injections[number].territory
    slopes = {}
    for name in targets.names:
        region = inputs.region(name)
        if region.counts[number] > 0.0 and region.rate_gy_per_gbq is not None:
            alone = region.rate_gy_per_gbq.copy()
            alone[:, [n for n in range(alone.shape[1]) if n != number]] = 0.0
            response = region_response(inputs, replace(region, rate_gy_per_gbq=alone), metric, exponent)
            slopes[name] = float(response.linear[number])
    if not slopes:
        raise InputError(f'territory "{place}"', "there is no dose map of a target tumour", "Add the MAA SPECT")
    worst = min(slopes, key=lambda name: slopes[name])
    if not slopes[worst] > 0.0:
        raise InputError(f'territory "{place}"', f"{metric} of {worst} is 0 whatever the activity", "Use the mean")
    net = dose_gy / slopes[worst]
    words = f"{metric} (a = {exponent:g})" if exponent is not None else metric
    return _row(
        inputs,
        number,
        VOXEL,
        f"{dose_gy:g} Gy {words} of {worst}",
        net,
        formula=f"D_i = K A_i / m_i; A so that {words} = goal",
        inputs=f"dose map of {inputs.source}, {_shunt(inputs, number)}",
        source="local deposition; Chiesa 2021, doi:10.1186/s40658-021-00394-3",
        tumour_gy=net * float(inputs.rates_gy_per_gbq(inputs.region(worst))[number]),
        normal_perfused_gy=_normal_gy(inputs, number, net),
    )


def _normal_gy(inputs: PlanInputs, number: int, net_gbq: float) -> float | None:
    """Normal perfused liver of an injection's territory; None where the territory is all tumour."""
    name = normal_perfused_name(inputs.injections[number].territory)
    return net_gbq * float(inputs.rates_gy_per_gbq(inputs.region(name))[number]) if inputs.has(name) else None
