"""The eight ways in which one image can be stored: mirrored, upside down and transposed, with the right header."""

from __future__ import annotations

from itertools import product

from tetraview.imaging.orientation import Orientation

EIGHT = tuple(
    Orientation(transposed=transposed, mirrored=mirrored, upside_down=upside_down)
    for transposed, mirrored, upside_down in product((False, True), repeat=3)
)


def opposite(direction: str) -> str:
    """The direction that a patient's axis runs in when the image is flipped along it."""
    return direction.translate(str.maketrans("APLRHF", "PARLFH"))


def directions_of(upright: tuple[str, str], storage: Orientation) -> tuple[str, str]:
    """Patient Orientation of an image so stored, from that of the upright one."""
    along, down = upright
    along = opposite(along) if storage.mirrored else along
    down = opposite(down) if storage.upside_down else down
    return (down, along) if storage.transposed else (along, down)
