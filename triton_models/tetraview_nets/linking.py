"""How likely two marks in CC and MLO of one breast are one mass, by where they lie and how large they are.

Compression turns and flattens the breast, but a mass keeps about its distance from the nipple, about its depth behind
the breast's front and about its size. Depth is counted towards the muscle, whose edge leans in MLO by an angle that is
not known: what counts is the least difference that some lean allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

import torch
from torch import Tensor

from tetraview.domain.view import ViewPosition
from tetraview_nets.blocks.landmark import MIN_CONFIDENCE
from tetraview_nets.system import ViewInput, ViewOutput

#: Log odds of one mass: a constant, and what each column of ``geometry`` adds, as ``tetraview_nets benchmark geometry
#: --data FOLDER`` fits them: to 423 pairs, 114 of them one mass, of the marks that YOLOv3 shows on 100 phantoms and on
#: CBIS-DDSM and CDD-CESM, all of validation.
BIAS = 1.16
WEIGHTS = MappingProxyType({"nipple": 0.93, "distance": -0.80, "depth": -1.11, "size": -3.93})
#: Columns of ``geometry``.
COLUMNS = tuple(WEIGHTS)
#: How far the depth of MLO may point up from the chest wall's normal, degrees: nobody says how the muscle's edge leans.
#: In the 493 breasts of CBIS-DDSM and CDD-CESM with one mass in each view, depths in CC and MLO agree best (r = .92) at
#: 25, and those of phantoms (r = .98) at 0.
LEANS_DEGREES = (0.0, 8.0, 16.0, 24.0)
#: Beyond this a difference tells no more, millimetres.
FURTHEST_MM = 40.0
#: Marks of a view that a reader sees.
SHOWN = 3
#: Lengths are counted in this.
UNIT_MM = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Where the marks of one view lie in the breast, and how large they are; lengths are millimetres."""

    #: [N], from the nipple to the middle of each; None where the nipple was not found.
    distance: Tensor | None
    #: [N, L], how far the middle of each lies behind the breast's front: in CC once, in MLO for each lean.
    depth: Tensor
    #: [N], the root of each box's area.
    size: Tensor

    @classmethod
    def of(cls, view: ViewInput, marks: ViewOutput) -> Self:
        """The places of a view's marks."""
        x, y, confidence = marks.nipple
        boxes = marks.boxes.reshape(-1, 4) * view.spacing_mm
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        nipple = middle.new_tensor([x, y]) * view.spacing_mm
        leans = torch.deg2rad(middle.new_tensor(LEANS_DEGREES if view.view.position is ViewPosition.MLO else (0.0,)))
        forward = torch.stack([leans.cos(), leans.sin()])
        front = (_rim(view.breast_mask) * view.spacing_mm @ forward).amax(dim=0)
        return cls(
            distance=torch.linalg.vector_norm(middle - nipple, dim=1) if confidence >= MIN_CONFIDENCE else None,
            depth=front - middle @ forward,
            size=(boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt(),
        )

    def only(self, marks: Tensor) -> Self:
        """The places of some marks, by their indices."""
        distance = None if self.distance is None else self.distance[marks]
        return replace(self, distance=distance, depth=self.depth[marks], size=self.size[marks])


def _rim(breast: Tensor) -> Tensor:
    """The end of each row of a breast, bool [H, W]: [rows, 2] of x, y in pixels."""
    columns = torch.arange(1, breast.shape[1] + 1, device=breast.device)
    reach = (breast * columns).amax(dim=1)
    rows = torch.nonzero(reach)[:, 0]
    return torch.stack([reach[rows], rows + 0.5], dim=1).float()


def geometry(cc: Places, mlo: Places) -> Tensor:
    """How the marks of both views of a breast differ: [N, M, 4], columns as in ``COLUMNS``.

    Whether both nipples are known, the difference of the distances from them in centimetres (0 where they are not),
    that of the depths, and the logarithm of the ratio of the sizes without its sign.
    """
    depth, size = _differences(cc.depth, mlo.depth), cc.size.log()[:, None] - mlo.size.log()
    known, distance = torch.zeros_like(depth), torch.zeros_like(depth)
    if cc.distance is not None and mlo.distance is not None:
        known, distance = torch.ones_like(depth), _differences(cc.distance[:, None], mlo.distance[:, None])
    return torch.stack([known, distance, depth, size.abs()], dim=-1)


def _differences(one: Tensor, other: Tensor) -> Tensor:
    """The least difference of lengths [N, L] and [M, L], either L may be 1: [N, M] in centimetres."""
    return (one[:, None] - other).abs().amin(dim=-1).clamp_max(FURTHEST_MM) / UNIT_MM


def by_geometry(cc: Places, mlo: Places) -> Tensor:
    """Probability [N, M] that a mark in CC and one in MLO are one mass, of their geometry alone."""
    differences = geometry(cc, mlo)
    return torch.sigmoid(differences @ differences.new_tensor(list(WEIGHTS.values())) + BIAS)


def breasts(outputs: Sequence[ViewOutput]) -> list[tuple[int, int]]:
    """The indices of CC and MLO of each breast that both are of."""
    place = {output.view: i for i, output in enumerate(outputs)}
    of_cc = (view for view in place if view.position is ViewPosition.CC)
    return [(place[view], place[view.ipsilateral]) for view in of_cc if view.ipsilateral in place]


def linked(views: Sequence[ViewInput], outputs: Sequence[ViewOutput]) -> list[ViewOutput]:
    """The outputs of a detector that reads each view by itself, with the chance that two marks are one mass.

    Args:
        views: those that were read.
        outputs: one for each view, in the same order.
    """
    found = list(outputs)
    for cc, mlo in breasts(outputs):
        same = by_geometry(Places.of(views[cc], outputs[cc]), Places.of(views[mlo], outputs[mlo]))
        found[cc] = replace(outputs[cc], same_mass=same)
    return found


def shown(marks: ViewOutput, thresholds: Mapping[str, float]) -> Tensor:
    """Indices of the marks of a view that a reader sees: the best that reach the threshold of the view's route."""
    return torch.nonzero(marks.scores >= thresholds[marks.route])[:SHOWN, 0]


def all_pairs(outputs: Sequence[ViewOutput]) -> tuple[Tensor, Tensor]:
    """The pairs of all breasts: indices [P, 2] of the boxes of all views end to end, and probabilities [P]."""
    starts = torch.tensor([0, *(len(output.scores) for output in outputs)]).cumsum(0)
    indices, chances = [torch.zeros(0, 2, dtype=torch.long)], [torch.zeros(0)]
    for cc, mlo in breasts(outputs):
        same = outputs[cc].same_mass
        if same is not None:
            indices.append(torch.ones(same.shape).nonzero() + starts[[cc, mlo]])
            chances.append(same.flatten().cpu())
    return torch.cat(indices), torch.cat(chances)
