from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tetraview.domain.instance import Decision
from tetraview.domain.view import View
from tetraview.exam.choice import choose_images

WHOLE = {"field_mm2": 72000.0, "acquired_at": "20260102101500"}


@pytest.mark.parametrize(
    ("better", "worse", "reason"),
    [
        ({}, {"partial": True, "field_mm2": 90000.0}, "shows the whole breast"),
        ({}, {"displaced": True, "acquired_at": "20260102111500"}, "is no displaced view"),
        ({}, {"field_mm2": 43000.0, "acquired_at": "20260102111500"}, "has a larger field"),
        ({"acquired_at": "20260102101501"}, {}, "was acquired later"),
        ({"acquired_at": "20260102101501"}, {"acquired_at": ""}, "was acquired later"),
        ({"field_mm2": 72300.0, "acquired_at": "20260102101501"}, {"field_mm2": 72400.0}, "was acquired later"),
        ({"field_mm2": 43499.5, "acquired_at": "20260102101501"}, {"field_mm2": 43500.5}, "was acquired later"),
        ({}, {}, "has a higher UID, with nothing else to tell them apart"),
    ],
)
def test_the_better_of_two_images_fills_the_slot(
    image: Any, better: dict[str, Any], worse: dict[str, Any], reason: str
) -> None:
    """The better of two images for one slot is read, in either order, and the other has a reason."""
    first, second = image(View.L_CC, uid="2", **(WHOLE | better)), image(View.L_CC, uid="1", **(WHOLE | worse))
    for order in permutations([first, second]):
        choice = choose_images(order)
        assert choice.images == {View.L_CC: first}
        assert choice.others == {second.path: (Decision.NOT_CHOSEN, f"the image that fills L-CC {reason}")}


def test_an_image_that_is_not_eligible_fills_no_slot(image: Any) -> None:
    """An image that is not read by itself is no candidate, and the choice says nothing about it."""
    choice = choose_images([image(None)])
    assert (choice.images, choice.others, choice.missing) == ({}, {}, tuple(View))


def test_synthetic_images_fill_slots_only_among_themselves(image: Any) -> None:
    """An exam of synthetic images is read; with one exposed image it is read from that alone."""
    synthetic = [image(view, uid=str(view), synthetic=True) for view in View]
    assert set(choose_images(synthetic).images) == set(View)
    exposed = image(View.L_CC, uid="9")
    choice = choose_images([*synthetic, exposed])
    assert choice.images == {View.L_CC: exposed}
    assert {decision for decision, _ in choice.others.values()} == {Decision.NOT_CHOSEN}
    assert len(choice.others) == 4


def test_parts_of_a_breast_are_a_mosaic(image: Any) -> None:
    """Several images that each show a part fill no slot; a single partial image, or a whole one beside them, does."""
    tiles = [image(View.R_MLO, uid=uid, partial=True) for uid in "12"]
    choice = choose_images(tiles)
    assert (choice.images, choice.mosaics) == ({}, (View.R_MLO,))
    assert {decision for decision, _ in choice.others.values()} == {Decision.MOSAIC}
    assert set(choose_images(tiles[:1]).images) == {View.R_MLO}
    whole = image(View.R_MLO, uid="0")
    choice = choose_images([*tiles, whole])
    assert (choice.images, choice.mosaics) == ({View.R_MLO: whole}, ())


def test_the_order_of_arrival_does_not_matter(image: Any) -> None:
    """Every order of the images makes the same choice."""
    images = [image(view, uid=uid) for view in (View.L_CC, View.R_CC) for uid in "12"]
    assert len({tuple(choose_images(order).images.items()) for order in permutations(images)}) == 1


FIELDS = st.sampled_from([0.0, 43000.0, 43900.0, 72000.0])
FACTS = st.tuples(st.booleans(), st.booleans(), FIELDS, st.sampled_from("abc"))


@settings(deadline=None)
@given(facts=st.lists(FACTS, min_size=1, max_size=6))
def test_none_of_the_best_images_was_acquired_later_than_the_one_read(
    image: Any, facts: list[tuple[bool, bool, float, str]]
) -> None:
    """Every image is read or has a reason why not, and the latest of the best ones is read."""
    images = [
        image(View.L_CC, uid=f"{n}", partial=partial, displaced=displaced, field_mm2=field, acquired_at=moment)
        for n, (partial, displaced, field, moment) in enumerate(facts)
    ]
    choice = choose_images(images)
    assert {*(read.path for read in choice.images.values()), *choice.others} == {image.path for image in images}
    for read in choice.images.values():
        best = min((image.eligibility.partial, image.eligibility.displaced) for image in images)
        alike = [i.eligibility for i in images if (i.eligibility.partial, i.eligibility.displaced) == best]
        large = [each for each in alike if each.field_mm2 >= max(each.field_mm2 for each in alike) - 1000]
        assert read.eligibility in large
        assert read.eligibility.acquired_at == max(each.acquired_at for each in large)
