"""The result objects of a generation: where each was sent, and its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tetraview.domain.delivery import Delivery, DeliveryState, ResultObject


@dataclass(frozen=True, kw_only=True)
class SentObject:
    """One result object with its way to each destination."""

    result: ResultObject
    #: Address of its file.
    address: str
    deliveries: tuple[Delivery, ...]

    @property
    def is_refused(self) -> bool:
        """Whether any destination refused it."""
        return any(delivery.state is DeliveryState.REFUSED for delivery in self.deliveries)


def sent_objects(
    exam_id: str, generation: int, results: Sequence[ResultObject], deliveries: Sequence[Delivery]
) -> tuple[SentObject, ...]:
    """The objects of one generation, in the order they were made, including those that no destination is owed.

    Args:
        exam_id: the exam.
        generation: which of its generations.
        results: the objects that were made.
        deliveries: deliveries of the generation.
    """
    return tuple(
        SentObject(
            result=result,
            address=f"/exams/{exam_id}/{generation}/objects/{quote(result.path)}",
            deliveries=tuple(owed for owed in deliveries if owed.result == result),
        )
        for result in results
    )


def download_name(exam_id: str, generation: int, result: ResultObject) -> str:
    """A file name that tells exam, generation, output and view, and nothing of the patient."""
    return f"{exam_id}-{generation}-{result.path.replace('/', '-')}"
