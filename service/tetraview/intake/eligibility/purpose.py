"""Whether the exam is for screening or for diagnosis."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.intake.eligibility.tables import PURPOSES
from tetraview.intake.eligibility.values import Objection, codes, items, shown_code
from tetraview.settings import Images

_SEQUENCES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence", "ReasonForRequestedProcedureCodeSequence")


def against_purpose(dataset: Dataset, policy: Images) -> Iterator[Objection]:
    """Diagnostic exams, by the site's word about the called AE title before the codes of the procedure."""
    if policy.purpose == "diagnostic":
        yield Decision.DIAGNOSTIC, "[images] purpose = diagnostic"
    if policy.purpose == "unknown":
        for keyword, code in _coded(dataset):
            if PURPOSES[code] == "diagnostic":
                yield Decision.DIAGNOSTIC, shown_code(keyword, code)
            return


def is_purpose_known(dataset: Dataset, policy: Images) -> bool:
    """Whether the site or a code says what the exam is for."""
    return policy.purpose != "unknown" or any(True for _ in _coded(dataset))


def _coded(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Codes of a purpose and where they stand: in the image itself or in the request that it answers."""
    for holder in (dataset, *items(dataset, "RequestAttributesSequence")):
        for keyword in _SEQUENCES:
            for code in codes(holder, keyword):
                if code in PURPOSES:
                    yield keyword, code
