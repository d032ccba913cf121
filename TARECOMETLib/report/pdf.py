"""The report as PDF: the same bytes for the same content, without network or system fonts.

At most four A4 pages, and one more where predicted is compared with delivered dose.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_whole
from .comparison_figures import write_comparison_figures
from .content import ReportContent, phase_title
from .dvh_figure import write_dvh_figure
from .glyphs import printable
from .margin_figure import write_margin_figure
from .overlay_figure import DoseRow, default_center, write_overlay_figure
from .pdf_data import page_data
from .typeset import pages_of, pdf_of, prepare

MOST_PAGES = 4
_TEMPLATE = Path(__file__).with_name("report.typ")
# Findings, tumours, lines of provenance and rows of a plan's tables; the next row is tried where pages are too many.
_LIMITS = ((28, 24, 40, 24), (18, 20, 24, 14), (10, 16, 12, 8), (6, 8, 6, 4), (3, 3, 3, 2))


@dataclass(frozen=True)
class PictureEntry:
    """A PNG on a page of the report, with heading and caption."""

    title: str
    file: Path
    caption: str = ""


def write_figures(content: ReportContent, folder: Path) -> tuple[PictureEntry, ...]:
    """Write ``overlay.png``, ``dvh.png`` and ``dvh-bed.png`` into a folder, those the content has anything for."""
    entries = []
    method = content.figure_method
    rows = [
        DoseRow(f"{phase_title(phase.phase)}: {phase.quantity} ({phase.image})", phase.dose[method])
        for phase in content.phases
        if method in phase.dose
    ]
    stale = bool(content.stale_reason)
    if rows:
        center, name = default_center([s for s in content.structures if s.volume.array.any()], rows[0].dose)
        path = folder / "overlay.png"
        write_overlay_figure(path, rows, content.ct, content.structures, center_lps_mm=center, stale=stale)
        caption = (
            f"Slices through {printable(name, 60)} (ticks at the edges), one scale and color bar for all. Patient's "
            "right is on the left. Dose below the white end of the bar is not shown."
        )
        entries.append(PictureEntry("Dose on the diagnostic CT", path, caption))
    if any(entry.margins for phase in content.phases for entry in phase.compartments):
        write_margin_figure(folder / "margins.png", content.phases, stale=stale)
    if any(method in entry.dvh for phase in content.phases for entry in phase.compartments):
        path = folder / "dvh.png"
        write_dvh_figure(path, content.phases, method, stale=stale)
        if any(method in entry.bed_dvh for phase in content.phases for entry in phase.compartments):
            # Beside the report, whose pages are few; the tables hold its figures.
            write_dvh_figure(folder / "dvh-bed.png", content.phases, method, stale=stale, in_bed=True)
        entries.append(PictureEntry("Cumulative dose-volume histograms", path, _band_words(content)))
    return tuple(entries)


def _band_words(content: ReportContent) -> str:
    if not any(entry.relative_uncertainty for phase in content.phases for entry in phase.compartments):
        return ""
    sampled = any(entry.band for phase in content.phases for entry in phase.compartments)
    how = "by sampling" if sampled else "every dose of a curve moves with its mean"
    what = "Bands: 95 % interval of all tumours and of normal perfused liver in the last phase"
    return f"{what}; {how}. Blur is not in them."


def write_pdf(path: Path, content: ReportContent, pictures: Sequence[PictureEntry] | None = None) -> int:
    """Write the report and return its number of pages: at most four, five with a comparison.

    Parameters
    ----------
    path : Path
    content : ReportContent
    pictures : sequence of PictureEntry, optional
        From ``write_figures``; drawn anew where not given.
    """
    with tempfile.TemporaryDirectory(prefix="tarecomet-report-") as name:
        folder = Path(name)
        if pictures is None:
            pictures = write_figures(content, folder / "drawn")
        figures = []
        for number, picture in enumerate(pictures):
            shutil.copyfile(picture.file, folder / f"figure{number}.png")
            figures.append({"title": picture.title, "file": f"figure{number}.png", "caption": picture.caption})
        comparison = []
        if content.comparison is not None:
            drawn = write_comparison_figures(content.comparison, folder / "compared", stale=bool(content.stale_reason))
            comparison = [f"compared/{file.name}" for file in drawn.values()]
        most_pages = MOST_PAGES + (content.comparison is not None)
        for findings, tumours, provenance, plan in _LIMITS:
            data: dict[str, Any] = {**page_data(content, findings, tumours, provenance, plan), "figures": figures}
            data["comparison_files"] = comparison
            compiler = prepare(folder, _TEMPLATE, data)
            pages = pages_of(compiler)
            if pages <= most_pages:
                break
        write_whole(path, pdf_of(compiler))
    return pages
