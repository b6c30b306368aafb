"""The four views as a radiologist hangs them: right breast on the left, chest walls meeting in the middle."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Point
from tetraview.domain.instance import SENTENCES
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.view import View
from tetraview.ledger.summary import ExamSummary
from tetraview.report.labels import place_labels
from tetraview.web.inside import file_inside

#: Order of the panels, row by row.
HANGING = (View.R_CC, View.L_CC, View.R_MLO, View.L_MLO)
#: Height of a label's text as a share of the image's height.
_TEXT_SHARE = 1 / 32
#: Mean width of a bold character in multiples of the text size; system fonts differ, this is a wide one.
_CHARACTER = 0.66

#: The bytes before width and height in a PNG file, and these two.
_PNG_HEADER = struct.Struct(">16x2I")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One finding as it is drawn; positions are stored pixels."""

    finding: Finding
    #: Outline as SVG writes a path: each point relative to the one before, which is the shortest.
    path: str
    #: Middle of the label's base line.
    label_at: Point


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A view's preview with its marks; positions are stored pixels."""

    file: Path
    #: Stored columns.
    width: float
    #: Stored rows.
    height: float
    #: Size of the labels' text.
    text: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One of the four places of the hanging."""

    view: View
    #: None where the view was not read.
    reading: ViewReading | None
    #: None where there is nothing to show.
    picture: Picture | None
    #: Why there is nothing to show; empty where there is.
    absence: str
    #: Whether the absence is a fault rather than an image that nobody sent.
    is_fault: bool = False


def panels(summary: ExamSummary, reading: Reading | None, *, folder: Path) -> tuple[Panel, ...]:
    """The four panels of an exam.

    Args:
        summary: the exam.
        reading: the generation that is shown; None before there is one.
        folder: where the reading's previews are.
    """
    by_view = {} if reading is None else {view.view: view for view in reading.views}
    return tuple(
        _panel(by_view[view], folder=folder) if view in by_view else _empty(view, summary, reading) for view in HANGING
    )


def _panel(reading: ViewReading, *, folder: Path) -> Panel:
    if reading.failure is not None:
        absence = f"Could not be read: {reading.failure}"
        return Panel(view=reading.view, reading=reading, picture=None, absence=absence, is_fault=True)
    picture = _picture(reading, folder=folder)
    absence = "" if picture else "Read, but its preview is gone"
    return Panel(view=reading.view, reading=reading, picture=picture, absence=absence, is_fault=picture is None)


def _empty(view: View, summary: ExamSummary, reading: Reading | None) -> Panel:
    here = [image for image in summary.images if image.shows is view and not image.superseded]
    unread = {SENTENCES.get(image.decision, image.decision).removesuffix("."): None for image in here}
    absence = f"Received, not read: {'; '.join(unread)}" if unread else "No image received"
    if view in summary.views:
        absence = "Received, not read yet" if reading is None else "Received after this reading"
    return Panel(view=view, reading=None, picture=None, absence=absence)


def _picture(reading: ViewReading, *, folder: Path) -> Picture | None:
    file = preview_file(reading, folder=folder)
    size = None if file is None else _png_size(file)
    if file is None or size is None:
        return None
    columns, rows = size
    width, height = columns / reading.preview_scale, rows / reading.preview_scale
    text = height * _TEXT_SHARE
    return Picture(file=file, width=width, height=height, text=text, marks=_marks(reading, text, (width, height)))


def preview_file(reading: ViewReading, *, folder: Path) -> Path | None:
    """The view's preview in the reading's folder; None where there is none."""
    return None if reading.preview is None else file_inside(folder, reading.preview)


def _png_size(file: Path) -> tuple[int, int] | None:
    """Width and height from the header chunk, pixels (PNG specification, 11.2.2 IHDR); None where it is cut off."""
    with file.open("rb") as stream:
        header = stream.read(_PNG_HEADER.size)
    return _PNG_HEADER.unpack(header) if len(header) == _PNG_HEADER.size else None


def _marks(reading: ViewReading, text: float, size: tuple[float, float]) -> tuple[Mark, ...]:
    widths = [len(f"{finding.label} 0.00") * _CHARACTER * text for finding in reading.findings]
    boxes = [finding.box for finding in reading.findings]
    labels = place_labels(boxes, widths=widths, text=text, size=size)
    return tuple(
        Mark(finding=finding, path=_path(finding), label_at=(label.centre[0], label.y1 - 0.35 * text))
        for finding, label in zip(reading.findings, labels, strict=True)
    )


def _path(finding: Finding) -> str:
    points = [(round(x, 1), round(y, 1)) for x, y in finding.outline]
    steps = [(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in pairwise([(0, 0), *points])]
    return f"m{' '.join(f'{round(x, 1):g} {round(y, 1):g}' for x, y in steps)}z"
