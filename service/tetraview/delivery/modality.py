"""Sends DICOM files as a modality would, each in the transfer syntax it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tetraview.delivery.association import associated
from tetraview.delivery.entity import check_ae_title
from tetraview.delivery.scu import Acceptance, outcome_of
from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.settings import Destination

_RECEIVER = re.compile(r"(?P<ae_title>[^@]{1,16})@(?P<host>.+):(?P<port>\d{1,5})")
_LAST_PORT = 65535
#: A receiver on the command line has this long to answer each message.
_RESPONSE_SECONDS = 60.0


def receiver_of(
    to: str, *, tls_ca_file: Path | None = None, tls_certificate: Path | None = None, tls_key: Path | None = None
) -> Destination:
    """A receiver as people write it on a command line.

    Args:
        to: ``AETITLE@host:port``.
        tls_ca_file: authorities that may have signed its certificate; without it the association is not encrypted.
        tls_certificate: ours, for a receiver that asks for one.
        tls_key: its private key.

    Raises:
        SettingsInvalid: it is not written like this.
    """
    written = _RECEIVER.fullmatch(to)
    if written is None or not 0 < int(written["port"]) <= _LAST_PORT:
        raise SettingsInvalid(f"receiver {to!r} is not AETITLE@host:port")
    try:
        return Destination(
            name="receiver",
            ae_title=written["ae_title"],
            host=written["host"],
            port=int(written["port"]),
            response_seconds=_RESPONSE_SECONDS,
            tls_ca_file=tls_ca_file,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
        )
    except ValidationError as error:
        raise SettingsInvalid(f"receiver {to!r}: {error.errors()[0]['msg']}") from error


def store_files(files: Sequence[Path], receiver: Destination, *, calling_ae_title: str) -> Iterator[tuple[Path, str]]:
    """C-STORE every file over one association.

    Args:
        files: DICOM files (Part 10).
        receiver: receiver of the files.
        calling_ae_title: AE title to send as.

    Yields:
        Each file with nothing where it was stored, else the reason why not.

    Raises:
        SettingsInvalid: our AE title is not written as it should be, or a certificate cannot be used.
        DestinationUnavailable: no association; the message says where.
    """
    check_ae_title(calling_ae_title)
    contexts = {file: _context(file) for file in files}
    proposed = [build_context(*context) for context in sorted({each for each in contexts.values() if each})]
    if not proposed:
        yield from ((file, "not a DICOM file") for file in files)
        return
    unaccepted = "these files: allow their SOP classes and transfer syntaxes there"
    with associated(receiver, proposed, unaccepted=unaccepted, calling_ae_title=calling_ae_title) as association:
        for file in files:
            yield file, _store(association, file) if contexts[file] else "not a DICOM file"


def echo(destination: Destination) -> None:
    """C-ECHO a destination.

    Raises:
        DestinationUnavailable: it does not answer with success.
    """
    contexts, unaccepted = [build_context(Verification)], "C-ECHO: allow Verification there"
    with associated(destination, contexts, unaccepted=unaccepted, calling_ae_title="TETRAVIEW") as association:
        status = association.send_c_echo()
    if "Status" not in status:
        raise DestinationUnavailable(
            f"{destination.name} accepts associations but does not answer a C-ECHO: see its log"
        )
    if status.Status:
        raise DestinationUnavailable(
            f"{destination.name} answers, but refuses a C-ECHO (0x{status.Status:04X}): allow Verification there"
        )


def _context(file: Path) -> tuple[str, str] | None:
    try:
        meta = read_file_meta_info(file)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except (InvalidDicomError, OSError, AttributeError):
        return None


def _store(association: Association, file: Path) -> str:
    try:
        status = association.send_c_store(dcmread(file))
    except (ValueError, RuntimeError) as error:
        return f"not sent ({type(error).__name__}): the receiver does not take its SOP class or transfer syntax"
    code = getattr(status, "Status", None)
    if code is None:
        return "no answer"
    outcome, words = outcome_of(int(code))
    return "" if outcome is Acceptance.DELIVERED else f"answered {words}"
