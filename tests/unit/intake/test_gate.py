"""The rules by which senders are let in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import structlog
from prometheus_client import CollectorRegistry

from tetraview.domain.sender import AllowedSender, HeardSender, Refusal, RejectedSender
from tetraview.errors import StorageUnavailable
from tetraview.intake.gate import Caller, Gate
from tetraview.settings import Sender
from tetraview.telemetry.metrics import Metrics


@dataclass
class Book:
    """Senders in memory."""

    allowed: list[AllowedSender] = field(default_factory=list)
    noted: list[RejectedSender] = field(default_factory=list)
    heard: list[HeardSender] = field(default_factory=list)
    is_away: bool = False

    def allowed_senders(self) -> Sequence[AllowedSender]:
        if self.is_away:
            raise StorageUnavailable
        return self.allowed

    def note_rejections(self, rejections: Iterable[RejectedSender]) -> None:
        if self.is_away:
            raise StorageUnavailable
        self.noted += rejections

    def note_heard(self, heard: Iterable[HeardSender]) -> None:
        if self.is_away:
            raise StorageUnavailable
        self.heard += heard


def caller(address: str, *, calling: str = "CT", called: str = "TETRAVIEW", names: tuple[str, ...] = ()) -> Caller:
    return Caller(address=address, names=names, calling_ae_title=calling, called_ae_title=called)


@pytest.mark.parametrize(
    ("address", "refusal"),
    [("127.0.0.1", None), ("127.9.9.9", None), ("::1", None), ("10.0.0.5", Refusal.UNKNOWN_SENDER)],
)
def test_without_any_sender_only_this_machine_may_send(address: str, refusal: Refusal | None) -> None:
    """Without settings, every AE title may send from this machine and none from elsewhere."""
    assert Gate(["TETRAVIEW"]).refusal(caller(address, calling="WHOEVER")) is refusal


@pytest.mark.parametrize(
    ("addresses", "address", "is_let_in"),
    [
        (("10.1.0.0/16",), "10.1.255.1", True),
        (("10.1.0.0/16",), "10.2.0.1", False),
        (("192.0.2.7", "10.1.0.5"), "10.1.0.5", True),
        (("2001:db8::/32",), "2001:db8:1::9", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("10.1.0.0/16",), "::ffff:10.1.0.5", True),
        (("0.0.0.0/0",), "2001:db8::1", False),
    ],
)
def test_addresses_are_single_ones_or_networks(addresses: tuple[str, ...], address: str, is_let_in: bool) -> None:  # noqa: FBT001
    """A sender is known at its addresses and in its networks, IPv4 also where it comes over IPv6, and nowhere else."""
    gate = Gate(["TETRAVIEW"], senders=[Sender(ae_title="CT", addresses=addresses)])
    refusal = gate.refusal(caller(address))
    assert refusal is (None if is_let_in else Refusal.WRONG_ADDRESS)


def test_a_list_of_senders_is_all_there_is() -> None:
    """With senders set, this machine may not send unless it is one of them; AE titles are case-sensitive."""
    gate = Gate(["TETRAVIEW"], senders=[Sender(ae_title="CT", addresses=("10.0.0.5",))])
    assert gate.refusal(caller("127.0.0.1", calling="OTHER")) is Refusal.UNKNOWN_SENDER
    assert gate.refusal(caller("10.0.0.5", calling="ct")) is Refusal.UNKNOWN_SENDER
    assert gate.refusal(caller("10.0.0.5")) is None
    assert gate.refusal(caller("10.0.0.5", called="OTHER")) is Refusal.WRONG_CALLED_AE_TITLE


def test_an_allowed_sender_is_let_in_at_once() -> None:
    """A sender that is allowed while the service runs is let in from then on, by its certificate if it had one."""
    book = Book()
    gate = Gate(["TETRAVIEW"], ledger=book)
    assert gate.refusal(caller("10.0.0.5")) is Refusal.UNKNOWN_SENDER
    now = datetime.now(UTC)
    book.allowed.append(AllowedSender(ae_title="CT", address="10.0.0.5", certificate="ct.example", allowed_at=now))
    assert gate.refusal(caller("10.0.0.5", names=("x", "CT.example"))) is None
    assert gate.refusal(caller("10.0.0.5")) is Refusal.WRONG_CERTIFICATE
    assert gate.refusal(caller("10.0.0.6", names=("ct.example",))) is Refusal.WRONG_ADDRESS


def test_nobody_is_let_in_by_a_ledger_that_is_away() -> None:
    """Where the ledger cannot be asked, only senders in the settings are let in."""
    book = Book(is_away=True)
    gate = Gate(["TETRAVIEW"], ledger=book)
    assert gate.refusal(caller("127.0.0.1")) is None
    with pytest.raises(StorageUnavailable):
        gate.refusal(caller("10.0.0.5"))


def test_a_flood_is_counted_and_not_logged_line_by_line() -> None:
    """Ten thousand rejections under names of any kind are counted exactly; log and memory stay small."""
    book, registry = Book(), CollectorRegistry()
    gate = Gate(["TETRAVIEW"], ledger=book, metrics=Metrics(registry))
    with structlog.testing.capture_logs() as log:
        for number in range(10_000):
            gate.refusal(caller("10.0.0.5", calling=f"AE{number % 5000}"))
    counted = registry.get_sample_value("tetraview_associations_rejected_total", {"reason": "unknown_sender"})
    assert counted == 10_000
    gate.flush()
    assert len(book.noted) == 1000
    assert {rejection.count for rejection in book.noted} == {2}
    assert 1 <= len(log) <= 20


def test_rejections_survive_a_ledger_that_is_away() -> None:
    """Rejections that could not be written are written later, together with newer ones."""
    book = Book()
    gate = Gate(["TETRAVIEW"], ledger=book)
    gate.refusal(caller("10.0.0.5"))
    book.is_away = True
    with pytest.raises(StorageUnavailable):
        gate.flush()
    book.is_away = False
    gate.note(caller("10.0.0.5"), Refusal.UNKNOWN_SENDER)
    gate.flush()
    gate.flush()
    assert [rejection.count for rejection in book.noted] == [2]
    assert book.noted[0].first_at < book.noted[0].last_at


def test_what_a_sender_says_is_kept_printable() -> None:
    """Control characters of an AE title reach neither log nor ledger."""
    book = Book()
    gate = Gate(["TETRAVIEW"], ledger=book)
    gate.refusal(caller("10.0.0.5", calling="A\0\n\x1bé<b>"))
    gate.flush()
    assert book.noted[0].calling_ae_title == "A????<b>"


def test_who_was_not_let_in_is_kept_by_its_plain_address() -> None:
    """A rejected sender is listed under the address by which a person would let it in."""
    book = Book()
    gate = Gate(["TETRAVIEW"], ledger=book)
    gate.refusal(caller("::ffff:10.0.0.5"))
    gate.flush()
    assert book.noted[0].address == "10.0.0.5"


def test_who_was_let_in_is_remembered_once() -> None:
    """A sender that calls again and again is written down once a flush, and not lost while the ledger is away."""
    book = Book()
    gate = Gate(["TETRAVIEW"], ledger=book)
    for calling in ("CT", "CT", "MG"):
        assert gate.refusal(caller("::ffff:127.0.0.1", calling=calling)) is None
    assert gate.refusal(caller("10.0.0.5", calling="CT")) is not None
    book.is_away = True
    with pytest.raises(StorageUnavailable):
        gate.flush()
    book.is_away = False
    gate.flush()
    gate.flush()
    assert [(sender.ae_title, sender.address) for sender in book.heard] == [("CT", "127.0.0.1"), ("MG", "127.0.0.1")]
    assert len(book.noted) == 1
