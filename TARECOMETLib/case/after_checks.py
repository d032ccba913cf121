"""What the computed figures themselves bring up: balance, blur, field of view, lung limits."""

from __future__ import annotations

import numpy as np

from ..dosimetry.activity import ABSOLUTE
from ..dosimetry.blur import contrast_before_blur, expected_reading, is_resolved, sphere_diameter_mm, sphere_recovery
from ..dosimetry.compartments import LUNG, TUMOUR
from ..dosimetry.dose import dose_per_activity_gy_g_per_mbq
from ..dosimetry.lung_shunt import lung_dose
from ..dosimetry.uncertainty_inputs import proposed_fwhm_mm
from ..imaging.emission import negative_share
from ..imaging.volume import Volume
from ..physics.nuclides import constants_set
from .balance_causes import causes_sentence, matching_causes
from .document import Case
from .findings import BLOCK, DOUBT, NOTE, Finding
from .lung import lung_report
from .phase import Ground, Phase
from .ratios import tumour_to_normal

# DEFINITIONS: the balance is quiet within the first pair, a doubt within the second, and blocks beyond.
BALANCE_QUIET, BALANCE_DOUBT = (0.85, 1.15), (0.70, 1.30)
# Learnt on made misalignments of the shared cases: 10 mm reads at most 0.73, 8 degrees 0.81, 3 mm at least 0.93.
REGISTRATION_DOUBT_BELOW, REGISTRATION_DOUBT_BELOW_MR = 0.88, 0.85
# Planar and SPECT shunts differ by less where both are right.
_SHUNT_DIFFERENCE = 0.05
_FIELD_SURPLUS_NOTICED = 1.05
_NEGATIVE_NOTICED = 0.01
_WHOLE_LIVER = 0.99
_OFFSET_NOTICED_MM, _OFFSET_SURE = 6.0, 0.8
# Blur and background leave two thirds of the field's counts in the territories of the lobes treated.
_LEAST_IN_TERRITORIES, _MOST_OUTSIDE_TERRITORIES = 0.4, 0.2
_TERRITORY_QUIET = (0.75, 1.33)
# Below this measured tumour-to-normal ratio its true contrast cannot be told from the surroundings' own variation.
_CONTRAST_KNOWN = 1.2


def check_phase(case: Case, phase: Phase, ground: Ground, image: Volume) -> list[Finding]:
    """All findings about one phase, unsorted."""
    return [
        *_registration(phase),
        *_balance(case, phase),
        *_negative(phase, image),
        *_coverage(phase),
        *_outside(phase),
        *_where_activity_is(phase),
        *_overlap(case, ground),
        *_blur(case, phase, ground),
        *_lungs(case, phase, ground),
        *_shifted(phase),
        *_scaled(phase),
        *_recovered(case, phase),
    ]


def _registration(phase: Phase) -> list[Finding]:
    quality = phase.registration.quality
    least = REGISTRATION_DOUBT_BELOW_MR if "MR" in phase.registration.method else REGISTRATION_DOUBT_BELOW
    if phase.registration.method.startswith("rigid") and quality < least:
        return [
            Finding(
                DOUBT,
                "registration",
                phase.image_role,
                f"the two CTs correlate by {quality:.2f} near the liver after registration, expected at least "
                f"{least:g}",
                "Look at the fused images, correct the registration",
            )
        ]
    return []


def _balance(case: Case, phase: Phase) -> list[Finding]:
    if phase.calibration != ABSOLUTE:
        return []
    found = []
    ratio = phase.balance["ratio"]
    if not BALANCE_QUIET[0] <= ratio <= BALANCE_QUIET[1]:
        within = BALANCE_DOUBT[0] <= ratio <= BALANCE_DOUBT[1]
        found.append(
            Finding(
                DOUBT if within else BLOCK,
                "activity-balance",
                phase.image_role,
                f"liver and lungs hold {ratio:.2f} of the net injected activity, expected "
                f"{BALANCE_QUIET[0]:g} to {BALANCE_QUIET[1]:g}",
                _balance_mend(case, phase),
            )
        )
    field_ratio = phase.balance["field_ratio"]
    if field_ratio > _FIELD_SURPLUS_NOTICED and field_ratio > ratio:
        found.append(
            Finding(
                NOTE,
                "field-surplus",
                phase.image_role,
                f"the whole field holds {field_ratio:.2f} of the net injected activity, {field_ratio - ratio:.2f} of "
                "it outside liver and lungs: low-count PET is biased upward in empty regions; doses do not use it",
            )
        )
    return found


def _balance_mend(case: Case, phase: Phase) -> str:
    """What to look at: the mistakes that would give this very ratio, then what else there is."""
    facts = case.images[phase.image_role].emission
    causes = matching_causes(phase.balance["ratio"], case, facts, constants_set(case.constants_set))
    advice = "Check vial, residual, times and calibration, or write the reason under accepted in the case"
    if phase.balance["liver_in_field_share"] < _WHOLE_LIVER:
        advice = "Its field cuts the liver off; " + advice.lower()
    return f"{causes_sentence(causes)}. {advice}" if causes else advice


def _where_activity_is(phase: Phase) -> list[Finding]:
    """Perfused territories against where the image has its activity."""
    found = []
    balance = phase.balance
    in_territories, in_liver = balance["territories_share_of_field"], balance["liver_share_of_field"]
    if in_territories < _LEAST_IN_TERRITORIES:
        found.append(
            Finding(
                DOUBT,
                "counts-elsewhere",
                phase.image_role,
                f"{100.0 * in_territories:.0f} % of its field's activity lie in the injected territories, expected at "
                f"least {100.0 * _LEAST_IN_TERRITORIES:.0f} %",
                "Look at the fused images: check registration, orientation, territories, and which territory was given",
            )
        )
    elif in_liver - in_territories > _MOST_OUTSIDE_TERRITORIES * in_liver:
        outside = 100.0 * (in_liver - in_territories) / in_liver
        found.append(
            Finding(
                DOUBT,
                "outside-territories",
                phase.image_role,
                f"{outside:.0f} % of the liver's activity lie outside the injected territories, expected at most "
                f"{100.0 * _MOST_OUTSIDE_TERRITORIES:.0f} %",
                "Check the territories' contours, and that no injection is missing",
            )
        )
    if phase.calibration != ABSOLUTE:
        return found
    for territory in sorted({d.territory for d in phase.deliveries}):
        given = sum(d.liver_mbq for d in phase.deliveries if d.territory == territory)
        ratio = phase.activity_mbq.get(territory, 0.0) / given
        if not _TERRITORY_QUIET[0] <= ratio / balance["ratio"] <= _TERRITORY_QUIET[1]:
            found.append(
                Finding(
                    DOUBT,
                    "territory-activity",
                    f'territory "{territory}"',
                    f"it holds {ratio:.2f} of what was injected into it, liver and lungs {balance['ratio']:.2f} of "
                    f"all; expected a quotient of {_TERRITORY_QUIET[0]:g} to {_TERRITORY_QUIET[1]:g}",
                    "Check each injection's vial and territory (exchanged?), and the contours",
                )
            )
    return found


def _negative(phase: Phase, image: Volume) -> list[Finding]:
    count, share = negative_share(image.array)
    if share > _NEGATIVE_NOTICED:
        return [
            Finding(
                DOUBT,
                "negative-voxels",
                phase.image_role,
                f"{count} voxels are negative, together {100.0 * share:.1f} % of the positive sum; means keep them",
                "Check the reconstruction",
            )
        ]
    return []


def _coverage(phase: Phase) -> list[Finding]:
    covered = phase.balance["liver_in_field_share"]
    if covered < 0.5:
        return [
            Finding(
                BLOCK,
                "liver-cut",
                phase.image_role,
                f"only {100.0 * covered:.0f} % of the liver lies in its field of view",
                "Check the registration and the image",
            )
        ]
    if covered < 0.99:
        return [
            Finding(
                DOUBT,
                "liver-cut",
                phase.image_role,
                f"{100.0 * (1.0 - covered):.0f} % of the liver lies outside its field and counts as without dose",
                "Use an image that holds the whole liver",
            )
        ]
    return []


def _outside(phase: Phase) -> list[Finding]:
    if phase.calibration == ABSOLUTE:
        return []
    outside = 1.0 - phase.balance["territories_share_of_field"]
    return [
        Finding(
            NOTE,
            "counts-outside",
            phase.image_role,
            f"{100.0 * outside:.0f} % of the field's counts lie outside all territories (blur, lungs, background); "
            "they get no dose",
        )
    ]


def _overlap(case: Case, ground: Ground) -> list[Finding]:
    """Territories of different injections that overlap need a stated split."""
    names = sorted({injection.territory for injection in case.injections})
    parcels = ground.parcels
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            both = ((parcels.code & parcels.bit(first)) != 0) & ((parcels.code & parcels.bit(second)) != 0)
            shared_ml = float(parcels.volume_ml[both].sum())
            smaller_ml = min(
                float(parcels.volume_ml[(parcels.code & parcels.bit(name)) != 0].sum()) for name in (first, second)
            )
            if shared_ml > 0.01 * smaller_ml:
                return [
                    Finding(
                        DOUBT if "territories-overlap" in case.accepted else BLOCK,
                        "territories-overlap",
                        f'territories "{first}" and "{second}"',
                        f"they overlap by {shared_ml:.1f} mL, and how the counts there are split is not stated",
                        'Draw them apart, or write under accepted: "territories-overlap": "each over its own counts"',
                    )
                ]
    return []


def _proposal(image_role: str) -> str:
    proposed = proposed_fwhm_mm(image_role)
    return f"; {proposed[1]}" if proposed else ""


def _blur(case: Case, phase: Phase, ground: Ground) -> list[Finding]:
    tumours = case.contours_of(TUMOUR)
    fwhm = case.settings.resolution_fwhm_mm.get(phase.image_role)
    if fwhm is None:
        if not tumours:
            return []
        return [
            Finding(
                NOTE,
                "resolution-unknown",
                phase.image_role,
                "its resolution is not given, so neither blur nor uncertainty of doses is said",
                f"Write settings.resolution_fwhm_mm.{phase.image_role}{_proposal(phase.image_role)}",
            )
        ]
    found = []
    for name in tumours:
        if not _perfused(case, ground, name):
            found.append(
                Finding(NOTE, "tumour-not-perfused", name, "it lies outside all territories that were injected")
            )
            continue
        volume_ml = contour_volume_ml(ground, name)
        ratio = tumour_to_normal(case, phase, ground, name)
        if ratio and ratio[0] > _CONTRAST_KNOWN:
            true_contrast = contrast_before_blur(ratio[0], volume_ml, fwhm)
            expected = f"about {100.0 * expected_reading(volume_ml, fwhm, true_contrast):.0f} %"
        else:
            expected = f"{100.0 * sphere_recovery(volume_ml, fwhm):.0f} to 100 %"
        unresolved = "" if is_resolved(volume_ml, fwhm) else "; D2, D98, V_x, minimum and maximum are not resolved"
        found.append(
            Finding(
                NOTE,
                "blur",
                name,
                f"at {volume_ml:.1f} mL ({sphere_diameter_mm(volume_ml):.0f} mm across) and {fwhm:g} mm FWHM its mean "
                f"dose is expected to read {expected} of the true one{unresolved}",
            )
        )
    return found


def _perfused(case: Case, ground: Ground, name: str) -> bool:
    """Whether a twentieth of a tumour or more lies in the injected territories."""
    parcels = ground.parcels
    inside = (parcels.code & parcels.bit(name)) != 0
    injected = (parcels.code & parcels.bits(sorted({i.territory for i in case.injections}))) != 0
    return bool(parcels.volume_ml[inside & injected].sum() >= 0.05 * parcels.volume_ml[inside].sum())


def contour_volume_ml(ground: Ground, name: str) -> float:
    """Volume of a drawn contour on its own grid."""
    volume = ground.contours[name]
    return float(np.count_nonzero(volume.array)) * volume.geometry.voxel_volume_ml


def _lungs(case: Case, phase: Phase, ground: Ground) -> list[Finding]:
    report = lung_report(case, phase, ground)
    found = []
    if case.contours_of(LUNG) and report["mass_source"] == "assumed":
        found.append(
            Finding(
                NOTE,
                "lungs-cut",
                case.contours_of(LUNG)[0],
                f"the lungs are cut off by the field of view; lung dose uses the assumed {report['mass_g']:g} g, not "
                f"the visible {report['visible_mass_g']:.0f} g",
                "Give the lung mass under settings.lung_mass_g if it is known",
            )
        )
    earlier = tuple((case.earlier_lung_gy or {}).values())
    dose = lung_dose(report["activity_mbq"], report["mass_g"], constants_set(case.constants_set), earlier)
    if dose.exceeded:
        found.append(
            Finding(DOUBT, "lung-limit", "lungs", "; ".join(dose.exceeded), "Check the lung shunt and the lung mass")
        )
    by_spect = report.get("spect_fraction")
    entered = max((d.lung_shunt_fraction for d in phase.deliveries), default=0.0)
    if by_spect is not None and abs(by_spect - entered) > _SHUNT_DIFFERENCE:
        found.append(
            Finding(
                DOUBT,
                "lung-shunt-differs",
                "lungs",
                f"the SPECT gives a lung shunt of {100.0 * by_spect:.1f} %, the case says {100.0 * entered:.1f} %",
                "Check which is right: planar views read high without attenuation correction, blur reads into lungs",
            )
        )
    return found


def _shifted(phase: Phase) -> list[Finding]:
    """Uptake that lies higher or lower than its territories, and the price of a nudge."""
    found = []
    offset = phase.uptake_offset
    if offset and offset.likeness > _OFFSET_SURE and abs(offset.offset_mm) > _OFFSET_NOTICED_MM:
        found.append(
            Finding(
                DOUBT,
                "emission-shifted",
                phase.image_role,
                f"its uptake lies {abs(offset.offset_mm):.0f} mm {'above' if offset.offset_mm > 0.0 else 'below'} the "
                f"injected territories along its slices, expected within {_OFFSET_NOTICED_MM:g} mm (likeness "
                f"{offset.likeness_unmoved:.2f}, moved {offset.likeness:.2f})",
                "Look at the liver's dome on the fused view; write nudge_lps_mm in the case to move the image against "
                "its own CT",
            )
        )
    change = phase.nudge_change_percent
    if change:
        name = max(change, key=lambda key: abs(change[key]))
        found.append(
            Finding(
                NOTE,
                "nudged",
                phase.image_role,
                f"moved against its own CT: mean doses change by up to {change[name]:+.1f} % ({name})",
            )
        )
    return found


def _scaled(phase: Phase) -> list[Finding]:
    """What scaling the measured doses to the net activity would do."""
    if phase.scaled_to_net is None:
        return []
    return [
        Finding(
            NOTE,
            "scaled-to-net",
            phase.image_role,
            f"scaled to net (1 - LSF) over the liver its doses would be {phase.scaled_to_net:.3f} times as high; both "
            "stand in the tables under their names",
        )
    ]


def _recovered(case: Case, phase: Phase) -> list[Finding]:
    """Measured and corrected mean of each tumour, side by side."""
    recovered = phase.recovered
    if recovered is None:
        return []
    per_mbq = dose_per_activity_gy_g_per_mbq(constants_set(case.constants_set))
    found = []
    for name, coefficient in recovered.coefficient.items():
        if name not in recovered.activity_mbq:
            continue
        measured, corrected = (
            per_mbq * activity / phase.mass_g[name]
            for activity in (phase.multicompartment_mbq[name], recovered.activity_mbq[name])
        )
        found.append(
            Finding(
                NOTE,
                "recovery-corrected",
                name,
                f"measured {measured:.1f} Gy, corrected for partial volume {corrected:.1f} Gy (recovery "
                f"{coefficient:.2f}, relative noise times {recovered.noise_amplification[name]:.2f}; "
                f"{recovered.method})",
            )
        )
    for name in recovered.left_out:
        found.append(
            Finding(NOTE, "recovery-left-out", name, "it is too small at this resolution to be corrected: as measured")
        )
    return found
