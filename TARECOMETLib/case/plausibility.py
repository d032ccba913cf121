"""What physics says of a case before anything is computed: activity in the field, dates, doses, values of images."""

from __future__ import annotations

import numpy as np

from ..dosimetry.activity import ABSOLUTE
from ..dosimetry.compartments import LIVER, LUNG, TUMOUR
from ..errors import InputError
from ..imaging.emission import concentration_factor, hours_between, slice_factors
from ..imaging.geometry import same_grid
from ..imaging.volume import Volume
from ..physics.nuclides import constants_set
from ..units import BQ_PER_MBQ
from .balance_causes import causes_sentence, matching_causes
from .document import DIAGNOSTIC, MAA_CT, Y90_CT, Y90_PET, Y90_SPECT, Case
from .findings import BLOCK, DOUBT, Finding
from .inputs import Inputs
from .scanner_nuclide import nuclide_correction

# Field of view over net activity: published -6 +- 11 % (doi:10.1186/s13550-019-0533-6), upward where nothing is.
_FIELD_QUIET, _FIELD_DOUBT = (0.6, 1.8), (0.3, 3.0)
_FIELD_USUAL = 1.1
_LATE_SCAN_H = 5 * 24.0
_DOSE_DIFFERENCE = 0.10
_AIR_BELOW_HU = -300.0
_LIVER_HU, _LUNG_HU = (-30.0, 250.0), (-950.0, -300.0)
_LIVER_ML, _LUNG_SHUNT_HIGH = (400.0, 6000.0), 0.2
_FULL_SCALE_SHARE = 0.8


def check_plausibility(case: Case, inputs: Inputs) -> list[Finding]:
    """Findings from physics, unsorted; nothing here needs a registration."""
    return [
        *_field_activity(case, inputs),
        *_administered(case),
        *_late_scan(case),
        *_shunt(case),
        *_slice_scale(case, inputs),
        *_ct_values(case, inputs),
        *_organs(case, inputs),
    ]


def _post(case: Case) -> str | None:
    return next((role for role in (Y90_PET, Y90_SPECT) if role in case.images), None)


def field_ratio(case: Case, role: str, image: Volume) -> float | None:
    """Activity in the whole field over net activity, both at scan start; None where units or times are missing."""
    facts, constants = case.images[role].emission, constants_set(case.constants_set)
    if facts is None or not facts.scan_start or not case.injections:
        return None
    if any(hours_between(i.time, facts.scan_start) < 0.0 for i in case.injections):
        return None  # the dates are wrong first
    try:
        factor = concentration_factor(facts, constants.half_life_h, role)
        by_slice = slice_factors(facts, constants.half_life_h, len(image.array), role)
        undone = nuclide_correction(case, role)
    except InputError:
        return None
    per_slice = image.array.sum(axis=(1, 2), dtype=np.float64) * by_slice[:, 0, 0]
    factor *= undone.factor if undone is not None else 1.0
    found_mbq = float(per_slice.sum()) * image.geometry.voxel_volume_ml * factor / BQ_PER_MBQ
    net = sum(i.net_mbq * constants.decay_factor(hours_between(i.time, facts.scan_start)) for i in case.injections)
    return found_mbq / net


def _field_activity(case: Case, inputs: Inputs) -> list[Finding]:
    role = _post(case)
    image = inputs.images.get(role) if role else None
    if role is None or image is None or case.settings.post_calibration != ABSOLUTE:
        return []
    ratio = field_ratio(case, role, image)
    if ratio is None or _FIELD_QUIET[0] <= ratio <= _FIELD_QUIET[1]:
        return []
    blocks = not _FIELD_DOUBT[0] <= ratio <= _FIELD_DOUBT[1] and "field-activity" not in case.accepted
    causes = matching_causes(
        ratio, case, case.images[role].emission, constants_set(case.constants_set), usual=_FIELD_USUAL
    )
    advice = causes_sentence(causes) or "Check units, vial, residual, times, nuclide and whether injections are missing"
    return [
        Finding(
            BLOCK if blocks else DOUBT,
            "field-activity",
            role,
            f"its whole field holds {ratio:.3g} of the net injected activity, expected {_FIELD_QUIET[0]:g} to "
            f"{_FIELD_QUIET[1]:g}",
            advice,
        )
    ]


def _administered(case: Case) -> list[Finding]:
    """The header's own dose against what the case says was given."""
    role = _post(case)
    facts = case.images[role].emission if role else None
    if role is None or facts is None or not facts.administered_mbq or not case.injections:
        return []
    constants = constants_set(case.constants_set)
    at = facts.administration_time or case.injections[0].time
    net = sum(i.net_mbq * constants.decay_factor(hours_between(i.time, at)) for i in case.injections)
    vial = sum(i.vial_mbq * constants.decay_factor(hours_between(i.time, at)) for i in case.injections)
    low, high = net * (1.0 - _DOSE_DIFFERENCE), vial * (1.0 + _DOSE_DIFFERENCE)
    if low <= facts.administered_mbq <= high:
        return []
    return [
        Finding(
            DOUBT,
            "administered-activity",
            role,
            f"its header says {facts.administered_mbq:.4g} MBq were given, the case's injections make {net:.4g} MBq "
            f"net of {vial:.4g} MBq",
            "Check vials, residuals, times, and that no injection is missing; doses use the case's",
        )
    ]


def _late_scan(case: Case) -> list[Finding]:
    role = _post(case)
    facts = case.images[role].emission if role else None
    if role is None or facts is None or not facts.scan_start:
        return []
    found = []
    for injection in case.injections:
        elapsed_h = hours_between(injection.time, facts.scan_start)
        if elapsed_h > _LATE_SCAN_H:
            found.append(
                Finding(
                    DOUBT,
                    "late-scan",
                    role,
                    f'its scan lies {elapsed_h / 24.0:.1f} days after injection "{injection.id}", expected at most '
                    f"{_LATE_SCAN_H / 24.0:g}",
                    "Check both dates",
                )
            )
    return found


def _shunt(case: Case) -> list[Finding]:
    found = []
    shunts = {"case": case.lung_shunt_fraction}
    for injection in case.injections:
        if injection.lung_shunt_fraction is not None:
            shunts[f'injection "{injection.id}"'] = injection.lung_shunt_fraction
    for where, fraction in shunts.items():
        if fraction > _LUNG_SHUNT_HIGH:
            found.append(
                Finding(
                    DOUBT,
                    "lung-shunt-high",
                    where,
                    f"its lung shunt fraction is {fraction:.3g}, expected at most {_LUNG_SHUNT_HIGH:g}",
                    "Write 5 % as 0.05; above 0.2 a treatment is rarely given",
                )
            )
    return found


def _slice_scale(case: Case, inputs: Inputs) -> list[Finding]:
    """Slices that all reach the same maximum have lost the scale of their own (PET stores each at full scale)."""
    found = []
    for role, entry in case.images.items():
        image = inputs.images.get(role)
        if image is None or entry.modality != "PT" or len(image.array) < 8:
            continue
        highest = image.array.max(axis=(1, 2))
        filled = highest[highest > 0.0]
        if filled.size >= 8 and np.mean(filled == filled.max()) > _FULL_SCALE_SHARE:
            found.append(
                Finding(
                    BLOCK,
                    "slice-scale",
                    role,
                    f"{100.0 * np.mean(filled == filled.max()):.0f} % of its slices have the same maximum: the rescale "
                    "slope of each slice was lost",
                    "Export the series again with its rescale slopes",
                )
            )
    return found


def _ct_values(case: Case, inputs: Inputs) -> list[Finding]:
    """A CT's air is near -1000 HU: otherwise its values are not in HU."""
    found = []
    for role in (DIAGNOSTIC, MAA_CT, Y90_CT):
        entry, image = case.images.get(role), inputs.images.get(role)
        if entry is None or image is None or entry.modality != "CT":
            continue
        lowest = float(np.percentile(image.array[::2, ::2, ::2], 1.0))
        if lowest > _AIR_BELOW_HU:
            found.append(
                Finding(
                    DOUBT,
                    "ct-values",
                    role,
                    f"its lowest percentile is {lowest:.0f}, expected below {_AIR_BELOW_HU:g} HU (air, lung)",
                    "Export it with its rescale intercept, in Hounsfield units",
                )
            )
    return found


def _organs(case: Case, inputs: Inputs) -> list[Finding]:
    """Liver and lungs by their CT number and size: exchanged, shifted or mirrored contours are found by it."""
    image, entry = inputs.images.get(DIAGNOSTIC), case.images.get(DIAGNOSTIC)
    found = []
    for contour in case.contours:
        volume = inputs.contours.get(contour.name)
        if volume is None or not volume.array.any() or contour.drawn_on != DIAGNOSTIC:
            continue
        where = f'contour "{contour.name}"'
        inside = volume.array.astype(bool)
        if contour.role == LIVER:
            size_ml = float(np.count_nonzero(inside)) * volume.geometry.voxel_volume_ml
            if not _LIVER_ML[0] <= size_ml <= _LIVER_ML[1]:
                found.append(
                    Finding(
                        DOUBT,
                        "liver-size",
                        where,
                        f"it has {size_ml:.0f} mL, expected {_LIVER_ML[0]:g} to {_LIVER_ML[1]:g} mL",
                        "Check the contour, its role and the voxel size",
                    )
                )
        if image is None or entry is None or entry.modality != "CT" or not same_grid(image.geometry, volume.geometry):
            continue
        low, high = {LIVER: _LIVER_HU, TUMOUR: (-60.0, 400.0), LUNG: _LUNG_HU}.get(contour.role, (-2000.0, 4000.0))
        middle = float(np.median(image.array[inside]))
        if not low <= middle <= high:
            found.append(
                Finding(
                    DOUBT,
                    "contour-values",
                    where,
                    f"the CT's median in it is {middle:.0f} HU, expected {low:g} to {high:g} HU for {contour.role}",
                    "Check the contour's place, its role, and that it was drawn on this CT",
                )
            )
    return found
