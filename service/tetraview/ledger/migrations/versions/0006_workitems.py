"""Workitems of a worklist that were claimed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add them. A service of the version before may go on writing."""
    op.create_table(
        "workitems",
        sa.Column("workitem_uid", sa.String(64), primary_key=True),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("exam_id", sa.String(16), nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("told", sa.String(16), nullable=False),
        sa.Column("cancellation", sa.String(500), nullable=False),
        sa.Column("detail", sa.String(500), nullable=False),
    )
