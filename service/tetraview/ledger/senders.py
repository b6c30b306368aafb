"""Every question and every change about senders, each with one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from tetraview.domain.address import plain
from tetraview.domain.sender import MENDED_BY_ALLOWING, AllowedSender, HeardSender, Refusal, RejectedSender
from tetraview.errors import SettingsInvalid
from tetraview.ledger.database import transaction
from tetraview.ledger.tables import allowed_senders, heard_senders, rejected_senders
from tetraview.settings.section import AETitle

#: Rejected senders kept; where more come, the oldest go.
MAX_REJECTED = 1000
#: Longest name of a certificate, and longest explanation, kept in a row.
_CERTIFICATE, _DETAIL = 253, 200
_AE_TITLE: TypeAdapter[str] = TypeAdapter(AETitle)


class SenderBook:
    """The tables of senders, beside the ledger's others; every change is committed when its method returns.

    Args:
        engine: a database whose tables are there, as a `Ledger` leaves it.
        clock: the present.

    Raises:
        StorageUnavailable: from any method, when the database is locked, full or away.
    """

    def __init__(self, engine: sa.Engine, *, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = clock

    def allowed_senders(self) -> Sequence[AllowedSender]:
        """Senders that a person let in, by AE title."""
        query = sa.select(allowed_senders).order_by(allowed_senders.c.ae_title, allowed_senders.c.address)
        with transaction(self._engine) as connection:
            return [AllowedSender(**row._asdict()) for row in connection.execute(query)]

    def allow(self, ae_title: str, address: str, *, certificate: str = "") -> None:
        """Let a sender in from now on, by the certificate said; its rejections are history.

        Raises:
            SettingsInvalid: this is no AE title, or no IP address.
        """
        address = _checked(ae_title, address)
        values = {"certificate": certificate[:_CERTIFICATE], "allowed_at": self._now()}
        with transaction(self._engine) as connection:
            _remove(connection, allowed_senders, *_allowed(ae_title, address))
            connection.execute(allowed_senders.insert().values(ae_title=ae_title, address=address, **values))
            mended = rejected_senders.c.reason.in_(MENDED_BY_ALLOWING)
            _remove(connection, rejected_senders, *_rejected(ae_title, address), mended)

    def withdraw(self, ae_title: str, address: str) -> bool:
        """Let a sender in no more; whether it had been."""
        with transaction(self._engine) as connection:
            return _remove(connection, allowed_senders, *_allowed(ae_title, address))

    def rejected_senders(self) -> Sequence[RejectedSender]:
        """Senders that were not let in, latest first."""
        query = sa.select(rejected_senders).order_by(rejected_senders.c.last_at.desc())
        with transaction(self._engine) as connection:
            return [_rejection(row) for row in connection.execute(query)]

    def forget(self, calling_ae_title: str, address: str) -> bool:
        """Strike a sender off those that were not let in; whether it stood there."""
        with transaction(self._engine) as connection:
            return _remove(connection, rejected_senders, *_rejected(calling_ae_title, address))

    def note_rejections(self, rejections: Iterable[RejectedSender]) -> None:
        """Add to the record of senders that were not let in, and keep only the latest."""
        with transaction(self._engine) as connection:
            for rejection in rejections:
                _note(connection, rejection)
            latest = sa.select(rejected_senders.c.last_at).order_by(rejected_senders.c.last_at.desc())
            oldest = connection.execute(latest.offset(MAX_REJECTED - 1).limit(1)).scalar()
            if oldest is not None:
                _remove(connection, rejected_senders, rejected_senders.c.last_at < oldest)

    def heard_senders(self) -> Sequence[HeardSender]:
        """Senders that were let in, latest first."""
        query = sa.select(heard_senders).order_by(heard_senders.c.last_at.desc())
        with transaction(self._engine) as connection:
            return [HeardSender(**row._asdict()) for row in connection.execute(query)]

    def note_heard(self, heard: Iterable[HeardSender]) -> None:
        """Keep when senders called last."""
        with transaction(self._engine) as connection:
            for sender in heard:
                same = heard_senders.c.ae_title == sender.ae_title, heard_senders.c.address == sender.address
                _remove(connection, heard_senders, *same)
                connection.execute(heard_senders.insert().values(**asdict(sender)))


def _checked(ae_title: str, address: str) -> str:
    """The address as it is compared; a row must not let in more than one AE title."""
    try:
        one = _AE_TITLE.validate_python(ae_title) != "*"
        compared = str(plain(address))
    except ValueError:
        one = False
    if not one:
        raise SettingsInvalid(f"{ae_title}@{address} is no AE title of one sender and its IP address")
    return compared


def _note(connection: sa.Connection, rejection: RejectedSender) -> None:
    changes = {
        "certificate": rejection.certificate[:_CERTIFICATE],
        "detail": rejection.detail[:_DETAIL],
        "last_at": rejection.last_at,
    }
    same = (
        *_rejected(rejection.calling_ae_title, rejection.address),
        rejected_senders.c.called_ae_title == rejection.called_ae_title,
        rejected_senders.c.reason == rejection.reason,
    )
    more = rejected_senders.update().where(*same)
    if connection.execute(more.values(count=rejected_senders.c.count + rejection.count, **changes)).rowcount:
        return
    connection.execute(
        rejected_senders.insert().values(
            calling_ae_title=rejection.calling_ae_title,
            address=rejection.address,
            called_ae_title=rejection.called_ae_title,
            reason=rejection.reason,
            count=rejection.count,
            first_at=rejection.first_at,
            **changes,
        )
    )


def _allowed(ae_title: str, address: str) -> tuple[sa.ColumnElement[bool], ...]:
    return allowed_senders.c.ae_title == ae_title, allowed_senders.c.address == address


def _rejected(calling_ae_title: str, address: str) -> tuple[sa.ColumnElement[bool], ...]:
    return rejected_senders.c.calling_ae_title == calling_ae_title, rejected_senders.c.address == address


def _remove(connection: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> bool:
    return connection.execute(table.delete().where(*conditions)).rowcount > 0


def _rejection(row: sa.Row[Any]) -> RejectedSender:
    return RejectedSender(**(row._asdict() | {"reason": Refusal(row.reason)}))
