"""The first tables: instances, exams, readings, deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "instances",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("exam_id", sa.String(16), nullable=False, index=True),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("called_ae_title", sa.String(16), nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("path", sa.String(160), nullable=False, index=True),
        sa.Column("decision", sa.String(32), nullable=False),
        sa.Column("view", sa.String(5)),
        sa.Column("superseded", sa.Boolean, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.UniqueConstraint("called_ae_title", "sop_instance_uid", "sha256"),
    )
    op.create_table(
        "exams",
        sa.Column("exam_id", sa.String(16), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("unsettled", sa.Boolean, nullable=False, index=True),
        sa.Column("first_image_at", sa.Double, nullable=False),
        sa.Column("last_image_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("detail", sa.String(500), nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("exam_id", sa.String(16), sa.ForeignKey("exams.exam_id"), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("exam", sa.JSON, nullable=False),
        sa.Column("reading", sa.JSON),
        sa.Column("results", sa.JSON),
        sa.Column("stage_seconds", sa.JSON, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("exam_id", sa.String(16), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("destination", sa.String(32), primary_key=True),
        sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("detail", sa.String(500), nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["exam_id", "generation"], ["readings.exam_id", "readings.generation"]),
    )
