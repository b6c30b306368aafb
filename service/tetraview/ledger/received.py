"""Rows of received instances: the content of an exam, and how a new instance relates to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from tetraview.domain.instance import Decision, Instance, Recorded
from tetraview.ledger.documents import instance_document
from tetraview.ledger.tables import instances


def compare(connection: sa.Connection, instance: Instance) -> Recorded:
    """How an instance relates to those of the same SOP Instance UID sent to the same AE title.

    A superseded version counts as changed when it comes again, because its sender has gone back to it. Instances that a
    person discarded are no longer in force, so anybody may send them anew.
    """
    columns = (instances.c.sha256, instances.c.calling_ae_title, instances.c.superseded)
    twins = connection.execute(sa.select(*columns).where(_twins(instance))).all()
    if not twins:
        return Recorded.NEW
    in_force = [twin for twin in twins if not twin.superseded]
    if any(twin.sha256 == instance.sha256 for twin in in_force):
        return Recorded.SAME
    if any(twin.calling_ae_title != instance.calling_ae_title for twin in in_force):
        return Recorded.CONFLICT
    return Recorded.CHANGED


def keep(connection: sa.Connection, exam_id: str, instance: Instance) -> None:
    """Add an instance, or put it in force again; it takes the place of others of its UID."""
    connection.execute(instances.update().where(_twins(instance)).values(superseded=True))
    again = sa.and_(_twins(instance), instances.c.sha256 == instance.sha256)
    if connection.execute(instances.update().where(again).values(superseded=False)).rowcount:
        return
    connection.execute(
        instances.insert().values(
            exam_id=exam_id,
            sop_instance_uid=instance.sop_instance_uid,
            called_ae_title=instance.called_ae_title,
            calling_ae_title=instance.calling_ae_title,
            sha256=instance.sha256,
            path=instance.path,
            decision=instance.eligibility.decision,
            view=instance.eligibility.view,
            superseded=False,
            document=instance_document.dump_python(instance, mode="json"),
        )
    )


def mark(connection: sa.Connection, considered: Iterable[Instance], others: Mapping[str, tuple[Decision, str]]) -> None:
    """Keep what settling an exam decided of its images.

    Args:
        connection: a transaction that holds the exam's row.
        considered: the images in force.
        others: decision and reason of those that fill no slot although they might, by path.
    """
    for instance in considered:
        if instance.eligibility.view is None:
            continue
        decision, because = others.get(instance.path, (instance.eligibility.decision, None))
        change = {"decision": decision, "because": because}
        connection.execute(instances.update().where(instances.c.path == instance.path).values(**change))


def instances_in_force(connection: sa.Connection, exam_id: str) -> tuple[Instance, ...]:
    """The instances of an exam that no newer version has superseded, in the order they came."""
    query = sa.select(instances.c.document).where(
        instances.c.exam_id == exam_id, instances.c.superseded.is_(sa.false())
    )
    documents = connection.execute(query.order_by(instances.c.id)).scalars()
    return tuple(instance_document.validate_python(document) for document in documents)


def _twins(instance: Instance) -> sa.ColumnElement[bool]:
    return sa.and_(
        instances.c.called_ae_title == instance.called_ae_title,
        instances.c.sop_instance_uid == instance.sop_instance_uid,
    )
