"""Storage commitment, and deliveries that are queued again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add them; nothing older waits for commitment. A service of the version before may go on writing."""
    op.add_column("deliveries", sa.Column("round", sa.Integer, nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("renewals", sa.Integer, nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("commit_by", sa.Double))
    op.create_table(
        "commitments",
        sa.Column("transaction_uid", sa.String(64), primary_key=True),
        sa.Column("exam_id", sa.String(16), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("destination", sa.String(32), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(
            ["exam_id", "generation", "destination", "sop_instance_uid"],
            [f"deliveries.{name}" for name in ("exam_id", "generation", "destination", "sop_instance_uid")],
        ),
    )
