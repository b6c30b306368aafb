"""The listener by TLS, with real certificates on real sockets."""

from __future__ import annotations

import gc
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
import trustme
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import
from tests.support.intake import MAMMOGRAPHY, MemoryLedger, RawSender, encode_data_set, mammogram

from tetraview.domain.sender import AllowedSender, HeardSender, Refusal, RejectedSender
from tetraview.errors import SettingsInvalid
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.gate import Gate
from tetraview.settings import Dicom, Sender, Tls
from tetraview.storage.spool import Spool
from tetraview.wire.tls import RenewedContext, client_context, server_context

STORESCU = Path("/usr/bin/storescu")
ACCEPTED, REJECTED = 2, 3

# pynetdicom leaves a socket that was never or no longer connected to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <s:pytest.PytestUnraisableExceptionWarning")


@dataclass
class Book:
    """Allows nobody and remembers the rejected senders."""

    noted: list[RejectedSender] = field(default_factory=list)

    def allowed_senders(self) -> Sequence[AllowedSender]:
        return ()

    def note_rejections(self, rejections: Iterable[RejectedSender]) -> None:
        self.noted += rejections

    def note_heard(self, heard: Iterable[HeardSender]) -> None:
        """Accepted senders do not matter here."""


@dataclass
class Site:
    """A listener by TLS that lets in MODALITY by the certificate modality.example, and ANY by any."""

    folder: Path
    ca: trustme.CA
    listener: Listener
    gate: Gate
    book: Book

    def context(self, issuer: trustme.CA | None = None, *, name: str = "modality.example") -> ssl.SSLContext:
        """A client that trusts our certificate and shows one of that name, or none."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if issuer is not None:
            issuer.issue_cert(name).configure_cert(context)
        return context

    def call(self, context: ssl.SSLContext | None, *, calling: str = "ANY") -> int:
        """Type of the answer to a request for an association."""
        with RawSender(self.listener.port, calling=calling, tls=context) as sender:
            return sender.associate()[0]

    def turned_away(self) -> list[RejectedSender]:
        """The senders rejected so far."""
        self.gate.flush()
        return self.book.noted


def write(certificate: trustme.LeafCert, folder: Path) -> None:
    """Certificate and key as files of the listener; the key is written last, as a careless renewal does."""
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    write(ca.issue_cert("localhost", "127.0.0.1"), tmp_path)
    tls = Tls(certificate=tmp_path / "chain.pem", key=tmp_path / "key.pem", trusted_certificates=tmp_path / "ca.pem")
    senders = [
        Sender(ae_title="MODALITY", addresses=("127.0.0.1",), certificate="Modality.example"),
        Sender(ae_title="ANY", addresses=("127.0.0.0/8",)),
    ]
    book = Book()
    gate = Gate(["TETRAVIEW"], senders=senders, ledger=book)
    settings = Dicom(port=0, tls=tls, pdu_seconds=2)
    with Listener(settings, Spool(tmp_path / "spool"), MemoryLedger(), gate=gate) as listener:
        yield Site(folder=tmp_path, ca=ca, listener=listener, gate=gate, book=book)
    gc.collect()


def test_a_sender_with_a_certificate_of_ours_is_served(site: Site) -> None:
    """By TLS an image is stored, and the association released, as without."""
    sent = mammogram(pixel_bytes=1 << 18)
    with RawSender(site.listener.port, calling="ANY", tls=site.context(site.ca)) as sender:
        assert sender.associate()[0] == ACCEPTED
        assert sender.store(MAMMOGRAPHY, sent.SOPInstanceUID, encode_data_set(sent)) == 0
        assert sender.release() == 6
        assert sender.socket.version() == "TLSv1.3"  # type: ignore[attr-defined]  # an SSLSocket
    assert site.turned_away() == []


def test_tls_1_2_is_served_with_forward_secrecy(site: Site) -> None:
    """A sender that knows only TLS 1.2 is served, by ECDHE and an authenticated cipher."""
    context = site.context(site.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with RawSender(site.listener.port, calling="ANY", tls=context) as sender:
        assert sender.associate()[0] == ACCEPTED
        cipher = sender.socket.cipher()[0]  # type: ignore[attr-defined]  # an SSLSocket
    assert cipher.startswith("ECDHE")
    assert "GCM" in cipher or "CHACHA20" in cipher


def expired(ca: trustme.CA) -> trustme.LeafCert:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return ca.issue_cert("modality.example", not_before=yesterday - timedelta(days=9), not_after=yesterday)


@pytest.mark.parametrize("what", ["none", "rogue", "expired", "old"])
def test_a_sender_without_a_valid_certificate_is_refused(site: Site, what: str) -> None:
    """No certificate, one of an unknown authority or an expired one, or TLS 1.1: no association, and it is listed."""
    context = site.context(trustme.CA() if what == "rogue" else None)
    if what == "expired":
        expired(site.ca).configure_cert(context)
    if what == "old":
        site.ca.issue_cert("modality.example").configure_cert(context)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.call(context)
    (turned_away,) = eventually_noted(site)
    words = {"none": "did not return a certificate", "rogue": "verify failed: ", "expired": "certificate has expired"}
    assert (turned_away.reason, turned_away.address, turned_away.count) == (Refusal.TLS, "127.0.0.1", 1)
    assert words.get(what, "unsupported protocol") in turned_away.detail


def eventually_noted(site: Site) -> list[RejectedSender]:
    deadline = time.monotonic() + 5
    while not site.turned_away() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return site.turned_away()


def test_plain_tcp_is_refused_at_once(site: Site) -> None:
    """A plain association on the secure port gets no DICOM answer, and the connection is closed."""
    started = time.monotonic()
    with RawSender(site.listener.port) as sender:
        sender.socket.sendall(sender.encode_request())
        with suppress(ConnectionResetError):
            # An alert of TLS at most, which no PDU begins with.
            assert sender.socket.recv(100)[:1] in {b"", b"\x15"}
            assert sender.socket.recv(100) == b""
    assert time.monotonic() - started < 2
    assert eventually_noted(site)[0].reason is Refusal.TLS


def test_an_ae_title_belongs_to_its_certificate(site: Site) -> None:
    """Another certificate, although trusted, cannot use an AE title bound to one: 1/1/3, and the list names it."""
    assert site.call(site.context(site.ca), calling="MODALITY") == ACCEPTED
    with RawSender(site.listener.port, calling="MODALITY", tls=site.context(site.ca, name="other.example")) as sender:
        assert sender.associate() == (REJECTED, b"\0\1\1\3")
    (turned_away,) = site.turned_away()
    assert (turned_away.reason, turned_away.certificate) == (Refusal.WRONG_CERTIFICATE, "other.example")


def test_silent_clients_keep_nobody_waiting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While clients send nothing, or half a ClientHello, others are served at once; idle ones are dropped in time."""
    monkeypatch.setattr("tetraview.intake.dimse.association._REQUEST_SECONDS", 1.0)
    silent = [socket.create_connection(("127.0.0.1", site.listener.port), timeout=10) for _ in range(20)]
    for connection in silent[::2]:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")
    started = time.monotonic()
    context = site.context(site.ca)
    assert site.call(context) == ACCEPTED
    assert time.monotonic() - started < 0.9
    try:
        for connection in silent:
            assert connection.recv(100) == b""
        assert 0.5 < time.monotonic() - started < 3
    finally:
        for connection in silent:
            connection.close()
    assert site.turned_away() == []


def test_a_renewed_certificate_is_shown_without_restart(site: Site) -> None:
    """The next association after the files have changed sees the new certificate; a half written one leaves the old."""
    write(site.ca.issue_cert("localhost", common_name="renewed"), site.folder)
    with RawSender(site.listener.port, calling="ANY", tls=site.context(site.ca)) as sender:
        assert sender.associate()[0] == ACCEPTED
        assert (("commonName", "renewed"),) in sender.socket.getpeercert()["subject"]  # type: ignore[attr-defined]
    (site.folder / "key.pem").write_text("half")
    with structlog.testing.capture_logs() as log:
        assert site.call(site.context(site.ca)) == ACCEPTED
    assert [event["event"] for event in log] == ["certificate_not_renewed"]


def test_trust_is_withdrawn_without_restart(site: Site) -> None:
    """A sender whose authority was struck off the trusted ones is refused from its next association on."""
    context = site.context(site.ca)
    assert site.call(context) == ACCEPTED
    trustme.CA().cert_pem.write_to_path(site.folder / "new.pem")
    (site.folder / "new.pem").replace(site.folder / "ca.pem")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.call(context)


def test_dcmtk_is_served(site: Site) -> None:
    """DCMTK's storescu stores by TLS with a certificate, and is refused without."""
    if not STORESCU.exists():
        pytest.skip("DCMTK is not installed")
    sent = mammogram()
    sent.save_as(site.folder / "image.dcm", implicit_vr=True, little_endian=True, enforce_file_format=False)
    leaf = site.ca.issue_cert("modality.example")
    leaf.cert_chain_pems[0].write_to_path(site.folder / "client.pem")
    leaf.private_key_pem.write_to_path(site.folder / "client-key.pem")
    address = [
        "-aet",
        "MODALITY",
        "-aec",
        "TETRAVIEW",
        "127.0.0.1",
        str(site.listener.port),
        str(site.folder / "image.dcm"),
    ]
    trust = ["+cf", str(site.folder / "ca.pem")]
    shown = ["+tls", str(site.folder / "client-key.pem"), str(site.folder / "client.pem")]
    assert subprocess.run([STORESCU, *shown, *trust, *address], timeout=20, check=False).returncode == 0
    assert subprocess.run([STORESCU, "+tla", *trust, *address], timeout=20, check=False, capture_output=True).returncode
    assert subprocess.run([STORESCU, *address], timeout=20, check=False, capture_output=True).returncode


def test_pynetdicom_is_served(site: Site) -> None:
    """pynetdicom gets an answer to C-ECHO by TLS, and none without a certificate."""
    leaf = site.ca.issue_cert("modality.example")
    leaf.cert_chain_pems[0].write_to_path(site.folder / "client.pem")
    leaf.private_key_pem.write_to_path(site.folder / "client-key.pem")
    trusting = client_context(site.folder / "ca.pem")
    known = client_context(
        site.folder / "ca.pem", certificate=site.folder / "client.pem", key=site.folder / "client-key.pem"
    )
    entity = AE("MODALITY")
    entity.add_requested_context(Verification)
    entity.acse_timeout = entity.connection_timeout = 5
    answers = []
    for context in (known, trusting):
        association = entity.associate(
            "127.0.0.1", site.listener.port, ae_title="TETRAVIEW", tls_args=(context, "localhost")
        )
        answers.append(association.send_c_echo().Status if association.is_established else None)
        association.release()
    assert answers == [0, None]


def test_certificates_that_do_not_fit_are_told(site: Site) -> None:
    """A key that belongs to another certificate, is encrypted or missing is one sentence at the start."""
    chain, key, trusted = (site.folder / name for name in ("chain.pem", "key.pem", "ca.pem"))
    RenewedContext(chain, key, trusted_certificates=trusted)
    with pytest.raises(SettingsInvalid, match=r"chain.pem and .*none.pem .*No such file"):
        server_context(chain, site.folder / "none.pem", trusted_certificates=trusted)
    with pytest.raises(SettingsInvalid, match=r"key.pem holds no certificates"):
        server_context(chain, key, trusted_certificates=key)
    site.ca.issue_cert("other").private_key_pem.write_to_path(site.folder / "other.pem")
    with pytest.raises(SettingsInvalid, match="key values mismatch"):
        server_context(chain, site.folder / "other.pem", trusted_certificates=trusted)
