"""Sizes of ResCU-Net, and the two networks that the paper holds it against."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tetraview.domain.patch import PatchShape


class Architecture(StrEnum):
    """How the encoder is joined to its mirror image."""

    #: Features are put back where they were pooled from; nothing else passes.
    SEGNET = "segnet"
    #: Features are interpolated, and meet those of the encoder.
    UNET = "unet"
    #: Features are put back where they were pooled from, and meet the encoder's after a residual module.
    RESCUNET = "rescunet"


@dataclass(frozen=True, kw_only=True)
class RescunetPreset:
    """Every size of the network."""

    name: str
    #: Channels of the stages, five in VGG-16.
    widths: tuple[int, ...]
    #: Convolutions of each, as in VGG-16.
    depths: tuple[int, ...] = (2, 2, 3, 3, 3)
    #: Patch side in pixels, which every stage halves.
    size: int
    architecture: Architecture = Architecture.RESCUNET

    @property
    def patch(self) -> PatchShape:
        """How a box becomes this network's patch."""
        return PatchShape(size=self.size)


PAPER = RescunetPreset(name="paper", widths=(64, 128, 256, 512, 512), size=256)
# Without the last stage and with VGG-11's depths, which a CPU trains in minutes; 64 pixels on 25 mm are 0.39 mm each.
SLIM = RescunetPreset(name="slim", widths=(8, 16, 32, 64), depths=(1, 1, 2, 2), size=64)
# A size that a CPU trains in half a minute; claim 10 is studied with it.
SMALL = RescunetPreset(name="small", widths=(8, 16, 32, 64), depths=(1, 1, 1, 1), size=48)
TINY = RescunetPreset(name="tiny", widths=(4, 4, 8, 8, 8), depths=(1, 1, 1, 1, 1), size=32)

PRESETS: dict[str, RescunetPreset] = {preset.name: preset for preset in (TINY, SMALL, SLIM, PAPER)}
