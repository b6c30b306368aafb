"""Rows of an exam that has waited long enough: what becomes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tetraview.domain.exam import Exam, ExamState
from tetraview.domain.verdict import Verdict
from tetraview.ledger.generations import open_generation
from tetraview.ledger.owed import close_exam
from tetraview.ledger.tables import exams

#: States in which no work on the exam is under way.
_AT_REST = frozenset({ExamState.COLLECTING, ExamState.DONE, ExamState.SKIPPED, ExamState.HELD, ExamState.FAILED})


def settle_exam(connection: sa.Connection, current: sa.Row[Any], verdict: Verdict, now: datetime) -> Exam | None:
    """Write what a verdict makes of an exam.

    Args:
        connection: a transaction that holds the exam's row.
        current: the row.
        verdict: what was decided.
        now: the present.

    Returns:
        The next generation; None where nothing is to be read, or the choice was read already.
    """
    is_read = verdict.state is ExamState.READING
    exam = open_generation(connection, current, verdict.images, now) if is_read else None
    change: dict[str, Any] = {
        "unsettled": False,
        "waiting_since": None,
        "forced": False,
        "remark": verdict.remark or "",
    }
    if exam is not None:
        change |= {"state": ExamState.READING, "generation": exam.generation, "detail": verdict.detail}
    elif not is_read and current.state in _AT_REST:
        change |= {"state": verdict.state, "detail": verdict.detail}
    elif is_read and current.state in {ExamState.HELD, ExamState.SKIPPED}:
        # What stood in its way is gone, and the images were read before.
        change |= {"state": ExamState.DELIVERING, "detail": verdict.detail}
    connection.execute(exams.update().where(exams.c.exam_id == current.exam_id).values(**change))
    if exam is None and is_read:
        close_exam(connection, current.exam_id, current.generation)
    return exam
