from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from tetraview.errors import DeliveryRefused, DestinationUnavailable, StorageUnavailable
from tetraview.workflow.breaker import FAILURES, Breaker

PAUSE = 30.0


class Clock:
    """Seconds that pass when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("pacs", places=2, pause_seconds=PAUSE, clock=clock)


def attempt(breaker: Breaker, fault: Exception | None = None, *, contacts: bool = True) -> bool:
    """Whether a try that ends in this fault was let through."""
    ran = False

    def run() -> bool:
        nonlocal ran
        ran = True
        if fault is not None:
            raise fault
        return contacts

    with suppress(DestinationUnavailable, DeliveryRefused, StorageUnavailable):
        breaker.run(run)
    return ran


def fail(breaker: Breaker, times: int = FAILURES) -> None:
    for _ in range(times):
        assert attempt(breaker, DestinationUnavailable())


def test_a_destination_that_answers_now_and_then_is_not_left_alone(breaker: Breaker) -> None:
    """Only failures in a row count, and a refusal is an answer too."""
    for answer in (None, DeliveryRefused()):
        fail(breaker, FAILURES - 1)
        assert attempt(breaker, answer)
    assert not breaker.is_open


def test_a_destination_that_does_not_answer_is_left_alone(breaker: Breaker, clock: Clock) -> None:
    """After three failures in a row nothing is let through until the pause is over, and then a single try."""
    fail(breaker)
    assert breaker.is_open
    clock.now = PAUSE - 1
    assert not attempt(breaker)
    clock.now = PAUSE
    assert breaker.run(lambda: not attempt(breaker))
    assert not breaker.is_open
    assert attempt(breaker)


def test_the_pause_doubles_up_to_ten_minutes(breaker: Breaker, clock: Clock) -> None:
    """A destination that stays away is tried after 30, 60, 120, 240, 480, 600, 600 seconds, then anew."""
    fail(breaker)
    pauses = []
    for _ in range(7):
        before = clock.now
        while not attempt(breaker, DestinationUnavailable()):
            clock.now += 10
        pauses.append(clock.now - before)
    assert pauses == [30, 60, 120, 240, 480, 600, 600]
    clock.now += 600
    assert attempt(breaker)
    fail(breaker)
    clock.now += PAUSE
    assert attempt(breaker)


def test_a_fault_of_our_own_says_nothing_of_the_destination(breaker: Breaker, clock: Clock) -> None:
    """A file that cannot be read neither opens the breaker nor closes it, and gives its single try to the next."""
    for _ in range(FAILURES):
        attempt(breaker, StorageUnavailable())
    assert not breaker.is_open
    fail(breaker)
    clock.now = PAUSE
    assert attempt(breaker, StorageUnavailable())
    assert breaker.is_open
    assert attempt(breaker)


def test_a_try_that_contacts_nobody_says_nothing_of_the_destination(breaker: Breaker, clock: Clock) -> None:
    """If nothing remains to be sent, a closed breaker forgets no failure and an open one stays open."""
    fail(breaker, FAILURES - 1)
    assert attempt(breaker, contacts=False)
    fail(breaker, 1)
    clock.now = PAUSE
    assert attempt(breaker, contacts=False)
    assert breaker.is_open
    assert attempt(breaker)
    assert not breaker.is_open


def test_a_slow_try_from_before_the_opening_is_not_the_single_one(breaker: Breaker, clock: Clock) -> None:
    """Its failure neither prolongs the pause nor lets a second try through beside the single one."""
    begun, ends, slow_ended = threading.Event(), threading.Event(), threading.Event()

    def time_out() -> bool:
        begun.set()
        ends.wait(10)
        raise DestinationUnavailable

    def run_slowly() -> None:
        with suppress(DestinationUnavailable):
            breaker.run(time_out)
        slow_ended.set()

    slow = threading.Thread(target=run_slowly)
    slow.start()
    assert begun.wait(10)
    fail(breaker)
    clock.now = PAUSE

    def single() -> bool:
        ends.set()
        return slow_ended.wait(10) and not attempt(breaker)

    assert breaker.run(single)
    slow.join(10)


def test_an_answer_wakes_all_who_wait(breaker: Breaker, clock: Clock) -> None:
    """A delivery that waits for its next try goes on when the destination answers again, not after its own pause."""
    fail(breaker)
    never = threading.Event()
    waiting = [threading.Thread(target=breaker.wait, args=(60,), kwargs={"unless": never}) for _ in range(2)]
    for thread in waiting:
        thread.start()
    clock.now = PAUSE
    while any(thread.is_alive() for thread in waiting):
        assert attempt(breaker)
        fail(breaker)
        clock.now += PAUSE
    for thread in waiting:
        thread.join(0)


def test_a_stop_wakes_all_who_wait(breaker: Breaker) -> None:
    """A service that stops does not wait for pauses, neither for those under way nor for those that begin."""
    stopping = threading.Event()
    waiting = threading.Thread(target=breaker.wait, args=(60,), kwargs={"unless": stopping})
    waiting.start()
    stopping.set()
    breaker.wake()
    waiting.join(10)
    assert not waiting.is_alive()
    breaker.wait(60, unless=stopping)


def test_places_are_limited_and_given_back(breaker: Breaker, clock: Clock) -> None:
    """Two tries run at once, a third waits for its place, and one that is turned away takes none."""
    fail(breaker)
    assert not any(attempt(breaker) for _ in range(5))
    clock.now = PAUSE
    assert attempt(breaker)
    third = threading.Thread(target=attempt, args=(breaker,))

    def hold() -> bool:
        third.start()
        third.join(0.1)
        return third.is_alive()

    assert breaker.run(lambda: breaker.run(hold))
    third.join(10)
    assert not third.is_alive()
