from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest

from tetraview.errors import StorageUnavailable
from tetraview.storage.spool import Part, Spool, path_of

META = b"meta"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def leftovers(spool: Spool) -> list[str]:
    return [path.name for path in (spool.folder / "incoming").iterdir()]


def write_and_keep(spool: Spool, part: Part) -> None:
    part.write(b"data")
    spool.keep(part, path_of("ab12"))


def test_bytes_come_back_as_they_were_written(spool: Spool) -> None:
    """A kept file holds its meta information and the data set; digest and size are of the data set alone."""
    part = spool.begin(file_meta=META)
    part.write(b"data ")
    part.write(memoryview(b"set"))
    assert part.finish() == hashlib.sha256(b"data set").hexdigest()
    spool.keep(part, path_of("ab12"))
    assert (spool.folder / "a/ab12.dcm").read_bytes() == b"metadata set"
    assert part.size == 8
    assert list(spool.paths()) == ["a/ab12.dcm"]
    assert leftovers(spool) == []


def test_only_the_owner_can_look(spool: Spool) -> None:
    """Folders are 0700 and files 0600, whatever the umask."""
    previous = os.umask(0)
    try:
        part = spool.begin(file_meta=META)
        spool.keep(part, path_of("ab12"))
    finally:
        os.umask(previous)
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((spool.folder / "a/ab12.dcm").stat().st_mode) == 0o600
    assert stat.S_IMODE((spool.folder / "a").stat().st_mode) == 0o700


def test_the_file_is_synced_before_its_name_and_the_name_before_success(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order on disk is: bytes, name, folder; a power cut between them loses nothing acknowledged."""
    order: list[str] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        order.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    spool.keep(spool.begin(file_meta=META), path_of("ab12"))
    assert order == ["file", "rename", "folder"]


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_fault_of_the_disk_discards_the_file(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """After a write or sync fault the file is gone and never synced again, and the sender is to try later."""
    part = spool.begin(file_meta=META)
    calls = 0

    def fail(*_: object) -> int:
        nonlocal calls
        calls += 1
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StorageUnavailable, match="the spool cannot be written"):
        write_and_keep(spool, part)
    assert calls == 1
    assert leftovers(spool) == []
    assert list(spool.paths()) == []
    monkeypatch.undo()
    spool.keep(spool.begin(file_meta=META), path_of("ab12"))
    assert list(spool.paths()) == ["a/ab12.dcm"]


def test_links_and_foreign_files_are_passed_over(spool: Spool, tmp_path: Path) -> None:
    """A link or a file of another kind within the spool is not taken for an image."""
    (tmp_path / "elsewhere.dcm").write_bytes(b"")
    (spool.folder / "a/link.dcm").symlink_to(tmp_path / "elsewhere.dcm")
    (spool.folder / "a/notes.txt").write_text("")
    assert list(spool.paths()) == []


def test_what_was_being_received_is_deleted_at_the_start(spool: Spool) -> None:
    """Part files left by a killed process are deleted and counted."""
    spool.begin(file_meta=META)
    spool.begin(file_meta=META)
    assert spool.delete_parts() == 2
    assert leftovers(spool) == []


def test_services_that_share_a_spool_leave_each_others_parts_alone(tmp_path: Path) -> None:
    """A service's part files are deleted by its own next start, or by name once it is known to be gone."""
    first, second = (Spool(tmp_path / "spool", service=name) for name in ("listener-1", "listener-10"))
    mine, theirs = first.begin(file_meta=META), second.begin(file_meta=META)
    assert first.delete_parts() == 1
    assert not mine.path.exists()
    assert theirs.path.exists()
    assert first.delete_parts(service="listener-10") == 1
    with pytest.raises(StorageUnavailable):
        second.keep(theirs, path_of("ab12"))
    assert list(second.paths()) == []


def test_one_at_a_time_works_on_files_of_a_digest(tmp_path: Path) -> None:
    """Keeping and recording a data set is one step for all who share the spool; another data set waits for nobody."""
    first, second = (Spool(tmp_path / "spool", service=name) for name in ("a", "b"))
    order: list[str] = []

    def wait() -> None:
        with second.held("ab99"):
            order.append("second")

    with first.held("ab12"), second.held("cd12"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
