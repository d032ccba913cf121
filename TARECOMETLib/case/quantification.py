"""What an image's stored values stand for: the factors to Bq/mL at scan and at injection, or why there are none."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..imaging.emission import concentration_factor, hours_between
from ..physics.nuclides import constants_set
from .document import Case


def quantification(case: Case) -> dict[str, dict[str, Any]]:
    """By role of each emission image: units, times, and factors from stored values to Bq/mL.

    The factor at injection undoes the decay from the header's own administration with the header's half-life (the
    constants set's where it has none), for the nuclide that was scanned; doses of a case use the injections' own times.
    A factor that tags do not allow is absent, and ``refused`` says what is missing.
    """
    constants = constants_set(case.constants_set)
    found: dict[str, dict[str, Any]] = {}
    for role, entry in case.images.items():
        facts = entry.emission
        if facts is None:
            continue
        told = {
            "units": facts.units,
            "decay_correction": facts.decay_correction,
            "scan_start": facts.scan_start,
            "administration_time": facts.administration_time,
            "half_life_h": facts.half_life_h,
            "radionuclide": facts.radionuclide,
        }
        document: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
        try:
            at_scan = concentration_factor(facts, constants.half_life_h, role)
            document["bq_ml_per_value_at_scan"] = at_scan
            if facts.administration_time and facts.scan_start:
                elapsed_h = hours_between(facts.administration_time, facts.scan_start)
                growth = 2.0 ** (elapsed_h / (facts.half_life_h or constants.half_life_h))
                document["bq_ml_per_value_at_injection"] = at_scan * growth
            if facts.slice_delay_s is not None:
                document["slices_start_s"] = list(facts.slice_delay_s)
        except InputError as error:
            document["refused"] = str(error)
        found[role] = document
    return found
