"""Selection of the exams in a list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from tetraview.domain.exam import ExamState
from tetraview.domain.view import View
from tetraview.ledger.tables import exams, readings


class Outcome(StrEnum):
    """Outcome of reading an exam's newest generation."""

    FINDINGS = "findings"
    #: Every image of the exam was read and none has a finding.
    NO_FINDINGS = "none"
    #: At least one image could not be read, whatever was found in others.
    UNREAD_VIEWS = "unread"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Properties that the selected exams share; None stands for any."""

    state: ExamState | None = None
    called_ae_title: str | None = None
    outcome: Outcome | None = None


#: Every exam.
EVERY = Selection()


def _any_view(*path: str | int) -> sa.ColumnElement[bool]:
    """Whether something stands at this place in the reading of a view, of which there are four at most."""
    places = (("views", number, *path) for number in range(len(View)))
    return sa.or_(*(readings.c.reading[place].as_string().is_not(None) for place in places))


_OUTCOMES = {
    Outcome.FINDINGS: _any_view("findings", 0, "label"),
    Outcome.NO_FINDINGS: sa.not_(sa.or_(_any_view("findings", 0, "label"), _any_view("failure"))),
    Outcome.UNREAD_VIEWS: _any_view("failure"),
}


def conditions(selection: Selection) -> list[sa.ColumnElement[bool]]:
    """SQL conditions on the rows of the selected exams."""
    wanted: list[sa.ColumnElement[bool]] = []
    if selection.state is not None:
        wanted.append(exams.c.state == selection.state)
    if selection.called_ae_title is not None:
        wanted.append(exams.c.called_ae_title == selection.called_ae_title)
    if selection.outcome is not None:
        newest = sa.and_(readings.c.exam_id == exams.c.exam_id, readings.c.generation == exams.c.generation)
        wanted.append(sa.exists().where(newest, readings.c.reading.is_not(sa.null()), _OUTCOMES[selection.outcome]))
    return wanted
