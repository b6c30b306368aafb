"""An exam as people see it, on pages and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tetraview.domain.delivery import DeliveryState
from tetraview.domain.exam import ExamState, Remark
from tetraview.domain.view import View
from tetraview.ledger.documents import instance_document, reading_document
from tetraview.ledger.tables import deliveries, instances, readings


@dataclass(frozen=True, kw_only=True)
class ImageSummary:
    """One image of an exam as people see it."""

    #: Reason code, for example ``READ`` or ``IMPLANT``.
    decision: str
    because: str
    view: View | None
    superseded: bool
    #: The standard view that it shows, read or not; None where that cannot be told.
    shows: View | None = None
    #: Coded remarks, for example ``BURNED_IN``.
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExamSummary:
    """One exam as people see it."""

    exam_id: str
    #: Our AE title that it was sent to.
    called_ae_title: str
    state: ExamState
    generation: int
    first_image_at: datetime
    last_image_at: datetime
    updated_at: datetime
    images: tuple[ImageSummary, ...]
    #: Number of findings of the newest reading; None before there is one.
    findings: int | None
    stage_seconds: Mapping[str, float]
    detail: str
    #: The views of the newest reading that could not be read; none before there is one.
    failed: tuple[View, ...] = ()
    #: Special circumstance of the exam as a whole; None without one.
    remark: Remark | None = None
    #: How many objects of the newest generation destinations are owed or have, and how many of them were refused.
    owed: int = 0
    refused: int = 0

    @property
    def state_in_words(self) -> str:
        """The state; an exam that was read, and whose results a destination refuses, has not failed."""
        return f"delivery refused ({self.refused} of {self.owed})" if self.refused else self.state.value

    @property
    def views(self) -> frozenset[View]:
        """The slots that have an image."""
        return frozenset(image.view for image in self.images if image.view and not image.superseded)


def summarise(connection: sa.Connection, row: sa.Row[Any]) -> ExamSummary:
    """A row of exams with what belongs to it."""
    images = connection.execute(
        sa.select(instances.c.document, instances.c.decision, instances.c.because, instances.c.superseded)
        .where(instances.c.exam_id == row.exam_id)
        .order_by(instances.c.id)
    ).all()
    newest = connection.execute(
        sa.select(readings.c.reading, readings.c.stage_seconds).where(
            readings.c.exam_id == row.exam_id, readings.c.generation == row.generation
        )
    ).one_or_none()
    deliveries_by_state = _count_deliveries(connection, row.exam_id, row.generation)
    reading = reading_document.validate_python(newest.reading) if newest is not None and newest.reading else None
    return ExamSummary(
        exam_id=row.exam_id,
        called_ae_title=row.called_ae_title,
        state=ExamState(row.state),
        generation=row.generation,
        first_image_at=row.first_image_at,
        last_image_at=row.last_image_at,
        updated_at=row.updated_at,
        images=tuple(_image_summary(image) for image in images),
        findings=None if reading is None else len(reading.findings),
        stage_seconds={} if newest is None else newest.stage_seconds,
        detail=row.detail,
        failed=() if reading is None else reading.failed,
        remark=Remark(row.remark) if row.remark else None,
        owed=sum(deliveries_by_state.values()),
        refused=deliveries_by_state.get(DeliveryState.REFUSED, 0),
    )


def _count_deliveries(connection: sa.Connection, exam_id: str, generation: int) -> dict[str, int]:
    """How many objects of a generation are in each state."""
    of_generation = deliveries.c.exam_id == exam_id, deliveries.c.generation == generation
    query = sa.select(deliveries.c.state, sa.func.count()).where(*of_generation).group_by(deliveries.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def _image_summary(row: sa.Row[Any, Any, Any, Any]) -> ImageSummary:
    eligibility = instance_document.validate_python(row.document).eligibility
    return ImageSummary(
        decision=row.decision,
        because=row.because or eligibility.because,
        view=eligibility.view,
        superseded=row.superseded,
        shows=eligibility.shows or eligibility.view,
        flags=eligibility.flags,
    )
