"""Training batches of MommiNet-v2's networks, drawn from phantom exams.

Every batch is a function of seed, network and step alone, so a run that is killed goes on with the batches it would
have seen. Views with a mass are drawn more often than they occur: half of the exams have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview.domain.view import View
from tetraview_nets.augment import ExamChange, ViewSample, augmented
from tetraview_nets.cache import VIEWS, CanonicalExam

#: Share of drawn views that are sure to show a mass.
MASS_SHARE = 0.6
#: How often the ipsilateral view is hidden, so that a single view is in distribution.
AUX_DROPPED = 0.15
#: How often nipple geometry is hidden, so that an unreliable nipple is in distribution.
GEOMETRY_DROPPED = 0.1
#: Standard deviation of the error put on true nipples, millimetres.
NIPPLE_JITTER_MM = 3.0


class Spot(NamedTuple):
    """One view of one exam of a set."""

    exam: int
    view: int


def companion(view: int, *, ipsilateral: bool) -> int:
    """The index of the other projection of the breast, or of the same projection of the other breast."""
    found: View = VIEWS[view].ipsilateral if ipsilateral else VIEWS[view].contralateral
    return VIEWS.index(found)


class Draw:
    """Random views of a set of exams, those with a mass preferred."""

    def __init__(self, exams: Sequence[CanonicalExam]) -> None:
        self.exams = exams
        self._with_mass = [
            Spot(i, int(view)) for i, exam in enumerate(exams) for view in np.unique(exam.box_views[exam.kinds == 0])
        ]

    def spot(self, generator: np.random.Generator) -> Spot:
        """One view, with a mass in ``MASS_SHARE`` of the draws at least."""
        if self._with_mass and generator.random() < MASS_SHARE:
            return self._with_mass[generator.integers(len(self._with_mass))]
        return Spot(int(generator.integers(len(self.exams))), int(generator.integers(len(VIEWS))))

    def sample(self, generator: np.random.Generator) -> ViewSample:
        """One changed view."""
        exam, view = self.spot(generator)
        return augmented(self.exams[exam], view, ExamChange.draw(generator), generator)

    def pair(self, generator: np.random.Generator, *, ipsilateral: bool) -> tuple[ViewSample, ViewSample]:
        """A view and its companion, changed alike."""
        exam, view = self.spot(generator)
        change = ExamChange.draw(generator)
        other = companion(view, ipsilateral=ipsilateral)
        main, aux = (augmented(self.exams[exam], which, change, generator) for which in (view, other))
        return main, aux


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """A batch of views as tensors."""

    #: float32 [B, 1, H, W] in [0, 1].
    image: Tensor
    #: bool [B, 1, H, W].
    breast: Tensor
    #: bool [B, 1, H, W], inside a mass.
    mass: Tensor
    #: One float32 [K, 4] per view, canonical pixels.
    boxes: list[Tensor]
    #: float32 [B, 2], canonical pixels.
    nipple: Tensor
    #: float32 [B], 1 where the nipple is in profile.
    in_profile: Tensor
    #: float32 [B], millimetres per pixel.
    spacing: Tensor


def collate(samples: Sequence[ViewSample], *, device: torch.device) -> Views:
    """Views as one batch on a device."""

    def planes(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])[:, None]).to(device)

    nipples = torch.from_numpy(np.stack([sample.nipple for sample in samples])).to(device)
    return Views(
        image=planes("image"),
        breast=planes("breast"),
        mass=planes("mass"),
        boxes=[torch.from_numpy(sample.boxes).to(device) for sample in samples],
        nipple=nipples[:, :2],
        in_profile=nipples[:, 2],
        spacing=torch.tensor([sample.spacing_mm for sample in samples], device=device),
    )


def jittered(views: Views, generator: np.random.Generator) -> Tensor:
    """Nipples with the error a nipple network makes: float32 [B, 2]."""
    error: NDArray[np.float32] = generator.normal(0, NIPPLE_JITTER_MM, tuple(views.nipple.shape)).astype(np.float32)
    return views.nipple + torch.from_numpy(error).to(views.nipple.device) / views.spacing[:, None]


def present(batch: int, dropped: float, generator: np.random.Generator, device: torch.device) -> Tensor:
    """Whether something is there, False in ``dropped`` of the cases: bool [B]."""
    return torch.from_numpy(generator.random(batch) >= dropped).to(device)
