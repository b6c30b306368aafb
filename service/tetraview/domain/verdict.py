"""The decision about an exam as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tetraview.domain.exam import ExamState, Remark
from tetraview.domain.instance import Decision, Instance
from tetraview.domain.view import View


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Read, skipped or held, and why."""

    #: Next state of the exam: reading, skipped or held.
    state: ExamState
    #: The image of each slot; of an exam that is not read those that would have been.
    images: Mapping[View, Instance]
    #: Decision and reason of each eligible image that fills no slot, by its path.
    others: Mapping[str, tuple[Decision, str]]
    #: Reason code of each slot that has an image, but none that is read.
    unread: Mapping[View, str] = field(default_factory=dict)
    remark: Remark | None = None
    #: The remark in a sentence.
    detail: str = ""
