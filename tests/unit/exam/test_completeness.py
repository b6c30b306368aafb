from __future__ import annotations

import pytest

from tetraview.exam import is_due
from tetraview.settings import Completeness

SETTINGS = Completeness(quiet_seconds=20, timeout_seconds=300, longest_seconds=3600)


def due(*, filled: int, silence: float, age: float | None = None, **facts: bool) -> bool:
    """Whether an exam is due, given the age of its first image and the time since its last one, seconds."""
    return is_due(filled=filled, age=silence if age is None else age, silence=silence, settings=SETTINGS, **facts)


@pytest.mark.parametrize(
    ("filled", "silence", "expected"),
    [(4, 19.9, False), (4, 20, True), (3, 20, False), (3, 299.9, False), (3, 300, True), (0, 300, True)],
)
def test_an_exam_is_due_when_quiet_or_timed_out(*, filled: int, silence: float, expected: bool) -> None:
    """Four filled slots wait for the quiet time, fewer for the timeout."""
    assert due(filled=filled, silence=silence) is expected


@pytest.mark.parametrize("filled", [2, 4])
def test_an_exam_that_is_being_sent_waits(filled: int) -> None:
    """While an association that sends the exam is open, the exam is not closed, however quiet it is."""
    assert not due(filled=filled, silence=1000, is_sending=True)


@pytest.mark.parametrize("filled", [2, 4])
def test_no_exam_waits_for_ever(filled: int) -> None:
    """An hour after its first image an exam is read even if images keep coming and an association is open."""
    assert not due(filled=filled, silence=1, age=3599.9, is_sending=True)
    assert due(filled=filled, silence=1, age=3600, is_sending=True)


def test_a_person_can_have_an_exam_read_at_once() -> None:
    """A person who asks for a reading does not wait."""
    assert due(filled=1, silence=0, forced=True, is_sending=True)
