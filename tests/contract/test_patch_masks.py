"""Networks are judged on the same masks that the service makes of their answers."""

from __future__ import annotations

import numpy as np
import pytest

from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.imaging.patch import on_pixels

crops = pytest.importorskip("tetraview_nets.learning.crops")
lesions = pytest.importorskip("tetraview_nets.learning.lesions")


@pytest.mark.parametrize("box", [Box(20.3, 31.7, 44.1, 50.2), Box(-4.2, 60.9, 12.5, 79.6)], ids=["inside", "beyond"])
def test_probabilities_are_brought_back_alike_in_training_and_serving(box: Box) -> None:
    """A patch's probabilities on a lesion's tile are those on the stored pixels of an image, also beyond its edge."""
    shape = PatchShape(size=24, margin=1.5, min_side_mm=5.0)
    spacing_mm = (0.3, 0.2)
    probability = np.random.default_rng(0).random((24, 24)).astype(np.float32)
    tile = np.zeros((80, 90), np.uint8)
    lesion = lesions.Lesion(
        tile=tile,
        mask=tile > 0,
        box=box,
        spacing_mm=spacing_mm,
        seed=0,
        label="mass-1",
        suspicion=0.5,
        kind=0,
        birads=0,
        malignant=False,
        known=True,
    )
    values, (left, top) = on_pixels(probability, square=shape.square(box, spacing_mm=spacing_mm), shape=tile.shape)
    assert values.size > 100
    placed = np.zeros(tile.shape, np.float32)
    placed[top : top + values.shape[0], left : left + values.shape[1]] = values
    np.testing.assert_allclose(placed, crops.on_tile(probability, lesion, box, shape), atol=1e-6)
