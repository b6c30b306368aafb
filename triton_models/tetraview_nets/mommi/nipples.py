"""Nipples that nobody marked, as the nipple network finds them: what a training may measure distances from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tetraview_nets.blocks.landmark import judge
from tetraview_nets.blocks.nipple import NippleNet, locate
from tetraview_nets.learning.cache import BREAST, VIEWS, CanonicalExam


@torch.inference_mode()
def with_found_nipples(exam: CanonicalExam, network: NippleNet) -> CanonicalExam:
    """An exam whose unmarked nipples are those that are found and trusted, as in serving; the others stay unknown.

    Args:
        exam: any exam.
        network: a trained one, in ``eval`` mode.
    """
    unmarked = np.flatnonzero(exam.present & ~exam.nipple_known)
    if not len(unmarked):
        return exam
    nipples, known = exam.nipples.copy(), exam.nipple_known.copy()
    images = torch.from_numpy(exam.images[unmarked].astype(np.float32) / 255)[:, None]
    for view, located in zip(unmarked.tolist(), locate(network(images)), strict=True):
        breast = torch.from_numpy((exam.masks[view] & BREAST) > 0)
        mark = judge(located, breast, position=VIEWS[view].position, spacing_mm=float(exam.spacing_mm[view]))
        if mark.trusted:
            nipples[view] = mark.x, mark.y, mark.warning is None
            known[view] = True
    return replace(exam, nipples=nipples, nipple_known=known)
