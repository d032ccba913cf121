"""Figures of the analysis, as journals print them: SVG and PDF, from the document alone."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_whole
from ..report.glyphs import FAMILY

_INK, _FAINT = "#28313a", "#dde2e7"
# Okabe and Ito's palette for all forms of color vision.
BLUE, RED, GREEN, ORANGE, GRAY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#7F7F7F"
_COLORS = (BLUE, RED, GREEN, ORANGE, "#CC79A7", "#000000")
_WIDTH_IN, _HEIGHT_IN = 3.5, 2.7
FORMATS = ("svg", "pdf")


def write_figures(document: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Draw every figure the document has the numbers for.

    Parameters
    ----------
    document : dict
        From ``analysis.analyse``.
    folder : Path

    Returns
    -------
    list of (str, str)
        File name without ending, and caption.
    """
    results = {r["key"]: r for r in document["results"]}
    drawn = []
    for name, caption, draw in _figures(results):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), facecolor="white")
        axes = figure.add_axes((0.14, 0.17, 0.83, 0.7))
        _style(axes)
        draw(axes)
        if document["post_hoc"]:
            axes.text(
                0.99, 1.02, "post hoc", transform=axes.transAxes, ha="right", fontsize=6.5, color=RED, family=FAMILY
            )
        for ending in FORMATS:
            write_whole(folder / f"{name}.{ending}", _drawn(figure, ending))
        drawn.append((name, caption))
    return drawn


def _drawn(figure: Any, ending: str) -> bytes:
    """The same bytes for the same figure."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    metadata = {"Date": None} if ending == "svg" else {"CreationDate": None, "ModDate": None}
    with mpl.rc_context({"svg.hashsalt": "tarecomet", "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=ending, metadata=metadata)
    return buffer.getvalue()


def _style(axes: Any) -> None:
    axes.tick_params(labelsize=7, length=2.5, width=0.6, colors=_INK, labelfontfamily=FAMILY)
    axes.grid(True, color=_FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_linewidth(0.6)
        spine.set_color(_INK)


def _labels(axes: Any, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x, fontsize=7.5, color=_INK, family=FAMILY)
    axes.set_ylabel(y, fontsize=7.5, color=_INK, family=FAMILY)
    axes.set_title(textwrap.fill(title, 48), fontsize=7.5, fontweight="bold", loc="left", color=_INK, family=FAMILY)


def _legend(axes: Any, place: str = "best") -> None:
    axes.legend(fontsize=6.5, frameon=False, loc=place, prop={"family": FAMILY, "size": 6.5}, labelcolor=_INK)


def _figures(results: dict[str, Any]) -> list[tuple[str, str, Callable[[Any], None]]]:
    found: list[tuple[str, str, Callable[[Any], None]]] = []
    for level in ("lesion", "patient"):
        fit = next(
            (r for key, r in results.items() if key.startswith(f"dose-response.{level}.") and "curve" in r), None
        )
        if fit is not None:
            found.append(
                (
                    f"dose-response-{level}",
                    f"Dose-response, {level} level. {fit['sentence']}",
                    partial(_dose_response, result=fit),
                )
            )
        roc = results.get(f"roc.{level}")
        if roc is not None and "curve" in roc:
            found.append((f"roc-{level}", f"ROC, {level} level. {roc['sentence']}", partial(_roc, result=roc)))
    for name in ("whole", "perfused"):
        fit = results.get(f"toxicity.{name}")
        if fit is not None and "curve" in fit:
            found.append((f"toxicity-{name}", f"{fit['title']}. {fit['sentence']}", partial(_toxicity, result=fit)))
        window = results.get(f"window.{name}")
        if window is not None:
            found.append(
                (f"window-{name}", f"{window['title']}. {window['sentence']}", partial(_window, result=window))
            )
    for endpoint in ("overall", "hepatic", "target"):
        entry = results.get(f"progression.{endpoint}")
        if entry is not None and "kaplan_meier" in entry:
            found.append(
                (
                    f"progression-{endpoint}",
                    f"{entry['title']}. {entry['sentence']}",
                    partial(_progression, result=entry),
                )
            )
            if "cumulative_incidence" in entry:
                caption = f"{entry['title']} with death as a competing risk (Aalen-Johansen)."
                found.append((f"incidence-{endpoint}", caption, partial(_incidence, result=entry)))
    for name in ("tumours", "whole", "perfused"):
        entry = results.get(f"concordance.{name}")
        if entry is not None:
            found.append(
                (f"concordance-{name}", f"{entry['title']}. {entry['sentence']}", partial(_concordance, result=entry))
            )
    return found


def _band(axes: Any, curve: dict[str, Any], color: str, label: str) -> None:
    axes.fill_between(curve["dose_gy"], curve["low"], curve["high"], color=color, alpha=0.16, linewidth=0)
    axes.plot(curve["dose_gy"], curve["probability"], color=color, linewidth=1.4, label=label)


def _dose_response(axes: Any, result: dict[str, Any]) -> None:
    _band(axes, result["curve"], BLUE, "fit with band")
    for row in result["calibration"]:
        axes.plot([row["mean_dose_gy"]] * 2, [row["low"], row["high"]], color=_INK, linewidth=0.8)
        axes.plot(row["mean_dose_gy"], row["observed"], "o", color=_INK, markersize=3.2)
    for entry in result["dose_at"]:
        if "estimate_gy" in entry:
            axes.plot(
                [entry["estimate_gy"]] * 2,
                [0.0, entry["level_percent"] / 100.0],
                color=RED,
                linewidth=0.8,
                linestyle="--",
            )
            text = f"D{entry['level_percent']:g}: {entry['estimate_gy']:.0f} Gy"
            axes.annotate(
                text,
                (entry["estimate_gy"], 0.02),
                xytext=(2, 0),
                textcoords="offset points",
                fontsize=6.2,
                color=RED,
                family=FAMILY,
            )
    axes.set_ylim(0.0, 1.02)
    _labels(axes, "Tumour dose (Gy)", "Probability of response", result["title"])


def _roc(axes: Any, result: dict[str, Any]) -> None:
    x = [0.0, *result["curve"]["one_minus_specificity"]]
    axes.step(x, [0.0, *result["curve"]["sensitivity"]], where="post", color=BLUE, linewidth=1.3)
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=0.7, linestyle=":")
    cut = result["youden"]
    axes.plot(1.0 - cut["specificity"], cut["sensitivity"], "o", color=RED, markersize=4)
    text = f"AUC {result['estimate']:.2f}\nYouden {cut['threshold_gy']:.0f} Gy"
    axes.text(0.97, 0.05, text, transform=axes.transAxes, ha="right", fontsize=7, color=_INK, family=FAMILY)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    _labels(axes, "1 - specificity", "Sensitivity", result["title"])


def _toxicity(axes: Any, result: dict[str, Any]) -> None:
    _band(axes, result["curve"], RED, "risk with band")
    safe = result["safe_dose"]
    level = safe["risk_percent"] / 100.0
    axes.axhline(level, color=GRAY, linewidth=0.7, linestyle=":")
    if "dose_gy" in safe:
        axes.plot([safe["dose_gy"]] * 2, [0.0, level], color=GREEN, linewidth=1.2)
        axes.annotate(
            f"safe: {safe['dose_gy']:.0f} Gy",
            (safe["dose_gy"], level),
            xytext=(3, 4),
            textcoords="offset points",
            fontsize=6.5,
            color=GREEN,
            family=FAMILY,
        )
    axes.set_ylim(0.0, 1.02)
    _labels(axes, f"Dose to the {result['compartment'].lower()} (Gy)", "Probability of toxicity", result["title"])


def _window(axes: Any, result: dict[str, Any]) -> None:
    _band(axes, result["response"], BLUE, "tumour response")
    _band(axes, result["toxicity"], RED, "liver toxicity")
    axes.set_ylim(0.0, 1.02)
    _labels(axes, "Dose to tumour or to normal liver (Gy)", "Probability", result["title"])
    _legend(axes)


def _steps(axes: Any, curve: dict[str, Any], color: str, label: str) -> None:
    axes.step(curve["months"], curve["value"], where="post", color=color, linewidth=1.3, label=label)
    axes.fill_between(curve["months"], curve["low"], curve["high"], step="post", color=color, alpha=0.13, linewidth=0)


def _progression(axes: Any, result: dict[str, Any]) -> None:
    groups = result.get("groups", {}).get("curves", [])
    if groups:
        for number, curve in enumerate(groups):
            _steps(axes, curve, _COLORS[number % len(_COLORS)], f"{curve['group']} (n = {curve['patients']})")
        _legend(axes, "upper right")
        if "p_log_rank" in result["groups"]:
            axes.text(
                0.02,
                0.05,
                f"log-rank p = {result['groups']['p_log_rank']:.3f}",
                transform=axes.transAxes,
                fontsize=6.5,
                family=FAMILY,
            )
    else:
        _steps(axes, result["kaplan_meier"], BLUE, "all patients")
    risk = result["kaplan_meier"]["at_risk"]
    ticks = [int(month) for month in risk]
    axes.set_xticks(ticks)
    axes.set_xticklabels([f"{month}\n{risk[str(month)]}" for month in ticks])
    axes.set_ylim(0.0, 1.02)
    axes.set_xlim(left=0.0)
    _labels(axes, "Months from treatment; below, patients at risk", "Free of progression", result["title"])


def _incidence(axes: Any, result: dict[str, Any]) -> None:
    curves = result["cumulative_incidence"]
    _steps(axes, curves["progression"], BLUE, "progression")
    if "death" in curves:
        _steps(axes, curves["death"], GRAY, "death without progression")
    axes.set_ylim(0.0, 1.02)
    axes.set_xlim(left=0.0)
    _labels(axes, "Months from treatment", "Cumulative incidence", result["title"])
    _legend(axes)


def _concordance(axes: Any, result: dict[str, Any]) -> None:
    """Ratio against geometric mean: a Bland-Altman plot on the logarithmic scale."""
    pre, post = (np.array(result["pairs_gy"][name]) for name in ("predicted", "delivered"))
    axes.plot(np.sqrt(pre * post), post / pre, "o", color=BLUE, markersize=2.2, alpha=0.5, markeredgewidth=0)
    axes.axhline(1.0, color=_INK, linewidth=0.6)
    axes.axhline(result["estimate"], color=RED, linewidth=1.0)
    for value in result["limits_of_agreement"]:
        axes.axhline(value, color=RED, linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_yscale("log")
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    low, high = float(np.min(post / pre)), float(np.max(post / pre))
    axes.set_yticks([v for v in (0.1, 0.25, 0.5, 1, 2, 4, 10) if 0.8 * low <= v <= 1.25 * high])
    spread = np.sqrt(pre * post)
    axes.set_xticks([v for v in (5, 10, 20, 50, 100, 200, 500, 1000) if 0.9 * spread.min() <= v <= 1.1 * spread.max()])
    _labels(axes, "Geometric mean of predicted and delivered dose (Gy)", "Delivered / predicted", result["title"])
