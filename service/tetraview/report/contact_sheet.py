"""One picture of a reading: the four views in their hanging with outlines, scores and what is missing."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Affine, Box
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.view import Laterality, View
from tetraview.report.labels import label_of, place_labels

STATEMENT = "Research software. Weights trained on synthetic images only. Not a medical device, not for clinical use."

_HANGING = ((View.R_CC, View.L_CC), (View.R_MLO, View.L_MLO))
_PANEL_WIDTH, _PANEL_HEIGHT = 800, 900
_HEADER, _FOOTER, _MARGIN = 64, 56, 24
_TEXT, _LABEL_TEXT = 20, 19
_SEMIBOLD, _REGULAR = 600, 400

_Colour = tuple[int, int, int]
# Blue, green, red, as OpenCV has them.
_GROUND, _LINE, _WHITE, _QUIET = (17, 15, 12), (48, 43, 36), (226, 222, 216), (169, 160, 147)
_MARK, _AMBER, _RED = (77, 154, 255), (102, 189, 230), (120, 125, 242)

#: Bits behind the point in OpenCV's coordinates.
_SHIFT = 4


def contact_sheet(reading: Reading, *, folder: Path) -> bytes:
    """A PNG, 1600 pixels wide, of all views of a reading with their findings.

    Right breast on the left and chest walls in the middle, as images are usually stored; the views are not turned.

    Args:
        reading: what the models said.
        folder: where the reading's previews are.
    """
    sheet = _Sheet(width=2 * _PANEL_WIDTH, height=_HEADER + 2 * _PANEL_HEIGHT + _FOOTER)
    by_view = {view.view: view for view in reading.views}
    for row, views in enumerate(_HANGING):
        for column, view in enumerate(views):
            panel = _Panel(view=view, x=column * _PANEL_WIDTH, y=_HEADER + row * _PANEL_HEIGHT)
            _draw_panel(sheet, panel, by_view.get(view), folder=folder)
    sheet.rule()
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


class _Sheet:
    """A picture that can be written and drawn on."""

    def __init__(self, *, width: int, height: int) -> None:
        #: uint8 [height, width, 3].
        self.pixels: NDArray[np.uint8] = np.full((height, width, 3), _GROUND, dtype=np.uint8)
        self.pixels[_HEADER : height - _FOOTER] = 0
        self._face = cv2.FontFace("sans")

    def rule(self) -> None:
        """Part the panels by thin lines."""
        self.pixels[_HEADER:-_FOOTER, _PANEL_WIDTH - 1 : _PANEL_WIDTH + 1] = _LINE
        for row in range(len(_HANGING) + 1):
            y = _HEADER + row * _PANEL_HEIGHT
            self.pixels[y - 1 : y + 1] = _LINE

    def width_of(self, text: str, *, size: int = _TEXT, weight: int = _REGULAR) -> int:
        """How wide a text is, pixels."""
        return int(cv2.getTextSize(self.pixels.shape[1::-1], text, (0, 0), self._face, size, weight)[2])

    def write(
        self, text: str, at: tuple[float, float], *, colour: _Colour, size: int = _TEXT, bold: bool = False
    ) -> None:
        """Write a line that starts at the left end of its base line."""
        origin = round(at[0]), round(at[1])
        cv2.putText(self.pixels, text, origin, colour, self._face, size, _SEMIBOLD if bold else _REGULAR)

    def paste(self, image: NDArray[np.uint8], to_sheet: Affine) -> None:
        """Draw a grey image."""
        box = to_sheet.box(Box(0, 0, image.shape[1], image.shape[0]))
        x, y, width, height = (round(value) for value in (box.x0, box.y0, box.width, box.height))
        method = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
        self.pixels[y : y + height, x : x + width] = cv2.resize(image, (width, height), interpolation=method)[..., None]

    def outline(self, points: NDArray[np.float64], *, colour: _Colour) -> None:
        """Draw a closed polygon, float [n, 2]."""
        # Pixel centres of OpenCV lie at whole numbers, ours at halves.
        fixed = np.round((points - 0.5) * 2**_SHIFT).astype(np.int32)
        cv2.polylines(
            self.pixels, [fixed], isClosed=True, color=colour, thickness=2, lineType=cv2.LINE_AA, shift=_SHIFT
        )

    def darken(self, box: Box) -> None:
        """Make the ground of a label dark enough to read it on."""
        part = self.pixels[int(box.y0) : round(box.y1), int(box.x0) : round(box.x1)]
        part //= 3


def _draw_panel(sheet: _Sheet, panel: _Panel, reading: ViewReading | None, *, folder: Path) -> None:
    image = None if reading is None else _preview(reading, folder=folder)
    if reading is None or image is None:
        _draw_absence(sheet, panel, reading)
    else:
        to_sheet = panel.fit(image.shape[1], image.shape[0])
        sheet.paste(image, to_sheet)
        _draw_findings(sheet, panel, reading, to_sheet @ Affine.scale(reading.preview_scale, reading.preview_scale))
    _draw_caption(sheet, panel, "" if reading is None or reading.route is None else reading.route.value)


def _preview(reading: ViewReading, *, folder: Path) -> NDArray[np.uint8] | None:
    """The grey preview, uint8 [rows, columns]; None where there is none."""
    if reading.preview is None or not (folder / reading.preview).is_file():
        return None
    image = cv2.imread(str(folder / reading.preview), cv2.IMREAD_GRAYSCALE)
    return None if image is None else np.asarray(image, dtype=np.uint8)


def _draw_findings(sheet: _Sheet, panel: _Panel, reading: ViewReading, to_sheet: Affine) -> None:
    to_panel = Affine.translation(-panel.x, -panel.y) @ to_sheet
    texts = [label_of(finding) for finding in reading.findings]
    labels = place_labels(
        [to_panel.box(finding.box) for finding in reading.findings],
        widths=[sheet.width_of(text, size=_LABEL_TEXT, weight=_SEMIBOLD) + 8 for text in texts],
        text=_LABEL_TEXT,
        size=(_PANEL_WIDTH, _PANEL_HEIGHT),
    )
    for finding in reading.findings:
        sheet.outline(np.array(to_sheet.outline(finding.outline)), colour=_MARK)
    for text, label in zip(texts, labels, strict=True):
        spot = Affine.translation(panel.x, panel.y).box(label)
        sheet.darken(spot)
        sheet.write(text, (spot.x0 + 4, spot.y1 - 0.35 * _LABEL_TEXT), colour=_MARK, size=_LABEL_TEXT, bold=True)


def _draw_absence(sheet: _Sheet, panel: _Panel, reading: ViewReading | None) -> None:
    """Say in the middle of an empty panel why it is empty."""
    colour = _QUIET if reading is None else _RED
    for number, line in enumerate(textwrap.wrap(_absence(reading), 48)):
        x = panel.x + (_PANEL_WIDTH - sheet.width_of(line)) / 2
        sheet.write(line, (x, panel.y + _PANEL_HEIGHT / 2 + 1.5 * _TEXT * number), colour=colour)


def _absence(reading: ViewReading | None) -> str:
    if reading is None:
        return "No image"
    return "Read, but its preview is gone" if reading.failure is None else f"Could not be read: {reading.failure}"


def _draw_caption(sheet: _Sheet, panel: _Panel, route: str) -> None:
    """The view and its route, in the corner away from the chest wall."""
    name, rest = panel.view.value, f"  {route}" if route else ""
    width = sheet.width_of(name, weight=_SEMIBOLD)
    x = panel.x + _MARGIN if panel.is_right else panel.x + _PANEL_WIDTH - _MARGIN - width - sheet.width_of(rest)
    sheet.write(name, (x, panel.y + 34), colour=_WHITE, bold=True)
    sheet.write(rest, (x + width, panel.y + 34), colour=_QUIET)


def _draw_header(sheet: _Sheet, reading: Reading) -> None:
    name = f"tetraview {reading.exam_id}" + (f", reading {reading.generation}" if reading.generation > 1 else "")
    sheet.write(name, (_MARGIN, 40), colour=_WHITE, bold=True)
    sheet.write(STATEMENT, (2 * _PANEL_WIDTH - _MARGIN - sheet.width_of(STATEMENT), 40), colour=_AMBER)


def _draw_footer(sheet: _Sheet, reading: Reading) -> None:
    y = sheet.pixels.shape[0] - 20
    sheet.write(_shortfall(reading), (_MARGIN, y), colour=_WHITE)
    source = f"Operating point {reading.operating_point}"
    for model in reading.models:
        source += f", {model.name} {model.version} {model.preset}"
    sheet.write(source, (2 * _PANEL_WIDTH - _MARGIN - sheet.width_of(source), y), colour=_QUIET)


def _shortfall(reading: Reading) -> str:
    """What the reading lacks, in words."""
    present = {view.view for view in reading.views}
    missing = [view.value for row in _HANGING for view in row if view not in present]
    failed = [view.value for view in reading.failed]
    parts = [f"{what}: {', '.join(views)}" for what, views in (("Missing", missing), ("Not read", failed)) if views]
    return ". ".join(parts) or "All four views read"
