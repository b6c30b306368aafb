"""The fusion network of MommiNet-v2: one map from the image, the ipsilateral boxes and the bilateral map.

MommiNet-v2 describes it in words: frozen features of the ipsilateral backbone, a first concatenation with the inputs,
a second one as in U-Net, convolutions, pooling and upsampling.

Deviations: the widths are ours; two constant planes say which branches are present, so that a blanked map is not
mistaken for a branch that found nothing; small presets read the P2 map instead of all branches of the backbone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.blocks.hrnet import Normalisation, conv, rare
from tetraview_nets.mommi.presets import MommiPreset

PLANES = 5
STRIDE = 4


def _double(inputs: int, outputs: int, *, norm: Normalisation) -> nn.Sequential:
    return nn.Sequential(conv(inputs, outputs, norm=norm), conv(outputs, outputs, norm=norm))


class FusionNet(nn.Module):
    """Mass logits from all evidence about one view."""

    def __init__(self, preset: MommiPreset) -> None:
        super().__init__()
        fine, middle, coarse = preset.fusion
        norm = preset.bilateral.normalisation
        inputs = preset.pyramid if preset.fusion_source == "p2" else preset.backbone.concatenated
        self.reduce = nn.Conv2d(inputs, fine, 1)
        self.encode = _double(fine + PLANES, fine, norm=norm)
        self.middle = _double(fine, middle, norm=norm)
        self.coarse = _double(middle, coarse, norm=norm)
        self.up_middle = _double(coarse + middle, middle, norm=norm)
        self.up_fine = _double(middle + fine, fine, norm=norm)
        self.logit = nn.Conv2d(fine, 1, 1)
        rare(self.logit)

    def forward(  # noqa: PLR0917  # a network's inputs, in the order of its figure
        self, p2: Tensor, image: Tensor, ipsi_map: Tensor, bi_map: Tensor, ipsi_present: Tensor, bi_present: Tensor
    ) -> Tensor:
        """Fuse the evidence.

        Args:
            p2: frozen features [B, C, H/4, W/4]; no gradient flows into them.
            image: [B, 1, H, W].
            ipsi_map: [B, 1, H, W], filled boxes of the ipsilateral network.
            bi_map: [B, 1, H, W], probabilities of the bilateral network.
            ipsi_present: bool [B]; where False the map is blanked.
            bi_present: bool [B]; where False the map is blanked.

        Returns:
            Mass logits [B, 1, H, W].
        """
        size = p2.shape[-2:]
        ipsi, bi = (flag.to(image.dtype)[:, None, None, None] for flag in (ipsi_present, bi_present))
        maps = functional.avg_pool2d(torch.cat([image, ipsi_map * ipsi, bi_map * bi], dim=1), STRIDE)
        planes = [flag.expand(-1, 1, *size) for flag in (ipsi, bi)]
        fine = self.encode(torch.cat([self.reduce(p2.detach()), maps, *planes], dim=1))
        middle = self.middle(functional.max_pool2d(fine, 2))
        coarse = self.coarse(functional.max_pool2d(middle, 2))
        middle = self.up_middle(torch.cat([_up(coarse), middle], dim=1))
        fine = self.up_fine(torch.cat([_up(middle), fine], dim=1))
        return _up(self.logit(fine), factor=STRIDE)


def _up(x: Tensor, *, factor: int = 2) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
