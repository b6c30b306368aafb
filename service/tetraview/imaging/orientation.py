"""Which way round a mammogram is stored: what the header says, checked against the side that holds the breast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.view import Laterality, View, ViewPosition

#: Columns at each side that are compared, as a share of the width.
_EDGE_SHARE = 0.03
#: The pixels name a side when the breast fills that many times more of it than of the other.
_CLEAR_RATIO = 1.5


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How the stored matrix differs from chest wall on the left and lateral (CC) or axilla (MLO) up."""

    #: Stored rows run along the chest wall; applied first.
    transposed: bool = False
    #: The chest wall is on the right.
    mirrored: bool = False
    #: Medial (CC) or the foot's side (MLO) is up.
    upside_down: bool = False


def stored_orientation(
    mask: NDArray[np.bool_],
    *,
    view: View,
    patient_orientation: tuple[str, str] | None,
) -> tuple[Orientation, tuple[str, ...]]:
    """The orientation of the stored pixels, and what was odd about it.

    Patient Orientation (PS3.3 C.7.6.1.1.1) decides where it is usable, otherwise the usual hanging of the breast
    does: chest wall of the left breast on the left, of the right breast on the right, upright. The side that
    the breast touches overrules both on where the chest wall is.

    Args:
        mask: bool [rows, columns], the breast in the stored matrix, at any scale.
        view: which breast and projection the image shows.
        patient_orientation: Patient Orientation (0020,0020) of rows and columns, or None when absent.
    """
    stated = None if patient_orientation is None else _from_header(patient_orientation, view)
    warnings = []
    if stated is None:
        stated = Orientation(mirrored=view.laterality is Laterality.RIGHT)
        warnings.append(_unusable(patient_orientation))
    seen = _chest_wall_right(mask.T if stated.transposed else mask)
    if seen is None or seen is stated.mirrored:
        return stated, tuple(warnings)
    source = "laterality" if warnings else "Patient Orientation"
    warnings.append(f"The breast lies on the other side than {source} says: the pixels were believed.")
    return Orientation(transposed=stated.transposed, mirrored=seen, upside_down=stated.upside_down), tuple(warnings)


def _unusable(patient_orientation: tuple[str, str] | None) -> str:
    if patient_orientation is None:
        return "Patient Orientation is absent: the image was taken as upright."
    return "Patient Orientation does not fit the view: the image was taken as upright."


def _from_header(directions: tuple[str, str], view: View) -> Orientation | None:
    """The stated orientation, or None where the directions cannot belong to this view."""
    along_rows, along_columns = directions
    transposed = not _mentions(along_rows, "AP") and _mentions(along_columns, "AP")
    depth, height = (along_columns, along_rows) if transposed else (along_rows, along_columns)
    mirrored, upside_down = _sense(depth, ("A", "P")), _upside_down(height, view)
    if mirrored is None or upside_down is None:
        return None
    return Orientation(transposed=transposed, mirrored=mirrored, upside_down=upside_down)


def _mentions(direction: str, letters: str) -> bool:
    return direction[:1] in letters and direction != ""


def _sense(direction: str, letters: tuple[str, str]) -> bool | None:
    """False where the direction names the first letter, True for the second, None for neither or both."""
    first, second = (letter in direction for letter in letters)
    return None if first is second else second


def _upside_down(direction: str, view: View) -> bool | None:
    """Whether the axis from the top of a standard view (lateral, head) downwards (medial, foot) runs upwards.

    None where the direction does not tell, or tells of an oblique view of the other breast: its axilla is lateral.
    """
    medial, lateral = ("R", "L") if view.laterality is Laterality.LEFT else ("L", "R")
    across = _sense(direction, (medial, lateral))
    if view.position is ViewPosition.CC:
        return across
    along = _sense(direction, ("F", "H"))
    if along is None or across is None:
        return across if along is None else along
    return along if along is across else None


def _chest_wall_right(mask: NDArray[np.bool_]) -> bool | None:
    """Whether the breast meets the right edge rather than the left one; None where the pixels cannot tell."""
    edge = max(1, round(_EDGE_SHARE * mask.shape[1]))
    left, right = float(mask[:, :edge].mean()), float(mask[:, -edge:].mean())
    if max(left, right) < _CLEAR_RATIO * max(min(left, right), 1 / mask.shape[0]):
        return None
    return right > left
