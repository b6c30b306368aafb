"""Losses shared by the networks: focal, distance-IoU, Dice, and two tasks weighed by learnt uncertainties."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

ALPHA = 0.25
GAMMA = 2.0

#: A batch without a mass still has this fraction of its pixels as the focal sum's normaliser.
MIN_POSITIVE_FRACTION = 1e-3


def focal(logits: Tensor, target: Tensor, *, alpha: float = ALPHA, gamma: float = GAMMA) -> Tensor:
    """Focal loss of each element, ``-alpha_t (1 - p_t)^gamma log p_t`` (Lin and others, ICCV 2017, eq. 5).

    Args:
        logits: of any shape.
        target: 0 or 1, the same shape.
        alpha: weight of the positives; the negatives weigh ``1 - alpha``.
        gamma: how strongly easy elements are discounted.
    """
    target = target.to(logits.dtype)
    sign = 2 * target - 1
    log_p = functional.logsigmoid(logits * sign)
    weight = alpha * target + (1 - alpha) * (1 - target)
    return -weight * torch.sigmoid(-logits * sign) ** gamma * log_p


def pixel_focal(logits: Tensor, mask: Tensor, ignored: Tensor | None = None) -> Tensor:
    """Focal loss summed over pixels, per positive pixel of the batch.

    Args:
        logits: [B, 1, H, W].
        mask: [B, 1, H, W], 1 or True inside a mass.
        ignored: bool [B, 1, H, W], pixels that do not count unless they are of a mass; None where all do.
    """
    positives = mask.to(logits.dtype).sum().clamp_min(MIN_POSITIVE_FRACTION * mask.numel())
    terms = focal(logits, mask)
    return (terms if ignored is None else terms * (~ignored | (mask > 0))).sum() / positives


def told_apart(logits: Tensor, mass: Tensor, mimic: Tensor) -> Tensor:
    """Cross-entropy on masses and on what looks like them, both kinds weighing the same however many there are.

    Focal loss discounts whatever is not sure, so that a network is long content to call every round density half a
    mass; only here does it pay to look at the other views. Phantoms know their mimics; real mammograms do not: where
    one of the kinds is missing there is nothing to tell apart, and the loss is zero.

    Args:
        logits: of any shape.
        mass: bool, the same shape.
        mimic: bool, the same shape.
    """
    terms = functional.binary_cross_entropy_with_logits(logits, mass.to(logits.dtype), reduction="none")
    both = torch.stack([torch.where(on, terms, 0.0).sum() / on.sum().clamp_min(1) for on in (mass, mimic)]).sum()
    return both * (mass.any() & mimic.any())


def diou(boxes: Tensor, targets: Tensor) -> Tensor:
    """Distance-IoU loss of each box, ``1 - IoU + rho^2 / d^2`` in [0, 2) (Zheng and others, AAAI 2020, eq. 7).

    Args:
        boxes: [N, 4], x0 y0 x1 y1 in pixels.
        targets: [N, 4], the same frame.
    """
    low, high = torch.maximum(boxes[:, :2], targets[:, :2]), torch.minimum(boxes[:, 2:], targets[:, 2:])
    shared = (high - low).clamp_min(0).prod(dim=1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    target_area = (targets[:, 2:] - targets[:, :2]).prod(dim=1)
    hull = torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2])
    apart = (boxes[:, :2] + boxes[:, 2:] - targets[:, :2] - targets[:, 2:]) / 2
    iou = shared / (area + target_area - shared).clamp_min(1e-6)
    return 1 - iou + apart.square().sum(dim=1) / hull.square().sum(dim=1).clamp_min(1e-6)


def dice(probability: Tensor, mask: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Dice loss, ``1 - (2 sum pg + s) / (sum p + sum g + s)`` per image, then the mean of the batch.

    Args:
        probability: [B, ...], in [0, 1].
        mask: [B, ...], the same shape, 1 or True inside.
        smooth: added to both sums so that an empty mask has a gradient.
    """
    p, g = probability.flatten(1), mask.flatten(1).to(probability.dtype)
    return (1 - (2 * (p * g).sum(1) + smooth) / (p.sum(1) + g.sum(1) + smooth)).mean()


#: Learnt log variances are held within these.
LOG_VARIANCES = (-4.0, 4.0)


def masked_mean(losses: Tensor, known: Tensor) -> Tensor:
    """The mean over the samples whose label is known; zero where none is.

    Args:
        losses: [B].
        known: bool [B].
    """
    # Not a product: an unknown label may be anything, also one whose loss is not finite.
    return torch.where(known, losses, 0.0).sum() / known.sum().clamp_min(1)


def kendall(classification: Tensor, regression: Tensor, log_variance: Tensor) -> dict[str, Tensor]:
    """Two losses weighed by learnt uncertainties, ``exp(-s1) CE + exp(-s2) MSE / 2 + (s1 + s2) / 2``.

    Kendall and others, CVPR 2018, eq. 10. MommiNet-v2 calls its sigmas the standard deviation of the outputs; learnt
    scalars are the only reading in which they are optimised. The sum may fall below 0.

    Args:
        classification: cross-entropy, a scalar.
        regression: mean squared error, a scalar.
        log_variance: [2], s1 and s2, the logarithm of both squared sigmas.

    Returns:
        Three terms that add up to the loss.
    """
    s1, s2 = log_variance.clamp(*LOG_VARIANCES)
    return {
        "classification": torch.exp(-s1) * classification,
        "regression": torch.exp(-s2) * regression / 2,
        "uncertainty": (s1 + s2) / 2,
    }
