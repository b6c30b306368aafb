"""The pages in HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tetraview.domain.exam import ExamState
from tetraview.domain.finding import Finding
from tetraview.domain.instance import SENTENCES
from tetraview.domain.reading import Reading
from tetraview.domain.sender import MENDED_BY_ALLOWING, AllowedSender, HeardSender, Refusal, RejectedSender
from tetraview.domain.view import View
from tetraview.ledger.selection import Outcome
from tetraview.ledger.summary import ExamSummary
from tetraview.report.statement import statement
from tetraview.report.summary import PREVALENCE
from tetraview.settings import Sender
from tetraview.web.exam_list import ExamList
from tetraview.web.hanging import HANGING, panels
from tetraview.web.objects import SentObject

#: States that a page follows until they end.
_UNDER_WAY = frozenset({ExamState.COLLECTING, ExamState.READING, ExamState.DELIVERING})
#: Outcomes in words.
_OUTCOMES = {
    Outcome.FINDINGS: "with findings",
    Outcome.NO_FINDINGS: "without findings",
    Outcome.UNREAD_VIEWS: "views could not be read",
}

#: Why a sender was not let in, in words.
_REFUSALS = {
    Refusal.UNKNOWN_SENDER: "no sender of this AE title is known",
    Refusal.WRONG_ADDRESS: "its AE title is known from other addresses",
    Refusal.WRONG_CERTIFICATE: "its AE title belongs to another certificate",
    Refusal.WRONG_CALLED_AE_TITLE: "it called an AE title that is none of ours",
    Refusal.TLS: "no secure connection came about",
    Refusal.NO_AE_TITLE: "an AE title that it gave is blank or not ASCII",
    Refusal.OTHER_PROTOCOL: "it does not ask for DICOM",
    Refusal.PROTOCOL_FAULT: "it broke the protocol",
    Refusal.NO_PLACE: "there was no place for it",
}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tetraview.web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"clock": _clock, "iso": datetime.isoformat}
    environment.globals |= {"statement": statement, "hanging": HANGING, "prevalence": PREVALENCE}
    return environment


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


_TEMPLATES = _environment()


def exam_list_page(worklist: ExamList) -> str:
    """The exams selected, one a row."""
    return _TEMPLATES.get_template("exam_list.html").render(worklist=worklist, states=ExamState, outcomes=_OUTCOMES)


def exam_page(
    summary: ExamSummary, reading: Reading | None, *, generation: int, objects: Sequence[SentObject], folder: Path
) -> str:
    """One generation of one exam: the four views, the findings and the outcome of every image and result.

    Args:
        summary: the exam.
        reading: the generation's reading; None before there is one.
        generation: which one is shown.
        objects: the results of this generation.
        folder: where the reading's previews are.
    """
    return _TEMPLATES.get_template("exam.html").render(
        exam=summary,
        reading=reading,
        generation=generation,
        panels=panels(summary, reading, folder=folder),
        findings=sorted(reading.findings, key=_by_lesion) if reading else [],
        calibrated=reading is not None and any(finding.calibrated is not None for finding in reading.findings),
        objects=objects,
        stage_seconds=_stage_seconds(summary, reading, generation=generation),
        under_way=summary.state in _UNDER_WAY,
        can_be_read=_can_be_read(summary, objects, generation=generation),
        flags=_flags(summary),
        sentences=SENTENCES,
    )


def _can_be_read(summary: ExamSummary, objects: Sequence[SentObject], *, generation: int) -> bool:
    """Whether asking for a reading of the images that are there would do anything."""
    if generation not in {0, summary.generation} or not summary.views:
        return False
    failed = summary.state is ExamState.FAILED and not objects
    return failed or summary.state in {ExamState.COLLECTING, ExamState.SKIPPED}


def _flags(summary: ExamSummary) -> Mapping[View, tuple[str, ...]]:
    """Remarks on the image that fills each slot."""
    by_view = dict.fromkeys(View, ())
    return by_view | {image.view: image.flags for image in summary.images if image.view and image.decision == "READ"}


def _stage_seconds(summary: ExamSummary, reading: Reading | None, *, generation: int) -> Mapping[str, float]:
    """Time spent by stage; the ledger adds the stages after reading for the newest generation."""
    if generation == summary.generation:
        return summary.stage_seconds
    return {} if reading is None else reading.stage_seconds


def _by_lesion(finding: Finding) -> tuple[int, str, int]:
    """Order of the table: L2 before L10, and a lesion's views together."""
    return len(finding.lesion), finding.lesion, HANGING.index(finding.view)


def senders_page(
    *,
    notice: str,
    settings: Sequence[Sender],
    allowed: Sequence[AllowedSender],
    rejected: Sequence[RejectedSender],
    heard: Sequence[HeardSender],
) -> str:
    """Senders that are let in, and senders that were not.

    Args:
        notice: why nothing can be changed here; empty where it can.
        settings: senders of the settings.
        allowed: senders that a person let in since, by AE title.
        rejected: senders that were not let in, latest first.
        heard: senders that were let in, latest first.
    """
    return _TEMPLATES.get_template("senders.html").render(
        notice=notice,
        settings=settings,
        allowed=allowed,
        rejected=rejected,
        heard=heard,
        words=_REFUSALS,
        mended_by_allowing=MENDED_BY_ALLOWING,
    )


def problem_page(title: str, *, detail: str) -> str:
    """A page that says why there is no other."""
    return _TEMPLATES.get_template("problem.html").render(title=title, detail=detail)
