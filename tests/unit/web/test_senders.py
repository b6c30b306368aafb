"""The page of senders, and requests that other sites send through a browser."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import trustme
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from tests.support.web import MemoryLedger

from tetraview.domain.sender import AllowedSender, HeardSender, Refusal, RejectedSender
from tetraview.errors import SettingsInvalid
from tetraview.settings import Sender
from tetraview.web.app import create_app
from tetraview.web.guard import Guard
from tetraview.web.senders import add_sender_pages
from tetraview.web.server import WebServer

MOMENT = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)


def rejected(**changes: object) -> RejectedSender:
    usual = {
        "calling_ae_title": "<b>CT</b>",
        "address": "10.0.0.5",
        "called_ae_title": "TETRAVIEW",
        "reason": Refusal.UNKNOWN_SENDER,
        "certificate": "ct.example",
        "detail": "",
        "count": 7,
        "first_at": MOMENT,
        "last_at": MOMENT,
    }
    return RejectedSender(**(usual | changes))  # type: ignore[arg-type]


@dataclass
class Book:
    """Senders in memory, with a list of the requests."""

    allowed: list[AllowedSender] = field(default_factory=list)
    rejected: list[RejectedSender] = field(default_factory=list)
    heard: list[HeardSender] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def allowed_senders(self) -> list[AllowedSender]:
        return self.allowed

    def rejected_senders(self) -> list[RejectedSender]:
        return self.rejected

    def heard_senders(self) -> list[HeardSender]:
        return self.heard

    def allow(self, ae_title: str, address: str, *, certificate: str = "") -> None:
        if ae_title == "*":
            raise SettingsInvalid
        self.asked.append(("allow", ae_title, address, certificate))

    def withdraw(self, ae_title: str, address: str) -> bool:
        self.asked.append(("withdraw", ae_title, address))
        return True

    def forget(self, calling_ae_title: str, address: str) -> bool:
        self.asked.append(("forget", calling_ae_title, address))
        return True


@pytest.fixture
def book() -> Book:
    known = AllowedSender(ae_title="MR", address="10.0.0.6", certificate="", allowed_at=MOMENT)
    tls = rejected(calling_ae_title="", called_ae_title="", reason=Refusal.TLS, detail="certificate has expired")
    heard = HeardSender(ae_title="PACS", address="10.0.0.7", last_at=MOMENT)
    return Book(allowed=[known], rejected=[rejected(), tls], heard=[heard])


@pytest.fixture
def app(book: Book, tmp_path: Path) -> FastAPI:
    app = create_app(ledger=MemoryLedger(), results=tmp_path, registry=CollectorRegistry(), checks={})
    add_sender_pages(app, book, senders=[Sender(ae_title="US", addresses=("10.1.0.0/16", "2001:db8::1"))])
    app.add_middleware(Guard, allowed_hosts=["tetraview.example"])
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[httpx.Client]:
    server = WebServer(app, host="127.0.0.1", port=0)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.start()}") as client:
        yield client
    server.stop()


def test_the_page_shows_who_is_let_in_and_who_is_not(client: httpx.Client) -> None:
    """The page lists senders of the settings, allowed and rejected ones, and shows a sender's words as text only."""
    page = client.get("/senders").text
    for shown in ("10.1.0.0/16, 2001:db8::1/128", "MR", "10.0.0.6", "certificate has expired", "ct.example"):
        assert shown in page
    assert "&lt;b&gt;CT&lt;/b&gt;" in page
    assert "<b>CT" not in page
    assert page.count('action="/senders/allow"') == 1
    assert page.count('action="/senders/forget"') == 2
    assert page.count('action="/senders/withdraw"') == 1
    assert 'href="/senders"' in client.get("/").text


def test_scripts_get_the_same_as_json(client: httpx.Client) -> None:
    """`/api/senders` has the senders of the page, each not let in with address, reason and what it said."""
    answer = client.get("/api/senders").json()
    assert [sender["ae_title"] for sender in answer["settings"]] == ["US"]
    assert [sender["ae_title"] for sender in answer["allowed"]] == ["MR"]
    assert [sender["ae_title"] for sender in answer["heard"]] == ["PACS"]
    told = [(sender["reason"], sender["address"], sender["detail"], sender["count"]) for sender in answer["rejected"]]
    assert told == [("unknown_sender", "10.0.0.5", "", 7), ("tls", "10.0.0.5", "certificate has expired", 7)]


def test_buttons_do_what_they_say(client: httpx.Client, book: Book) -> None:
    """Each button changes the one sender of its row and shows the page again."""
    sender = {"ae_title": "CT", "address": "10.0.0.5"}
    for action in ("allow", "withdraw", "forget"):
        answer = client.post(f"/senders/{action}", data=sender | {"certificate": "ct.example"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/senders")
    client.post("/senders/forget", data={"ae_title": "", "address": "10.0.0.5"})
    assert book.asked == [
        ("allow", "CT", "10.0.0.5", "ct.example"),
        ("withdraw", "CT", "10.0.0.5"),
        ("forget", "CT", "10.0.0.5"),
        ("forget", "", "10.0.0.5"),
    ]
    assert client.post("/senders/allow", data={"ae_title": "*", "address": "10.0.0.5"}).status_code == 400
    assert client.get("/senders/allow").status_code == 405


def ask(app: FastAPI, method: str, path: str, *, client: str, data: dict[str, str] | None = None) -> httpx.Response:
    """The answer to an address that no socket of a test has."""

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://tetraview.example") as browser:
            return await browser.request(method, path, data=data)

    return asyncio.run(answer())


@pytest.mark.parametrize("action", ["allow", "withdraw", "forget"])
@pytest.mark.parametrize(("client", "status"), [("10.0.0.5", 403), ("::1", 303), ("::ffff:127.0.0.1", 303)])
def test_only_this_machine_changes_who_may_send(
    app: FastAPI, book: Book, action: str, client: str, status: int
) -> None:
    """A visitor from elsewhere sees the permitted senders, without a button, and is told where to change them."""
    answer = ask(app, "POST", f"/senders/{action}", client=client, data={"ae_title": "CT", "address": "10.6.6.6"})
    page = ask(app, "GET", "/senders", client=client).text
    assert answer.status_code == status
    is_here = status == 303
    assert bool(book.asked) is is_here
    assert ("tetraview senders allow" not in answer.text + page) is is_here
    assert ("<button" in page) is is_here
    assert "10.1.0.0/16" in page


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("tetraview.example", 200),
        ("TetraView.example:8080", 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("tetraview.example.evil.example", 421),
        ("10.0.0.5", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_only_our_names_are_answered(client: httpx.Client, host: str, status: int) -> None:
    """A request under a name that is not ours, as DNS rebinding makes it, gets a sentence and no page."""
    answer = client.get("/senders", headers={"host": host})
    assert answer.status_code == status
    assert ("web.allowed_hosts" in answer.text) is (status == 421)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://tetraview.example:81", "host": "tetraview.example"}, 403),
        ({"origin": "https://Tetraview.example", "host": "tetraview.example"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
    ],
)
def test_no_other_site_can_change_anything(
    client: httpx.Client, book: Book, headers: dict[str, str], status: int
) -> None:
    """A change that another site asks for is refused; a client that is no browser and sends no Origin passes."""
    answer = client.post("/senders/forget", data={"ae_title": "CT", "address": "10.0.0.5"}, headers=headers)
    assert answer.status_code == status
    assert bool(book.asked) is (status == 303)
    assert client.get("/senders", headers=headers).status_code == 200


def test_a_refusal_is_a_safe_page(client: httpx.Client) -> None:
    """The answer to another site carries the headers of every page and quotes nothing of the request."""
    answer = client.post("/senders/forget", headers={"origin": "http://<script>"})
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script>" not in answer.text


def test_pages_are_served_by_https(tmp_path: Path) -> None:
    """With a certificate the pages are served by HTTPS only, from TLS 1.2 on; a broken one is reported at once."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    leaf = ca.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "web.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "web-key.pem")
    files = {"certificate": tmp_path / "web.pem", "key": tmp_path / "web-key.pem"}
    app = create_app(ledger=MemoryLedger(), results=tmp_path, registry=CollectorRegistry(), checks={})
    server = WebServer(app, host="127.0.0.1", port=0, **files)
    port = server.start()
    try:
        with httpx.Client(verify=ssl.create_default_context(cafile=tmp_path / "ca.pem")) as client:
            assert client.get(f"https://localhost:{port}/livez").text == "alive\n"
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://localhost:{port}/livez")
    finally:
        server.stop()
    with pytest.raises(SettingsInvalid, match=r"web\.pem"):
        WebServer(app, host="127.0.0.1", port=0, certificate=tmp_path / "web.pem", key=tmp_path / "ca.pem")
