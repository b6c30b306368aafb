"""Sizes of the classifier: the paper's DenseNet-121 and smaller ones that a CPU can train and serve."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.patch import PatchShape


@dataclass(frozen=True, kw_only=True)
class ClassifierPreset:
    """Every size of the classifier."""

    name: str
    #: Channels that each dense layer adds.
    growth: int
    #: Layers of the dense blocks.
    blocks: tuple[int, ...]
    #: Channels of the stem.
    stem: int
    #: Patch side, pixels.
    size: int

    @property
    def patch(self) -> PatchShape:
        """How a box becomes this network's patch."""
        return PatchShape(size=self.size)


PAPER = ClassifierPreset(name="paper", growth=32, blocks=(6, 12, 24, 16), stem=64, size=448)
# 112 pixels on 25 mm are 0.22 mm each: the thinnest spicules (0.35 mm) still show.
SLIM = ClassifierPreset(name="slim", growth=16, blocks=(6, 12, 24, 16), stem=32, size=112)
# A size that a CPU trains in half a minute; claim 11 is studied with it.
SMALL = ClassifierPreset(name="small", growth=12, blocks=(2, 2, 2, 2), stem=16, size=64)
TINY = ClassifierPreset(name="tiny", growth=4, blocks=(2, 2, 2, 2), stem=8, size=56)

PRESETS: dict[str, ClassifierPreset] = {preset.name: preset for preset in (TINY, SMALL, SLIM, PAPER)}
