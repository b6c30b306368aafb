"""Rows of an exam that has waited long enough, and the change of its state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tetraview.domain.exam import Exam, ExamState
from tetraview.domain.verdict import Verdict
from tetraview.ledger.generations import UNDER_WAY, open_generation
from tetraview.ledger.owed import close_exam
from tetraview.ledger.tables import exams


def settle_exam(connection: sa.Connection, current: sa.Row[Any], verdict: Verdict, now: datetime) -> Exam | None:
    """Write the consequences of a verdict into an exam.

    An exam that must not be read while its last generation is under way gets the remark and goes on waiting: it is
    judged again when that generation has ended.

    Args:
        connection: a transaction that holds the exam's row.
        current: the row.
        verdict: the decision.
        now: present time.

    Returns:
        The next generation; None where nothing is to be read, or the chosen images were read already.
    """
    said = {"remark": verdict.remark or "", "detail": verdict.detail}
    settled: dict[str, Any] = {"unsettled": False, "waiting_since": None, "forced": False, **said}
    this = exams.update().where(exams.c.exam_id == current.exam_id)
    if verdict.state is not ExamState.READING:
        waits = current.state in UNDER_WAY
        connection.execute(this.values(**(said if waits else settled | {"state": verdict.state})))
        return None
    exam = open_generation(connection, current, verdict, now)
    if exam is not None:
        connection.execute(this.values(**settled, state=ExamState.READING, generation=exam.generation))
        return exam
    if current.state not in UNDER_WAY:
        # Its results are there: whether all are delivered says what it is now.
        connection.execute(this.values(**settled, state=ExamState.DELIVERING))
        close_exam(connection, current.exam_id, current.generation)
    else:
        connection.execute(this.values(**settled))
    return None
