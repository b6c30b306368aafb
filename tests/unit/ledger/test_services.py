from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from tetraview.domain.service import RunningService
from tetraview.errors import StorageUnavailable
from tetraview.ledger import DEAD_SECONDS, Ledger, ServiceBook
from tetraview.ledger.tables import services
from tetraview.roles.heartbeat import Heartbeat

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LISTENER = RunningService(executor_id="listener-0", role="listener", version="1", started_at=STARTED)
WORKER = RunningService(executor_id="worker-0", role="worker", version="1", started_at=STARTED)


@pytest.fixture
def book(engine: sa.Engine, ledger: Ledger) -> ServiceBook:
    del ledger
    return ServiceBook(engine)


def age(engine: sa.Engine, executor_id: str, *, seconds: float) -> None:
    """Let a service have been silent for so long."""
    this = services.c.executor_id == executor_id
    with engine.begin() as connection:
        connection.execute(services.update().where(this).values(seen_at=services.c.seen_at - seconds))


def test_a_service_is_alive_while_it_says_so(book: ServiceBook, engine: sa.Engine) -> None:
    """A service's statement about itself is read by the others, until it has been silent for too long."""
    sending = replace(LISTENER, sending=frozenset({"aaaa", "bbbb"}))
    book.beat(WORKER)
    book.beat(LISTENER)
    book.beat(sending)
    assert book.alive() == [sending, WORKER]
    age(engine, "listener-0", seconds=DEAD_SECONDS + 1)
    assert book.alive() == [WORKER]
    book.beat(sending)
    assert book.alive() == [sending, WORKER]


def test_time_is_that_of_the_database(book: ServiceBook, engine: sa.Engine) -> None:
    """The time when a service was last alive does not depend on the clock of its machine."""
    book.beat(LISTENER)
    with engine.connect() as connection:
        seen_at = connection.execute(sa.select(services.c.seen_at)).scalar_one()
    assert seen_at == pytest.approx(time.time(), abs=30)


def test_the_dead_and_those_who_left_are_taken_over(book: ServiceBook, engine: sa.Engine) -> None:
    """A service that is silent or has stopped is taken over and forgotten; a living or an asking one is not."""
    dead, left, alive = (replace(WORKER, executor_id=f"worker-{number}") for number in (1, 2, 3))
    for service in (WORKER, dead, left, alive):
        book.beat(service)
    age(engine, "worker-1", seconds=DEAD_SECONDS + 1)
    age(engine, "worker-0", seconds=DEAD_SECONDS + 1)
    book.leave(left)
    gone_on: list[str] = []
    assert book.take_over(gone_on.append, but="worker-0", silent=False) == ["worker-2"]
    assert book.take_over(gone_on.append, but="worker-0", silent=True) == ["worker-1"]
    assert book.take_over(gone_on.append, but="worker-0", silent=True) == []
    assert gone_on == ["worker-2", "worker-1"]
    book.beat(WORKER)
    assert book.alive() == [WORKER, alive]


def test_what_cannot_be_gone_on_with_stays(book: ServiceBook) -> None:
    """A service whose work could not be taken over stays listed for the next attempt."""
    book.beat(WORKER)
    book.leave(WORKER)

    def fail(_name: str) -> None:
        raise StorageUnavailable

    with pytest.raises(StorageUnavailable):
        book.take_over(fail, but="worker-1", silent=True)
    assert book.take_over(lambda _: None, but="worker-1", silent=True) == ["worker-0"]


def test_one_takes_over_and_the_service_waits(book: ServiceBook, engine: sa.Engine) -> None:
    """While one service takes over, no other does, and the service taken over cannot come back."""
    if engine.dialect.name == "sqlite":
        pytest.skip("a SQLite ledger belongs to one service")
    book.beat(WORKER)
    book.leave(WORKER)
    order: list[str] = []
    begun = threading.Event()

    def go_on(name: str) -> None:
        begun.set()
        assert book.take_over(order.append, but="worker-2", silent=True) == []
        back.start()
        back.join(0.3)
        order.append(name)

    def come_back() -> None:
        book.beat(WORKER)
        order.append("back")

    back = threading.Thread(target=come_back)
    assert book.take_over(go_on, but="worker-1", silent=True) == ["worker-0"]
    back.join(10)
    assert begun.is_set()
    assert order == ["worker-0", "back"]
    assert book.alive() == [WORKER]


class Clock:
    """Seconds that pass when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def heartbeat(
    book: ServiceBook,
    clock: Clock,
    *,
    sending: Callable[[], frozenset[str]] = frozenset,
    service: RunningService = WORKER,
) -> Heartbeat:
    return Heartbeat(book, service, sending=sending, clock=clock)


def test_what_is_sent_to_any_service_is_known_to_all(book: ServiceBook) -> None:
    """The exams that are being sent are those of every living service, as soon as each has said so."""
    mine: set[str] = {"aaaa"}
    heart = heartbeat(book, Clock(), sending=lambda: frozenset(mine))
    heart.start()
    book.beat(replace(LISTENER, sending=frozenset({"bbbb"})))
    heart.step()
    assert heart.exams_being_sent() == {"aaaa", "bbbb"}
    mine.clear()
    heart.step()
    assert book.alive()[1].sending == frozenset()
    assert heart.exams_being_sent() == {"bbbb"}
    heart.stop()


def test_senders_reach_us_since_the_oldest_living_listener_started(book: ServiceBook, engine: sa.Engine) -> None:
    """While no service receives nobody can send; a second one that starts later changes nothing."""
    now = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
    heart = heartbeat(book, Clock())
    heart.start()
    assert heart.reachable_since(now) == now
    book.beat(LISTENER)
    book.beat(replace(LISTENER, executor_id="listener-1", started_at=now))
    heart.step()
    assert heart.reachable_since(now) == STARTED
    age(engine, "listener-0", seconds=DEAD_SECONDS + 1)
    heart.step()
    assert heart.reachable_since(now) == now
    heart.stop()


def test_silence_counts_only_where_the_database_has_answered_all_along(book: ServiceBook, engine: sa.Engine) -> None:
    """After a start, and after a time in which no service could report, others get time to be heard."""
    clock, gone_on = Clock(), list[str]()
    heart = heartbeat(book, clock)
    heart.start()
    silent, left = (replace(WORKER, executor_id=name) for name in ("silent", "left"))
    book.beat(silent)
    book.beat(left)
    book.leave(left)
    age(engine, "silent", seconds=DEAD_SECONDS + 1)
    heart.step()
    heart.take_over(gone_on.append)
    assert gone_on == ["left"]
    clock.now += DEAD_SECONDS + 1
    heart.take_over(gone_on.append)
    heart.step()
    heart.take_over(gone_on.append)
    assert gone_on == ["left"], "an answer that came so late says nothing of the others"
    for _ in range(7):
        clock.now += 5
        heart.step()
    heart.take_over(gone_on.append)
    assert gone_on == ["left", "silent"]
    heart.stop()


def test_a_service_that_stops_says_so(book: ServiceBook) -> None:
    """Others take over at once from a service that stopped cleanly, and wait for one whose steps still run."""
    heart = heartbeat(book, Clock())
    heart.start()
    heart.stop(is_idle=False)
    assert book.alive() == [WORKER]
    heart.stop()
    assert book.alive() == []
    assert book.take_over(lambda _: None, but="worker-1", silent=False) == ["worker-0"]


def test_one_that_never_lived_says_nothing_of_another_of_its_name(book: ServiceBook) -> None:
    """A start that fails, or the end of an earlier process, leaves the living service of the same name alone."""
    earlier = heartbeat(book, Clock(), service=replace(WORKER, started_at=STARTED.replace(year=2025)))
    earlier.start()
    book.beat(WORKER)
    heartbeat(book, Clock()).stop()
    earlier.stop()
    assert book.alive() == [WORKER]
