"""The blob detector that is every network's floor."""

from __future__ import annotations

import numpy as np
import pytest

from tetraview_nets.learning import blob
from tetraview_nets.metrics import iou_matrix


def disc(*, radius_mm: float, spacing_mm: float) -> np.ndarray:
    """A bright disc around (60, 100) on a grey ramp: float32 [200, 120]."""
    rows, columns = np.mgrid[:200, :120] + 0.5
    inside = np.hypot(columns - 60, rows - 100) * spacing_mm < radius_mm
    return np.asarray(0.2 + columns / 1000 + 0.4 * inside, dtype=np.float32)


@pytest.mark.parametrize("radius_mm", [3.0, 6.5, 12.0])
def test_a_bright_disc_is_the_best_blob(radius_mm: float) -> None:
    """The highest score lies on a bright disc, with a box of about its size in millimetres."""
    image = disc(radius_mm=radius_mm, spacing_mm=0.5)
    boxes, scores = blob.detect(image, np.ones(image.shape, dtype=bool), spacing_mm=0.5)
    radius = radius_mm / 0.5
    assert iou_matrix(boxes[:1], np.array([[60 - radius, 100 - radius, 60 + radius, 100 + radius]]))[0, 0] > 0.5
    assert (np.diff(scores) <= 0).all()


def test_nothing_is_found_outside_the_breast() -> None:
    """A disc outside the breast mask is not a detection."""
    image = disc(radius_mm=6.0, spacing_mm=0.5)
    breast = np.zeros(image.shape, dtype=bool)
    breast[:60] = True
    boxes, _ = blob.detect(image, breast, spacing_mm=0.5)
    assert ((boxes[:, 1] + boxes[:, 3]) / 2 < 60).all()


def test_an_empty_breast_mask_gives_nothing() -> None:
    """An image without a breast has no detections and raises no warning."""
    boxes, scores = blob.detect(np.zeros((64, 32), np.float32), np.zeros((64, 32), dtype=bool), spacing_mm=0.5)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)
