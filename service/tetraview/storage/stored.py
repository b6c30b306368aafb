"""Stored instances, which count only as long as they hold the bytes that were received."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tetraview.encoding.part10 import MAX_META_BYTES, START, NotPart10, data_set_offset
from tetraview.errors import ImageUnreadable, StorageUnavailable


def read_stored(path: Path, *, sha256: str) -> bytes:
    """A stored file, known to be the one received: most damaged files parse without an error, as something else.

    Args:
        path: the file (PS3.10).
        sha256: of the data set as it was received.

    Raises:
        ImageUnreadable: the file is gone or holds other bytes.
        StorageUnavailable: it cannot be opened now.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ImageUnreadable("the stored file is gone") from None
    except OSError as error:
        raise StorageUnavailable(f"the stored file cannot be opened: {error.strerror}") from error
    try:
        offset = data_set_offset(content[: START + MAX_META_BYTES])
    except NotPart10:
        offset = None
    if offset is None or hashlib.sha256(memoryview(content)[offset:]).hexdigest() != sha256:
        raise ImageUnreadable("the stored file no longer holds the bytes that were received: send the image again")
    return content
