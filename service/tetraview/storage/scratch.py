"""Folders below the data folder for images that are needed for a while, gone even where a process is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

_NAME = "scratch"


@contextmanager
def scratch_folder(data_dir: Path) -> Iterator[Path]:
    """A folder for its owner's eyes only, gone afterwards; what killed processes left beside it goes first.

    Args:
        data_dir: the data folder, made where there is none.

    Raises:
        OSError: it cannot be written.
    """
    root = data_dir / _NAME
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)
    with ExitStack() as stack:
        with _held(root, fcntl.LOCK_EX):
            _sweep(root)
            folder = Path(stack.enter_context(TemporaryDirectory(dir=root)))
            stack.callback(_lock_of(folder).unlink, missing_ok=True)
            stack.enter_context(_held(folder, fcntl.LOCK_EX))
        yield folder


def sweep_scratch(data_dir: Path) -> None:
    """Delete the folders of processes that are gone.

    Args:
        data_dir: the data folder.
    """
    root = data_dir / _NAME
    if root.is_dir():
        with _held(root, fcntl.LOCK_EX):
            _sweep(root)


def _sweep(root: Path) -> None:
    """Delete every folder that nobody holds, while nobody makes one."""
    for folder in (path for path in root.iterdir() if path.is_dir()):
        with suppress(BlockingIOError, FileNotFoundError), _held(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


@contextmanager
def _held(folder: Path, operation: int) -> Iterator[None]:
    """A lock on a folder, by a file beside it as NFS locks no folders; freed when the process ends, in whatever way."""
    descriptor = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
