from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.support.servers import PATIENCE_SECONDS, serving

from tetraview.storage.scratch import scratch_folder, sweep_scratch

_HOLD = """
import sys
from pathlib import Path
from tetraview.storage.scratch import scratch_folder

with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "image.dcm").write_bytes(b"pixels")
    print(folder, flush=True)
    sys.stdin.read()
"""


def killed_in(data_dir: Path) -> Path:
    """The file that a process had in a scratch folder when it was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        file = Path(process.stdout.readline().strip()) / "image.dcm"
        sweep_scratch(data_dir)
        assert file.exists(), "what a running process needs is not swept"
        process.kill()
    assert file.exists()
    return file


def test_a_scratch_folder_is_for_its_owner_and_for_a_while(tmp_path: Path) -> None:
    """It lies below the data folder, nobody else looks into it, and afterwards it is gone with its contents."""
    with scratch_folder(tmp_path / "data") as folder:
        assert folder.is_relative_to(tmp_path / "data")
        assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700, 0o700]
        (folder / "image.dcm").touch()
    assert not folder.exists()


def test_the_next_command_deletes_what_a_killed_one_left(tmp_path: Path) -> None:
    """Images that were retrieved by a command that was killed are gone once another one begins."""
    left = killed_in(tmp_path)
    with scratch_folder(tmp_path):
        assert not left.exists()


def test_the_next_start_of_the_service_deletes_what_a_killed_command_left(tmp_path: Path) -> None:
    """The service sweeps as well, before anything else of it could fail, such as a port that is taken."""
    data = tmp_path / "data"
    left = killed_in(data)
    with socket.create_server(("127.0.0.1", 0)) as taken, scratch_folder(data) as mine:
        left.parent.mkdir()
        config = tmp_path / "tetraview.toml"
        config.write_text(f'data_dir = "{data}"\nweb.port = {taken.getsockname()[1]}\n')
        with serving(log=tmp_path / "log", config=config) as process:
            assert (process.wait(PATIENCE_SECONDS), mine.exists()) == (1, True)
    assert not left.parent.exists()


def test_where_there_was_never_a_scratch_folder_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    """A first start finds no scratch folder and makes none."""
    sweep_scratch(tmp_path)
    assert list(tmp_path.iterdir()) == []
