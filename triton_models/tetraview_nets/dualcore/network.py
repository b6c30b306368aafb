"""Malignancy and outline of a mass by two paths: what surrounds it and how it is shaped (DualCoreNet).

After Li, Chen, Nailon, Davies and Laurenson, "A Deep Dual-path Network for Improved Mammogram Image Processing" (IEEE
ICASSP 2019). The locality preserving learner (LPL) reads the context square, 1.6 times the box, as Xception's entry and
middle flow do. The conditional graph learner (CGL) outlines
the mass in the tight square with a CRU-Net and reads the soft mask with separable convolutions of 7 x 7. One layer
turns the features of both into two classes.

Deviations and what the paper leaves open: Xception's first convolution keeps the side, as only then the middle flow has
the 28 x 28 pixels that the paper names; there is no exit flow, which it does not name; nothing is pretrained and the
input has one channel; each context patch is standardised, without which a short training learns nothing (area under the
ROC curve .51 in place of .63 on 452 validation masses after 500 steps of the small preset); the tight square is the
middle of the context patch, resampled inside the network; shortcuts are normalised; each path has its own features
layer with ReLU and dropout.

The network in short: ``DualCoreNet(preset)(patches [N, 1, S, S])`` gives a ``DualOutput``: class logits, and the tight
square's segmentation before and after the random field; ``read(patches [N, S, S])`` gives masks and malignancy.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.crunet.network import CruNet
from tetraview_nets.dualcore.presets import DualPreset
from tetraview_nets.dualcore.separable import stack
from tetraview_nets.dualcore.tight import TightSquare
from tetraview_nets.system import PatchReading

#: Belief from which a pixel belongs to the mass.
THRESHOLD = 0.5
#: Added to a patch's deviation, in intensity: less is noise, which should not fill the range.
LEAST_DEVIATION = 0.02


class Path(NamedTuple):
    """Output of one path for N patches."""

    #: float32 [N, F].
    features: Tensor
    #: float32 [N, 2, R, R], logits of *background* and *mass* in the tight square; None where a path outlines nothing.
    unary: Tensor | None = None
    #: float32 [N, R, R], log odds of *mass* after the random field.
    refined: Tensor | None = None


class DualOutput(NamedTuple):
    """Output of a network with one or both paths for N patches."""

    #: float32 [N, 2], logits of *not malignant* and *malignant*.
    logits: Tensor
    #: As in ``Path``.
    unary: Tensor | None
    #: As in ``Path``.
    refined: Tensor | None


def _standardised(patches: Tensor) -> Tensor:
    """Each patch [N, 1, S, S] with mean 0 and deviation about 1, whatever its breast's density."""
    centred = patches - patches.mean(dim=(2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(2, 3), keepdim=True).sqrt() + LEAST_DEVIATION)


def _features(channels: int, preset: DualPreset) -> nn.Sequential:
    """The mean over pixels as features: [N, C, h, w] to [N, F]."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, preset.features),
        nn.ReLU(),
        nn.Dropout(preset.dropout),
    )


class LocalityPreservingLearner(nn.Module):
    """Reads the tissue of the context patch in full detail."""

    def __init__(self, preset: DualPreset) -> None:
        super().__init__()
        first, second = preset.stem
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 3, stride=preset.stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, padding=1, bias=False),
            nn.BatchNorm2d(second),
        )
        self.stack = stack(second, preset.local_entry, preset.local_middle, kernel=3)
        self.features = _features(preset.local_entry[-1], preset)

    def forward(self, patches: Tensor) -> Path:
        """Features of context patches [N, 1, S, S]."""
        return Path(features=self.features(self.stack(self.stem(_standardised(patches)))))


class ConditionalGraphLearner(nn.Module):
    """Outlines the mass in the tight square and reads its soft mask alone."""

    def __init__(self, preset: DualPreset) -> None:
        super().__init__()
        self.mask_size = preset.mask_size
        self.tight = TightSquare.of(preset)
        self.segmenter = CruNet(preset.segmenter)
        self.stack = stack(1, preset.graph_entry, preset.graph_middle, kernel=7)
        self.features = _features(preset.graph_entry[-1], preset)

    def forward(self, patches: Tensor) -> Path:
        """Features and segmentation of context patches [N, 1, S, S]."""
        squares = self.tight.cut(patches[:, 0])  # [N, R, R]
        unary = self.segmenter(squares[:, None])  # [N, 2, R, R]
        refined = self.segmenter.refined(unary, squares)
        size = (self.mask_size, self.mask_size)
        mask = functional.interpolate(refined.sigmoid()[:, None], size, mode="bilinear", align_corners=False)
        return Path(features=self.features(self.stack(mask)), unary=unary, refined=refined)


class SinglePath(nn.Module):
    """One path with a head of its own: how the paths are trained before they are joined."""

    def __init__(self, path: LocalityPreservingLearner | ConditionalGraphLearner, preset: DualPreset) -> None:
        super().__init__()
        self.path, self.head = path, nn.Linear(preset.features, 2)

    def forward(self, patches: Tensor) -> DualOutput:
        """Output of the path alone for context patches [N, 1, S, S]."""
        found = self.path(patches)
        return DualOutput(logits=self.head(found.features), unary=found.unary, refined=found.refined)


class DualCoreNet(nn.Module):
    """Both paths and the layer that joins them."""

    def __init__(self, preset: DualPreset) -> None:
        super().__init__()
        self.preset = preset
        self.lpl = LocalityPreservingLearner(preset)
        self.cgl = ConditionalGraphLearner(preset)
        self.head = nn.Linear(2 * preset.features, 2)

    @classmethod
    def of_paths(cls, local: SinglePath, graph: SinglePath, preset: DualPreset) -> DualCoreNet:
        """A network that starts as the mean of what two trained paths say."""
        network = cls(preset)
        network.lpl.load_state_dict(local.path.state_dict())
        network.cgl.load_state_dict(graph.path.state_dict())
        with torch.no_grad():
            network.head.weight.copy_(torch.cat([local.head.weight, graph.head.weight], dim=1) / 2)
            network.head.bias.copy_((local.head.bias + graph.head.bias) / 2)
        return network

    def forward(self, patches: Tensor) -> DualOutput:
        """Classes and segmentation.

        Args:
            patches: float32 [N, 1, S, S], intensity in [0, 1].
        """
        local, graph = self.lpl(patches), self.cgl(patches)
        logits = self.head(torch.cat([local.features, graph.features], dim=1))
        return DualOutput(logits=logits, unary=graph.unary, refined=graph.refined)

    @torch.no_grad()
    def read(self, patches: Tensor) -> PatchReading:
        """Soft masks on whole patches [N, S, S], 0 outside the tight square, and malignancy, in one pass."""
        found = self(patches[:, None])
        return PatchReading(
            probability=self.cgl.tight.place(found.refined.sigmoid()),
            threshold=torch.full((len(patches),), THRESHOLD, device=patches.device),
            malignancy=found.logits.softmax(dim=1)[:, 1],
        )
