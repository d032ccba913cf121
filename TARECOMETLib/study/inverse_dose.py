"""The dose at a probability, with its interval; nothing is said outside the doses that were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .logistic import LogisticFit, z_of
from .plan import LOG


@dataclass(frozen=True)
class DoseAt:
    """Dose at a probability.

    Parameters
    ----------
    level_percent : float
    estimate_gy, low_gy, high_gy : float or None
        None where it would be extrapolated or where the slope's interval includes 0.
    sentence : str
    """

    level_percent: float
    estimate_gy: float | None
    low_gy: float | None
    high_gy: float | None
    sentence: str

    def document(self) -> dict[str, object]:
        """JSON object."""
        return {
            "level_percent": self.level_percent,
            "estimate_gy": self.estimate_gy,
            "low_gy": self.low_gy,
            "high_gy": self.high_gy,
            "sentence": self.sentence,
        }


def on_scale(dose_gy: np.ndarray | float, scale: str) -> np.ndarray:
    """Dose as the model sees it: ln Gy or Gy."""
    dose = np.asarray(dose_gy, dtype=float)
    return np.log(dose) if scale == LOG else dose


def off_scale(x: float, scale: str) -> float:
    """Gy of a value that the model sees."""
    return float(np.exp(min(x, 700.0))) if scale == LOG else float(x)


def dose_at(
    fit: LogisticFit,
    level_percent: float,
    scale: str,
    seen_gy: tuple[float, float],
    confidence: float,
    shift: float = 0.0,
) -> DoseAt:
    """Dose at which P reaches a level, with Fieller's interval.

    Fieller EC, J R Stat Soc B 1954;16:175-185; on ln Gy where dose enters as a logarithm.

    Parameters
    ----------
    fit : LogisticFit
        Coefficient 0 is the intercept and 1 that of dose.
    level_percent : float
    scale : str
    seen_gy : (float, float)
        Lowest and highest dose observed.
    confidence : float
    shift : float
        Added to the logit: covariates at their means.
    """
    where = f"[{seen_gy[0]:.0f}, {seen_gy[1]:.0f}] Gy"
    level = level_percent / 100.0
    b0, b1 = fit.coefficients[:2]
    v = fit.covariance[:2, :2]
    target = float(np.log(level / (1.0 - level))) - b0 - shift
    z2 = z_of(confidence) ** 2
    a = b1 * b1 - z2 * v[1, 1]
    if not np.isfinite(a) or a <= 0.0:
        return DoseAt(level_percent, None, None, None, f"Not estimable in {where}: the slope's interval includes 0")
    x = target / b1
    b = target * b1 + z2 * v[0, 1]
    c = target * target - z2 * v[0, 0]
    root = float(np.sqrt(max(b * b - a * c, 0.0)))
    low, high = off_scale((b - root) / a, scale), off_scale((b + root) / a, scale)
    point = off_scale(x, scale)

    def seen(value: float) -> float | None:
        return value if seen_gy[0] <= value <= seen_gy[1] else None

    found, low_seen, high_seen = seen(point), seen(low), seen(high)
    if found is None:
        return DoseAt(level_percent, None, None, None, f"Not estimable in {where}: it would be extrapolated")
    share = f"{100 * confidence:g} %"
    if low_seen is not None and high_seen is not None:
        sentence = f"{found:.0f} Gy ({share} interval {low_seen:.0f} to {high_seen:.0f} Gy)"
    else:
        words = [f"{name} bound" for name, value in (("lower", low_seen), ("upper", high_seen)) if value is None]
        kept = "".join(
            f", {n} bound {v:.0f} Gy" for n, v in (("lower", low_seen), ("upper", high_seen)) if v is not None
        )
        sentence = f"{found:.0f} Gy{kept}; {' and '.join(words)} not estimable in {where}"
    return DoseAt(level_percent, found, low_seen, high_seen, sentence)


def dose_of_upper_bound(
    fit: LogisticFit, level_percent: float, scale: str, seen_gy: tuple[float, float], confidence: float
) -> DoseAt:
    """Dose up to which the UPPER confidence bound of the risk stays at or below a level: the safe dose."""
    found = dose_at(fit, level_percent, scale, seen_gy, confidence)
    where = f"[{seen_gy[0]:.0f}, {seen_gy[1]:.0f}] Gy"
    (b0, b1), v = fit.coefficients[:2], fit.covariance[:2, :2]
    z2 = z_of(confidence) ** 2
    level = level_percent / 100.0
    target = float(np.log(level / (1.0 - level))) - b0
    a = b1 * b1 - z2 * v[1, 1]
    if not np.isfinite(a) or a <= 0.0 or b1 <= 0.0:
        reason = "the slope's interval includes 0" if not a > 0.0 else "the risk falls with dose"
        return DoseAt(level_percent, None, None, None, f"Not estimable in {where}: {reason}")
    b, c = target * b1 + z2 * v[0, 1], target * target - z2 * v[0, 0]
    # With a rising curve the smaller of Fieller's roots is where the upper band crosses the level.
    dose = off_scale((b - float(np.sqrt(max(b * b - a * c, 0.0)))) / a, scale)
    if not seen_gy[0] <= dose <= seen_gy[1]:
        above = dose < seen_gy[0]
        words = (
            f"above {level_percent:g} % from the lowest" if above else f"below {level_percent:g} % up to the highest"
        )
        sentence = f"Not estimable in {where}: the upper bound of the risk is {words} dose seen"
        return DoseAt(level_percent, None, None, None, sentence)
    point = (
        f"; the risk itself is {level_percent:g} % at {found.estimate_gy:.0f} Gy"
        if found.estimate_gy is not None
        else ""
    )
    bound = f"upper {100 * confidence:g} % bound"
    sentence = f"{dose:.0f} Gy: up to there the {bound} of the risk is at most {level_percent:g} %{point}"
    return DoseAt(level_percent, dose, None, None, sentence)


def gamma50(fit: LogisticFit, scale: str, d50_gy: float, confidence: float) -> tuple[float, float, float]:
    """γ50 = D dP/dD at D50, with its interval by the delta method: per cent response per per cent dose."""
    b1 = fit.coefficients[1]
    z = z_of(confidence)
    if scale == LOG:
        value, error = b1 / 4.0, float(np.sqrt(fit.covariance[1, 1])) / 4.0
    else:
        # b1 D50 / 4 = -b0 / 4.
        value, error = b1 * d50_gy / 4.0, float(np.sqrt(fit.covariance[0, 0])) / 4.0
    return float(value), float(value - z * error), float(value + z * error)
