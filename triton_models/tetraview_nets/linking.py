"""How likely two marks in CC and MLO of one breast are one mass, by where they lie and how large they are.

Compression turns and flattens the breast, but a mass keeps about its distance from the nipple, about its depth behind
the breast's front and about its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

import torch
from torch import Tensor

from tetraview.domain.view import ViewPosition
from tetraview_nets.blocks.landmark import MIN_CONFIDENCE
from tetraview_nets.system import ViewInput, ViewOutput

#: Log odds of one mass: a constant, and what each column of ``geometry`` adds. Of the phantoms' validation exams as
#: MommiNet-v2 marks them: ``tetraview_nets mommi link --geometry``.
BIAS = 0.0
WEIGHTS = MappingProxyType({"nipple": 0.0, "distance": 0.0, "depth": 0.0, "size": 0.0})
#: Columns of ``geometry``.
COLUMNS = tuple(WEIGHTS)
#: Beyond this a difference tells no more, millimetres.
FURTHEST_MM = 40.0
#: Lengths are counted in this.
UNIT_MM = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Where the marks of one view lie in the breast, and how large they are; lengths are millimetres."""

    #: [N], from the nipple to the middle of each; None where the nipple was not found.
    distance: Tensor | None
    #: [N], how far the middle of each lies behind the breast's front, as seen from the chest wall.
    depth: Tensor
    #: [N], the root of each box's area.
    size: Tensor

    @classmethod
    def of(cls, view: ViewInput, marks: ViewOutput) -> Self:
        """The places of a view's marks."""
        x, y, confidence = marks.nipple
        boxes = marks.boxes.reshape(-1, 4) * view.spacing_mm
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        front = view.breast_mask.any(dim=0).nonzero().amax() + 1
        nipple = middle.new_tensor([x, y]) * view.spacing_mm
        return cls(
            distance=torch.linalg.vector_norm(middle - nipple, dim=1) if confidence >= MIN_CONFIDENCE else None,
            depth=front * view.spacing_mm - middle[:, 0],
            size=(boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt(),
        )


def geometry(cc: Places, mlo: Places) -> Tensor:
    """How the marks of both views of a breast differ: [N, M, 4], columns as in ``COLUMNS``.

    Whether both nipples are known, the difference of the distances from them in centimetres (0 where they are not),
    that of the depths, and the logarithm of the ratio of the sizes without its sign.
    """
    depth, size = _differences(cc.depth, mlo.depth), cc.size.log()[:, None] - mlo.size.log()
    known, distance = torch.zeros_like(depth), torch.zeros_like(depth)
    if cc.distance is not None and mlo.distance is not None:
        known, distance = torch.ones_like(depth), _differences(cc.distance, mlo.distance)
    return torch.stack([known, distance, depth, size.abs()], dim=-1)


def _differences(one: Tensor, other: Tensor) -> Tensor:
    return (one[:, None] - other).abs().clamp_max(FURTHEST_MM) / UNIT_MM


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
    """The outputs of a detector that reads each view by itself, with what their geometry says of pairs.

    Args:
        views: what was read.
        outputs: one for each of them, in the same order.
    """
    found = list(outputs)
    for cc, mlo in breasts(outputs):
        same = by_geometry(Places.of(views[cc], outputs[cc]), Places.of(views[mlo], outputs[mlo]))
        found[cc] = replace(outputs[cc], same_mass=same)
    return found
