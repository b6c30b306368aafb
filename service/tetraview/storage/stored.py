"""Stored instances, which count only as long as they hold the bytes that were received."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tetraview.errors import ImageUnreadable, StorageUnavailable

#: Place of the value of File Meta Information Group Length (0002,0000), and the bytes before the group that it counts
#: (PS3.10 7.1).
_META_LENGTH = slice(140, 144)


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
    data_set = memoryview(content)[_META_LENGTH.stop + int.from_bytes(content[_META_LENGTH], "little") :]
    if hashlib.sha256(data_set).hexdigest() != sha256:
        raise ImageUnreadable("the stored file no longer holds the bytes that were received: send the image again")
    return content
