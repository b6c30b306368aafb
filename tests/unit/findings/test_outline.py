from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.builders import a_finding

from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Affine, Box
from tetraview.domain.stage import Stage
from tetraview.domain.view import Route, View
from tetraview.findings import NativeMask, ViewFindings, native_spacing, outlined

MIRRORED = Affine(-4, 0, 400, 0, 2, 0)


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Canonical pixels of 0.4 mm over stored ones of 0.1 mm across and 0.2 mm down, mirrored."""

    spacing_mm: float = 0.4
    canonical_to_native: Affine = MIRRORED
    native_shape: tuple[int, int] = (300, 400)
    magnification: float = 1.0
    breast_mask: NDArray[np.bool_]


GEOMETRY = Geometry(breast_mask=np.ones((150, 100), np.bool_))
BOX = Box(100, 100, 120, 120)


def finding(number: int = 1) -> Finding:
    return a_finding(View.R_CC, number=number, box=BOX, route=Route.SINGLE, nipple_distance_mm=30.0)


def described(*masks: NativeMask, box: Box = BOX) -> ViewFindings:
    """The view with one finding for each mask."""
    found = tuple(replace(finding(number), box=box) for number, _ in enumerate(masks, start=1))
    view = ViewFindings(view=View.R_CC, route=Route.SINGLE, nipple=None, findings=found, warnings=("known before",))
    (only,) = outlined([view], {View.R_CC: GEOMETRY}, masks)
    return only


def block(rows: slice, columns: slice) -> NativeMask:
    """A rectangle that is marked in a patch of 60 by 60 pixels from column 80, row 80."""
    pixels = np.zeros((60, 60), np.bool_)
    pixels[rows, columns] = True
    return NativeMask(pixels=pixels, corner=(80, 80), reach=Box(80, 80, 140, 140))


def test_stored_pixels_have_the_spacing_that_the_canonical_frame_says() -> None:
    """Row and column spacing follow from the map between the frames, mirrored or not."""
    assert native_spacing(GEOMETRY) == pytest.approx((0.2, 0.1))


def test_an_outline_is_measured_by_the_spacing_of_rows_and_of_columns() -> None:
    """A rectangle of 30 columns by 20 rows is 3 by 4 mm: 5 mm long and 12 mm² large; nothing else changes."""
    view = described(block(slice(20, 40), slice(10, 40)))
    (found,) = view.findings
    assert Box.around(found.outline) == Box(90, 100, 120, 120)
    assert (found.long_axis_mm, found.area_mm2) == pytest.approx((5.0, 12.0))
    assert found.outlined_by is Stage.SEGMENTER
    assert (found.box, found.score, found.nipple_distance_mm) == (BOX, 0.5, 30.0)
    assert view.warnings == ("known before",)


def test_an_empty_mask_keeps_what_the_detector_said() -> None:
    """The finding is unchanged, and a sentence names it; its neighbour with a mask is outlined."""
    empty, marked = block(slice(0, 0), slice(0, 0)), block(slice(20, 40), slice(10, 40))
    view = described(empty, marked)
    assert view.findings[0] == finding()
    assert view.findings[1].outlined_by is Stage.SEGMENTER
    assert view.warnings == (
        "known before",
        "R1-CC: the segmenter marked nothing in its box; the outline is the detector's.",
    )


@pytest.mark.parametrize(
    "mask",
    [block(slice(0, 40), slice(10, 40)), block(slice(20, 60), slice(10, 40)), block(slice(20, 40), slice(10, 60))],
    ids=["above", "below", "right"],
)
def test_an_outline_that_the_patch_cuts_off_says_so(mask: NativeMask) -> None:
    """Where a mask reaches the edge of its patch, the mass may go on beyond it."""
    sentence = "R1-CC: the outline ends where the segmenter's patch does; the mass may be larger."
    assert described(mask).warnings == ("known before", sentence)


def test_an_outline_that_fills_the_middle_which_alone_is_read_says_so() -> None:
    """A network that answers for the middle of its patch cuts a mass off there, not at the patch's edge."""
    mask = replace(block(slice(10, 40), slice(15, 40)), reach=Box(90, 90, 130, 130))
    assert len(described(mask).warnings) == 2
    inside = replace(block(slice(15, 40), slice(15, 40)), reach=Box(90, 90, 130, 130))
    assert described(inside).warnings == ("known before",)


def test_an_outline_of_the_gland_gives_way_to_the_detector_s() -> None:
    """A mask of 40 by 46 mm, 61 mm long, is no mass: outline, long axis and area stay the detector's, with a remark."""
    mask = NativeMask(pixels=np.ones((230, 400), np.bool_), corner=(0, 0), reach=Box(0, 0, 400, 300))
    view = described(mask)
    assert view.findings == (finding(),)
    assert (view.findings[0].long_axis_mm, view.findings[0].outlined_by) == (9.0, Stage.DETECTOR)
    sentence = "R1-CC: the segmenter marked more than 60 mm; the outline is the detector's."
    assert view.warnings == ("known before", sentence)


def test_an_outline_that_leaves_its_box_by_far_gives_way_too() -> None:
    """A mask five times as large as the finding's box belongs to something else; one three times as large is kept."""
    wide, narrow = (
        NativeMask(pixels=np.ones((size, size), np.bool_), corner=(90, 90), reach=Box(80, 80, 200, 200))
        for size in (45, 34)
    )
    kept = described(narrow)
    assert kept.findings[0].outlined_by is Stage.SEGMENTER
    view = described(wide)
    assert view.findings[0].outlined_by is Stage.DETECTOR
    sentence = "R1-CC: the segmenter marked far more than its box; the outline is the detector's."
    assert view.warnings == ("known before", sentence)


def test_an_outline_that_is_a_speck_gives_way_too() -> None:
    """A mask that fills a hundredth of its box is no mass; one that fills a third is kept."""
    (kept,) = described(block(slice(22, 34), slice(22, 34))).findings
    assert kept.outlined_by is Stage.SEGMENTER
    view = described(block(slice(22, 24), slice(22, 24)))
    assert view.findings[0].outlined_by is Stage.DETECTOR
    sentence = "R1-CC: the segmenter marked next to nothing of its box; the outline is the detector's."
    assert view.warnings == ("known before", sentence)


def test_a_mass_that_is_outlined_in_two_boxes_is_outlined_once() -> None:
    """Where a segmenter marks one area in two boxes, the second finding keeps the detector's outline, with a remark."""
    view = described(block(slice(20, 40), slice(10, 40)), block(slice(20, 41), slice(10, 40)))
    assert [finding.outlined_by for finding in view.findings] == [Stage.SEGMENTER, Stage.DETECTOR]
    sentence = "R2-CC: the segmenter marked R1-CC in its box; the outline is the detector's."
    assert view.warnings == ("known before", sentence)


def test_the_edge_of_the_image_cuts_nothing_off() -> None:
    """A mask that ends with its image, as at the chest wall, is whole."""
    pixels = np.zeros((300, 130), np.bool_)
    pixels[200:300, 60:130] = True
    beside = NativeMask(pixels=pixels, corner=(0, 0), reach=Box(-20, -20, 130, 300))
    at_the_end = NativeMask(pixels=np.ones((100, 100), np.bool_), corner=(300, 200), reach=Box(290, 190, 400, 300))
    assert described(at_the_end, box=Box(310, 210, 390, 290)).warnings == ("known before",)
    assert len(described(beside, box=Box(70, 210, 120, 290)).warnings) == 2


def test_what_is_marked_beyond_the_breast_is_no_mass() -> None:
    """A mask that runs over the skin line is cut off at it, on the stored pixels whose centres lie in the breast."""
    breast = np.ones((150, 100), np.bool_)
    # Canonical column 72 is stored columns 108 to 111.
    breast[:, 72:] = False
    view = ViewFindings(view=View.R_CC, route=Route.SINGLE, nipple=None, findings=(finding(),), warnings=())
    mask = block(slice(20, 40), slice(10, 40))
    (only,) = outlined([view], {View.R_CC: Geometry(breast_mask=breast)}, [mask])
    assert Box.around(only.findings[0].outline) == Box(112, 100, 120, 120)
    (nothing,) = outlined([view], {View.R_CC: Geometry(breast_mask=breast & False)}, [mask])
    assert nothing.findings == view.findings
