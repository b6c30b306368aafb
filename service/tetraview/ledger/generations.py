"""Rows of an exam's generations: which comes next, and which one the exam's state is about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tetraview.domain.exam import Exam, ExamState
from tetraview.domain.verdict import Verdict
from tetraview.domain.view import View
from tetraview.ledger.documents import exam_document
from tetraview.ledger.tables import exams, readings

#: States in which a generation has yet to come to its end.
UNDER_WAY = frozenset({ExamState.READING, ExamState.DELIVERING})


def is_generation(exam_id: str, generation: int) -> sa.ColumnElement[bool]:
    """The row of one generation."""
    return sa.and_(readings.c.exam_id == exam_id, readings.c.generation == generation)


def open_generation(connection: sa.Connection, current: sa.Row[Any], verdict: Verdict, now: datetime) -> Exam | None:
    """The next generation's exam, its row written; None where the choice is empty, was read or is being read.

    A choice whose reading failed is read again; one whose results a destination refused is not, since they are there.
    """
    exam = Exam(
        exam_id=current.exam_id,
        generation=current.generation + 1,
        images=dict(verdict.images),
        settled_at=now,
        unread=dict(verdict.unread),
    )
    query = sa.select(readings.c.exam, readings.c.results).where(is_generation(current.exam_id, current.generation))
    last = connection.execute(query).one_or_none()
    unchanged = last is not None and _digests(exam_document.validate_python(last.exam)) == _digests(exam)
    failed = last is not None and last.results is None and current.state not in UNDER_WAY
    if not exam.images or (unchanged and not failed):
        return None
    document = exam_document.dump_python(exam, mode="json")
    row = {"exam_id": exam.exam_id, "generation": exam.generation, "exam": document, "stage_seconds": {}}
    connection.execute(readings.insert().values(row))
    return exam


def set_state(connection: sa.Connection, exam_id: str, generation: int, **change: Any) -> bool:
    """Change an exam's row unless it has gone on to another generation; whether it was changed."""
    newest = sa.and_(exams.c.exam_id == exam_id, exams.c.generation == generation)
    return bool(connection.execute(exams.update().where(newest).values(**change)).rowcount)


def _digests(exam: Exam) -> dict[View, str]:
    return {view: instance.sha256 for view, instance in exam.images.items()}
