"""Sizes of CRU-Net: the paper's two, one for a CPU and one for tests."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.patch import PatchShape

#: Square of tissue over the longer side of the box. The paper cuts the manual box itself; a detector's box is drawn
#: less well, and a fifth more on each side keeps the mass in sight.
MARGIN = 1.4
#: The smallest masses of public data are 4 mm; below this a patch would show noise only.
MIN_SIDE_MM = 8.0


@dataclass(frozen=True, kw_only=True)
class CruPreset:
    """Every size of the network and of its random field."""

    name: str
    #: Channels of layers 1 to 4; layers 5 to 7 mirror the first three.
    channels: tuple[int, int, int, int] = (16, 32, 64, 128)
    #: Side of the convolutions' kernels; the paper takes 7 for digitised film.
    kernel: int = 3
    #: Patch side, pixels; a multiple of 8.
    size: int = 40
    #: Chance that an input of layers 4 to 7 is dropped in training.
    dropout: float = 0.5
    #: Shortcuts around every layer.
    residual: bool = True
    #: λ, the random field's part in the loss; at 0 there is no random field, neither in training nor in reading.
    crf_share: float = 0.67
    #: Side of the square of neighbours that a pixel of the random field has; None for all pixels.
    window: int | None = 7

    @property
    def patch(self) -> PatchShape:
        """How a box becomes this network's patch."""
        return PatchShape(size=self.size, margin=MARGIN, min_side_mm=MIN_SIDE_MM)


PAPER = CruPreset(name="paper", window=None)
PAPER_FILM = CruPreset(name="paper_film", kernel=7, window=None)
# The paper's layers for a CPU: neighbours in a window, and less dropout, with which a short training gets further (Dice
# .891 in place of .882 on 75 validation exams after 500 steps).
SLIM = CruPreset(name="slim", dropout=0.1)
# Half as many channels, for the many trainings of a study.
SMALL = CruPreset(name="small", channels=(8, 16, 32, 64), dropout=0.1)
TINY = CruPreset(name="tiny", channels=(4, 8, 12, 16), size=16)

PRESETS: dict[str, CruPreset] = {preset.name: preset for preset in (TINY, SMALL, SLIM, PAPER, PAPER_FILM)}
