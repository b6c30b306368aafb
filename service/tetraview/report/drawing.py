"""A picture that can be written and drawn on, in the colours of our pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Affine, Box
from tetraview.domain.reading import ViewReading
from tetraview.report.labels import place_labels

TEXT = 20
SEMIBOLD = 600
_LABEL_TEXT = 19
_REGULAR = 400

_Colour = tuple[int, int, int]
# Blue, green, red, as OpenCV has them.
GROUND, LINE, WHITE, QUIET = (17, 15, 12), (48, 43, 36), (226, 222, 216), (169, 160, 147)
MARK, AMBER, RED = (77, 154, 255), (102, 189, 230), (120, 125, 242)

#: Bits behind the point in OpenCV's coordinates.
_SHIFT = 4


class Sheet:
    """A dark picture."""

    def __init__(self, *, width: int, height: int) -> None:
        #: uint8 [height, width, 3], blue, green, red.
        self.pixels: NDArray[np.uint8] = np.full((height, width, 3), GROUND, dtype=np.uint8)
        self._face = cv2.FontFace("sans")

    def width_of(self, text: str, *, size: int = TEXT, weight: int = _REGULAR) -> int:
        """How wide a text is, pixels."""
        return int(cv2.getTextSize(self.pixels.shape[1::-1], text, (0, 0), self._face, size, weight)[2])

    def write(
        self, text: str, at: tuple[float, float], *, colour: _Colour, size: int = TEXT, bold: bool = False
    ) -> None:
        """Write a line that starts at the left end of its base line."""
        origin = round(at[0]), round(at[1])
        cv2.putText(self.pixels, text, origin, colour, self._face, size, SEMIBOLD if bold else _REGULAR)

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

    def findings(self, findings: Sequence[Finding], texts: Sequence[str], to_sheet: Affine, *, place: Box) -> None:
        """Draw findings with their labels.

        Args:
            findings: the most important first.
            texts: texts of their labels.
            to_sheet: stored pixels to this picture.
            place: where the image of the findings is; labels stay inside.
        """
        to_place = Affine.translation(-place.x0, -place.y0) @ to_sheet
        labels = place_labels(
            [to_place.box(finding.box) for finding in findings],
            widths=[self.width_of(text, size=_LABEL_TEXT, weight=SEMIBOLD) + 8 for text in texts],
            text=_LABEL_TEXT,
            size=(place.width, place.height),
        )
        for finding in findings:
            self.outline(np.array(to_sheet.outline(finding.outline)), colour=MARK)
        for text, label in zip(texts, labels, strict=True):
            spot = Affine.translation(place.x0, place.y0).box(label)
            self._darken(spot)
            self.write(text, (spot.x0 + 4, spot.y1 - 0.35 * _LABEL_TEXT), colour=MARK, size=_LABEL_TEXT, bold=True)

    def _darken(self, box: Box) -> None:
        """Make the ground of a label dark enough to read it on."""
        part = self.pixels[int(box.y0) : round(box.y1), int(box.x0) : round(box.x1)]
        part //= 3


def read_preview(view: ViewReading, *, folder: Path) -> NDArray[np.uint8] | None:
    """The grey preview of a view, uint8 [rows, columns]; None where there is none.

    Args:
        view: the reading of the view.
        folder: where the reading's previews are.
    """
    if view.preview is None or not (folder / view.preview).is_file():
        return None
    image = cv2.imread(str(folder / view.preview), cv2.IMREAD_GRAYSCALE)
    return None if image is None else np.asarray(image, dtype=np.uint8)
