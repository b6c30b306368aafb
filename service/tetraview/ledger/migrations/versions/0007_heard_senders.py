"""Senders that were let in, and when last."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add them. A service of the version before may go on writing."""
    op.create_table(
        "heard_senders",
        sa.Column("ae_title", sa.String(16), primary_key=True),
        sa.Column("address", sa.String(45), primary_key=True),
        sa.Column("last_at", sa.Double, nullable=False),
    )
