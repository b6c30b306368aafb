"""One picture of a reading: the four views in their hanging, with outlines, scores and missing views."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import cv2

from tetraview.domain.geometry import Affine, Box
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.view import Laterality, View
from tetraview.report.drawing import AMBER, LINE, QUIET, RED, SEMIBOLD, TEXT, WHITE, Sheet, read_preview
from tetraview.report.labels import label_of
from tetraview.report.statement import statement

_HANGING = ((View.R_CC, View.L_CC), (View.R_MLO, View.L_MLO))
_PANEL_WIDTH, _PANEL_HEIGHT = 800, 900
_HEADER, _FOOTER, _MARGIN, _LINE_HEIGHT = 64, 56, 24, 26


def contact_sheet(reading: Reading, *, folder: Path) -> bytes:
    """A PNG, 1600 pixels wide, of all views of a reading with their findings.

    Right breast on the left and chest walls in the middle, as images are usually stored; the views are not turned.

    Args:
        reading: the models' results.
        folder: where the reading's previews are.
    """
    sheet = Sheet(width=2 * _PANEL_WIDTH, height=_HEADER + 2 * _PANEL_HEIGHT + _FOOTER)
    sheet.pixels[_HEADER:-_FOOTER] = 0
    by_view = {view.view: view for view in reading.views}
    for row, views in enumerate(_HANGING):
        for column, view in enumerate(views):
            panel = _Panel(view=view, x=column * _PANEL_WIDTH, y=_HEADER + row * _PANEL_HEIGHT)
            _draw_panel(sheet, panel, by_view.get(view), folder=folder)
    _rule(sheet)
    _draw_header(sheet, reading)
    _draw_footer(sheet, reading)
    return cv2.imencode(".png", sheet.pixels)[1].tobytes()


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """The place of one view on the sheet, by its upper left corner."""

    view: View
    x: int
    y: int

    @property
    def is_right(self) -> bool:
        return self.view.laterality is Laterality.RIGHT

    def fit(self, columns: int, rows: int) -> Affine:
        """Preview pixels to the sheet: as large as fits, chest wall at the middle of the sheet."""
        scale = min(_PANEL_WIDTH / columns, _PANEL_HEIGHT / rows)
        across = _PANEL_WIDTH - columns * scale if self.is_right else 0.0
        return Affine(scale, 0.0, self.x + across, 0.0, scale, self.y + (_PANEL_HEIGHT - rows * scale) / 2)


def _rule(sheet: Sheet) -> None:
    """Part the panels by thin lines."""
    sheet.pixels[_HEADER:-_FOOTER, _PANEL_WIDTH - 1 : _PANEL_WIDTH + 1] = LINE
    for row in range(len(_HANGING) + 1):
        y = _HEADER + row * _PANEL_HEIGHT
        sheet.pixels[y - 1 : y + 1] = LINE


def _draw_panel(sheet: Sheet, panel: _Panel, reading: ViewReading | None, *, folder: Path) -> None:
    image = None if reading is None else read_preview(reading, folder=folder)
    if reading is None or image is None:
        _draw_absence(sheet, panel, reading)
    else:
        to_sheet = panel.fit(image.shape[1], image.shape[0])
        sheet.paste(image, to_sheet)
        place = Box(panel.x, panel.y, panel.x + _PANEL_WIDTH, panel.y + _PANEL_HEIGHT)
        to_sheet @= Affine.scale(reading.preview_scale, reading.preview_scale)
        texts = [label_of(finding) for finding in reading.findings]
        sheet.findings(reading.findings, texts, to_sheet, place=place)
    _draw_caption(sheet, panel, "" if reading is None or reading.route is None else reading.route.value)


def _draw_absence(sheet: Sheet, panel: _Panel, reading: ViewReading | None) -> None:
    """Say in the middle of an empty panel why it is empty."""
    colour = QUIET if reading is None else RED
    for number, line in enumerate(textwrap.wrap(_absence(reading), 48)):
        x = panel.x + (_PANEL_WIDTH - sheet.width_of(line)) / 2
        sheet.write(line, (x, panel.y + _PANEL_HEIGHT / 2 + 1.5 * TEXT * number), colour=colour)


def _absence(reading: ViewReading | None) -> str:
    if reading is None:
        return "No image"
    return "Read, but its preview is gone" if reading.failure is None else f"Could not be read: {reading.failure}"


def _draw_caption(sheet: Sheet, panel: _Panel, route: str) -> None:
    """The view and its route, in the corner away from the chest wall."""
    name, rest = panel.view.value, f"  {route}" if route else ""
    width = sheet.width_of(name, weight=SEMIBOLD)
    x = panel.x + _MARGIN if panel.is_right else panel.x + _PANEL_WIDTH - _MARGIN - width - sheet.width_of(rest)
    sheet.write(name, (x, panel.y + 34), colour=WHITE, bold=True)
    sheet.write(rest, (x + width, panel.y + 34), colour=QUIET)


def _draw_header(sheet: Sheet, reading: Reading) -> None:
    name = f"tetraview {reading.exam_id}" + (f", reading {reading.generation}" if reading.generation > 1 else "")
    sheet.write(name, (_MARGIN, 40), colour=WHITE, bold=True)
    said = statement(reading.training)
    room = 2 * _PANEL_WIDTH - 4 * _MARGIN - sheet.width_of(name, weight=SEMIBOLD)
    lines = _balanced(said, characters=max(int(len(said) * room / sheet.width_of(said)), 1))
    for number, line in enumerate(lines):
        y = 40 + _LINE_HEIGHT * (number - (len(lines) - 1) / 2)
        sheet.write(line, (2 * _PANEL_WIDTH - _MARGIN - sheet.width_of(line), y), colour=AMBER)


def _balanced(text: str, *, characters: int) -> list[str]:
    """A text in as few lines as it needs, all about as long."""
    lines = textwrap.wrap(text, characters)
    while characters > 1 and len(tighter := textwrap.wrap(text, characters - 1)) == len(lines):
        lines, characters = tighter, characters - 1
    return lines


def _draw_footer(sheet: Sheet, reading: Reading) -> None:
    y = sheet.pixels.shape[0] - 20
    sheet.write(_shortfall(reading), (_MARGIN, y), colour=WHITE)
    source = f"Operating point {reading.operating_point}"
    for model in reading.models:
        source += f", {model.name} {model.version} {model.preset}"
    sheet.write(source, (2 * _PANEL_WIDTH - _MARGIN - sheet.width_of(source), y), colour=QUIET)


def _shortfall(reading: Reading) -> str:
    """Gaps in the reading, in words."""
    present = {view.view for view in reading.views}
    missing = [view.value for row in _HANGING for view in row if view not in present]
    failed = [view.value for view in reading.failed]
    parts = [f"{what}: {', '.join(views)}" for what, views in (("Missing", missing), ("Not read", failed)) if views]
    return ". ".join(parts) or "All four views read"
