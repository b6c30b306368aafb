"""Laws of the upright image: however an image is stored, the networks read the same, and their outlines come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.builders import a_finding
from tests.support.storages import EIGHT, directions_of

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.findings.mask import outline_of
from tetraview.imaging.canonical import CanonicalView, to_canonical
from tetraview.imaging.orientation import Orientation
from tetraview.imaging.patch import GreyWindow, upright_patches
from tetraview.imaging.upright import UprightImage, upright
from tetraview.reading.candidates import _native_mask
from tetraview.report.outline import paint

FRAME = Frame(height=256, width=128, spacing_mm=0.9)
SHAPE = PatchShape(size=48, margin=1.5, min_side_mm=25.0)
SLOW = settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An upright image of a lopsided breast with a bright mass that no turn or mirror image equals."""

    view: View
    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    #: The mass, upright pixels.
    box: Box

    def stored(self, storage: Orientation) -> Stored:
        """The image as a device might store it."""
        medial = "R" if self.view.laterality is Laterality.LEFT else "L"
        directions = "A", medial if self.view.position is ViewPosition.CC else "F" + medial
        pixels = storage.turned_back(self.pixels)
        return Stored(
            view=self.view,
            pixels=pixels,
            spacing_mm=self.spacing_mm[::-1] if storage.transposed else self.spacing_mm,
            patient_orientation=directions_of(directions, storage),
            box=storage.to_stored(pixels.shape).box(self.box),
        )


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The stored image and its mass."""

    view: View
    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    patient_orientation: tuple[str, str]
    #: In stored pixels.
    box: Box

    def upright(self) -> UprightImage:
        return upright(
            self.pixels,
            view=self.view,
            spacing_mm=self.spacing_mm,
            patient_orientation=self.patient_orientation,
        )

    def canonical(self) -> CanonicalView:
        return to_canonical(
            self.pixels,
            view=self.view,
            spacing_mm=self.spacing_mm,
            patient_orientation=self.patient_orientation,
            frame=FRAME,
        )

    def patch(self) -> NDArray[np.float32]:
        """The patch of the mass that a network reads, float32 [size, size]."""
        image = self.upright()
        window = GreyWindow.of_breast(image.pixels, image.breast_mask)
        (patch,) = upright_patches(image, boxes=[self.box], window=window, shape=SHAPE)
        return patch

    def painted(self) -> NDArray[np.bool_]:
        """The stored pixels within the outline of a network that marks the bright pixels of its patch."""
        finding = a_finding(self.view, box=self.box)
        outline = outline_of(_native_mask(self.patch(), 0.6, finding, self.canonical(), SHAPE), box=self.box)
        assert outline is not None
        painted = np.zeros(self.pixels.shape, np.uint8)
        paint(painted, outline, label=1)
        return painted.astype(np.bool_)


def scene(*, view: View, spacing_mm: tuple[float, float], at_mm: tuple[float, float], seed: int) -> Scene:
    """The scene with its mass at a depth from the chest wall and a distance from the top of a 200 by 110 mm field."""
    row_mm, column_mm = spacing_mm
    rows, columns = round(200 / row_mm), round(110 / column_mm)
    y, x = np.mgrid[:rows, :columns] + 0.5
    x, y = x * column_mm, y * row_mm
    breast = (x / 75) ** 2 + np.where(y < 80, (y - 80) / 60, (y - 80) / 95) ** 2 < 1
    noise = np.random.default_rng(seed).random((rows, columns))
    oval = 1.5 - np.hypot((x - at_mm[0]) / 9, (y - at_mm[1]) / 6)
    lobe = 1.5 - np.hypot(x - at_mm[0] - 6, y - at_mm[1] + 4) / 4
    mass = np.clip(np.maximum(oval, lobe), 0, 1)
    pixels = (300 + (700 + 150 * np.sin(x / 7) * np.sin(y / 5) + 20 * noise + 3000 * mass) * breast).astype(np.float32)
    box = Box((at_mm[0] - 9) / column_mm, (at_mm[1] - 6) / row_mm, (at_mm[0] + 9) / column_mm, (at_mm[1] + 6) / row_mm)
    return Scene(view=view, pixels=pixels, spacing_mm=spacing_mm, box=box)


scenes = st.builds(
    scene,
    view=st.sampled_from(View),
    spacing_mm=st.tuples(st.floats(0.3, 0.6), st.floats(0.3, 0.6)),
    at_mm=st.tuples(st.floats(10, 45), st.floats(60, 120)),
    seed=st.integers(0, 99),
)


@SLOW
@given(scene=scenes)
def test_what_networks_read_is_the_same_to_the_bit(scene: Scene) -> None:
    """Canonical image, breast and patch of all eight storages are equal, and so is the upright image."""
    first = scene.stored(Orientation())
    canonical, patch = first.canonical(), first.patch()
    for storage in EIGHT:
        stored = scene.stored(storage)
        image = stored.upright()
        assert (image.orientation, image.spacing_mm, image.warnings) == (storage, scene.spacing_mm, ())
        np.testing.assert_array_equal(image.pixels, scene.pixels)
        np.testing.assert_array_equal(stored.canonical().image, canonical.image)
        np.testing.assert_array_equal(stored.canonical().breast_mask, canonical.breast_mask)
        np.testing.assert_array_equal(stored.patch(), patch)


@SLOW
@given(scene=scenes)
def test_an_outline_comes_back_to_the_stored_pixels(scene: Scene) -> None:
    """The outline of all eight storages covers the same tissue: IoU above 0.99, and the mass is in it."""
    first = scene.stored(Orientation()).painted()
    assert first[round(scene.box.centre[1]), round(scene.box.centre[0])]
    for storage in EIGHT:
        found = storage.turned(scene.stored(storage).painted())
        assert (found & first).sum() > 0.99 * (found | first).sum()


@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 9)), storage=st.sampled_from(EIGHT))
def test_turning_is_undone_and_told_by_its_map(shape: tuple[int, int], storage: Orientation) -> None:
    """An image turned and turned back is unchanged, each pixel lies where the map says, and the map knows the turn."""
    stored = np.arange(shape[0] * shape[1]).reshape(shape)
    turned, to_stored = storage.turned(stored), storage.to_stored(shape)
    np.testing.assert_array_equal(storage.turned_back(turned), stored)
    for row, column in np.ndindex(turned.shape):
        x, y = to_stored((column + 0.5, row + 0.5))
        assert turned[row, column] == stored[int(y), int(x)]
    assert Orientation.of(to_stored) == storage
