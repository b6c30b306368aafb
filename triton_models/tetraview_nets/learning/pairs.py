"""Which marks in CC and MLO of one breast are known to be one object, and which not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tetraview_nets.learning.cache import IGNORED, PHANTOM, VIEWS, CanonicalExam
from tetraview_nets.learning.evaluate import is_ignored
from tetraview_nets.metrics import IOU_CRITERION, iou_matrix
from tetraview_nets.metrics.arrays import Floats, Integers

#: What is known of a pair.
SAME, DIFFERENT, UNKNOWN = 1, 0, -1
#: What a mark is of where it is of no object, and where nobody knows.
_NOTHING, _ANYTHING = "", "?"


def known_pairs(exam: CanonicalExam, *, cc: int, marks: Sequence[Floats]) -> Integers:
    """What is known of the marks of one breast: int [N, M] of ``SAME``, ``DIFFERENT`` and ``UNKNOWN``.

    All is known of phantoms. Of real breasts only those with one mass in each view tell something: both marks on it are
    the same, one on it and one beside it are not, and two beside it may be the same normal tissue.

    Args:
        exam: any.
        cc: the CC view; the breast's MLO view must be there too.
        marks: boxes [N, 4] in CC and [M, 4] in MLO, canonical pixels.
    """
    views = cc, VIEWS.index(VIEWS[cc].ipsilateral)
    phantom = exam.source == PHANTOM
    known = np.full((len(marks[0]), len(marks[1])), UNKNOWN, dtype=np.int64)
    if not phantom and any(len(exam.masses(view)) != 1 for view in views):
        return known
    of_cc, of_mlo = (_objects(exam, view, boxes) for view, boxes in zip(views, marks, strict=True))
    for i, one in enumerate(of_cc):
        for j, other in enumerate(of_mlo):
            if _ANYTHING not in {one, other} and (phantom or {one, other} != {_NOTHING}):
                known[i, j] = SAME if one == other != _NOTHING else DIFFERENT
    return known


def _objects(exam: CanonicalExam, view: int, marks: Floats) -> list[str]:
    """The label of the object that each mark [N, 4] overlaps most."""
    own = np.flatnonzero(exam.box_views == view)
    overlaps = iou_matrix(marks, exam.boxes[own].astype(np.float64)) if len(own) else np.zeros((len(marks), 1))
    ignored: NDArray[np.bool_] = (exam.masks[view] & IGNORED) > 0
    return [
        str(exam.labels[own[row.argmax()]])
        if row.max() > IOU_CRITERION
        else (_ANYTHING if is_ignored(mark, ignored) else _NOTHING)
        for mark, row in zip(marks, overlaps, strict=True)
    ]
