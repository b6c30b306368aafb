"""The plain network's training task: windows of augmented views, a bell on every mass, and its box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview.domain.view import Route
from tetraview_nets.blocks.resnet import STRIDE
from tetraview_nets.learning.augment import ViewSample, window_of
from tetraview_nets.learning.data import Draw
from tetraview_nets.learning.evaluate import read_exams, recall_figures
from tetraview_nets.learning.material import ExamMaterial
from tetraview_nets.losses import diou
from tetraview_nets.plain.network import PlainDetector, PlainNet, centres
from tetraview_nets.plain.presets import PlainPreset

#: Standard deviation of the bell on a mass as a part of its box's sides, and its least, cells.
SPREAD, LEAST_SPREAD = 1 / 6, 0.7
#: Cells whose bell is at least this high learn the box.
BOXED = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """Wanted output for one window."""

    #: float32 [h, w], 1 on the centres of masses.
    bell: Tensor
    #: float32 [h, w, 4], the box of the mass whose bell is highest there.
    boxes: Tensor
    #: bool [h, w], where nothing is learnt.
    ignored: Tensor


def target_of(sample: ViewSample) -> Target:
    """The targets of a window whose sides are multiples of the stride."""
    rows, columns = (side // STRIDE for side in sample.image.shape)
    cells, boxes = centres(rows, columns, torch.device("cpu")), torch.from_numpy(sample.boxes)
    ignored = np.zeros((rows, columns), bool) if sample.ignored is None else _cells(sample.ignored)
    if not len(boxes):
        empty = torch.zeros(rows, columns)
        return Target(bell=empty, boxes=empty[..., None].expand(-1, -1, 4), ignored=torch.from_numpy(ignored))
    # The nearest cell is the centre, so that every mass has one where the bell is 1.
    middle = (torch.floor((boxes[:, :2] + boxes[:, 2:]) / 2 / STRIDE) + 0.5) * STRIDE
    sigma = ((boxes[:, 2:] - boxes[:, :2]) * SPREAD).clamp_min(LEAST_SPREAD * STRIDE)
    bells = torch.exp(-((cells[None] - middle[:, None, None]) / sigma[:, None, None]).square().sum(dim=-1) / 2)
    bell, owner = bells.max(dim=0)
    return Target(bell=bell, boxes=boxes[owner], ignored=torch.from_numpy(ignored) & (bell < BOXED))


def _cells(plane: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The cells any of whose pixels are set."""
    rows, columns = (side // STRIDE for side in plane.shape)
    return np.asarray(plane.reshape(rows, STRIDE, columns, STRIDE).any(axis=(1, 3)))


def heat_loss(logits: Tensor, bell: Tensor, ignored: Tensor) -> Tensor:
    """Quality focal loss (Li and others, NeurIPS 2020, eq. 5, beta 2) summed over cells, per mass: all [B, h, w]."""
    each = functional.binary_cross_entropy_with_logits(logits, bell, reduction="none")
    weighed = (torch.sigmoid(logits) - bell).square() * each
    return torch.where(ignored, 0.0, weighed).sum() / (bell == 1).sum().clamp_min(1)


def box_loss(boxes: Tensor, truth: Tensor, bell: Tensor) -> Tensor:
    """Distance-IoU loss of the cells near centres, weighed by the bell: boxes [B, h, w, 4], bell [B, h, w]."""
    near = bell >= BOXED
    weight = bell[near]
    return (diou(boxes[near], truth[near]) * weight).sum() / weight.sum().clamp_min(1)


class PlainTask:
    """Find masses in single views; every batch follows from its step."""

    def __init__(self, preset: PlainPreset, material: ExamMaterial, device: torch.device) -> None:
        self.preset, self.device = preset, device
        self._net = PlainNet(preset).to(device)
        self.network: nn.Module = self._net
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._draw = Draw(material.train, shares=material.shares)
        self._watched = material.validation[: preset.watched_exams]

    def losses(self, step: int) -> dict[str, Tensor]:
        """The terms of a step's batch."""
        schedule = self.preset.schedule
        generator = np.random.default_rng([schedule.seed, step])
        views = [self._draw.sample(generator) for _ in range(schedule.batch)]
        windows = [window_of(view, self.preset.window, generator) for view in views]
        images = torch.stack([torch.from_numpy(np.ascontiguousarray(window.image)) for window in windows])
        targets = [target_of(window) for window in windows]
        bell, truth, ignored = (
            torch.stack([getattr(target, name) for target in targets]).to(self.device)
            for name in ("bell", "boxes", "ignored")
        )
        logits, boxes = self._net(images[:, None].to(self.device))
        return {"heat": heat_loss(logits, bell, ignored), "box": box_loss(boxes, truth, bell)}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Recall on watched exams."""
        assert isinstance(network, PlainNet)
        return recall_figures(read_exams(PlainDetector(network), self._watched, Route.SINGLE))
