"""The same inputs to tetraview and its peers: requests for an association, answers to ours, and data sets.

Orthanc, DCMTK and pynetdicom stand for what else takes associations in hospitals. Where tetraview answers otherwise
than any of them the reason stands beside; a difference without a reason ends with an error.

    usage: python -m tests.bench.peers --out deploy/routing/PEERS.md [--cases FOLDER]
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import structlog
from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import
from tests.support.associations import (
    acceptance_of,
    encode_request,
    item,
    large_request,
    pdu,
    with_first,
    with_last,
    with_titles,
    with_user,
)
from tests.support.intake import MAMMOGRAPHY, VERIFICATION, RawSender
from tests.support.orthanc import running_orthanc
from tests.support.servers import eventually, running

from tetraview.delivery import echo
from tetraview.errors import TetraviewError
from tetraview.intake.dimse.listener import Listener
from tetraview.intake.dimse.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Destination, Dicom
from tetraview.storage.spool import Spool
from tetraview.tools.demo.pacs import free_port

_SECONDS = 10.0
#: Place of (0002,0000) in a file (PS3.10 7.1).
_META = 132
_SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]
_PLAIN = encode_request({1: (MAMMOGRAPHY, _SYNTAXES), 3: (VERIFICATION, _SYNTAXES)}, called="TETRAVIEW", calling="CT")
#: Requests by their oddity.
REQUESTS: dict[str, bytes] = {
    "nothing": _PLAIN,
    "an unknown item before all others": with_first(_PLAIN, item(0x70, b"abcd")),
    "an unknown item at the end": with_last(_PLAIN, item(0x70, b"abcd")),
    "an unknown sub-item of the user information": with_user(_PLAIN, item(0x5F, b"abcd")),
    "a user identity of an unknown type": with_user(_PLAIN, item(0x58, b"\x09\1\0\4abcd\0\0")),
    "a malformed extended negotiation": with_user(_PLAIN, item(0x56, b"\xff\xff")),
    "a version name of 40 characters": with_user(_PLAIN, item(0x55, b"a" * 40)),
    "titles filled with NUL": with_titles(_PLAIN, called=b"TETRAVIEW".ljust(16, b"\0"), calling=b"CT".ljust(16, b"\0")),
    "spaces before the titles": with_titles(_PLAIN, called=b"  TETRAVIEW", calling=b" CT"),
    "a blank calling title": with_titles(_PLAIN, calling=b""),
    "a calling title that is not ASCII": with_titles(_PLAIN, calling=b"M\xc4MMO"),
    "a called title that is none of the peer's": with_titles(_PLAIN, called=b"SOMEBODY", calling=b"CT"),
    "127 contexts of 45 syntaxes (151 kB)": large_request(contexts=128, syntaxes=45),
    "127 contexts of 120 syntaxes (400 kB)": large_request(contexts=128, syntaxes=120),
    "protocol version 2": _PLAIN[:7] + b"\2" + _PLAIN[8:],
    "another application context": _PLAIN.replace(b"8.3.1.1.1", b"8.3.1.1.9"),
    "an item that is longer than the request": with_last(_PLAIN, b"\x70\0\xff\xffab"),
    "HTTP": b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
}
#: Oddities of an acceptance, by name.
ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda answer: answer,
    "an unknown item": lambda answer: with_first(answer, item(0x70, b"abcd")),
    "an unknown sub-item of the user information": lambda answer: with_user(answer, item(0x5F, b"abcd")),
    "a malformed user identity": lambda answer: with_user(answer, item(0x59, b"")),
    "titles of NUL": lambda answer: with_titles(answer, called=bytes(16), calling=bytes(16)),
    "titles that are not ASCII": lambda answer: with_titles(answer, called=b"\xff" * 16, calling=b"\xff" * 16),
}
#: Why tetraview answers otherwise than a peer.
REASONS = {
    "an unknown item before all others": "unknown items are skipped (PS3.8 9.3.1)",
    "an unknown item at the end": "unknown items are skipped (PS3.8 9.3.1)",
    "an unknown item": "a PACS with an extension of its own gets its results (PS3.8 9.3.1)",
    "an unknown sub-item of the user information": "unknown items are skipped (PS3.8 9.3.1)",
    "a user identity of an unknown type": "identities are of no use to us, so none can be wrong",
    "a malformed user identity": "identities are of no use to us, so none can be wrong",
    "a malformed extended negotiation": "nothing is negotiated by it here, so it cannot be wrong",
    "a version name of 40 characters": "the name is of no use to us, so it cannot be wrong",
    "titles filled with NUL": "some implementations fill with NUL; nobody else is meant",
    "titles of NUL": "these fields are not tested (PS3.8 9.3.3)",
    "titles that are not ASCII": "these fields are not tested (PS3.8 9.3.3)",
    "a blank calling title": "who sends decides who is let in, so nobody sends without a name",
    "a calling title that is not ASCII": "who sends decides who is let in, so the name has to be one",
    "a called title that is none of the peer's": "each AE title of ours has models of its own; peers can be set so",
    "127 contexts of 45 syntaxes (151 kB)": "devices send it; up to 1 MiB is read",
    "127 contexts of 120 syntaxes (400 kB)": "up to 1 MiB is read",
    "protocol version 2": "rejected as PS3.8 table 9-21 has it",
    "another application context": "rejected as PS3.8 table 9-21 has it",
    "an item that is longer than the request": "a request that cannot be understood is not guessed at",
    "HTTP": "aborted at the first byte, and listed under “not let in”",
    "g2_big": "the syntax agreed on counts, not what a data set says of itself",
    "g2_deflated": "the syntax agreed on counts, not what a data set says of itself",
    "ox": "a private element of an unknown VR is stepped over by its length",
}
_ACCEPT, _REJECT, _DATA, _ABORT = 2, 3, 4, 7


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One program in both roles."""

    name: str
    #: Where it takes associations as TETRAVIEW.
    port: int
    #: Sends a C-ECHO to a port of this machine.
    echo: Callable[[int], None]


def request_outcome(port: int, request: bytes) -> str:
    """The answer of a peer to a request for an association, in words."""
    try:
        with RawSender(port, timeout_seconds=_SECONDS) as sender:
            sender.socket.sendall(request)
            return _in_words(*sender.read_pdu())
    except TimeoutError:
        return "no answer"
    except OSError:
        return "closed"


def _in_words(kind: int, content: bytes) -> str:
    if kind == _ACCEPT:
        return "accepted"
    if kind == _REJECT:
        return "rejected {}/{}/{}".format(*content[1:4])
    return "aborted {}/{}".format(*content[2:4]) if kind == _ABORT else f"PDU of type {kind}"


def answer_outcome(odd: Callable[[bytes], bytes], send_echo: Callable[[int], None]) -> str:
    """The next step of a peer whose association we have accepted in an odd way."""
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(_SECONDS)
        thread = threading.Thread(target=_accept_oddly, args=(listening, odd, seen), daemon=True)
        thread.start()
        send_echo(listening.getsockname()[1])
        thread.join(_SECONDS)
    return seen[0] if seen else "no answer"


def _accept_oddly(listening: socket.socket, odd: Callable[[bytes], bytes], seen: list[str]) -> None:
    try:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(_SECONDS)
            connection.sendall(odd(acceptance_of(_read_pdu(connection))))
            kind = _read_pdu(connection)[0]
            seen.append("goes on" if kind == _DATA else "aborts" if kind == _ABORT else f"PDU of type {kind}")
            connection.sendall(pdu(b"\0\0\0\0", kind=_ABORT))
    except (OSError, struct.error):
        seen.append("closes")


def _read_pdu(connection: socket.socket) -> bytes:
    head = connection.recv(6, socket.MSG_WAITALL)
    return head + connection.recv(struct.unpack(">BxL", head)[1], socket.MSG_WAITALL)


def store_outcome(port: int, file: Path) -> str:
    """The status of the answer to a C-STORE of a file's data set, byte for byte."""
    encoded = file.read_bytes()
    # Only what its length says is file meta information: a data set may begin with more of the group.
    start = _META + 12 + int.from_bytes(encoded[_META + 8 : _META + 12], "little")
    meta = dcmread(BytesIO(encoded[:start])).file_meta
    uid, syntax = str(meta.MediaStorageSOPInstanceUID), str(meta.TransferSyntaxUID)
    try:
        with RawSender(port, contexts={1: (MAMMOGRAPHY, [syntax])}, calling="CT", timeout_seconds=_SECONDS) as sender:
            kind, content = sender.associate()
            if kind != _ACCEPT:
                return _in_words(kind, content)
            return f"0x{sender.store(MAMMOGRAPHY, uid, encoded[start:]):04X}"
    except TimeoutError:
        return "no answer"
    except OSError:
        return "aborted"


@contextmanager
def peers(folder: Path) -> Iterator[list[Peer]]:
    """All of them, running."""
    kinds = (_ours, _orthanc, _dcmtk, _pynetdicom)
    with ExitStack() as stack:
        yield [stack.enter_context(kind(folder / kind.__name__)) for kind in kinds]


@contextmanager
def _ours(folder: Path) -> Iterator[Peer]:
    folder.mkdir()
    engine = open_engine(f"sqlite:///{folder}/ledger.sqlite")
    ledger = Ledger(engine, clock=lambda: datetime.now(UTC))
    with Listener(Dicom(port=0), Spool(folder / "spool"), ledger) as listener:
        yield Peer(name=f"tetraview {version('tetraview')}", port=listener.port, echo=_echo_of_ours)
    engine.dispose()


def _echo_of_ours(port: int) -> None:
    there = Destination(name="peer", ae_title="PEER", host="127.0.0.1", port=port, response_seconds=_SECONDS)
    try:
        echo(there)
    except TetraviewError:
        return


@contextmanager
def _orthanc(folder: Path) -> Iterator[Peer]:
    settings = {"DicomAet": "TETRAVIEW", "DicomModalitiesInDatabase": True}
    with running_orthanc(folder, settings) as orthanc:

        def send_echo(port: int) -> None:
            modality = {"AET": "PEER", "Host": "127.0.0.1", "Port": port}
            _ask(f"{orthanc.http}/modalities/peer", json.dumps(modality).encode(), method="PUT")
            _ask(f"{orthanc.http}/modalities/peer/echo", b"", method="POST")

        with urllib.request.urlopen(f"{orthanc.http}/system", timeout=_SECONDS) as answer:
            name = f"Orthanc {json.load(answer)['Version']}"
        yield Peer(name=name, port=orthanc.destination.port, echo=send_echo)


def _ask(url: str, body: bytes, *, method: str) -> None:
    try:
        urllib.request.urlopen(urllib.request.Request(url, data=body, method=method), timeout=_SECONDS).close()
    except urllib.error.HTTPError as refused:
        refused.close()


@contextmanager
def _dcmtk(folder: Path) -> Iterator[Peer]:
    folder.mkdir()
    port = free_port()
    command = [_program("storescp"), "--fork", "-aet", "TETRAVIEW", "+xa", "-od", str(folder), str(port)]
    said = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True).stdout
    with running(command, log=folder / "storescp.log"):
        eventually(lambda: _listens(port), seconds=_SECONDS, what="storescp listens")
        yield Peer(name=f"DCMTK {said.split()[2].lstrip('v')}", port=port, echo=_echo_of_dcmtk)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _echo_of_dcmtk(port: int) -> None:
    limits = ["-to", "5", "-ta", "5", "-td", "5"]
    subprocess.run(
        [_program("echoscu"), *limits, "-aec", "PEER", "127.0.0.1", str(port)], capture_output=True, check=False
    )


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name} of DCMTK is not installed")
    return found


@contextmanager
def _pynetdicom(folder: Path) -> Iterator[Peer]:
    folder.mkdir()
    entity = AE("TETRAVIEW")
    entity.add_supported_context(Verification)
    for sop_class in STORAGE_CLASSES:
        entity.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))

    def keep(event: evt.Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        dataset.save_as(folder / f"{event.request.AffectedSOPInstanceUID}.dcm", enforce_file_format=True)
        return 0x0000

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        name = f"pynetdicom {version('pynetdicom')}"
        yield Peer(name=name, port=server.server_address[1], echo=_echo_of_pynetdicom)
    finally:
        server.shutdown()


def _echo_of_pynetdicom(port: int) -> None:
    entity = AE("CT")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port, ae_title="PEER")
    if association.is_established:
        association.send_c_echo()
        association.abort()


def table(rows: Mapping[str, Sequence[str]], names: Sequence[str], *, head: str) -> tuple[str, list[str]]:
    """A Markdown table with the reason for each difference, and the inputs whose difference has none."""
    lines = [f"| {head} | {' | '.join(names)} | where tetraview differs |", "|---" * (len(names) + 2) + "|"]
    unexplained = []
    for name, outcomes in rows.items():
        differs = len(set(outcomes)) > 1 and any(outcome != outcomes[0] for outcome in outcomes[1:])
        if differs and name not in REASONS:
            unexplained.append(name)
        lines.append(f"| {name} | {' | '.join(outcomes)} | {REASONS.get(name, '') if differs else ''} |")
    return "\n".join(lines), unexplained


PAGE = """\
# tetraview and its peers on the same inputs

Made by `python -m tests.bench.peers --out deploy/routing/PEERS.md --cases FOLDER`; all of them with their defaults.
Numbers are result, source and reason of a rejection (PS3.8 9.3.4), and source and reason of an abort (9.3.8).

## Asked for an association

{requests}

## Answered

Each sends a C-ECHO, and its association is accepted by an A-ASSOCIATE-AC with something odd in it.

{answers}

## Sent a data set

C-STORE of the data set as it lies in the file. 0x0000 says that it was stored, not that it can be read.

{stores}
"""


def measured(everybody: Sequence[Peer], *, cases: Path | None) -> tuple[str, list[str]]:
    """The page, and the inputs whose difference has no reason."""
    names = [peer.name for peer in everybody]
    requests = {name: [request_outcome(peer.port, each) for peer in everybody] for name, each in REQUESTS.items()}
    answers = {name: [answer_outcome(odd, peer.echo) for peer in everybody] for name, odd in ANSWERS.items()}
    files = sorted(cases.glob("*/*.dcm")) if cases else []
    stores = {file.parent.name: [store_outcome(peer.port, file) for peer in everybody] for file in files}
    tables = {
        "requests": table(requests, names, head="what is odd about the request"),
        "answers": table(answers, names, head="what is odd about the answer"),
        "stores": table(stores, names, head="case") if files else ("No folder of cases was given.", []),
    }
    page = PAGE.format(**{name: text for name, (text, _) in tables.items()})
    return page, [name for _, unexplained in tables.values() for name in unexplained]


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="page to write, Markdown")
    parser.add_argument("--cases", type=Path, help="folder of cases, each with one image")
    arguments = parser.parse_args()
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder, peers(Path(folder)) as everybody:
        page, unexplained = measured(everybody, cases=arguments.cases)
    arguments.out.write_text(page)
    if unexplained:
        sys.exit(f"no reason is given for a difference: {', '.join(unexplained)}")


if __name__ == "__main__":
    main()
