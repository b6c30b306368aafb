"""Expected outcome for an exam, an image and a file."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.exam import ExamState


@dataclass(frozen=True, kw_only=True)
class SurveyedFile:
    """A file and, where it holds an instance, the decision that would be made about it."""

    path: str
    #: The exam; empty for a file that is not an instance.
    exam_id: str = ""
    #: Reason code, `UNUSABLE` for a file that could not be received.
    decision: str
    because: str
    flags: tuple[str, ...] = ()
    #: The slot that the image would fill; empty otherwise.
    view: str = ""


@dataclass(frozen=True, kw_only=True)
class SurveyedExam:
    """An exam and its images."""

    exam_id: str
    study_instance_uid: str
    #: Reading, skipped or held.
    state: ExamState
    #: With which companions views would be read, or the reason code.
    reason: str
    detail: str
    files: tuple[SurveyedFile, ...]
    #: Whether there is any mammogram in it.
    is_mammography: bool

    @property
    def views(self) -> tuple[str, ...]:
        """The slots that are filled."""
        return tuple(file.view for file in self.files if file.view)


#: Decision about a file that is no instance, or that no sender could store here.
UNUSABLE = "UNUSABLE"
