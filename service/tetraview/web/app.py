"""The web application: probes, metrics, the worklist and the exam page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.staticfiles import StaticFiles

from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.errors import TetraviewError
from tetraview.ledger.summary import ExamSummary
from tetraview.web.hanging import preview_file
from tetraview.web.headers import SecurityHeaders
from tetraview.web.pages import exam_page, worklist_page
from tetraview.web.problems import explain_problems
from tetraview.web.protocol import WebLedger

#: Exams on the worklist.
_NEWEST = 200

#: Returns while the service can do its work, raises a TetraviewError that says why it cannot otherwise.
Check = Callable[[], None]

#: A generation in an address, bounded so that every ledger can look for it.
Generation = Annotated[int, PathParameter(ge=1, le=1_000_000)]


def create_app(
    *, ledger: WebLedger, results: Path, registry: CollectorRegistry, checks: Mapping[str, Check]
) -> FastAPI:
    """The application.

    Args:
        ledger: what is known of the exams.
        results: folder with one folder an exam, in it one a generation, which holds the previews.
        registry: the metrics that are shown.
        checks: what must hold for the service to be ready, by name.
    """
    app = FastAPI(title="tetraview", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)
    _add_probes(app, registry=registry, checks=checks)
    pages = _Pages(ledger, results)
    app.add_api_route("/", pages.worklist, response_class=HTMLResponse)
    app.add_api_route("/exams/{exam_id}", pages.exam, response_class=HTMLResponse)
    app.add_api_route("/exams/{exam_id}/{generation}", pages.generation, response_class=HTMLResponse)
    app.add_api_route("/exams/{exam_id}/{generation}/{view}.png", pages.preview, response_class=FileResponse)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    explain_problems(app)
    return app


def _add_probes(app: FastAPI, *, registry: CollectorRegistry, checks: Mapping[str, Check]) -> None:
    async def livez() -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    def readyz() -> JSONResponse:
        answers = {name: _answer(check) for name, check in checks.items()}
        ready = set(answers.values()) <= {"ok"}
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"ready": ready, "checks": answers}, status_code=status)

    def metrics() -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    app.add_api_route("/livez", livez)
    app.add_api_route("/readyz", readyz)
    app.add_api_route("/metrics", metrics)


def _answer(check: Check) -> str:
    try:
        check()
    except TetraviewError as error:
        return str(error)
    return "ok"


class _Pages:
    """The handlers that show exams; no part of a path on disk is taken from a request."""

    def __init__(self, ledger: WebLedger, results: Path) -> None:
        self._ledger = ledger
        self._results = results

    def worklist(self) -> str:
        exams = list(self._ledger.exams(limit=_NEWEST))
        return worklist_page(exams, failed={exam.exam_id: self._failed(exam) for exam in exams})

    def _failed(self, exam: ExamSummary) -> tuple[View, ...]:
        """The views that could not be read: without them a row of no findings would look like a clean exam."""
        reading = self._ledger.reading(exam.exam_id)
        return () if reading is None else reading.failed

    def exam(self, exam_id: str) -> str:
        summary = self._summary(exam_id)
        reading = self._ledger.reading(exam_id)
        return self._page(summary, reading, generation=summary.generation if reading is None else reading.generation)

    def generation(self, exam_id: str, generation: Generation) -> str:
        summary = self._summary(exam_id)
        if generation > summary.generation:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return self._page(summary, self._ledger.reading(exam_id, generation), generation=generation)

    def _summary(self, exam_id: str) -> ExamSummary:
        summary = self._ledger.exam(exam_id)
        if summary is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return summary

    def _page(self, summary: ExamSummary, reading: Reading | None, *, generation: int) -> str:
        return exam_page(
            summary,
            reading,
            generation=generation,
            deliveries=[owed for owed in self._ledger.deliveries(summary.exam_id) if owed.generation == generation],
            folder=self._folder(summary.exam_id, generation),
        )

    def preview(self, exam_id: str, generation: Generation, view: View) -> FileResponse:
        reading = self._ledger.reading(exam_id, generation)
        shown = None if reading is None else next((shown for shown in reading.views if shown.view is view), None)
        if reading is None or shown is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        file = preview_file(shown, folder=self._folder(reading.exam_id, reading.generation))
        if file is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return FileResponse(file, media_type="image/png")

    def _folder(self, exam_id: str, generation: int) -> Path:
        return self._results / exam_id / str(generation)
