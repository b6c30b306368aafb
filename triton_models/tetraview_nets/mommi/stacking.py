"""Fits the scorer and the linker of MommiNet-v2 on exams that none of its networks has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from tetraview.domain.view import Route
from tetraview_nets.boxes import iou_matrix
from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.learning.evaluate import view_input
from tetraview_nets.learning.pairs import SAME, UNKNOWN, known_pairs, tells
from tetraview_nets.linking import shown
from tetraview_nets.metrics import IOU_CRITERION
from tetraview_nets.mommi.linker import KnownPairs
from tetraview_nets.mommi.network import MommiNet, branch_scores, candidates, compared
from tetraview_nets.mommi.scorer import Candidates


def fit_scorer(network: MommiNet, exams: Iterable[CanonicalExam]) -> None:
    """Weigh the branches of every route by what their candidates turn out to be."""
    network.scorer.fit([found for exam in exams for found in exam_candidates(network, exam)])


@torch.no_grad()
def exam_candidates(network: MommiNet, exam: CanonicalExam, routes: Sequence[Route] = tuple(Route)) -> list[Candidates]:
    """The candidates of the views that an exam has by each route, on the CPU; a hit overlaps a mass by IoU > 0.2."""
    device = next(network.parameters()).device
    shown = np.flatnonzero(exam.present).tolist()
    look = network.look([view_input(exam, view, device) for view in shown])
    truth = [torch.from_numpy(exam.boxes[exam.masses(view)]).to(device) for view in shown]
    found = []
    for route in routes:
        evidence = network.evidence(look, furthest=route)
        for own, fused, view, masses in zip(evidence, network.fuse(look, evidence), look.views, truth, strict=True):
            boxes = candidates(own, fused, spacing_mm=view.spacing_mm)
            hit = (iou_matrix(boxes, masses) > IOU_CRITERION).any(dim=1)
            scores = branch_scores(boxes, own, fused)
            found.append(Candidates(route=own.route, evidence=scores.cpu(), hit=hit.cpu()))
    return found


def fit_linker(
    network: MommiNet, exams: Iterable[CanonicalExam], thresholds: Mapping[str, float]
) -> dict[str, dict[str, int]]:
    """Fit the weights that tell whether marks in CC and MLO are one mass to pairs that are known.

    Args:
        network: one whose scorer is fitted.
        exams: phantoms or real ones.
        thresholds: least score of a mark by route; marks that no reader sees teach nothing.

    Returns:
        The pairs that it learnt from by source, and how many of them are one mass.
    """
    found = [(exam.source, pairs) for exam in exams if tells(exam) for pairs in exam_pairs(network, exam, thresholds)]
    network.linker.fit([pairs for _, pairs in found])
    own = {source: [pairs.same for name, pairs in found if name == source] for source in sorted({s for s, _ in found})}
    return {
        source: {"pairs": sum(map(len, same)), "same": sum(int(one.sum()) for one in same)}
        for source, same in own.items()
    }


@torch.no_grad()
def exam_pairs(network: MommiNet, exam: CanonicalExam, thresholds: Mapping[str, float]) -> list[KnownPairs]:
    """The known pairs of marks of each breast that both views are there of, on the CPU."""
    device = next(network.parameters()).device
    look = network.look([view_input(exam, view, device) for view in np.flatnonzero(exam.present).tolist()])
    evidence = network.evidence(look)
    outputs = network.marks(look, evidence)
    strong = [shown(marks, thresholds) for marks in outputs]
    place = {marks.view: i for i, marks in enumerate(outputs)}
    found = []
    for cc, columns in compared(look, evidence, outputs).items():
        mlo = place[outputs[cc].view.ipsilateral]
        boxes = [outputs[i].boxes[strong[i]].cpu().double().numpy().reshape(-1, 4) for i in (cc, mlo)]
        known = torch.from_numpy(known_pairs(exam, cc=VIEWS.index(outputs[cc].view), marks=boxes))
        told = known != UNKNOWN
        found.append(KnownPairs(columns=columns[strong[cc]][:, strong[mlo]].cpu()[told], same=known[told] == SAME))
    return found
