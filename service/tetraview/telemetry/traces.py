"""How an exam spent its time, as an OpenTelemetry trace; nothing at all unless a collector is set.

An exam's trace is found again without being kept: its identifier and that of its root span are digests of the exam's
own, so what several services, and one before and after a restart, do for an exam is one trace. Only fields that logs
show as they are become attributes, and an error is told as logs tell it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from tetraview.telemetry.exceptions import describe
from tetraview.telemetry.redaction import HARMLESS

#: The identifiers of the root span that is being made; all other spans have random ones.
ROOT: ContextVar[SpanContext | None] = ContextVar("root", default=None)


class _Tracing:
    """Tracer of our spans. We avoid OpenTelemetry's global one, where libraries would add spans that we cannot vet."""

    tracer: Tracer | None = None


def trace_with(tracer: Tracer | None) -> None:
    """Make the spans of this process with a tracer from now on, or make none."""
    _Tracing.tracer = tracer


@contextmanager
def exam_span(name: str, exam_id: str, **attributes: AttributeValue) -> Iterator[None]:
    """A span for work on an exam; its parent is the exam's span under way in this thread, or else the exam itself."""
    root = _root(exam_id)
    current = get_current_span()
    parent = current if current.get_span_context().trace_id == root.trace_id else NonRecordingSpan(root)
    with _under_way(_begin(name, parent, {"exam_id": exam_id, **attributes})):
        yield


@contextmanager
def span(name: str, **attributes: AttributeValue) -> Iterator[None]:
    """A span within the one under way in this thread; nothing where none is traced."""
    parent = get_current_span()
    traced = parent.get_span_context().is_valid
    with _under_way(_begin(name, parent, attributes) if traced else INVALID_SPAN):
        yield


def record_span(name: str, exam_id: str, *, since: datetime, **attributes: AttributeValue) -> None:
    """Record a span for work on an exam that ends now."""
    root = NonRecordingSpan(_root(exam_id))
    _begin(name, root, {"exam_id": exam_id, **attributes}, since=since).end()


def record_exam(exam_id: str, *, since: datetime, **attributes: AttributeValue) -> None:
    """Record the root span of an exam, once; later spans of the exam go on after its end."""
    token = ROOT.set(_root(exam_id))
    try:
        _begin("exam", INVALID_SPAN, {"exam_id": exam_id, **attributes}, since=since).end()
    finally:
        ROOT.reset(token)


def traceparent() -> dict[str, str]:
    """The header by which another program joins the present span (W3C Trace Context); empty without a span."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier


def _root(exam_id: str) -> SpanContext:
    digest = hashlib.sha256(f"trace\n{exam_id}".encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _begin(name: str, parent: Span, attributes: dict[str, AttributeValue], *, since: datetime | None = None) -> Span:
    if _Tracing.tracer is None:
        return INVALID_SPAN
    return _Tracing.tracer.start_span(
        name,
        context=set_span_in_context(parent, Context()),
        attributes={f"tetraview.{field}": value for field, value in attributes.items() if field in HARMLESS},
        start_time=None if since is None else int(since.timestamp() * 1e6) * 1000,
    )


@contextmanager
def _under_way(begun: Span) -> Iterator[None]:
    # OpenTelemetry's own notes on an exception would quote values.
    with use_span(begun, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except BaseException as error:
            told = describe(error)
            begun.set_attribute("error.type", told["error"])
            begun.set_status(Status(StatusCode.ERROR, told.get("reason")))
            raise
