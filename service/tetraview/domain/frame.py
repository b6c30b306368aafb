"""The canonical frame: the pixel matrix that a detector reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The canonical pixel matrix that a network reads."""

    #: Rows.
    height: int
    #: Columns.
    width: int
    #: Finest spacing, millimetres per pixel; coarser where the breast would not fit.
    spacing_mm: float
