"""Made-up images that take the way of real ones through a network, to warm it up and to trace it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tetraview.domain.frame import Frame
from tetraview.domain.view import View
from tetraview_nets.system import ViewInput

#: Radius of the disc as a share of the frame's width and of half its height; the chest wall halves the disc.
_RADIUS = 0.9


def exam_specimen(frame: Frame, views: Sequence[View] = tuple(View)) -> list[ViewInput]:
    """Half-discs with a bright spot, one in each of the views."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, frame.height), torch.linspace(0, 1, frame.width), indexing="ij")
    mask = torch.hypot(x, y) < _RADIUS
    spot = torch.exp(-((x - 0.3) ** 2 + y**2) / 0.005)
    image = torch.where(mask, 0.3 + 0.6 * spot, 0.0)
    return [ViewInput(view=view, image=image, breast_mask=mask, spacing_mm=frame.spacing_mm) for view in views]


def patch_specimen(size: int, *, count: int = 1) -> Tensor:
    """Ramps from black to white with a bright disc, float32 [count, size, size] in [0, 1]."""
    ramp = torch.linspace(0, 0.5, size**2).reshape(size, size)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    disc = 0.5 * (torch.hypot(x, y) < 0.5)  # noqa: PLR2004 - half of the square
    return (ramp + disc).repeat(count, 1, 1)
