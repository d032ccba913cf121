"""How many patients the primary comparison needs."""

from __future__ import annotations

import math

from ..errors import InputError


def power_of_comparison(
    responders: float, non_responders: float, difference_gy: float, sd_gy: float, alpha: float = 0.05
) -> float:
    """Power of a two-sided t test of two means with equal SD, by the noncentral t.

    Parameters
    ----------
    responders, non_responders : float
        Patients in each group.
    difference_gy, sd_gy : float
    alpha : float
    """
    from scipy.stats import nct, t

    if min(responders, non_responders) < 2 or sd_gy <= 0.0:
        raise InputError("power", "expected at least 2 patients in each group and an SD above 0", "Correct them")
    free = responders + non_responders - 2.0
    center = difference_gy / sd_gy * math.sqrt(responders * non_responders / (responders + non_responders))
    limit = float(t.ppf(1.0 - alpha / 2.0, free))
    return float(nct.sf(limit, free, center) + nct.cdf(-limit, free, center))


def patients_needed(
    difference_gy: float,
    sd_gy: float,
    responder_share: float,
    power: float = 0.8,
    alpha: float = 0.05,
    lesions_per_patient: float = 1.0,
    intraclass_correlation: float = 0.0,
    not_evaluable_share: float = 0.0,
) -> int:
    """Patients to enroll for a power; tumours of a patient count by the design effect 1 + (m - 1) ICC.

    Parameters
    ----------
    difference_gy, sd_gy : float
    responder_share : float
        Between 0 and 1.
    lesions_per_patient, intraclass_correlation : float
        1 and 0 for the comparison of patients.
    not_evaluable_share : float
        Of those enrolled.
    """
    if not (
        0.0 < responder_share < 1.0
        and difference_gy != 0.0
        and 0.0 <= not_evaluable_share < 1.0
        and alpha < power < 1.0
    ):
        raise InputError("power", "a share, difference or power is out of its range", "Correct it")
    effect = 1.0 + (lesions_per_patient - 1.0) * intraclass_correlation

    def enough(patients: int) -> bool:
        units = patients * lesions_per_patient / effect
        groups = units * responder_share, units * (1.0 - responder_share)
        return min(groups) >= 2.0 and power_of_comparison(*groups, difference_gy, sd_gy, alpha) >= power

    high = 4
    while not enough(high):
        high *= 2
        if high > 10_000_000:
            raise InputError("power", "more than ten million patients are needed", "Expect a larger difference")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return math.ceil(high / (1.0 - not_evaluable_share))
