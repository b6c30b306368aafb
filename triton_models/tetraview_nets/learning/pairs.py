"""Which marks in CC and MLO of one breast are known to be one object, and which not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tetraview.domain.view import ViewPosition
from tetraview_nets.learning.cache import IGNORED, PHANTOM, VIEWS, CanonicalExam
from tetraview_nets.learning.evaluate import is_ignored
from tetraview_nets.metrics import IOU_CRITERION, iou_matrix
from tetraview_nets.metrics.arrays import Booleans, Floats, Integers

#: Labels of a pair: one object, two objects, or not known.
SAME, DIFFERENT, UNKNOWN = 1, 0, -1
#: Object of a mark that lies on none, and of a mark about which nobody knows.
_NOTHING, _ANYTHING = "", "?"


def tells(exam: CanonicalExam) -> bool:
    """Whether anything is known of the pairs of an exam: everything of phantoms; for others see ``known_pairs``."""
    of_cc = (view for view, slot in enumerate(VIEWS) if slot.position is ViewPosition.CC)
    return any(exam.present[list(_both(cc))].all() and _told(exam, cc) for cc in of_cc)


def known_pairs(exam: CanonicalExam, *, cc: int, marks: Sequence[Floats]) -> Integers:
    """Labels of all pairs of marks of one breast: int [N, M] of ``SAME``, ``DIFFERENT`` and ``UNKNOWN``.

    Everything is known of phantoms. Real breasts tell something only if they have one mass in each view: both marks on
    it are the same, one on it and one beside it are not, and two beside it may be the same normal tissue.

    Args:
        exam: any exam.
        cc: the CC view; the breast's MLO view must be there too.
        marks: boxes [N, 4] in CC and [M, 4] in MLO, canonical pixels.
    """
    phantom = exam.source == PHANTOM
    of_cc, of_mlo = _objects(exam, cc, marks)
    told = _told(exam, cc)
    known = np.full((len(of_cc), len(of_mlo)), UNKNOWN, dtype=np.int64)
    for i, j in np.ndindex(known.shape):
        pair = {of_cc[i], of_mlo[j]}
        if told and _ANYTHING not in pair and (phantom or pair != {_NOTHING}):
            known[i, j] = SAME if pair != {_NOTHING} and len(pair) == 1 else DIFFERENT
    return known


def masses_in_both(exam: CanonicalExam, *, cc: int, marks: Sequence[Floats]) -> list[Booleans]:
    """For each mass that is marked in both views of a breast, the pairs that mark it, bool [N, M]; as ``known_pairs``.

    Real breasts count only if they have one mass in each view.
    """
    labels = [set(exam.labels[exam.masses(view)].tolist()) for view in _both(cc)]
    if not _told(exam, cc):
        return []
    of_cc, of_mlo = (np.array(objects, dtype=np.str_) for objects in _objects(exam, cc, marks))
    found = [np.logical_and.outer(of_cc == label, of_mlo == label) for label in sorted(labels[0] & labels[1])]
    return [pairs for pairs in found if pairs.any()]


def _told(exam: CanonicalExam, cc: int) -> bool:
    return exam.source == PHANTOM or all(len(exam.masses(view)) == 1 for view in _both(cc))


def _both(cc: int) -> tuple[int, int]:
    return cc, VIEWS.index(VIEWS[cc].ipsilateral)


def _objects(exam: CanonicalExam, cc: int, marks: Sequence[Floats]) -> tuple[list[str], list[str]]:
    """The label of the object that each mark in CC and each in MLO overlaps most."""
    of_cc, of_mlo = (_of_view(exam, view, boxes) for view, boxes in zip(_both(cc), marks, strict=True))
    return of_cc, of_mlo


def _of_view(exam: CanonicalExam, view: int, marks: Floats) -> list[str]:
    own = np.flatnonzero(exam.box_views == view)
    overlaps = iou_matrix(marks, exam.boxes[own].astype(np.float64)) if len(own) else np.zeros((len(marks), 1))
    ignored = (exam.masks[view] & IGNORED) > 0
    return [
        str(exam.labels[own[row.argmax()]])
        if row.max() > IOU_CRITERION
        else (_ANYTHING if is_ignored(mark, ignored) else _NOTHING)
        for mark, row in zip(marks, overlaps, strict=True)
    ]
