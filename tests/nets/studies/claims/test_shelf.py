"""Readings kept in pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tetraview_nets.studies.claims.shelf import Columns, Shelf


def view(detections: int) -> Columns:
    """The reading of one view."""
    return np.full((detections, 4), detections, dtype=np.float32), np.arange(detections)


def test_what_was_said_comes_back_in_order(tmp_path: Path) -> None:
    """Readers whose names begin alike, views without a detection and pieces put in any order are kept apart."""
    shelf = Shelf(folder=tmp_path / "new", exams=5, size=2)
    assert (shelf.missing(), shelf.exams_in(2)) == ([0, 1, 2], range(4, 5))
    for piece in (2, 0):
        shelf.put(piece, {"one": [view(piece), view(0)], "one more": [view(piece + 3)]})
    assert shelf.missing() == [1]
    with pytest.raises(FileNotFoundError):
        shelf.said("one")
    shelf.put(1, {"one": [], "one more": [view(9)]})
    assert [len(scores) for _, scores in shelf.said("one")] == [0, 0, 2, 0]
    assert [boxes.shape for boxes, _ in shelf.said("one more")] == [(3, 4), (9, 4), (5, 4)]
