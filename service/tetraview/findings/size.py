"""How large a mass can be: larger things are the gland, a fold or the breast's edge, smaller ones are specks."""

from __future__ import annotations

from tetraview.domain.geometry import Box, Outline

#: Longest axis of a mass, millimetres. The longer sides of the boxes around the 1,429 masses in the training images of
#: CBIS-DDSM and CDD-CESM measure 16 mm in the median and less than this in 99 of 100; in CBIS-DDSM, where no box holds
#: a cluster, in 999 of 1,000.
MAX_LONG_AXIS_MM = 60.0
#: Shorter side of a mass's box, millimetres. The least of these 1,429 measures 2.9 mm.
MIN_SIDE_MM = 2.5
#: Least share of an outline's bounds that lies in the box in which its mass was found.
MIN_SHARE_IN_BOX = 0.25
#: Least area of an outline as a share of the box in which its mass was found. The 265 masses that are outlined in the
#: training images of CDD-CESM fill a third of their bounds and more; a box that is a quarter too long and too wide, two
#: thirds of that.
MIN_SHARE_OF_BOX = 0.15
#: Outlines whose bounds overlap by more than this (intersection over union) mark one mass.
SAME_MASS_IOU = 0.5


def same_mass(one: Outline, other: Outline) -> bool:
    """Whether two outlines are of one mass: two boxes side by side may both hold it."""
    return Box.around(one).iou(Box.around(other)) > SAME_MASS_IOU


def share_in_box(outline: Box, box: Box) -> float:
    """The share of an outline's bounds that lies in a box, in [0, 1]."""
    width = min(outline.x1, box.x1) - max(outline.x0, box.x0)
    height = min(outline.y1, box.y1) - max(outline.y0, box.y0)
    return max(width, 0.0) * max(height, 0.0) / outline.area
