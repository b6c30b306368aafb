from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.servers import eventually
from tests.support.ups_server import image_input
from tests.unit.ups.conftest import START, STUDY, WORKITEM, Bench

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
    """A worklist that has no WebSocket is searched at intervals."""
    bench.worklist.events_at = "ws://elsewhere.example/"
    working = worker(bench, poll_seconds=0.2)
    working.start()
    bench.schedule()
    eventually(lambda: bench.state == "IN PROGRESS", seconds=5, what="the workitem is claimed")
    working.stop()


def test_the_environment_names_no_proxy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the environment that name a proxy lead neither requests, nor images, nor events elsewhere."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    working = worker(bench, poll_seconds=0.2)
    bench.schedule()
    working.start()
    eventually(lambda: heard(bench), seconds=5, what="events are heard")
    eventually(lambda: bench.images.asked, seconds=5, what="the image is fetched")
    working.stop()


def test_a_server_that_is_silent_does_not_hold_up_a_stop(bench: Bench) -> None:
    """A stop takes at most two seconds, although the server of the images may still answer for half a minute."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10.0)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        bench.schedule(image_input(STUDY, url=f"{url}/studies/{STUDY}"))
        working = worker(bench, retrieve_from=(url,), response_seconds=30.0)
        working.start()
        connection, _ = silent.accept()
        with connection:
            began = time.monotonic()
            working.stop()
            assert time.monotonic() - began < 2.5
    eventually(lambda: not working._thread.is_alive(), seconds=5, what="the worker ends")


def test_a_fault_that_nobody_foresaw_ends_neither_thread(bench: Bench, tmp_path: Path) -> None:
    """A worklist that sends nonsense is searched again, and its invalid events are dropped."""
    working = worker(bench, poll_seconds=0.2)
    working.start()
    eventually(lambda: heard(bench), seconds=5, what="events are heard")
    bench.worklist.say("TETRAVIEW", "[not JSON")
    eventually(lambda: not heard(bench), seconds=5, what="the listener hangs up")
    bench.schedule()
    eventually(lambda: heard(bench) and bench.state == "IN PROGRESS", seconds=5, what="both go on")
    working.stop()
