"""Checks of the things that the service needs, each with a sentence that says what to fix."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial

from pydicom.uid import ComprehensiveSRStorage, generate_uid

from tetraview.delivery import ask_for_commitment, echo
from tetraview.domain.address import is_this_machine
from tetraview.domain.clock import utc_now
from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.sender import DICOMWEB, MENDED_BY_ALLOWING, Refusal, RejectedSender
from tetraview.errors import DestinationUnavailable, SettingsInvalid, TetraviewError
from tetraview.ledger import Ledger, SenderBook, check_database
from tetraview.ledger.database import ledger_engine
from tetraview.roles import open_models
from tetraview.settings import Destination, Settings, Tls
from tetraview.storage.durable import write_file
from tetraview.storage.folders import Folders
from tetraview.ups import check_worklist
from tetraview.wire.resolve import addresses_of
from tetraview.wire.tls import server_context

#: Free space for a day of a busy screening site.
_MIN_FREE_BYTES = 20 << 30
#: Longest wait for a PACS to call back, and the pause between two looks.
_WAY_BACK_SECONDS = 10.0
_POLL_SECONDS = 0.2
#: State of adjtimex(2) while the kernel's clock is not synchronised.
_TIME_ERROR = 5
_TIMEX_BYTES = 512
_CONNECT_SECONDS = 5.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses that are looked up, not listened on


class Health(StrEnum):
    """Outcome of a check; the value is the mark that people see."""

    GOOD = "✓"
    #: Something to know; the service runs.
    REMARK = "!"
    FAULT = "✗"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The outcome of one check."""

    health: Health
    what: str
    #: The thing to fix; empty where there is none.
    sentence: str = ""


class _Remark(TetraviewError):
    """The service runs with it, and a person should know."""


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Check after check, as each is done.

    Args:
        settings: settings that the service runs with.
    """
    for what, check in _checks(settings):
        try:
            check()
        except _Remark as remark:
            yield Diagnosis(health=Health.REMARK, what=what, sentence=str(remark))
        except TetraviewError as fault:
            yield Diagnosis(health=Health.FAULT, what=what, sentence=str(fault))
        else:
            yield Diagnosis(health=Health.GOOD, what=what)


def _checks(settings: Settings) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "data folder", partial(_check_data, settings)
    yield "clock", _check_clock
    if settings.postgresql_url:
        yield "database", partial(check_database, settings.postgresql_url)
    if settings.role != "listener":
        yield "Triton", partial(_check_triton, settings)
    if settings.dicom.tls:
        yield "TLS of the listener", partial(_check_tls, settings.dicom.tls)
    if settings.role != "worker":
        yield from _exposure(settings)
        yield f"listener {settings.dicom.ae_title}", partial(_check_listener, settings)
    for destination in settings.destinations:
        yield f"destination {destination.name}", partial(echo, destination)
        if destination.ae_title:
            yield f"way back from {destination.name}", partial(_check_way_back, settings, destination)
    if not settings.destinations:
        yield "destinations", _no_destination
    if settings.worklist:
        yield "worklist", partial(check_worklist, settings.worklist)


def _check_data(settings: Settings) -> None:
    """Check that the folder is there and has room, and that written bytes reach the disk."""
    Folders(data=settings.data_dir).make()
    free = shutil.disk_usage(settings.data_dir).free
    if free < _MIN_FREE_BYTES:
        raise SettingsInvalid(f"{settings.data_dir} has {free >> 30} GiB free: make room or move `data_dir`")
    trial = settings.data_dir / f"doctor-{os.getpid()}"
    write_file(trial, b"trial")
    trial.unlink()


def _check_clock() -> None:
    """Check the clock, since result times are compared with other machines'; adjtimex(2) is only asked, not changed."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state == _TIME_ERROR:
        raise _Remark("the clock of this machine is not synchronised: set up chrony or another NTP client")
    if state < 0:
        raise _Remark(f"the system does not say whether its clock is right ({os.strerror(ctypes.get_errno())})")


def _check_triton(settings: Settings) -> None:
    models = open_models(settings)
    models.check()
    if settings.emits_probability:
        models.check_calibration()


def _check_listener(settings: Settings) -> None:
    """Check that our own listener answers at the address that senders use, if the service runs.

    Where this machine may not send, or has to show a certificate, we only connect to the listener.
    """
    dicom = settings.dicom
    if not dicom.port:
        raise _Remark("dicom.port is 0, a free one at each start: set one that senders can know")
    host = _EVERYWHERE.get(dicom.host, dicom.host)
    try:
        if dicom.tls or settings.senders:
            _connect(host, dicom.port)
        else:
            echo(Destination(name="listener", ae_title=dicom.ae_title, host=host, port=dicom.port))
    except DestinationUnavailable as fault:
        raise _Remark(f"{fault}. If the service is not started yet, run this again when it is") from fault


def _connect(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise DestinationUnavailable(f"nobody listens at {host}:{port} ({error.strerror})") from error


def _check_tls(tls: Tls) -> None:
    server_context(tls.certificate, tls.key, trusted_certificates=tls.trusted_certificates)


def _exposure(settings: Settings) -> Iterator[tuple[str, Callable[[], object]]]:
    """Things that the network can see or do, and things that it cannot although somebody may expect it."""
    dicom, web = settings.dicom, settings.web
    if not is_this_machine(dicom.host):
        if dicom.tls is None:
            remark = "images come in unencrypted: set [dicom.tls], or keep that network to itself"
            yield "network", partial(_remark, remark)
        if not settings.senders:
            remark = "no [[senders]] is set: only this machine, and whom `tetraview senders allow` names, may send"
            yield "senders", partial(_remark, remark)
    if dicom.tls and web.certificate is None:
        yield "DICOMweb", partial(_check_dicomweb, settings)
    if web.certificate is None and not is_this_machine(web.host):
        remark = "they are shown unencrypted and without login: set web.certificate, or put a proxy in front"
        yield "pages", partial(_remark, remark)


def _check_dicomweb(settings: Settings) -> None:
    """Nobody sends by HTTP what associations send encrypted and by certificate."""
    with _sender_book(settings) as book:
        allowed = [sender.ae_title for sender in book.allowed_senders()]
    if DICOMWEB in {*allowed, *(sender.ae_title for sender in settings.senders)}:
        raise _Remark("DICOMWEB may send, without TLS beside [dicom.tls]: set web.certificate, or remove that sender")


def _remark(sentence: str) -> None:
    raise _Remark(sentence)


def _no_destination() -> None:
    raise _Remark("none is set: results stay in the data folder")


def _check_way_back(settings: Settings, destination: Destination) -> None:
    """Whether the PACS can call us, which only a call of its own can tell.

    A PACS that commits is asked about an object that it does not have, and answers by calling the running service.
    """
    with _sender_book(settings) as book:
        before = _last_heard(book, destination)
        if destination.commitment:
            _ask_about_nothing(destination, calling_ae_title=settings.dicom.ae_title)
            deadline = time.monotonic() + _WAY_BACK_SECONDS
            while _last_heard(book, destination) == before and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
        after = _last_heard(book, destination)
        rejected = _last_rejected(book, destination)
    if rejected and (after is None or rejected.last_at > after):
        raise DestinationUnavailable(_turned_away(rejected, destination, settings))
    if after is None:
        raise _Remark(f"{destination.ae_title} has not called yet: send a C-ECHO from there, or route an exam")
    if destination.commitment and after == before:
        raise _Remark(
            f"{destination.ae_title} called at {after:%F %T} UTC, but not when asked for commitment: check that the "
            "service runs, and host and port that the PACS has of it"
        )


@contextmanager
def _sender_book(settings: Settings) -> Iterator[SenderBook]:
    engine = ledger_engine(settings)
    try:
        Ledger(engine, clock=utc_now)
        yield SenderBook(engine, clock=utc_now)
    finally:
        engine.dispose()


def _last_heard(book: SenderBook, destination: Destination) -> datetime | None:
    heard = [sender.last_at for sender in book.heard_senders() if sender.ae_title == destination.ae_title]
    return max(heard, default=None)


def _last_rejected(book: SenderBook, destination: Destination) -> RejectedSender | None:
    """The last time that its AE title was turned away: from an address of its host or, where there is none, another."""
    rejected = [sender for sender in book.rejected_senders() if sender.calling_ae_title == destination.ae_title]
    there = addresses_of(destination.host)
    return next((sender for sender in rejected if sender.address in there), next(iter(rejected), None))


def _turned_away(rejected: RejectedSender, destination: Destination, settings: Settings) -> str:
    """That a sender was turned away, and the remedy."""
    who = f"{rejected.calling_ae_title}@{rejected.address}"
    said = f"{who} was turned away at {rejected.last_at:%F %T} UTC ({rejected.reason.replace('_', ' ')})"
    if rejected.reason is Refusal.WRONG_CALLED_AE_TITLE:
        ours = " or ".join(settings.called_ae_titles)
        return f"{said}: it called {rejected.called_ae_title}, have it call {ours}, or add a profile of that AE title"
    if rejected.reason not in MENDED_BY_ALLOWING:
        return f"{said}: {rejected.detail or 'see its log'}"
    elsewhere = "" if rejected.address in addresses_of(destination.host) else f" if that is {destination.name} too"
    return f"{said}: let it in by `tetraview senders allow {who}` or in [[senders]]{elsewhere}"


def _ask_about_nothing(destination: Destination, *, calling_ae_title: str) -> None:
    """Ask for commitment to an object that nobody has; the answer is a refusal, which is as good."""
    uid = generate_uid(prefix=None)
    nothing = ResultObject(
        kind=ResultKind.MEASUREMENT_REPORT, sop_class_uid=ComprehensiveSRStorage, sop_instance_uid=uid, path=""
    )
    ask_for_commitment(
        generate_uid(prefix=None),
        nothing,
        destination,
        take=lambda _: True,
        answered=threading.Event(),
        calling_ae_title=calling_ae_title,
    )
