"""Senders that were let in by hand, and those that were not let in."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add both tables, empty. A service of the version before may go on writing."""
    op.create_table(
        "allowed_senders",
        sa.Column("ae_title", sa.String(16), primary_key=True),
        sa.Column("address", sa.String(45), primary_key=True),
        sa.Column("certificate", sa.String(253), nullable=False),
        sa.Column("allowed_at", sa.Double, nullable=False),
    )
    op.create_table(
        "rejected_senders",
        sa.Column("calling_ae_title", sa.String(16), primary_key=True),
        sa.Column("address", sa.String(45), primary_key=True),
        sa.Column("called_ae_title", sa.String(16), primary_key=True),
        sa.Column("reason", sa.String(32), primary_key=True),
        sa.Column("certificate", sa.String(253), nullable=False),
        sa.Column("detail", sa.String(200), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.Double, nullable=False),
        sa.Column("last_at", sa.Double, nullable=False, index=True),
    )
