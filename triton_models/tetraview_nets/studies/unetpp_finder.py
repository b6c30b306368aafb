"""The boxes of YOLOv3 that two-stage systems cut their crops from, without and with multi-scale prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tetraview.domain.geometry import Box
from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.studies.unetpp_stages import Boxes, Group
from tetraview_nets.yolo_msp.msp import Candidates, Component, components
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import YoloPreset


class YoloFinder:
    """Reads every view once at all sizes and joins what it found in three ways."""

    def __init__(self, detector: YoloMsp) -> None:
        self.detector = detector

    def __call__(self, exam: CanonicalExam) -> Boxes:
        """The boxes of every view of an exam in canonical pixels, by group.

        At one size, the reference, they are what suppression left of it; above λ, those of components at this size
        alone; with multi-scale prediction, those of components at all sizes.
        """
        images = torch.from_numpy(exam.images.astype(np.float32) / 255)[:, None]
        candidates, _ = self.detector.look(images)
        preset = self.detector.preset
        single = [found.of_size(preset.sizes.index(preset.reference)) for found in candidates]
        return {
            Group.TWO: [[Box(*map(float, box)) for box in found.boxes] for found in single],
            Group.LEVEL: [self._joined(found, sizes=1) for found in single],
            Group.MSP: [self._joined(found, sizes=len(preset.sizes)) for found in candidates],
        }

    def _joined(self, found: Candidates, *, sizes: int) -> list[Box]:
        detector = self.detector
        return _boxes(components(found, detector.raster, sizes=sizes, level=detector.preset.level))


def _boxes(found: Sequence[Component]) -> list[Box]:
    return [Box(*each.box) for each in found]


def pixels_learnt(preset: YoloPreset, schedule: Schedule) -> int:
    """Pixels of all windows that a training of the detector sees, its sizes drawn equally often."""
    rows_of_one = preset.frame.height / preset.frame.width
    windows = [min(preset.window, width) * min(preset.window, width * rows_of_one) for width in preset.training_sizes]
    return round(sum(windows) / len(windows) * schedule.batch * schedule.steps)
