"""Requests for an association as devices really send them; one that cannot be accepted is listed with its sender."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.support.associations import (
    encode_request,
    item,
    large_request,
    pdu,
    results_of,
    with_first,
    with_last,
    with_titles,
    with_user,
)
from tests.support.intake import MAMMOGRAPHY, VERIFICATION, MemoryLedger, RawSender

from tetraview.domain.sender import AllowedSender, HeardSender, Refusal, RejectedSender
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.gate import Gate
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool

ACCEPTED, REJECTED, ABORTED = 2, 3, 7
NO_SUCH_SENDER = (REJECTED, b"\0\1\1\3")
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]
CONTEXTS = {1: (MAMMOGRAPHY, SYNTAXES), 3: (VERIFICATION, SYNTAXES)}


class Book:
    """The record of senders, in memory."""

    def __init__(self) -> None:
        self.rejected: list[RejectedSender] = []

    def allowed_senders(self) -> list[AllowedSender]:
        return []

    def note_rejections(self, rejections: list[RejectedSender]) -> None:
        self.rejected += rejections

    def note_heard(self, heard: list[HeardSender]) -> None:
        del heard


class Site:
    """A listener, and the senders that were not let in there."""

    def __init__(self, folder: Path) -> None:
        self.book = Book()
        self.gate = Gate(["TETRAVIEW"], ledger=self.book)  # type: ignore[arg-type]
        self.listener = Listener(Dicom(port=0, pdu_seconds=1), Spool(folder), MemoryLedger(), gate=self.gate)

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """The answer to a request, byte for byte, for an association."""
        with RawSender(self.listener.port, timeout_seconds=60) as sender:
            sender.socket.sendall(request)
            return sender.read_pdu()

    @property
    def turned_away(self) -> RejectedSender:
        """The one sender that was not let in."""
        self.gate.flush()
        (rejected,) = self.book.rejected
        return rejected


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with site.listener:
        yield site


@pytest.fixture
def request_pdu() -> bytes:
    return encode_request(CONTEXTS, called="TETRAVIEW", calling="BUGSCU")


@pytest.mark.skipif("TETRAVIEW_CASES" not in os.environ, reason="needs TETRAVIEW_CASES")
def test_requests_that_public_reports_tell_of_are_accepted(site: Site) -> None:
    """Unknown items, titles filled with NUL and a request of 148 kB: each case of the folder is accepted."""
    files = sorted(Path(os.environ["TETRAVIEW_CASES"]).glob("associate_*/*.bin"))
    assert len(files) == 5
    for file in files:
        kind, content = site.ask(file.read_bytes())
        assert (kind, 0 in results_of(pdu(content)).values()) == (ACCEPTED, True), file.name


@pytest.mark.parametrize("place", [with_first, with_last, with_user])
@pytest.mark.parametrize("extra", [item(0x7F, b""), item(0xFE, bytes(60_000)), item(0x00, b"")], ids=["0", "60k", "00"])
def test_unknown_items_are_ignored(
    site: Site, request_pdu: bytes, place: Callable[[bytes, bytes], bytes], extra: bytes
) -> None:
    """An item that nobody knows changes nothing: first, last or within the user information, empty or long."""
    kind, content = site.ask(place(request_pdu, extra))
    assert (kind, results_of(pdu(content))) == (ACCEPTED, {1: 0, 3: 0})


@pytest.mark.parametrize(
    "extra",
    [
        item(0x58, b"\x09\1\0\4abcd\0\0"),
        item(0x53, b"\0"),
        item(0x55, b""),
        item(0x55, b"a version name of more than 16 characters"),
        item(0x52, b"no uid"),
        item(0x56, b"\xff\xff"),
    ],
    ids=["user identity of a new type", "half a window", "no name", "long name", "no class", "cut negotiation"],
)
def test_items_that_are_of_no_use_to_us_cannot_be_wrong(site: Site, request_pdu: bytes, extra: bytes) -> None:
    """Items that we would ignore anyway, extended negotiation or an identity, end no association by a fault."""
    kind, content = site.ask(with_user(request_pdu, extra))
    assert (kind, results_of(pdu(content))) == (ACCEPTED, {1: 0, 3: 0})


@pytest.mark.parametrize(
    "titles",
    [
        {"called": b"TETRAVIEW".ljust(16, b"\0")},
        {"calling": b"BUGSCU".ljust(16, b"\0")},
        {"called": b"TETRAVIEW \0 \0", "calling": b"\0BUGSCU\0\0"},
        {"called": b"  TETRAVIEW", "calling": b" BUGSCU"},
    ],
    ids=["called", "calling", "mixed", "spaces first"],
)
def test_titles_filled_with_nul_are_titles(site: Site, request_pdu: bytes, titles: dict[str, bytes]) -> None:
    """NUL around an AE title counts as spaces do, and the acceptance repeats the field as it came."""
    request = with_titles(request_pdu, **titles)
    kind, content = site.ask(request)
    assert (kind, content[4:68]) == (ACCEPTED, request[10:74])


@pytest.mark.parametrize(
    ("titles", "shown"),
    [
        ({"calling": b""}, ("", "TETRAVIEW")),
        ({"calling": bytes(16)}, ("", "TETRAVIEW")),
        ({"calling": b"M\xc4MMO"}, ("M?MMO", "TETRAVIEW")),
        ({"calling": b"CT\n1"}, ("CT?1", "TETRAVIEW")),
        ({"calling": b"CT\x001"}, ("CT?1", "TETRAVIEW")),
        ({"called": b""}, ("BUGSCU", "")),
        ({"called": "テトラ".encode()}, ("BUGSCU", "?????????")),
    ],
)
def test_what_cannot_be_a_title_is_rejected_and_listed(
    site: Site, request_pdu: bytes, titles: dict[str, bytes], shown: tuple[str, str]
) -> None:
    """A blank title, or one that is not ASCII, is rejected 1/1/3, and the page says who came from where."""
    with capture_logs() as logs:
        assert site.ask(with_titles(request_pdu, **titles)) == NO_SUCH_SENDER
    noted = site.turned_away
    assert (noted.reason, noted.address) == (Refusal.NO_AE_TITLE, "127.0.0.1")
    assert (noted.calling_ae_title, noted.called_ae_title) == shown
    (line,) = (entry for entry in logs if entry["event"] == "security_alert")
    assert (line["peer"], line["reason"]) == ("127.0.0.1", "no_ae_title")


@pytest.mark.parametrize(("contexts", "syntaxes"), [(128, 45), (128, 120)])
def test_a_long_request_is_accepted(site: Site, contexts: int, syntaxes: int) -> None:
    """A device that proposes every SOP class in every transfer syntax is accepted, up to 1 MiB."""
    request = large_request(contexts=contexts, syntaxes=syntaxes)
    assert 150_000 < len(request) < 1 << 20
    kind, content = site.ask(request)
    assert (kind, results_of(pdu(content))[255]) == (ACCEPTED, 0)


FAULTS: dict[str, tuple[Callable[[bytes], bytes], tuple[str, str], str]] = {
    "item too long": (lambda request: with_last(request, b"\x70\0\xff\xffab"), ("BUGSCU", "TETRAVIEW"), "0x70"),
    "bad maximum": (lambda request: with_user(request, item(0x51, b"\0")), ("BUGSCU", "TETRAVIEW"), "does not hold"),
    "fixed part cut": (lambda request: pdu(request[6:30]), ("BUGS", "TETRAVIEW"), "ends after 24 bytes"),
    "too long": (lambda request: struct.pack(">BxL", 1, 2 << 20) + request[6:], ("", ""), "2097152 bytes"),
    "stalled": (lambda request: request[:-9], ("BUGSCU", "TETRAVIEW"), "it stopped after"),
    "http": (lambda _: b"GET / HTTP/1.1\r\n\r\n", ("", ""), "does not speak DICOM: its first byte is 0x47"),
    "tls": (lambda _: b"\x16\3\1\2\0\1\0\1\xfc\3\3", ("", ""), "it speaks TLS"),
    "release first": (lambda _: pdu(bytes(4), kind=5), ("", ""), "PDU of type 5"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_protocol_is_listed_with_who_and_why(site: Site, request_pdu: bytes, fault: str) -> None:
    """A sender that breaks the protocol is aborted and listed: address, titles as far as they came, and the fault."""
    broken, titles, words = FAULTS[fault]
    with capture_logs() as logs:
        assert site.ask(broken(request_pdu))[0] == ABORTED
    noted = site.turned_away
    assert (noted.reason, noted.address) == (Refusal.PROTOCOL_FAULT, "127.0.0.1")
    assert (noted.calling_ae_title, noted.called_ae_title) == titles
    assert words in noted.detail
    (line,) = (entry for entry in logs if entry["event"] == "association_refused")
    assert (line["peer"], line["detail"]) == ("127.0.0.1", noted.detail)


@pytest.mark.parametrize(
    ("broken", "answer", "words"),
    [
        (lambda request: request[:7] + b"\2" + request[8:], b"\0\1\2\2", "protocol version"),
        (lambda request: request.replace(b"8.3.1.1.1", b"8.3.1.1.9"), b"\0\1\1\2", "context name"),
    ],
    ids=["version", "application"],
)
def test_another_protocol_or_application_is_listed(
    site: Site, request_pdu: bytes, broken: Callable[[bytes], bytes], answer: bytes, words: str
) -> None:
    """A sender that asks for another protocol version or application is rejected and listed."""
    assert site.ask(broken(request_pdu)) == (REJECTED, answer)
    assert (site.turned_away.reason, words in site.turned_away.detail) == (Refusal.OTHER_PROTOCOL, True)


def test_a_fault_after_the_acceptance_is_listed(site: Site, request_pdu: bytes) -> None:
    """A sender that was let in and then breaks the protocol is listed like any other."""
    with RawSender(site.listener.port) as sender:
        sender.socket.sendall(request_pdu)
        assert sender.read_pdu()[0] == ACCEPTED
        sender.socket.sendall(struct.pack(">BxLLBB", 4, 6, 2, 77, 3))
        assert sender.read_pdu()[0] == ABORTED
    noted = site.turned_away
    assert (noted.calling_ae_title, noted.reason) == ("BUGSCU", Refusal.PROTOCOL_FAULT)
    assert "presentation context 77" in noted.detail


def test_a_sender_without_a_place_is_listed(tmp_path: Path, request_pdu: bytes) -> None:
    """A sender that finds every place taken is told to come back, and is listed with that reason."""
    site = Site(tmp_path)
    site.listener._settings = Dicom(port=0, max_associations=1)
    with site.listener, RawSender(site.listener.port) as first:
        assert first.associate()[0] == ACCEPTED
        assert site.ask(request_pdu) == (REJECTED, b"\0\2\3\2")
    assert (site.turned_away.reason, site.turned_away.detail) == (Refusal.NO_PLACE, "local limit exceeded")
