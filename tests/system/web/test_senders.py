"""One click lets a sender in at any address of the page; a click on another site does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from prometheus_client import CollectorRegistry
from tests.support.web import MemoryLedger

from tetraview.domain.sender import Refusal, RejectedSender
from tetraview.ledger import Ledger, SenderBook, open_engine
from tetraview.web.app import create_app
from tetraview.web.guard import Guard
from tetraview.web.senders import add_sender_pages
from tetraview.web.server import WebServer

pytestmark = pytest.mark.system

NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
REJECTED = RejectedSender(
    calling_ae_title="<i>CT",
    address="10.0.0.5",
    called_ae_title="TETRAVIEW",
    reason=Refusal.UNKNOWN_SENDER,
    certificate="",
    detail="",
    count=7,
    first_at=NOW,
    last_at=NOW,
)


@dataclass
class Site:
    """The pages with a real ledger."""

    port: int
    book: SenderBook
    page: Page


@pytest.fixture
def site(browser: Browser, tmp_path: Path) -> Iterator[Site]:
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    Ledger(engine, clock=lambda: NOW)
    book = SenderBook(engine, clock=lambda: NOW)
    book.note_rejections([REJECTED])
    app = create_app(ledger=MemoryLedger(), results=tmp_path, registry=CollectorRegistry(), checks={})
    add_sender_pages(app, book, senders=[])
    app.add_middleware(Guard, allowed_hosts=["tetraview.test"])
    server = WebServer(app, host="127.0.0.1", port=0)
    port = server.start()
    with browser.new_context() as context:
        yield Site(port=port, book=book, page=context.new_page())
    server.stop()
    engine.dispose()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "tetraview.test"])
def test_one_click_lets_a_sender_in(site: Site, host: str) -> None:
    """Reached from the worklist, the page lists a sender, lets it in by a click, and forgets it by another."""
    site.page.goto(f"http://{host}:{site.port}/")
    site.page.get_by_role("link", name="Senders").click()
    site.page.get_by_role("button", name="Allow").click()
    site.page.get_by_text("Nobody was turned away").wait_for()
    assert [sender.ae_title for sender in site.book.allowed_senders()] == ["<i>CT"]
    site.page.get_by_role("button", name="Forget").click()
    site.page.get_by_role("button", name="Forget").wait_for(state="detached")
    assert site.book.allowed_senders() == []


def test_another_site_cannot_let_a_sender_in(site: Site) -> None:
    """A form of another site that the browser sends to us is answered by a sentence and changes nothing."""
    site.page.route(
        "http://evil.test/", lambda route: route.fulfill(body=FORM.format(port=site.port), content_type="text/html")
    )
    site.page.goto("http://evil.test/")
    site.page.get_by_role("button").click()
    site.page.get_by_text("Another site asked for this change").wait_for()
    assert site.book.allowed_senders() == []


FORM = (
    '<form method="post" action="http://tetraview.test:{port}/senders/allow"><input name="ae_title" value="EVIL">'
    '<input name="address" value="10.6.6.6"><button>Win</button></form>'
)
