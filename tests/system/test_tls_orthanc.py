"""Orthanc as a PACS that speaks TLS, both ways and with certificates of both sides."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from tests.support.intake import MAMMOGRAPHY, MemoryLedger, mammogram
from tests.support.orthanc import running_orthanc

from tetraview.delivery import deliver, echo
from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.gate import Gate
from tetraview.settings import Destination, Dicom, Sender, Tls
from tetraview.storage.spool import Spool

pytestmark = pytest.mark.system


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A running Orthanc, and our listener as it knows it."""

    http: str
    destination: Destination
    ledger: MemoryLedger

    def ask(self, path: str, body: object = None) -> Any:
        """The answer of its REST API."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.http}/{path}", data, timeout=20) as answer:
            return json.load(answer)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[tuple[Listener, MemoryLedger]]:
    """The listener lets in the archive by its certificate, and nobody else."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("tetraview", "pacs"):
        leaf = ca.issue_cert("localhost", common_name=name)
        leaf.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        leaf.private_key_pem.write_to_path(tmp_path / f"{name}-key.pem")
    tls = Tls(
        certificate=tmp_path / "tetraview.pem",
        key=tmp_path / "tetraview-key.pem",
        trusted_certificates=tmp_path / "ca.pem",
    )
    gate = Gate(["TETRAVIEW"], senders=[Sender(ae_title="PACS", addresses=("127.0.0.1",), certificate="pacs")])
    ledger = MemoryLedger()
    with Listener(Dicom(port=0, tls=tls), Spool(tmp_path / "spool"), ledger, gate=gate) as listening:
        yield listening, ledger


@pytest.fixture
def archive(tmp_path: Path, listener: tuple[Listener, MemoryLedger]) -> Iterator[Archive]:
    listening, ledger = listener
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(tmp_path / "pacs.pem"),
        "DicomTlsPrivateKey": str(tmp_path / "pacs-key.pem"),
        "DicomTlsTrustedCertificates": str(tmp_path / "ca.pem"),
        "DicomTlsRemoteCertificateRequired": True,
        "DicomModalities": {
            "cad": {"AET": "TETRAVIEW", "Host": "localhost", "Port": listening.port, "UseDicomTls": True}
        },
    }
    with running_orthanc(tmp_path / "orthanc", settings) as pacs:
        destination = Destination(
            name="pacs",
            ae_title="PACS",
            host="localhost",
            port=pacs.destination.port,
            tls_ca_file=tmp_path / "ca.pem",
            tls_certificate=tmp_path / "tetraview.pem",
            tls_key=tmp_path / "tetraview-key.pem",
        )
        yield Archive(http=str(pacs.http), destination=destination, ledger=ledger)


def test_orthanc_takes_and_sends_by_tls(archive: Archive, tmp_path: Path) -> None:
    """Orthanc stores the objects we deliver by TLS, and an object it sends back by TLS is stored as from PACS."""
    image = mammogram()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    sent = ResultObject(
        kind=ResultKind.SEGMENTATION,
        sop_class_uid=MAMMOGRAPHY,
        sop_instance_uid=image.SOPInstanceUID,
        path="image.dcm",
    )
    echo(archive.destination)
    assert deliver(tmp_path / "image.dcm", sent, archive.destination) == "0x0000 success"
    (identifier,) = archive.ask("instances")
    assert archive.ask("modalities/cad/store", [identifier])["FailedInstancesCount"] == 0
    (received,) = archive.ledger.instances
    assert (received.sop_instance_uid, received.calling_ae_title) == (image.SOPInstanceUID, "PACS")
