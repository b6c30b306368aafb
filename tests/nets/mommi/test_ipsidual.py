"""IpsiDualNet-v2: matching, losses and detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tetraview_nets.mommi.ipsidual import Companions, IpsiDualNet, RoIs, sample
from tetraview_nets.mommi.presets import PRESETS, Geometry
from tetraview_nets.mommi.rpn import match

TINY = PRESETS["tiny"]
NONE = torch.zeros(0, 4)


def views(number: int, seed: int = 0) -> Tensor:
    """Random images [B, 1, 256, 128]."""
    return torch.rand(number, 1, 256, 128, generator=torch.Generator().manual_seed(seed))


def losses(
    network: IpsiDualNet,
    main: Tensor,
    aux: Tensor,
    boxes: Sequence[Tensor],
    *,
    present: bool = True,
    seed: int = 0,
) -> dict[str, Tensor]:
    """The losses of pairs that share their boxes and nipple, with fixed sampling."""
    torch.manual_seed(seed)
    number = len(main)
    nipple, spacing = torch.tensor([[100.0, 128.0]] * number), torch.full((number,), 0.9)
    flag = torch.tensor([present] * number)
    nothing = torch.zeros_like(main, dtype=torch.bool)
    return network.loss(
        main,
        aux,
        main_boxes=boxes,
        aux_boxes=boxes,
        main_nipple=nipple,
        aux_nipple=nipple,
        main_spacing=spacing,
        aux_spacing=spacing,
        aux_present=flag,
        geometry_ok=flag,
        main_ignored=nothing,
        aux_ignored=nothing,
    )


def companions(partner: list[int], *, spacing: float = 0.9) -> Companions:
    """Views whose nipples are in the same place."""
    number = len(partner)
    return Companions(
        partner=torch.tensor(partner),
        nipple=torch.tensor([[100.0, 128.0]] * number),
        spacing=torch.full((number,), spacing),
        geometry_ok=torch.ones(number, dtype=torch.bool),
    )


def test_anchors_find_their_masses() -> None:
    """Overlap of half or more is positive, under 0.3 background, between ignored; every mass has its best anchor."""
    anchors = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 16], [0, 3, 10, 17], [50, 50, 60, 60], [90, 90, 91, 91]]).float()
    truth = torch.tensor([[0, 0, 10, 10], [50, 50, 90, 90]]).float()
    target, owner = match(anchors, truth)
    assert target.tolist() == [1, 1, -1, 1, 0]
    assert owner[:4].tolist() == [0, 0, 0, 1]
    assert match(anchors, NONE)[0].tolist() == [0] * 5


def test_sampling_holds_a_quarter_of_masses() -> None:
    """At most a quarter of the drawn RoIs overlap a mass, the number is held, and the mass itself can be drawn."""
    truth = torch.tensor([[10.0, 10.0, 20.0, 20.0]])
    near = truth + torch.rand(30, 1, generator=torch.Generator().manual_seed(0))
    far = truth + 50 + torch.arange(30)[:, None]
    drawn = sample(torch.cat([near, far]), truth, number=16)
    assert len(drawn) == 16
    assert (drawn[:, 0] < 30).sum() == 4
    assert torch.equal(sample(far, truth, number=64)[0], truth[0])
    assert len(sample(far, NONE, number=16)) == 16


def test_padding_marks_what_is_real() -> None:
    """Lists of RoIs of unequal length become one tensor and a mask, also when all are empty."""
    rois = RoIs.of([torch.ones(2, 4), NONE])
    assert rois.boxes.shape == (2, 2, 4)
    assert rois.valid.tolist() == [[True, True], [False, False]]
    assert RoIs.of([NONE]).valid.tolist() == [[False]]


def test_losses_are_finite_without_a_mass() -> None:
    """Normal pairs give four finite losses of which those of boxes are zero, and finite gradients."""
    network = IpsiDualNet(TINY)
    found = losses(network, views(2), views(2, 1), [NONE, NONE])
    assert set(found) == {"rpn_focal", "rpn_diou", "roi_focal", "roi_diou"}
    assert found["rpn_diou"] == found["roi_diou"] == 0
    total = torch.stack(list(found.values())).sum()
    torch.autograd.backward(total)
    assert total.isfinite()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("geometry", ["nipple", "dummy_centre", "box_xywh", "none"])
def test_every_geometry_trains(geometry: Geometry) -> None:
    """Each relation geometry gives finite losses."""
    network = IpsiDualNet(replace(TINY, geometry=geometry))
    assert all(
        v.isfinite() for v in losses(network, views(1), views(1, 1), [torch.tensor([[40.0, 90, 60, 120]])]).values()
    )


def test_without_relation_the_streams_are_joined() -> None:
    """The ablation without relation blocks trains, and its result depends on the other view."""
    network = IpsiDualNet(replace(TINY, relation=False)).eval()
    assert all(v.isfinite() for v in losses(network, views(1), views(1, 1), [NONE]).values())
    pyramid, other = network.features(views(2)), network.features(torch.cat([views(1), views(1, 9)]))
    rois = RoIs.of([torch.tensor([[40.0, 90.0, 60.0, 120.0]])] * 2)
    with torch.inference_mode():
        a, b = (network.head(p, rois, companions([1, 0]))[0][0] for p in (pyramid, other))
    assert not torch.allclose(a, b, rtol=1e-6, atol=0)


def test_steps_on_one_batch_lower_the_loss() -> None:
    """Some steps on one fixed pair at least halve the sum of the losses."""
    torch.manual_seed(0)
    network, boxes = IpsiDualNet(TINY), [torch.tensor([[40.0, 100.0, 64.0, 124.0]])]
    main, aux = views(1) * 0.3, views(1, 1) * 0.3
    for image in (main, aux):
        image[..., 100:124, 40:64] += 0.5
    optimiser, history = torch.optim.AdamW(network.parameters(), lr=2e-3), []
    for step in range(30):
        optimiser.zero_grad()
        total = torch.stack(list(losses(network, main, aux, boxes, seed=step).values())).sum()
        torch.autograd.backward(total)
        optimiser.step()
        history.append(total.item())
    assert sum(history[-3:]) / 3 < history[0] / 2


def test_an_absent_view_does_not_count() -> None:
    """With the other view absent the losses do not depend on its pixels."""
    network = IpsiDualNet(TINY).eval()
    boxes = [torch.tensor([[40.0, 90.0, 60.0, 120.0]])]
    first = losses(network, views(1), views(1, 1), boxes, present=False)
    second = losses(network, views(1), torch.full((1, 1, 256, 128), torch.nan), boxes, present=False)
    assert first == second


def test_detection_of_a_pair_and_of_one_view() -> None:
    """Detections lie in the image by falling score, do not overlap much, and repeat exactly."""
    torch.manual_seed(2)
    network = IpsiDualNet(TINY).eval()
    torch.nn.init.normal_(network.head.classifier.weight, std=0.5)
    images = torch.cat([views(1), views(1, 1)])
    with torch.inference_mode():
        pyramid, main = network.features(images), network.features(images[:1])
    alone = network.detect_all(main, companions([-1]))[0]
    boxes, scores = network.detect_all(pyramid, companions([1, 0]))[0]
    again = network.detect_all(pyramid, companions([1, 0]))[0]
    assert len(boxes) == len(scores) > 0
    assert torch.equal(boxes, again[0])
    assert (scores.diff() <= 0).all()
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= 128
    assert boxes[:, 3].max() <= 256
    assert not torch.equal(alone[1], scores)


def test_batched_equals_single() -> None:
    """Two pairs in one batch give what each gives alone."""
    torch.manual_seed(2)
    network = IpsiDualNet(TINY).eval()
    torch.nn.init.normal_(network.head.classifier.weight, std=0.5)
    images = views(4)
    with torch.inference_mode():
        together = network.detect_all(network.features(images), companions([1, 0, 3, 2]))
        pairs = [network.detect_all(network.features(images[i : i + 2]), companions([1, 0])) for i in (0, 2)]
    for (boxes, scores), (other, other_scores) in zip(together, [*pairs[0], *pairs[1]], strict=True):
        torch.testing.assert_close(boxes, other, rtol=1e-3, atol=1e-2)
        torch.testing.assert_close(scores, other_scores, rtol=1e-3, atol=1e-4)
