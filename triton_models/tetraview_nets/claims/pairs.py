"""Views with a companion view at a small size, for studies that train many bilateral networks.

A view's companion is the same view of the other breast, registered or only mirrored, the other view of the same
breast, or nothing. Exams are the cached ones, averaged over blocks of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview_nets.augment import plain
from tetraview_nets.cache import BREAST, HALF, MASS, VIEWS, CanonicalExam
from tetraview_nets.data import Draw, Views, collate, companion, jittered
from tetraview_nets.tasks import registered

CPU = torch.device("cpu")


class Companion(StrEnum):
    """What is laid beside a view as the network's auxiliary image."""

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


def reduced(exam: CanonicalExam, factor: int) -> CanonicalExam:
    """An exam with pixels averaged over blocks of ``factor`` by ``factor``; masks keep blocks that are over half full.

    Raises:
        ValueError: the blocks do not fill the image.
    """
    rows, columns = exam.images.shape[1:]
    if rows % factor or columns % factor:
        raise ValueError(f"blocks of {factor} pixels do not fill images of {rows} x {columns}")
    size = columns // factor, rows // factor
    masks = np.zeros((len(VIEWS), rows // factor, columns // factor), dtype=np.uint8)
    for bit in (BREAST, MASS):
        part = _averaged((exam.masks & bit > 0).astype(np.float32), size)
        masks |= np.where(part > HALF, bit, 0).astype(np.uint8)
    nipples = exam.nipples.copy()
    nipples[:, :2] /= factor
    return replace(
        exam,
        images=np.rint(_averaged(exam.images.astype(np.float32), size)).astype(np.uint8),
        masks=masks,
        spacing_mm=exam.spacing_mm * factor,
        nipples=nipples,
        boxes=exam.boxes / np.float32(factor),
    )


def _averaged(planes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes]).astype(np.float32)


def batch(draw: Draw, kind: Companion, *, size: int, generator: np.random.Generator) -> tuple[Views, Tensor]:
    """Random views, changed as in training, and their auxiliary images [B, 1, H, W].

    Every kind of companion takes the same numbers from the generator, so arms of a study see the same views.
    """
    pairs = [draw.pair(generator, ipsilateral=kind.of_same_breast) for _ in range(size)]
    main, aux = (collate(side, device=CPU) for side in zip(*pairs, strict=True))
    return main, beside(main, aux, kind, nipples=(jittered(main, generator), jittered(aux, generator)))


def exam_batch(exam: CanonicalExam, kind: Companion) -> tuple[Views, Tensor]:
    """All four views of an exam as they are, and their auxiliary images [4, 1, H, W], with true nipples."""
    main = _views(exam, range(len(VIEWS)))
    aux = _views(exam, [companion(view, ipsilateral=kind.of_same_breast) for view in range(len(VIEWS))])
    return main, beside(main, aux, kind, nipples=(main.nipple, aux.nipple))


def beside(main: Views, aux: Views, kind: Companion, *, nipples: tuple[Tensor, Tensor]) -> Tensor:
    """The auxiliary images [B, 1, H, W] that a kind of companion makes of the other views."""
    if kind is Companion.NONE:
        return torch.zeros_like(main.image)
    if kind is Companion.MIRRORED:
        return aux.image
    return registered(main, aux, nipples=nipples)


def _views(exam: CanonicalExam, views: Sequence[int]) -> Views:
    return collate([plain(exam, view) for view in views], device=CPU)
