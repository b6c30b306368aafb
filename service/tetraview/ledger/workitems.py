"""Rows of workitems that we claimed, and what their performer asks of exams."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from tetraview.domain.exam import ExamState
from tetraview.domain.instance import Instance
from tetraview.domain.workitem import FETCHED_AS, OPEN, Claim, ClaimState
from tetraview.ledger.session import DETAIL
from tetraview.ledger.tables import Moment, exams, instances, workitems


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where an exam stands."""

    state: ExamState
    generation: int
    #: Whether images wait for a decision.
    unsettled: bool
    detail: str


class Workitems:
    """Every question and every change about workitems, each committed when its method returns.

    Args:
        begin: opens a transaction.

    Raises:
        StorageUnavailable: from any method, when the database is locked, full or away.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._begin = begin

    def open(self) -> list[Claim]:
        """The workitems with which something is left to do, oldest first."""
        query = sa.select(workitems).where(workitems.c.state.in_(OPEN)).order_by(workitems.c.started_at)
        with self._begin() as connection:
            return [_claim(row) for row in connection.execute(query)]

    def find(self, workitem_uid: str) -> Claim | None:
        """Our claim on a workitem, whatever its outcome; None where we never tried."""
        query = sa.select(workitems).where(workitems.c.workitem_uid == workitem_uid)
        with self._begin() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _claim(row)

    def add(self, claim: Claim) -> None:
        """Keep a claim before the worklist hears of it."""
        with self._begin() as connection:
            connection.execute(workitems.insert().values(**asdict(claim)))

    def record(self, claim: Claim) -> None:
        """Keep how far a claim is; a request to cancel it is left as it is."""
        change = {"state": claim.state, "told": claim.told, "detail": claim.detail[:DETAIL]}
        this = workitems.c.workitem_uid == claim.workitem_uid
        with self._begin() as connection:
            connection.execute(workitems.update().where(this).values(**change))

    def ask_to_cancel(self, workitem_uid: str, reason: str) -> bool:
        """Keep a request to cancel a workitem; whether it is one that we have open."""
        this = sa.and_(workitems.c.workitem_uid == workitem_uid, workitems.c.state.in_(OPEN))
        with self._begin() as connection:
            asked = workitems.update().where(this).values(cancellation=reason[:DETAIL])
            return bool(connection.execute(asked).rowcount)

    def received(self, exam_id: str) -> frozenset[str]:
        """SOP Instance UIDs of the instances of an exam."""
        query = sa.select(instances.c.sop_instance_uid).where(instances.c.exam_id == exam_id)
        with self._begin() as connection:
            return frozenset(connection.execute(query).scalars())

    def standing(self, exam_id: str) -> Standing | None:
        """Where an exam stands; None where there is none of this identifier."""
        columns = (exams.c.state, exams.c.generation, exams.c.unsettled, exams.c.detail)
        with self._begin() as connection:
            row = connection.execute(sa.select(*columns).where(exams.c.exam_id == exam_id)).one_or_none()
        if row is None:
            return None
        return Standing(
            state=ExamState(row.state), generation=row.generation, unsettled=row.unsettled, detail=row.detail
        )

    def withdraw(self, exam_id: str, *, detail: str) -> bool:
        """Leave an exam unread if it holds nothing but images fetched for a workitem.

        Args:
            exam_id: the exam.
            detail: why it is not read.

        Returns:
            Whether the reading has not begun; images from other senders are read in their time.
        """
        others = sa.exists().where(instances.c.exam_id == exam_id, instances.c.calling_ae_title != FETCHED_AS)
        this = sa.and_(exams.c.exam_id == exam_id, exams.c.state == ExamState.COLLECTING, ~others)
        change = {
            "state": ExamState.SKIPPED,
            "unsettled": False,
            "waiting_since": None,
            "forced": False,
            "detail": detail[:DETAIL],
        }
        with self._begin() as connection:
            connection.execute(exams.update().where(this).values(**change))
            state = connection.execute(sa.select(exams.c.state).where(exams.c.exam_id == exam_id)).scalar()
        return state in {None, ExamState.COLLECTING, ExamState.SKIPPED}


def take_over(connection: sa.Connection, exam_id: str, instance: Instance) -> None:
    """Make an image that was fetched for a workitem the image of a sender that sends the same bytes.

    It is then read whatever becomes of the workitem, even if its exam was withdrawn with an earlier one.

    Args:
        connection: a transaction that holds the exam's row.
        exam_id: the exam.
        instance: the image as sent.
    """
    if instance.calling_ae_title == FETCHED_AS:
        return
    fetched = sa.and_(instances.c.path == instance.path, instances.c.calling_ae_title == FETCHED_AS)
    sent = instances.update().where(fetched).values(calling_ae_title=instance.calling_ae_title)
    if connection.execute(sent).rowcount:
        skipped = sa.and_(exams.c.exam_id == exam_id, exams.c.state == ExamState.SKIPPED)
        waiting_since = sa.func.coalesce(exams.c.waiting_since, sa.literal(instance.received_at, Moment))
        wake = {"unsettled": True, "waiting_since": waiting_since, "last_image_at": instance.received_at}
        connection.execute(exams.update().where(skipped).values(**wake))


def _claim(row: sa.Row[tuple[object, ...]]) -> Claim:
    values = dict(row._mapping)  # noqa: SLF001 - public by its documentation
    return Claim(**values | {"state": ClaimState(values["state"])})
