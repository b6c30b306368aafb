"""Outlines in whole views: in one stage, or in two by crops of boxes that are pasted back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tetraview.domain.geometry import Box
from tetraview_nets.learning.cache import MASS, VIEWS, CanonicalExam
from tetraview_nets.learning.crops import cut, on_tile
from tetraview_nets.learning.lesions import UNASSESSED, Lesion
from tetraview_nets.learning.pieces import read_masks
from tetraview_nets.unetpp.network import THRESHOLD, Segmenter

Booleans = NDArray[np.bool_]


def mass_mask(exam: CanonicalExam, view: int) -> Booleans:
    """All masses of one view: bool [H, W]."""
    return np.asarray(exam.masks[view] & MASS) > 0


def mass_boxes(exam: CanonicalExam, view: int) -> list[Box]:
    """The true boxes of one view, canonical pixels."""
    return [Box(*map(float, exam.boxes[i])) for i in exam.masses(view)]


def boxed(exam: CanonicalExam, view: int, box: Box) -> Lesion:
    """The part of a view in a box, as a lesion whose tile is the whole view and whose mask is all masses in it."""
    spacing = float(exam.spacing_mm[view])
    return Lesion(
        tile=exam.images[view],
        mask=mass_mask(exam, view),
        box=box,
        spacing_mm=(spacing, spacing),
        seed=exam.seed,
        label="",
        suspicion=0.0,
        kind=0,
        birads=UNASSESSED,
        malignant=False,
        known=False,
    )


def masses_in(exams: Sequence[CanonicalExam]) -> Iterator[Lesion]:
    """Every mass of every view in its true box."""
    for exam in exams:
        for view in range(len(VIEWS)):
            for box in mass_boxes(exam, view):
                yield boxed(exam, view, box)


def in_two_stages(segmenter: Segmenter, exam: CanonicalExam, view: int, boxes: Sequence[Box]) -> Booleans:
    """Each box outlined by itself, and the greatest probability of every pixel: bool [H, W] in canonical pixels."""
    if not boxes:
        return np.zeros(exam.images[view].shape, dtype=bool)
    shape = segmenter.preset.patch
    drawn = [boxed(exam, view, box) for box in boxes]
    patches = torch.from_numpy(np.stack([cut(each, each.box, shape) for each in drawn]))
    found = read_masks(segmenter, patches, device=torch.device("cpu")).numpy()
    pasted = [on_tile(found[i], each, each.box, shape) for i, each in enumerate(drawn)]
    return np.asarray(np.max(pasted, axis=0) >= THRESHOLD)


def in_one_stage(segmenter: Segmenter, exam: CanonicalExam, view: int, *, factor: int) -> Booleans:
    """The whole view read at once, its pixels averaged over blocks before and probabilities enlarged after.

    Args:
        segmenter: trained on views that were reduced alike.
        exam: not reduced.
        view: which view.
        factor: pixels of a block's side.

    Returns:
        bool [H, W] in canonical pixels.
    """
    rows, columns = exam.images[view].shape
    image = exam.images[view].astype(np.float32) / 255
    small = cv2.resize(image, (columns // factor, rows // factor), interpolation=cv2.INTER_AREA)
    found = read_masks(segmenter, torch.from_numpy(small)[None], device=torch.device("cpu"))[0].numpy()
    return np.asarray(cv2.resize(found, (columns, rows), interpolation=cv2.INTER_LINEAR) >= THRESHOLD)
