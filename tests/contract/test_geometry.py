"""A mass keeps its place from the pixels of an image to the outline that viewers draw."""

from __future__ import annotations

from pathlib import Path

import pytest

from tetraview.domain.delivery import ResultKind
from tetraview.phantom import PhantomExam

pytest.importorskip("torch")
from tests.bench import geometry
from tests.bench.geometry import STORAGES, Landed, Storage


@pytest.fixture(scope="module")
def phantom() -> PhantomExam:
    return geometry.phantom()


@pytest.fixture(params=STORAGES, ids=lambda storage: storage.name)
def storage(request: pytest.FixtureRequest) -> Storage:
    found: Storage = request.param
    return found


def report(landed: list[Landed]) -> str:
    return "\n".join(geometry.table(landed))


def test_the_outline_of_a_segmenter_lands_on_the_mass(phantom: PhantomExam, storage: Storage, tmp_path: Path) -> None:
    """However an image is stored, the error of a segmenter's outline is below a quarter of a pixel of the image.

    In Segmentation, report and presentation state alike; a shift of half a pixel would be seen.
    """
    landed = list(geometry.measure(phantom, storage, tmp_path, segmenter="unetpp_segmenter"))
    assert len(landed) == 12
    for found in landed:
        assert found.outliner == "brightness"
        assert found.error < 0.25, report(landed)
        assert abs(found.outwards) < 0.25, report(landed)
        assert found.dice > 0.99, report(landed)


def test_the_outline_of_a_detector_lands_on_the_mass(phantom: PhantomExam, storage: Storage, tmp_path: Path) -> None:
    """However an image is stored, the error of a detector's outline is below one pixel of its own grid of 0.45 mm.

    It is below one pixel of the image too, but its edge may lie further in: its grid is coarser than most images.
    """
    landed = list(geometry.measure(phantom, storage, tmp_path, segmenter="none"))
    assert {(found.view, found.kind) for found in landed} >= {(view, ResultKind.SEGMENTATION) for view in phantom.views}
    for found in landed:
        assert found.outliner == "mommi"
        assert found.error_mm < geometry.CANONICAL_MM / 3, report(landed)
        assert found.error < 1, report(landed)
        assert abs(found.outwards) * min(storage.spacing_mm) < geometry.CANONICAL_MM / 3, report(landed)
        assert found.dice > 0.98, report(landed)


def test_the_ways_of_storing_are_those_that_could_go_wrong() -> None:
    """The storages turn images every way, cut them, and reach from coarser than the networks' grid to below 0.08 mm."""
    for turned in ("mirrored", "upside_down", "transposed", "dark_on_white", "cut"):
        assert any(getattr(storage, turned) not in (False, (0, 0, 0)) for storage in STORAGES), turned
    spacings = [side for storage in STORAGES for side in storage.spacing_mm]
    assert min(spacings) < 0.08 < geometry.CANONICAL_MM < max(spacings)
    assert any(storage.spacing_mm[0] != storage.spacing_mm[1] for storage in STORAGES)
