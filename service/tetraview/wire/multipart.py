"""Parts of a multipart body (RFC 2046 5.1.1) as its bytes come: none of them is ever in memory as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from tetraview.errors import BodyMalformed

#: Longest boundary; RFC 2046 5.1.1 allows 70 characters, and Orthanc sends 73.
MAX_BOUNDARY = 256
#: Longest text before the first boundary, bytes.
_MAX_PREAMBLE = 1 << 16
#: Longest headers of a part, all together, bytes.
_MAX_HEADERS = 4096
#: Most white space after a boundary.
_MAX_PADDING = 256
_END_OF_HEADERS = b"\r\n\r\n"


class PartReceiver(Protocol):
    """The receiver of the content of one part."""

    def write(self, data: memoryview, /) -> object:
        """Take the next bytes."""


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class MultipartParser:
    """Takes a body apart; what the headers of its parts say is not looked at.

    Args:
        boundary: of the Content-Type.
        begin: called for each part; what it gives takes the content.
        end: called when the content is whole.
    """

    def __init__(self, boundary: bytes, *, begin: Callable[[], PartReceiver], end: Callable[[], None]) -> None:
        delimiter = re.escape(b"\r\n--" + boundary)
        #: White space after a boundary is no part of it; the line end is left, as it may be that of empty headers.
        self._delimiter = re.compile(delimiter + rb"(?:(--)|[ \t]{0,%d}(?=\r\n))" % _MAX_PADDING)
        self._unfinished = re.compile(delimiter + rb"(?:-|[ \t]{0,%d}\r?)\Z" % _MAX_PADDING)
        self._delimiter_bytes = len(boundary) + 4
        self._begin, self._end = begin, end
        self._receiver: PartReceiver | None = None
        self._state = _State.PREAMBLE
        # A body may begin with its first boundary, which belongs to a line end all the same.
        self._held = bytearray(b"\r\n")

    @property
    def is_finished(self) -> bool:
        """Whether the last boundary has come."""
        return self._state is _State.EPILOGUE

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            BodyMalformed: there is no boundary, or a part has too long headers.
        """
        if self.is_finished:
            return
        self._held += data
        while self._step():
            pass

    def _step(self) -> bool:
        """Go on by one boundary or one end of headers; False where more bytes are needed."""
        if self._state is _State.EPILOGUE:
            self._held.clear()
            return False
        return self._leave_headers() if self._state is _State.HEADERS else self._leave_content()

    def _leave_headers(self) -> bool:
        end = self._held.find(_END_OF_HEADERS)
        if (len(self._held) if end < 0 else end) > _MAX_HEADERS:
            raise BodyMalformed(f"the headers of a part have more than {_MAX_HEADERS} bytes")
        if end < 0:
            return False
        del self._held[: end + len(_END_OF_HEADERS)]
        self._receiver, self._state = self._begin(), _State.CONTENT
        return True

    def _leave_content(self) -> bool:
        """Hand on the bytes before the next boundary, or those that certainly are no boundary."""
        found = self._delimiter.search(self._held)
        if found is None:
            if self._receiver is None and len(self._held) > _MAX_PREAMBLE:
                raise BodyMalformed("the body does not have the boundary that its type announces")
            self._hand_on(self._certain())
            return False
        # A match looks into the buffer, which changes.
        (start, end), is_last = found.span(), found[1] is not None
        if self._receiver is not None:
            self._receiver.write(memoryview(bytes(self._held[:start])))
            self._receiver = None
            self._end()
        del self._held[:end]
        self._state = _State.EPILOGUE if is_last else _State.HEADERS
        return True

    def _certain(self) -> int:
        """How many of the bytes at hand are content, whatever comes next."""
        tail = max(0, len(self._held) - self._delimiter_bytes - _MAX_PADDING - 1)
        unfinished = self._unfinished.search(self._held, tail)
        return unfinished.start() if unfinished else max(0, len(self._held) - self._delimiter_bytes + 1)

    def _hand_on(self, count: int) -> None:
        if self._receiver is not None and count:
            self._receiver.write(memoryview(bytes(self._held[:count])))
            del self._held[:count]
