"""Sizes of YOLOv3 with multi-scale prediction: the paper's and those that a CPU can train and serve."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.frame import Frame
from tetraview_nets.blocks.darknet import DarknetShape
from tetraview_nets.blocks.hrnet import HRNetShape
from tetraview_nets.blocks.nipple import BACKBONE as NIPPLE_BACKBONE

Sides = tuple[tuple[float, float], ...]

#: Sides of masses, width and height in millimetres, small to large: ``k_means`` with nine centres on the masses of
#: 2,500 training phantoms; the best of them overlaps a mass by 0.88 on average. Command: ``yolo_msp anchors``.
ANCHORS_MM: Sides = (
    (8.1, 8.0),
    (11.1, 11.1),
    (13.6, 13.6),
    (16.5, 16.4),
    (19.6, 19.6),
    (23.7, 23.7),
    (28.4, 28.6),
    (35.7, 35.7),
    (46.1, 46.4),
)
#: The same on the 1,429 masses of the training images of CBIS-DDSM and CDD-CESM: the best overlaps one by 0.82.
REAL_ANCHORS_MM: Sides = (
    (6.3, 6.5),
    (10.2, 9.7),
    (8.2, 18.3),
    (13.1, 13.1),
    (16.7, 16.1),
    (20.2, 21.9),
    (27.8, 25.9),
    (38.0, 37.5),
    (56.4, 54.0),
)
#: The coarsest stride; every input is a multiple of it.
STRIDE = 32


@dataclass(frozen=True, kw_only=True)
class YoloPreset:
    """Every size of the detector."""

    name: str
    #: Canonical pixels that views come in.
    frame: Frame
    backbone: DarknetShape
    #: Widths of the inputs of multi-scale prediction, pixels; heights are twice as much.
    sizes: tuple[int, ...]
    #: Width of the input in whose pixels anchors are fixed; plain YOLOv3 reads at this size.
    reference: int
    #: Training reads windows of this many rows and columns, or whole views where they are smaller.
    window: int
    #: A component of the multi-scale map is where it reaches this; 0 stands for above 0.
    level: float
    #: Detections of one size below this say nothing.
    min_score: float
    #: MommiNet-v2's preset whose nipple network comes along.
    mommi: str
    #: Backbone of that network.
    nipple_backbone: HRNetShape = NIPPLE_BACKBONE
    #: Typical sides of masses, width and height in millimetres, nine from small to large.
    anchors_mm: Sides = ANCHORS_MM

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """Widths and heights in pixels of the reference input, the same at every input size."""
        pixel_mm = self.frame.spacing_mm * self.frame.width / self.reference
        return tuple((w / pixel_mm, h / pixel_mm) for w, h in self.anchors_mm)

    @property
    def training_sizes(self) -> range:
        """Widths drawn in multi-scale training: all multiples of 32 between the smallest and the largest size."""
        return range(min(self.sizes), max(self.sizes) + 1, STRIDE)


SLIM_BLOCKS = (1, 1, 2, 2, 1)

# The paper resizes images of 2048x1024 pixels; nothing finer than the largest of its five inputs is ever read.
PAPER = YoloPreset(
    name="paper",
    frame=Frame(height=960, width=480, spacing_mm=0.25),
    backbone=DarknetShape(width=32, blocks=(1, 2, 8, 8, 4)),
    sizes=(160, 256, 320, 416, 480),
    reference=320,
    window=960,
    level=0.6,
    min_score=0.1,
    mommi="paper",
)

# Every input is 0.4 times as wide as the paper's, so that training takes minutes of one core; a mass of 20 mm is 22
# pixels wide at the reference size. After so short a training scores are low and sizes agree less: level and lowest
# score are those that did best on 40 validation exams, in place of the paper's 0.6 and of 0.1.
SLIM = YoloPreset(
    name="slim",
    frame=Frame(height=512, width=256, spacing_mm=0.45),
    backbone=DarknetShape(width=8, blocks=SLIM_BLOCKS),
    sizes=(64, 96, 128, 160, 192),
    reference=128,
    window=128,
    level=0.3,
    min_score=0.03,
    mommi="slim",
)

# For real mammograms, whose masses are smaller than phantoms' and lie among more that looks like them: slim's network
# on finer inputs, up to the frame's own pixels of .45 mm.
FINE = YoloPreset(
    name="fine",
    frame=Frame(height=512, width=256, spacing_mm=0.45),
    backbone=DarknetShape(width=8, blocks=SLIM_BLOCKS),
    sizes=(128, 160, 192, 224, 256),
    reference=192,
    window=192,
    level=0.3,
    min_score=0.02,
    mommi="slim",
    anchors_mm=REAL_ANCHORS_MM,
)

TINY = YoloPreset(
    name="tiny",
    frame=Frame(height=256, width=128, spacing_mm=0.9),
    backbone=DarknetShape(width=4, blocks=SLIM_BLOCKS),
    sizes=(32, 64),
    reference=64,
    window=64,
    level=0.6,
    min_score=0.1,
    mommi="tiny",
)

PRESETS: dict[str, YoloPreset] = {preset.name: preset for preset in (TINY, SLIM, FINE, PAPER)}
