"""Counts every request, by the template of its address and never by the address itself."""

from __future__ import annotations

import time
from http import HTTPMethod

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tetraview.telemetry.metrics import Metrics

#: The template of what no route answers.
_NONE = "none"


class CountedRequests:
    """ASGI middleware, the outermost, so that what others refuse is counted too.

    Args:
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count its answer; one that breaks off without an answer counts as 5xx."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, time.monotonic()

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            self._count(scope, status, time.monotonic() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = _template(scope)
        method = scope["method"] if scope["method"] in HTTPMethod.__members__ else "other"
        self._metrics.http_requests.labels(route=route, method=method, status=f"{status // 100}xx").inc()
        self._metrics.http_request_seconds.labels(route=route).observe(seconds)


def _template(scope: Scope) -> str:
    """The address with the names of its variable parts, as the router found it."""
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    # A mount has no route of its own, but says how much of the address it took.
    return str(scope["root_path"]) if scope.get("root_path") else _NONE
