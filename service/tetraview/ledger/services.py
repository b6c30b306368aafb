"""Every question and every change about services that share this database, each with one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from tetraview.domain.service import RunningService
from tetraview.ledger.database import transaction
from tetraview.ledger.tables import Moment, services

#: Silence in seconds after which a service counts as dead.
DEAD_SECONDS = 30.0
#: Seconds since 1970 by the clock of the database, which is one for all services.
_NOW = {
    "sqlite": (sa.func.julianday("now") - 2440587.5) * 86400.0,
    "postgresql": sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double),
}


class ServiceBook:
    """The table of services; every change is committed when its method returns.

    Args:
        engine: a database whose tables are there, as a `Ledger` leaves it.

    Raises:
        StorageUnavailable: from any method, when the database is locked, full or away.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._now = _NOW[engine.dialect.name]

    def beat(self, service: RunningService) -> None:
        """Say that a service is alive, and all that is to be known of it."""
        said = {
            "role": service.role,
            "version": service.version,
            "started_at": service.started_at,
            "seen_at": self._now,
            "sending": sorted(service.sending),
        }
        this = services.c.executor_id == service.executor_id
        with transaction(self._engine) as connection:
            if not connection.execute(services.update().where(this).values(**said)).rowcount:
                connection.execute(services.insert().values(executor_id=service.executor_id, **said))

    def leave(self, service: RunningService) -> None:
        """Say that a service has stopped, so that others go on with its work at once; not another of its name."""
        this = sa.and_(
            services.c.executor_id == service.executor_id,
            services.c.started_at == sa.literal(service.started_at, Moment),
        )
        with transaction(self._engine) as connection:
            connection.execute(services.update().where(this).values(seen_at=0.0))

    def alive(self) -> list[RunningService]:
        """The services that were heard of lately, by name."""
        query = sa.select(services).where(self._is_alive()).order_by(services.c.executor_id)
        with transaction(self._engine) as connection:
            return [_service(row) for row in connection.execute(query)]

    def take_over(self, go_on: Callable[[str], None], *, but: str, silent: bool) -> list[str]:
        """Go on with the work of each service that has stopped, and forget it.

        Its row is held meanwhile: a service of that name that starts now waits, and two that take over share the dead.
        Where going on fails, the row stays for the next who tries.

        Args:
            go_on: goes on with the work of a service, by its name; may be done twice.
            but: the service that asks.
            silent: whether silence counts, too, which says nothing while the database has been away.

        Returns:
            Their names.
        """
        gone = ~self._is_alive() if silent else services.c.seen_at == 0
        theirs = sa.select(services.c.executor_id).where(gone, services.c.executor_id != but)
        with transaction(self._engine) as connection:
            names = list(connection.execute(theirs.with_for_update(skip_locked=True)).scalars())
            for name in names:
                go_on(name)
                connection.execute(services.delete().where(services.c.executor_id == name))
        return names

    def _is_alive(self) -> sa.ColumnElement[bool]:
        return services.c.seen_at > self._now - DEAD_SECONDS


def _service(row: sa.Row[Any]) -> RunningService:
    return RunningService(
        executor_id=row.executor_id,
        role=row.role,
        version=row.version,
        started_at=row.started_at,
        sending=frozenset(row.sending),
    )
