"""Laws of the canonical frame: it is the same for every way to store an image, and it can be undone exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.storages import opposite

from tetraview.domain.frame import Frame
from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.imaging.canonical import CanonicalView, to_canonical

FRAME = Frame(height=256, width=128, spacing_mm=0.9)
SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An image as an acquisition device might store it, and the truth about it."""

    view: View
    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    patient_orientation: tuple[str, str]
    #: x, y of the painted disc in stored pixels.
    disc: tuple[float, float]

    def canonical(self, *, orientation: tuple[str, str] | None) -> CanonicalView:
        return to_canonical(
            self.pixels,
            view=self.view,
            spacing_mm=self.spacing_mm,
            patient_orientation=orientation,
            frame=FRAME,
        )


def upright_directions(view: View) -> tuple[str, str]:
    """Patient Orientation of an image that hangs as the canonical frame does."""
    medial = "R" if view.laterality is Laterality.LEFT else "L"
    return "A", medial if view.position is ViewPosition.CC else "F" + medial


def scene(
    *,
    view: View,
    spacing_mm: tuple[float, float],
    disc_mm: tuple[float, float],
    mirrored: bool,
    upside_down: bool,
    transposed: bool = False,
) -> Stored:
    """A half ellipse of tissue, lopsided in y, with a bright disc, stored one way round.

    ``disc_mm`` is depth from the chest wall and distance from the top of the 200 by 110 mm field.
    """
    row_mm, column_mm = spacing_mm
    rows, columns = round(200 / row_mm), round(110 / column_mm)
    y, x = np.mgrid[:rows, :columns] + 0.5
    x, y = x * column_mm, y * row_mm
    breast = (x / 75) ** 2 + np.where(y < 80, (y - 80) / 60, (y - 80) / 95) ** 2 < 1
    pixels = (300 + 700 * breast + 150 * breast * np.sin(x / 7) * np.sin(y / 5)).astype(np.float32)
    distance = np.hypot(x - disc_mm[0], y - disc_mm[1])
    pixels += np.clip((6.5 - distance) / min(spacing_mm) + 0.5, 0, 1).astype(np.float32) * 3000
    point = disc_mm[0] / column_mm, disc_mm[1] / row_mm
    along, down = upright_directions(view)
    if mirrored:
        pixels, point, along = pixels[:, ::-1], (columns - point[0], point[1]), opposite(along)
    if upside_down:
        pixels, point, down = pixels[::-1], (point[0], rows - point[1]), opposite(down)
    if transposed:
        pixels, point, spacing_mm, (along, down) = pixels.T, point[::-1], spacing_mm[::-1], (down, along)
    return Stored(
        view=view,
        pixels=np.ascontiguousarray(pixels),
        spacing_mm=spacing_mm,
        patient_orientation=(along, down),
        disc=point,
    )


scenes = st.builds(
    scene,
    view=st.sampled_from(View),
    spacing_mm=st.tuples(st.floats(0.5, 1.1), st.floats(0.5, 1.1)),
    disc_mm=st.tuples(st.floats(10, 50), st.floats(60, 120)),
    mirrored=st.booleans(),
    upside_down=st.booleans(),
    transposed=st.booleans(),
)


def bright_centroid(image: NDArray[np.float32], *, disc: float) -> tuple[float, float]:
    """Centre of the pixels that are clearly brighter than tissue, in continuous pixels."""
    weight = np.clip(image - disc, 0, None)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())


@SLOW
@given(stored=scenes)
def test_a_disc_lands_where_the_affine_says(stored: Stored) -> None:
    """A disc painted in the stored pixels appears within half a pixel of where the affine map puts it."""
    view = stored.canonical(orientation=stored.patient_orientation)
    expected = view.canonical_to_native.inverse(stored.disc)
    assert bright_centroid(view.image, disc=0.6) == pytest.approx(expected, abs=0.5)


@SLOW
@given(stored=scenes)
def test_the_affine_and_its_inverse_cancel(stored: Stored) -> None:
    """Any stored point goes to the canonical frame and back within a millionth of a pixel."""
    affine = stored.canonical(orientation=stored.patient_orientation).canonical_to_native
    for point in (stored.disc, (0.0, 0.0), (float(stored.pixels.shape[1]), float(stored.pixels.shape[0]))):
        assert affine(affine.inverse(point)) == pytest.approx(point, abs=1e-6)


@SLOW
@given(stored=scenes)
def test_canonical_pixels_are_square_millimetres(stored: Stored) -> None:
    """One canonical pixel spans the view's spacing in millimetres along both axes, whatever the stored spacing."""
    view = stored.canonical(orientation=stored.patient_orientation)
    affine, (row_mm, column_mm) = view.canonical_to_native, stored.spacing_mm
    assert np.hypot(affine.a * column_mm, affine.d * row_mm) == pytest.approx(view.spacing_mm, rel=1e-9)
    assert np.hypot(affine.b * column_mm, affine.e * row_mm) == pytest.approx(view.spacing_mm, rel=1e-9)
    assert view.spacing_mm >= FRAME.spacing_mm


@SLOW
@given(
    view=st.sampled_from(View),
    spacing_mm=st.tuples(st.floats(0.5, 1.1), st.floats(0.5, 1.1)),
    disc_mm=st.tuples(st.floats(10, 50), st.floats(60, 120)),
    turn=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_storage_does_not_show(
    view: View,
    spacing_mm: tuple[float, float],
    disc_mm: tuple[float, float],
    turn: tuple[bool, bool, bool],
) -> None:
    """Flipped or transposed storage with the Patient Orientation that belongs to it gives the same canonical image."""
    common = {"view": view, "spacing_mm": spacing_mm, "disc_mm": disc_mm}
    mirrored, upside_down, transposed = turn
    plain = scene(**common, mirrored=False, upside_down=False)
    turned = scene(**common, mirrored=mirrored, upside_down=upside_down, transposed=transposed)
    expected = plain.canonical(orientation=plain.patient_orientation)
    found = turned.canonical(orientation=turned.patient_orientation)
    assert found.warnings == expected.warnings == ()
    np.testing.assert_allclose(found.image, expected.image, atol=2e-3)
    assert np.count_nonzero(found.breast_mask != expected.breast_mask) <= 4


@SLOW
@given(stored=scenes.filter(lambda stored: stored.patient_orientation[0][0] in "AP"))
def test_the_chest_wall_is_on_the_left_whatever_the_header_says(stored: Stored) -> None:
    """Where the header is silent or wrong about left and right, the breast still meets x = 0, and a warning says so."""
    along, down = stored.patient_orientation
    for header in (None, (opposite(along), down), ("", "")):
        view = stored.canonical(orientation=header)
        assert view.breast_mask[:, 0].sum() > view.breast_mask[:, -8:].sum()
        assert view.warnings


@SLOW
@given(stored=scenes)
def test_zero_outside_the_crop(stored: Stored) -> None:
    """Nothing but zero lies outside the breast's crop, greys stay in [0, 1], and the mask lies inside the crop."""
    view = stored.canonical(orientation=stored.patient_orientation)
    y, x = np.nonzero(view.breast_mask)
    margin = 3 / view.spacing_mm + 3
    outside = np.ones_like(view.breast_mask)
    outside[max(int(y.min() - margin), 0) : int(y.max() + margin) + 1, : int(x.max() + margin) + 1] = False
    assert not view.image[outside].any()
    assert view.image.min() == 0
    assert view.image.max() <= 1
    assert view.image.dtype == np.float32
