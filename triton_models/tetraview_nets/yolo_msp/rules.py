"""Ways to turn findings at five sizes into detections: the paper's and those it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from tetraview_nets.boxes import nms
from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.learning.evaluate import Detections, image_result, view_input
from tetraview_nets.metrics import ImageResult
from tetraview_nets.yolo_msp.msp import Candidates, Raster, components
from tetraview_nets.yolo_msp.network import SUPPRESSED_IOU, YoloMsp


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """One view and the findings in it at all sizes."""

    exam: CanonicalExam
    #: Position in ``VIEWS``.
    view: int
    candidates: Candidates


class Rule(Protocol):
    """One way to turn findings into detections."""

    @property
    def name(self) -> str:
        """Name of its rows."""

    def __call__(self, candidates: Candidates) -> Detections:
        """Boxes [N, 4] and scores [N] of one view."""


@dataclass(frozen=True, kw_only=True)
class MultiScale:
    """Multi-scale prediction."""

    raster: Raster
    #: How many sizes were read.
    sizes: int
    #: λ.
    level: float
    #: Rank by M_s, which the paper's level is about, in place of the score that can be compared between images.
    relative: bool = False

    @property
    def name(self) -> str:
        """Name of its rows."""
        return f"λ={self.level:g}{' by M_s' if self.relative else ''}"

    def __call__(self, candidates: Candidates) -> Detections:
        """The components."""
        found = components(candidates, self.raster, sizes=self.sizes, level=self.level)
        boxes = np.array([each.box for each in found]).reshape(-1, 4)
        return boxes, np.array([each.relative if self.relative else each.score for each in found], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class OneSize:
    """Plain YOLOv3 at the reference size."""

    #: Counted from the smallest.
    size: int
    name: str = "one size"

    def __call__(self, candidates: Candidates) -> Detections:
        """The findings at that size."""
        own = candidates.of_size(self.size)
        return own.boxes.astype(np.float64), own.scores.astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class AllSizes:
    """Suppression over all sizes."""

    name: str = "all sizes suppressed"

    def __call__(self, candidates: Candidates) -> Detections:
        """The best boxes of any size."""
        boxes, scores = torch.from_numpy(candidates.boxes), torch.from_numpy(candidates.scores)
        kept = nms(boxes, scores, iou=SUPPRESSED_IOU)
        return boxes[kept].double().numpy(), scores[kept].double().numpy()


def multi_scale(network: YoloMsp, *, level: float, relative: bool = False) -> MultiScale:
    """Multi-scale prediction of a network at a level of one's own."""
    return MultiScale(raster=network.raster, sizes=len(network.preset.sizes), level=level, relative=relative)


def see(network: YoloMsp, exams: Iterable[CanonicalExam], *, done: Callable[[], None] = lambda: None) -> list[Seen]:
    """A network's findings at all sizes in every view of exams."""
    device = next(network.parameters()).device
    seen = []
    for exam in exams:
        shown = [view for view in range(len(VIEWS)) if exam.present[view]]
        images = torch.stack([view_input(exam, view, device).image for view in shown])[:, None]
        candidates, _ = network.look(images)
        seen += [Seen(exam=exam, view=view, candidates=each) for view, each in zip(shown, candidates, strict=True)]
        done()
    return seen


def detect(seen: Sequence[Seen], rule: Rule) -> list[ImageResult]:
    """Detections by a rule beside the truth."""
    return [image_result(each.exam, each.view, rule(each.candidates)) for each in seen]
