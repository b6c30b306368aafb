"""Delivery by TLS, to DCMTK."""

from __future__ import annotations

import gc
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tetraview.delivery import ask_for_commitment, deliver, echo, receiver_of, store_files
from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.settings import Destination

STORESCP = Path("/usr/bin/storescp")
RESULT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT,
    sop_class_uid=str(ComprehensiveSRStorage),
    sop_instance_uid="2.25.42",
    path="sr.dcm",
)

# pynetdicom leaves a socket that was never or no longer connected to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Sockets that pynetdicom left are collected here, not in the middle of another file's test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of a PACS called localhost and of ours, and an object."""
    folder, ca = tmp_path_factory.mktemp("tls"), trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "rogue.pem")
    for name, leaf in {"pacs": ca.issue_cert("localhost"), "us": ca.issue_cert("tetraview.example")}.items():
        leaf.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        leaf.private_key_pem.write_to_path(folder / f"{name}-key.pem")
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ComprehensiveSRStorage, RESULT.sop_instance_uid
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.save_as(folder / "sr.dcm")
    return folder


@pytest.fixture(scope="module")
def pacs(folder: Path) -> Iterator[Destination]:
    """DCMTK's storescp, which wants a certificate from those who call."""
    if not STORESCP.exists():
        pytest.skip("DCMTK is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shown = ["+tls", str(folder / "pacs-key.pem"), str(folder / "pacs.pem"), "+cf", str(folder / "ca.pem")]
    process = subprocess.Popen([STORESCP, *shown, "-aet", "PACS", "--ignore", str(port)])
    try:
        wait_for(port)
        yield Destination(
            name="pacs",
            ae_title="PACS",
            host="localhost",
            port=port,
            tls_ca_file=folder / "ca.pem",
            tls_certificate=folder / "us.pem",
            tls_key=folder / "us-key.pem",
            response_seconds=5,
        )
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            continue
        return


def test_an_object_is_delivered_by_tls(folder: Path, pacs: Destination) -> None:
    """A destination that wants our certificate gets it, stores the object and answers C-ECHO."""
    assert deliver(folder / "sr.dcm", RESULT, pacs) == "0x0000 success"
    echo(pacs)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("plain", "check (its )?address"),
        ("without ours", "it wants a certificate of ours: set tls_certificate and tls_key"),
        ("untrusted", r"signed by none of .*rogue\.pem \(unknown CA\)"),
        ("other name", r"its certificate is not for 127\.0\.0\.1"),
    ],
)
def test_nothing_is_sent_where_tls_does_not_hold(folder: Path, pacs: Destination, what: str, reason: str) -> None:
    """Delivery without TLS or our certificate, or to an untrusted or misnamed peer, fails with the reason."""
    changes: dict[str, object] = {
        "plain": {"tls_ca_file": None, "tls_certificate": None, "tls_key": None},
        "without ours": {"tls_certificate": None, "tls_key": None},
        "untrusted": {"tls_ca_file": folder / "rogue.pem"},
        "other name": {"host": "127.0.0.1"},
    }[what]
    destination = pacs.model_copy(update=changes)
    with pytest.raises(DestinationUnavailable, match=reason):
        deliver(folder / "sr.dcm", RESULT, destination)
    with pytest.raises(DestinationUnavailable, match=reason):
        echo(destination)


def test_certificates_that_cannot_be_read_now_are_waited_for(folder: Path) -> None:
    """An object is not given up because the certificate was away while it was renewed."""
    there = Destination(name="pacs", ae_title="PACS", host="localhost", port=104, tls_ca_file=folder / "none.pem")
    with pytest.raises(DestinationUnavailable, match=r"none\.pem"):
        deliver(folder / "sr.dcm", RESULT, there)
    with pytest.raises(DestinationUnavailable, match=r"none\.pem"):
        ask_for_commitment("2.25.77", RESULT, there, take=lambda _: True, answered=threading.Event())


def test_a_peer_without_tls_is_told(folder: Path) -> None:
    """Where TLS is set and the peer speaks plain DICOM, the message says so."""
    entity = AE("PACS")
    entity.add_supported_context(Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    try:
        port = server.server_address[1]
        there = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, tls_ca_file=folder / "ca.pem")
        with pytest.raises(DestinationUnavailable, match="check that it speaks TLS at this port"):
            echo(there)
    finally:
        server.shutdown()


def test_tls_settings_are_whole() -> None:
    """A certificate needs its key and the authorities of the other side; files that are missing are named."""
    there = {"name": "pacs", "ae_title": "PACS", "host": "localhost", "port": 104}
    with pytest.raises(ValidationError, match="need each other"):
        Destination(**there, tls_ca_file=Path("ca.pem"), tls_certificate=Path("us.pem"))
    with pytest.raises(ValidationError, match="needs tls_ca_file"):
        Destination(**there, tls_certificate=Path("us.pem"), tls_key=Path("key.pem"))
    with pytest.raises(SettingsInvalid, match=r"none\.pem"):
        echo(Destination(**there, tls_ca_file=Path("none.pem")))


def test_files_are_sent_by_tls(folder: Path, pacs: Destination) -> None:
    """Files go to a receiver that is written on a command line, with the certificates named there."""
    sent = store_files([folder / "sr.dcm"], pacs, calling_ae_title="TEST")
    assert dict(sent) == {folder / "sr.dcm": ""}
    files = {name: getattr(pacs, name) for name in ("tls_ca_file", "tls_certificate", "tls_key")}
    receiver = receiver_of(f"{pacs.ae_title}@{pacs.host}:{pacs.port}", **files)
    assert dict(store_files([folder / "sr.dcm"], receiver, calling_ae_title="TEST")) == {folder / "sr.dcm": ""}


@pytest.mark.parametrize("to", ["PACS", "PACS@host", "PACS@host:0", "PACS@host:70000", "SEVENTEEN LETTERS@host:104"])
def test_a_receiver_is_written_in_one_way(to: str) -> None:
    """A receiver that is not AETITLE@host:port is refused in a sentence."""
    with pytest.raises(SettingsInvalid, match="is not AETITLE@host:port"):
        receiver_of(to)
