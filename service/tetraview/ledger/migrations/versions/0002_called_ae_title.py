"""The AE title that an exam was sent to, beside the exam: it says which models read it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add it; older exams take it from their images. A service of the version before may go on writing."""
    column = sa.Column("called_ae_title", sa.String(16), nullable=False, server_default="")
    op.add_column("exams", column)
    images = sa.table("instances", sa.column("exam_id"), sa.column("called_ae_title"))
    exams = sa.table("exams", sa.column("exam_id"), sa.column("called_ae_title"))
    sent_to = sa.select(sa.func.max(images.c.called_ae_title)).where(images.c.exam_id == exams.c.exam_id)
    op.execute(exams.update().values(called_ae_title=sa.func.coalesce(sent_to.scalar_subquery(), "")))
