"""A ledger in memory, for tests of the pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tetraview.domain.delivery import Delivery, DeliveryState, ResultObject
from tetraview.domain.exam import ExamState, Remark
from tetraview.domain.reading import Reading
from tetraview.ledger.generations import UNDER_WAY
from tetraview.ledger.selection import Outcome, Selection
from tetraview.ledger.summary import ExamSummary


@dataclass
class MemoryLedger:
    """Answers the pages' questions from lists."""

    summaries: list[ExamSummary] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    owed: list[Delivery] = field(default_factory=list)
    #: By exam and generation.
    written: dict[tuple[str, int], tuple[ResultObject, ...]] = field(default_factory=dict)
    #: Exams that somebody wants read at once.
    forced: list[str] = field(default_factory=list)
    #: Exams whose images somebody discarded.
    discarded: list[str] = field(default_factory=list)

    def exams(self, *, limit: int, offset: int, selection: Selection) -> Sequence[ExamSummary]:
        """The exams selected, newest first."""
        chosen = [summary for summary in self.summaries if _holds(selection, summary)]
        chosen.sort(key=lambda summary: (-summary.last_image_at.timestamp(), summary.exam_id))
        return chosen[offset : offset + limit]

    def count_exams(self, selection: Selection) -> Mapping[ExamState, int]:
        """How many of the exams selected are in each state."""
        return Counter(summary.state for summary in self.summaries if _holds(selection, summary))

    def called_ae_titles(self) -> Sequence[str]:
        """Our AE titles that any exam was sent to, by name."""
        return sorted({summary.called_ae_title for summary in self.summaries})

    def exam(self, exam_id: str) -> ExamSummary | None:
        """One exam, or None where there is none of this identifier."""
        return next((summary for summary in self.summaries if summary.exam_id == exam_id), None)

    def force(self, exam_id: str) -> bool:
        """Ask for the reading of what an exam holds now; whether there is such an exam."""
        known = any(summary.exam_id == exam_id for summary in self.summaries)
        self.forced += [exam_id] * known
        return known

    def requeue(self, *, exam_id: str) -> int:
        """Send the refused objects of an exam again; their number."""
        refused = [owed for owed in self.deliveries(exam_id) if owed.state is DeliveryState.REFUSED]
        again = {"state": DeliveryState.PENDING, "renewals": 0, "commit_by": None}
        for owed in refused:
            self.owed[self.owed.index(owed)] = replace(owed, round=owed.round + 1, **again)  # type: ignore[arg-type]
        exam = self.exam(exam_id)
        if exam is not None and exam.state is ExamState.FAILED and exam.generation in {o.generation for o in refused}:
            self._change(exam, state=ExamState.DELIVERING, detail="")
        return len(refused)

    def discard(self, exam_id: str) -> bool:
        """Put every image of an exam out of force; whether there is such an exam at rest."""
        exam = self.exam(exam_id)
        if exam is None or exam.state in UNDER_WAY:
            return False
        images = tuple(replace(image, superseded=True) for image in exam.images)
        detail = "its images were discarded: send it anew"
        self._change(exam, state=ExamState.SKIPPED, remark=Remark.NO_IMAGE, detail=detail, images=images)
        self.discarded.append(exam_id)
        return True

    def reading(self, exam_id: str, generation: int | None = None) -> Reading | None:
        """The models' answer to one generation, by default the newest that was read."""
        read = [reading for reading in self.readings if reading.exam_id == exam_id]
        fitting = [reading for reading in read if generation in {None, reading.generation}]
        return max(fitting, key=lambda reading: reading.generation, default=None)

    def results(self, exam_id: str, generation: int) -> Sequence[ResultObject]:
        """The result objects of one generation; none before they are written."""
        return self.written.get((exam_id, generation), ())

    def deliveries(self, exam_id: str) -> Sequence[Delivery]:
        """Every delivery of an exam, of all generations."""
        ours = [delivery for delivery in self.owed if delivery.exam_id == exam_id]
        return sorted(ours, key=lambda owed: (owed.generation, owed.destination, owed.result.path))

    def _change(self, exam: ExamSummary, **facts: Any) -> None:
        self.summaries = [replace(exam, **facts) if known is exam else known for known in self.summaries]


def _holds(selection: Selection, summary: ExamSummary) -> bool:
    return (
        selection.state in {None, summary.state}
        and selection.called_ae_title in {None, summary.called_ae_title}
        and (selection.outcome is None or selection.outcome in _outcomes(summary))
    )


def _outcomes(summary: ExamSummary) -> set[Outcome]:
    found = {Outcome.FINDINGS} if summary.findings else set()
    unread = {Outcome.UNREAD_VIEWS} if summary.failed else set()
    clean = summary.findings is not None and not found and not unread
    return {Outcome.NO_FINDINGS} if clean else found | unread
