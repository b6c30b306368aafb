from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from tetraview.domain.instance import Decision, Eligibility, Instance
from tetraview.domain.view import View
from tetraview.exam.completeness import choose_images, is_due
from tetraview.settings import Completeness

START = datetime(2026, 1, 2, tzinfo=UTC)
SETTINGS = Completeness(quiet_seconds=20, timeout_seconds=300)


def image(view: View | None, *, uid: str, seconds: float = 0) -> Instance:
    return Instance(
        sop_instance_uid=uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
        study_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae_title="MODALITY",
        called_ae_title="TETRAVIEW",
        sha256=uid,
        size=1,
        path=uid,
        received_at=START + timedelta(seconds=seconds),
        eligibility=Eligibility(decision=Decision.READ if view else Decision.IMPLANT, view=view),
    )


@pytest.mark.parametrize(
    ("filled", "silence", "due"),
    [(4, 19.9, False), (4, 20, True), (3, 20, False), (3, 299.9, False), (3, 300, True), (0, 300, True)],
)
def test_an_exam_is_due_when_quiet_or_timed_out(*, filled: int, silence: float, due: bool) -> None:
    """Four filled slots wait for the quiet time, fewer for the timeout."""
    now = START + timedelta(seconds=silence)
    assert is_due(filled=filled, last_image_at=START, now=now, settings=SETTINGS) is due


def test_the_latest_image_fills_a_slot() -> None:
    """Of two images for one slot the one received last is read, and an ineligible one never."""
    images = [image(View.L_CC, uid="1"), image(View.L_CC, uid="2", seconds=5), image(None, uid="3", seconds=9)]
    assert [i.sop_instance_uid for i in choose_images(images).values()] == ["2"]


def test_the_order_of_arrival_rows_does_not_matter() -> None:
    """The choice is the same for every order in which the ledger lists the images."""
    images = [image(view, uid=str(number)) for number, view in enumerate(View)]
    choices = {tuple(choose_images(order).items()) for order in permutations(images)}
    assert len(choices) == 1
