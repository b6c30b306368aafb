"""Whether the exam is for screening or for diagnosis."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.intake.eligibility.tables import PURPOSES
from tetraview.intake.eligibility.values import Objection, codes, items, shown_code, stated, text
from tetraview.settings import Images

_SEQUENCES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence", "ReasonForRequestedProcedureCodeSequence")
_DESCRIPTIONS = ("StudyDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription")


def against_purpose(dataset: Dataset, policy: Images) -> Iterator[Objection]:
    """Diagnostic exams, by the site's word about the called AE title before the codes of the procedure.

    One code that says so is enough, whatever others say: a diagnostic exam is not read as a screening by mistake.
    """
    if policy.purpose == "diagnostic":
        yield Decision.DIAGNOSTIC, "[images] purpose = diagnostic"
    if policy.purpose != "unknown":
        return
    known = list(_coded(dataset))
    for keyword, code in known:
        if PURPOSES[code] == "diagnostic":
            yield Decision.DIAGNOSTIC, shown_code(keyword, code)
    if not known and (keyword := _described(dataset, policy.diagnostic_words)):
        yield Decision.DIAGNOSTIC, stated(keyword, "one of [images] diagnostic_words")


def is_purpose_known(dataset: Dataset, policy: Images) -> bool:
    """Whether the site, a code or a word says what the exam is for."""
    return (
        policy.purpose != "unknown"
        or any(True for _ in _coded(dataset))
        or bool(_described(dataset, (*policy.screening_words, *policy.diagnostic_words)))
    )


def _described(dataset: Dataset, words: Collection[str]) -> str:
    """Attribute of the first description with one of a site's words in it, never its text; empty where none has one."""
    wanted = [word.casefold() for word in words]
    said = ((keyword, text(dataset, keyword).casefold()) for keyword in _DESCRIPTIONS)
    return next((keyword for keyword, description in said if any(word in description for word in wanted)), "")


def _coded(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Codes of a purpose and their attributes, in the image itself or in the request that it answers."""
    for holder in (dataset, *items(dataset, "RequestAttributesSequence")):
        for keyword in _SEQUENCES:
            for code in codes(holder, keyword):
                if code in PURPOSES:
                    yield keyword, code
