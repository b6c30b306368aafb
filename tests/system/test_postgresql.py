"""PostgreSQL instead of SQLite by one setting: the same ledger, the same workflow, the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tetraview.domain.exam import ExamState

pytestmark = pytest.mark.system


def test_an_exam_is_read_on_postgresql(service: Any, orthanc: Any, postgresql: str, phantom_exam: Path) -> None:
    """With `database_url` set, an exam is read and delivered, and neither database is a file."""
    service.database_url = postgresql
    service.start()
    assert all(service.store(path) for path in sorted(phantom_exam.glob("*.dcm")))
    assert service.await_exam().state is ExamState.DONE
    assert len(orthanc.files("SR")) == 1
    assert not list(service.data.glob("*.sqlite"))


def test_a_killed_service_continues_on_postgresql(
    service: Any, orthanc: Any, postgresql: str, phantom_exam: Path
) -> None:
    """After kill -9 in the middle of a reading the next start finishes it once."""
    service.database_url = postgresql
    service.start(killpoint="read.finished")
    assert all(service.store(path) for path in sorted(phantom_exam.glob("*.dcm")))
    service.process.wait(60)
    service.start()
    assert service.await_exam().state is ExamState.DONE
    assert len(orthanc.files("SR")) == 1
