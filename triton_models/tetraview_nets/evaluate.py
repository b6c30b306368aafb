"""Detectors on phantom exams: every route, matched with the truth, and the operating points chosen from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview.domain.view import Route
from tetraview_nets import blob
from tetraview_nets.augment import plain
from tetraview_nets.cache import VIEWS, CanonicalExam
from tetraview_nets.data import companion
from tetraview_nets.metrics import Froc, ImageResult
from tetraview_nets.mommi import MommiNet, ViewInput, ViewOutput

Detections = tuple[NDArray[np.float64], NDArray[np.float64]]

#: False positives per image that each operating point may have on validation exams.
OPERATING_FPPI = MappingProxyType({"high_sensitivity": 2.0, "balanced": 1.0, "high_specificity": 0.5})


class Detector(Protocol):
    """What can be evaluated."""

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Boxes [N, 4] and scores [N] for each of the views, seeing only these views."""


class BlobDetector:
    """The floor; it looks at each view by itself, whatever the route."""

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Blobs of each view."""
        samples = [plain(exam, view) for view in views]
        return [blob.detect(sample.image, sample.breast, spacing_mm=sample.spacing_mm) for sample in samples]


class MommiDetector:
    """MommiNet-v2 as it is served."""

    def __init__(self, network: MommiNet) -> None:
        self.network = network
        self.device = next(network.parameters()).device

    @torch.no_grad()
    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Detections of each view."""
        outputs = self.network.read([view_input(exam, view, self.device) for view in views])
        return [_detections(output) for output in outputs]

    @torch.no_grad()
    def read_routes(self, exam: CanonicalExam, routes: Sequence[Route]) -> dict[Route, list[Detections]]:
        """Detections of all four views by each route, at the cost of one pass through the backbones."""
        look = self.network.look([view_input(exam, view, self.device) for view in range(len(VIEWS))])
        return {route: [_detections(out) for out in self.network.conclude(look, furthest=route)] for route in routes}


def _detections(output: ViewOutput) -> Detections:
    return output.boxes.cpu().double().numpy(), output.scores.cpu().double().numpy()


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
    """Read every view of all exams by one route, or by what is left of it where an exam lacks views.

    Args:
        detector: what reads.
        exams: the exams.
        route: how; a view whose companions are absent is read without them.
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


def read_routes(
    detector: MommiDetector,
    exams: Iterable[CanonicalExam],
    routes: Sequence[Route] = tuple(Route),
    *,
    done: Callable[[], None] = lambda: None,
) -> dict[Route, list[ImageResult]]:
    """What ``read_exams`` gives for several routes, views passing the backbones once for all of them."""
    results: dict[Route, list[ImageResult]] = {route: [] for route in routes}
    for exam in exams:
        for route, views in detector.read_routes(exam, routes).items():
            results[route] += [image_result(exam, view, found) for view, found in enumerate(views)]
        done()
    return results


def image_result(exam: CanonicalExam, view: int, found: Detections) -> ImageResult:
    """Detections of one view beside its truth."""
    masses = exam.masses(view)
    return ImageResult(
        patient=exam.seed,
        boxes=found[0],
        scores=found[1],
        truth=exam.boxes[masses].astype(np.float64),
        lesions=tuple(exam.labels[masses]),
    )


def operating_points(results: Mapping[Route, Sequence[ImageResult]]) -> dict[str, dict[str, float]]:
    """The lowest threshold of each route that keeps each operating point's FPPI."""
    curves = {route: Froc.of(found) for route, found in results.items()}
    return {
        name: {str(route): min(curve.threshold_at(fppi), 1.0) for route, curve in curves.items()}
        for name, fppi in OPERATING_FPPI.items()
    }
