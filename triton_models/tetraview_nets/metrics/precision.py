"""Precision of a detector: average precision, and the pair of recall and false positives at one threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tetraview_nets.metrics.froc import Froc, ImageResult, assign


class OperatingPair(NamedTuple):
    """What a detector does at one threshold."""

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


def average_precision(results: Sequence[ImageResult], *, iou: float) -> float:
    """Average precision as the step sum Σ(R_n - R_{n-1})·P_n; a second hit of a mass is a false positive."""
    scores, correct, total = [np.empty(0)], [np.empty(0, dtype=bool)], 0
    for result in results:
        order = np.argsort(-result.scores, kind="stable")
        hits = assign(result, iou=iou)[order]
        first = np.zeros(len(hits), dtype=bool)
        first[np.unique(hits, return_index=True)[1]] = True
        scores.append(result.scores[order])
        correct.append(first & (hits >= 0))
        total += len(result.lesions)
    if not total:
        return 0.0
    ranked = np.concatenate(correct)[np.argsort(-np.concatenate(scores), kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].sum() / total)
