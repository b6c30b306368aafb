"""Sends DICOM files as a modality would, each in the transfer syntax it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tetraview.delivery.entity import application_entity, tls_arguments
from tetraview.delivery.handshake import tls_fault
from tetraview.delivery.scu import Outcome, outcome_of, rejection_of
from tetraview.errors import DestinationUnavailable, SettingsInvalid
from tetraview.settings import Destination

_RECEIVER = re.compile(r"(?P<ae_title>[^@]{1,16})@(?P<host>.+):(?P<port>\d{1,5})")
_LAST_PORT = 65535
_CONNECT_SECONDS = 5
_RESPONSE_SECONDS = 60


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
        receiver: who gets them.
        calling_ae_title: AE title to send as.

    Yields:
        Each file with nothing where it was stored, else the reason why not.

    Raises:
        SettingsInvalid: our AE title is not written as it should be, or a certificate cannot be used.
        DestinationUnavailable: no association; the message says where.
    """
    contexts = {file: _context(file) for file in files}
    entity = _entity(calling_ae_title)
    for context in sorted({context for context in contexts.values() if context}):
        entity.add_requested_context(*context)
    if not entity.requested_contexts:
        yield from ((file, "not a DICOM file") for file in files)
        return
    association = _associate(entity, receiver)
    try:
        for file in files:
            yield file, _store(association, file) if contexts[file] else "not a DICOM file"
    finally:
        association.release()


def echo(destination: Destination) -> None:
    """C-ECHO a destination.

    Raises:
        DestinationUnavailable: it does not answer with success.
    """
    entity = _entity("TETRAVIEW")
    entity.add_requested_context(Verification)
    association = _associate(entity, destination)
    status = association.send_c_echo()
    association.release()
    if getattr(status, "Status", None) != 0:
        raise DestinationUnavailable(f"{destination.name} accepts associations but not C-ECHO")


def _entity(ae_title: str) -> AE:
    return application_entity(ae_title, connect_seconds=_CONNECT_SECONDS, response_seconds=_RESPONSE_SECONDS)


def _associate(entity: AE, receiver: Destination) -> Association:
    tls = tls_arguments(receiver)
    try:
        association = entity.associate(receiver.host, receiver.port, ae_title=receiver.ae_title, tls_args=tls)
    except OSError as error:
        raise DestinationUnavailable(
            f"no host {receiver.host} is found ({error.strerror}): correct the address"
        ) from error
    if association.is_established:
        return association
    where = f"{receiver.ae_title} at {receiver.host}:{receiver.port}"
    if rejection := rejection_of(association):
        raise DestinationUnavailable(f"{where}: it {rejection}")
    if fault := tls_fault(receiver):
        raise DestinationUnavailable(f"{where}: {fault}")
    what = "address, AE titles, certificates" if tls else "address, AE titles"
    raise DestinationUnavailable(f"{where}: it does not answer; check {what} and that it runs")


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
    return "" if outcome is Outcome.DELIVERED else f"answered {words}"
