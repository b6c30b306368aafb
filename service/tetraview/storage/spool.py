"""Durable bytes: data sets are streamed to a part file, synced and only then given their name.

    spool/incoming/<service>+<random>.part    being received by a service of this name
    spool/<x>/<name>.dcm                      whole and synced; <x> is the first digit of the name
    spool/locks/<xx>                          held while a file whose name begins so is kept and recorded

Names are made of our own digests, never of anything a sender chose. Several services may share a spool.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path

from tetraview.errors import StorageUnavailable
from tetraview.storage.durable import sync_folder
from tetraview.storage.killpoint import killpoint

_INCOMING, _LOCKS = "incoming", "locks"
_SHARDS = "0123456789abcdef"
#: Bytes after which the kernel is asked to start writing, so that the sync at the end is short.
_WRITE_BEHIND = 2 << 20
_SYNC_FILE_RANGE_WRITE = 2
#: Bytes written and digested at once.
_CHUNK = 1 << 19


def _load_sync_file_range() -> Callable[..., int] | None:
    """Linux's ``sync_file_range(2)``, or None on other systems."""
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function


_sync_file_range = _load_sync_file_range()


@contextmanager
def _storage() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"the spool cannot be written: {error.strerror}") from error


class Part:
    """A DICOM file while it is received; the digest covers the data set, not the file meta information.

    Raises:
        StorageUnavailable: from any method, when the disk is full, read-only or broken. The file is then discarded:
            after a failed sync its pages may be lost, so nothing is ever synced twice.
    """

    def __init__(self, path: Path, *, file_meta: bytes) -> None:
        self.path = path
        self.data_set_offset = len(file_meta)
        #: Bytes of the data set so far.
        self.size = 0
        self._digest = hashlib.sha256()
        # Few large steps: each gives up and takes back the interpreter, for which associations compete.
        self._pending = memoryview(bytearray(_CHUNK))
        self._filled = 0
        self._written = self._behind = 0
        self._file: int | None = None
        with self._or_discard():
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o600)
            self._write(memoryview(file_meta))

    def write(self, data: memoryview | bytes) -> None:
        """Append to the data set."""
        data = memoryview(data)
        self.size += len(data)
        while data:
            taken = min(len(data), _CHUNK - self._filled)
            self._pending[self._filled : self._filled + taken] = data[:taken]
            self._filled += taken
            data = data[taken:]
            if self._filled == _CHUNK:
                self._flush()

    def finish(self) -> str:
        """Write the pending bytes; the SHA-256 of the data set, hexadecimal."""
        self._flush()
        return self._digest.hexdigest()

    @contextmanager
    def mapped(self) -> Iterator[mmap]:
        """The bytes of the finished file, of which only those looked at are read from disk."""
        with _storage(), mmap(self._descriptor, 0, access=ACCESS_READ) as buffer:
            yield buffer

    def move(self, target: Path) -> None:
        """Sync the bytes, give the file its name and sync the name."""
        self._flush()
        killpoint("intake.part-written")
        with self._or_discard():
            os.fsync(self._descriptor)
            killpoint("intake.fsynced")
            self.path.rename(target)
            sync_folder(target.parent)
        killpoint("intake.renamed")
        self._close()

    def discard(self) -> None:
        """Forget the bytes; does nothing once the file has its name."""
        if self._file is not None:
            self._close()
            self.path.unlink(missing_ok=True)

    @property
    def _descriptor(self) -> int:
        if self._file is None:
            raise StorageUnavailable
        return self._file

    def _flush(self) -> None:
        data = self._pending[: self._filled]
        with self._or_discard():
            self._write(data)
        self._digest.update(data)
        self._filled = 0
        if self._written - self._behind >= _WRITE_BEHIND:
            self._write_behind()

    def _write(self, data: memoryview) -> None:
        self._written += len(data)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _write_behind(self) -> None:
        if _sync_file_range is not None:
            _sync_file_range(self._descriptor, self._behind, self._written - self._behind, _SYNC_FILE_RANGE_WRITE)
        self._behind = self._written

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextmanager
    def _or_discard(self) -> Iterator[None]:
        try:
            with _storage():
                yield
        except StorageUnavailable:
            self.discard()
            raise


def path_of(name: str) -> str:
    """Where a file of this name, which begins with a hexadecimal digit, lies within the spool."""
    return f"{name[0]}/{name}.dcm"


class Spool:
    """The folder of received files, for its owner's eyes only.

    Args:
        folder: the folder.
        service: name of the service that receives here; no other service that shares the folder has it.

    Raises:
        StorageUnavailable: the folders cannot be made.
    """

    def __init__(self, folder: Path, *, service: str = "tetraview") -> None:
        self.folder = folder
        self._service = service
        with _storage():
            for path in (folder, folder / _INCOMING, folder / _LOCKS, *(folder / shard for shard in _SHARDS)):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            sync_folder(folder)

    def begin(self, *, file_meta: bytes) -> Part:
        """A new part file that starts with this preamble and file meta information.

        Raises:
            StorageUnavailable: the file cannot be made.
        """
        name = f"{self._service}+{secrets.token_hex(16)}.part"
        return Part(self.folder / _INCOMING / name, file_meta=file_meta)

    @contextmanager
    def held(self, digest: str) -> Iterator[None]:
        """Keep all others from a file whose name begins with this digest, in this process and in those beside it.

        The same data set may come twice at once, and has one file: keeping and recording it is one step.

        Raises:
            StorageUnavailable: the lock cannot be had.
        """
        with _storage():
            descriptor = os.open(self.folder / _LOCKS / digest[:2], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with _storage():
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def keep(self, part: Part, path: str) -> None:
        """Put a whole part file onto stable storage at a path relative to the spool.

        A file that is there holds the same data set, since names are digests, and is replaced.

        Raises:
            StorageUnavailable: it could not be synced or renamed; the bytes are gone.
        """
        part.move(self.folder / path)

    def remove(self, path: str) -> None:
        """Delete a file by its path relative to the spool."""
        (self.folder / path).unlink(missing_ok=True)

    def delete_parts(self, *, service: str | None = None) -> int:
        """Delete files that were being received when a process died; they were never acknowledged.

        Args:
            service: the service that received them; by default this one.

        Returns:
            The number of files deleted.
        """
        # A name without a service comes from a version that had a spool for itself.
        owners = {service or self._service, ""}
        parts = [path for path in (self.folder / _INCOMING).glob("*.part") if path.name.rpartition("+")[0] in owners]
        for path in parts:
            path.unlink(missing_ok=True)
        return len(parts)

    def delete_locks(self) -> None:
        """Delete everything but the received files, in a folder that nobody uses any more."""
        for path in (self.folder / _LOCKS).iterdir():
            path.unlink()

    def paths(self) -> Iterator[str]:
        """Every whole file, relative to the spool; links and files of other names are passed over."""
        for path in self.folder.glob("[0-9a-f]/*.dcm"):
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(self.folder))
