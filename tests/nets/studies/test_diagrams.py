"""The block diagrams: every system has one, it follows its preset and it can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from tetraview_nets.crunet.presets import SLIM
from tetraview_nets.studies.diagrams.catalogue import DIAGRAMS, draw_all, presets_of
from tetraview_nets.studies.diagrams.outlines import crunet
from tetraview_nets.systems import DETECTORS, PATCH_SYSTEMS

SYSTEMS = (*DETECTORS, *PATCH_SYSTEMS)
#: The presets with the fewest and with the most digits.
DRAWN = [(name, preset) for name in SYSTEMS for preset in ("tiny", "paper")]


def test_every_system_has_a_diagram() -> None:
    """Every system that Triton serves can be drawn."""
    assert set(SYSTEMS) <= set(DIAGRAMS)


@pytest.mark.parametrize(("name", "preset"), DRAWN)
def test_every_preset_can_be_read(name: str, preset: str) -> None:
    """No text leaves its block, no block leaves the page, no two blocks overlap, and every arrow joins two blocks."""
    diagram = DIAGRAMS[name](presets_of(name)[preset])
    assert all(set(arrow.path) <= set(diagram.blocks) for arrow in diagram.arrows)
    figure = diagram.draw()
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    axes = figure.axes[0]
    boxes = [patch.get_window_extent(renderer) for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    texts = [text.get_window_extent(renderer) for text in axes.texts if text.get_gid() == "block"]
    assert len(boxes) == len(texts) == len(diagram.blocks)
    for box, text in zip(boxes, texts, strict=True):
        assert box.x0 < text.x0 < text.x1 < box.x1, text
        assert box.y0 < text.y0 < text.y1 < box.y1, text
        assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
        assert figure.bbox.y0 < box.y0 < box.y1 < figure.bbox.y1
    assert not [1 for i, box in enumerate(boxes) if any(box.overlaps(other) for other in boxes[:i])]
    assert figure.bbox.width == 900


def test_a_diagram_follows_its_preset() -> None:
    """Different channels give different words in the picture."""
    texts = {block.text for block in crunet(SLIM).blocks.values()}
    assert "layer 4\n128 × 5×5" in texts
    assert "random field\n7×7 neighbours\n10 passes" in texts


def test_all_pictures_are_small_files(tmp_path: Path) -> None:
    """One PNG a system, named like its Triton model, each under 100 kB."""
    paths = draw_all(tmp_path)
    assert {path.stem for path in paths} == set(SYSTEMS)
    assert all(path.stat().st_size < 100_000 for path in paths)
