"""How well scores rank and, where they claim to be probabilities, how well they are calibrated.

Everywhere ``scores`` and ``labels`` are [N]; ``weights`` [N] say how often each counts, None for once, so that a
bootstrap resamples without copying. A figure that is not defined on the given labels is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tetraview_nets.metrics.arrays import Booleans, Floats, Integers

#: Bins of equal mass in the expected calibration error.
BINS = 10
#: Specificity at which sensitivity is reported, and the reverse.
OPERATING_LEVEL = 0.9
#: Probabilities are kept this far from 0 and 1 before their log odds are taken.
EDGE = 1e-6
_ROUNDING = 1e-12
#: Newton steps after which a logistic regression is taken as it is; it needs fewer than ten.
_NEWTON_STEPS = 50


class Line(NamedTuple):
    """Log odds of the labels as a line over the log odds of the scores; (1, 0) is perfect calibration."""

    slope: float
    intercept: float


class Bins(NamedTuple):
    """Scores in bins of equal mass, by rising score; empty bins are left out."""

    #: float [B], summed weights.
    mass: Floats
    #: float [B], mean score.
    score: Floats
    #: float [B], share of true labels.
    observed: Floats


def auc(scores: Floats, labels: Booleans, weights: Floats | Integers | None = None) -> float:
    """Area under the ROC curve by Mann and Whitney: how often a true label outscores a false one, ties half."""
    _, positive, negative = _by_value(scores, labels, weights)
    pairs = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / pairs) if pairs else np.nan


def sensitivity_at_specificity(scores: Floats, labels: Booleans, *, specificity: float = OPERATING_LEVEL) -> float:
    """The highest sensitivity of a threshold whose specificity is at least this, without interpolation."""
    if labels.all() or not labels.any():
        return np.nan
    sensitivities, specificities = _operating_points(scores, labels)
    return float(sensitivities[specificities >= specificity - _ROUNDING].max())


def specificity_at_sensitivity(scores: Floats, labels: Booleans, *, sensitivity: float = OPERATING_LEVEL) -> float:
    """The highest specificity of a threshold whose sensitivity is at least this, without interpolation."""
    return sensitivity_at_specificity(-scores, np.logical_not(labels), specificity=sensitivity)


def brier(scores: Floats, labels: Booleans, weights: Floats | Integers | None = None) -> float:
    """Mean squared distance of scores from labels."""
    return _mean((scores - labels) ** 2, weights)


def equal_mass_bins(scores: Floats, labels: Booleans, weights: Floats | Integers | None = None) -> Bins:
    """Sort scores into bins of equal mass; equal scores stay together, in the bin that holds their middle."""
    values, positive, negative = _by_value(scores, labels, weights)
    mass = positive + negative
    middle = (np.cumsum(mass) - mass / 2) / max(mass.sum(), _ROUNDING)
    places = np.minimum((BINS * middle).astype(np.int64), BINS - 1)
    total, summed, hits = (np.bincount(places, column, minlength=BINS) for column in (mass, mass * values, positive))
    filled = total > 0
    return Bins(
        mass=total[filled].astype(np.float64),
        score=summed[filled] / total[filled],
        observed=hits[filled] / total[filled],
    )


def expected_calibration_error(scores: Floats, labels: Booleans, weights: Floats | Integers | None = None) -> float:
    """Mean distance of mean score from share of true labels over bins of equal mass."""
    bins = equal_mass_bins(scores, labels, weights)
    return _mean(abs(bins.score - bins.observed), bins.mass)


def calibration_line(scores: Floats, labels: Booleans, weights: Floats | Integers | None = None) -> Line:
    """Slope and intercept of the logistic regression of labels on the log odds of scores (Cox 1958, Biometrika 45).

    Undefined where one label is absent or a threshold tells the labels apart without error.
    """
    x, truth = log_odds(scores), labels.astype(bool)
    counted = np.ones(len(x), dtype=bool) if weights is None else weights > 0
    high, low = x[counted & truth], x[counted & ~truth]
    if not len(high) or not len(low) or low.max() <= high.min() or high.max() <= low.min():
        return Line(slope=np.nan, intercept=np.nan)
    return logistic_line(x, truth.astype(np.float64), weights)


def logistic_line(x: Floats, targets: Floats, weights: Floats | Integers | None = None) -> Line:
    """The line over x [N] whose logistic function has the least cross-entropy with targets [N] in [0, 1].

    Newton's method with halved steps; the solution is finite where the targets are not separated by a threshold.
    """
    weights = np.ones(len(x)) if weights is None else weights
    design = np.stack([x, np.ones(len(x))], axis=1)
    line = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        chance = logistic(design @ line)
        gradient = design.T @ (weights * (chance - targets))
        curvature = design.T @ (design * (weights * chance * (1 - chance))[:, None])
        step = np.linalg.solve(curvature + _ROUNDING * np.eye(2), gradient)
        now = _cross_entropy(design @ line, targets, weights)
        while _cross_entropy(design @ (line - step), targets, weights) > now and abs(step).max() > _ROUNDING:
            step /= 2
        line -= step
        if abs(step).max() < _ROUNDING**0.5:
            break
    return Line(slope=float(line[0]), intercept=float(line[1]))


def logistic(x: Floats) -> Floats:
    """The logistic function, without overflow."""
    return np.asarray((1 + np.tanh(x / 2)) / 2, dtype=np.float64)


def log_odds(probability: Floats) -> Floats:
    """Log odds of probabilities, those nearer than ``EDGE`` to 0 or 1 taken to be that near."""
    inner = np.clip(probability, EDGE, 1 - EDGE)
    return np.asarray(np.log(inner / (1 - inner)), dtype=np.float64)


def _mean(values: Floats, weights: Floats | Integers | None) -> float:
    counts = np.ones(len(values)) if weights is None else weights
    return float((values * counts).sum() / counts.sum()) if counts.any() else np.nan


def _cross_entropy(logits: Floats, targets: Floats, weights: Floats | Integers) -> float:
    return float((weights * (np.logaddexp(0, logits) - targets * logits)).sum())


def _by_value(scores: Floats, labels: Booleans, weights: Floats | Integers | None) -> tuple[Floats, Floats, Floats]:
    """The different scores, rising, and the weight of true and of false labels at each."""
    counts = np.ones(len(scores)) if weights is None else weights.astype(np.float64)
    values, place = np.unique(scores, return_inverse=True)
    positive, negative = (
        np.bincount(place, counts * side, len(values)).astype(np.float64) for side in (labels, np.logical_not(labels))
    )
    return values, positive, negative


def _operating_points(scores: Floats, labels: Booleans) -> tuple[Floats, Floats]:
    """Sensitivity and specificity of every threshold, the first above every score; both labels are present."""
    _, positive, negative = _by_value(scores, labels, None)
    sensitivity = np.append(np.cumsum(positive[::-1])[::-1], 0) / positive.sum()
    specificity = np.append(0, np.cumsum(negative)) / negative.sum()
    return sensitivity, specificity
