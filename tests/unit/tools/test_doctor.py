from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tetraview.domain.sender import HeardSender, Refusal, RejectedSender
from tetraview.errors import DestinationUnavailable
from tetraview.ledger import Ledger, SenderBook
from tetraview.ledger.database import ledger_engine
from tetraview.settings import Destination, Dicom, Sender, Settings, Tls, Triton, Web
from tetraview.tools import doctor
from tetraview.tools.doctor import Diagnosis, Health, examine

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PACS = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=1)


def settings(folder: Path) -> Settings:
    return Settings.model_construct(
        data_dir=folder, destinations=(PACS,), triton=Triton(url="127.0.0.1:1"), web=Web(), executor_id="test"
    )


def diagnosis(folder: Path, what: str, **changes: object) -> Diagnosis:
    changed = settings(folder).model_copy(update=changes)
    (found,) = [each for each in examine(changed) if each.what == what]
    return found


@pytest.fixture(autouse=True)
def _nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def echo(destination: Destination) -> None:
        raise DestinationUnavailable(f"{destination.name} does not answer")

    monkeypatch.setattr(doctor, "echo", echo)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SenderBook]:
    engine = ledger_engine(settings(tmp_path))
    Ledger(engine, clock=lambda: NOW)
    yield SenderBook(engine, clock=lambda: NOW)
    engine.dispose()


def rejection(
    *,
    seconds: int,
    address: str = "10.0.0.9",
    reason: Refusal = Refusal.UNKNOWN_SENDER,
    called: str = "TETRAVIEW",
    detail: str = "",
) -> RejectedSender:
    at = NOW + timedelta(seconds=seconds)
    return RejectedSender(
        calling_ae_title="PACS",
        address=address,
        called_ae_title=called,
        reason=reason,
        certificate="",
        detail=detail,
        count=3,
        first_at=at,
        last_at=at,
    )


def test_a_pacs_that_never_called_is_remarked(book: SenderBook, tmp_path: Path) -> None:
    """Whether a PACS reaches us is unknown until it has called, and the doctor says how to try."""
    del book
    found = diagnosis(tmp_path, "way back from pacs")
    assert found.health is Health.REMARK
    assert found.sentence == "PACS has not called yet: send a C-ECHO from there, or route an exam"


def test_a_pacs_that_called_is_well(book: SenderBook, tmp_path: Path) -> None:
    """A PACS that called us reaches us, also when it had been turned away before."""
    book.note_rejections([rejection(seconds=0)])
    book.note_heard([HeardSender(ae_title="PACS", address="10.0.0.9", last_at=NOW + timedelta(seconds=1))])
    assert diagnosis(tmp_path, "way back from pacs").health is Health.GOOD


def test_a_pacs_that_was_turned_away_is_a_fault_with_its_remedy(book: SenderBook, tmp_path: Path) -> None:
    """A PACS that tried and was not let in is named with address, reason and the command that lets it in."""
    book.note_heard([HeardSender(ae_title="PACS", address="10.0.0.9", last_at=NOW)])
    book.note_rejections([rejection(seconds=1)])
    found = diagnosis(tmp_path, "way back from pacs")
    assert found.health is Health.FAULT
    assert "PACS@10.0.0.9 was turned away at 2026-01-02 03:04:06 UTC (unknown sender)" in found.sentence
    assert found.sentence.endswith("`tetraview senders allow PACS@10.0.0.9` or in [[senders]] if that is pacs too")


def test_of_many_rejections_that_of_the_destination_counts(book: SenderBook, tmp_path: Path) -> None:
    """A call with the PACS's AE title from another address than its host's is named only if there is no other."""
    book.note_rejections([rejection(seconds=0, address="127.0.0.1"), rejection(seconds=5)])
    said = diagnosis(tmp_path, "way back from pacs").sentence
    assert said.endswith("`tetraview senders allow PACS@127.0.0.1` or in [[senders]]")


def test_a_pacs_that_calls_a_wrong_ae_title_is_told_which(book: SenderBook, tmp_path: Path) -> None:
    """A PACS that calls an AE title which is none of ours needs no permission: the sentence names ours."""
    wrong = Refusal.WRONG_CALLED_AE_TITLE
    book.note_rejections([rejection(seconds=1, address="127.0.0.1", reason=wrong, called="TETRAVEIW")])
    found = diagnosis(tmp_path, "way back from pacs")
    assert found.health is Health.FAULT
    assert "it called TETRAVEIW, have it call TETRAVIEW, or add a profile" in found.sentence
    assert "senders allow" not in found.sentence


@pytest.mark.parametrize("by", ["settings", "hand"])
def test_dicomweb_beside_tls_is_remarked(book: SenderBook, tmp_path: Path, by: str) -> None:
    """Where associations need TLS, a sender that may use plain DICOMweb is remarked on, whoever let it in."""
    tls = Tls(certificate=tmp_path / "a", key=tmp_path / "b", trusted_certificates=tmp_path / "c")
    changes: dict[str, object] = {"dicom": Dicom(tls=tls)}
    assert diagnosis(tmp_path, "DICOMweb", **changes).health is Health.GOOD
    if by == "settings":
        changes["senders"] = (Sender(ae_title="DICOMWEB", addresses=("10.0.0.9",)),)
    else:
        book.allow("DICOMWEB", "10.0.0.9")
    found = diagnosis(tmp_path, "DICOMweb", **changes)
    assert found.health is Health.REMARK
    assert "set web.certificate" in found.sentence


@pytest.mark.parametrize(("state", "health"), [(0, Health.GOOD), (5, Health.REMARK), (-1, Health.REMARK)])
def test_a_clock_that_nobody_sets_is_remarked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: int, health: Health
) -> None:
    """An unsynchronised clock, or one of unknown state, is remarked on and is no fault."""

    class System:
        @staticmethod
        def adjtimex(_buffer: object) -> int:
            return state

    monkeypatch.setattr(doctor.ctypes, "CDLL", lambda *_, **__: System)
    assert diagnosis(tmp_path, "clock").health is health


def test_a_full_disk_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk with too little room for a day is reported before it is a problem."""
    monkeypatch.setattr(doctor, "_MIN_FREE_BYTES", 1 << 60)
    found = diagnosis(tmp_path, "data folder")
    assert found.health is Health.FAULT
    assert "make room or move `data_dir`" in found.sentence


def test_a_pacs_that_breaks_the_protocol_is_not_told_to_be_allowed(book: SenderBook, tmp_path: Path) -> None:
    """Where a PACS was let in and then broke the protocol, the doctor says how, and nothing of allowing it."""
    book.note_heard([HeardSender(ae_title="PACS", address="10.0.0.9", last_at=NOW)])
    fault = "an item of type 0x70 is longer than its place"
    book.note_rejections([rejection(seconds=1, reason=Refusal.PROTOCOL_FAULT, detail=fault)])
    found = diagnosis(tmp_path, "way back from pacs")
    assert found.health is Health.FAULT
    assert found.sentence.endswith(f"(protocol fault): {fault}")
    assert "allow" not in found.sentence
