"""The page of senders: those let in, those not let in, and one click to change that."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Protocol

import structlog
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from tetraview.domain.address import is_this_machine
from tetraview.domain.sender import AllowedSender, HeardSender, RejectedSender
from tetraview.errors import SettingsInvalid
from tetraview.settings import Sender
from tetraview.web.pages import senders_page

_log = structlog.get_logger()

#: Told to people who cannot change the senders: otherwise any machine that reaches the pages could let itself in.
CHANGED_HERE = (
    "Who may send is changed on the machine of the service only: run tetraview senders allow AE@ADDRESS there, "
    "or come through a proxy on it that asks for a login."
)

_Title = Annotated[str, Form(max_length=16)]
_Address = Annotated[str, Form(max_length=45)]
_Certificate = Annotated[str, Form(max_length=253)]


class SenderBook(Protocol):
    """Questions of the page to the ledger.

    Raises:
        StorageUnavailable: from any method, when the ledger cannot be asked.
    """

    def allowed_senders(self) -> Sequence[AllowedSender]:
        """Senders that a person let in, by AE title."""

    def allow(self, ae_title: str, address: str, *, certificate: str = "") -> None:
        """Let a sender in from now on."""

    def withdraw(self, ae_title: str, address: str) -> bool:
        """Let a sender in no more."""

    def rejected_senders(self) -> Sequence[RejectedSender]:
        """Senders that were not let in, latest first."""

    def heard_senders(self) -> Sequence[HeardSender]:
        """Senders that were let in, latest first."""

    def forget(self, calling_ae_title: str, address: str) -> bool:
        """Strike a sender off those that were not let in."""


def add_sender_pages(app: FastAPI, book: SenderBook, *, senders: Sequence[Sender]) -> None:
    """Serve ``/senders``, and the same for scripts at ``/api/senders``.

    Args:
        app: gets the page and what its buttons do.
        book: the ledger's part about senders.
        senders: senders of the settings, which are shown.
    """
    pages = _Pages(book, senders)
    app.add_api_route("/senders", pages.senders, response_class=HTMLResponse)
    app.add_api_route("/api/senders", pages.document)
    app.add_api_route("/senders/allow", pages.allow, methods=["POST"])
    app.add_api_route("/senders/withdraw", pages.withdraw, methods=["POST"])
    app.add_api_route("/senders/forget", pages.forget, methods=["POST"])


class _Pages:
    def __init__(self, book: SenderBook, senders: Sequence[Sender]) -> None:
        self._book = book
        self._senders = senders

    def senders(self, request: Request) -> str:
        is_here = request.client is not None and is_this_machine(request.client.host)
        return senders_page(
            notice="" if is_here else CHANGED_HERE,
            settings=self._senders,
            allowed=self._book.allowed_senders(),
            rejected=self._book.rejected_senders(),
            heard=self._book.heard_senders(),
        )

    def document(self) -> dict[str, Any]:
        """Senders of the settings, those that a person let in, those that were not let in, and the last callers."""
        return {
            "settings": [sender.model_dump(mode="json") for sender in self._senders],
            "allowed": self._book.allowed_senders(),
            "rejected": self._book.rejected_senders(),
            "heard": self._book.heard_senders(),
        }

    def allow(self, ae_title: _Title, address: _Address, certificate: _Certificate = "") -> RedirectResponse:
        try:
            self._book.allow(ae_title, address, certificate=certificate)
        except SettingsInvalid:
            raise HTTPException(HTTPStatus.BAD_REQUEST) from None
        _log.warning("sender_allowed", calling_ae_title=ae_title, peer=address)
        return _back()

    def withdraw(self, ae_title: _Title, address: _Address) -> RedirectResponse:
        if self._book.withdraw(ae_title, address):
            _log.warning("sender_withdrawn", calling_ae_title=ae_title, peer=address)
        return _back()

    def forget(self, address: _Address, ae_title: _Title = "") -> RedirectResponse:
        self._book.forget(ae_title, address)
        return _back()


def _back() -> RedirectResponse:
    return RedirectResponse("/senders", status_code=HTTPStatus.SEE_OTHER)
