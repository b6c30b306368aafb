"""Database engines: SQLite files that survive a power cut by default, PostgreSQL by one setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from tetraview.errors import StorageUnavailable
from tetraview.settings import Settings
from tetraview.storage.folders import Folders

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Seconds a writer waits for another one before it gives up and the sender is told to try later.
_LOCK_SECONDS = 5
#: Options of a PostgreSQL session: commits are synced, and a client that is frozen or gone holds no lock for long.
_SESSION = {
    "synchronous_commit": "on",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
#: How soon a server that vanished is noticed: seconds for a silent connection, milliseconds for unacknowledged data.
_CONNECTION = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
#: A migration may take its time, and wait for the migration of another service.
_PATIENCE = {"sqlite": (), "postgresql": ("SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = '10min'")}
#: Begins a migration: whole or not at all, by one process at a time. Python's SQLite driver leaves CREATE TABLE outside
#: of transactions unless one is begun by hand; the number is only ours.
_BEGIN_MIGRATION = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(74657472)"}


def open_engine(url: str) -> sa.Engine:
    """An engine whose commits are on stable storage when they return.

    SQLite runs in WAL mode with ``synchronous=FULL``: with NORMAL a power cut loses acknowledged rows. PostgreSQL
    syncs at commit unless a server says otherwise, so the session insists.

    Args:
        url: SQLAlchemy URL, ``sqlite:////path/file.sqlite`` or ``postgresql+psycopg://…``.
    """
    if url.startswith("sqlite"):
        engine = sa.create_engine(url, connect_args={"timeout": _LOCK_SECONDS})
        sa.event.listen(engine, "connect", _make_sqlite_durable)
        return engine
    session = _SESSION | {"lock_timeout": f"{_LOCK_SECONDS}s"}
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    return sa.create_engine(
        url, pool_pre_ping=True, connect_args={"options": options, "connect_timeout": _LOCK_SECONDS} | _CONNECTION
    )


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is committed at the end.

    Raises:
        StorageUnavailable: the database is locked, full or away.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
        fault = type(getattr(error, "orig", error)).__name__
        raise StorageUnavailable(
            f"the ledger did not answer ({fault}): check free space, and the database where `database_url` is set"
        ) from error


def check_database(url: str) -> None:
    """See that a database answers; nothing in it is changed.

    Raises:
        StorageUnavailable: it does not, with what the driver calls the fault, which names no password.
    """
    engine = open_engine(url)
    try:
        engine.connect().close()
    except sa.exc.SQLAlchemyError as error:
        fault = type(getattr(error, "orig", error)).__name__
        where = f"{engine.url.host}:{engine.url.port or 5432}/{engine.url.database}"
        raise StorageUnavailable(
            f"database_url: no database answers at {where} ({fault}): check that PostgreSQL runs there, that the "
            "database exists, and user and password"
        ) from error
    finally:
        engine.dispose()


def _make_sqlite_durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def migrate(engine: sa.Engine) -> None:
    """Bring the ledger's tables to the newest version, whole or not at all.

    Tables that a later version made are left as they are: migrations only add, so that the version before goes on
    beside the new one while services are replaced one by one, and after a step back.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with transaction(engine) as connection:
        for patience in _PATIENCE[engine.dialect.name]:
            connection.exec_driver_sql(patience)
        connection.exec_driver_sql(_BEGIN_MIGRATION[engine.dialect.name])
        config.attributes["connection"] = connection
        if known.issuperset(MigrationContext.configure(connection).get_current_heads()):
            command.upgrade(config, "head")


def ledger_engine(settings: Settings) -> sa.Engine:
    """The database of the ledger."""
    return open_engine(settings.postgresql_url or f"sqlite:///{Folders(data=settings.data_dir).ledger}")
