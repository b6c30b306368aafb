"""Which log fields may be read by everybody, and the keyed hash of all others."""

from __future__ import annotations

import hmac
import os
from contextlib import suppress
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from structlog.types import EventDict, WrappedLogger

from tetraview.errors import StorageUnavailable
from tetraview.storage.durable import sync_folder

#: Fields whose values never describe a patient.
HARMLESS = frozenset(
    {
        *("time", "level", "action", "logger", "thread", "where", "error", "reason", "causes", "stack", "detail"),
        *("exam_id", "generation", "state", "view", "views", "decision", "because", "stage", "route", "attempts"),
        *("destination", "kind", "status", "count", "size", "seconds", "sha256", "signal"),
        *("ae_title", "calling_ae_title", "called_ae_title", "peer", "host", "port", "url"),
        *("model", "version", "preset", "weights_sha256", "operating_point", "executor_id"),
    }
)
_KEY_BYTES = 32


class Redaction:
    """Replaces every field that is not known to be harmless by a keyed hash; a structlog processor.

    The same value has the same hash within an installation, so events about one image can be found without naming
    it, and nobody without the key can test a guess.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def hashed(self, value: object) -> str:
        """A value's keyed hash, for example ``hashed:0f3ab2c4d5e6f708``."""
        return "hashed:" + hmac.digest(self._key, str(value).encode(errors="replace"), "sha256").hex()[:16]

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """The event with harmless fields as they are and all others hashed."""
        return {
            field: _plain(value) if _is_harmless(field, value) else self.hashed(value) for field, value in event.items()
        }


def _is_harmless(field: str, value: object) -> bool:
    return field in HARMLESS or (field.endswith("_seconds") and isinstance(value, int | float))


def _plain(value: Any) -> Any:
    """A value that JSON can hold; of an object that it cannot, the type's name."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    return type(value).__name__


def load_key(path: Path) -> bytes:
    """The installation's hash key; made at the first start, readable by the owner only, one for all who share it.

    Raises:
        StorageUnavailable: the file cannot be read or written, or was only half written.
    """
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise StorageUnavailable(f"{path}: {error.strerror}; the log's hash key needs a writable folder") from error
    if len(key) != _KEY_BYTES:
        raise StorageUnavailable(f"{path} holds {len(key)} bytes, not {_KEY_BYTES}: delete it to get a new key")
    return key


def _make(path: Path) -> None:
    """A new key in a new file, which has its name only when it is whole; another service may be first."""
    whole = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(whole, path)
    whole.unlink()
    sync_folder(path.parent.resolve())
