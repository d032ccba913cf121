"""The mark across a picture whose numbers no longer belong to the inputs."""

from __future__ import annotations

from typing import Any

from .glyphs import FAMILY


def stamp_out_of_date(figure: Any) -> None:
    """Write OUT OF DATE across a matplotlib figure."""
    figure.text(
        0.46,
        0.55,
        "OUT OF DATE",
        fontsize=34,
        fontweight="bold",
        color=(0.85, 0.15, 0.15),
        alpha=0.55,
        rotation=16,
        ha="center",
        va="center",
        family=FAMILY,
        zorder=50,
    )
