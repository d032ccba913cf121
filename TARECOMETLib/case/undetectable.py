"""Mistakes that no check can find from the data at hand: said openly, so that a person looks for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Undetectable:
    """A mistake that may pass unseen.

    Parameters
    ----------
    code : str
    what : str
        The mistake.
    when : str
        Under what conditions it passes.
    effect : str
        What it does to doses.
    look : str
        What a person can check.
    """

    code: str
    what: str
    when: str
    effect: str
    look: str


UNDETECTABLE = (
    Undetectable(
        "decay-twice-soon",
        "values that stand for the injection and are labelled START",
        "the scan lies under about a day after the injection and the header has no DecayFactor (0054,1321)",
        "doses up to 1.3 times too high, balance still within its limits",
        "the reconstruction protocol's decay correction",
    ),
    Undetectable(
        "injection-time",
        "an injection time that is wrong by a few hours",
        "the header has no administration time",
        "1.1 % of the measured dose an hour",
        "the treatment protocol",
    ),
    Undetectable(
        "vial-assay",
        "a vial assay or calibrator setting that is wrong by less than 15 %",
        "always; predicted doses follow it in full, measured ones do not",
        "predicted dose in proportion",
        "the activity balance of several patients on the same scanner",
    ),
    Undetectable(
        "scanner-calibration",
        "a scanner calibration that is wrong by less than 15 %",
        "always; measured doses follow it in full",
        "measured dose in proportion",
        "a phantom of known activity; the balance over patients",
    ),
    Undetectable(
        "residual-left-out",
        "a residual that was not subtracted",
        "it is below 15 % of the vial",
        "predicted dose too high by the residual's share",
        "the residual measurement of every injection",
    ),
    Undetectable(
        "shunt-value",
        "a lung shunt fraction of another patient or method within 0 to 0.2",
        "the shunt is entered, not computed from images",
        "liver dose by the difference, lung dose in proportion",
        "the planar report",
    ),
    Undetectable(
        "count-scale",
        "a scale factor on MAA SPECT",
        "relative calibration",
        "none: only ratios of counts are used",
        "nothing",
    ),
    Undetectable(
        "small-misregistration",
        "a shift of the emission image against its own CT by less than about 5 mm",
        "always; the two CTs can still agree",
        "most in small tumours near the dome",
        "the liver's dome on the fused view",
    ),
    Undetectable(
        "contour-drawn-small",
        "a tumour contour that is a voxel too small or too large",
        "always",
        "mean dose of small tumours by several percent",
        "the resolution note of each tumour; a second reader",
    ),
    Undetectable(
        "equal-territories",
        "two injections exchanged between territories",
        "both have the same net activity per territory and the same time",
        "none on measured doses",
        "the angiography report",
    ),
)
