"""The four pictures: where they hang, their outlines, sizes and grey levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.system

#: Grey level of a band near the top of the previews, and its place as shares of width and height.
GREY, BAND = 100, (0.5, 0.15)


def photograph(page: Page) -> NDArray[np.int64]:
    """A screenshot, int [rows, columns, 3], blue first."""
    picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.int64)


def squares(picture: NDArray[np.int64]) -> list[tuple[NDArray[np.float64], NDArray[np.int32]]]:
    """Middle and left, top, width and height of every large white spot."""
    white = (picture > 250).all(axis=2).astype(np.uint8)
    _, _, parts, middles = cv2.connectedComponentsWithStats(white)
    pairs = zip(middles[1:], parts[1:], strict=True)
    return [(middle, part[:4]) for middle, part in pairs if part[cv2.CC_STAT_AREA] > 1000]


@pytest.mark.parametrize("size", [(1400, 1000), (800, 1400)])
def test_outlines_enclose_what_they_outline(site: Site, size: tuple[int, int]) -> None:
    """On a wide and a narrow screen, each of the four white squares has its orange outline on its edge."""
    with site.visit(site.exam, size=size) as page:
        picture = photograph(page)
    found = squares(picture)
    assert len(found) == 4
    orange = picture[..., 2] - picture[..., 0] > 100
    for _, (left, top, width, height) in found:
        assert abs(width - height) <= 2
        around = orange[top - 3 : top + height + 3, left - 3 : left + width + 3]
        inside = orange[top + 4 : top + height - 4, left + 4 : left + width - 4]
        assert around.sum() >= 2 * (width + height) * 0.9
        assert not inside.any()


def test_chest_walls_meet(site: Site) -> None:
    """Right images end where left ones begin, so the same spot of both is one image's width apart."""
    with site.visit(site.exam) as page:
        centres = np.array([middle for middle, _ in squares(photograph(page))])
    across = np.ptp(centres[:, 0])
    down = np.ptp(centres[:, 1])
    assert across == pytest.approx(down * 4 / 5, abs=4)


def test_the_key_o_hides_and_shows_the_outlines(site: Site) -> None:
    """The key o takes outlines and labels away so that the bare image can be seen, and brings them back."""
    with site.visit(site.exam) as page:
        marks, button = page.locator(".marks").first, page.locator("#outlines")
        for shown in (True, False, True):
            assert marks.is_visible() == shown
            assert button.get_attribute("aria-pressed") == str(shown).lower()
            page.keyboard.press("o")


def test_keys_enlarge_one_view_and_bring_back_all(site: Site) -> None:
    """The keys 1 to 4 show one view alone at twice the size, its outline still in place; 0 shows all four again."""
    with site.visit(site.exam) as page:
        (_, (_, _, small, _)), *others = squares(photograph(page))
        assert len(others) == 3
        for number, view in enumerate(["R-CC", "L-CC", "R-MLO", "L-MLO"], start=1):
            page.keyboard.press(str(number))
            ((_, (_, _, large, _)),) = squares(photograph(page))
            assert large == pytest.approx(2 * small, abs=4)
            assert page.locator("figcaption:visible b").all_inner_texts() == [view]
        page.keyboard.press("0")
        assert len(squares(photograph(page))) == 4
        page.locator(".panel svg").first.dblclick(position={"x": 20, "y": 20})
        assert len(squares(photograph(page))) == 1


def greys(page: Page) -> list[int]:
    """The band's grey level on the screen in each view."""
    picture, levels = photograph(page), []
    for image in page.locator(".panel image").all():
        box = image.bounding_box()
        assert box is not None
        column, row = round(box["x"] + BAND[0] * box["width"]), round(box["y"] + BAND[1] * box["height"])
        assert np.ptp(picture[row, column]) <= 1
        levels.append(int(picture[row, column, 0]))
    return levels


def linear(level: int, *, centre: float, width: float) -> int:
    """A grey level after a LINEAR window, 0 to 255 (PS3.3 C.11.2.1.2.1)."""
    shown = ((level - (centre - 0.5)) / (width - 1) + 0.5) * 255
    return round(min(max(shown, 0), 255))


def test_dragging_changes_the_window_of_all_views(site: Site) -> None:
    """Drawing right widens the window, drawing down raises its centre, in every view by DICOM's formula; w resets."""
    with site.visit(site.exam) as page:
        said = page.locator("#grey")
        assert (said.inner_text(), greys(page)) == ("W 256 C 128", [GREY] * 4)
        page.mouse.move(300, 200)
        page.mouse.down()
        page.mouse.move(200, 180, steps=5)
        page.mouse.up()
        assert said.inner_text() == "W 156 C 108"
        expected = linear(GREY, centre=108, width=156)
        assert all(abs(level - expected) <= 2 for level in greys(page))
        page.keyboard.press("w")
        assert (said.inner_text(), greys(page)) == ("W 256 C 128", [GREY] * 4)


def test_keys_change_the_window(site: Site) -> None:
    """Shift and the arrows change the window as drawing does, within bounds."""
    with site.visit(site.exam) as page:
        for key in ("ArrowLeft", "ArrowLeft", "ArrowDown"):
            page.keyboard.press(f"Shift+{key}")
        assert page.locator("#grey").inner_text() == "W 240 C 136"
        for _ in range(40):
            page.keyboard.press("Shift+ArrowLeft")
        assert page.locator("#grey").inner_text() == "W 2 C 136"
        assert greys(page) == [0] * 4
