"""What the pages ask of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tetraview.domain.delivery import Delivery
from tetraview.domain.reading import Reading
from tetraview.ledger.summary import ExamSummary


class WebLedger(Protocol):
    """The questions of the pages; ``tetraview.ledger`` answers them, in tests ``tetraview.web.testing`` does.

    Raises:
        StorageUnavailable: from any method, when the ledger cannot be asked.
    """

    def exams(self, *, limit: int) -> Sequence[ExamSummary]:
        """The newest exams first."""

    def exam(self, exam_id: str) -> ExamSummary | None:
        """One exam, or None where there is none of this identifier."""

    def reading(self, exam_id: str, generation: int | None = None) -> Reading | None:
        """What the models said in one generation, by default the newest that was read."""

    def deliveries(self, exam_id: str) -> Sequence[Delivery]:
        """Every delivery of an exam, of all generations."""
