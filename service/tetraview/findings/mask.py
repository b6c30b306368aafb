"""From a mask to the outline of the mass that it shows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Box, Outline, Point

#: Share of the box's width and height that is its middle.
_MIDDLE = 0.5
#: Pixels joined by an edge belong together; by a corner alone they do not.
_CONNECTIVITY = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class NativeMask:
    """A segmenter's marks around one finding, on the stored pixels of its image."""

    #: bool [rows, columns], a part of the image.
    pixels: NDArray[np.bool_]
    #: Column and row of the part's first pixel.
    corner: tuple[int, int]
    #: Where it can mark anything at all, stored pixels, also beyond the image.
    reach: Box


def outline_of(mask: NativeMask, *, box: Box) -> Outline | None:
    """The outline of the mass that a mask shows, along the edges of stored pixels; painting it gives the mass again.

    The mass is the piece that has most pixels in the middle of the box, else the one with most pixels in the box; its
    holes are part of it.

    Args:
        mask: the segmenter's marks.
        box: where the mass was found, stored pixels.

    Returns:
        Stored pixels, open and simple; None where nothing was marked in the box.
    """
    piece = _piece(mask.pixels.astype(np.uint8), box, corner=mask.corner)
    if piece is None:
        return None
    left, top = mask.corner
    return tuple((x + left, y + top) for x, y in _traced(_without_holes(piece)))


def _piece(marked: NDArray[np.uint8], box: Box, *, corner: tuple[int, int]) -> NDArray[np.uint8] | None:
    """The piece that is the mass, uint8 [rows, columns] of 0 and 1; None where there is none."""
    if not marked.any():
        return None
    count, found = cv2.connectedComponents(marked, connectivity=_CONNECTIVITY)
    labels = np.asarray(found, dtype=np.int32)
    for part in (_shrunk(box, _MIDDLE), box):
        sizes = np.bincount(_within(labels, part, corner=corner).ravel(), minlength=count)[1:]
        if sizes.any():
            return np.asarray(labels == 1 + sizes.argmax(), dtype=np.uint8)
    return None


def _shrunk(box: Box, share: float) -> Box:
    (x, y), across, down = box.centre, share * box.width / 2, share * box.height / 2
    return Box(x - across, y - down, x + across, y + down)


def _within(labels: NDArray[np.int32], box: Box, *, corner: tuple[int, int]) -> NDArray[np.int32]:
    """The part of a matrix whose pixels a box touches."""
    left, top = corner
    rows = slice(max(int(np.floor(box.y0)) - top, 0), max(int(np.ceil(box.y1)) - top, 0))
    columns = slice(max(int(np.floor(box.x0)) - left, 0), max(int(np.ceil(box.x1)) - left, 0))
    return labels[rows, columns]


def _without_holes(piece: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The piece, within one pixel of margin, and all that it encloses."""
    outside = 1 - np.pad(piece, 1)
    _, labels = cv2.connectedComponents(outside, connectivity=_CONNECTIVITY)
    return np.asarray(labels != labels[0, 0], dtype=np.bool_)


def _traced(framed: NDArray[np.bool_]) -> list[Point]:
    """The corners of a piece without holes, in the order of its edge, from a matrix with one pixel of margin.

    Neither the piece nor its surroundings are joined by a corner alone, so its edge is one closed line that meets no
    corner twice: along each row and each column of the lattice it runs from the first corner to the second, from the
    third to the fourth and so on.
    """
    # A corner is where an odd number of the four pixels around it belongs to the piece.
    ys, xs = np.nonzero(framed[:-1, :-1] ^ framed[:-1, 1:] ^ framed[1:, :-1] ^ framed[1:, 1:])
    along_row = np.arange(len(xs)) ^ 1
    by_column = np.lexsort((ys, xs))
    along_column = np.empty_like(by_column)
    along_column[by_column] = by_column[along_row]
    order, corner = [], 0
    for _ in range(len(xs) // 2):
        order += [corner, along_row[corner]]
        corner = along_column[along_row[corner]]
    return list(zip(xs[order].astype(float).tolist(), ys[order].astype(float).tolist(), strict=True))
