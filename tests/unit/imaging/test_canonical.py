"""The canonical frame on hand-made images and on real exams."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable
from tetraview.imaging.canonical import to_canonical
from tetraview.imaging.decode import DecodedView, DecodeLimits, decode_views
from tetraview.phantom.generate import generate

FRAME = Frame(height=768, width=384, spacing_mm=0.3)
needs_exams = pytest.mark.skipif("TETRAVIEW_EXAMS" not in os.environ, reason="needs TETRAVIEW_EXAMS")


def block(*, rows: slice, columns: slice) -> np.ndarray:
    """A textured rectangle of tissue on black."""
    image = np.zeros((400, 300), np.float32)
    image[rows, columns] = 1
    return image * (1 + np.random.default_rng(0).random(image.shape).astype(np.float32))


def test_the_crop_is_centred_and_its_chest_wall_at_zero() -> None:
    """A breast at 1 mm per pixel in a frame of the same spacing keeps its size, moves to x = 0 and to mid-height."""
    view = to_canonical(
        block(rows=np.s_[50:150], columns=np.s_[0:80]),
        view=View.L_CC,
        spacing_mm=(1.0, 1.0),
        patient_orientation=("A", "R"),
        frame=Frame(height=200, width=100, spacing_mm=1.0),
    )
    affine = view.canonical_to_native
    assert view.spacing_mm == 1.0
    assert (affine.a, affine.b, affine.d, affine.e) == (1, 0, 0, 1)
    assert affine((0, 100)) == pytest.approx((0, 100), abs=2)
    y, x = np.nonzero(view.breast_mask)
    assert (x.min(), y.min(), x.max(), y.max()) == pytest.approx((0, 50, 79, 149), abs=2)


def test_a_breast_too_large_for_the_frame_is_shown_coarser() -> None:
    """The spacing grows until the crop fits, and the crop then touches the frame's edge."""
    view = to_canonical(
        block(rows=np.s_[20:380], columns=np.s_[200:300]),
        view=View.R_MLO,
        spacing_mm=(0.5, 0.5),
        patient_orientation=("P", "FL"),
        frame=Frame(height=100, width=100, spacing_mm=0.1),
    )
    assert view.spacing_mm == pytest.approx((180 + 2 * 3) / 100, rel=0.02)
    assert view.canonical_to_native((0, 0))[0] == pytest.approx(300, abs=2)
    assert view.breast_mask[[3, -4], 5].all()


def test_an_image_without_a_breast_is_refused() -> None:
    """A blank image has no canonical frame."""
    with pytest.raises(ImageUnreadable, match="blank"):
        to_canonical(
            np.zeros((50, 50), np.float32),
            view=View.L_CC,
            spacing_mm=(1.0, 1.0),
            patient_orientation=None,
            frame=FRAME,
        )


@pytest.mark.parametrize("spacing_mm", [(0.000_45, 0.000_45), (4.5, 4.5), (45.0, 0.45)])
def test_a_breast_of_impossible_size_is_refused(spacing_mm: tuple[float, float]) -> None:
    """A pixel spacing that cannot be right costs the view, not every measurement in it."""
    phantom = generate(7).views[View.L_CC]
    with pytest.raises(ImageUnreadable, match=r"The breast would be .* mm high: the image's pixel spacing"):
        to_canonical(
            phantom.pixels.astype(np.float32),
            view=phantom.view,
            spacing_mm=spacing_mm,
            patient_orientation=phantom.patient_orientation,
            frame=FRAME,
        )


@pytest.mark.parametrize("seed", [7, 8])
def test_phantoms_are_outlined_whole(seed: int) -> None:
    """Every object and nipple of a coarse synthetic exam lies inside the breast mask, and the exam has no warning."""
    for phantom in generate(seed).views.values():
        white = phantom.photometric_interpretation == "MONOCHROME1"
        view = to_canonical(
            (-1 if white else 1) * phantom.pixels.astype(np.float32),
            view=phantom.view,
            spacing_mm=phantom.spacing_mm,
            patient_orientation=phantom.patient_orientation,
            frame=FRAME,
        )
        assert view.warnings == ()
        for point in (phantom.nipple, *(found.centre for found in phantom.objects)):
            x, y = view.canonical_to_native.inverse(point)
            assert view.breast_mask[int(y) - 3 : int(y) + 4, int(x) - 5 : int(x) + 4].any()


def exams() -> list[Path]:
    return sorted(path.parent for path in Path(os.environ.get("TETRAVIEW_EXAMS", "")).glob("*/truth.json"))


@cache
def decoded(exam: Path) -> dict[View, Any]:
    paths = {View(path.stem): path for path in sorted(exam.glob("*.dcm"))}
    return dict(decode_views(paths, frame=FRAME, limits=DecodeLimits()))


@needs_exams
@pytest.mark.parametrize("exam", exams(), ids=lambda path: path.name)
def test_real_views_hang_as_radiologists_hang_them(exam: Path) -> None:
    """Every view of a real exam decodes without a warning, meets x = 0 over its whole height and narrows from it."""
    views = decoded(exam)
    for view, found in views.items():
        assert isinstance(found, DecodedView), (view, found)
        mask = found.canonical.breast_mask
        height = int(mask.any(axis=1).sum())
        assert found.canonical.warnings == ()
        assert 0.1 < mask.mean() < 0.75
        assert mask[:, 0].sum() > 0.9 * height
        assert mask[:, mask.any(axis=0).nonzero()[0].max()].sum() < 0.2 * height


@needs_exams
@pytest.mark.parametrize("exam", exams(), ids=lambda path: path.name)
def test_the_axilla_is_up_in_real_oblique_views(exam: Path) -> None:
    """In MLO views the breast is deepest, at the nipple, in the lower half; the axilla takes the upper one."""
    for view, found in decoded(exam).items():
        if view.position != "MLO":
            continue
        mask = found.canonical.breast_mask
        rows = mask.any(axis=1).nonzero()[0]
        assert int(mask.sum(axis=1).argmax()) > (rows[0] + rows[-1]) / 2, view


@needs_exams
@pytest.mark.parametrize("exam", exams(), ids=lambda path: path.name)
def test_truth_lies_inside_the_breast(exam: Path) -> None:
    """The centre of each annotated region falls inside the breast mask, and its box comes back unchanged."""
    truth = json.loads((exam / "truth.json").read_text())["images"]
    for view, found in decoded(exam).items():
        affine = found.canonical.canonical_to_native
        for region in truth[view]["regions"]:
            native = Box(*region["bbox_xyxy"])
            canonical = affine.inverse.box(native)
            x, y = canonical.centre
            assert found.canonical.breast_mask[int(y), int(x)], view
            back = affine.box(canonical)
            assert (back.x0, back.y0, back.x1, back.y1) == pytest.approx(region["bbox_xyxy"], abs=1e-6)
