from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trustme
from pydicom.uid import ImplicitVRLittleEndian
from structlog.testing import capture_logs
from tests.support.intake import MAMMOGRAPHY, encode_data_set, mammogram

from tetraview.delivery import deliver_files
from tetraview.domain.sender import Refusal
from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.intake.file_meta import StoreRequest, encode_file_meta
from tetraview.intake.gate import Caller
from tetraview.settings import Destination, Dicom, Sender, Tls
from tetraview.tools.demo.pacs import free_port
from tetraview.tools.retrieve import Study
from tetraview.tools.retrieve.dimse import DicomArchive, Moved


def archive_at(host: str, *senders: Sender) -> DicomArchive:
    there = Destination(name="pacs", ae_title="PACS", host=host, port=104)
    return DicomArchive(there, Dicom(), senders=senders)


def refusal(archive: DicomArchive, address: str, *, calling: str = "PACS", called: str = "TETRAVIEW") -> Refusal | None:
    return archive.gate().refusal(Caller(address=address, calling_ae_title=calling, called_ae_title=called))


def test_an_archive_on_another_machine_may_send() -> None:
    """While a study is retrieved its archive is let in from its address, under any AE title, and no stranger is."""
    archive = archive_at("192.0.2.7")
    assert refusal(archive, "192.0.2.7") is None
    assert refusal(archive, "::ffff:192.0.2.7", calling="PACS_STORE") is None
    assert refusal(archive, "192.0.2.8") is not None
    assert refusal(archive, "192.0.2.7", called="OTHER") is Refusal.WRONG_CALLED_AE_TITLE


def test_senders_of_the_settings_may_send_for_an_archive() -> None:
    """An archive that sends from another address than it answers from is let in as the settings say."""
    archive = archive_at("192.0.2.7", Sender(ae_title="PACS", addresses=("198.51.100.0/24",)))
    assert refusal(archive, "198.51.100.9") is None
    assert refusal(archive, "198.51.100.9", calling="STRANGER") is Refusal.UNKNOWN_SENDER


def test_an_archive_whose_host_has_no_address_is_a_sentence() -> None:
    """A host that cannot be found is named."""
    with pytest.raises(DestinationUnavailable, match=r"no host archive\.invalid"):
        archive_at("archive.invalid").gate()


def test_what_is_retrieved_comes_by_tls_where_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `dicom.tls` the receiver of a study speaks TLS, as the service itself does."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("ours", "archive"):
        leaf = ca.issue_cert("127.0.0.1")
        leaf.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        leaf.private_key_pem.write_to_path(tmp_path / f"{name}-key.pem")
    tls = Tls(
        certificate=tmp_path / "ours.pem", key=tmp_path / "ours-key.pem", trusted_certificates=tmp_path / "ca.pem"
    )
    dicom = Dicom(port=free_port(), tls=tls)
    us = Destination(
        name="us",
        ae_title="TETRAVIEW",
        host="127.0.0.1",
        port=dicom.port,
        tls_ca_file=tmp_path / "ca.pem",
        tls_certificate=tmp_path / "archive.pem",
        tls_key=tmp_path / "archive-key.pem",
    )
    image = write_image(tmp_path / "image.dcm")
    archive = DicomArchive(Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104), dicom)

    def send(_: Study) -> Moved:
        sent = dict(deliver_files([image], us, calling_ae_title="PACS"))
        return Moved(completed=list(sent.values()).count(""))

    monkeypatch.setattr(archive, "move", send)
    (tmp_path / "study").mkdir()
    archive.retrieve(Study(study_instance_uid="2.25.1"), tmp_path / "study")
    assert len([path for path in (tmp_path / "study").rglob("*") if path.is_file()]) == 1


def write_image(path: Path) -> Path:
    dataset = mammogram()
    request = StoreRequest(
        sop_class_uid=MAMMOGRAPHY,
        sop_instance_uid=dataset.SOPInstanceUID,
        transfer_syntax_uid=ImplicitVRLittleEndian,
        calling_ae_title="MODALITY",
        called_ae_title="ARCHIVE",
    )
    path.write_bytes(encode_file_meta(request) + encode_data_set(dataset))
    return path


def test_retrieving_beside_a_running_service_is_said_without_harm(tmp_path: Path) -> None:
    """Where our port is taken, the advice does not lead to any reading, and the terminal gets no log lines."""
    there = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        archive = DicomArchive(there, Dicom(port=taken.getsockname()[1]))
        with capture_logs() as logged, pytest.raises(SettingsInvalid, match="stop the service, or name the archive by"):
            archive.retrieve(Study(study_instance_uid="2.25.1", study_date=""), tmp_path)
    assert logged == []
