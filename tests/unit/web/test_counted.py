"""Requests are counted, and no address gets into a label."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse
from tests.support.servers import eventually

from tetraview.telemetry.metrics import Metrics
from tetraview.web.counted import CountedRequests
from tetraview.web.server import WebServer


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(registry: CollectorRegistry) -> Iterator[httpx.Client]:
    """A real server with a route, one of a router, one that breaks and a mount."""

    def exam(exam_id: str) -> str:
        if exam_id == "broken":
            raise RuntimeError
        if exam_id == "absent":
            raise HTTPException(404)
        return exam_id

    router = APIRouter(prefix="/dicom-web")
    router.add_api_route("/studies/{study}", lambda study: study, methods=["POST"])
    app = FastAPI()
    app.add_api_route("/exams/{exam_id}", exam)
    app.include_router(router)
    app.mount("/static", PlainTextResponse("a file"))
    app.add_middleware(CountedRequests, metrics=Metrics(registry))
    server = WebServer(app, host="127.0.0.1", port=0)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.start()}") as client:
        yield client
    server.stop()


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("GET", "/exams/0f3ab2c4d5e6f708", ("/exams/{exam_id}", "GET", "2xx")),
        ("GET", "/exams/absent", ("/exams/{exam_id}", "GET", "4xx")),
        ("GET", "/exams/broken", ("/exams/{exam_id}", "GET", "5xx")),
        ("POST", "/dicom-web/studies/1.2.3", ("/dicom-web/studies/{study}", "POST", "2xx")),
        ("GET", "/static/style.css", ("/static", "GET", "2xx")),
        ("GET", "/DOE^JANE", ("none", "GET", "4xx")),
        ("BREW", "/exams/1", ("/exams/{exam_id}", "other", "4xx")),
    ],
)
def test_a_request_is_counted_by_template_method_and_class_of_status(
    client: httpx.Client, registry: CollectorRegistry, method: str, path: str, counted: tuple[str, str, str]
) -> None:
    """The label is the template of the route that answered, also where the answer is an error."""
    client.request(method, path)
    labels = dict(zip(("route", "method", "status"), counted, strict=True))
    # The answer may be here a moment before its end is counted.
    timed = partial(registry.get_sample_value, "tetraview_http_request_seconds_count", {"route": counted[0]})
    eventually(timed, seconds=10, what="the request is timed")
    assert timed() == 1
    assert registry.get_sample_value("tetraview_http_requests_total", labels) == 1
