"""Sizes of MommiNet-v2: the paper's numbers and the smaller presets that a CPU can train and serve.

A preset is data; every preset builds from the same classes. The ablation fields default to the paper's design.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tetraview.domain.frame import Frame
from tetraview_nets.blocks.darknet import DarknetShape
from tetraview_nets.blocks.hrnet import HRNetShape
from tetraview_nets.blocks.nipple import BACKBONE as NIPPLE_BACKBONE

Geometry = Literal["nipple", "dummy_centre", "box_xywh", "none"]
FusionSource = Literal["p2", "concat"]


@dataclass(frozen=True, kw_only=True)
class MommiPreset:
    """Every size of MommiNet-v2 and its ablation switches."""

    name: str
    #: Canonical rows and columns; both multiples of 64, the coarsest stride.
    height: int
    width: int
    #: Finest canonical spacing, millimetres per pixel.
    spacing_mm: float
    #: Backbone of the ipsilateral network, and of the bilateral one unless that has its own.
    backbone: HRNetShape | DarknetShape
    #: Channels of the feature pyramid.
    pyramid: int
    #: Anchor side per pyramid level P2..P6, pixels.
    anchor_sides: tuple[int, int, int, int, int]
    #: RoI side that is pooled from level P4, pixels (224 in the pyramid paper).
    canonical_side: int
    #: Highest-scored anchors that enter the proposals' non-maximum suppression.
    ranked_anchors: int
    #: Proposals kept per view.
    proposals: int
    #: RoIs sampled per view in training.
    sampled_rois: int
    #: Width of the two fully connected layers.
    fc: int
    #: Relation heads; each has ``fc / heads`` dimensions.
    heads: int
    #: Channels of the fusion network at strides 4, 8 and 16.
    fusion: tuple[int, int, int]
    #: Backbone of the nipple network, which reads the image at half size.
    nipple_backbone: HRNetShape = NIPPLE_BACKBONE
    #: Backbone of the bilateral network, which joins two images within it; None for the ipsilateral network's.
    bi_backbone: HRNetShape | None = None
    #: The bilateral network reads images averaged over blocks of this many rows and columns.
    bi_reduction: int = 1
    #: Stage of the bilateral network after which both breasts are concatenated: 1, 2 or 3.
    concat_stage: Literal[1, 2, 3] = 3
    #: Relation blocks; without them the two RoI streams are concatenated after RoIAlign.
    relation: bool = True
    #: Geometry that the relation gate compares.
    geometry: Geometry = "nipple"
    #: A learnt key and value to attend to when no counterpart exists (not in the paper).
    null_token: bool = True
    #: Frozen features the fusion network reads: the P2 map, or all branches of the backbone.
    fusion_source: FusionSource = "p2"

    @property
    def frame(self) -> Frame:
        """The canonical pixel matrix that these networks read."""
        return Frame(height=self.height, width=self.width, spacing_mm=self.spacing_mm)

    @property
    def bilateral(self) -> HRNetShape:
        """The backbone of the bilateral network.

        Raises:
            TypeError: the preset names no high-resolution network for it.
        """
        shape = self.bi_backbone or self.backbone
        if not isinstance(shape, HRNetShape):
            raise TypeError(f"preset {self.name}: two images are joined in a high-resolution network only")
        return shape


def _slim_backbone(width: int) -> HRNetShape:
    """The shallow network of the CPU presets; groups, because two pairs are a batch there."""
    return HRNetShape(
        width=width, stem=2 * width, planes=width, bottlenecks=2, modules=(1, 1, 1), blocks=2, normalisation="group"
    )


def _full_backbone(width: int) -> HRNetShape:
    """The published depth: stem 64, four bottlenecks, 1-4-3 modules of four blocks."""
    return HRNetShape(
        width=width, stem=64, planes=64, bottlenecks=4, modules=(1, 4, 3), blocks=4, normalisation="batch"
    )


TINY = MommiPreset(
    name="tiny",
    height=256,
    width=128,
    spacing_mm=0.9,
    backbone=_slim_backbone(8),
    pyramid=32,
    anchor_sides=(4, 8, 16, 32, 64),
    canonical_side=28,
    ranked_anchors=256,
    proposals=32,
    sampled_rois=32,
    fc=64,
    heads=4,
    fusion=(8, 16, 32),
)

# 512x256 at 0.45 mm in place of 768x384 at 0.30 mm: every training must fit some hours of two shared CPU cores.
# The smallest mass of INbreast (4.4 mm) is then 10 pixels instead of 15.
SLIM = MommiPreset(
    name="slim",
    height=512,
    width=256,
    spacing_mm=0.45,
    backbone=_slim_backbone(16),
    pyramid=64,
    anchor_sides=(8, 16, 32, 64, 128),
    canonical_side=56,
    ranked_anchors=512,
    proposals=64,
    sampled_rois=64,
    fc=256,
    heads=8,
    fusion=(24, 48, 96),
    # Learning to compare needs tens of thousands of pairs; a pair costs a twentieth of one at full size.
    bi_backbone=HRNetShape(
        width=16, stem=16, planes=8, bottlenecks=1, modules=(1, 1, 1), blocks=1, normalisation="group"
    ),
    bi_reduction=4,
)

# HRNet's place is taken by the backbone of ``yolo_msp``'s preset ``fine``: it makes three steps in the time of one, and
# training can begin with what that detector has learnt from real mammograms.
LIGHT = replace(SLIM, name="light", backbone=DarknetShape(width=8, blocks=(1, 1, 2, 2, 1)), pyramid=48)

MEDIUM = MommiPreset(
    name="medium",
    height=768,
    width=384,
    spacing_mm=0.30,
    backbone=_full_backbone(18),
    pyramid=128,
    anchor_sides=(12, 24, 48, 96, 192),
    canonical_side=84,
    ranked_anchors=1000,
    proposals=128,
    sampled_rois=128,
    fc=512,
    heads=8,
    fusion=(32, 64, 128),
)

# The paper fits images into 3000x1500; both sides are padded to multiples of 64. No null token: it is ours.
PAPER = MommiPreset(
    name="paper",
    height=3008,
    width=1536,
    spacing_mm=0.07,
    backbone=_full_backbone(48),
    pyramid=256,
    anchor_sides=(32, 64, 128, 256, 512),
    canonical_side=224,
    ranked_anchors=1000,
    proposals=300,
    sampled_rois=512,
    fc=1024,
    heads=16,
    fusion=(64, 128, 256),
    null_token=False,
    fusion_source="concat",
)

PRESETS: dict[str, MommiPreset] = {preset.name: preset for preset in (TINY, SLIM, LIGHT, MEDIUM, PAPER)}
