"""Senders in each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tetraview.domain.sender import HeardSender, Refusal, RejectedSender
from tetraview.errors import SettingsInvalid
from tetraview.ledger import Ledger, SenderBook
from tetraview.ledger.senders import MAX_REJECTED

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def book(engine: sa.Engine, ledger: Ledger) -> SenderBook:
    del ledger
    return SenderBook(engine, clock=lambda: START)


def rejected(
    calling: str = "CT", *, reason: Refusal = Refusal.UNKNOWN_SENDER, count: int = 1, after: float = 0
) -> RejectedSender:
    at = START + timedelta(seconds=after)
    return RejectedSender(
        calling_ae_title=calling,
        address="10.0.0.5",
        called_ae_title="TETRAVIEW",
        reason=reason,
        certificate="ct.example",
        detail="",
        count=count,
        first_at=at,
        last_at=at,
    )


def test_rejections_of_a_kind_are_one_row(book: SenderBook) -> None:
    """The same sender turned away for the same reason again is counted, with the first and the last time."""
    book.note_rejections([rejected(count=2), rejected(reason=Refusal.TLS, after=1)])
    book.note_rejections([rejected(count=3, after=60)])
    first, second = book.rejected_senders()
    assert (first.reason, first.count) == (Refusal.UNKNOWN_SENDER, 5)
    assert (first.first_at, first.last_at) == (START, START + timedelta(seconds=60))
    assert (second.reason, second.count) == (Refusal.TLS, 1)


def test_only_the_latest_rejections_are_kept(book: SenderBook) -> None:
    """The oldest senders make room for new ones once the list is full."""
    book.note_rejections(rejected(f"AE{number}", after=number) for number in range(MAX_REJECTED))
    book.note_rejections([rejected("LAST", after=MAX_REJECTED)])
    kept = book.rejected_senders()
    assert len(kept) == MAX_REJECTED
    assert (kept[0].calling_ae_title, kept[-1].calling_ae_title) == ("LAST", "AE1")


def test_an_allowed_sender_is_no_longer_listed_as_rejected(book: SenderBook) -> None:
    """Allowing a sender removes its rejections; a second time it changes the certificate; withdrawing ends it."""
    book.note_rejections([rejected(), rejected(reason=Refusal.WRONG_CALLED_AE_TITLE, after=1)])
    book.allow("CT", "10.0.0.5")
    book.allow("CT", "10.0.0.5", certificate="ct.example")
    assert [sender.reason for sender in book.rejected_senders()] == [Refusal.WRONG_CALLED_AE_TITLE]
    (allowed,) = book.allowed_senders()
    assert (allowed.ae_title, allowed.certificate, allowed.allowed_at) == ("CT", "ct.example", START)
    assert book.withdraw("CT", "10.0.0.5")
    assert not book.withdraw("CT", "10.0.0.5")
    assert book.allowed_senders() == []


def test_a_rejected_sender_can_be_forgotten(book: SenderBook) -> None:
    """Forgetting removes one sender, for whatever reason it was rejected."""
    book.note_rejections([rejected(), rejected(reason=Refusal.TLS), rejected("MR")])
    assert book.forget("CT", "10.0.0.5")
    assert not book.forget("CT", "10.0.0.5")
    assert [sender.calling_ae_title for sender in book.rejected_senders()] == ["MR"]


def test_an_allowed_address_is_kept_as_it_is_compared(book: SenderBook) -> None:
    """An IPv4 address that is written as one of IPv6 is kept, and found again, in its plain form."""
    book.note_rejections([rejected()])
    book.allow("CT", "::ffff:10.0.0.5")
    assert [sender.address for sender in book.allowed_senders()] == ["10.0.0.5"]
    assert book.rejected_senders() == []


@pytest.mark.parametrize(
    ("ae_title", "address"),
    [("*", "10.0.0.5"), ("", "10.0.0.5"), ("SEVENTEEN LETTERS", "10.0.0.5"), ("CT", "10.0.0.0/8"), ("CT", "host")],
)
def test_only_one_sender_is_allowed_at_a_time(book: SenderBook, ae_title: str, address: str) -> None:
    """By hand, one AE title is allowed from one IP address: no wildcard, network or name."""
    with pytest.raises(SettingsInvalid, match="is no AE title of one sender and its IP address"):
        book.allow(ae_title, address)


def test_when_a_sender_called_last_is_kept(book: SenderBook) -> None:
    """The latest call of each AE title and address is known, the newest first."""
    for seconds, ae_title in ((0, "CT"), (1, "MG"), (2, "CT")):
        at = START + timedelta(seconds=seconds)
        book.note_heard([HeardSender(ae_title=ae_title, address="10.0.0.5", last_at=at)])
    heard = [(sender.ae_title, sender.last_at - START) for sender in book.heard_senders()]
    assert heard == [("CT", timedelta(seconds=2)), ("MG", timedelta(seconds=1))]
