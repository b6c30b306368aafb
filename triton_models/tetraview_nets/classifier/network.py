"""DenseNet-121 with two heads: malignant or not, and how suspicious (MommiNet-v2, malignancy stage).

The backbone is DenseNet-BC (Huang and others, CVPR 2017): bottlenecks of four times the growth, transitions that halve
channels and pixels. The classification head keeps the paper's softmax over two classes. Deviations: the stem reads one
grey channel and nothing is pretrained; the regression head ends in a sigmoid, as its target lies in [0, 1]. Training
reads true boxes, moved and scaled at random; the paper's reads true boxes and its detector's, of which those with an
IoU of at least 0.5 take the mass's label and all others are *not malignant*.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.classifier.presets import ClassifierPreset
from tetraview_nets.system import PatchReading

#: Channels inside a dense layer over its growth.
BOTTLENECK = 4
#: How much faster the loss weights are learnt than all else: an adaptive optimiser moves a parameter by about its rate
#: a step, and log variances that start at 0 have some units to go.
WEIGHTS_RATE = 10.0


class Grades(NamedTuple):
    """The network's answer about N patches."""

    #: float32 [N], softmax of the class *malignant*.
    malignancy: Tensor
    #: float32 [N], position on the BI-RADS line, in [0, 1].
    birads: Tensor


class DenseLayer(nn.Module):
    """Adds ``growth`` channels computed from all channels before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        inner = BOTTLENECK * growth
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(inner)
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.conv2 = nn.Conv2d(inner, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C + growth, H, W]."""
        new = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(new)))], dim=1)


def _stem(channels: int) -> nn.Sequential:
    """One grey channel to ``channels`` at a quarter of the side."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _transition(channels: int) -> nn.Sequential:
    """Half the channels, half the side."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels // 2, 1, bias=False),
        nn.AvgPool2d(2),
    )


class DenseNet(nn.Module):
    """The network, with the learnt weights of its two losses."""

    def __init__(self, preset: ClassifierPreset) -> None:
        super().__init__()
        self.preset = preset
        parts, channels = [_stem(preset.stem)], preset.stem
        for number, layers in enumerate(preset.blocks):
            if number:
                parts.append(_transition(channels))
                channels //= 2
            parts.append(
                nn.Sequential(*(DenseLayer(channels + i * preset.growth, preset.growth) for i in range(layers)))
            )
            channels += layers * preset.growth
        self.features = nn.Sequential(*parts, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.classes = nn.Linear(channels, 2)
        self.level = nn.Linear(channels, 1)
        self.uncertainty = nn.Parameter(torch.zeros(2))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    @property
    def log_variance(self) -> Tensor:
        """Log variances of classification and regression, float32 [2]."""
        return WEIGHTS_RATE * self.uncertainty

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Both heads.

        Args:
            patches: float32 [N, 1, S, S], intensity in [0, 1].

        Returns:
            Logits of *not malignant* and *malignant*, float32 [N, 2]; suspicion, float32 [N] in [0, 1].
        """
        # Intensities in [0, 1] would give the stem an input of one sign.
        pooled = self.features(2 * patches - 1).mean(dim=(2, 3))  # [N, C]
        return self.classes(pooled), self.level(pooled)[:, 0].sigmoid()

    @torch.no_grad()
    def grade(self, patches: Tensor) -> Grades:
        """Malignancy and suspicion of patches [N, S, S]."""
        logits, birads = self(patches[:, None])
        return Grades(malignancy=logits.softmax(dim=1)[:, 1], birads=birads)

    def read(self, patches: Tensor) -> PatchReading:
        """The same as every network on patches gives it."""
        grades = self.grade(patches)
        return PatchReading(malignancy=grades.malignancy, birads=grades.birads)
