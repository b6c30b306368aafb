"""A ledger in memory, for tests of the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tetraview.domain.delivery import Delivery
from tetraview.domain.reading import Reading
from tetraview.ledger.summary import ExamSummary


@dataclass
class MemoryLedger:
    """Answers the pages' questions from lists."""

    #: Newest first.
    summaries: list[ExamSummary] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    owed: list[Delivery] = field(default_factory=list)

    def exams(self, *, limit: int) -> Sequence[ExamSummary]:
        """The newest exams first."""
        return self.summaries[:limit]

    def exam(self, exam_id: str) -> ExamSummary | None:
        """One exam, or None where there is none of this identifier."""
        return next((summary for summary in self.summaries if summary.exam_id == exam_id), None)

    def reading(self, exam_id: str, generation: int | None = None) -> Reading | None:
        """What the models said in one generation, by default the newest that was read."""
        read = [reading for reading in self.readings if reading.exam_id == exam_id]
        fitting = [reading for reading in read if generation in {None, reading.generation}]
        return max(fitting, key=lambda reading: reading.generation, default=None)

    def deliveries(self, exam_id: str) -> Sequence[Delivery]:
        """Every delivery of an exam, of all generations."""
        return [delivery for delivery in self.owed if delivery.exam_id == exam_id]
