"""ROC curves: area with DeLong's or Obuchowski's variance, cut-offs, and what they are worth in new patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .logistic import require_both


@dataclass(frozen=True)
class Area:
    """Area under the ROC curve.

    Parameters
    ----------
    value, standard_error : float
    low, high : float
        Normal interval, cut at 0 and 1 as in R's pROC.
    p : float
        Of the area being 0.5, by the same normal.
    method : str
    """

    value: float
    standard_error: float
    low: float
    high: float
    p: float
    method: str


def _placements(score: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of non-events below each event, and of events above each non-event; ties count half."""
    positive, negative = np.sort(score[y > 0.5]), np.sort(score[y <= 0.5])

    def below(values: np.ndarray, among: np.ndarray) -> np.ndarray:
        return (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / (2.0 * len(among))

    return below(score[y > 0.5], negative), 1.0 - below(score[y <= 0.5], positive)


def area(score: np.ndarray, y: np.ndarray, clusters: np.ndarray | None = None, confidence: float = 0.95) -> Area:
    """AUC; DeLong's variance with one row per patient, else Obuchowski's.

    DeLong ER et al., Biometrics 1988;44:837-845, doi:10.2307/2531595; Obuchowski NA, Biometrics 1997;53:567-578,
    doi:10.2307/2533958.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Higher means the event is more likely.
    y : ndarray of shape (n,)
    clusters : ndarray of shape (n,), optional
        Patient of each row.
    """
    from scipy.special import ndtr, ndtri

    y = np.asarray(y, dtype=float)
    require_both(y, "ROC curve")
    v10, v01 = _placements(score, y)
    value, m, n = float(v10.mean()), len(v10), len(v01)
    repeated = clusters is not None and len(np.unique(clusters)) < len(y)
    if not repeated:
        variance = (np.var(v10, ddof=1) / m if m > 1 else np.inf) + (np.var(v01, ddof=1) / n if n > 1 else np.inf)
        method = "DeLong"
    else:
        assert clusters is not None
        _, index = np.unique(clusters, return_inverse=True)
        count = index.max() + 1
        positive, negative = index[y > 0.5], index[y <= 0.5]
        m_i, n_i = np.bincount(positive, minlength=count), np.bincount(negative, minlength=count)
        a = np.bincount(positive, v10, minlength=count) - m_i * value
        b = np.bincount(negative, v01, minlength=count) - n_i * value
        i10, i01 = int(np.sum(m_i > 0)), int(np.sum(n_i > 0))
        s10 = i10 / ((i10 - 1.0) * m) * np.sum(a**2) if i10 > 1 else np.inf
        s01 = i01 / ((i01 - 1.0) * n) * np.sum(b**2) if i01 > 1 else np.inf
        s11 = count / (count - 1.0) * np.sum(a * b)
        variance = s10 / m + s01 / n + 2.0 * s11 / (m * n)
        method = "Obuchowski (tumours in patients)"
    error = float(np.sqrt(max(float(variance), 0.0)))
    z = float(ndtri(0.5 + confidence / 2.0))
    p = float(2.0 * ndtr(-abs(value - 0.5) / error)) if error > 0.0 else 0.0
    return Area(value, error, max(0.0, value - z * error), min(1.0, value + z * error), p, method)


@dataclass(frozen=True)
class CutOff:
    """A dose from which on response is expected.

    Parameters
    ----------
    threshold : float
        Midway between two observed doses; at or above it counts as positive.
    sensitivity, specificity : float
        In the data it was chosen from.
    """

    threshold: float
    sensitivity: float
    specificity: float

    @property
    def youden(self) -> float:
        """Sensitivity + specificity - 1."""
        return self.sensitivity + self.specificity - 1.0


class WeightedRoc:
    """ROC of one score under many sets of weights: sorted once, then a cumulative sum per set."""

    def __init__(self, score: np.ndarray, y: np.ndarray) -> None:
        self.order = np.argsort(-score, kind="stable")
        ordered = score[self.order]
        self.y = np.asarray(y, dtype=float)[self.order]
        self.ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        next_value = np.append(ordered[self.ends[:-1] + 1], -np.inf)
        self.thresholds = 0.5 * (ordered[self.ends] + next_value)

    def curve(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Sensitivity and 1 - specificity at each threshold, from the highest down."""
        w = np.ones(len(self.y)) if weights is None else weights[self.order]
        positive, negative = np.cumsum(w * self.y), np.cumsum(w * (1.0 - self.y))
        if positive[-1] <= 0.0 or negative[-1] <= 0.0:
            return np.full(len(self.ends), np.nan), np.full(len(self.ends), np.nan)
        return positive[self.ends] / positive[-1], negative[self.ends] / negative[-1]

    def area(self, weights: np.ndarray | None = None) -> float:
        """Weighted AUC by trapezoids."""
        sensitivity, fall_out = self.curve(weights)
        x, y = np.append(0.0, fall_out), np.append(0.0, sensitivity)
        return float(np.sum(np.diff(x) * 0.5 * (y[1:] + y[:-1])))

    def youden(self, weights: np.ndarray | None = None) -> int:
        """Index of the threshold with the largest Youden index."""
        sensitivity, fall_out = self.curve(weights)
        return int(np.argmax((sensitivity - fall_out)[:-1])) if len(self.ends) > 1 else 0

    def at_specificity(self, least: float, weights: np.ndarray | None = None) -> int | None:
        """Index of the lowest threshold whose specificity is at least this."""
        _, fall_out = self.curve(weights)
        fitting = np.flatnonzero(fall_out[:-1] <= 1.0 - least + 1e-12)
        return int(fitting[-1]) if len(fitting) else None

    def cut_off(self, index: int, weights: np.ndarray | None = None) -> CutOff:
        """The threshold with its sensitivity and specificity."""
        sensitivity, fall_out = self.curve(weights)
        return CutOff(float(self.thresholds[index]), float(sensitivity[index]), float(1.0 - fall_out[index]))


@dataclass(frozen=True)
class ValidatedCutOff:
    """A cut-off with what it is worth in new patients."""

    apparent: CutOff
    corrected_sensitivity: float
    corrected_specificity: float


def validated_cut_offs(
    score: np.ndarray, y: np.ndarray, clusters: np.ndarray, specificity: float, weights: np.ndarray
) -> tuple[ValidatedCutOff, ValidatedCutOff | None]:
    """Youden's and the fixed-specificity cut-off, corrected for optimism by resampled patients.

    In each resample the cut-off is chosen anew; the mean of (performance there - performance of that cut-off in the
    original data) is taken off (Harrell 1996, doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4).

    Parameters
    ----------
    weights : ndarray of shape (resamples, patients)
        How often each patient, in the order of ``np.unique(clusters)``, was drawn.
    """
    _, index = np.unique(clusters, return_inverse=True)
    roc = WeightedRoc(score, y)
    sensitivity, fall_out = roc.curve()

    def corrected(choose) -> ValidatedCutOff | None:  # type: ignore[no-untyped-def]
        chosen = choose(None)
        if chosen is None:
            return None
        optimism = []
        for drawn in weights:
            w = drawn[index].astype(float)
            there_sensitivity, there_fall_out = roc.curve(w)
            if np.isnan(there_sensitivity[0]):
                continue
            at = choose(w)
            if at is not None:
                optimism.append((there_sensitivity[at] - sensitivity[at], fall_out[at] - there_fall_out[at]))
        off = np.mean(optimism, axis=0) if optimism else np.zeros(2)
        apparent = roc.cut_off(chosen)
        return ValidatedCutOff(
            apparent,
            float(np.clip(apparent.sensitivity - off[0], 0.0, 1.0)),
            float(np.clip(apparent.specificity - off[1], 0.0, 1.0)),
        )

    youden = corrected(roc.youden)
    assert youden is not None
    return youden, corrected(lambda w: roc.at_specificity(specificity, w))


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2.0))
    share = successes / total
    middle = (share + z * z / (2.0 * total)) / (1.0 + z * z / total)
    half = z / (1.0 + z * z / total) * np.sqrt(share * (1.0 - share) / total + z * z / (4.0 * total * total))
    return float(middle - half), float(middle + half)
