"""Sample inputs to trace, compare and time a system: random pixels, or the demo's phantom."""

from __future__ import annotations

from functools import cache
from itertools import cycle, islice

import numpy as np
import torch
from torch import Tensor

from tetraview.domain.frame import Frame
from tetraview.domain.patch import PatchShape
from tetraview.phantom import DEMO_SEED, RECIPES, PhantomExam, generate
from tetraview_nets.learning.cache import VIEWS, canonical_exam
from tetraview_nets.learning.crops import cut
from tetraview_nets.learning.evaluate import view_input
from tetraview_nets.learning.lesions import PHANTOM_RECIPE, lesions
from tetraview_nets.specimen import exam_specimen
from tetraview_nets.system import ExamSystem, PatchSystem, ViewInput

#: Candidates of an exam.
CANDIDATES = 12

Sample = list[ViewInput] | Tensor


def random_sample(system: ExamSystem | PatchSystem, preset: str, *, patches: int = CANDIDATES) -> Sample:
    """Noise: four half-discs of it, or patches [N, S, S]."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(system, PatchSystem):
        size = system.presets[preset].patch.size
        return torch.rand(patches, size, size, generator=generator)
    views = exam_specimen(system.presets[preset].frame)
    noise = torch.rand(len(views), *views[0].image.shape, generator=generator)
    return [
        ViewInput(view=v.view, image=image * v.breast_mask, breast_mask=v.breast_mask, spacing_mm=v.spacing_mm)
        for v, image in zip(views, noise, strict=True)
    ]


def phantom_sample(system: ExamSystem | PatchSystem, preset: str, *, patches: int = CANDIDATES) -> Sample:
    """The demo's exam: its four views, or its lesions again and again until there are enough patches [N, S, S]."""
    if isinstance(system, PatchSystem):
        return _patches(system.presets[preset].patch, patches)
    return _views(system.presets[preset].frame)


def _views(frame: Frame) -> list[ViewInput]:
    exam = canonical_exam(_phantom(), frame)
    return [view_input(exam, view, torch.device("cpu")) for view in range(len(VIEWS))]


def _patches(shape: PatchShape, count: int) -> Tensor:
    found = islice(cycle(lesions(_phantom())), count)
    return torch.from_numpy(np.stack([cut(lesion, lesion.box, shape) for lesion in found]))


@cache
def _phantom() -> PhantomExam:
    return generate(DEMO_SEED, recipe=RECIPES[PHANTOM_RECIPE])
