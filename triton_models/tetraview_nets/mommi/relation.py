"""The relation block: RoIs of one view attend to the RoIs of the other view of the same breast.

MommiNet-v2's relation block, with the attention of H. Hu and others, "Relation Networks for Object Detection", CVPR
2018. A mass lies at about the same distance from the nipple in both projections, hence the geometry of the paper:
the logarithms of the ratios of nipple distance, width and height.

Deviations: lengths are millimetres, because two views may be resized differently; an optional learnt key and value
(the null token) gives the softmax something to attend to when the other view shows no counterpart; the value is
projected per head before it is weighted, which is the same map as weighting first and costs less.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tetraview_nets.mommi.presets import Geometry

#: Sine and cosine at this many wavelengths for each ratio.
WAVELENGTHS = 8
MIN_DISTANCE_MM = 1.0
MIN_GATE = 1e-6
MASKED = -1e4


def geometry_width(geometry: Geometry) -> int:
    """Dimensions of the embedded geometry: 48, or 64 for the four box ratios, 0 for none."""
    ratios = {"nipple": 3, "dummy_centre": 3, "box_xywh": 4, "none": 0}[geometry]
    return ratios * 2 * WAVELENGTHS


def embed(ratios: Tensor) -> Tensor:
    """Sine and cosine of ``100 g / 1000^(k/8)``, k = 0..7, of the last dimension: [..., G] to [..., 16 G]."""
    k = torch.arange(WAVELENGTHS, device=ratios.device)
    phase = (100 * ratios[..., None] / 1000 ** (k / WAVELENGTHS)).flatten(-2)
    return torch.cat([phase.sin(), phase.cos()], dim=-1)


def _centre_and_size(boxes: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
    millimetres = boxes * spacing[:, None, None]
    size = (millimetres[..., 2:] - millimetres[..., :2]).clamp_min(MIN_DISTANCE_MM)
    return (millimetres[..., :2] + millimetres[..., 2:]) / 2, size


def nipple_ratios(
    main: Tensor, aux: Tensor, *, points: tuple[Tensor, Tensor], spacing: tuple[Tensor, Tensor]
) -> Tensor:
    """The paper's geometry, ``log(d_m / d_a), log(w_m / w_a), log(h_m / h_a)`` for every pair of RoIs.

    Args:
        main: RoIs of the view that is read, [B, R, 4] in its pixels.
        aux: RoIs of the other view, [B, A, 4] in its pixels.
        points: the nipple, or the point that stands for it, in main and aux, [B, 2] each.
        spacing: millimetres per pixel of main and aux, [B] each.

    Returns:
        [B, R, A, 3].
    """
    logs = []
    for boxes, point, mm in zip((main, aux), points, spacing, strict=True):
        centre, size = _centre_and_size(boxes, mm)
        distance = torch.linalg.vector_norm(centre - (point * mm[:, None])[:, None], dim=-1, keepdim=True)
        logs.append(torch.cat([distance.clamp_min(MIN_DISTANCE_MM), size], dim=-1).log())
    return logs[0][:, :, None] - logs[1][:, None]


def box_ratios(main: Tensor, aux: Tensor, *, spacing: tuple[Tensor, Tensor]) -> Tensor:
    """Relation Networks' geometry, ``log(|dx| / w), log(|dy| / h)`` and the logs of the sides' ratios: [B, R, A, 4]."""
    (centre, size), (other, other_size) = (_centre_and_size(b, mm) for b, mm in zip((main, aux), spacing, strict=True))
    shift = (centre[:, :, None] - other[:, None]).abs().clamp_min(MIN_DISTANCE_MM)
    ratio = size.log()[:, :, None] - other_size.log()[:, None]
    return torch.cat([shift.log() - size.log()[:, :, None], ratio], dim=-1)


class RelationBlock(nn.Module):
    """The gain of the main view's RoIs from those of the auxiliary view."""

    def __init__(self, *, width: int, heads: int, geometry: int, null_token: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.gate = nn.Linear(geometry, heads) if geometry else None
        self.null_key = nn.Parameter(torch.randn(width) * 0.01) if null_token else None
        self.null_value = nn.Parameter(torch.zeros(width)) if null_token else None

    def attention(
        self, main: Tensor, aux: Tensor, *, aux_valid: Tensor, geometry: Tensor | None, geometry_ok: Tensor
    ) -> Tensor:
        """How much each RoI of main looks at each of aux.

        Args:
            main: features [B, R, D].
            aux: features [B, A, D].
            aux_valid: bool [B, A]; False hides a RoI, all False hides the view.
            geometry: embedded geometry [B, R, A, G], or None where the block has no gate.
            geometry_ok: bool [B]; False leaves the attention to appearance alone.

        Returns:
            [B, heads, R, A], or [B, heads, R, A + 1] with the null token last. Rows add up to one, without a null token
            to less where RoIs are hidden.
        """
        query, key = self._split(self.query(main)), self._split(self.key(aux))
        logits = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        if self.gate is not None and geometry is not None:
            gate = self.gate(geometry).relu().clamp_min(MIN_GATE).log().permute(0, 3, 1, 2)
            logits = logits + gate * geometry_ok[:, None, None, None]
        valid = aux_valid[:, None, None]
        logits = logits.masked_fill(~valid, MASKED)
        if self.null_key is None:
            hidden: Tensor = logits.softmax(dim=-1) * valid
            return hidden
        null = query @ self.null_key.reshape(self.heads, -1, 1) / query.shape[-1] ** 0.5
        return torch.cat([logits, null], dim=-1).softmax(dim=-1)

    def forward(self, weights: Tensor, aux: Tensor) -> Tensor:
        """The gain of main from the RoIs that it looks at.

        Args:
            weights: those of ``attention``.
            aux: features [B, A, D].

        Returns:
            [B, R, D]; zeros where neither a RoI nor a null token can be attended to.
        """
        value = self._split(self.value(aux))
        if self.null_value is None:
            return self._join(weights @ value)
        rest = weights[..., -1:] * self.null_value.reshape(self.heads, 1, -1)
        return self._join(weights[..., :-1] @ value + rest)

    def _split(self, x: Tensor) -> Tensor:
        """[B, N, D] to [B, heads, N, D / heads]."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    @staticmethod
    def _join(x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)
