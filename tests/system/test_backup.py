"""A backup taken while images arrive is enough to go on from (deploy/backup.md)."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tetraview.domain.exam import ExamState

pytestmark = pytest.mark.system


def test_an_exam_of_the_backup_is_read_where_it_is_restored(
    service: Any, orthanc: Any, phantom_exam: Path, tmp_path: Path
) -> None:
    """With the databases saved first and the folder after them, every row has its file, and the exam is finished."""
    service.timeout_seconds = 600.0
    service.start()
    first, *later = sorted(phantom_exam.glob("*.dcm"))
    backup = tmp_path / "backup"
    backup.mkdir()
    assert service.store(first)
    for name in ("ledger", "workflow"):
        with (
            sqlite3.connect(service.data / f"{name}.sqlite") as there,
            sqlite3.connect(backup / f"{name}.sqlite") as copy,
        ):
            there.backup(copy)
        there.close()
        copy.close()
    assert service.store(later[0])
    left_out = shutil.ignore_patterns("*.sqlite*", "lock*", "scratch*")
    shutil.copytree(service.data, backup, ignore=left_out, dirs_exist_ok=True)
    assert service.stop() == 0
    shutil.rmtree(service.data)
    shutil.copytree(backup, service.data)
    service.start()
    # Images acknowledged after the backup may be sent again without harm.
    assert all(service.store(path) for path in later)
    exam = service.await_exam()
    assert exam.state is ExamState.DONE
    assert len(exam.views) == 4
    assert "files_missing" not in service.log
    assert len(orthanc.files("SR")) == exam.generation == 1
