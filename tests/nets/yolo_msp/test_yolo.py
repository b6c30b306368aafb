"""YOLOv3: anchors, cells, loss, the network, reading, training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from tetraview.domain.view import Route, View
from tetraview_nets.cli.main import app
from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.data import Draw
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS as MOMMI
from tetraview_nets.system import ViewInput
from tetraview_nets.weights import WeightsCard, WeightsInvalid, save
from tetraview_nets.yolo_msp import storage
from tetraview_nets.yolo_msp.anchors import k_means, mean_iou, shape_iou
from tetraview_nets.yolo_msp.cells import Lattice, decode, flatten
from tetraview_nets.yolo_msp.loss import targets, yolo_loss
from tetraview_nets.yolo_msp.network import YoloMsp, resized
from tetraview_nets.yolo_msp.presets import PRESETS, STRIDE, TINY
from tetraview_nets.yolo_msp.recipe import RECIPES
from tetraview_nets.yolo_msp.rules import AllSizes, OneSize
from tetraview_nets.yolo_msp.task import Material, YoloTask
from tetraview_nets.yolo_msp.training import with_nipple
from tetraview_nets.yolo_msp.windows import WindowShape, draw_window
from tetraview_nets.yolo_msp.yolo import YoloV3

#: Nine anchors from 8 to 72 pixels.
ANCHORS = tuple((8.0 * i, 8.0 * i) for i in range(1, 10))
#: An input of 64x32 pixels has 2x1, 4x2 and 8x4 cells.
SIZE = (64, 32)
LATTICE = Lattice.of(height=64, width=32, anchors=ANCHORS)


def test_shapes_overlap_on_one_corner() -> None:
    """A 2x4 and a 4x2 box share 4 of 12, whatever their places."""
    assert shape_iou(np.array([[2.0, 4.0]]), np.array([[4.0, 2.0]])) == pytest.approx(4 / 12)


def test_anchors_are_the_means_of_their_boxes() -> None:
    """Two groups of boxes far apart have their means as anchors, small to large."""
    sides = np.array([[10.0, 10], [12, 10], [40, 44], [44, 40]])
    assert k_means(sides, 2).tolist() == [[11, 10], [42, 42]]
    assert mean_iou(sides, k_means(sides, 4)) == 1


def test_small_boxes_get_anchors_of_their_own() -> None:
    """Overlap, not pixels, is the distance: large boxes do not take the anchors of small ones away."""
    small = np.repeat(np.array([[4.0, 4.0], [8.0, 8.0]]), 5, axis=0)
    large = np.array([[100.0, 100.0], [120.0, 120.0]])
    assert k_means(np.concatenate([small, large]), 3).tolist() == [[4, 4], [8, 8], [110, 110]]


def test_predictors_stand_in_one_row() -> None:
    """Coarse heads come first with the largest anchors; in a head anchors, rows and columns follow each other."""
    assert len(LATTICE.cell) == 3 * (2 + 8 + 32)
    assert LATTICE.anchor[0].tolist() == [56, 56]
    assert LATTICE.stride[0].item() == 32
    place = LATTICE.place(20.0, 43.0, anchor=1)
    assert place == 3 * 2 + 3 * 8 + 1 * 32 + 5 * 4 + 2
    assert (LATTICE.cell[place].tolist(), LATTICE.stride[place].item()) == ([2, 5], 8)
    assert LATTICE.anchor[place].tolist() == [16, 16]


def test_the_row_keeps_what_each_head_says() -> None:
    """Flattening puts the six figures of an anchor in a cell at that predictor's place."""
    maps = [torch.zeros(1, 18, 64 // stride, 32 // stride) for stride in (32, 16, 8)]
    maps[2][0, 6:12, 5, 2] = torch.arange(6.0) + 1
    raw = flatten(maps)
    assert raw.shape == (1, 126, 6)
    assert raw[0, LATTICE.place(20.0, 43.0, anchor=1)].tolist() == [1, 2, 3, 4, 5, 6]


def test_boxes_are_decoded_from_cell_and_anchor() -> None:
    """bx = (σ(tx) + cx)·s and bw = p·exp(tw), by hand: cell (2, 5) of stride 8, anchor 16."""
    raw = torch.zeros(1, 126, 6)
    place = LATTICE.place(20.0, 43.0, anchor=1)
    raw[0, place] = torch.tensor([0.0, np.log(3), np.log(2), 0.0, 0.0, np.log(3)])
    boxes, scores = decode(raw, LATTICE)
    assert boxes[0, place].tolist() == pytest.approx([20 - 16, 46 - 8, 20 + 16, 46 + 8])
    assert scores[0, place].item() == pytest.approx(0.5 * 0.75)


def test_the_predictor_of_best_shape_around_the_centre_is_responsible() -> None:
    """A 16x18 box centred at (20, 43) belongs to the 16-pixel anchor of cell (2, 5); its weight is 2 - w·h."""
    truth = [torch.zeros(0, 4), torch.tensor([[12.0, 34, 28, 52]])]
    found = targets(truth, LATTICE, anchors=ANCHORS, size=SIZE)
    assert (found.image.tolist(), found.place.tolist()) == ([1], [LATTICE.place(20.0, 43.0, anchor=1)])
    assert found.coordinates[0].tolist() == pytest.approx([0.5, 43 / 8 - 5, 0.0, np.log(18 / 16)])
    assert found.weight.item() == pytest.approx(2 - 16 * 18 / (64 * 32))


def test_the_loss_by_hand() -> None:
    """An undecided network on one 16x18 mass: squared errors of the coordinates, log 2 for each belief."""
    raw = torch.zeros(1, 126, 6)
    found = yolo_loss(raw, [torch.tensor([[12.0, 34, 28, 52]])], anchors=ANCHORS, size=SIZE)
    weight = 2 - 16 * 18 / (64 * 32)
    assert found["centre"].item() == pytest.approx(weight * (0.5 - 0.375) ** 2)
    assert found["sides"].item() == pytest.approx(weight * np.log(18 / 16) ** 2, rel=1e-4)
    assert found["class"].item() == pytest.approx(np.log(2))
    assert found["objectness"].item() == pytest.approx(126 * np.log(2), rel=1e-4)


def test_doubles_of_a_mass_are_neither_right_nor_wrong() -> None:
    """A predictor that is not responsible, but whose box overlaps the mass by more than .7, has no objectness loss."""
    raw = torch.zeros(1, 126, 6)
    raw[..., 4] = -20.0
    truth = [torch.tensor([[12.0, 34, 28, 52]])]
    double = LATTICE.place(20.0, 43.0, anchor=2)
    raw[0, double, 2:4] = float(np.log(16 / 24))
    raw[0, LATTICE.place(20.0, 43.0, anchor=1), 4] = 20.0
    before = yolo_loss(raw, truth, anchors=ANCHORS, size=SIZE)["objectness"]
    raw[0, double, 4] = 20.0
    assert yolo_loss(raw, truth, anchors=ANCHORS, size=SIZE)["objectness"].item() == pytest.approx(before.item())
    raw[0, double, 2:4] = float(np.log(3))
    assert yolo_loss(raw, truth, anchors=ANCHORS, size=SIZE)["objectness"].item() > 19


def test_an_image_without_masses_teaches_that_there_is_nothing() -> None:
    """Without a true box only objectness has a loss, and it is finite with a gradient."""
    raw = torch.zeros(2, 126, 6, requires_grad=True)
    found = yolo_loss(raw, [torch.zeros(0, 4)] * 2, anchors=ANCHORS, size=SIZE)
    assert [name for name, term in found.items() if term.item() > 0] == ["objectness"]
    torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_the_paper_preset_is_yolo_v3() -> None:
    """Darknet-53 with three heads has 61.5 million parameters within one per cent, and 52 convolutions before them."""
    with torch.device("meta"):
        network = YoloV3(PRESETS["paper"])
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(61.5e6, rel=0.01)
    assert sum(isinstance(m, torch.nn.Conv2d) for m in network.backbone.modules()) == 52


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_sizes_fit_strides_and_frame(preset: object) -> None:
    """Every input size is a multiple of 32 in both directions and of the frame's proportions."""
    frame = preset.frame  # type: ignore[attr-defined]
    assert frame.height == 2 * frame.width
    assert preset.reference in preset.sizes  # type: ignore[attr-defined]
    assert all(width % STRIDE == 0 for width in preset.sizes)  # type: ignore[attr-defined]
    assert set(preset.sizes) <= set(preset.training_sizes)  # type: ignore[attr-defined]


def test_anchors_stay_when_the_input_changes() -> None:
    """The same pixels at every input size, so that sizes look for masses of different millimetres."""
    small, large = (Lattice.of(height=2 * w, width=w, anchors=TINY.anchors) for w in TINY.sizes)
    assert {tuple(a) for a in small.anchor.tolist()} == {tuple(a) for a in large.anchor.tolist()}


def detector() -> YoloMsp:
    """An untrained detector that believes in every cell about as much as in no other."""
    torch.manual_seed(3)
    network = YoloMsp(TINY)
    with torch.no_grad():
        for head in network.yolo.heads:
            head.predict.weight *= 10  # type: ignore[union-attr, operator]
            head.predict.bias.zero_()  # type: ignore[union-attr, operator]
    return network.eval()


def exam(slots: Iterable[View] = View) -> list[ViewInput]:
    """Noise on half of the frame."""
    frame = TINY.frame
    mask = torch.zeros(frame.height, frame.width, dtype=torch.bool)
    mask[40:-40, : frame.width // 2] = True
    noise = {view: torch.rand(mask.shape, generator=torch.Generator().manual_seed(i)) for i, view in enumerate(View)}
    return [ViewInput(view=v, image=noise[v] * mask, breast_mask=mask, spacing_mm=0.9) for v in slots]


def test_a_reading_is_whole() -> None:
    """Each view has boxes, scores and outlines that belong together, best first, on the route single."""
    frame = TINY.frame
    found = detector().read(exam())
    assert sum(len(out.boxes) for out in found) > 0
    for view, out in zip(View, found, strict=True):
        assert (out.view, out.route) == (view, Route.SINGLE)
        assert len(out.boxes) == len(out.scores) == len(out.outlines) <= 20
        assert (out.scores.diff() <= 0).all()
        assert ((out.scores > 0) & (out.scores <= 1)).all()
        assert (out.boxes[:, 2:] > out.boxes[:, :2]).all()
        for box, outline in zip(out.boxes, out.outlines, strict=True):
            assert outline.shape[0] >= 4
            assert outline.amin(dim=0).tolist() == pytest.approx(box[:2].tolist(), abs=1e-3)
            assert outline.amax(dim=0).tolist() == pytest.approx(box[2:].tolist(), abs=1e-3)
        assert ((out.boxes >= 0) & (out.boxes <= torch.tensor([frame.width, frame.height] * 2))).all()
        assert out.fusion_map.shape == (frame.height, frame.width)
        assert all(line.startswith(f"{view}: ") for line in out.warnings)


def test_views_are_read_by_themselves() -> None:
    """The detections in a view do not depend on the views beside it."""
    network = detector()
    together = network.read(exam())
    for view, out in zip(exam(), together, strict=True):
        (alone,) = network.read([view])
        assert torch.allclose(alone.boxes, out.boxes)
        assert torch.allclose(alone.scores, out.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("views", "said"),
    [
        ([], "one to four"),
        (exam([View.R_CC, View.R_CC]), "one to four"),
        ([replace(exam()[0], image=torch.zeros(8, 8))], "the tiny preset reads 256x128"),
    ],
    ids=["none", "twice", "small"],
)
def test_what_is_no_exam_is_refused(views: list[ViewInput], said: str) -> None:
    """No view, a view twice or another frame raises an error that names the input which can be read."""
    with pytest.raises(ValueError, match=said):
        detector().read(views)


def test_an_image_keeps_its_proportions_when_resized() -> None:
    """A half-bright image stays half-bright at every size."""
    image = torch.zeros(1, 1, 256, 128)
    image[..., :64] = 1
    for width in (32, 64, 96):
        small = resized(image, width=width)
        assert small.shape == (1, 1, 2 * width, width)
        assert small.mean().item() == pytest.approx(0.5, abs=1e-3)


def test_rules_read_the_same_candidates() -> None:
    """One size gives that size's boxes, suppression over all sizes no two that overlap by more than .45."""
    (candidates,), _ = detector().look(exam()[0].image[None, None])
    boxes, scores = OneSize(size=1)(candidates)
    assert len(boxes) == len(scores) == (candidates.sizes == 1).sum()
    kept, _ = AllSizes()(candidates)
    assert 0 < len(kept) < len(candidates.boxes)


def test_the_input_size_changes_every_ten_steps() -> None:
    """Ten steps share a size, over a run every size is drawn; a window is never larger than the view."""
    schedule, device = RECIPES["tiny"].schedule, torch.device("cpu")
    task = YoloTask(Material(preset=PRESETS["slim"], exams=[], watched=[], schedule=schedule, device=device))
    sizes = [task.size(step) for step in range(600)]
    assert all(len(set(sizes[i : i + 10])) == 1 for i in range(0, 600, 10))
    assert set(sizes) == {64, 96, 128, 160, 192}
    for step in range(0, 600, 10):
        shape = task.shape(step)
        assert (shape.height, shape.width) == (128, min(task.size(step), 128))


def test_boxes_of_a_window_lie_on_its_masses() -> None:
    """In every drawn window, box and bright square of an exam coincide: shifted, turned upside down and scaled."""
    images, masks = np.full((4, 256, 128), 20, np.uint8), np.ones((4, 256, 128), np.uint8)
    images[:, 60:90, 20:60] = 220
    exam = CanonicalExam(
        seed=0,
        images=images,
        masks=masks,
        spacing_mm=np.full(4, 0.9, np.float32),
        nipples=np.zeros((4, 3), np.float32),
        boxes=np.tile(np.array([[20.0, 60, 60, 90]], np.float32), (4, 1)),
        box_views=np.arange(4),
        kinds=np.zeros(4, np.int64),
        labels=np.array(["m"] * 4),
    )
    draw, shape = Draw([exam]), WindowShape(height=64, width=64, factor=0.75)
    windows = [draw_window(draw, np.random.default_rng(i), shape) for i in range(40)]
    shown = [window for window in windows if len(window.boxes)]
    assert len(shown) > 20
    for window in shown:
        x0, y0, x1, y1 = window.boxes[0].round().int().tolist()
        bright = window.image > 0.5
        inside = bright[y0:y1, x0:x1].sum().item()
        assert inside >= 0.9 * (y1 - y0) * (x1 - x0)
        assert inside >= 0.9 * bright.sum().item()


@pytest.mark.parametrize("name", ["tiny", "slim", "fine"])
def test_presets_that_are_trained_here_read_the_frames_of_mommi(name: str) -> None:
    """The adopted nipple network sees the frame it was trained on, and detectors can be compared on one cache."""
    mommi = MOMMI[PRESETS[name].mommi]
    assert PRESETS[name].frame == mommi.frame
    assert PRESETS[name].nipple_backbone == mommi.nipple_backbone


def test_a_nipple_network_is_taken_over_whole(tmp_path: Path) -> None:
    """The detector finds nipples exactly as the weights it took the network from, and refuses another preset's."""
    mommi = MommiNet(MOMMI[TINY.mommi]).eval()
    card = WeightsCard(name="mommi", version="1", preset="tiny", generator_version="1")
    save(tmp_path / "mommi.safetensors", mommi, card)
    network = detector()
    assert with_nipple(network, tmp_path / "mommi.safetensors").version == "1"
    image = exam()[0].image[None, None]
    heat: Tensor = network.nipple(image)
    assert torch.allclose(heat, mommi.nipple(image), atol=1e-2)
    with pytest.raises(WeightsInvalid, match="of preset tiny, not slim"):
        with_nipple(YoloMsp(PRESETS["slim"]), tmp_path / "mommi.safetensors")


def run(*arguments: object) -> str:
    """A command of the detector's command line."""
    result = CliRunner().invoke(app, ["yolo_msp", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def study(trained: Path) -> Path:
    """The folder of the tiny trainings, with two trainings of this detector and the claims they were compared for."""
    seeds, places = ("--seed", 0, "--seed", 1), ("--out", trained / "yolo", "--cache-root", trained / "cache")
    run("study", "--preset", "tiny", "--exams", 8, "--control-exams", 8, *seeds, *places)
    return trained


def test_a_study_reports_every_contrast(study: Path) -> None:
    """A study leaves its claims with controls, and says which command makes them again."""
    text = (study / "yolo" / "claims.csv").read_text(encoding="utf-8")
    for name in ("λ=0.6 - λ=0", "λ=0 - λ=0.6", "λ=0.7 - λ=0", "λ=0.6 - one size", "λ=0.6 - all sizes suppressed"):
        assert name in text
    assert "lesions of one size" in text
    assert "false positives per normal image" in text
    assert "one size - nothing,default,False,average precision" in text
    assert "tetraview_nets yolo_msp study --exams 8 --control-exams 8 --seed 0 --seed 1 --out DIR" in text


def test_exported_weights_are_evaluated(study: Path) -> None:
    """Export writes a file with thresholds for every route, and evaluation prints the paper's table beside ours."""
    weights, mommi = study / "yolo" / "weights.safetensors", study / "out" / "weights.safetensors"
    out, places = study / "yolo", ("--cache-root", study / "cache", "--threads", 1)
    run("finish", "--preset", "tiny", "--out", out, "--weights-file", weights, "--mommi-weights", mommi, *places)
    _, card = storage.load(weights)
    assert all(set(thresholds) == set(Route) for thresholds in card.operating_points.values())
    assert card.training["nipple_network"].startswith("mommi ")
    run("evaluate", "--exams", 8, "--weights-file", weights, "--out", out, *places)
    text = (out / "yolo_msp_tiny.md").read_text(encoding="utf-8")
    assert "0.936@1.34" in text
    assert "**by image**" in text
    assert len((out / "yolo_msp_tiny.csv").read_text(encoding="utf-8").splitlines()) == 1 + 5


def test_nothing_is_learnt_about_what_is_ignored() -> None:
    """Predictors in ignored places cost nothing however sure they are; a mass in such a place still counts."""
    raw = torch.full((1, 3 * (2 * 2 + 4 * 4 + 8 * 8), 6), 4.0)
    given = {"anchors": PRESETS["slim"].anchors, "size": (64, 64)}
    everywhere = torch.ones(1, 64, 64, dtype=torch.bool)
    none, one = [torch.zeros(0, 4)], [torch.tensor([[20.0, 20, 40, 40]])]
    assert yolo_loss(raw, none, **given)["objectness"] > 100
    assert yolo_loss(raw, none, ignored=everywhere, **given)["objectness"] == 0
    assert yolo_loss(raw, one, ignored=everywhere, **given)["objectness"] > 0
