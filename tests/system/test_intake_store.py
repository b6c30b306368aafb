"""Real senders store into the real listener with the real ledger."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE
from pynetdicom.status import code_to_category
from tests.support.intake import MAMMOGRAPHY, VERIFICATION, MemoryLedger, RawSender, encode_data_set, mammogram

from tetraview.domain.instance import Instance, Recorded
from tetraview.domain.view import View
from tetraview.intake.accept import InstanceLedger
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.dimse.negotiation import TRANSFER_SYNTAXES
from tetraview.intake.gate import Gate
from tetraview.intake.status import Status
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Dicom, Sender
from tetraview.storage.spool import Spool

RECIPE = Path(__file__).parents[2] / "deploy" / "routing" / "storescu.cfg"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture(params=["sqlite", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InstanceLedger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield Ledger(engine, clock=lambda: datetime.now(UTC))
    engine.dispose()


class NotingLedger:
    """A ledger that also notes every image that was new to it."""

    def __init__(self, ledger: InstanceLedger, told: list[Instance]) -> None:
        self._ledger = ledger
        self._told = told
        self.has_path = ledger.has_path
        self.paths = ledger.paths

    def record_instance(self, instance: Instance) -> Recorded:
        recorded = self._ledger.record_instance(instance)
        if recorded is not Recorded.SAME:
            self._told.append(instance)
        return recorded


@pytest.fixture
def told() -> list[Instance]:
    return []


@pytest.fixture
def listener(spool: Spool, ledger: InstanceLedger, told: list[Instance]) -> Iterator[Listener]:
    with Listener(Dicom(port=0), spool, NotingLedger(ledger, told)) as listener:
        yield listener


def stored_data_set(spool: Spool, instance: Instance) -> bytes:
    path = spool.folder / instance.path
    return path.read_bytes()[-instance.size :]


def needed(program: str) -> str:
    command = shutil.which(program)
    if command is None and os.environ.get("CI") != "true":
        pytest.skip(f"{program} of DCMTK is not installed")
    assert command is not None
    return command


def storescu(*arguments: str | Path) -> None:
    done = subprocess.run(
        [needed("storescu"), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda syntax: str(syntax.name))
def test_the_data_set_is_stored_as_it_was_sent(
    listener: Listener, spool: Spool, told: list[Instance], syntax: UID
) -> None:
    """In every transfer syntax the stored data set is, byte for byte, the one that was sent."""
    sent = mammogram(pixel_bytes=200_000)
    encoded = encode_data_set(sent, syntax)
    with RawSender(listener.port, contexts={1: (MAMMOGRAPHY, [syntax])}) as sender:
        sender.associate()
        assert sender.store(MAMMOGRAPHY, sent.SOPInstanceUID, encoded) == Status.SUCCESS
    (instance,) = told
    assert stored_data_set(spool, instance) == encoded
    assert instance.transfer_syntax_uid == syntax
    meta = read_file_meta_info(spool.folder / instance.path)
    assert meta.TransferSyntaxUID == syntax
    assert meta.MediaStorageSOPInstanceUID == sent.SOPInstanceUID
    assert str(meta.ImplementationVersionName).startswith("TETRAVIEW")
    assert dcmread(spool.folder / instance.path).PatientName == "DOE^JANE"


def test_pynetdicom_stores_and_is_answered(listener: Listener, told: list[Instance]) -> None:
    """A pynetdicom sender verifies, stores and releases."""
    sent = mammogram()
    sent.file_meta = FileMetaDataset()
    sent.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    sender = AE("MODALITY")
    sender.add_requested_context(MAMMOGRAPHY, ImplicitVRLittleEndian)
    sender.add_requested_context(VERIFICATION)
    association = sender.associate("127.0.0.1", listener.port, ae_title="TETRAVIEW")
    assert association.send_c_echo().Status == 0
    assert code_to_category(association.send_c_store(sent).Status) == "Success"
    association.release()
    assert association.is_released
    assert [instance.calling_ae_title for instance in told] == ["MODALITY"]


def test_dcmtk_sends_what_it_is_given_by_the_recipe(listener: Listener, told: list[Instance], tmp_path: Path) -> None:
    """By the shipped recipe storescu sends a folder of files in several compressions, each as it is stored."""
    study, syntaxes = tmp_path / "study", (None, JPEG2000Lossless, JPEGLSLossless, RLELossless)
    study.mkdir()
    for number, syntax in enumerate(syntaxes):
        _written(study / f"{number}.dcm", syntax)
    _written(tmp_path / "image.dcm", None)
    subprocess.run([needed("dcmcjpeg"), "+e1", tmp_path / "image.dcm", study / "lossless.dcm"], check=True)
    to = ("-aet", "SCRIPT", "-aec", "TETRAVIEW", "127.0.0.1", str(listener.port), study)
    storescu("-xf", RECIPE, "Mammography", "+sd", *to)
    expected = {ExplicitVRLittleEndian, JPEGLosslessSV1, *filter(None, syntaxes)}
    assert {instance.transfer_syntax_uid for instance in told} == expected


def _written(path: Path, syntax: UID | None) -> None:
    image = mammogram(pixel_bytes=512 * 256 * 2)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax is not None:
        image.compress(syntax)
    image.save_as(path, enforce_file_format=True)


@pytest.mark.skipif("TETRAVIEW_EXAMS" not in os.environ, reason="TETRAVIEW_EXAMS names no folder")
def test_dcmtk_stores_real_exams(listener: Listener, spool: Spool, told: list[Instance]) -> None:
    """DCMTK's storescu delivers real exams; each image is stored as it was and fills its slot."""
    files = sorted(Path(os.environ["TETRAVIEW_EXAMS"]).glob("*/*.dcm"))
    storescu("-xs", "-aec", "TETRAVIEW", "127.0.0.1", str(listener.port), *files)
    views = {(instance.study_instance_uid, instance.eligibility.view) for instance in told}
    assert len(told) == len(views) == len(files)
    by_uid = {instance.sop_instance_uid: instance for instance in told}
    for file in files:
        instance = by_uid[dcmread(file, stop_before_pixels=True).SOPInstanceUID]
        assert file.read_bytes().endswith(stored_data_set(spool, instance))
        assert instance.eligibility.view is View(file.stem)


def test_200_associations_at_once_are_all_served(spool: Spool) -> None:
    """When a whole department sends at the same moment, nobody is rejected, times out or waits long."""
    ledger = MemoryLedger()

    def send(dataset: Dataset, port: int) -> int:
        with RawSender(port, timeout_seconds=20) as sender:
            sender.associate()
            status = sender.store(MAMMOGRAPHY, dataset.SOPInstanceUID, encode_data_set(dataset))
            sender.release()
            return status

    images = [mammogram(pixel_bytes=8000) for _ in range(200)]
    settings = Dicom(port=0, max_associations=200)
    with Listener(settings, spool, ledger) as serving, ThreadPoolExecutor(200) as pool:
        assert set(pool.map(send, images, [serving.port] * 200)) == {Status.SUCCESS}
    assert len(ledger.instances) == len(list(spool.paths())) == 200


def test_the_same_image_from_20_associations_is_stored_once(listener: Listener, spool: Spool) -> None:
    """Twenty senders of one image at the same moment are all acknowledged, and there is one file and one row."""
    sent = mammogram(pixel_bytes=100_000)

    def send(_: int) -> int:
        with RawSender(listener.port) as sender:
            sender.associate()
            return sender.store(MAMMOGRAPHY, sent.SOPInstanceUID, encode_data_set(sent))

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(send, range(20))) == {Status.SUCCESS}
    assert len(list(spool.paths())) == 1


def rejection(port: int, **titles: str) -> tuple[int, ...]:
    with RawSender(port, **titles) as sender:  # type: ignore[arg-type]  # titles only
        kind, content = sender.associate()
        assert kind == 3
        return tuple(content[1:])


def test_strangers_are_rejected_for_good(spool: Spool) -> None:
    """A wrong called AE title and a calling one that is not listed are rejected permanently, each with its reason."""
    gate = Gate(["TETRAVIEW"], senders=[Sender(ae_title="MODALITY", addresses=("127.0.0.1",))])
    with Listener(Dicom(port=0), spool, MemoryLedger(), gate=gate) as listener:
        assert rejection(listener.port, called="OTHER", calling="MODALITY") == (1, 1, 7)
        assert rejection(listener.port, calling="STRANGER") == (1, 1, 3)
        with RawSender(listener.port, calling="MODALITY") as sender:
            assert sender.associate()[0] == 2


def test_every_ae_title_of_ours_has_exams_of_its_own(spool: Spool, ledger: InstanceLedger) -> None:
    """An image sent to two of our AE titles is stored for each, and a third AE title is rejected."""
    told: list[Instance] = []
    noting = NotingLedger(ledger, told)
    sent = mammogram()
    with Listener(Dicom(port=0), spool, noting, gate=Gate(["TETRAVIEW", "TETRA_B"])) as listener:
        for called in ("TETRAVIEW", "TETRA_B", "TETRA_B"):
            with RawSender(listener.port, called=called) as sender:
                sender.associate()
                assert sender.store(MAMMOGRAPHY, sent.SOPInstanceUID, encode_data_set(sent)) == Status.SUCCESS
        assert rejection(listener.port, called="TETRA_C") == (1, 1, 7)
    assert [instance.called_ae_title for instance in told] == ["TETRAVIEW", "TETRA_B"]
    assert sorted(spool.paths()) == sorted(instance.path for instance in told)


def test_associations_over_the_limit_are_told_to_try_later(spool: Spool) -> None:
    """One association more than allowed is rejected for now, and accepted once a place is free."""
    with Listener(Dicom(port=0, max_associations=1), spool, MemoryLedger()) as listener:
        with RawSender(listener.port) as first:
            assert first.associate()[0] == 2
            assert rejection(listener.port) == (2, 3, 2)
            assert first.release() == 6
        with RawSender(listener.port) as second:
            assert second.associate()[0] == 2


@pytest.mark.parametrize(
    ("sop_class", "syntax", "result"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", ImplicitVRLittleEndian, 3),
        (MAMMOGRAPHY, "1.2.840.10008.1.2.1.99", 4),
        (MAMMOGRAPHY, "1.2.840.10008.1.2.2", 4),
        (MAMMOGRAPHY, ImplicitVRLittleEndian, 0),
    ],
    ids=["CT", "deflated", "big endian", "implicit"],
)
def test_what_is_not_served_is_said_at_the_start(listener: Listener, sop_class: str, syntax: str, result: int) -> None:
    """Foreign SOP classes, the deflated and the big-endian syntax are refused by presentation context."""
    with RawSender(listener.port, contexts={1: (sop_class, [syntax])}) as sender:
        kind, content = sender.associate()
    assert kind == 2
    item = content.index(b"\x21\x00")
    assert content[item + 6] == result
