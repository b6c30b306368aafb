"""The plain network: targets, windows, losses and reading."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tetraview import phantom
from tetraview_nets.blocks.resnet import STRIDE
from tetraview_nets.learning.augment import ViewSample, plain, window_of
from tetraview_nets.learning.cache import CanonicalExam, canonical_exam
from tetraview_nets.plain.network import PlainDetector, PlainNet
from tetraview_nets.plain.presets import PRESETS, SLIM, TINY
from tetraview_nets.plain.task import box_loss, heat_loss, target_of
from tetraview_nets.system import MAX_DETECTIONS


@pytest.fixture(scope="module")
def exam() -> CanonicalExam:
    """A phantom with a mass."""
    return canonical_exam(phantom.generate(3), TINY.frame)


@pytest.fixture
def network() -> PlainNet:
    """The tiny network, untrained."""
    torch.manual_seed(0)
    return PlainNet(TINY).eval()


def sample(boxes: list[list[float]], ignored: tuple[slice, slice] | None = None) -> ViewSample:
    """A grey view of 128x64 pixels with masses."""
    plane = np.zeros((128, 64), dtype=np.bool_)
    if ignored:
        plane[ignored] = True
    return ViewSample(
        image=np.full((128, 64), 0.5, dtype=np.float32),
        breast=np.ones((128, 64), dtype=np.bool_),
        mass=np.zeros((128, 64), dtype=np.bool_),
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        mimics=np.zeros((0, 4), dtype=np.float32),
        nipple=np.zeros(3, dtype=np.float32),
        spacing_mm=1.8,
        ignored=plane,
    )


def test_every_mass_has_one_centre_and_its_box() -> None:
    """The bell is 1 in the cell of a mass's middle and falls with its sides; cells around learn that mass's box."""
    target = target_of(sample([[8, 40, 32, 64], [40, 90, 48, 98]]))
    assert target.bell.shape == (128 // STRIDE, 64 // STRIDE)
    assert (target.bell == 1).nonzero().tolist() == [[13, 5], [23, 11]]
    assert target.bell[13, 7].item() == pytest.approx(float(np.exp(-((8 / 4) ** 2) / 2)), rel=1e-5)
    assert target.boxes[13, 6].tolist() == [8, 40, 32, 64]
    assert target.boxes[23, 11].tolist() == [40, 90, 48, 98]


def test_where_nothing_counts_nothing_is_learnt() -> None:
    """Ignored cells have no loss for any output, but a mass within them is still learnt."""
    target = target_of(sample([[8, 40, 32, 64]], (slice(0, 80), slice(0, 64))))
    assert target.ignored[:12].all()
    assert not target.ignored[13, 5]
    assert not target.ignored[20:].any()
    logits = torch.full_like(target.bell, -9.0)[None]
    logits[0, 2, 2] = 9.0
    quiet = heat_loss(logits, target.bell[None], target.ignored[None])
    logits[0, 25, 2] = 9.0
    assert heat_loss(logits, target.bell[None], target.ignored[None]) > quiet + 1


def test_the_losses_are_least_where_they_should() -> None:
    """A right map and right boxes cost nothing; an empty view costs its false marks and no box."""
    target = target_of(sample([[8, 40, 32, 64]]))
    right = torch.logit(target.bell.clamp(1e-6, 1 - 1e-6))[None]
    nothing = torch.zeros_like(target.ignored)[None]
    assert heat_loss(right, target.bell[None], nothing).item() == pytest.approx(0, abs=1e-4)
    assert box_loss(target.boxes[None], target.boxes[None], target.bell[None]).item() == pytest.approx(0, abs=1e-5)
    empty = target_of(sample([]))
    assert heat_loss(torch.zeros(1, 32, 16), empty.bell[None], nothing) > 1
    assert box_loss(target.boxes[None], empty.boxes[None], empty.bell[None]).item() == 0


def test_windows_show_a_mass_and_move_its_box() -> None:
    """Any drawn window holds a mass whole, and the mass's box lies on the same tissue."""
    view = sample([[40, 100, 60, 120]])
    view.image[100:120, 40:60] = 1
    for seed in range(20):
        window = window_of(view, (96, 48), np.random.default_rng(seed))
        assert window.image.shape == (96, 48)
        (box,) = window.boxes
        x0, y0, x1, y1 = np.rint(box).astype(int)
        assert (window.image[y0:y1, x0:x1] == 1).all()
        assert (window.image == 1).sum() == (x1 - x0) * (y1 - y0)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_forward_says_what_its_docstring_says(preset: object) -> None:
    """All presets give a map and boxes of a quarter of the view's sides, with finite gradients everywhere."""
    assert preset in {TINY, SLIM}
    network = PlainNet(TINY if preset is TINY else SLIM)
    logits, boxes = network(torch.rand(2, 1, 64, 64))
    assert (logits.shape, boxes.shape) == ((2, 16, 16), (2, 16, 16, 4))
    assert (boxes[..., 2:] > boxes[..., :2]).all()
    (logits.sum() + boxes.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_view_is_read_the_same_in_any_company(network: PlainNet, exam: CanonicalExam) -> None:
    """Views are read independently: together or alone the boxes are the same, at most twenty, best first."""
    together = PlainDetector(network).read(exam, [0, 1, 2, 3])
    for view, (boxes, scores) in enumerate(together):
        alone = PlainDetector(network).read(exam, [view])[0]
        assert np.allclose(boxes, alone[0], atol=1e-3)
        assert np.allclose(scores, alone[1], atol=1e-5)
        assert 0 < len(scores) <= MAX_DETECTIONS
        assert (np.diff(scores) <= 0).all()
        assert boxes.min() >= 0


def test_it_learns_one_view(exam: CanonicalExam) -> None:
    """After sixty steps on one view its best box finds the mass."""
    torch.manual_seed(0)
    network, view = PlainNet(TINY), int(exam.box_views[0])
    shown, target = plain(exam, view), target_of(plain(exam, view))
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    nothing = torch.zeros_like(target.ignored)[None]
    for _ in range(60):
        logits, boxes = network(torch.from_numpy(shown.image)[None, None].repeat(2, 1, 1, 1))
        loss = heat_loss(logits[:1], target.bell[None], nothing) + box_loss(
            boxes[:1], target.boxes[None], target.bell[None]
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.train()  # the statistics of one view are those of its batch
    with torch.no_grad():
        boxes = network.find(torch.from_numpy(shown.image)[None, None].repeat(2, 1, 1, 1))[0][0]
    x0, y0, x1, y1 = boxes[0].tolist()
    truth = shown.boxes[0]
    assert np.allclose([(x0 + x1) / 2, (y0 + y1) / 2], (truth[:2] + truth[2:]) / 2, atol=STRIDE)
