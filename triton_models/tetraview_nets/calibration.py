"""From detection scores to calibrated probabilities: one Platt map for each route.

A score says only which of two detections of one route is the surer one. A Platt map (Platt 1999, Probabilistic outputs
for support vector machines) over the log odds of the score turns it into the probability that the detection lies on a
mass, fitted on validation exams. The result is valid **at the stored prevalence only**: the share of detections that
hit a mass on exams like those of the fit. Phantom exams have a prevalence of their own, so a map fitted on them says
nothing about the chance that a person has a mass. ``prior_corrected`` moves a calibrated value to another prevalence.

The maps travel with the weights as plain data. A route on which no map could be fitted keeps its counts without slope
and intercept, and stays uncalibrated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from tetraview.domain.calibration import Platt
from tetraview.domain.view import Route
from tetraview_nets.metrics import Froc, ImageResult
from tetraview_nets.metrics.arrays import Booleans, Floats, Integers
from tetraview_nets.metrics.ranking import log_odds, logistic, logistic_line
from tetraview_nets.weights import Calibration

#: The name of the map from malignancy scores of masses to probabilities, which no route has.
MALIGNANCY = "malignancy"


class NotCalibratable(ValueError):
    """No map from scores to probabilities can be fitted on these detections."""


@dataclass(frozen=True, kw_only=True)
class FittedPlatt(Platt):
    """A map with the counts of its fit; its slope is above 0, so it keeps the order of scores."""

    #: Detections of the fit.
    detections: int
    #: Detections of the fit that hit a mass.
    positives: int

    @classmethod
    def parse(cls, stored: Mapping[str, float]) -> Self:
        """The map of stored data."""
        return cls(
            slope=stored["slope"],
            intercept=stored["intercept"],
            prevalence=stored["prevalence"],
            detections=int(stored["detections"]),
            positives=int(stored["positives"]),
        )

    def apply(self, scores: Floats) -> Floats:
        """Probabilities [N], at the stored prevalence, that detections with these scores [N] lie on a mass."""
        return logistic(self.slope * log_odds(scores) + self.intercept)


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Detections of one route with what they are; second hits of a mass are left out."""

    #: float [N].
    scores: Floats
    #: bool [N], the detection hits a mass at the criterion of ``Froc``.
    labels: Booleans
    #: int [N], patient index of each detection.
    patients: Integers


def labelled(results: Sequence[ImageResult]) -> Labelled:
    """Match detections with masses; of several on one mass only the best counts."""
    froc = Froc.of(results)
    hit = np.isfinite(froc.lesion_scores)
    return Labelled(
        scores=np.concatenate([froc.lesion_scores[hit], froc.false_scores]),
        labels=np.arange(hit.sum() + len(froc.false_scores)) < hit.sum(),
        patients=np.concatenate([froc.lesion_patients[hit], froc.false_patients]),
    )


def fit(scores: Floats, labels: Booleans) -> FittedPlatt:
    """Fit a map to detections.

    The labels are pulled towards a half as if one more detection of each kind had been seen (Platt 1999, section 2.2),
    which keeps the map finite where a threshold separates hits from the rest.

    Args:
        scores: float [N] in [0, 1].
        labels: bool [N], which of them hit.

    Raises:
        NotCalibratable: no detection hits, none misses, or hits do not score higher than misses.
    """
    detections, positives = len(labels), int(labels.sum())
    if positives in {0, detections}:
        raise NotCalibratable(f"{positives} of {detections} detections hit a mass: both hits and misses are needed")
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (detections - positives + 2))
    line = logistic_line(log_odds(scores), targets)
    if line.slope <= 0:
        raise NotCalibratable(f"the {positives} hits among {detections} detections do not score higher than the misses")
    return FittedPlatt(
        slope=line.slope,
        intercept=line.intercept,
        prevalence=positives / detections,
        detections=detections,
        positives=positives,
    )


def fit_routes(results: Mapping[Route, Sequence[ImageResult]]) -> dict[str, dict[str, float]]:
    """Fit each route's map on its detections of validation exams, as data to store with the weights.

    A route without a map keeps ``detections``, ``positives`` and ``prevalence`` only.
    """
    return {str(route): _fitted(labelled(found)) for route, found in results.items()}


def _fitted(detections: Labelled) -> dict[str, float]:
    try:
        return dict(vars(fit(detections.scores, detections.labels)))
    except NotCalibratable:
        count, positives = len(detections.labels), int(detections.labels.sum())
        return {"prevalence": positives / max(1, count), "detections": count, "positives": positives}


def maps(calibration: Calibration) -> dict[Route, FittedPlatt]:
    """The maps of stored data, for the routes that have one."""
    return {Route(route): FittedPlatt.parse(stored) for route, stored in calibration.items() if "slope" in stored}


def fit_malignancy(scores: Floats, malignant: Booleans) -> Calibration:
    """Fit the map from scores of masses [N] to the probability of malignancy, as data to store with the weights.

    Empty where no map can be fitted.
    """
    try:
        return {MALIGNANCY: dict(vars(fit(scores, malignant)))}
    except NotCalibratable:
        return {}


def malignancy_map(calibration: Calibration) -> FittedPlatt | None:
    """The stored map from scores of masses to the probability of malignancy, if one could be fitted."""
    stored = calibration.get(MALIGNANCY)
    return FittedPlatt.parse(stored) if stored else None


def prior_corrected(probability: Floats, *, from_prevalence: float, to_prevalence: float) -> Floats:
    """Move calibrated probabilities [N] to another prevalence: logit p' = logit p + logit π1 - logit π0.

    Right where hits and misses score as they did in the fit and only their shares differ (Saerens, Latinne and
    Decaestecker 2002, Neural Computation 14).

    Raises:
        ValueError: a prevalence is not between 0 and 1.
    """
    priors = np.array([from_prevalence, to_prevalence])
    if not ((priors > 0) & (priors < 1)).all():
        raise ValueError(f"a prevalence lies between 0 and 1, not {from_prevalence} and {to_prevalence}")
    before, after = log_odds(priors)
    return logistic(log_odds(probability) + after - before)
