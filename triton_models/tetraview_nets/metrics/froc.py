"""Matching of detections with masses, FROC, and recall at a rate of false positives.

Definitions, the same for every detector:

* A detection belongs to the mass it overlaps most; it hits when the IoU of their boxes is above the criterion.
  MommiNet-v2 has the same 0.2, but of what the network marks and the mass's mask: our figures and the paper's are not
  counted by one rule. Further hits of a mass that a higher-scoring detection has hit already are ignored.
* FPPI is false positives divided by all images, normal ones included. Recall is hit masses divided by all mass
  instances, each view counted by itself; *any-view* recall counts a mass of the breast once, hit in either view.
* Recall at a given FPPI is the highest recall of an operating point that does not exceed it, without interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from tetraview_nets.metrics.arrays import Booleans, Floats, Integers
from tetraview_nets.metrics.bootstrap import RESAMPLES, patient_weights

#: MommiNet-v2's criterion: a detection hits when IoU is above this.
IOU_CRITERION = 0.2
#: False positives per image at which recall is reported.
FPPI_POINTS = (0.25, 0.5, 1.0, 2.0)
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageResult:
    """A detector's answer about one image, beside the truth; boxes are x0, y0, x1, y1 in the same pixels.

    Raises:
        ValueError: an array does not have its shape.
    """

    #: Patient the image belongs to; images of one patient are resampled together.
    patient: int
    #: float [N, 4], detections.
    boxes: Floats
    #: float [N], detection scores.
    scores: Floats
    #: float [M, 4], masses; empty for a normal image.
    truth: Floats
    #: One name a mass, the same in both views of a breast.
    lesions: tuple[str, ...]
    #: float [N, M], IoU of detections with masses where another than that of their boxes decides, as ``mask_iou``'s.
    overlaps: Floats | None = None

    def __post_init__(self) -> None:
        detections, masses = len(self.scores), len(self.lesions)
        shapes = self.boxes.shape, self.scores.shape, self.truth.shape
        if shapes != ((detections, 4), (detections,), (masses, 4)):
            raise ValueError(f"boxes, scores and truth do not fit each other: {shapes}, {masses} lesions")
        if self.overlaps is not None and self.overlaps.shape != (detections, masses):
            raise ValueError(f"overlaps {self.overlaps.shape} do not fit {detections} detections of {masses} masses")


def iou_matrix(first: Floats, second: Floats) -> Floats:
    """Intersection over union of every box of ``first`` [N, 4] with every box of ``second`` [M, 4], as [N, M]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union: Floats = areas[0][:, None] + areas[1][None, :] - intersection
    return np.asarray(intersection / np.maximum(union, _ROUNDING), dtype=np.float64)


def mask_iou(boxes: Floats, masks: Booleans) -> Floats:
    """Intersection over union of the pixels whose centres lie in each box [N, 4] with each mask [M, H, W], as [N, M].

    Pixel (0, 0) reaches from 0 to 1, so its centre is at 0.5.
    """
    height, width = masks.shape[1:]
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    columns = (boxes[:, :1] <= x) & (x < boxes[:, 2:3])
    rows = (boxes[:, 1:2] <= y) & (y < boxes[:, 3:])
    intersection = np.einsum("nh,mhw,nw->nm", rows.astype(float), masks.astype(float), columns.astype(float))
    union = (rows.sum(axis=1) * columns.sum(axis=1))[:, None] + masks.sum(axis=(1, 2))[None, :] - intersection
    return np.asarray(intersection / np.maximum(union, _ROUNDING), dtype=np.float64)


def assign(result: ImageResult, *, iou: float = IOU_CRITERION) -> Integers:
    """The index of the mass that each detection hits, or -1: int [N]."""
    if not len(result.lesions) or not len(result.scores):
        return np.full(len(result.scores), -1, dtype=np.int64)
    overlap = iou_matrix(result.boxes, result.truth) if result.overlaps is None else result.overlaps
    return np.where(overlap.max(axis=1) > iou, overlap.argmax(axis=1), -1).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Froc:
    """All that FROC needs of a test set: scores of hit masses and of false positives, with their patients."""

    #: float [L], the best score that hit each mass; -inf where none did.
    lesion_scores: Floats
    #: int [L], patient index of each mass.
    lesion_patients: Integers
    #: float [F], scores of the false positives.
    false_scores: Floats
    #: int [F], patient index of each false positive.
    false_patients: Integers
    #: int [P], images of each patient.
    images: Integers

    @classmethod
    def of(cls, results: Sequence[ImageResult], *, iou: float = IOU_CRITERION, any_view: bool = False) -> Self:
        """Match every image; with ``any_view`` a mass seen in two views counts once, with its better score."""
        patients = sorted({result.patient for result in results})
        index = {patient: i for i, patient in enumerate(patients)}
        lesions: dict[tuple[int, str, int], float] = {}
        false: list[tuple[float, int]] = []
        for number, result in enumerate(results):
            hits = assign(result, iou=iou)
            patient = index[result.patient]
            for mass, name in enumerate(result.lesions):
                key = patient, name, -1 if any_view else number
                best = result.scores[hits == mass].max(initial=-np.inf)
                lesions[key] = max(lesions.get(key, -np.inf), best)
            false += [(score, patient) for score in result.scores[hits < 0]]
        return cls(
            lesion_scores=np.array(list(lesions.values()), dtype=np.float64),
            lesion_patients=np.array([key[0] for key in lesions], dtype=np.int64),
            false_scores=np.array([score for score, _ in false], dtype=np.float64),
            false_patients=np.array([patient for _, patient in false], dtype=np.int64),
            images=np.bincount([index[result.patient] for result in results], minlength=len(patients)),
        )

    @cached_property
    def _ranked(self) -> tuple[Floats, Integers, Booleans, Integers]:
        """Scores, patients and hits of all detections, best first, and the last of each run of equal scores."""
        scores = np.concatenate([self.lesion_scores, self.false_scores])
        patients = np.concatenate([self.lesion_patients, self.false_patients])
        order = np.argsort(-scores, kind="stable")[: int(np.isfinite(scores).sum())]
        ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
        return scores[order], patients[order], order < len(self.lesion_scores), ends

    def curve(self, weights: Integers | None = None) -> tuple[Floats, Floats, Floats]:
        """The operating points by falling threshold, the first above every score.

        Args:
            weights: int [P], how often each patient is in the sample; None for once.

        Returns:
            thresholds [T], FPPI [T] and recall [T]; detections with score >= threshold are kept.
        """
        weights = np.ones(len(self.images), dtype=np.int64) if weights is None else weights
        scores, patients, hit, ends = self._ranked
        counts = weights[patients]
        lesions = max(1, int(weights[self.lesion_patients].sum()))
        images = max(1, int((weights * self.images).sum()))
        return (
            np.concatenate([[np.inf], scores[ends]]),
            np.concatenate([[0.0], np.cumsum(counts * ~hit)[ends] / images]),
            np.concatenate([[0.0], np.cumsum(counts * hit)[ends] / lesions]),
        )

    def recall_at(self, fppi: Sequence[float], weights: Integers | None = None) -> Floats:
        """The highest recall among operating points at or below each FPPI: float [len(fppi)]."""
        _, rates, recalls = self.curve(weights)
        last = np.searchsorted(rates, np.asarray(fppi) + _ROUNDING, side="right") - 1
        return np.asarray(recalls[last], dtype=np.float64)

    def threshold_at(self, fppi: float) -> float:
        """The lowest threshold whose FPPI does not exceed ``fppi``; +inf if none but silence does."""
        thresholds, rates, _ = self.curve()
        return float(thresholds[np.searchsorted(rates, fppi + _ROUNDING, side="right") - 1])

    def bootstrap(self, fppi: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
        """Recall at each FPPI in resampled sets of patients, as ``patient_weights``: float [resamples, len(fppi)]."""
        weights = patient_weights(len(self.images), resamples=resamples, seed=seed)
        return np.stack([self.recall_at(fppi, weight) for weight in weights])
