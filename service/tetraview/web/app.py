"""The web application: probes, metrics, the worklist and the exam page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.staticfiles import StaticFiles

from tetraview.domain.reading import Reading
from tetraview.domain.view import View
from tetraview.errors import TetraviewError
from tetraview.ledger.selection import Selection
from tetraview.ledger.summary import ExamSummary
from tetraview.web.api import add_api
from tetraview.web.exam_list import (
    LAST_PAGE,
    PAGE,
    ExamList,
    OutcomeParameter,
    PageParameter,
    StateParameter,
    TitleParameter,
)
from tetraview.web.hanging import preview_file
from tetraview.web.headers import SecurityHeaders
from tetraview.web.inside import file_inside
from tetraview.web.objects import SentObject, download_name, sent_objects
from tetraview.web.pages import exam_list_page, exam_page
from tetraview.web.problems import explain_problems
from tetraview.web.protocol import WebLedger

_log = structlog.get_logger()

#: A generation's preview never changes, so that going back to an exam need not fetch four pictures again. A browser
#: keeps it for the hour of a session; caches that others share never do.
_KEPT_BY_THE_READER = {"cache-control": "private, max-age=3600, immutable"}

#: Returns while the service can do its work, raises a TetraviewError that says why it cannot otherwise.
Check = Callable[[], None]

#: A generation in an address, bounded so that every ledger can look for it.
Generation = Annotated[int, PathParameter(ge=1, le=1_000_000)]


def create_app(
    *,
    ledger: WebLedger,
    results: Path,
    registry: CollectorRegistry,
    checks: Mapping[str, Check],
    routers: Iterable[APIRouter] = (),
) -> FastAPI:
    """The application.

    Args:
        ledger: knows the exams.
        results: folder with one folder for each exam, and in it one for each generation, which holds the previews.
        registry: the metrics that are shown.
        checks: conditions for the service to be ready, by name.
        routers: further addresses.
    """
    app = FastAPI(title="tetraview", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)
    _add_probes(app, registry=registry, checks=checks)
    pages = _Pages(ledger, results)
    app.add_api_route("/", pages.worklist, response_class=HTMLResponse)
    app.add_api_route("/exams/{exam_id}", pages.exam, response_class=HTMLResponse)
    app.add_api_route("/exams/{exam_id}/{generation}", pages.generation, response_class=HTMLResponse)
    app.add_api_route("/exams/{exam_id}/{generation}/{view}.png", pages.preview, response_class=FileResponse)
    app.add_api_route("/exams/{exam_id}/{generation}/objects/{path:path}", pages.result, response_class=FileResponse)
    add_api(app, ledger)
    for router in routers:
        app.include_router(router)
    app.mount("/static", _Static(directory=Path(__file__).parent / "static"))
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
        # The metrics show readiness as of now, even if nobody asks for it.
        for check in checks.values():
            _answer(check)
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


class _Static(StaticFiles):
    """Style and script, which a browser keeps but asks about each time, so that an upgrade shows at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


class _Pages:
    """The handlers that show exams; no part of a path on disk is taken from a request."""

    def __init__(self, ledger: WebLedger, results: Path) -> None:
        self._ledger = ledger
        self._results = results

    def worklist(
        self,
        state: StateParameter = "",
        ae: TitleParameter = "",
        outcome: OutcomeParameter = "",
        page: PageParameter = 1,
    ) -> str:
        selection = Selection(state=state or None, called_ae_title=ae or None, outcome=outcome or None)
        # One more than is shown tells whether there are older ones.
        exams = self._ledger.exams(limit=PAGE + 1, offset=PAGE * (page - 1), selection=selection)
        worklist = ExamList(
            selection=selection,
            page=page,
            exams=exams[:PAGE],
            counts=self._ledger.count_exams(replace(selection, state=None)),
            called_ae_titles=self._ledger.called_ae_titles(),
            has_older=len(exams) > PAGE and page < LAST_PAGE,
        )
        return exam_list_page(worklist)

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
            objects=self._objects(summary.exam_id, generation),
            folder=self._folder(summary.exam_id, generation),
        )

    def _objects(self, exam_id: str, generation: int) -> tuple[SentObject, ...]:
        results = self._ledger.results(exam_id, generation)
        deliveries = [owed for owed in self._ledger.deliveries(exam_id) if owed.generation == generation]
        return sent_objects(exam_id, generation, results, deliveries)

    def preview(self, exam_id: str, generation: Generation, view: View) -> FileResponse:
        reading = self._ledger.reading(exam_id, generation)
        shown = None if reading is None else next((shown for shown in reading.views if shown.view is view), None)
        if reading is None or shown is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        file = preview_file(shown, folder=self._folder(reading.exam_id, reading.generation))
        if file is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return FileResponse(file, media_type="image/png", headers=_KEPT_BY_THE_READER)

    def result(self, exam_id: str, generation: Generation, path: str) -> FileResponse:
        known = {result.path: result for result in self._ledger.results(exam_id, generation)}
        file = file_inside(self._folder(exam_id, generation), path) if path in known else None
        if file is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        result = known[path]
        _log.info("result_downloaded", exam_id=exam_id, generation=generation, kind=result.kind, view=result.view)
        name = download_name(exam_id, generation, result)
        return FileResponse(file, media_type="application/dicom", filename=name)

    def _folder(self, exam_id: str, generation: int) -> Path:
        return self._results / exam_id / str(generation)
