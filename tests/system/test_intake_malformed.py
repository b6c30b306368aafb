"""Hostile data sets, each sent as it is: every one has an answer in time, and the listener goes on."""

from __future__ import annotations

import os
import random
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1
from tests.support.intake import MAMMOGRAPHY, VERIFICATION, MemoryLedger, RawSender, encode_data_set, mammogram

from tetraview.intake.dimse.listener import Listener
from tetraview.intake.status import Status
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool

ANSWER_SECONDS = 5.0
VARIANTS = 4
CONTEXTS: dict[int, tuple[str, list[str]]] = {
    1: (MAMMOGRAPHY, [ExplicitVRLittleEndian]),
    3: (VERIFICATION, ["1.2.840.10008.1.2"]),
    5: (MAMMOGRAPHY, [JPEGLosslessSV1]),
}
#: Permitted answers: stored, or refused for good. With a temporary refusal the image would come back for ever.
FINAL = {Status.SUCCESS, *(status for status in Status if status >= Status.DATA_SET_MISMATCH)}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def data_set_of(file: bytes) -> bytes:
    """The data set after the file meta information, however broken, as a mammogram."""
    start = 132 if file[128:132] == b"DICM" else 0
    while file[start : start + 2] == b"\2\0":
        vr, length = struct.unpack_from("<2sH", file, start + 4)
        start += 8 + length if vr != b"OB" else 12 + struct.unpack_from("<L", file, start + 8)[0]
    uid = MAMMOGRAPHY.encode() + b"\0"
    computed_tomography = b"\x08\0\x16\0UI\x1a\x001.2.840.10008.5.1.4.1.1.2\0"
    data_set = file[start:].replace(computed_tomography, b"\x08\0\x16\0UI\x1c\0" + uid, 1)
    return data_set.replace(b"\x08\0\x60\0CS\2\0CT", b"\x08\0\x60\0CS\2\0MG", 1)


def instance_uid_of(data_set: bytes) -> str:
    marker = data_set.find(b"\x08\0\x18\0UI")
    if marker < 0:
        return "1.2.3"
    (length,) = struct.unpack_from("<H", data_set, marker + 6)
    return data_set[marker + 8 : marker + 8 + length].rstrip(b"\0 ").decode("latin-1")


def damaged(data_set: bytes, chance: random.Random) -> bytes:
    """A few bytes flipped, mostly in the header, or the end cut off."""
    flipped = bytearray(data_set)
    for _ in range(chance.randint(1, 12) if flipped else 0):
        place = chance.randrange(min(len(flipped), chance.choice([400, 1500, len(flipped)])))
        flipped[place] ^= 1 << chance.randrange(8)
    return bytes(
        flipped[: chance.randrange(1, len(flipped))] if len(flipped) > 1 and chance.random() < 0.1 else flipped
    )


def hostile(folder: Path) -> Iterator[tuple[bytes, str]]:
    chance = random.Random(20261121)
    for path in sorted(folder.glob("*/*.dcm")):
        data_set = data_set_of(path.read_bytes())
        uid = instance_uid_of(data_set)
        yield data_set, uid
        for _ in range(VARIANTS - 1):
            yield damaged(data_set, chance), uid


def send_all(port: int, objects: list[tuple[bytes, str]]) -> Counter[int]:
    """The number of answers by status; an answer that is late or missing fails."""
    statuses: Counter[int] = Counter()
    with RawSender(port, contexts=CONTEXTS, timeout_seconds=ANSWER_SECONDS) as sender:
        sender.associate()
        for data_set, uid in objects:
            context_id = 5 if b"\xff\xff\xff\xff\xfe\xff\0\xe0" in data_set else 1
            started = time.monotonic()
            statuses[sender.store(MAMMOGRAPHY, uid, data_set, context_id=context_id)] += 1
            assert time.monotonic() - started < ANSWER_SECONDS
        assert sender.echo() == Status.SUCCESS
    return statuses


@pytest.mark.skipif("TETRAVIEW_MALFORMED" not in os.environ, reason="TETRAVIEW_MALFORMED names no folder")
def test_every_hostile_data_set_is_answered(spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    """Hundreds of malformed and mutated data sets are each answered with a final status within five seconds."""
    objects = list(hostile(Path(os.environ["TETRAVIEW_MALFORMED"])))
    ledger = MemoryLedger()
    with Listener(Dicom(port=0), spool, ledger) as listener:
        statuses = send_all(listener.port, objects)
    with capsys.disabled():
        print(f"\n{len(objects)} hostile data sets")  # noqa: T201 - the table is the test's report
        for status, count in sorted(statuses.items()):
            print(f"  {status:04X} {Status(status).name:24} {count:5}")  # noqa: T201
        decisions = Counter(instance.eligibility.decision for instance in ledger.instances)
        print("  stored as", dict(decisions))  # noqa: T201
    assert len(objects) >= 500
    assert statuses.total() == len(objects)
    assert set(statuses) <= FINAL
    assert set(spool.paths()) == set(ledger.paths())
    assert not list((spool.folder / "incoming").iterdir())


def test_mutated_mammograms_are_answered(spool: Spool) -> None:
    """A thousand mutations of a mammogram are each answered with a final status."""
    chance = random.Random(7)
    sent = mammogram(pixel_bytes=800)
    encoded = encode_data_set(sent, ExplicitVRLittleEndian)
    objects = [(damaged(encoded, chance), str(sent.SOPInstanceUID)) for _ in range(1000)]
    with Listener(Dicom(port=0), spool, MemoryLedger()) as listener:
        statuses = send_all(listener.port, objects)
    assert statuses.total() == len(objects)
    assert set(statuses) <= FINAL
    assert statuses[Status.SUCCESS] > 0
    assert len(statuses) > 3


def test_mutated_association_requests_do_no_harm(spool: Spool) -> None:
    """Five hundred mutated association requests are accepted, rejected or aborted, and the listener goes on."""
    chance = random.Random(11)
    outcomes: Counter[int] = Counter()
    with Listener(Dicom(port=0, pdu_seconds=0.05), spool, MemoryLedger()) as listener:
        for _ in range(500):
            with RawSender(listener.port) as sender:
                request = damaged(sender.encode_request(), chance)
                sender.socket.sendall(request)
                outcomes[answer_type(sender)] += 1
        with RawSender(listener.port) as sender:
            assert sender.associate()[0] == 2
            assert sender.echo() == Status.SUCCESS
    assert set(outcomes) <= {2, 3, 7}
    assert outcomes.total() == 500


def answer_type(sender: RawSender) -> int:
    return sender.read_pdu()[0]


def test_mutated_commands_do_no_harm(spool: Spool) -> None:
    """Five hundred mutated C-STORE commands are answered or aborted, and the listener goes on."""
    chance = random.Random(13)
    sent = mammogram()
    encoded = encode_data_set(sent)
    outcomes: Counter[int] = Counter()
    with Listener(Dicom(port=0, pdu_seconds=0.2, idle_seconds=0.3), spool, MemoryLedger()) as listener:
        for _ in range(500):
            with RawSender(listener.port) as sender:
                sender.associate()
                whole = sender.encode_command(1, 0x0001, 0x0000, MAMMOGRAPHY, str(sent.SOPInstanceUID))
                sender.socket.sendall(
                    whole[:12] + damaged(whole[12:] + b" ", chance).ljust(len(whole) - 12)[: len(whole) - 12]
                )
                try:
                    sender.send_data_set(encoded)
                    outcomes[answer_type(sender)] += 1
                except ConnectionError:
                    outcomes[0] += 1
        with RawSender(listener.port) as sender:
            sender.associate()
            assert sender.echo() == Status.SUCCESS
    assert set(outcomes) <= {0, 4, 7}
    assert outcomes[7] > 0
    assert outcomes[4] > 0
