"""A detector's false marks in exams that it learns from: mimics of real tissue.

Phantoms say which of their objects are no masses; in patients nobody does. The networks that compare views have to
tell masses from the highest false marks of the network that has learnt single findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview.phantom import ObjectKind
from tetraview_nets.boxes import iou_matrix
from tetraview_nets.learning.cache import IGNORED, KINDS, PHANTOM, VIEWS, CanonicalExam
from tetraview_nets.mommi.ipsidual import Companions, IpsiDualNet
from tetraview_nets.mommi.task import views_of

#: Marks of a view that are kept, and their least score.
MOST, LEAST_SCORE = 2, 0.1
#: A mark that overlaps an object by more than this is none: it may be that object, badly placed.
TOUCHES_IOU = 0.05
_DECOY = KINDS.index(ObjectKind.DECOY)


def with_false_marks(exams: Iterable[CanonicalExam], network: IpsiDualNet, device: torch.device) -> list[CanonicalExam]:
    """Exams with the highest false marks of a network in their patients' views as decoys; phantoms stay as they are.

    Args:
        exams: those it has learnt from.
        network: a trained one; it reads every view alone, as the next stage learns from the other views.
        device: where the network is.
    """
    network = network.eval()
    return [exam if exam.source == PHANTOM else _marked(exam, network, device) for exam in exams]


@torch.inference_mode()
def _marked(exam: CanonicalExam, network: IpsiDualNet, device: torch.device) -> CanonicalExam:
    views = views_of(exam, range(len(VIEWS)), device)
    alone = Companions(
        partner=torch.full((len(VIEWS),), -1, device=device),
        nipple=views.nipple,
        spacing=views.spacing,
        geometry_ok=torch.zeros(len(VIEWS), dtype=torch.bool, device=device),
    )
    found = network.detect_all(network.features(views.image), alone)
    boxes, owners = [exam.boxes], [exam.box_views]
    for view in np.flatnonzero(exam.present).tolist():
        marks = _false(exam, view, found[view][0].cpu(), found[view][1].cpu())
        boxes.append(marks)
        owners.append(np.full(len(marks), view, dtype=np.int64))
    added = sum(map(len, boxes)) - len(exam.boxes)
    return replace(
        exam,
        boxes=np.concatenate(boxes),
        box_views=np.concatenate(owners),
        kinds=np.concatenate([exam.kinds, np.full(added, _DECOY, dtype=np.int64)]),
        labels=np.concatenate([exam.labels, np.array([f"F{i + 1}" for i in range(added)], dtype=np.str_)]),
    )


def _false(exam: CanonicalExam, view: int, boxes: torch.Tensor, scores: torch.Tensor) -> NDArray[np.float32]:
    """The highest marks of a view that touch no object and lie where something counts: float32 [n, 4]."""
    own = torch.from_numpy(exam.boxes[exam.box_views == view])
    free = scores >= LEAST_SCORE
    if len(own):
        free &= iou_matrix(boxes, own).amax(dim=1) <= TOUCHES_IOU
    x, y = ((boxes[:, i] + boxes[:, i + 2]).div(2).long() for i in (0, 1))
    rows, columns = exam.masks.shape[1:]
    ignored = torch.from_numpy((exam.masks[view] & IGNORED) > 0)
    free &= ~ignored[y.clamp(0, rows - 1), x.clamp(0, columns - 1)]
    return np.asarray(boxes[free][:MOST].numpy(), dtype=np.float32)
