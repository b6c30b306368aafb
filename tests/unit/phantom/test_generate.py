from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from tetraview.domain.view import Laterality, View
from tetraview.phantom import (
    DEMO_SEED,
    HELD_OUT_STYLE,
    RECIPES,
    TEST_SEEDS,
    TRAIN_SEEDS,
    VALIDATION_SEEDS,
    ObjectKind,
    PhantomExam,
    PhantomObject,
    PhantomView,
    generate,
    style_of,
)
from tetraview.phantom.detector import STYLES, sample_processing

ROI = 112


@pytest.fixture(scope="module")
def exams() -> list[PhantomExam]:
    return [generate(seed) for seed in range(30)]


def _shown(view: PhantomView) -> np.ndarray:
    """Brighter is denser, chest wall at column 0."""
    pixels = view.pixels.astype(np.float64)
    if view.photometric_interpretation == "MONOCHROME1":
        pixels = 2**view.bits_stored - 1 - pixels
    return pixels[:, ::-1] if view.laterality is Laterality.RIGHT else pixels


def _slope(view: PhantomView) -> float:
    """Exponent of the radial power spectrum of the middle of the breast, from 0.05 to 0.5 cycles per millimetre."""
    shown, spacing = _shown(view), view.spacing_mm[0]
    depth = view.nipple[0] if view.laterality is Laterality.LEFT else view.pixels.shape[1] - view.nipple[0]
    top, left = int(view.nipple[1]) - ROI // 2, max(int(depth / 2) - ROI // 2, 0)
    roi = shown[top : top + ROI, left : left + ROI]
    window = np.hanning(ROI)
    power = np.abs(np.fft.fft2((roi - roi.mean()) * np.outer(window, window))) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(ROI, spacing), np.fft.fftfreq(ROI, spacing)))
    edges = np.geomspace(0.05, 0.5, 10)
    means = [power[(frequency >= low) & (frequency < high)].mean() for low, high in pairwise(edges)]
    return -float(np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(means), 1)[0])


def _contrast(view: PhantomView, found: PhantomObject) -> float:
    """Mean inside minus mean in a 3 mm ring, over the ring's standard deviation, in stored values."""
    shown = view.pixels.astype(np.float64) * (-1 if view.photometric_interpretation == "MONOCHROME1" else 1)
    reach = round(3 / view.spacing_mm[0])
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    ring = (cv2.dilate(found.mask.astype(np.uint8), disc) > 0) & ~found.mask
    return float((shown[found.mask].mean() - shown[ring].mean()) / shown[ring].std())


def test_a_seed_always_gives_the_same_exam() -> None:
    """Pixels and masks depend on nothing but version, recipe and seed."""
    first, second, other = generate(7), generate(7), generate(8)
    for view in View:
        assert np.array_equal(first.views[view].pixels, second.views[view].pixels)
        assert not np.array_equal(first.views[view].pixels, other.views[view].pixels)
        masks = zip(first.views[view].objects, second.views[view].objects, strict=True)
        assert all(np.array_equal(a.mask, b.mask) for a, b in masks)


def test_another_process_makes_the_same_exam() -> None:
    """Pixels and truth come out bit for bit from version, recipe and seed, whatever process makes them."""
    code = f"from {Path(__file__).stem} import digest; print(digest(7))"
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parent)}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout.strip() == digest(7)


def digest(seed: int) -> str:
    """SHA-256 of all pixels, masks and values of an exam."""
    found = hashlib.sha256()
    for view in generate(seed).views.values():
        found.update(view.pixels.tobytes())
        for each in view.objects:
            found.update(each.mask.tobytes())
            found.update(repr((each.kind, each.label, each.box, each.cnr, each.suspicion, each.birads)).encode())
    return found.hexdigest()


def test_sets_never_share_a_seed() -> None:
    """Training, validation, test and demonstration seeds are disjoint."""
    sets = [set(TRAIN_SEEDS), set(VALIDATION_SEEDS), set(TEST_SEEDS), {DEMO_SEED}]
    assert len(set.union(*sets)) == sum(map(len, sets))


def test_the_demonstration_exam_holds_a_malignant_mass() -> None:
    """The exam shown first has one malignant mass in both views of a breast, and mimics of it."""
    views = generate(DEMO_SEED).views.values()
    masses = [found for view in views for found in view.masses]
    assert [found.malignant for found in masses] == [True, True]
    assert {found.kind for view in views for found in view.objects} >= {ObjectKind.ISLAND, ObjectKind.DECOY}


def test_one_vendor_style_is_kept_from_training() -> None:
    """Training and validation seeds show all styles but one, which test seeds do show."""
    shown = {
        name: {style_of(seed) for seed in seeds[:200]}
        for name, seeds in {"train": TRAIN_SEEDS, "validation": VALIDATION_SEEDS, "test": TEST_SEEDS}.items()
    }
    assert shown["train"] == shown["validation"]
    assert shown["test"] == {style.name for style in STYLES}
    assert shown["test"] - shown["train"] == {HELD_OUT_STYLE}


def test_the_style_of_an_exam_is_known_without_rendering_it(exams: list[PhantomExam]) -> None:
    """The style derived from the seed is the one the exam was made in."""
    assert [style_of(exam.seed) for exam in exams] == [exam.style for exam in exams]


def test_tissue_follows_a_power_law(exams: list[PhantomExam]) -> None:
    """The mean exponent of the power spectrum lies in the range measured in mammograms, 2.3 to 3.3."""
    slopes = [_slope(exam.views[view]) for exam in exams for view in (View.R_CC, View.L_CC)]
    assert 2.3 < np.mean(slopes) < 3.3


def test_objects_are_as_visible_as_asked_for(exams: list[PhantomExam]) -> None:
    """The contrast-to-noise ratio in stored values follows the one asked for, as far as the vendor's curve lets it."""
    pairs = [
        (found.cnr, _contrast(view, found)) for exam in exams for view in exam.views.values() for found in view.objects
    ]
    asked, measured = np.array(pairs).T
    assert np.corrcoef(asked, measured)[0, 1] > 0.6
    assert abs(np.median(measured - asked)) < 0.15


def test_masks_lie_in_their_boxes_within_the_breast(exams: list[PhantomExam]) -> None:
    """A mask fills its box edge to edge, has the stated area and covers lit pixels."""
    for view in (view for exam in exams for view in exam.views.values()):
        for found in view.objects:
            rows, columns = np.nonzero(found.mask)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert box == (found.box.x0, found.box.y0, found.box.x1, found.box.y1)
            assert found.area_mm2 == pytest.approx(len(rows) * view.spacing_mm[0] * view.spacing_mm[1])
            assert (_shown(view) if view.laterality is Laterality.LEFT else _shown(view)[:, ::-1])[found.mask].min() > 0


def test_the_chest_wall_is_where_the_orientation_says(exams: list[PhantomExam]) -> None:
    """Rows that run towards anterior start bright and end in air; those towards posterior the other way round."""
    for view in (view for exam in exams for view in exam.views.values()):
        row = view.pixels[int(view.nipple[1])].astype(float)
        if view.photometric_interpretation == "MONOCHROME1":
            row = row.max() - row
        first, last = row[:20].mean(), row[-20:].mean()
        assert bool(first > last) is (view.patient_orientation[0] == "A")


def test_air_is_bright_in_an_inverted_image() -> None:
    """A MONOCHROME1 image stores air as its largest values."""
    inverted = next(seed for seed in range(1000) if sample_processing(seed).inverted)
    view = generate(inverted).views[View.L_CC]
    assert view.photometric_interpretation == "MONOCHROME1"
    assert view.pixels.max() > 0.9 * (2**view.bits_stored - 1)
    assert np.median(view.pixels[:, -40:]) == pytest.approx(view.pixels.max(), rel=0.02)


def test_a_finer_detector_shows_the_same_patient() -> None:
    """Objects and nipple keep their places in millimetres, and the images agree once averaged, at another spacing."""
    coarse, fine = generate(3), generate(3, recipe=RECIPES["fine"])
    for view in View:
        one, other = coarse.views[view], fine.views[view]
        assert np.allclose(np.multiply(one.nipple, 0.45), np.multiply(other.nipple, 0.225))
        for a, b in zip(one.objects, other.objects, strict=True):
            assert a.label == b.label
            assert np.allclose(np.multiply(a.box.centre, 0.45), np.multiply(b.box.centre, 0.225), atol=0.7)
            assert a.area_mm2 == pytest.approx(b.area_mm2, rel=0.06)
        shrunk = cv2.resize(other.pixels, one.pixels.shape[::-1], interpolation=cv2.INTER_AREA)
        assert np.corrcoef(shrunk.ravel(), one.pixels.ravel())[0, 1] > 0.98


def test_stored_values_fit_the_bits_stored() -> None:
    """No stored value needs more than Bits Stored, at 12 and at 14 bits."""
    for bits in (12, 14):
        for view in generate(5, recipe=replace(RECIPES["training"], name="bits", bits_stored=bits)).views.values():
            assert view.pixels.dtype == np.uint16
            assert 2 ** (bits - 1) < view.pixels.max() < 2**bits
