"""What can be odd in an emission image's header, in words."""

from __future__ import annotations

# What is odd, by code: severity word, what is wrong, and the mend. The case's findings show them.
HEADER_REMARKS = {
    "dose-in-mbq": (
        "doubt",
        "its header's total dose is below 0.1 MBq if read in Bq as DICOM wants: it was taken as MBq",
        "Check the administered activity in the case's emission facts",
    ),
    "dose-in-bq": (
        "doubt",
        "its header's total dose is above 100 GBq if read in MBq as DICOM wants for NM: it was taken as Bq",
        "Check the administered activity in the case's emission facts",
    ),
    "reprocessed-series": (
        "note",
        "its series time lies after its first acquisition, as reprocessing writes it: the acquisition counts as start",
        "Nothing to do where the acquisition time is the scan's",
    ),
    "series-ahead": (
        "doubt",
        (
            "its series time lies over half an hour before its first acquisition; values were taken as decay-corrected "
            "to the series time"
        ),
        "Check to which time the scanner corrects, and write scan_start into the case",
    ),
    "first-bed-missing": (
        "doubt",
        (
            "its frame reference time says that the scan began before the first acquisition that is there: values were "
            "taken as corrected to that earlier time"
        ),
        "Check that all beds were exported, and scan_start in the case",
    ),
    "vendor-scan-time": (
        "note",
        (
            "the scanner's private scan time (0009,100D) counts as the time of decay correction; it differs from the "
            "series time"
        ),
        "Nothing to do where the scanner is GE's",
    ),
    "vendor-scan-time-far": (
        "doubt",
        "the scanner's private scan time (0009,100D) lies over a day from its acquisition",
        "Check scan_start in the case",
    ),
    "vendor-scales-differ": (
        "doubt",
        "its private scale factors contradict each other or vary from slice to slice",
        "Export the image in Bq/mL",
    ),
    "administration-attributes": (
        "doubt",
        "its two administration times (0018,1072) and (0018,1078) differ; the one with a date counts",
        "Check administration_time in the case",
    ),
    "no-attenuation-correction": (
        "doubt",
        "its header does not list attenuation correction (ATTN): activities deep in the body read too low",
        "Use the corrected reconstruction",
    ),
    "no-scatter-correction": (
        "note",
        "its header does not list scatter correction (SCAT)",
        "Use the corrected reconstruction where there is one",
    ),
    "decay-not-listed": (
        "doubt",
        "its decay correction says that values are corrected, and the list of corrections has no DECY",
        "Check whether the values are decay-corrected",
    ),
    "decay-listed": (
        "doubt",
        "its decay correction says NONE, and the list of corrections holds DECY",
        "Check whether the values are decay-corrected, and to which time",
    ),
    "decay-factor": (
        "doubt",
        (
            "its decay factor (0054,1321) is larger than its frames explain under START: the values may stand for the "
            "injection"
        ),
        "Check to which time the scanner corrects; ADMIN in the case's emission facts undoes it",
    ),
    "branching-ratio": (
        "doubt",
        "its positron fraction is not that of 90Y (3.2e-5): its values may be divided by another nuclide's",
        "Check the nuclide the scanner was set to; the activity balance shows a wrong one",
    ),
}
