"""The body of a STOW-RS request as its bytes come: files one after another, never one in memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from tetraview.errors import RequestRefused
from tetraview.intake.stow.part10 import Answer, FileReception

DICOM = b"application/dicom"
#: Files in one request.
MAX_PARTS = 2000
#: Longest header of a part, and how many it may have.
MAX_HEADER_BYTES = 4096
MAX_HEADERS = 16
#: Longest boundary; RFC 2046 5.1.1 allows 70 characters, and Orthanc sends 73.
MAX_BOUNDARY = 256
#: Line ends, hyphens and white space around a boundary, and text before the first one.
MAX_AROUND_BOUNDARY = 64
MAX_PREAMBLE_BYTES = 1 << 16


class Body(Protocol):
    """Body of a request, taken apart as its bytes come.

    Raises:
        RequestRefused: from ``write`` and ``finish``, when it is malformed; the rest of it cannot be understood.
    """

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self) -> list[Answer]:
        """The outcome of each file, once all bytes have come."""

    def abandon(self) -> None:
        """Forget the file that is not whole."""

    @property
    def exam_id(self) -> str | None:
        """The exam of the last instance that was accepted."""


def open_body(content_type: str, begin: Callable[[], FileReception]) -> Body:
    """The body that a Content-Type announces (PS3.18 8.7.1): many files, or a single one.

    Args:
        content_type: the header field.
        begin: starts to receive one file.

    Raises:
        RequestRefused: it is of another type, or its boundary cannot be one.
    """
    media_type, parameters = parse_options_header(content_type)
    if media_type == DICOM:
        return SingleBody(begin())
    if media_type != b"multipart/related" or parameters.get(b"type", b"").lower() != DICOM:
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 'send multipart/related; type="application/dicom", or application/dicom'
        )
    boundary = parameters.get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, f"the boundary has to have 1 to {MAX_BOUNDARY} characters")
    return MultipartBody(boundary, begin)


class MultipartBody:
    """Files as parts of multipart/related (RFC 2387); what their headers say is not needed."""

    def __init__(self, boundary: bytes, begin: Callable[[], FileReception]) -> None:
        self._begin = begin
        self._file: FileReception | None = None
        self._answers: list[Answer] = []
        self.exam_id: str | None = None
        self._boundaries = _Boundaries(boundary)
        self._parser = MultipartParser(
            boundary,
            {"on_part_begin": self._begin_part, "on_part_data": self._write_part, "on_part_end": self._end_part},
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._parse(self._boundaries.take(data))

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the body is not multipart/related as announced") from error

    def finish(self) -> list[Answer]:
        """The outcome of each file."""
        self._parse(self._boundaries.rest())
        if self._parser.state != MultipartState.END:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the body ends before its last boundary")
        if not self._answers:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the body has no part")
        return self._answers

    def abandon(self) -> None:
        """Forget the file that is not whole."""
        if self._file is not None:
            self._file.abandon()

    def _begin_part(self) -> None:
        if len(self._answers) == MAX_PARTS:
            raise RequestRefused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_PARTS} parts: send them in several requests"
            )
        self._file = self._begin()

    def _write_part(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        if self._file is not None:
            self._answers.append(self._file.finish())
            self.exam_id = self._file.exam_id or self.exam_id
            self._file = None


class _Boundaries:
    """Takes off what RFC 2046 5.1.1 allows around boundaries and the parser does not know.

    That is text before the first boundary, and white space behind any.

    Args:
        boundary: without its two hyphens.
    """

    def __init__(self, boundary: bytes) -> None:
        delimiter = re.escape(b"--" + boundary)
        self._first = re.compile(rb"(?:\A|(?<=\n))" + delimiter)
        self._padded = re.compile(rb"(\r\n" + delimiter + rb"(?:--)?)[ \t]+(?=\r\n|\Z)")
        self._longest = len(boundary) + MAX_AROUND_BOUNDARY
        #: Bytes that may be the beginning of a boundary.
        self._held = b""
        self._seen = 0
        self._begun = False

    def take(self, data: bytes) -> bytes:
        """The next bytes, as far as they can be told.

        Raises:
            RequestRefused: no boundary comes.
        """
        self._held += data
        if not self._begun and not self._begin():
            return b""
        # A boundary begins with a line end; where the last of these may still become one, the rest is held back.
        at = self._held.rfind(b"\r", max(0, len(self._held) - self._longest))
        return self._give(len(self._held) if at < 0 else at)

    def rest(self) -> bytes:
        """What is held back, once all bytes have come."""
        return self._give(len(self._held)) if self._begun else b""

    def _begin(self) -> bool:
        found = self._first.search(self._held)
        if found:
            self._held = b"\r\n" + self._held[found.start() :]
            self._begun = True
            return True
        kept = self._held[-self._longest :]
        self._seen += len(self._held) - len(kept)
        self._held = kept
        if self._seen > MAX_PREAMBLE_BYTES:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the body is not multipart/related as announced")
        return False

    def _give(self, end: int) -> bytes:
        given, self._held = self._held[:end], self._held[end:]
        return self._padded.sub(rb"\1", given)


class SingleBody:
    """The body is one file."""

    def __init__(self, file: FileReception) -> None:
        self._file = file

    @property
    def exam_id(self) -> str | None:
        """The exam of the instance, once it is accepted."""
        return self._file.exam_id

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._file.write(memoryview(data))

    def finish(self) -> list[Answer]:
        """The outcome of the file."""
        return [self._file.finish()]

    def abandon(self) -> None:
        """Forget the file."""
        self._file.abandon()
