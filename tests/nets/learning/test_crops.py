"""Squares of tissue with their masks: their places, their way back, and the count of agreement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview_nets.equalise import equalised
from tetraview_nets.learning.agreement import agreement
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.crops import augmented_pair, boxes, cut, cut_mask, on_tile, pairs
from tetraview_nets.learning.lesions import UNASSESSED, Lesion, LesionSet
from tetraview_nets.metrics import NotComparable, paired_mean


@pytest.fixture(scope="module")
def lesion() -> Lesion:
    """A bright disc of radius 20 at (50, 40) on a tile of 90 by 100 pixels."""
    y, x = np.mgrid[:90, :100] + 0.5
    disc = np.hypot(x - 50, y - 40) < 20
    return Lesion(
        tile=np.where(disc, 200, 50).astype(np.uint8),
        mask=disc,
        box=Box(30, 20, 70, 60),
        spacing_mm=(0.25, 0.25),
        seed=7,
        label="M1",
        suspicion=0.5,
        kind=0,
        birads=UNASSESSED,
        malignant=False,
        known=True,
    )


@pytest.fixture(scope="module")
def lesions(lesion: Lesion) -> LesionSet:
    return LesionSet(split=Split.TRAIN, lesions=(lesion,))


SHAPE = PatchShape(size=60, margin=1.5, min_side_mm=1.0)


def test_a_mask_lies_where_the_patch_shows_its_lesion(lesion: Lesion) -> None:
    """Patch and mask are cut alike: the disc's pixels and no others are bright."""
    patch, mask = cut(lesion, lesion.box, SHAPE), cut_mask(lesion, lesion.box, SHAPE)
    assert (patch > 125 / 255).sum() == pytest.approx(mask.sum(), rel=0.01)
    assert np.array_equal(patch > 125 / 255, mask)


def test_a_mask_brought_back_to_its_tile_is_the_truth(lesion: Lesion) -> None:
    """Cutting a mask at the tile's own resolution and bringing it back gives the same pixels."""
    mask = cut_mask(lesion, lesion.box, SHAPE)
    assert np.array_equal(on_tile(mask.astype(np.float32), lesion, lesion.box, SHAPE) >= 0.5, lesion.mask)


def test_nothing_is_found_outside_the_patch(lesion: Lesion) -> None:
    """A patch that is all mass marks its own square of the tile only."""
    found = on_tile(np.ones((60, 60), np.float32), lesion, lesion.box, SHAPE)
    assert found.sum() == 60 * 60
    assert found[10:70, 20:80].all()


def test_augmentation_turns_patch_and_mask_together(lesion: Lesion) -> None:
    """However a patch is changed, its mask marks the bright pixels."""
    for seed in range(10):
        patch, mask = augmented_pair(lesion, SHAPE, np.random.default_rng(seed))
        assert patch[mask].min() > patch[~mask].max() - 1e-6


def test_drawn_boxes_are_the_same_at_every_call_and_near_the_truth(lesions: LesionSet) -> None:
    """Boxes as a detector draws them overlap with the true ones by about a half at least."""
    assert boxes(lesions, detected=True) == boxes(lesions, detected=True)
    assert boxes(lesions, detected=False) == [lesions[0].box]
    assert boxes(lesions, detected=True)[0].iou(lesions[0].box) > 0.45


def test_the_true_mask_agrees_with_itself_on_any_box(lesions: LesionSet) -> None:
    """Reading the truth off a patch gives a Dice coefficient near 1; half of it gives two thirds."""
    for detected in (False, True):
        _, masks = pairs(lesions, SHAPE, detected=detected)
        (found,) = agreement(masks.float(), 0.5, lesions, SHAPE, detected=detected)
        assert found.dice > 0.98
    _, masks = pairs(lesions, SHAPE, detected=False)
    half = masks.float() * (torch.arange(60) < 30)
    (found,) = agreement(half, torch.tensor([0.5]), lesions, SHAPE, detected=False)
    assert found.dice == pytest.approx(2 / 3, abs=0.02)


def test_equalised_greys_are_shares_of_darker_pixels() -> None:
    """Four greys of one pixel each become 0, one third, two thirds and 1, each patch by itself."""
    patches = torch.tensor([[[0.1, 0.2], [0.3, 0.9]], [[0.5, 0.5], [0.5, 0.5]]])
    assert torch.allclose(equalised(patches), torch.tensor([[[0, 1 / 3], [2 / 3, 1]], [[0.0, 0], [0, 0]]]))
    assert equalised(patches[:0]).shape == (0, 2, 2)


def test_paired_means_have_the_hand_made_difference() -> None:
    """A method that is better by a tenth in every region is better by a tenth, with an interval of no width."""
    second = np.random.default_rng(0).uniform(0, 0.8, (3, 40))
    found = paired_mean(second + 0.1, second, np.arange(40) // 2)
    assert (found.effect, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.second == pytest.approx(second.mean())


def test_paired_means_of_other_regions_are_refused() -> None:
    """Figures of different numbers of regions cannot be paired."""
    with pytest.raises(NotComparable, match="do not fit"):
        paired_mean(np.zeros((1, 3)), np.zeros((1, 4)), np.zeros(3))
