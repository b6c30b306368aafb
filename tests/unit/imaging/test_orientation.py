"""Which way round an image is stored, by its header and by its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tetraview.domain.view import View
from tetraview.imaging.orientation import Orientation, seen_orientation, stated_orientation

ABSENT = "Patient Orientation is absent: the image was taken as upright."
MISFIT = "Patient Orientation does not fit the view: the image was taken as upright."
HEADER_WRONG = "The breast lies on the other side than Patient Orientation says: the pixels were believed."
LATERALITY_WRONG = "The breast lies on the other side than laterality says: the pixels were believed."


def stored_orientation(
    mask: NDArray[np.bool_], *, view: View, patient_orientation: tuple[str, str] | None
) -> tuple[Orientation, tuple[str, ...]]:
    """Orientation by header and pixels together of an image with this breast in the stored matrix."""
    stated, warnings = stated_orientation(view, patient_orientation)
    return seen_orientation(stated.turned(mask), stated=stated, warnings=warnings)


def breast_on(side: str) -> NDArray[np.bool_]:
    """A breast that meets one side of the image, or both."""
    mask = np.zeros((100, 80), np.bool_)
    mask[20:80, slice(0, 50) if side == "left" else slice(30, 80) if side == "right" else slice(None)] = True
    return mask


@pytest.mark.parametrize(
    ("view", "header", "expected"),
    [
        (View.L_CC, ("A", "R"), Orientation()),
        (View.L_CC, ("A", "L"), Orientation(upside_down=True)),
        (View.R_CC, ("P", "L"), Orientation(mirrored=True)),
        (View.R_CC, ("P", "R"), Orientation(mirrored=True, upside_down=True)),
        (View.R_CC, ("A", "L"), Orientation()),
        (View.L_MLO, ("A", "FR"), Orientation()),
        (View.L_MLO, ("A", "F"), Orientation()),
        (View.L_MLO, ("A", "R"), Orientation()),
        (View.L_MLO, ("A", "HL"), Orientation(upside_down=True)),
        (View.R_MLO, ("P", "FL"), Orientation(mirrored=True)),
        (View.R_MLO, ("PR", "LF"), Orientation(mirrored=True)),
    ],
)
def test_the_header_is_followed(view: View, header: tuple[str, str], expected: Orientation) -> None:
    """Patient Orientation names the directions in which columns and rows run (PS3.3 C.7.6.1.1.1)."""
    mask = breast_on("right" if expected.mirrored else "left")
    assert stored_orientation(mask, view=view, patient_orientation=header) == (expected, ())


@pytest.mark.parametrize(
    ("view", "header", "side", "expected"),
    [
        (View.L_CC, ("R", "A"), "left", Orientation(transposed=True)),
        (View.R_CC, ("R", "P"), "right", Orientation(transposed=True, mirrored=True, upside_down=True)),
        (View.R_MLO, ("F", "P"), "right", Orientation(transposed=True, mirrored=True)),
    ],
)
def test_a_quarter_turn_is_seen(view: View, header: tuple[str, str], side: str, expected: Orientation) -> None:
    """An image whose rows run along the chest wall is transposed first."""
    assert stored_orientation(breast_on(side).T, view=view, patient_orientation=header) == (expected, ())


@pytest.mark.parametrize("header", [None, ("", ""), ("A", "P"), ("H", "L"), ("AP", "R"), ("A", "X"), ("A", "F")])
def test_without_a_usable_header_the_usual_hanging_is_assumed(header: tuple[str, str] | None) -> None:
    """A header that is absent or cannot belong to the view leaves laterality to decide, and a warning."""
    warning = ABSENT if header is None else MISFIT
    left = stored_orientation(breast_on("left"), view=View.L_CC, patient_orientation=header)
    right = stored_orientation(breast_on("right"), view=View.R_CC, patient_orientation=header)
    assert left == (Orientation(), (warning,))
    assert right == (Orientation(mirrored=True), (warning,))


@pytest.mark.parametrize(("view", "header"), [(View.L_MLO, ("P", "FL")), (View.R_MLO, ("A", "FR"))])
def test_an_oblique_view_of_the_other_breast_is_not_taken_silently(view: View, header: tuple[str, str]) -> None:
    """Foot is medial in an MLO view, so a lateral direction there contradicts the laterality, and warnings say so."""
    mask = breast_on("right" if header[0] == "P" else "left")
    found = stored_orientation(mask, view=view, patient_orientation=header)
    assert found == (Orientation(mirrored=header[0] == "P"), (MISFIT, LATERALITY_WRONG))


def test_pixels_beat_the_header() -> None:
    """Where the breast plainly lies on the other side, the pixels win over the header, with a warning."""
    found = stored_orientation(breast_on("right"), view=View.L_CC, patient_orientation=("A", "L"))
    assert found == (Orientation(mirrored=True, upside_down=True), (HEADER_WRONG,))


def test_pixels_beat_laterality() -> None:
    """A left breast stored on the right without Patient Orientation is mirrored."""
    found = stored_orientation(breast_on("right"), view=View.L_CC, patient_orientation=None)
    assert found == (Orientation(mirrored=True), (ABSENT, LATERALITY_WRONG))


@pytest.mark.parametrize("header", [("A", "R"), ("P", "R")])
def test_undecided_pixels_leave_the_header_alone(header: tuple[str, str]) -> None:
    """A breast that fills the image from side to side cannot contradict the header."""
    found, warnings = stored_orientation(breast_on("both"), view=View.L_CC, patient_orientation=header)
    assert found.mirrored is (header[0] == "P")
    assert warnings == ()


@pytest.mark.parametrize(
    ("share", "header", "mirrored", "said"),
    [
        (3, ("A", "R"), False, "the header was kept"),
        (6, ("A", "R"), True, "the pixels were believed"),
        (3, None, True, "the pixels were believed"),
        (1, ("A", "R"), False, ""),
    ],
    ids=["in doubt", "certain", "no header", "even"],
)
def test_a_header_is_kept_in_doubt(share: int, header: tuple[str, str] | None, *, mirrored: bool, said: str) -> None:
    """Tissue at both edges overrules a usable header only where there is far more of it on the other side."""
    mask = np.zeros((120, 100), np.bool_)
    mask[:10, :50] = True
    mask[: 10 * share, 50:] = True
    found, warnings = stored_orientation(mask, view=View.L_CC, patient_orientation=header)
    assert found.mirrored is mirrored
    assert said in "".join(warnings)
    assert bool(warnings) is bool(said)
