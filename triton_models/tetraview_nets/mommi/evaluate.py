"""MommiNet-v2 as a detector that can be evaluated, by one route or by all at the cost of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from tetraview.domain.view import Route
from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.evaluate import Detections, image_result, view_input
from tetraview_nets.metrics import ImageResult
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.system import ViewOutput


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
        """Detections of the views that an exam has by each route, at the cost of one pass through the backbones."""
        look = self.network.look([view_input(exam, view, self.device) for view in _shown(exam)])
        return {route: [_detections(out) for out in self.network.conclude(look, furthest=route)] for route in routes}


def _shown(exam: CanonicalExam) -> list[int]:
    """The views that an exam has."""
    return [int(view) for view in np.flatnonzero(exam.present)]


def _detections(output: ViewOutput) -> Detections:
    return output.boxes.cpu().double().numpy(), output.scores.cpu().double().numpy()


def read_routes(
    detector: MommiDetector,
    exams: Iterable[CanonicalExam],
    routes: Sequence[Route] = tuple(Route),
    *,
    done: Callable[[], None] = lambda: None,
) -> dict[Route, list[ImageResult]]:
    """The results of ``read_exams`` for several routes; views pass the backbones once for all of them."""
    results: dict[Route, list[ImageResult]] = {route: [] for route in routes}
    for exam in exams:
        for route, views in detector.read_routes(exam, routes).items():
            results[route] += [image_result(exam, *pair) for pair in zip(_shown(exam), views, strict=True)]
        done()
    return results
