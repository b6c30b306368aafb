"""The listener for C-STORE, C-ECHO and commitment reports: one thread accepts, one thread serves each association."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from tetraview.domain.address import plain
from tetraview.intake.accept import Acceptor, InstanceLedger
from tetraview.intake.dimse.association import Association
from tetraview.intake.dimse.channel import Channel, PlainChannel, TlsChannel
from tetraview.intake.dimse.upper_layer import Rejection
from tetraview.intake.gate import Gate
from tetraview.intake.sweep import sweep
from tetraview.settings import Dicom, Images
from tetraview.storage.spool import Spool
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.quota import Quota
from tetraview.wire.commitment import TakesReports
from tetraview.wire.tls import RenewedContext

_log = structlog.get_logger()

#: Connections the kernel keeps until we accept them: a whole department may call at once.
_BACKLOG = 512
#: Connections that have not yet said who they are; one more, and the oldest has to go.
_MAX_STRANGERS = 256
#: Silence between two messages after which a stopping service ends an association.
_QUIET_SECONDS = 1.0
_DRAIN_STEP_SECONDS = 0.1
_CLOSE_SECONDS = 5.0
#: Pause when the process is out of file descriptors or threads.
_EXHAUSTED_SECONDS = 0.1
#: An association looks at its deadline at least so often.
_TICK_SECONDS = 0.25
#: Log lines about associations that went wrong: so many at most in so many seconds.
_LINES, _LINES_SECONDS = 50, 10.0


class Listener:
    """Receives instances over DIMSE.

    Args:
        gate: says who is let in; without one this machine is, if it calls the AE title of the settings.
        policy_of: which images are read of those sent to one of our AE titles.
        take_commitment: keeps reports of storage commitment; without it no transaction is ours.

    Raises:
        SettingsInvalid: the certificates of TLS are not usable.
    """

    def __init__(
        self,
        settings: Dicom,
        spool: Spool,
        ledger: InstanceLedger,
        *,
        gate: Gate | None = None,
        metrics: Metrics | None = None,
        policy_of: Callable[[str], Images] = lambda _: Images(),
        take_commitment: TakesReports = lambda _: False,
    ) -> None:
        self._settings = settings
        self._gate = gate or Gate([settings.ae_title])
        self._take_commitment = take_commitment
        self._spool = spool
        self._ledger = ledger
        self._policy_of = policy_of
        #: Takes received instances; STOW-RS uses the same acceptor.
        self.acceptor = Acceptor(
            spool, ledger, max_object_bytes=settings.max_object_bytes, metrics=metrics, policy_of=policy_of
        )
        self._certificates = _certificates(settings)
        self._quota = Quota(_LINES, seconds=_LINES_SECONDS)
        self._changed = threading.Condition()
        self._draining = False
        self._connections: set[Association] = set()
        #: Associations whose peers have not named themselves yet, in the order they came.
        self._strangers: dict[Association, None] = {}
        #: Associations that hold a place.
        self._admitted: set[Association] = set()
        self._bell, self._bell_pull = socket.socketpair()
        self._thread: threading.Thread | None = None
        #: The port we listen on; 0 before the start.
        self.port = 0

    def start(self) -> int:
        """Bring spool and ledger together, then listen.

        Returns:
            The port.

        Raises:
            StorageUnavailable: the ledger does not answer.
            OSError: the address cannot be listened on.
        """
        found = sweep(self._spool, self._ledger, policy_of=self._policy_of)
        self.acceptor.metrics.files_missing.set(len(found.missing))
        self.acceptor.metrics.files_unusable.set(len(found.unusable))
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        address = (self._settings.host, self._settings.port)
        try:
            listening = socket.create_server(address, family=family, backlog=_BACKLOG)
        except OSError:
            self._bell.close()
            self._bell_pull.close()
            raise
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        self._thread = threading.Thread(
            target=self._accept_connections, args=(listening,), name="dicom-listener", daemon=True
        )
        self._thread.start()
        return self.port

    @property
    def is_open(self) -> bool:
        """Whether instances may be received, over whatever protocol: spool and ledger are swept, and no stop began."""
        return self.port != 0 and not self._draining

    def exams_being_sent(self) -> frozenset[str]:
        """The exams that open associations send: a sender that has gone on to the next exam has done with the last."""
        with self._changed:
            return frozenset(association.exam_id for association in self._admitted if association.exam_id)

    def stop(self, grace_seconds: float = 30.0) -> None:
        """Reject newcomers, let associations finish what they are sending, then close.

        Args:
            grace_seconds: after this, associations are aborted; a sender without an answer sends again later.
        """
        self._drain(time.monotonic() + grace_seconds)
        self._bell_pull.close()
        if self._thread is not None:
            self._thread.join()
        with self._changed:
            for association in self._connections:
                association.cancel()
            self._changed.wait_for(lambda: not self._connections, timeout=_CLOSE_SECONDS)
        self._bell.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _drain(self, deadline: float) -> None:
        with self._changed:
            self._draining = True
            while self._admitted and time.monotonic() < deadline:
                for association in self._admitted:
                    if association.quiet_seconds > _QUIET_SECONDS:
                        association.cancel()
                self._changed.wait(_DRAIN_STEP_SECONDS)

    def _accept_connections(self, listening: socket.socket) -> None:
        with listening, selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            while not any(key.fileobj is self._bell for key, _ in selector.select()):
                self._accept_one(listening)

    def _accept_one(self, listening: socket.socket) -> None:
        try:
            connection, address = listening.accept()
            self._serve(connection, str(plain(address[0])))
        except BlockingIOError:
            return
        except (OSError, RuntimeError) as error:
            _log.error("connection_not_served", exc_info=error)
            threading.Event().wait(_EXHAUSTED_SECONDS)

    def _serve(self, connection: socket.socket, address: str) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        association = Association(
            self._channel(connection),
            address=address,
            settings=self._settings,
            acceptor=self.acceptor,
            gate=self._gate,
            quota=self._quota,
            take_commitment=self._take_commitment,
            admit=self._admit,
            dismiss=self._dismiss,
        )
        thread = threading.Thread(target=self._run, args=(association,), name="dicom-association", daemon=True)
        with self._changed:
            self._connections.add(association)
            self._strangers[association] = None
            if len(self._strangers) > _MAX_STRANGERS:
                self._strangers.pop(oldest := next(iter(self._strangers)))
                oldest.cancel()
        try:
            thread.start()
        except RuntimeError:
            connection.close()
            self._dismiss(association)
            self._forget(association)
            raise

    def _channel(self, connection: socket.socket) -> Channel:
        pdu_seconds = min(self._settings.pdu_seconds, self._settings.idle_seconds)
        tick_seconds = min(_TICK_SECONDS, pdu_seconds / 4)
        if self._certificates is None:
            return PlainChannel(connection, tick_seconds=tick_seconds, send_seconds=pdu_seconds)
        context = self._certificates.current
        return TlsChannel(connection, context, tick_seconds=tick_seconds, send_seconds=pdu_seconds)

    def _run(self, association: Association) -> None:
        try:
            association.run()
        finally:
            self._dismiss(association)
            self._forget(association)

    def _admit(self, association: Association) -> Rejection | None:
        metrics = self.acceptor.metrics
        with self._changed:
            self._strangers.pop(association, None)
            if self._draining or len(self._admitted) >= self._settings.max_associations:
                metrics.associations_deferred.inc()
                return Rejection.TEMPORARILY_CONGESTED if self._draining else Rejection.LOCAL_LIMIT_EXCEEDED
            self._admitted.add(association)
            metrics.associations_accepted.inc()
            metrics.associations_open.set(len(self._admitted))
            return None

    def _dismiss(self, association: Association) -> None:
        """Free the place, before the sender has closed."""
        with self._changed:
            self._admitted.discard(association)
            self.acceptor.metrics.associations_open.set(len(self._admitted))
            self._strangers.pop(association, None)
            self._changed.notify_all()

    def _forget(self, association: Association) -> None:
        with self._changed:
            self._connections.discard(association)
            self._changed.notify_all()


def _certificates(settings: Dicom) -> RenewedContext | None:
    tls = settings.tls
    if tls is None:
        return None
    return RenewedContext(tls.certificate, tls.key, trusted_certificates=tls.trusted_certificates)
