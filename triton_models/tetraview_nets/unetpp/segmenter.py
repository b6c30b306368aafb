"""What is trained, stored and served: a network of either architecture behind one equalisation and one threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from tetraview_nets.equalise import equalised
from tetraview_nets.losses import dice
from tetraview_nets.system import PatchReading
from tetraview_nets.unetpp.presets import Architecture, SegmenterPreset
from tetraview_nets.unetpp.unet import UNet
from tetraview_nets.unetpp.unetpp import UNetPlusPlus

#: A pixel of at least this probability is part of the mass (the paper's).
THRESHOLD = 0.5

NETWORKS: Mapping[Architecture, Callable[[SegmenterPreset], nn.Module]] = MappingProxyType(
    {Architecture.UNETPP: UNetPlusPlus, Architecture.UNET: UNet}
)


class Segmenter(nn.Module):
    """Outlines the mass of every patch."""

    def __init__(self, preset: SegmenterPreset) -> None:
        super().__init__()
        self.preset = preset
        self.network = NETWORKS[preset.architecture](preset)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                # The default start shrinks the signal of so many layers without normalisation to nothing.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # A CPU takes two thirds of the time with channels beside each other.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, equalised_patches: Tensor) -> Tensor:
        """[N, 1, H, W] to the logits of all heads, the answer last: [N, heads, H, W]."""
        logits: Tensor = self.network(equalised_patches)
        return logits

    def loss(self, patches: Tensor, masks: Tensor) -> Tensor:
        """The mean Dice loss of all heads.

        Args:
            patches: float32 [N, H, W] in [0, 1].
            masks: bool [N, H, W].
        """
        probability = self(equalised(patches)[:, None]).sigmoid()  # [N, heads, H, W]
        return dice(probability.flatten(0, 1), masks[:, None].expand_as(probability).flatten(0, 1))

    @torch.no_grad()
    def read(self, patches: Tensor) -> PatchReading:
        """Outline patches [N, H, W] in [0, 1]."""
        logits = self(equalised(patches)[:, None])[:, -1]
        return PatchReading(
            probability=logits.sigmoid(), threshold=torch.full((len(patches),), THRESHOLD, device=patches.device)
        )
