"""Conditional Residual U-Net: a seven-layer U-Net with a shortcut around each layer, then a random field (CRU-Net).

After Li, Chen, Nailon, Davies and Laurenson, "Improved breast mass segmentation in mammograms with conditional residual
U-Net" (RAMBO 2018). Layers have 16, 32, 64, 128, 64, 32 and 16 channels at 40, 20, 10, 5, 10, 20 and 40 pixels; layers
1 and 7, 2 and 6, 3 and 5 are joined. A shortcut is a 1 x 1 convolution on the way down and an up-convolution of 2 x 2
on the way up.

Deviations and what the paper leaves open: a layer is two convolutions with a ReLU between them, nothing is normalised;
the main path rises by an up-convolution of its own; the input is centred; patches are squares of tissue with a margin,
not boxes stretched to a square; the random field is that of ``crf``; its loss is the cross-entropy of what it believes,
as the printed one is no likelihood.

The network in short: ``CruNet(preset)(patches [N, 1, S, S])`` gives unary logits [N, 2, S, S], *background* and *mass*;
``refined(unary, grey)`` passes them through the random field; ``segment(patches [N, S, S])`` gives soft masks
[N, S, S] in one step, with gradients; ``read`` does so without. In training mode the random field makes 5 passes, in
evaluation mode 10.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.crunet.crf import READING_PASSES, TRAINING_PASSES, ExactMeanField, MeanField, WindowedMeanField
from tetraview_nets.crunet.presets import CruPreset
from tetraview_nets.system import PatchReading

#: Belief from which a pixel belongs to the mass.
THRESHOLD = 0.5


def _body(channels: int, out: int, kernel: int) -> nn.Sequential:
    """[N, C, h, w] to [N, out, h, w]."""
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, padding=kernel // 2),
        nn.ReLU(),
        nn.Conv2d(out, out, kernel, padding=kernel // 2),
    )


class Down(nn.Module):
    """A layer on the way down."""

    def __init__(self, channels: int, out: int, *, kernel: int, residual: bool) -> None:
        super().__init__()
        self.body = _body(channels, out, kernel)
        self.shortcut = nn.Conv2d(channels, out, 1) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w], pooled already, to [N, out, h, w]."""
        new = self.body(x)
        return functional.relu(new if self.shortcut is None else new + self.shortcut(x))


class Up(nn.Module):
    """A layer on the way up, which also reads the layer of its own size on the way down."""

    def __init__(self, channels: int, out: int, *, kernel: int, residual: bool) -> None:
        super().__init__()
        self.rise = nn.ConvTranspose2d(channels, out, 2, stride=2)
        self.body = _body(2 * out, out, kernel)
        self.shortcut = nn.ConvTranspose2d(channels, out, 2, stride=2) if residual else None

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        """[N, C, h, w] and [N, out, 2h, 2w] to [N, out, 2h, 2w]."""
        new = self.body(torch.cat([self.rise(below), beside], dim=1))
        return functional.relu(new if self.shortcut is None else new + self.shortcut(below))


class CruNet(nn.Module):
    """The network with its random field."""

    def __init__(self, preset: CruPreset) -> None:
        super().__init__()
        self.preset = preset
        kernel, residual = preset.kernel, preset.residual
        falling = pairwise((1, *preset.channels))
        self.downs = nn.ModuleList(Down(a, b, kernel=kernel, residual=residual) for a, b in falling)
        rising = pairwise(preset.channels[::-1])
        self.ups = nn.ModuleList(Up(a, b, kernel=kernel, residual=residual) for a, b in rising)
        self.dropout = nn.Dropout(preset.dropout)
        self.classes = nn.Conv2d(preset.channels[0], 2, 1)
        self.crf = _crf(preset)
        self.apply(_initialised)

    def forward(self, patches: Tensor) -> Tensor:
        """The network's answer before the random field lets pixels influence each other.

        Args:
            patches: float32 [N, 1, S, S], intensity in [0, 1].

        Returns:
            Logits of *background* and *mass*, float32 [N, 2, S, S].
        """
        x = 2 * patches - 1
        passed: list[Tensor] = []
        for number, down in enumerate(self.downs):
            pooled = functional.max_pool2d(x, 2) if number else x
            last = number == len(self.downs) - 1
            x = down(self.dropout(pooled) if last else pooled)
            passed.append(x)
        for up, beside in zip(self.ups, passed[-2::-1], strict=True):
            x = up(self.dropout(x), beside)
        return self.classes(x)  # type: ignore[no-any-return]

    def refined(self, unary: Tensor, grey: Tensor) -> Tensor:
        """Log odds of *mass* after the random field, or those of the network where there is none.

        Args:
            unary: float32 [N, 2, S, S], from ``forward``.
            grey: float32 [N, S, S], the patches.

        Returns:
            float32 [N, S, S].
        """
        odds = unary[:, 1] - unary[:, 0]
        if self.crf is None:
            return odds
        passes = TRAINING_PASSES if self.training else READING_PASSES
        return self.crf(odds, grey, passes=passes)  # type: ignore[no-any-return]

    def segment(self, patches: Tensor) -> Tensor:
        """Soft masks: how far each pixel belongs to a mass, in [0, 1].

        Args:
            patches: float32 [N, S, S], intensity in [0, 1].

        Returns:
            float32 [N, S, S], with gradients.
        """
        return self.refined(self(patches[:, None]), patches).sigmoid()

    @torch.no_grad()
    def read(self, patches: Tensor) -> PatchReading:
        """Soft masks of patches [N, S, S], and where to cut them."""
        threshold = torch.full((len(patches),), THRESHOLD, device=patches.device)
        return PatchReading(probability=self.segment(patches), threshold=threshold)


@torch.no_grad()
def _initialised(module: nn.Module) -> None:
    """He's initialisation; without normalisation, a layer and its shortcut share the variance that one would have."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight)
    if isinstance(module, Down | Up) and module.shortcut is not None:
        for last in (*module.body[-1].parameters(), *module.shortcut.parameters()):
            last.mul_(0.5**0.5)


def _crf(preset: CruPreset) -> MeanField | None:
    if preset.crf_share == 0:
        return None
    return WindowedMeanField(window=preset.window) if preset.window else ExactMeanField(preset.size)


def loss_terms(unary: Tensor, refined: Tensor, masks: Tensor, *, crf_share: float) -> dict[str, Tensor]:
    """``(1 - λ) f + λ g``: cross-entropy of the network and of its random field, mean over pixels.

    Args:
        unary: float32 [B, 2, S, S], from ``forward``.
        refined: float32 [B, S, S], from ``refined``.
        masks: bool [B, S, S].
        crf_share: λ; terms of no weight are left out.
    """
    terms = {}
    if crf_share < 1:
        terms["network"] = (1 - crf_share) * functional.cross_entropy(unary, masks.long())
    if crf_share > 0:
        terms["field"] = crf_share * functional.binary_cross_entropy_with_logits(refined, masks.to(refined.dtype))
    return terms
