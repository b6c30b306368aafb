"""Knowledge of which marks in CC and MLO are the same mass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tetraview_nets.learning.cache import IGNORED, VIEWS, CanonicalExam
from tetraview_nets.learning.pairs import DIFFERENT, SAME, UNKNOWN, known_pairs, masses_in_both, tells

BOXES = np.array([[10.0, 10, 20, 20], [40.0, 40, 50, 50]])
BESIDE = np.array([[0.0, 50, 8, 60]])
MARKS = np.concatenate([BOXES, BESIDE])


def exam(*masses: int, source: str = "phantom") -> CanonicalExam:
    """The right breast with given numbers of masses in CC and in MLO, at the same places."""
    views = [view for view, count in zip((0, 2), masses, strict=True) for _ in range(count)]
    places = [i for count in masses for i in range(count)]
    return CanonicalExam(
        seed=1,
        images=np.zeros((4, 64, 64), dtype=np.uint8),
        masks=np.zeros((4, 64, 64), dtype=np.uint8),
        spacing_mm=np.ones(4, dtype=np.float32),
        nipples=np.zeros((4, 3), dtype=np.float32),
        boxes=BOXES[places].astype(np.float32).reshape(-1, 4),
        box_views=np.array(views, dtype=np.int64),
        kinds=np.zeros(len(views), dtype=np.int64),
        labels=np.array([f"M{i}" for i in places], dtype=np.str_),
        present=np.array([True, False, True, False]),
        source=source,
    )


def test_all_is_known_of_phantoms() -> None:
    """Marks of one object are the same; all others are not, including two that mark nothing."""
    known = known_pairs(exam(2, 2), cc=0, marks=(MARKS, MARKS))
    assert known.tolist() == [[SAME, DIFFERENT, DIFFERENT], [DIFFERENT, SAME, DIFFERENT], [DIFFERENT] * 3]
    assert len(masses_in_both(exam(2, 2), cc=0, marks=(MARKS, MARKS))) == 2


def test_real_breasts_with_one_mass_in_each_view_tell_of_that_mass() -> None:
    """Two marks on the mass are the same, one on it and one beside it are not, and two beside it may be either."""
    found = exam(1, 1, source="CBIS-DDSM")
    known = known_pairs(found, cc=0, marks=(MARKS[[0, 2]], MARKS[[0, 2]]))
    assert known.tolist() == [[SAME, DIFFERENT], [DIFFERENT, UNKNOWN]]
    (pairs,) = masses_in_both(found, cc=0, marks=(MARKS[[0, 2]], MARKS[[0, 2]]))
    assert pairs.tolist() == [[True, False], [False, False]]


def test_other_real_breasts_tell_nothing() -> None:
    """With two masses in a view, or none, it is unknown which mark is which."""
    for counts in ((2, 1), (1, 0), (2, 2)):
        found = exam(*counts, source="CBIS-DDSM")
        assert not tells(found)
        assert (known_pairs(found, cc=0, marks=(MARKS, MARKS)) == UNKNOWN).all()
        assert masses_in_both(found, cc=0, marks=(MARKS, MARKS)) == []
    assert tells(exam(1, 1, source="CBIS-DDSM"))
    assert not tells(replace(exam(1, 1), present=np.array([True, False, False, False])))


def test_a_mark_where_nothing_counts_is_unknown() -> None:
    """A mark in an ignored region may be anything."""
    found = exam(1, 1)
    found.masks[0, 50:60, 0:8] = IGNORED
    known = known_pairs(found, cc=0, marks=(BESIDE, MARKS[[0]]))
    assert known.tolist() == [[UNKNOWN]]
    assert VIEWS[0].ipsilateral is VIEWS[2]
