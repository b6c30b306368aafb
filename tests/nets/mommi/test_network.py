"""Reading an exam with MommiNet-v2."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tetraview.domain.view import Route, View
from tetraview_nets.mommi.network import MommiNet, box_score
from tetraview_nets.mommi.outline import trace
from tetraview_nets.mommi.presets import PRESETS, MommiPreset
from tetraview_nets.mommi.relation import RelationBlock
from tetraview_nets.system import ViewInput, ViewOutput

TINY = PRESETS["tiny"]


def half_ellipse(*, depth: float = 100, half: float = 70) -> Tensor:
    """A breast on the chest wall: bool [256, 128]."""
    y, x = torch.meshgrid(torch.arange(256) + 0.5, torch.arange(128) + 0.5, indexing="ij")
    return (x / depth) ** 2 + ((y - 128) / half) ** 2 <= 1


def exam(slots: Iterable[View] = View, *, mask: Tensor | None = None) -> list[ViewInput]:
    """Noise breasts, one per slot, each with a bright disc."""
    breast = half_ellipse() if mask is None else mask
    y, x = torch.meshgrid(torch.arange(256) + 0.5, torch.arange(128) + 0.5, indexing="ij")
    disc = (((x - 50) ** 2 + (y - 120) ** 2) <= 12**2).float()
    images = {
        slot: torch.rand(256, 128, generator=torch.Generator().manual_seed(i)) * 0.4 + 0.5 * disc
        for i, slot in enumerate(View)
    }
    return [ViewInput(view=slot, image=images[slot] * breast, breast_mask=breast, spacing_mm=0.9) for slot in slots]


def detector(preset: MommiPreset = TINY) -> MommiNet:
    """An untrained detector that is nevertheless sure of something: its maps follow the image's brightness."""
    torch.manual_seed(4)
    network = MommiNet(preset).eval()
    for layer in (network.fusion.logit, network.bi.head.logit, network.ipsi.head.classifier):
        torch.nn.init.normal_(layer.weight, std=1.0)
        torch.nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network


@pytest.fixture(scope="module")
def network() -> MommiNet:
    """One detector for all tests that do not change it."""
    return detector()


def same(a: ViewOutput, b: ViewOutput) -> bool:
    """Whether two readings of a view are equal to the last bit."""
    outlines = len(a.outlines) == len(b.outlines) and all(map(torch.equal, a.outlines, b.outlines))
    tensors = all(torch.equal(getattr(a, n), getattr(b, n)) for n in ("boxes", "scores", "fusion_map"))
    return outlines and tensors and (a.route, a.nipple, a.warnings) == (b.route, b.nipple, b.warnings)


def test_a_reading_is_whole(network: MommiNet) -> None:
    """Each view has boxes, scores and outlines that belong together, inside the image, best first, at most twenty."""
    found = network.read(exam())
    assert sum(len(out.boxes) for out in found) > 0
    for out in found:
        assert len(out.boxes) == len(out.scores) == len(out.outlines) <= 20
        assert (out.scores.diff() <= 0).all()
        assert ((out.scores >= 0.05) & (out.scores <= 1)).all()
        assert (out.boxes[:, 2:] > out.boxes[:, :2]).all()
        for outline in out.outlines:
            assert outline.shape[0] >= 3
            assert ((outline >= 0) & (outline <= torch.tensor([128, 256]))).all()
        assert out.fusion_map.shape == (256, 128)
        assert not out.fusion_map[~half_ellipse()].any()


def test_each_view_passes_the_ipsilateral_backbone_once(network: MommiNet) -> None:
    """A four-view exam costs exactly four backbone passes, not eight for pairs or twelve for fusion."""
    passes: list[int] = []
    hook = network.ipsi.backbone.stem.register_forward_hook(
        lambda _module, inputs, _output: passes.append(len(inputs[0]))
    )
    network.read(exam())
    hook.remove()
    assert sum(passes) == 4


def test_the_order_of_the_views_does_not_matter(network: MommiNet) -> None:
    """Views given in any order have equal readings, to the last bit, in the order given."""
    straight = {v.view: out for v, out in zip(exam(), network.read(exam()), strict=True)}
    slots = [View.L_MLO, View.R_CC, View.R_MLO, View.L_CC]
    assert all(same(out, straight[slot]) for slot, out in zip(slots, network.read(exam(slots)), strict=True))


@pytest.mark.parametrize(
    ("slots", "routes"),
    [
        (list(View), [Route.TRI] * 4),
        ([View.R_CC, View.R_MLO], [Route.IPSI] * 2),
        ([View.R_CC, View.L_CC], [Route.BI] * 2),
        ([View.R_CC], [Route.SINGLE]),
        ([View.R_CC, View.L_CC, View.L_MLO], [Route.BI, Route.TRI, Route.IPSI]),
        ([View.R_CC, View.L_MLO], [Route.SINGLE] * 2),
    ],
)
def test_routes_of_incomplete_exams(network: MommiNet, slots: list[View], routes: list[Route]) -> None:
    """A view is read with the companions that are present, and its route says which."""
    assert [out.route for out in network.read(exam(slots))] == routes


def test_breasts_that_do_not_register_are_not_compared(network: MommiNet) -> None:
    """When the opposite breast does not fit, the bilateral branch is dropped with a warning that names the view."""
    views = exam()
    thin = half_ellipse(depth=25)
    views = [replace(v, breast_mask=thin, image=v.image * thin) if v.view is View.L_CC else v for v in views]
    found = {v.view: out for v, out in zip(views, network.read(views), strict=True)}
    assert found[View.R_CC].route is found[View.L_CC].route is Route.IPSI
    assert found[View.R_MLO].route is Route.TRI
    assert any(w.startswith("R-CC: the opposite breast overlaps only") for w in found[View.R_CC].warnings)


def test_a_missing_nipple_is_said(network: MommiNet) -> None:
    """An untrained nipple network is not trusted: the apex replaces it, and a warning starts with the view's name."""
    for view, out in zip(exam(), network.read(exam()), strict=True):
        assert out.nipple[2] < 0.5
        assert out.nipple[0] == pytest.approx(100, abs=1)
        assert any(w.startswith(f"{view.view}: the nipple was not found") for w in out.warnings)


class _NippleInTheCorner(torch.nn.Module):
    """Claims with certainty a nipple at the chest wall, far above the apex."""

    def forward(self, image: Tensor) -> Tensor:
        heat = torch.zeros(len(image), 1, 32, 16)
        heat[:, :, 4, 1] = 0.9
        return heat


def test_a_nipple_that_is_not_trusted_is_told_with_no_confidence() -> None:
    """A place far from the apex gets confidence 0 and a warning, however sure the nipple network is."""
    network = detector()
    network.nipple = _NippleInTheCorner()  # type: ignore[assignment]
    for view, out in zip(exam(), network.read(exam()), strict=True):
        assert out.nipple[2] == 0
        assert f"{view.view}: the nipple was found far from the breast's apex and is not used." in out.warnings


def test_untrusted_nipples_switch_the_geometry_off() -> None:
    """Without trusted nipples the reading is that of a detector whose relation blocks have no gate."""
    blunt = torch.zeros(256, 128, dtype=torch.bool)
    blunt[20:236, :100] = True
    network = detector()
    before = network.read(exam(mask=blunt))
    for relation in network.ipsi.head.relations:
        assert isinstance(relation, RelationBlock)
        relation.gate = None
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(before, network.read(exam(mask=blunt)), strict=True))


def test_paper_features_feed_the_fusion() -> None:
    """A detector whose fusion reads all branches gives a reading too."""
    assert len(detector(replace(TINY, fusion_source="concat")).read(exam())) == 4


def test_what_cannot_be_read_is_refused(network: MommiNet) -> None:
    """No view, a slot twice or an image of another size is refused by name."""
    with pytest.raises(ValueError, match="one to four different views"):
        network.read([])
    with pytest.raises(ValueError, match="one to four different views"):
        network.read(exam([View.R_CC, View.R_CC]))
    small = replace(exam()[0], image=torch.zeros(64, 64))
    with pytest.raises(ValueError, match="R-CC: the tiny preset reads 256x128"):
        network.read([small])


def test_score_of_a_box_is_its_top_tenth() -> None:
    """The score is the mean of the highest tenth of the pixels a box touches."""
    fusion_map = torch.zeros(20, 20)
    fusion_map[5, 5:10] = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.9])
    assert box_score(fusion_map.numpy(), [5.0, 5.0, 15.0, 7.0]) == pytest.approx((0.9 + 0.4) / 2)


def test_outline_of_a_disc() -> None:
    """The outline of a disc follows its edge to half a pixel, in pixel-corner coordinates."""
    y, x = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    distance = ((x - 30) ** 2 + (y - 25) ** 2).sqrt()
    outline = trace(torch.sigmoid(4 * (10 - distance)), torch.tensor([20.0, 15.0, 40.0, 35.0]))
    radius = (outline - torch.tensor([30.0, 25.0])).norm(dim=1)
    assert radius.min() > 9.3
    assert radius.max() < 10.5


def test_outline_of_nothing_is_an_ellipse() -> None:
    """Where the map has no region with an area, the outline is the ellipse in the box."""
    speck = torch.zeros(40, 40)
    speck[20, 20] = 0.9
    outline = trace(speck, torch.tensor([20.2, 20.2, 20.8, 20.8]))
    assert len(outline) >= 3
    flat = trace(torch.zeros(0, 40), torch.tensor([10.0, 10.0, 20.0, 30.0]))
    assert flat.shape == (32, 2)
    assert flat.amin(0).tolist() == pytest.approx([10.0, 10.0])
    assert flat.amax(0).tolist() == pytest.approx([20.0, 30.0])
