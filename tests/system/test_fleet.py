"""Two listeners and two workers on one PostgreSQL: if any of them dies, each exam still has its results once."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.support.fleet import running_fleet, tally

from tetraview.tools.load import read_exam, send_exam

pytestmark = pytest.mark.system


def test_what_one_had_begun_another_finishes(
    tmp_path: Path, triton: str, orthanc: Any, postgresql: str, phantom_exam: Path
) -> None:
    """A worker that is killed while it reads and a listener that is killed between images cost nothing."""
    exam = read_exam(phantom_exam)
    killpoints = {"worker-0": "read.finished"}
    options = {"database_url": postgresql, "triton_url": triton, "pacs": orthanc.pacs, "killpoints": killpoints}
    with running_fleet(tmp_path, **options) as fleet:
        listener, other = fleet.listeners
        dying, living = fleet.workers
        sent = [send_exam(exam, fleet.store) for _ in range(3)]
        assert listener.end(signal.SIGKILL) == -9
        sent += [send_exam(exam, fleet.store) for _ in range(2)]
        assert dying.gone(seconds=90) == -9
        found = tally(fleet, sent, fleet.await_ends(sent, seconds=120))
        assert found.images_acknowledged == 20
        assert (found.images_lost, found.exams_lost, found.results_lost, found.duplicates) == ((), (), (), ())
        assert (found.changed, found.owed) == ((), {})
        assert found.results >= 2 * len(sent)
        assert {event["executor_id"] for event in living.events("service_taken_over")} >= {dying.name}
        assert other.end() == living.end() == 0
