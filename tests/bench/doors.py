"""Malformed files by every door: what each door answers, and how far a file gets behind it.

Every file is sent by C-STORE over an association, by the body of STOW-RS, and found by `read` and `survey`, which open
files alike. Stored files are then decoded in the sandbox. Files of other SOP classes stop at the first two doors, so
they come a second time with the class of a mammogram and a pixel spacing in place of their own.

    usage: python -m tests.bench.doors FOLDER      prints a table
"""

from __future__ import annotations

import logging
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry
from tests.support.intake import MAMMOGRAPHY, MemoryLedger, RawSender

from tetraview.domain.frame import Frame
from tetraview.domain.instance import Instance
from tetraview.domain.limits import DecodeLimits
from tetraview.domain.view import View
from tetraview.encoding.part10 import NotPart10, Part10
from tetraview.errors import ImageUnreadable
from tetraview.imaging.decode import decode_view
from tetraview.intake.accept import Acceptor
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.dimse.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.status import SENTENCES, Status
from tetraview.intake.stow.part10 import FileReception
from tetraview.settings import Dicom, Images
from tetraview.storage.spool import Spool
from tetraview.telemetry.metrics import Metrics
from tetraview.tools.files import instance_of

_FRAME = Frame(height=128, width=64, spacing_mm=2.0)
_STORED = "stored"
#: The words about pixels that were decoded and show no breast.
_SEEN = ("The image is blank", "No breast was found")
_NO_FILE = "no DICOM file: there is nothing to send"


@dataclass(kw_only=True)
class Door:
    """The outcome of the files at one door."""

    name: str
    #: How many files got each answer.
    answers: Counter[str] = field(default_factory=Counter)
    #: Decisions about stored images.
    decisions: Counter[str] = field(default_factory=Counter)
    #: Files whose data set was walked.
    parsed: int = 0
    #: Stored images that the decoder was asked for, and those whose pixels it decoded.
    tried: int = 0
    decoded: int = 0

    def count(self, answer: str, instance: Instance | None, path: Path | None, *, parsed: bool) -> None:
        """Note the outcome of one file, and decode it where it was stored."""
        self.answers[answer] += 1
        self.parsed += parsed
        if instance is None or path is None:
            return
        self.decisions[instance.eligibility.decision] += 1
        self.tried += 1
        try:
            decode_view(path, view=View.L_CC, frame=_FRAME, limits=DecodeLimits())
        except ImageUnreadable as error:
            self.decoded += str(error).startswith(_SEEN)
            return
        self.decoded += 1


def as_mammogram(content: bytes) -> bytes:
    """A file with the SOP class of mammograms wherever it names its own, without group length, with a pixel spacing."""
    try:
        head = Part10.of(content)
    except NotPart10:
        return content
    own, other = head.sop_class_uid.encode(), MAMMOGRAPHY.encode() + b"\0"
    padded = own + b"\0" * (len(own) % 2)
    meta, body = content[132 : head.offset], content[head.offset :]
    meta = meta[12:] if meta.startswith(b"\2\0\0\0") else meta
    for vr in (b"UI", b""):
        size = "<H" if vr else "<L"
        before, after = (vr + struct.pack(size, len(uid)) + uid for uid in (padded, other))
        meta, body = meta.replace(before, after), body.replace(before, after, 1)
    spacing = b"\x18\0\x64\x11" + (b"DS\x08\0" if head.explicit else b"\x08\0\0\0") + b"0.1\\0.1 "
    start, tag, rest = body.partition(b"\x28\0\x02\0")
    return content[:132] + meta + (start + spacing + tag + rest if tag else body)


def by_c_store(content: bytes, port: int) -> str:
    """The answer to the data set of a file, in the syntax that its file meta information says."""
    try:
        head = Part10.of(content)
    except NotPart10:
        return _NO_FILE
    if head.sop_class_uid not in STORAGE_CLASSES:
        return SENTENCES[Status.SOP_CLASS_NOT_SUPPORTED].removesuffix(".")
    if head.transfer_syntax_uid not in TRANSFER_SYNTAXES:
        return SENTENCES[Status.TRANSFER_SYNTAX_NOT_SUPPORTED].removesuffix(".")
    contexts = {1: (head.sop_class_uid, [head.transfer_syntax_uid])}
    with RawSender(port, contexts=contexts, timeout_seconds=60) as sender:
        sender.associate()
        return _told(sender.store(head.sop_class_uid, head.sop_instance_uid, content[head.offset :]))


def by_stow(content: bytes, acceptor: Acceptor) -> str:
    """The answer to a file as a part of a body."""
    request = StoreRequest(
        sop_class_uid="", sop_instance_uid="", transfer_syntax_uid="", calling_ae_title="WEB", called_ae_title="T"
    )
    reception = FileReception(acceptor, request)
    reception.write(memoryview(content))
    return _told(reception.finish().status)


def _told(status: int) -> str:
    return _STORED if status == Status.SUCCESS else SENTENCES[Status(status)].removesuffix(".")


def walked(content: bytes) -> bool:
    """Whether a door has to walk the data set of a file to answer."""
    try:
        head = Part10.of(content)
    except NotPart10:
        return False
    return head.sop_class_uid in STORAGE_CLASSES and head.transfer_syntax_uid in TRANSFER_SYNTAXES


def doors(files: Mapping[str, bytes], scratch: Path, *, suffix: str) -> Iterator[Door]:
    """All files by each door."""
    received, posted, found = (Door(name=f"{name}{suffix}") for name in ("C-STORE", "STOW-RS", "read, survey"))
    spool, ledger = Spool(scratch / "spool"), MemoryLedger()
    acceptor = Acceptor(spool, ledger, max_object_bytes=1 << 30, metrics=Metrics(CollectorRegistry()))
    with Listener(Dicom(port=0), spool, ledger) as listener:
        for name, content in files.items():
            path = scratch / name
            path.write_bytes(content)
            parsed = walked(content)
            for door in (received, posted):
                ledger.instances.clear()
                answer = by_c_store(content, listener.port) if door is received else by_stow(content, acceptor)
                (instance,) = ledger.instances or [None]
                door.count(answer, instance, instance and spool.folder / instance.path, parsed=parsed)
            kept = instance_of(path, called_ae_title="T", policy=Images())
            if isinstance(kept, Instance):
                found.count(_STORED, kept, path, parsed=True)
            else:
                found.count(kept, None, None, parsed=not kept.startswith(("not a DICOM file", "its transfer syntax")))
    yield from (received, posted, found)


def table(found: list[Door], count: int) -> Iterator[str]:
    """A row for each door, and what its answers were."""
    yield "# Malformed files by every door"
    yield ""
    yield f"{count} malformed files, all answered at every door. Made by `python -m tests.bench.doors FOLDER`."
    yield "Walked: the data set had to be read for the answer. What is stored goes to the decoder in its sandbox,"
    yield "whatever was decided about it; where it decodes no pixels it says why in a sentence."
    yield ""
    yield "| door | answered | walked | stored | decoder asked | pixels decoded | decisions | other answers |"
    yield "|---|--:|--:|--:|--:|--:|---|---|"
    for door in found:
        decisions = ", ".join(f"{number} {name}" for name, number in door.decisions.most_common())
        told = (f"{n} {name.removesuffix('.')}" for name, n in door.answers.most_common() if name != _STORED)
        others = ", ".join(told)
        cells = sum(door.answers.values()), door.parsed, door.answers[_STORED], door.tried, door.decoded
        yield f"| {door.name} | {' | '.join(map(str, cells))} | {decisions} | {others} |"


def main(folder: str) -> None:
    """Print the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    files = {path.name: path.read_bytes() for path in sorted(Path(folder).rglob("*.dcm"))}
    found: list[Door] = []
    for suffix, sent in (("", files), (", as mammograms", {name: as_mammogram(each) for name, each in files.items()})):
        with tempfile.TemporaryDirectory() as scratch:
            found += doors(sent, Path(scratch), suffix=suffix)
    sys.stdout.write("\n".join(table(found, len(files))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
