"""The labels of findings in pictures, and where they go so that each can be read."""

from __future__ import annotations

from collections.abc import Sequence

from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box

#: Height of a label's box in multiples of its text size.
_LINE = 1.3


def label_of(finding: Finding, *, graded: bool = True) -> str:
    """Name and score; for a graded finding also its malignancy score and, if there is one, suspicion level.

    Args:
        finding: the finding to label.
        graded: whether to show its grade.
    """
    label = f"{finding.label} {finding.score:.2f}"
    if finding.malignancy is None or not graded:
        return label
    return f"{label}, malignancy {finding.malignancy:.2f} {finding.suspicion or ''}".rstrip()


def place_labels(boxes: Sequence[Box], *, widths: Sequence[float], text: float, size: tuple[float, float]) -> list[Box]:
    """One box a label, over or under its finding, inside the picture, clear of other labels and findings if it can be.

    All lengths are in pixels of the picture that is labelled.

    Args:
        boxes: the findings, the most important first.
        widths: how wide each label is.
        text: the text size.
        size: width and height of the picture.
    """
    placed: list[Box] = []
    for box, width in zip(boxes, widths, strict=True):
        spots = [_at(box, top, width=width, text=text, size=size) for top in _tops(box, text)]
        clear = [spot for spot in spots if not _touches(spot, placed)]
        best = [spot for spot in clear if not _touches(spot, boxes)]
        placed.append(next(iter(best or clear or spots)))
    return placed


def _touches(spot: Box, others: Sequence[Box]) -> bool:
    return any(spot.iou(other) > 0 for other in others)


def _tops(box: Box, text: float) -> list[float]:
    """Upper edges to try: just over the finding, just under it, then line by line away from it."""
    line = _LINE * text
    gap = 0.25 * text
    return [top for step in range(4) for top in (box.y0 - gap - (step + 1) * line, box.y1 + gap + step * line)]


def _at(box: Box, top: float, *, width: float, text: float, size: tuple[float, float]) -> Box:
    """The label's box centred on its finding, moved into the picture."""
    x0 = min(max(box.centre[0] - width / 2, 0.0), max(size[0] - width, 0.0))
    y0 = min(max(top, 0.0), max(size[1] - _LINE * text, 0.0))
    return Box(x0, y0, x0 + width, y0 + _LINE * text)
