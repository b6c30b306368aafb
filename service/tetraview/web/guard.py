"""Keeps other web sites from asking through a browser that can reach us, and other machines from letting senders in."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tetraview.domain.address import is_this_machine
from tetraview.web.headers import HEADERS
from tetraview.web.pages import problem_page
from tetraview.web.senders import CHANGED_HERE

#: Methods that change nothing.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Sources that may ask for changes: our own pages, and a person by the browser itself.
_OURS = frozenset({"same-origin", "none"})


class Guard:
    """Refuses requests under a name that is not ours (DNS rebinding), and changes that another site asks for (CSRF).

    A client that is not a browser sends no Origin and passes. The list of senders is changed from this machine only.

    Args:
        app: application to guard.
        allowed_hosts: names that are ours beside those of this machine and the address that was called.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._allowed_hosts = {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> HTMLResponse | None:
        headers = Headers(scope=scope)
        host = _host_name(headers.get("host", ""))
        called = str((scope.get("server") or ("",))[0])
        if not is_this_machine(host) and host not in {*self._allowed_hosts, called}:
            return _page(
                HTTPStatus.MISDIRECTED_REQUEST,
                "The service does not go by this name: add it to web.allowed_hosts, or use another address.",
            )
        if scope["method"] in _SAFE:
            return None
        if not _is_same_origin(headers):
            return _page(HTTPStatus.FORBIDDEN, "Another site asked for this change: open the page here and try again.")
        if scope["path"].startswith("/senders") and not is_this_machine(str((scope.get("client") or ("",))[0])):
            return _page(HTTPStatus.FORBIDDEN, CHANGED_HERE)
        return None


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_same_origin(headers: Headers) -> bool:
    """The browser's own statement counts; over plain HTTP to other machines it names the origin only."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in _OURS
    return origin is None or origin.partition("://")[2].lower() == headers.get("host", "").lower()


def _page(status: HTTPStatus, detail: str) -> HTMLResponse:
    return HTMLResponse(problem_page(status.phrase, detail=detail), status_code=status, headers=HEADERS)
