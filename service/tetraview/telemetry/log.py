"""Logs: one JSON object a line, made only of fields that are known to be harmless.

An event is a fixed lower-case name and fields: ``log.info("image_stored", exam_id=exam_id)``. A field that nobody has
declared harmless is replaced by a keyed hash. Messages of libraries may quote a data set, so only their logger and
place are kept.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, WrappedLogger

from tetraview.telemetry.exceptions import describe
from tetraview.telemetry.redaction import Redaction

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")

_log = structlog.get_logger()


def configure_logging(*, level: str, stream: TextIO, redaction: Redaction) -> None:
    """Send every event of this process, also those of libraries and of uncaught errors, to one stream.

    Args:
        level: lowest level of our own events: debug, info, warning or error. Libraries are heard from warning on.
        stream: where the lines go.
        redaction: how fields are made harmless.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _name,
            _describe_error,
            redaction,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    _listen_to_libraries()
    _catch_the_uncaught()


def _describe_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The exception of an event, by ``exc_info``, in words that quote nothing."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event.update(describe(error))
    return event


def _name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event's name as ``action``; a sentence may hold data and is no name."""
    name = str(event.pop("event", ""))
    first = {"time": event.pop("time"), "level": event.pop("level")}
    return {**first, "action": name if _EVENT.fullmatch(name) else "unnamed", **event}


class _LibraryHandler(logging.Handler):
    """Turns a record of the standard library's logging into an event without its message."""

    def emit(self, record: logging.LogRecord) -> None:
        trouble = record.exc_info[1] if record.exc_info else None
        _log.log(
            _standard_level(record.levelno),
            "library_message",
            logger=record.name,
            where=f"{record.module}:{record.lineno}",
            **({} if trouble is None else describe(trouble)),
        )


def _standard_level(level: int) -> int:
    return next(known for known in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.DEBUG) if level >= known)


def _listen_to_libraries() -> None:
    root = logging.getLogger()
    root.handlers = [_LibraryHandler(logging.WARNING)]
    root.setLevel(logging.WARNING)
    # DBOS gives its logger a handler that prints messages as they are, unless there is one.
    durable = logging.getLogger("dbos")
    durable.handlers, durable.propagate = [_LibraryHandler(logging.WARNING)], False
    warnings.showwarning = _on_warning


def _on_warning(  # noqa: PLR0917 - the hook's signature
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Stands in for ``warnings.showwarning``; the message, and with it any quoted value, is dropped."""
    del message, file, line
    _log.warning("python_warning", error=category.__name__, where=f"{_tail(filename)}:{lineno}")


def _tail(filename: str) -> str:
    return "/".join(filename.replace("\\", "/").split("/")[-2:])


def _catch_the_uncaught() -> None:
    sys.excepthook = _on_uncaught
    sys.unraisablehook = _on_unraisable
    threading.excepthook = _on_thread_death


def _on_uncaught(kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _log.critical("process_died", exc_info=error)


def _on_unraisable(trouble: sys.UnraisableHookArgs) -> None:
    _log.error("error_ignored", exc_info=trouble.exc_value)


def _on_thread_death(trouble: threading.ExceptHookArgs) -> None:
    fields: Mapping[str, Any] = {"thread": trouble.thread.name} if trouble.thread else {}
    _log.critical("thread_died", exc_info=trouble.exc_value, **fields)
