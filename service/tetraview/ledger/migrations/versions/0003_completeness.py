"""Facts that decide when an exam is read, and which of its images."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add it, empty for older exams. A service of the version before may go on writing."""
    op.add_column("exams", sa.Column("waiting_since", sa.Double))
    op.add_column("exams", sa.Column("forced", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("exams", sa.Column("remark", sa.String(32), nullable=False, server_default=""))
    op.add_column("instances", sa.Column("because", sa.String(200)))
