"""The body of a STOW-RS request as its bytes come: files one after another, never one in memory."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from python_multipart.multipart import parse_options_header

from tetraview.errors import BodyMalformed, RequestRefused
from tetraview.intake.stow.part10 import Answer, FileReception
from tetraview.wire.multipart import MAX_BOUNDARY, MultipartParser

DICOM = b"application/dicom"
#: Files in one request.
MAX_PARTS = 2000


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
        self._parser = MultipartParser(boundary, begin=self._begin_part, end=self._end_part)

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        try:
            self._parser.write(data)
        except BodyMalformed as error:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, str(error)) from error

    def finish(self) -> list[Answer]:
        """The outcome of each file."""
        if not self._parser.is_finished:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the body ends before its last boundary")
        if not self._answers:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the body has no part")
        return self._answers

    def abandon(self) -> None:
        """Forget the file that is not whole."""
        if self._file is not None:
            self._file.abandon()

    def _begin_part(self) -> FileReception:
        if len(self._answers) == MAX_PARTS:
            raise RequestRefused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_PARTS} parts: send them in several requests"
            )
        self._file = self._begin()
        return self._file

    def _end_part(self) -> None:
        if self._file is not None:
            self._answers.append(self._file.finish())
            self.exam_id = self._file.exam_id or self.exam_id
            self._file = None


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
