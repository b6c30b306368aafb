"""Sends spans to an OpenTelemetry collector, beside the work: one that is away slows and fails nothing.

Needs the packages of the extra ``traces``, which is why nothing but the service's start imports this.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from tetraview.telemetry.quota import Quota
from tetraview.telemetry.traces import ROOT, trace_with

_log = structlog.get_logger()

#: Longest time one batch may take, tries again included.
_EXPORT_SECONDS = 3.0
#: Longest time that the end of the service waits for the last batches, beside the one under way.
_FLUSH_SECONDS = 3.0
#: How often it is said that spans are lost.
_SAY_SECONDS = 600.0


@contextmanager
def sending_spans(exporter: SpanExporter, *, share: float, resource: dict[str, str]) -> Iterator[None]:
    """Make spans and send them from time to time, until the end.

    Args:
        exporter: takes them.
        share: part of the traces that are sent, chosen by their identifiers.
        resource: description of this process.
    """
    provider = TracerProvider(
        sampler=TraceIdRatioBased(share),
        resource=Resource.create(resource),
        id_generator=_Identifiers(),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace_with(provider.get_tracer("tetraview"))
    try:
        yield
    finally:
        trace_with(None)
        enough = threading.Timer(_FLUSH_SECONDS, exporter.shutdown)
        enough.start()
        provider.shutdown()
        enough.cancel()


class Collector(SpanExporter):
    """A collector that takes OTLP by HTTP; says now and then that it does not take what it is sent.

    Args:
        url: its address, without the path.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        session = requests.Session()
        # Neither a proxy nor a password file of the environment.
        session.trust_env = False
        self._otlp = OTLPSpanExporter(f"{url.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS, session=session)
        self._quota = Quota(1, seconds=_SAY_SECONDS)
        # It says so of every try.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; one that is not taken in time is lost."""
        result = self._otlp.export(spans)
        if result is not SpanExportResult.SUCCESS and self._quota.take() is not None:
            _log.warning("traces_lost", url=self._url, count=len(spans))
        return result

    def shutdown(self) -> None:
        """Send nothing more, and give up the present try."""
        self._otlp.shutdown()  # type: ignore[no-untyped-call]


class _Identifiers(RandomIdGenerator):
    """Random identifiers but for the root spans of exams, which all services have to know."""

    def generate_trace_id(self) -> int:
        root = ROOT.get()
        return root.trace_id if root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        root = ROOT.get()
        return root.span_id if root else super().generate_span_id()
