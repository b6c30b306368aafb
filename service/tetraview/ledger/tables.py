"""The ledger's tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class Moment(sa.types.TypeDecorator[datetime]):
    """A moment in UTC, kept as seconds since 1970 so that SQLite and PostgreSQL agree to the microsecond."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> float | None:
        """To the database."""
        del dialect
        return None if value is None else value.timestamp()

    def process_result_value(self, value: float | None, dialect: Any) -> datetime | None:
        """From the database."""
        del dialect
        return None if value is None else datetime.fromtimestamp(value, UTC)


metadata = sa.MetaData()

#: Every accepted instance; a re-send with other bytes is a new row and supersedes the old one.
instances = sa.Table(
    "instances",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.String(16), nullable=False, index=True),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("called_ae_title", sa.String(16), nullable=False),
    sa.Column("calling_ae_title", sa.String(16), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("path", sa.String(160), nullable=False, index=True),
    sa.Column("decision", sa.String(32), nullable=False),
    sa.Column("view", sa.String(5)),
    #: Why settling the exam decided otherwise than the image by itself; None where it did not.
    sa.Column("because", sa.String(200)),
    sa.Column("superseded", sa.Boolean, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.UniqueConstraint("called_ae_title", "sop_instance_uid", "sha256"),
)

#: One row an exam: where it stands.
exams = sa.Table(
    "exams",
    metadata,
    sa.Column("exam_id", sa.String(16), primary_key=True),
    #: Empty only until a next image where a service of the first version wrote the row.
    sa.Column("called_ae_title", sa.String(16), nullable=False, server_default=""),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("generation", sa.Integer, nullable=False),
    #: True while images have come that no generation has considered.
    sa.Column("unsettled", sa.Boolean, nullable=False, index=True),
    #: When the first image came that no generation has considered; None while there is none.
    sa.Column("waiting_since", Moment),
    #: Whether a person asked for reading the images that are there.
    sa.Column("forced", sa.Boolean, nullable=False, server_default=sa.false()),
    #: Code of a special circumstance of the exam as a whole; empty without one.
    sa.Column("remark", sa.String(32), nullable=False, server_default=""),
    sa.Column("first_image_at", Moment, nullable=False),
    sa.Column("last_image_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("detail", sa.String(500), nullable=False),
)

#: One row a generation: the choice of images, and the reading and results once they are there.
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("exam_id", sa.String(16), sa.ForeignKey("exams.exam_id"), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("exam", sa.JSON, nullable=False),
    sa.Column("reading", sa.JSON),
    sa.Column("results", sa.JSON),
    sa.Column("stage_seconds", sa.JSON, nullable=False),
)

#: One row an object and destination.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("exam_id", sa.String(16), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("destination", sa.String(32), primary_key=True),
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("detail", sa.String(500), nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    #: How often it was queued again, and how often of late because it was not committed.
    sa.Column("round", sa.Integer, nullable=False, server_default="0"),
    sa.Column("renewals", sa.Integer, nullable=False, server_default="0"),
    #: When a delivered object is sent again unless it is committed; None where nobody waits for that.
    sa.Column("commit_by", Moment),
    sa.ForeignKeyConstraint(["exam_id", "generation"], ["readings.exam_id", "readings.generation"]),
)

#: One row a transaction of storage commitment: which object was asked about, and in which round of its delivery.
commitments = sa.Table(
    "commitments",
    metadata,
    sa.Column("transaction_uid", sa.String(64), primary_key=True),
    sa.Column("exam_id", sa.String(16), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("destination", sa.String(32), nullable=False),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("asked_at", Moment, nullable=False),
    sa.ForeignKeyConstraint(
        ["exam_id", "generation", "destination", "sop_instance_uid"],
        [deliveries.c[name] for name in ("exam_id", "generation", "destination", "sop_instance_uid")],
    ),
)

#: Senders that a person let in, beside those of the settings.
allowed_senders = sa.Table(
    "allowed_senders",
    metadata,
    sa.Column("ae_title", sa.String(16), primary_key=True),
    sa.Column("address", sa.String(45), primary_key=True),
    sa.Column("certificate", sa.String(253), nullable=False),
    sa.Column("allowed_at", Moment, nullable=False),
)

#: Senders that were not let in; the oldest make room.
rejected_senders = sa.Table(
    "rejected_senders",
    metadata,
    sa.Column("calling_ae_title", sa.String(16), primary_key=True),
    sa.Column("address", sa.String(45), primary_key=True),
    sa.Column("called_ae_title", sa.String(16), primary_key=True),
    sa.Column("reason", sa.String(32), primary_key=True),
    sa.Column("certificate", sa.String(253), nullable=False),
    sa.Column("detail", sa.String(200), nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("first_at", Moment, nullable=False),
    sa.Column("last_at", Moment, nullable=False, index=True),
)

#: Senders that were let in, one row for each AE title and address.
heard_senders = sa.Table(
    "heard_senders",
    metadata,
    sa.Column("ae_title", sa.String(16), primary_key=True),
    sa.Column("address", sa.String(45), primary_key=True),
    sa.Column("last_at", Moment, nullable=False),
)

#: One row a workitem of the worklist that we tried to claim.
workitems = sa.Table(
    "workitems",
    metadata,
    sa.Column("workitem_uid", sa.String(64), primary_key=True),
    sa.Column("transaction_uid", sa.String(64), nullable=False),
    sa.Column("exam_id", sa.String(16), nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("told", sa.String(16), nullable=False),
    #: Why somebody asked to cancel it; empty where nobody did.
    sa.Column("cancellation", sa.String(500), nullable=False),
    sa.Column("detail", sa.String(500), nullable=False),
)

#: Services that share this database, and when each was alive last by the database's own clock; 0 once it has stopped.
services = sa.Table(
    "services",
    metadata,
    sa.Column("executor_id", sa.String(63), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("version", sa.String(32), nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    #: The exams that are being sent to it.
    sa.Column("sending", sa.JSON, nullable=False),
)
