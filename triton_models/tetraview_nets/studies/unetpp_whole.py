"""Training on whole views: the one-stage system that two stages are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.learning.data import Draw, reduced
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.metrics import Confusion
from tetraview_nets.studies.unetpp_views import in_one_stage, mass_mask
from tetraview_nets.unetpp.network import Segmenter
from tetraview_nets.unetpp.presets import SegmenterPreset


class WholeViewTask:
    """Outline all masses of a view at once; views without any are drawn too, less often than they occur."""

    def __init__(
        self,
        preset: SegmenterPreset,
        schedule: Schedule,
        *,
        exams: Sequence[CanonicalExam],
        watched: Sequence[CanonicalExam],
        factor: int,
    ) -> None:
        self._net = Segmenter(preset)
        self.network: nn.Module = self._net
        self._schedule, self._factor, self._watched = schedule, factor, watched
        self._draw = Draw([reduced(exam, factor) for exam in exams])

    def losses(self, step: int) -> dict[str, Tensor]:
        """The Dice loss of a step's batch, mean of all heads."""
        generator = np.random.default_rng([self._schedule.seed, step])
        samples = [self._draw.sample(generator) for _ in range(self._schedule.batch)]
        images, masks = (np.stack([getattr(sample, name) for sample in samples]) for name in ("image", "mass"))
        return {"dice": self._net.loss(torch.from_numpy(images), torch.from_numpy(masks))}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean Dice of the watched views that show a mass."""
        assert isinstance(network, Segmenter)
        dice = [
            Confusion.of(in_one_stage(network, exam, view, factor=self._factor), mass_mask(exam, view)).dice
            for exam in self._watched
            for view in range(len(VIEWS))
            if len(exam.masses(view))
        ]
        return {"dice": float(np.mean(dice))}
