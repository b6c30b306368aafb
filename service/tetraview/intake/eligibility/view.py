"""Which projection it is."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.domain.view import ViewPosition
from tetraview.intake.eligibility.tables import PROJECTION_OF_CODE, PROJECTION_OF_WORD, Projection
from tetraview.intake.eligibility.values import Objection, codes, shown, shown_code, text


def position_of(dataset: Dataset) -> ViewPosition | None:
    """CC or MLO by View Code Sequence (0054,0220), else by View Position (0018,5101); ML is not MLO."""
    projection = _projection(dataset)
    return projection.position if projection else None


def against_view(dataset: Dataset) -> Iterator[Objection]:
    """Every projection but the two standard ones."""
    projection = _projection(dataset)
    if projection is None:
        yield Decision.NOT_STANDARD_VIEW, _shown(dataset)
    elif projection.position is None:
        yield Decision.EXTRA_VIEW, _shown(dataset)


def is_contradictory(dataset: Dataset) -> bool:
    """Whether code and string name different projections; the code counts."""
    by_code, by_word = PROJECTION_OF_CODE.get(_code(dataset)), PROJECTION_OF_WORD.get(_word(dataset))
    return by_code is not None and by_word is not None and by_code is not by_word


def _projection(dataset: Dataset) -> Projection | None:
    code = _code(dataset)
    return PROJECTION_OF_CODE.get(code) if code else PROJECTION_OF_WORD.get(_word(dataset))


def _shown(dataset: Dataset) -> str:
    code = _code(dataset)
    return shown_code("ViewCodeSequence", code) if code else shown(dataset, "ViewPosition")


def _code(dataset: Dataset) -> str:
    return next(codes(dataset, "ViewCodeSequence"), "")


def _word(dataset: Dataset) -> str:
    return text(dataset, "ViewPosition")
