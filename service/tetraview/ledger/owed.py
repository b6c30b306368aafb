"""Rows of result objects that destinations are owed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tetraview.domain.delivery import Delivery, DeliveryState, ResultObject
from tetraview.domain.exam import ExamState
from tetraview.ledger.documents import result_document
from tetraview.ledger.generations import set_state
from tetraview.ledger.tables import deliveries


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
    )


def close_exam(connection: sa.Connection, exam_id: str, generation: int) -> bool:
    """Set the exam done once no delivery of its generation is pending, failed where one was refused."""
    query = sa.select(deliveries.c.state).where(deliveries.c.exam_id == exam_id, deliveries.c.generation == generation)
    states = set(connection.execute(query).scalars())
    if DeliveryState.PENDING in states:
        return False
    if DeliveryState.REFUSED in states:
        failed = {"state": ExamState.FAILED, "detail": "a destination refused a result"}
        return set_state(connection, exam_id, generation, **failed)
    return set_state(connection, exam_id, generation, state=ExamState.DONE)
