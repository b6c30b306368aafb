"""Training curves as pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tetraview_nets.learning.curves import draw_curves, read_table

LOSSES = "step,focal,learning_rate,seconds\n25,0.9,0.0005,1.0\n50,0.5,0.001,1.1\n75,0.25,0.0001,1.0\n"


def drawn(folder: Path) -> np.ndarray:
    """The picture of a training called bi."""
    picture = cv2.imread(str(draw_curves(folder, "bi")))
    assert picture is not None
    return picture


def test_a_table_is_read_by_column(tmp_path: Path) -> None:
    """Every column of a loss table is found under its name; a missing table has none."""
    (tmp_path / "bi.csv").write_text(LOSSES)
    table = read_table(tmp_path / "bi.csv")
    assert list(table) == ["step", "focal", "learning_rate", "seconds"]
    assert table["step"] == [25, 50, 75]
    assert table["focal"] == [0.9, 0.5, 0.25]
    assert read_table(tmp_path / "other.csv") == {}


def test_the_picture_shows_what_the_tables_hold(tmp_path: Path) -> None:
    """The picture is a PNG beside the tables that changes when a loss or a validation figure does, and only then."""
    (tmp_path / "bi.csv").write_text(LOSSES)
    without = drawn(tmp_path)
    assert np.array_equal(without, drawn(tmp_path))
    (tmp_path / "bi.csv").write_text(LOSSES.replace("0.25,", "0.75,"))
    assert not np.array_equal(without, drawn(tmp_path))
    (tmp_path / "bi.csv").write_text(LOSSES)
    (tmp_path / "bi-validation.csv").write_text("step,recall_at_1\n50,0.3\n75,0.4\n")
    assert not np.array_equal(without, drawn(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bi-validation.csv", "bi.csv", "bi.png"]
