"""The ledger's part about what destinations are owed, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tetraview.domain.delivery import Delivery, DeliveryKey, DeliveryState, ResultObject
from tetraview.domain.exam import ExamState
from tetraview.ledger.documents import results_document
from tetraview.ledger.generations import is_generation, set_state
from tetraview.ledger.owed import close_exam, delivery_of, is_row_of, owe
from tetraview.ledger.session import DETAIL, Session
from tetraview.ledger.tables import commitments, deliveries, exams, readings

_IS_PENDING = deliveries.c.state == DeliveryState.PENDING
_IS_REFUSED = deliveries.c.state == DeliveryState.REFUSED
_AWAITS_COMMITMENT = sa.and_(deliveries.c.state == DeliveryState.DELIVERED, deliveries.c.commit_by.is_not(None))

#: States that each outcome of an attempt may follow: a service that is late, since another has gone on with its work,
#: changes no more than it knows.
_FROM = {
    DeliveryState.PENDING: (DeliveryState.PENDING,),
    DeliveryState.DELIVERED: (DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.REFUSED),
    DeliveryState.REFUSED: (DeliveryState.PENDING, DeliveryState.DELIVERED),
    DeliveryState.COMMITTED: (DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.REFUSED),
}
#: States of an exam that a delivery's outcome may change; an exam that is held meanwhile stays held.
_ENDS_BY_DELIVERY = frozenset({ExamState.DELIVERING, ExamState.FAILED})


class Deliveries(Session):
    """Objects that destinations are owed."""

    def open_deliveries(
        self, exam_id: str, generation: int, *, results: Sequence[ResultObject], destinations: Mapping[str, str]
    ) -> bool:
        """Keep the results and owe each destination those of its output profile; a second call changes nothing.

        Args:
            exam_id: the exam.
            generation: which of its generations.
            results: objects of all output profiles.
            destinations: name of the output profile by name of the destination.

        Returns:
            Whether nothing is owed, so that the exam is now done.
        """
        document = results_document.dump_python(tuple(results), mode="json")
        owed = {
            (destination, result)
            for destination, output in destinations.items()
            for result in results
            if result.output == output
        }
        ours = sa.and_(deliveries.c.exam_id == exam_id, deliveries.c.generation == generation)
        with self._begin() as connection:
            self._hold_exam(connection, exam_id)
            connection.execute(readings.update().where(is_generation(exam_id, generation)).values(results=document))
            rows = connection.execute(sa.select(deliveries.c.destination, deliveries.c.sop_instance_uid).where(ours))
            known = {(row.destination, row.sop_instance_uid) for row in rows}
            for destination, result in sorted(owed, key=lambda pair: (pair[0], pair[1].path)):
                if (destination, result.sop_instance_uid) not in known:
                    owe(connection, exam_id, generation, destination, result)
            set_state(connection, exam_id, generation, state=ExamState.DELIVERING)
            return close_exam(connection, exam_id, generation)

    def record_delivery(self, delivery: Delivery) -> bool:
        """Keep the outcome of one attempt; a delivery that has moved on meanwhile, or to a later round, stays as it is.

        Returns:
            Whether it was the exam's last delivery, so that the exam is now done or failed.
        """
        row = sa.and_(is_row_of(delivery.key), deliveries.c.state.in_(_FROM[delivery.state]))
        change = {
            "state": delivery.state,
            "attempts": delivery.attempts,
            "detail": delivery.detail[:DETAIL],
            "commit_by": delivery.commit_by,
        }
        with self._begin() as connection:
            # Two last deliveries at once must not each see the other as pending.
            exam = self._hold_exam(connection, delivery.exam_id)
            changed = connection.execute(deliveries.update().where(row).values(**change)).rowcount
            if not changed or exam.state not in _ENDS_BY_DELIVERY:
                return False
            return close_exam(connection, delivery.exam_id, delivery.generation)

    def deliveries(self, exam_id: str) -> list[Delivery]:
        """Every delivery of an exam, by generation, destination and file."""
        return self._select(deliveries.c.exam_id == exam_id)

    def delivery(self, key: DeliveryKey) -> Delivery | None:
        """One delivery, or None where it is in another round by now."""
        return next(iter(self._select(is_row_of(key))), None)

    def jobs(self) -> list[Delivery]:
        """Every delivery that waits or was refused, by exam, generation, destination and file."""
        return self._select(sa.or_(_IS_PENDING, _IS_REFUSED, _AWAITS_COMMITMENT))

    def count_pending(self) -> dict[str, int]:
        """How many objects each destination is still owed."""
        query = sa.select(deliveries.c.destination, sa.func.count()).where(_IS_PENDING)
        with self._begin() as connection:
            rows = connection.execute(query.group_by(deliveries.c.destination))
            return {row[0]: row[1] for row in rows}

    def oldest_pending(self) -> dict[str, datetime]:
        """Time of the last image of the oldest exam whose results each destination is still owed."""
        query = sa.select(deliveries.c.destination, sa.func.min(exams.c.last_image_at).label("at"))
        query = query.join_from(deliveries, exams, deliveries.c.exam_id == exams.c.exam_id).where(_IS_PENDING)
        with self._begin() as connection:
            return {row.destination: row.at for row in connection.execute(query.group_by(deliveries.c.destination))}

    def count_refused(self) -> dict[str, int]:
        """How many objects each destination refused, without those that were queued again."""
        query = sa.select(deliveries.c.destination, sa.func.count()).where(_IS_REFUSED)
        with self._begin() as connection:
            rows = connection.execute(query.group_by(deliveries.c.destination))
            return {row[0]: row[1] for row in rows}

    # Again

    def requeued(self) -> list[Delivery]:
        """Deliveries that are to be sent in a later round than their first."""
        return self._select(_IS_PENDING, deliveries.c.round > 0)

    def requeue(self, *, exam_id: str | None = None, destination: str | None = None) -> int:
        """Give refused objects a new round, of one exam or all, of one destination or all.

        Returns:
            How many objects.
        """
        chosen = [_IS_REFUSED]
        chosen += [deliveries.c.exam_id == exam_id] if exam_id is not None else []
        chosen += [deliveries.c.destination == destination] if destination is not None else []
        return sum(self._open_round(refused, renewals=0) for refused in self._select(*chosen))

    def renew(self, delivery: Delivery) -> bool:
        """Give an object that was not committed in time a new round; whether it still waited."""
        return self._open_round(delivery, renewals=delivery.renewals + 1)

    def _open_round(self, delivery: Delivery, *, renewals: int) -> bool:
        row = sa.and_(is_row_of(delivery.key), deliveries.c.state == delivery.state)
        change = {"state": DeliveryState.PENDING, "round": delivery.round + 1, "renewals": renewals, "commit_by": None}
        with self._begin() as connection:
            exam = self._hold_exam(connection, delivery.exam_id)
            changed = connection.execute(deliveries.update().where(row).values(**change)).rowcount
            if changed and exam.state == ExamState.FAILED:
                delivering = {"state": ExamState.DELIVERING, "detail": ""}
                set_state(connection, delivery.exam_id, delivery.generation, **delivering)
            return bool(changed)

    # Commitment

    def open_commitment(self, key: DeliveryKey, *, transaction_uid: str, commit_by: datetime) -> None:
        """Keep a transaction, and the time until which its answer is awaited, before its destination is asked."""
        row = {"transaction_uid": transaction_uid, "asked_at": self._now(), **asdict(key)}
        with self._begin() as connection:
            connection.execute(commitments.insert().values(row))
            connection.execute(deliveries.update().where(is_row_of(key)).values(commit_by=commit_by))

    def commitment(self, transaction_uid: str) -> tuple[Delivery, int] | None:
        """The delivery of a transaction as it is now, and the round in which it was opened; None for an unknown one."""
        names = ("exam_id", "generation", "destination", "sop_instance_uid")
        same = sa.and_(*(deliveries.c[name] == commitments.c[name] for name in names))
        query = sa.select(deliveries, commitments.c.round.label("asked_in"))
        query = query.select_from(deliveries.join(commitments, same))
        with self._begin() as connection:
            row = connection.execute(query.where(commitments.c.transaction_uid == transaction_uid)).one_or_none()
        return None if row is None else (delivery_of(row), row.asked_in)

    def uncommitted(self, now: datetime) -> list[Delivery]:
        """Deliveries that should have been committed by now."""
        return self._select(_AWAITS_COMMITMENT, deliveries.c.commit_by <= now)

    def _select(self, *conditions: Any) -> list[Delivery]:
        with self._begin() as connection:
            found = [delivery_of(row) for row in connection.execute(sa.select(deliveries).where(*conditions))]
        return sorted(found, key=lambda d: (d.exam_id, d.generation, d.destination, d.result.path))
