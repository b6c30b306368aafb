"""How large a mass can be: whatever is beyond is the gland, a fold or the breast's edge."""

from __future__ import annotations

from tetraview.domain.geometry import Box

#: Longest axis of a mass, millimetres. The longer sides of the boxes around the 1,429 masses in the training images of
#: CBIS-DDSM and CDD-CESM measure 16 mm in the median and less than this in 99 of 100; in CBIS-DDSM, where no box holds
#: a cluster, in 999 of 1,000.
MAX_LONG_AXIS_MM = 60.0
#: Least share of an outline's bounds that lies in the box in which its mass was found.
MIN_SHARE_IN_BOX = 0.25


def share_in_box(outline: Box, box: Box) -> float:
    """The share of an outline's bounds that lies in a box, in [0, 1]."""
    width = min(outline.x1, box.x1) - max(outline.x0, box.x0)
    height = min(outline.y1, box.y1) - max(outline.y0, box.y0)
    return max(width, 0.0) * max(height, 0.0) / outline.area
