"""Rows of result objects that destinations are owed, and of the promises to keep them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from tetraview.domain.delivery import Delivery, DeliveryKey, DeliveryState, ResultObject
from tetraview.domain.exam import ExamState
from tetraview.ledger.documents import result_document
from tetraview.ledger.generations import set_state
from tetraview.ledger.tables import deliveries, exams

_REFUSED = "a destination refused a result"
#: The detail of an exam whose last refusal is withdrawn.
_WITHOUT_REFUSAL = sa.case((exams.c.detail == _REFUSED, ""), else_=exams.c.detail)


def owe(connection: sa.Connection, exam_id: str, generation: int, destination: str, result: ResultObject) -> None:
    """Owe an object to a destination."""
    connection.execute(
        deliveries.insert().values(
            exam_id=exam_id,
            generation=generation,
            destination=destination,
            sop_instance_uid=result.sop_instance_uid,
            state=DeliveryState.PENDING,
            attempts=0,
            detail="",
            result=result_document.dump_python(result, mode="json"),
            round=0,
            renewals=0,
        )
    )


def delivery_of(row: sa.Row[Any]) -> Delivery:
    """A row as the noun that it keeps."""
    return Delivery(
        exam_id=row.exam_id,
        generation=row.generation,
        destination=row.destination,
        result=result_document.validate_python(row.result),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        detail=row.detail,
        round=row.round,
        renewals=row.renewals,
        commit_by=row.commit_by,
    )


def is_row_of(key: DeliveryKey) -> sa.ColumnElement[bool]:
    """The row of a delivery, if it is still in that round."""
    return sa.and_(*(deliveries.c[name] == value for name, value in asdict(key).items()))


def close_exam(connection: sa.Connection, exam_id: str, generation: int) -> bool:
    """Set the exam done once no delivery of its generation is open, failed where one was refused."""
    query = sa.select(deliveries).where(deliveries.c.exam_id == exam_id, deliveries.c.generation == generation)
    owed = [delivery_of(row) for row in connection.execute(query)]
    if any(delivery.is_open for delivery in owed):
        return False
    if any(delivery.state is DeliveryState.REFUSED for delivery in owed):
        return set_state(connection, exam_id, generation, state=ExamState.FAILED, detail=_REFUSED)
    return set_state(connection, exam_id, generation, state=ExamState.DONE, detail=_WITHOUT_REFUSAL)
