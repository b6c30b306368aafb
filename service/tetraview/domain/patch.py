"""The square of tissue around a box that a segmenter or classifier reads."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.geometry import Box


@dataclass(frozen=True, kw_only=True)
class PatchShape:
    """How a box becomes a patch.

    MommiNet-v2 says 448 x 448 pixels but not how much tissue they show; a half more than the box and never less than
    25 mm keeps the surroundings, where spicules end, in sight.
    """

    #: Rows and columns of the patch.
    size: int
    #: Side of the square over the longer side of the box.
    margin: float = 1.5
    #: Least side of the square, millimetres.
    min_side_mm: float = 25.0

    def square(self, box: Box, *, spacing_mm: tuple[float, float]) -> Box:
        """The square of tissue around a box, both in the same pixels; it may reach beyond the image.

        Args:
            box: in pixels of the image.
            spacing_mm: row and column spacing of those.
        """
        row_mm, column_mm = spacing_mm
        side_mm = max(self.margin * max(box.width * column_mm, box.height * row_mm), self.min_side_mm)
        (x, y), across, down = box.centre, side_mm / column_mm, side_mm / row_mm
        corners = x - across / 2, y - down / 2, x + across / 2, y + down / 2
        return Box(*(round(corner * _STEPS) / _STEPS for corner in corners))


#: Steps of a pixel to which the corners of a square are rounded: turning an image costs digits far behind them.
_STEPS = 1024
