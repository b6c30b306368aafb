"""Detectors on phantom exams: every route, matched with the truth, and the operating points chosen from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview.domain.view import Route
from tetraview_nets.learning import blob
from tetraview_nets.learning.augment import plain
from tetraview_nets.learning.cache import IGNORED, VIEWS, CanonicalExam
from tetraview_nets.learning.data import companion
from tetraview_nets.metrics import Froc, ImageResult, assign
from tetraview_nets.system import ViewInput

Detections = tuple[NDArray[np.float64], NDArray[np.float64]]

#: False positives per image that each operating point may have on validation exams.
OPERATING_FPPI = MappingProxyType({"high_sensitivity": 2.0, "balanced": 1.0, "high_specificity": 0.5})
#: A detection that hits no mass is not counted where more than this part of it counts neither way, or its centre does.
IGNORED_PART = 0.3


class Detector(Protocol):
    """A detector that can be evaluated."""

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Boxes [N, 4] and scores [N] for each of the views, seeing only these views."""


class BlobDetector:
    """The floor; it looks at each view by itself, whatever the route."""

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Blobs of each view."""
        samples = [plain(exam, view) for view in views]
        return [blob.detect(sample.image, sample.breast, spacing_mm=sample.spacing_mm) for sample in samples]


def view_input(exam: CanonicalExam, view: int, device: torch.device) -> ViewInput:
    """One view of a cached exam as the network is given it."""
    sample = plain(exam, view)
    return ViewInput(
        view=VIEWS[view],
        image=torch.from_numpy(sample.image).to(device),
        breast_mask=torch.from_numpy(sample.breast).to(device),
        spacing_mm=sample.spacing_mm,
    )


def companies(route: Route) -> list[tuple[int, ...]]:
    """The groups of views that are read together so that every view is read by a route, each view once."""
    everything = tuple(range(len(VIEWS)))
    if route is Route.TRI:
        return [everything]
    if route is Route.SINGLE:
        return [(view,) for view in everything]
    pairs = {tuple(sorted((view, companion(view, ipsilateral=route is Route.IPSI)))) for view in everything}
    return sorted(pairs)


def read_exams(
    detector: Detector, exams: Iterable[CanonicalExam], route: Route, *, done: Callable[[], None] = lambda: None
) -> list[ImageResult]:
    """Read every view of all exams by one route, or by the rest of it where an exam lacks views.

    Args:
        detector: the detector that reads.
        exams: the exams.
        route: the route; a view whose companions are absent is read without them.
        done: called after each exam.
    """
    results = []
    for exam in exams:
        for group in companies(route):
            views = [view for view in group if exam.present[view]]
            if not views:
                continue
            for view, found in zip(views, detector.read(exam, views), strict=True):
                results.append(image_result(exam, view, found))
        done()
    return results


def image_result(
    exam: CanonicalExam, view: int, found: Detections, *, overlaps: NDArray[np.float64] | None = None
) -> ImageResult:
    """Detections of one view beside its truth, without those that count neither way.

    Args:
        exam: the exam with the truth.
        view: which of its views.
        found: boxes [N, 4] and scores [N].
        overlaps: [N, M] of the detections with the view's masses where another than that of boxes decides.
    """
    masses = exam.masses(view)
    result = ImageResult(
        patient=exam.seed,
        boxes=found[0],
        scores=found[1],
        truth=exam.boxes[masses].astype(np.float64),
        lesions=tuple(exam.labels[masses]),
        overlaps=overlaps,
    )
    return counted(result, (exam.masks[view] & IGNORED) > 0)


def counted(result: ImageResult, ignored: NDArray[np.bool_]) -> ImageResult:
    """A result without the detections that hit no mass and lie where nothing counts, bool [H, W]."""
    if not ignored.any() or not len(result.scores):
        return result
    kept = (assign(result) >= 0) | np.array([not is_ignored(box, ignored) for box in result.boxes])
    overlaps = None if result.overlaps is None else result.overlaps[kept]
    return replace(result, boxes=result.boxes[kept], scores=result.scores[kept], overlaps=overlaps)


def is_ignored(box: NDArray[np.float64], ignored: NDArray[np.bool_]) -> bool:
    """Whether the centre of a box or much of its area lies where nothing counts."""
    x0, y0, x1, y1 = np.rint(box).astype(int).clip(0)
    centre = tuple(np.minimum(((box[1::2].sum() / 2, box[::2].sum() / 2)), np.array(ignored.shape) - 1).astype(int))
    part = ignored[y0:y1, x0:x1]
    return bool(ignored[centre]) or (part.size > 0 and float(part.mean()) > IGNORED_PART)


def operating_points(results: Mapping[Route, Sequence[ImageResult]]) -> dict[str, dict[str, float]]:
    """The lowest threshold of each route that keeps each operating point's FPPI."""
    curves = {route: Froc.of(found) for route, found in results.items()}
    return {
        name: {str(route): min(curve.threshold_at(fppi), 1.0) for route, curve in curves.items()}
        for name, fppi in OPERATING_FPPI.items()
    }


def recalls(
    exams: Sequence[CanonicalExam], read: Callable[[CanonicalExam], list[tuple[Tensor, Tensor]]]
) -> dict[str, float]:
    """Recall per view of what a network says about all views of exams."""
    return recall_figures(view_results(exams, read))


def view_results(
    exams: Iterable[CanonicalExam], read: Callable[[CanonicalExam], list[tuple[Tensor, Tensor]]]
) -> list[ImageResult]:
    """A network's boxes [N, 4] and scores [N] for each view that exams have, beside the truth."""
    return [
        image_result(exam, view, (boxes.cpu().double().numpy(), scores.cpu().double().numpy()))
        for exam in exams
        for view, (boxes, scores) in enumerate(read(exam))
        if exam.present[view]
    ]


def recall_figures(results: Sequence[ImageResult]) -> dict[str, float]:
    """Recall per view at half, one and two false positives per image."""
    half, one, two = Froc.of(results).recall_at([0.5, 1.0, 2.0])
    return {"recall_at_0.5": half, "recall_at_1": one, "recall_at_2": two}
