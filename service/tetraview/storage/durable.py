"""Files that survive a power cut: synced themselves, and so is the folder that names them."""

from __future__ import annotations

import glob
import os
import secrets
from contextlib import suppress
from pathlib import Path

from tetraview.errors import StorageUnavailable


def write_file(path: Path, content: bytes) -> None:
    """Put a file in its place whole or not at all, readable by its owner only, on stable storage when this returns.

    Parts of the same file that a dead process left behind are deleted. Another process that writes the file at the same
    time may fail and should try again.

    Raises:
        StorageUnavailable: the folder cannot be written.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _remove_parts(path)
        # A person may name a link as the folder for results.
        sync_folder(path.parent.resolve())
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageUnavailable(f"a result cannot be written to {path.parent}: {error.strerror}") from error


def _remove_parts(path: Path) -> None:
    for left in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames within a folder, which is no link, survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
