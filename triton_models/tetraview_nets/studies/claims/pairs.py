"""Views with a companion: the same view of the other breast, registered or only mirrored, the other view, or none."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import torch
from torch import Tensor

from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.learning.data import Draw, Views, collate, companion, jittered
from tetraview_nets.mommi.task import registered, views_of

CPU = torch.device("cpu")


class Companion(StrEnum):
    """The network's auxiliary image beside a view."""

    #: The same view of the other breast, warped along the contour and to the nipple.
    REGISTERED = "registered"
    #: The same view of the other breast as the canonical frame has it: mirrored, not warped.
    MIRRORED = "mirrored"
    #: The other view of the same breast, warped along the contour and to the nipple.
    IPSILATERAL = "ipsilateral"
    #: A black image.
    NONE = "none"

    @property
    def of_same_breast(self) -> bool:
        """Whether the auxiliary image shows the view's own breast."""
        return self is Companion.IPSILATERAL


def batch(draw: Draw, kind: Companion, *, size: int, generator: np.random.Generator) -> tuple[Views, Tensor]:
    """Random views, changed as in training, and their auxiliary images [B, 1, H, W].

    Every kind of companion takes the same numbers from the generator, so arms of a study see the same views.
    """
    pairs = [draw.pair(generator, ipsilateral=kind.of_same_breast) for _ in range(size)]
    main, aux = (collate(side, device=CPU) for side in zip(*pairs, strict=True))
    return main, beside(main, aux, kind, nipples=(jittered(main, generator), jittered(aux, generator)))


def exam_batch(exam: CanonicalExam, kind: Companion) -> tuple[Views, Tensor]:
    """All four views of an exam as they are, and their auxiliary images [4, 1, H, W], with true nipples."""
    main = views_of(exam, range(len(VIEWS)), CPU)
    others = [companion(view, ipsilateral=kind.of_same_breast) for view in range(len(VIEWS))]
    aux = views_of(exam, others, CPU)
    return main, beside(main, aux, kind, nipples=(main.nipple, aux.nipple))


def beside(main: Views, aux: Views, kind: Companion, *, nipples: tuple[Tensor, Tensor]) -> Tensor:
    """The auxiliary images [B, 1, H, W] that a kind of companion makes of the other views."""
    if kind is Companion.NONE:
        return torch.zeros_like(main.image)
    if kind is Companion.MIRRORED:
        return aux.image
    return registered(main, aux, nipples=nipples)
