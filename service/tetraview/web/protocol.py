"""Questions of the pages to the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tetraview.domain.delivery import Delivery, ResultObject
from tetraview.domain.exam import ExamState
from tetraview.domain.reading import Reading
from tetraview.ledger.selection import Selection
from tetraview.ledger.summary import ExamSummary


class WebLedger(Protocol):
    """Questions of the pages, answered by ``tetraview.ledger`` and in tests by ``tests.support.web``.

    Raises:
        StorageUnavailable: from any method, when the ledger cannot be asked.
    """

    def exams(self, *, limit: int, offset: int, selection: Selection) -> Sequence[ExamSummary]:
        """The exams selected, newest first."""

    def count_exams(self, selection: Selection) -> Mapping[ExamState, int]:
        """How many of the exams selected are in each state."""

    def called_ae_titles(self) -> Sequence[str]:
        """Our AE titles that any exam was sent to, by name."""

    def exam(self, exam_id: str) -> ExamSummary | None:
        """One exam, or None where there is none of this identifier."""

    def force(self, exam_id: str) -> bool:
        """Ask for a reading of the images that an exam holds now; whether there is such an exam."""

    def requeue(self, *, exam_id: str) -> int:
        """Send refused objects of an exam again; how many objects."""

    def discard(self, exam_id: str) -> bool:
        """Put every image of an exam out of force; whether there is such an exam at rest."""

    def reading(self, exam_id: str, generation: int | None = None) -> Reading | None:
        """The models' results for one generation, by default the newest that was read."""

    def results(self, exam_id: str, generation: int) -> Sequence[ResultObject]:
        """The result objects of one generation; none before they are written."""

    def deliveries(self, exam_id: str) -> Sequence[Delivery]:
        """Every delivery of an exam, of all generations."""
