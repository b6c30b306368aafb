"""Senders that are let in, by the settings or by a person since; and a record of the senders that called."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Protocol

import structlog

from tetraview.domain.address import THIS_MACHINE, plain
from tetraview.domain.sender import AllowedSender, HeardSender, Refusal, RejectedSender
from tetraview.settings import Sender
from tetraview.telemetry.metrics import Metrics
from tetraview.telemetry.quota import Quota

_log = structlog.get_logger()

#: Senders remembered between two flushes; more are only counted.
_MAX_UNWRITTEN = 1000
#: Refusals that say nothing of permitted senders; all others are security alerts.
_NO_ALERTS = frozenset({Refusal.OTHER_PROTOCOL, Refusal.PROTOCOL_FAULT, Refusal.NO_PLACE})
#: Log lines about senders that are not let in: so many at most in so many seconds.
_LINES, _LINES_SECONDS = 20, 10.0


class SenderLedger(Protocol):
    """The part of the ledger that the gate needs.

    Raises:
        StorageUnavailable: from any method, when the database is locked, full or away.
    """

    def allowed_senders(self) -> Sequence[AllowedSender]:
        """Senders that a person let in."""

    def note_rejections(self, rejections: Iterable[RejectedSender]) -> None:
        """Add to the record of senders that were not let in."""

    def note_heard(self, heard: Iterable[HeardSender]) -> None:
        """Keep the time at which each sender that was let in called last."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The peer that opened a connection, with the names that it has given so far."""

    address: str
    #: Names in its certificate; none without TLS.
    names: tuple[str, ...] = ()
    calling_ae_title: str = ""
    called_ae_title: str = ""
    #: Whether it is let in only as a sender of exactly its AE title, since its address or certificate says too little.
    needs_own_sender: bool = False


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """Conditions under which one sender entry lets a caller in."""

    #: ``*`` is any.
    ae_title: str
    networks: tuple[IPv4Network | IPv6Network, ...]
    #: Empty where any certificate will do.
    certificate: str

    def admits(self, caller: Caller) -> bool:
        titles = {caller.calling_ae_title} if caller.needs_own_sender else {"*", caller.calling_ae_title}
        return (
            self.ae_title in titles
            and self.has_address(caller)
            and (not self.certificate or self.certificate.lower() in {name.lower() for name in caller.names})
        )

    def has_address(self, caller: Caller) -> bool:
        address = plain(caller.address)
        return any(address in network for network in self.networks)


class Gate:
    """Decides which callers may send, and remembers those that were not let in.

    Args:
        called_ae_titles: AE titles that may be called.
        senders: senders of the settings; without any, this machine is let in under every AE title.
        ledger: holds the senders allowed by hand and keeps rejections; None keeps none.
    """

    def __init__(
        self,
        called_ae_titles: Collection[str],
        *,
        senders: Sequence[Sender] = (),
        ledger: SenderLedger | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._called_ae_titles = frozenset(called_ae_titles)
        self._rules = tuple(map(_rule_of_settings, senders)) or (
            _Rule(ae_title="*", networks=THIS_MACHINE, certificate=""),
        )
        self._ledger = ledger
        self._metrics = metrics
        self._lock = threading.Lock()
        self._unwritten: dict[tuple[str, str, str, Refusal], RejectedSender] = {}
        self._heard: dict[tuple[str, str], HeardSender] = {}
        self._quota = Quota(_LINES, seconds=_LINES_SECONDS)

    def refusal(self, caller: Caller) -> Refusal | None:
        """Why a caller is not let in, or None.

        Raises:
            StorageUnavailable: the settings do not let it in, and the ledger cannot be asked.
        """
        reason = _refusal(caller, self._rules, self._allowed)
        if reason is None and caller.called_ae_title not in self._called_ae_titles:
            reason = Refusal.WRONG_CALLED_AE_TITLE
        if reason is not None:
            self.note(caller, reason)
        else:
            self._hear(caller)
        return reason

    def note(self, caller: Caller, reason: Refusal, *, detail: str = "") -> None:
        """Count a caller that is not let in."""
        rejection = _rejection(caller, reason, detail)
        if self._metrics is not None:
            self._metrics.associations_rejected.labels(reason=reason).inc()
        with self._lock:
            self._add(rejection)
        left_out = self._quota.take()
        if left_out is not None:
            _log.warning(
                "association_refused" if reason in _NO_ALERTS else "security_alert",
                reason=reason,
                detail=detail,
                calling_ae_title=rejection.calling_ae_title,
                called_ae_title=rejection.called_ae_title,
                peer=caller.address,
                count=left_out + 1,
            )

    def flush(self) -> None:
        """Write the notes since the last flush into the ledger.

        Raises:
            StorageUnavailable: the ledger does not answer; nothing is forgotten.
        """
        if self._ledger is None:
            return
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
            heard, self._heard = self._heard, {}
        try:
            if taken:
                self._ledger.note_rejections(taken.values())
                taken = {}
            if heard:
                self._ledger.note_heard(heard.values())
        except BaseException:
            with self._lock:
                self._heard = heard | self._heard
                for rejection in taken.values():
                    self._add(rejection)
            raise

    def _hear(self, caller: Caller) -> None:
        key = _printable(caller.calling_ae_title), str(plain(caller.address))
        with self._lock:
            if key in self._heard or len(self._heard) < _MAX_UNWRITTEN:
                self._heard[key] = HeardSender(ae_title=key[0], address=key[1], last_at=datetime.now(UTC))

    def _add(self, rejection: RejectedSender) -> None:
        key = (rejection.calling_ae_title, rejection.address, rejection.called_ae_title, rejection.reason)
        known = self._unwritten.get(key)
        if known is not None:
            rejection = replace(
                rejection,
                count=known.count + rejection.count,
                first_at=min(known.first_at, rejection.first_at),
                last_at=max(known.last_at, rejection.last_at),
            )
        if known is not None or len(self._unwritten) < _MAX_UNWRITTEN:
            self._unwritten[key] = rejection

    def _allowed(self) -> tuple[_Rule, ...]:
        return () if self._ledger is None else tuple(map(_rule_of_ledger, self._ledger.allowed_senders()))


def _refusal(caller: Caller, rules: Sequence[_Rule], allowed: Callable[[], Sequence[_Rule]]) -> Refusal | None:
    if any(rule.admits(caller) for rule in rules):
        return None
    rules = [*rules, *allowed()]
    if any(rule.admits(caller) for rule in rules):
        return None
    own = [rule for rule in rules if rule.ae_title == caller.calling_ae_title]
    if not own:
        return Refusal.UNKNOWN_SENDER
    at_address = any(rule.has_address(caller) for rule in own)
    return Refusal.WRONG_CERTIFICATE if at_address else Refusal.WRONG_ADDRESS


def _rule_of_settings(sender: Sender) -> _Rule:
    return _Rule(ae_title=sender.ae_title, networks=sender.addresses, certificate=sender.certificate or "")


def _rule_of_ledger(sender: AllowedSender) -> _Rule:
    networks = (ip_network(sender.address),)
    return _Rule(ae_title=sender.ae_title, networks=networks, certificate=sender.certificate)


def _rejection(caller: Caller, reason: Refusal, detail: str) -> RejectedSender:
    now = datetime.now(UTC)
    return RejectedSender(
        calling_ae_title=_printable(caller.calling_ae_title),
        address=str(plain(caller.address)),
        called_ae_title=_printable(caller.called_ae_title),
        reason=reason,
        certificate=next(iter(caller.names), ""),
        detail=detail,
        count=1,
        first_at=now,
        last_at=now,
    )


def _printable(ae_title: str) -> str:
    """An AE title as given by a sender, made fit for a row and a page."""
    return "".join(character if " " <= character <= "~" else "?" for character in ae_title[:16])
