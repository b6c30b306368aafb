"""The detector's training task, and how the network is watched while it learns.

The paper trains on images with a mass; here most windows show one, but normal tissue is drawn too, as the product meets
it. A new input size is drawn every ten steps (multi-scale training).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tetraview.domain.view import Route
from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.data import Draw
from tetraview_nets.learning.evaluate import Detections, read_exams, recall_figures, view_input
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.yolo_msp.cells import flatten
from tetraview_nets.yolo_msp.loss import yolo_loss
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import YoloPreset
from tetraview_nets.yolo_msp.windows import WindowShape, draw_window

#: Steps at one input size.
STEPS_A_SIZE = 10


class YoloDetector:
    """The detector as it is served, on cached exams."""

    def __init__(self, network: YoloMsp) -> None:
        self.network = network
        self.device = next(network.parameters()).device

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """Detections of each view."""
        outputs = self.network.read([view_input(exam, view, self.device) for view in views])
        return [(out.boxes.double().numpy(), out.scores.double().numpy()) for out in outputs]


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Input of a training."""

    preset: YoloPreset
    #: Exams the network learns from.
    exams: Sequence[CanonicalExam]
    #: Exams it is watched on.
    watched: Sequence[CanonicalExam]
    schedule: Schedule
    device: torch.device
    #: How often each source of exams is drawn; None for all alike.
    shares: Mapping[str, float] | None = None
    #: Weights to begin with; None for new ones.
    init: Mapping[str, Tensor] | None = None


class YoloTask:
    """Find masses in single views; every batch follows from its step."""

    def __init__(self, given: Material) -> None:
        self.given = given
        self._detector = YoloMsp(given.preset).to(given.device)
        self._detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: nn.Module = self._detector.yolo
        if given.init is not None:
            self.network.load_state_dict(given.init)
        self._draw = Draw(given.exams, shares=given.shares)

    def losses(self, step: int) -> dict[str, Tensor]:
        """YOLOv3's loss of a step's batch at the step's size."""
        schedule, preset = self.given.schedule, self.given.preset
        generator, shape = np.random.default_rng([schedule.seed, step]), self.shape(step)
        windows = [draw_window(self._draw, generator, shape) for _ in range(schedule.batch)]
        images = torch.stack([window.image for window in windows])[:, None].to(self.given.device)
        raw = flatten(self.network(images.contiguous(memory_format=torch.channels_last)))
        truth, ignored = [window.boxes for window in windows], torch.stack([window.ignored for window in windows])
        return yolo_loss(raw, truth, anchors=preset.anchors, size=(shape.height, shape.width), ignored=ignored)

    def shape(self, step: int) -> WindowShape:
        """The windows of a step."""
        width, preset = self.size(step), self.given.preset
        height = width * preset.frame.height // preset.frame.width
        return WindowShape(
            height=min(height, preset.window),
            width=min(width, preset.window),
            factor=width / preset.frame.width,
        )

    def size(self, step: int) -> int:
        """The width that whole views would have at a step."""
        sizes = self.given.preset.training_sizes
        # Another stream than a step's, whose first number would otherwise decide the size as well.
        return sizes[np.random.default_rng([self.given.schedule.seed, 1, step // STEPS_A_SIZE]).integers(len(sizes))]

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall on watched exams."""
        assert network is self._detector.yolo
        self._detector.eval()
        return recall_figures(read_exams(YoloDetector(self._detector), self.given.watched, Route.TRI))
