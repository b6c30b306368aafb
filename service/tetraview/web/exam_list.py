"""The worklist: which exams it holds, and the addresses of others like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Query

from tetraview.domain.exam import ExamState
from tetraview.ledger.selection import Outcome, Selection
from tetraview.ledger.summary import ExamSummary

#: Exams on a page.
PAGE = 50
#: The last page that is shown: a bound on what one request may ask of the ledger.
LAST_PAGE = 200

#: Value that a form sends for any.
_Any = Literal[""]
StateParameter = Annotated[ExamState | _Any, Query()]
TitleParameter = Annotated[str, Query(max_length=16)]
OutcomeParameter = Annotated[Outcome | _Any, Query()]
PageParameter = Annotated[int, Query(ge=1, le=LAST_PAGE)]


@dataclass(frozen=True, kw_only=True)
class ExamList:
    """One page of the exams selected."""

    selection: Selection
    #: From 1.
    page: int
    #: Newest first.
    exams: Sequence[ExamSummary]
    #: How many there are in each state, whichever state is selected.
    counts: Mapping[ExamState, int]
    called_ae_titles: Sequence[str]
    has_older: bool

    def address(self, **changes: str | int) -> str:
        """The address of this list with other parameters; it starts at its first page unless told otherwise."""
        selection = self.selection
        kept = {"state": selection.state, "ae": selection.called_ae_title, "outcome": selection.outcome}
        said = {name: value for name, value in (kept | changes).items() if value}
        return f"/?{urlencode(said)}" if said else "/"
