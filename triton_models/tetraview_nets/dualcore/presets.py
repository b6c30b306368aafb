"""Sizes of DualCoreNet: the paper's and smaller ones that a CPU can train and serve."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.patch import PatchShape
from tetraview_nets.crunet import presets as crunet
from tetraview_nets.crunet.presets import CruPreset

#: Side of the context square over the longer side of the box (the paper's).
MARGIN = 1.6
#: The smallest masses of public data are 4 mm; below this a patch would show noise only.
MIN_SIDE_MM = 10.0


@dataclass(frozen=True, kw_only=True)
class DualPreset:
    """Every size of the two learners."""

    name: str
    #: Side of the context patch, pixels.
    size: int
    #: Side of the tight square over the longer side of the box. The paper takes the manual box; a detector's box is
    #: drawn less well, and an eighth more on each side keeps most of the mass in sight.
    tight_margin: float = 1.25
    #: Channels of the two convolutions before the locality preserving learner's blocks.
    stem: tuple[int, int]
    #: Step of the first of them: 2 as in Xception where a CPU has to do with a quarter of the pixels.
    stem_stride: int
    #: Channels of its blocks that halve the side, and how many blocks follow that keep it.
    local_entry: tuple[int, ...]
    local_middle: int
    #: The segmenter of the conditional graph learner.
    segmenter: CruPreset
    #: Side that the soft mask is brought to, pixels.
    mask_size: int
    #: Sizes of the stack that reads the soft mask, as for the locality preserving learner.
    graph_entry: tuple[int, ...]
    graph_middle: int
    #: Features of each learner.
    features: int
    #: Chance that a feature is dropped in training; less where that is short.
    dropout: float = 0.5

    @property
    def patch(self) -> PatchShape:
        """How a box becomes the context patch."""
        return PatchShape(size=self.size, margin=MARGIN, min_side_mm=MIN_SIDE_MM)


PAPER = DualPreset(
    name="paper",
    size=224,
    tight_margin=1.0,
    stem=(32, 64),
    stem_stride=1,
    local_entry=(128, 256, 728),
    local_middle=8,
    segmenter=crunet.PAPER,
    mask_size=224,
    graph_entry=(64, 128, 256),
    graph_middle=2,
    features=2048,
)
# A mass of the median size is shown at 0.28 mm a pixel, where the thinnest spicules (0.35 mm) still show.
SLIM = DualPreset(
    name="slim",
    size=112,
    stem=(16, 32),
    stem_stride=2,
    local_entry=(32, 64, 128),
    local_middle=2,
    segmenter=crunet.SLIM,
    mask_size=56,
    graph_entry=(16, 32, 64),
    graph_middle=1,
    features=128,
    dropout=0.1,
)
# A size that a CPU trains in a minute or two; claim 9 is studied with it.
SMALL = DualPreset(
    name="small",
    size=80,
    stem=(8, 16),
    stem_stride=2,
    local_entry=(16, 32, 64),
    local_middle=1,
    segmenter=crunet.SMALL,
    mask_size=40,
    graph_entry=(8, 16, 32),
    graph_middle=1,
    features=64,
    dropout=0.1,
)
TINY = DualPreset(
    name="tiny",
    size=48,
    stem=(4, 4),
    stem_stride=2,
    local_entry=(4, 8, 8),
    local_middle=1,
    segmenter=crunet.TINY,
    mask_size=24,
    graph_entry=(4, 8),
    graph_middle=1,
    features=16,
)

PRESETS: dict[str, DualPreset] = {preset.name: preset for preset in (TINY, SMALL, SLIM, PAPER)}
