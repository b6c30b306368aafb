"""Page that a person sees where there is no other page to show."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tetraview.errors import Transient
from tetraview.web.headers import HEADERS
from tetraview.web.pages import problem_page

_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address. The exam may have been removed.",
    HTTPStatus.BAD_REQUEST: "This cannot be done: what was sent is not complete.",
    HTTPStatus.METHOD_NOT_ALLOWED: "These pages can only be looked at.",
}


def explain_problems(app: FastAPI) -> None:
    """Answer every failed request with a page that quotes nothing of the request."""
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _malformed_address)
    app.add_exception_handler(Transient, _transient_problem)
    app.add_exception_handler(Exception, _unexpected_problem)


def _http_problem(_request: Request, problem: Exception) -> HTMLResponse:
    status = HTTPStatus(problem.status_code) if isinstance(problem, HTTPException) else HTTPStatus.NOT_FOUND
    return _page(status, _DETAILS.get(status, ""))


def _malformed_address(_request: Request, _problem: Exception) -> HTMLResponse:
    return _page(HTTPStatus.NOT_FOUND, _DETAILS[HTTPStatus.NOT_FOUND])


def _transient_problem(_request: Request, problem: Exception) -> HTMLResponse:
    return _page(HTTPStatus.SERVICE_UNAVAILABLE, str(problem))


def _unexpected_problem(_request: Request, _problem: Exception) -> HTMLResponse:
    return _page(HTTPStatus.INTERNAL_SERVER_ERROR, "This page could not be made; the log says why.")


def _page(status: HTTPStatus, detail: str) -> HTMLResponse:
    # The answer to an unexpected error passes outside the middleware that adds these.
    return HTMLResponse(problem_page(status.phrase, detail=detail), status_code=status, headers=HEADERS)
