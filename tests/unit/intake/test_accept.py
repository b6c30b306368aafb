from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom.config
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from tests.support.intake import MAMMOGRAPHY, MemoryLedger, encode_data_set, mammogram

from tetraview.domain.instance import Decision, Instance, Recorded
from tetraview.errors import StorageUnavailable
from tetraview.intake.accept import Acceptor
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.status import SENTENCES, Status
from tetraview.intake.sweep import sweep
from tetraview.settings import Images
from tetraview.storage.spool import Spool


class Intake:
    """Spool, ledger and acceptor together."""

    def __init__(self, folder: Path, ledger: MemoryLedger) -> None:
        self.spool, self.ledger = Spool(folder), ledger
        self.acceptor = Acceptor(self.spool, ledger, max_object_bytes=1 << 20)

    def send(self, dataset: Dataset, encoded: bytes | None = None, **request: str) -> Status:
        words = StoreRequest(
            sop_class_uid=str(dataset.get("SOPClassUID", MAMMOGRAPHY)),
            sop_instance_uid=str(dataset.get("SOPInstanceUID", "1.2")),
            transfer_syntax_uid=ImplicitVRLittleEndian,
            calling_ae_title="MODALITY",
            called_ae_title="TETRAVIEW",
        )
        reception = self.acceptor.begin(replace(words, **request))
        reception.write(encode_data_set(dataset) if encoded is None else encoded)
        return reception.finish()

    def files(self) -> list[str]:
        return sorted(self.spool.paths()) + [path.name for path in (self.spool.folder / "incoming").iterdir()]


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path / "spool", MemoryLedger())


def test_an_accepted_instance_is_in_spool_and_ledger(intake: Intake) -> None:
    """An instance is described by its data set and its sender, its file holds the bytes as they came."""
    sent = mammogram()
    assert intake.send(sent) is Status.SUCCESS
    (instance,) = intake.ledger.instances
    assert instance.sop_instance_uid == sent.SOPInstanceUID
    assert instance.eligibility.decision is Decision.READ
    assert (intake.spool.folder / instance.path).read_bytes().endswith(encode_data_set(sent))
    assert instance.size == len(encode_data_set(sent))
    assert intake.files() == [instance.path]


def test_file_names_hold_nothing_that_a_sender_chose(intake: Intake) -> None:
    """The name is made of digests of the data set and of our own AE title."""
    intake.send(mammogram())
    (instance,) = intake.ledger.instances
    folder, name = instance.path.split("/")
    assert name.startswith(instance.sha256)
    assert folder == instance.sha256[0]
    assert instance.sop_instance_uid not in instance.path


def test_the_same_bytes_again_change_nothing(intake: Intake) -> None:
    """A re-send of the same bytes by any sender is a success without a new row, file or call."""
    sent = mammogram()
    for sender in ("MODALITY", "MODALITY", "PACS"):
        assert intake.send(sent, calling_ae_title=sender) is Status.SUCCESS
    assert len(intake.ledger.instances) == len(intake.files()) == 1


def test_other_bytes_of_the_same_sender_are_a_new_version(intake: Intake) -> None:
    """A changed instance of the same sender is kept beside the old one and read again."""
    sent = mammogram()
    intake.send(sent)
    sent.Rows, sent.PixelData = 8, bytes(64)
    assert intake.send(sent) is Status.SUCCESS
    assert len(intake.ledger.instances) == len(intake.files()) == 2


def test_other_bytes_of_another_sender_are_refused(intake: Intake) -> None:
    """Nobody can replace an image that somebody else sent; the first one stays, and may be sent again."""
    sent = mammogram()
    intake.send(sent)
    before = intake.files()
    forged = mammogram(SOPInstanceUID=sent.SOPInstanceUID)
    assert intake.send(forged, calling_ae_title="ELSE") is Status.NOT_AUTHORISED
    assert intake.files() == before
    assert intake.send(sent) is Status.SUCCESS


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"SOPInstanceUID": None}, Status.ILLEGAL_UID),
        ({"StudyInstanceUID": None}, Status.ILLEGAL_UID),
        ({"SeriesInstanceUID": "../../escape"}, Status.ILLEGAL_UID),
        ({"StudyInstanceUID": "1." * 32 + "1"}, Status.ILLEGAL_UID),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, Status.DATA_SET_MISMATCH),
        ({"SOPInstanceUID": "1.3"}, Status.DATA_SET_MISMATCH),
        ({"Rows": 65535, "Columns": 65535}, Status.TOO_MANY_PIXELS),
        ({"NumberOfFrames": 2**31 - 1}, Status.TOO_MANY_PIXELS),
    ],
)
def test_what_cannot_be_stored_has_a_permanent_status(
    intake: Intake, change: dict[str, Any], status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set that contradicts its sender or has no valid identity is refused for good and leaves nothing."""
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    attributes: dict[str, Any] = {"SOPInstanceUID": "1.2", "Rows": 4096, "Columns": 3328}
    sent = mammogram(**(attributes | change))
    assert intake.send(sent, sop_class_uid=MAMMOGRAPHY, sop_instance_uid="1.2") is status
    assert intake.files() == []
    assert not intake.ledger.instances


def test_which_images_are_read_depends_on_the_title_called(tmp_path: Path) -> None:
    """The same image may be read under one AE title of ours, and not under another."""
    ledger = MemoryLedger()
    policies = {"TETRA_A": Images(), "TETRA_B": Images(implants="read")}
    acceptor = Acceptor(Spool(tmp_path), ledger, max_object_bytes=1 << 20, policy_of=policies.__getitem__)
    sent = mammogram(BreastImplantPresent="YES")
    for title in policies:
        reception = acceptor.begin(
            StoreRequest(
                sop_class_uid=sent.SOPClassUID,
                sop_instance_uid=sent.SOPInstanceUID,
                transfer_syntax_uid=ImplicitVRLittleEndian,
                calling_ae_title="MODALITY",
                called_ae_title=title,
            )
        )
        reception.write(encode_data_set(sent))
        assert reception.finish() is Status.SUCCESS
    assert [instance.eligibility.decision for instance in ledger.instances] == [Decision.IMPLANT, Decision.READ]


@pytest.mark.parametrize("uid", [b"1.2\n", b"1\0.2", b"../x", b"    ", b"\0\0\0\0"])
def test_a_uid_is_judged_as_it_stands_in_the_data_set(intake: Intake, uid: bytes) -> None:
    """Line ends, NULs and paths within a UID are seen and refused, not repaired."""
    sent = mammogram(StudyInstanceUID="1.77")
    encoded = encode_data_set(sent).replace(b"\x04\0\0\x001.77", b"\x04\0\0\0" + uid)
    assert encoded != encode_data_set(sent)
    assert intake.send(sent, encoded) is Status.ILLEGAL_UID


@pytest.mark.parametrize("uid", ["", "../../escape", "/abs/path", "1.2\0.3", "1..2", "1" * 65, "1.2\n", "x"])
def test_an_affected_uid_that_is_none_is_refused(intake: Intake, uid: str) -> None:
    """A request whose own UID is not a UID is answered, and nothing is written."""
    assert intake.send(mammogram(), sop_instance_uid=uid) is Status.ILLEGAL_UID
    assert intake.files() == []


@pytest.mark.parametrize(
    "change", [{"BitsStored": 19}, {"HighBit": 3}, {"SamplesPerPixel": 3}, {"Rows": None}, {"pixel_bytes": 0}]
)
def test_an_image_that_makes_no_sense_is_stored_and_not_read(intake: Intake, change: dict[str, Any]) -> None:
    """An image that cannot be read is still accepted, so that nobody sends it for ever; the reason is kept."""
    assert intake.send(mammogram(**change)) is Status.SUCCESS
    (instance,) = intake.ledger.instances
    assert instance.eligibility.decision is Decision.NO_PIXELS
    assert instance.eligibility.because


def test_a_data_set_over_the_limit_is_refused_while_it_comes(intake: Intake) -> None:
    """The size limit holds during the transfer, not after it."""
    reception = intake.acceptor.begin(
        StoreRequest(
            sop_class_uid=MAMMOGRAPHY,
            sop_instance_uid="1.2",
            transfer_syntax_uid=ImplicitVRLittleEndian,
            calling_ae_title="A",
            called_ae_title="B",
        )
    )
    for _ in range(17):
        reception.write(bytes(1 << 16))
    assert reception.refused is Status.OBJECT_TOO_LARGE
    assert intake.files() == []


def failing(error: BaseException) -> Callable[[Instance], Recorded]:
    def fail(_: Instance) -> Recorded:
        raise error

    return fail


class PanicException(BaseException):
    """The exception that native decoders raise."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageUnavailable(), Status.OUT_OF_RESOURCES),
        (RuntimeError("bug"), Status.PROCESSING_FAILURE),
        (PanicException("native"), Status.PROCESSING_FAILURE),
    ],
)
def test_a_fault_after_the_file_is_named_leaves_no_file(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: Status
) -> None:
    """When the row cannot be written, the sender gets a status for any exception, and the file is removed."""
    monkeypatch.setattr(intake.ledger, "record_instance", failing(error))
    sent = mammogram()
    assert intake.send(sent) is status
    assert intake.files() == []
    monkeypatch.undo()
    assert intake.send(sent) is Status.SUCCESS


def test_a_file_whose_row_may_be_committed_is_kept(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the ledger fails after its commit, the file stays, so that the row keeps its bytes."""
    record = intake.ledger.record_instance

    def commit_and_fail(instance: Instance) -> Recorded:
        record(instance)
        raise StorageUnavailable

    monkeypatch.setattr(intake.ledger, "record_instance", commit_and_fail)
    sent = mammogram()
    assert intake.send(sent) is Status.OUT_OF_RESOURCES
    monkeypatch.undo()
    assert intake.send(sent) is Status.SUCCESS
    assert intake.files() == list(intake.ledger.paths())


def test_every_status_has_a_sentence_that_fits() -> None:
    """Error Comment (0000,0902) holds at most 64 characters of the default repertoire."""
    assert set(SENTENCES) == set(Status)
    assert all(0 < len(sentence) <= 64 and sentence.isascii() for sentence in SENTENCES.values())


def test_a_start_adopts_what_the_ledger_does_not_know(intake: Intake) -> None:
    """A file that had its name but no row when the service died is recorded at the next start."""
    intake.send(mammogram())
    known = list(intake.ledger.instances)
    intake.ledger.instances.clear()
    report = sweep(intake.spool, intake.ledger, policy_of=lambda _: Images())
    assert (report.adopted, report.unusable, report.missing) == (1, (), ())
    (adopted,) = intake.ledger.instances
    assert replace(adopted, received_at=known[0].received_at) == known[0]


def test_a_start_reports_what_it_cannot_mend(intake: Intake) -> None:
    """Rows without a file and files that are not what their name says are reported and left alone."""
    intake.send(mammogram())
    intake.send(mammogram())
    gone, rotten = (instance.path for instance in intake.ledger.instances)
    intake.ledger.instances.pop()
    (intake.spool.folder / gone).unlink()
    with (intake.spool.folder / rotten).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\1")
    (intake.spool.folder / "incoming/tetraview+0.part").write_bytes(b"")
    report = sweep(intake.spool, intake.ledger, policy_of=lambda _: Images())
    assert (report.parts, report.adopted, report.unusable, report.missing) == (1, 0, (rotten,), (gone,))
    assert (intake.spool.folder / rotten).exists()
