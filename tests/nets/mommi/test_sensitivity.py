"""Each part of MommiNet-v2 depends on its own inputs and on no others, shown by changing one input at a time.

The networks are untrained; their last layers are spread out, so that every input they read shows in their output.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from tetraview.domain.view import Route, View
from tetraview_nets.mommi.bidual import BiDualNet
from tetraview_nets.mommi.fusion import FusionNet
from tetraview_nets.mommi.ipsidual import Companions, RoIHead, RoIs
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS, Geometry
from tetraview_nets.mommi.roi import POOLED
from tetraview_nets.system import ViewInput

TINY = PRESETS["tiny"]
HEIGHT, WIDTH = TINY.height, TINY.width
FEATURES = TINY.pyramid * POOLED**2
R_CC, L_CC, R_MLO, L_MLO = View.R_CC, View.L_CC, View.R_MLO, View.L_MLO


def noise(*shape: int, seed: int) -> Tensor:
    """The same numbers in [0, 1], whatever code ran before."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Input of the head from the two views of one breast: row 0 is the view asked for, row 1 the other."""

    #: [2, R, C * 49].
    features: Tensor
    #: [2, R, 4] canonical pixels.
    boxes: Tensor
    #: [2, 2] canonical pixels.
    nipple: Tensor
    #: [2] millimetres per pixel.
    spacing: Tensor
    #: Index of the other view of each view. The other view has none itself: otherwise any change in it would reach the
    #: view asked for through the first relation block, even if the second read its own.
    partner: tuple[int, int] = (1, -1)
    geometry_ok: bool = True


def pair() -> Pair:
    """Five RoIs in each view, all different."""
    corner = noise(2, 5, 2, seed=1) * torch.tensor([80.0, 200.0])
    boxes = torch.cat([corner, corner + 6 + 30 * noise(2, 5, 2, seed=2)], dim=-1)
    nipple = torch.tensor([[100.0, 128.0], [90.0, 150.0]])
    return Pair(features=noise(2, 5, FEATURES, seed=3), boxes=boxes, nipple=nipple, spacing=torch.tensor([0.9, 0.8]))


def moved(values: Tensor, by: float, *, row: int) -> Tensor:
    """The values with one row moved."""
    changed = values.clone()
    changed[row] += by
    return changed


def head(geometry: Geometry = "nipple") -> RoIHead:
    """An untrained head in which the other view weighs as much as the view itself."""
    torch.manual_seed(0)
    built = RoIHead(replace(TINY, geometry=geometry)).eval()
    for relation in built.relations:
        torch.nn.init.normal_(relation.value.weight, std=0.3)  # type: ignore[union-attr, arg-type]
        if relation.gate is not None:
            torch.nn.init.normal_(relation.gate.weight, std=1.0)  # type: ignore[union-attr, arg-type]
    torch.nn.init.normal_(built.classifier.weight, std=1.0)
    return built


@torch.no_grad()
def judged(built: RoIHead, seen: Pair) -> Tensor:
    """Logits [R] of the view asked for."""
    rois = RoIs(boxes=seen.boxes, valid=torch.ones(seen.boxes.shape[:2], dtype=torch.bool))
    companions = Companions(
        partner=torch.tensor(seen.partner),
        nipple=seen.nipple,
        spacing=seen.spacing,
        geometry_ok=torch.tensor([seen.geometry_ok] * 2),
    )
    return built.judge(seen.features, rois, companions)[0][0]


def differ(one: Tensor, other: Tensor) -> bool:
    """Whether numbers differ by more than rounding."""
    return bool((one - other).abs().max() > 1e-3)


OTHER_VIEW = {
    "features": replace(pair(), features=moved(pair().features, 0.5, row=1)),
    "boxes": replace(pair(), boxes=moved(pair().boxes, 20.0, row=1)),
    "nipple": replace(pair(), nipple=moved(pair().nipple, 20.0, row=1)),
    "spacing": replace(pair(), spacing=moved(pair().spacing, 0.3, row=1)),
}
OWN_VIEW = {
    "features": replace(pair(), features=moved(pair().features, 0.5, row=0)),
    "boxes": replace(pair(), boxes=moved(pair().boxes, 20.0, row=0)),
    "nipple": replace(pair(), nipple=moved(pair().nipple, 20.0, row=0)),
    "spacing": replace(pair(), spacing=moved(pair().spacing, 0.3, row=0)),
}


@pytest.mark.parametrize("changed", OTHER_VIEW)
def test_the_head_reads_all_of_the_other_view(changed: str) -> None:
    """A RoI's logit depends on the other view's features, boxes, nipple and spacing."""
    assert differ(judged(head(), pair()), judged(head(), OTHER_VIEW[changed]))


@pytest.mark.parametrize("changed", OWN_VIEW)
def test_the_head_reads_all_of_its_own_view(changed: str) -> None:
    """A RoI's logit depends on its own view's features, boxes, nipple and spacing."""
    assert differ(judged(head(), pair()), judged(head(), OWN_VIEW[changed]))


@pytest.mark.parametrize("changed", OTHER_VIEW)
def test_a_missing_view_is_not_read(changed: str) -> None:
    """Where the other view is missing, no value in its place in the batch changes a logit."""
    alone, filled = (replace(seen, partner=(-1, -1)) for seen in (pair(), OTHER_VIEW[changed]))
    assert torch.equal(judged(head(), alone), judged(head(), filled))


@pytest.mark.parametrize("changed", ["boxes", "nipple", "spacing"])
@pytest.mark.parametrize("side", [OTHER_VIEW, OWN_VIEW], ids=["other", "own"])
def test_geometry_that_is_not_trusted_is_not_read(side: dict[str, Pair], changed: str) -> None:
    """Where a nipple cannot be trusted, neither places nor lengths of either view change a logit."""
    usual, untrusted = (replace(seen, geometry_ok=False) for seen in (pair(), side[changed]))
    assert torch.equal(judged(head(), usual), judged(head(), untrusted))


@pytest.mark.parametrize("geometry", ["dummy_centre", "box_xywh", "none"])
@pytest.mark.parametrize("side", [OTHER_VIEW, OWN_VIEW], ids=["other", "own"])
def test_an_ablation_without_nipples_reads_none(side: dict[str, Pair], geometry: Geometry) -> None:
    """The geometries that the paper compares with the nipple's do not depend on where a nipple is."""
    assert torch.equal(judged(head(geometry), pair()), judged(head(geometry), side["nipple"]))


def test_the_head_tells_the_views_apart() -> None:
    """Views with equal boxes and nipples but different features are not read as equal views."""
    seen = pair()
    alike = replace(seen, features=seen.features[:1].repeat(2, 1, 1))
    assert differ(judged(head(), seen), judged(head(), alike))


@pytest.mark.parametrize("gained", [0.1, -0.1])
def test_a_relation_is_added_before_the_relu(gained: float) -> None:
    """A RoI's gain from the other view is added to its features before they are rectified, in both layers."""
    built = head()
    made: list[Tensor] = []
    read: list[Tensor] = []
    for relation in built.relations:
        relation.register_forward_hook(lambda _module, _given, found: torch.full_like(found, gained))
    for layer in built.layers:
        layer.register_forward_hook(lambda _module, _given, found: made.append(found))
    for reader in (built.layers[1], built.classifier):
        reader.register_forward_pre_hook(lambda _module, given: read.append(given[0]))
    judged(built, pair())
    for features, rectified in zip(made, read, strict=True):
        assert features.min() < -abs(gained)
        torch.testing.assert_close(rectified, (features + gained).relu())


@torch.no_grad()
@pytest.mark.parametrize("side", [0, 1], ids=["view", "opposite"])
def test_the_bilateral_network_reads_both_images(side: int) -> None:
    """The bilateral map changes with the view and with the opposite breast."""
    torch.manual_seed(0)
    network = BiDualNet(TINY).eval()
    torch.nn.init.normal_(network.head.logit.weight, std=1.0)
    images = [noise(1, 1, HEIGHT, WIDTH, seed=seed) for seed in (1, 2)]
    changed = [image if i != side else noise(1, 1, HEIGHT, WIDTH, seed=9) for i, image in enumerate(images)]
    assert differ(network(*images), network(*changed))


@torch.no_grad()
@pytest.mark.parametrize("changed", range(4), ids=["features", "image", "ipsilateral map", "bilateral map"])
def test_the_fusion_network_reads_all_evidence(changed: int) -> None:
    """The fused map depends on features, image and the maps of both branches."""
    torch.manual_seed(0)
    network = FusionNet(TINY).eval()
    torch.nn.init.normal_(network.logit.weight, std=1.0)
    given = [noise(1, TINY.pyramid, HEIGHT // 4, WIDTH // 4, seed=0)]
    given += [noise(1, 1, HEIGHT, WIDTH, seed=seed) for seed in (1, 2, 3)]
    other = [value if i != changed else noise(*value.shape, seed=9) for i, value in enumerate(given)]
    shown = torch.tensor([True])
    assert differ(network(*given, shown, shown), network(*other, shown, shown))


def exam(slots: Iterable[View], *, changed: View | None = None) -> list[ViewInput]:
    """Noise in a breast, different in each view; one view's noise can be changed."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    breast = (x / 100) ** 2 + ((y - 128) / 70) ** 2 <= 1
    return [
        ViewInput(
            view=slot,
            image=noise(HEIGHT, WIDTH, seed=99 if slot is changed else list(View).index(slot)) * breast,
            breast_mask=breast,
            spacing_mm=0.9,
        )
        for slot in slots
    ]


@pytest.fixture(scope="module")
def network() -> MommiNet:
    """An untrained detector whose branches all find something."""
    torch.manual_seed(4)
    built = MommiNet(TINY).eval()
    for layer in (built.fusion.logit, built.bi.head.logit, built.ipsi.head.classifier):
        torch.nn.init.normal_(layer.weight, std=1.0)
        torch.nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return built


def test_a_view_is_compared_with_the_opposite_breast_only(network: MommiNet) -> None:
    """The bilateral map of a view depends on the opposite view's pixels, and not on the other view's of its breast."""
    usual, *others = (
        network.look(exam(View, changed=changed)).opposites[0].bi_map for changed in (None, L_CC, R_MLO, L_MLO)
    )
    assert usual is not None
    changes = [other is not None and differ(usual, other) for other in others]
    assert changes == [True, False, False]


@pytest.mark.parametrize("changed", [R_CC, L_CC])
def test_the_opposite_breast_reaches_the_fused_map(network: MommiNet, changed: View) -> None:
    """A change in either of two opposite views changes the fused map of both."""
    slots = (R_CC, L_CC)
    usual, other = (network.read(exam(slots, changed=view)) for view in (None, changed))
    assert all(found.route is Route.BI for found in usual)
    assert all(differ(a.fusion_map, b.fusion_map) for a, b in zip(usual, other, strict=True))


@torch.inference_mode()
def test_the_fused_map_depends_on_the_bilateral_map(network: MommiNet) -> None:
    """With all else equal, another bilateral map of one view changes that view's fused map and no other's."""
    look = network.look(exam(View))
    evidence = network.evidence(look)
    changed = [replace(evidence[0], bi_map=1 - evidence[0].bi_map), *evidence[1:]]
    usual, other = (network.fuse(look, each) for each in (evidence, changed))
    assert [differ(a, b) for a, b in zip(usual, other, strict=True)] == [True, False, False, False]


def test_the_ipsilateral_boxes_depend_on_the_breasts_own_two_views(network: MommiNet) -> None:
    """Scores of the ipsilateral network change with the other view of the breast, and not with the opposite breast."""
    usual, *others = (
        network.evidence(network.look(exam(View, changed=changed)))[0].ipsi for changed in (None, R_MLO, L_CC, L_MLO)
    )
    assert len(usual[1]) > 0
    changes = [not (torch.equal(usual[0], boxes) and torch.equal(usual[1], scores)) for boxes, scores in others]
    assert changes == [True, False, False]


def test_a_view_alone_is_read_as_in_any_exam_without_companions(network: MommiNet) -> None:
    """A view with neither companion reads the same whether the fourth view of the exam is there or not."""
    alone, beside = network.read(exam([R_CC]))[0], network.read(exam([R_CC, L_MLO]))[0]
    assert alone.route is beside.route is Route.SINGLE
    torch.testing.assert_close(alone.fusion_map, beside.fusion_map)
