"""The contact sheet, looked at pixel by pixel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.builders import a_finding, a_reading, a_view_reading

from tetraview.domain.geometry import Box
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import View
from tetraview.report.contact_sheet import _balanced, contact_sheet

#: Stored pixels: the finding, and the white square under it.
BOX = Box(600, 800, 1000, 1100)
#: Stored rows and columns, preview pixels per stored pixel.
SHAPE, SCALE = (2000, 1600), 0.25

PANELS = {
    View.R_CC: np.s_[66:962, :798],
    View.L_CC: np.s_[66:962, 802:],
    View.R_MLO: np.s_[966:1862, :798],
    View.L_MLO: np.s_[966:1862, 802:],
}


def read(view: View) -> ViewReading:
    return a_view_reading(view, a_finding(view, box=BOX), preview=f"{view}.png", preview_scale=SCALE)


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    """Four views, each with a white square under its finding."""
    preview = np.zeros([round(side * SCALE) for side in SHAPE], np.uint8)
    x0, y0, x1, y1 = (round(edge * SCALE) for edge in (BOX.x0, BOX.y0, BOX.x1, BOX.y1))
    preview[y0:y1, x0:x1] = 255
    for view in View:
        cv2.imwrite(str(tmp_path / f"{view}.png"), preview)
    return a_reading(*map(read, View))


def draw(reading: Reading, folder: Path) -> NDArray[np.uint8]:
    sheet = cv2.imdecode(np.frombuffer(contact_sheet(reading, folder=folder), np.uint8), cv2.IMREAD_COLOR)
    assert sheet is not None
    return np.asarray(sheet, np.uint8)


def bounds(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First and last column, first and last row of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], columns[-1], rows[0], rows[-1]])


def orange(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    blue, _, red = np.moveaxis(picture.astype(int), -1, 0)
    return red - blue > 150


@pytest.mark.parametrize("view", list(View))
def test_an_outline_lies_on_what_it_outlines(reading: Reading, tmp_path: Path, view: View) -> None:
    """In every panel the orange outline runs along the edge of the white square, to within three pixels."""
    bare = replace(reading, views=tuple(replace(view, findings=()) for view in reading.views))
    blank, panel = draw(bare, tmp_path)[PANELS[view]], draw(reading, tmp_path)[PANELS[view]]
    square = bounds((blank > 128).all(axis=2) & _middle(blank))
    outline = bounds(orange(panel) & _near(square, panel))
    assert abs(outline - square).max() <= 3


def _middle(panel: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Away from the caption."""
    mask = np.zeros(panel.shape[:2], bool)
    mask[60:-60] = True
    return mask


def _near(square: NDArray[np.int64], panel: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Up to eight pixels around the square, without the label."""
    mask = np.zeros(panel.shape[:2], bool)
    mask[square[2] - 8 : square[3] + 9, square[0] - 8 : square[1] + 9] = True
    return mask


def test_chest_walls_meet_in_the_middle(reading: Reading, tmp_path: Path) -> None:
    """Right images end and left images begin at the middle of the sheet, and the squares lie accordingly."""
    sheet = draw(reading, tmp_path)
    scale = 900 / SHAPE[0]
    right = bounds((sheet[PANELS[View.R_CC]] > 200).all(axis=2) & _middle(sheet[PANELS[View.R_CC]]))
    left = bounds((sheet[PANELS[View.L_CC]] > 200).all(axis=2) & _middle(sheet[PANELS[View.L_CC]]))
    assert abs(right[0] - (800 - (SHAPE[1] - BOX.x0) * scale)) <= 3
    assert abs(left[0] + 2 - BOX.x0 * scale) <= 3


def test_a_long_statement_stands_in_lines_of_like_length() -> None:
    """Text too long for one line is broken into two of about the same length, and no word is lost."""
    said = "Weights trained on CBIS-DDSM, CDD-CESM and synthetic phantoms."
    assert _balanced(said, characters=100) == [said]
    lines = _balanced(said, characters=60)
    assert " ".join(lines) == said
    assert abs(len(lines[0]) - len(lines[1])) < 12


def test_a_sheet_is_1600_pixels_wide(reading: Reading, tmp_path: Path) -> None:
    """The sheet has its width whatever the images measure."""
    assert draw(reading, tmp_path).shape == (1920, 1600, 3)


def test_a_missing_view_is_said_in_its_panel_and_below(reading: Reading, tmp_path: Path) -> None:
    """A view that no image fills has words instead of a picture, and the footer changes."""
    whole = draw(reading, tmp_path)
    partial = draw(replace(reading, views=reading.views[:3]), tmp_path)
    last = reading.views[3].view
    assert not orange(partial[PANELS[last]]).any()
    assert (partial[PANELS[last]][400:500] > 100).any()
    assert (whole[-50:, :600] != partial[-50:, :600]).any()
    assert (whole[PANELS[View.R_CC]] == partial[PANELS[View.R_CC]]).all()


def test_a_failed_view_is_said_in_red(reading: Reading, tmp_path: Path) -> None:
    """A view that could not be read shows its reason in red, apart from one that is merely missing."""
    failed = a_view_reading(View.L_MLO, failure="the JPEG stream ends early")
    views = [failed if view.view is View.L_MLO else view for view in reading.views]
    panel = draw(replace(reading, views=tuple(views)), tmp_path)[PANELS[View.L_MLO]].astype(int)
    assert ((panel[..., 2] > 180) & (panel[..., 1] < 140)).any()


def test_a_preview_that_is_gone_leaves_the_others(reading: Reading, tmp_path: Path) -> None:
    """Without one preview the sheet is drawn, and its panel says so."""
    (tmp_path / "R-CC.png").unlink()
    sheet = draw(reading, tmp_path)
    assert not orange(sheet[PANELS[View.R_CC]]).any()
    assert orange(sheet[PANELS[View.L_CC]]).any()


def test_the_same_reading_gives_the_same_picture(reading: Reading, tmp_path: Path) -> None:
    """A sheet drawn twice has the same bytes."""
    assert contact_sheet(reading, folder=tmp_path) == contact_sheet(reading, folder=tmp_path)


def test_a_graded_finding_carries_its_grade(reading: Reading, tmp_path: Path) -> None:
    """The label of a graded finding is longer by its malignancy score and suspicion level; the outline stays."""
    plain = draw(reading, tmp_path)
    graded = [
        replace(view, findings=tuple(replace(f, malignancy=0.7, suspicion=Suspicion.HIGH) for f in view.findings))
        for view in reading.views
    ]
    sheet = draw(replace(reading, views=tuple(graded)), tmp_path)
    for panel in PANELS.values():
        before, after = orange(plain[panel]), orange(sheet[panel])
        assert after.sum() > 1.2 * before.sum()
        assert bounds(before)[3] == bounds(after)[3]
