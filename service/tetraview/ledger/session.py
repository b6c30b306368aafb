"""Transactions of the ledger, and the rows that more than one part of it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tetraview.ledger.database import migrate, transaction
from tetraview.ledger.generations import is_generation
from tetraview.ledger.tables import exams, readings

#: Longest explanation kept in a row.
DETAIL = 500


class Session:
    """A database whose tables are brought to the newest version.

    Raises:
        StorageUnavailable: from any method, when the database is locked, full or away.
    """

    def __init__(self, engine: sa.Engine, *, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = clock
        with self._begin():
            pass
        migrate(engine)

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with transaction(self._engine) as connection:
            yield connection

    def _reading_row(self, exam_id: str, generation: int) -> sa.Row[Any]:
        with self._begin() as connection:
            return connection.execute(sa.select(readings).where(is_generation(exam_id, generation))).one()

    def _update_reading(self, exam_id: str, generation: int, **change: Any) -> None:
        with self._begin() as connection:
            connection.execute(readings.update().where(is_generation(exam_id, generation)).values(**change))

    def _hold_exam(self, connection: sa.Connection, exam_id: str) -> sa.Row[Any]:
        """The exam's row, which nobody else changes until the transaction ends.

        It is held by writing it: SQLite begins its transaction with the first write and has no SELECT FOR UPDATE.
        """
        this = exams.c.exam_id == exam_id
        connection.execute(exams.update().where(this).values(updated_at=self._now()))
        return connection.execute(sa.select(exams).where(this)).one()
