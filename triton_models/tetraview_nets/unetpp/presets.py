"""Sizes of the segmenter: the paper's v19U-Net++, smaller ones for a CPU, and a plain U-Net of each size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from tetraview.domain.patch import PatchShape


class Architecture(StrEnum):
    """How the encoder's levels are joined to an outline."""

    #: Nested dense skips and deep supervision: the paper's choice.
    UNETPP = "unetpp"
    #: One skip a level and one head. Free of the patent application that UNet++'s authors declare.
    UNET = "unet"


@dataclass(frozen=True, kw_only=True)
class SegmenterPreset:
    """Every size of the segmenter."""

    name: str
    #: Channels of each level of the encoder, and of the decoder's nodes there.
    widths: tuple[int, ...]
    #: Convolutions of each level of the encoder.
    depths: tuple[int, ...]
    #: How a box becomes this network's patch.
    patch: PatchShape
    #: Whether the encoder normalises by batch; VGG-19 does not, but it starts from ImageNet.
    normalised: bool = True
    architecture: Architecture = Architecture.UNETPP

    @property
    def stride(self) -> int:
        """The number of pixels that divides the sides of every input."""
        return int(2 ** (len(self.widths) - 1))


#: Convolutions of VGG-19.
VGG19 = (2, 2, 4, 4, 4)
# The paper does not say how much tissue it cuts around a box. Half as much again keeps a mass whole in a box that a
# detector drew too small and off its centre.
_MARGIN, _MIN_SIDE_MM = 1.5, 15.0


def _patch(size: int) -> PatchShape:
    return PatchShape(size=size, margin=_MARGIN, min_side_mm=_MIN_SIDE_MM)


PAPER = SegmenterPreset(
    name="paper", widths=(64, 128, 256, 512, 512), depths=VGG19, patch=_patch(256), normalised=False
)
SLIM = SegmenterPreset(name="slim", widths=(8, 16, 32, 64, 64), depths=VGG19, patch=_patch(96))
# A size that a CPU trains in half a minute; claims 6 and 7 are studied with it.
SMALL = SegmenterPreset(name="small", widths=(4, 8, 16, 32, 32), depths=VGG19, patch=_patch(48))
TINY = SegmenterPreset(name="tiny", widths=(4, 8, 8), depths=(1, 1, 1), patch=_patch(32))


def plain(preset: SegmenterPreset) -> SegmenterPreset:
    """The U-Net with a preset's encoder."""
    return replace(preset, name=f"{preset.name}_unet", architecture=Architecture.UNET)


_NESTED = (TINY, SMALL, SLIM, PAPER)
PRESETS: dict[str, SegmenterPreset] = {each.name: each for each in (*_NESTED, *map(plain, _NESTED))}
