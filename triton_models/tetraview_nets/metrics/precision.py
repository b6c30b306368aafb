"""Precision of a detector: average precision, and the pair of recall and false positives at one threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from tetraview_nets.metrics.arrays import Booleans, Integers
from tetraview_nets.metrics.froc import Froc, ImageResult, assign


class OperatingPair(NamedTuple):
    """A detector's figures at one threshold."""

    #: Hit masses divided by all masses.
    recall: float
    #: False positives divided by all images.
    fppi: float


def tpr_at_fpavg(results: Sequence[ImageResult], *, threshold: float, iou: float) -> OperatingPair:
    """TPR@FPavg of the YOLO papers: recall and false positives per image of the detections with score >= threshold."""
    froc = Froc.of(results, iou=iou)
    return OperatingPair(
        recall=float((froc.lesion_scores >= threshold).sum() / max(1, len(froc.lesion_scores))),
        fppi=float((froc.false_scores >= threshold).sum() / max(1, froc.images.sum())),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Precision:
    """All that average precision needs of a test set."""

    #: bool [N], whether each detection is the first that hits its mass; best first.
    correct: Booleans
    #: int [N], patient index of each detection.
    patients: Integers
    #: int [P], masses of each patient.
    masses: Integers

    @classmethod
    def of(cls, results: Sequence[ImageResult], *, iou: float) -> Self:
        """Match every image; a second hit of a mass is a false positive."""
        known, owners = np.unique([result.patient for result in results], return_inverse=True)
        scores, correct, patients = [np.empty(0)], [np.empty(0, dtype=bool)], [np.empty(0, dtype=np.int64)]
        masses = np.zeros(len(known), dtype=np.int64)
        for result, owner in zip(results, owners, strict=True):
            order = np.argsort(-result.scores, kind="stable")
            hits = assign(result, iou=iou)[order]
            first = np.zeros(len(hits), dtype=bool)
            first[np.unique(hits, return_index=True)[1]] = True
            scores.append(result.scores[order])
            correct.append(first & (hits >= 0))
            patients.append(np.full(len(hits), owner))
            masses[owner] += len(result.lesions)
        best = np.argsort(-np.concatenate(scores), kind="stable")
        return cls(correct=np.concatenate(correct)[best], patients=np.concatenate(patients)[best], masses=masses)

    def average(self, weights: Integers | None = None) -> float:
        """The step sum Σ(R_n - R_{n-1})·P_n; 0 without a mass.

        Args:
            weights: int [P], how often each patient is in the sample; None for once.
        """
        weights = np.ones(len(self.masses), dtype=np.int64) if weights is None else weights
        counts, total = weights[self.patients], int((weights * self.masses).sum())
        hits = counts * self.correct
        precision = np.cumsum(hits) / np.cumsum(counts).clip(1)
        return float((precision * hits).sum() / total) if total else 0.0


def average_precision(results: Sequence[ImageResult], *, iou: float) -> float:
    """Average precision of some results."""
    return Precision.of(results, iou=iou).average()
