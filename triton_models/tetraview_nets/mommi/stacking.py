"""Fits the scorer of MommiNet-v2 on exams that none of its networks has seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from tetraview.domain.view import Route
from tetraview_nets.boxes import iou_matrix
from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.evaluate import view_input
from tetraview_nets.metrics import IOU_CRITERION
from tetraview_nets.mommi.network import MommiNet, branch_scores, candidates
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
