from __future__ import annotations

import threading
from pathlib import Path

from tetraview.errors import StorageUnavailable
from tetraview.storage.durable import write_file


def test_what_a_dead_process_left_goes(tmp_path: Path) -> None:
    """A file that was half written when a process died does not stay beside the whole one."""
    (tmp_path / "sr.dcm.0a1b2c3d.part").write_bytes(b"ha")
    (tmp_path / "sr.dcm.bak").write_bytes(b"other")
    write_file(tmp_path / "sr.dcm", b"half and half")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "sr.dcm": b"half and half",
        "sr.dcm.bak": b"other",
    }


def test_two_who_write_the_same_file_leave_it_whole(tmp_path: Path) -> None:
    """A reader of a file that two processes write at once finds all of its bytes; a writer that fails may try again."""
    content, failed = bytes(range(256)) * 4096, list[StorageUnavailable]()
    path = tmp_path / "seg.dcm"
    write_file(path, content)

    def write() -> None:
        for _ in range(20):
            try:
                write_file(path, content)
            except StorageUnavailable as fault:
                failed.append(fault)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() == content
    assert len(failed) < 60
    assert [left.name for left in tmp_path.iterdir()] == ["seg.dcm"]
