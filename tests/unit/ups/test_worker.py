from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import eventually
from tests.unit.ups.conftest import START, WORKITEM, Bench

from tetraview.domain.workitem import ClaimState
from tetraview.settings import Destination
from tetraview.ups import WorklistWorker, open_worklist

PACS = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)


def worker(bench: Bench, **changes: Any) -> WorklistWorker:
    return open_worklist(
        bench.settings.model_copy(update=changes),
        ae_title="TETRAVIEW",
        destinations=[PACS],
        acceptor=bench.acceptor,
        ledger=bench.ledger,
        metrics=bench.metrics,
        clock=lambda: START,
    )


def heard(bench: Bench) -> bool:
    return bench.worklist.listening() == {"TETRAVIEW"}


def test_an_event_is_faster_than_the_next_search(bench: Bench) -> None:
    """A workitem that the worklist reports is claimed at once, however long the pause between searches is."""
    working = worker(bench, poll_seconds=3600.0)
    working.start()
    eventually(lambda: heard(bench), seconds=5, what="events are heard")
    bench.schedule()
    eventually(lambda: bench.state == "IN PROGRESS", seconds=5, what="the workitem is claimed")
    working.stop()


def test_a_request_to_cancel_is_kept(bench: Bench) -> None:
    """A cancellation that is reported while images cannot be had yet ends the workitem with its reason."""
    bench.images.broken = 503
    bench.schedule()
    working = worker(bench, poll_seconds=0.2)
    working.start()
    eventually(lambda: heard(bench) and bench.state == "IN PROGRESS", seconds=5, what="the workitem is claimed")
    bench.worklist.request_cancellation(WORKITEM, "ordered twice")
    eventually(lambda: bench.state == "CANCELED", seconds=5, what="the workitem is canceled")
    working.stop()
    claim = bench.ledger.workitems.find(WORKITEM)
    assert claim is not None
    assert (claim.state, claim.detail) == (ClaimState.CANCELED, "Canceled as asked: ordered twice")


def test_without_events_polling_does_the_work(bench: Bench) -> None:
    """A worklist that has no WebSocket is searched every so often."""
    bench.worklist.events_at = "ws://elsewhere.example/"
    working = worker(bench, poll_seconds=0.2)
    working.start()
    bench.schedule()
    eventually(lambda: bench.state == "IN PROGRESS", seconds=5, what="the workitem is claimed")
    working.stop()


def test_a_fault_that_nobody_foresaw_ends_neither_thread(bench: Bench, tmp_path: Path) -> None:
    """A worklist that sends nonsense is searched again, and what it sends as events is dropped."""
    working = worker(bench, poll_seconds=0.2)
    working.start()
    eventually(lambda: heard(bench), seconds=5, what="events are heard")
    bench.worklist.say("TETRAVIEW", "[not JSON")
    eventually(lambda: not heard(bench), seconds=5, what="the listener hangs up")
    bench.schedule()
    eventually(lambda: heard(bench) and bench.state == "IN PROGRESS", seconds=5, what="both go on")
    working.stop()
