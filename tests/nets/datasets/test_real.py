"""The benchmark on real mammograms: its counts, its comparisons, and the commands that make the page."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tetraview.domain.view import Route, ViewPosition
from tetraview_nets.cli.main import app
from tetraview_nets.datasets import folder as data_folder
from tetraview_nets.datasets.canonical import canonical_exams
from tetraview_nets.datasets.folder_lesions import folder_lesions
from tetraview_nets.learning.cache import IGNORED, VIEWS, CanonicalExam, Split
from tetraview_nets.learning.evaluate import Detections, image_result
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.metrics import Froc
from tetraview_nets.plain.presets import SLIM
from tetraview_nets.studies.real import malignancy, nipples, outlines, recall
from tetraview_nets.studies.real.command import RealPart, counts_of, detection_figures
from tetraview_nets.studies.real.figure import Figure, Group, shortened
from tetraview_nets.studies.real.misses import Cause, cause, missed_figures
from tetraview_nets.studies.real.reading import BlobReader, BoxReader, ViewReading, apex, ellipse, filled, read_all
from tetraview_nets.studies.real.routes import (
    ANY_VIEW,
    BOTH,
    BOTH_VIEWS,
    BY_ROUTE,
    FOUR,
    ROUTE_DIFFERENCE,
    TWO,
    route_figures,
    rows_of,
)
from tetraview_nets.studies.real.sheets import write_sheets
from tetraview_nets.studies.real.tables import route_table


class Oracle:
    """Finds every mass with certainty, and nothing else."""

    def read(self, exam: CanonicalExam, views: Sequence[int]) -> list[Detections]:
        """The truth."""
        boxes = [exam.boxes[exam.masses(view)].astype(float) for view in views]
        return [(each, np.full(len(each), 0.9)) for each in boxes]


@pytest.fixture
def folder(tmp_path: Path, drawing: Any, mass: Any) -> Path:
    """Four patients with two views of one breast each: masses of three sizes, one outlined, one ignored region."""
    rows: list[dict[str, Any]] = []
    masses = [mass(across=8, down=8), mass(across=15, down=14), mass(across=30, down=25), None]
    for patient, drawn_mass in enumerate(masses):
        drawn = drawing("L", [drawn_mass] if drawn_mass else [])
        for view in ("CC", "MLO"):
            name = f"{patient}{view}.png"
            cv2.imwrite(str(tmp_path / name), drawn.pixels)
            row = {"image": name, "patient": f"p{patient}", "laterality": "L", "view": view, "spacing_mm": 0.5}
            row |= {"split": "val" if patient else "train", "dataset": "SET", "spacing_known": "known"}
            row |= {"boxes": json.dumps([[int(c) for c in drawn.box()]] if drawn_mass else [])}
            row |= {"pathology": "MALIGNANT" if patient == 2 else "BENIGN" if drawn_mass else ""}
            row |= {"mask": "", "ignore": ""}
            if patient == 2:
                cv2.imwrite(str(tmp_path / "mask.png"), drawn.masks[0].astype(np.uint8) * 255)
                row["mask"] = "mask.png"
            if patient == 3:
                ignored = np.zeros(drawn.pixels.shape, dtype=np.uint8)
                ignored[150:250, 60:120] = 255
                cv2.imwrite(str(tmp_path / "ignore.png"), ignored)
                row["ignore"] = "ignore.png"
            rows.append(row)
    with (tmp_path / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    marks = ["image,x,y,in_profile", *(f"{patient}CC.png,199,200,yes" for patient in range(4))]
    (tmp_path / "nipples.csv").write_text("\n".join(marks) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def exams(folder: Path) -> list[CanonicalExam]:
    """Its exams."""
    return [exam for exam, _ in canonical_exams(data_folder.read(folder), frame=SLIM.frame) if exam is not None]


@pytest.fixture
def readings(exams: list[CanonicalExam]) -> list[ViewReading]:
    """The oracle's readings of the exams."""
    return read_all(BoxReader(Oracle()), exams)


def one(figures: Sequence[Figure], **wanted: str) -> Figure:
    """The only figure of some fields."""
    (found,) = [each for each in figures if all(getattr(each, name) == value for name, value in wanted.items())]
    return found


def test_marks_where_nothing_counts_are_no_false_positives(exams: list[CanonicalExam]) -> None:
    """A mark on an ignored region is dropped by its centre or area; a mark beside it counts, and a hit always does."""
    normal = exams[3]
    view = int(np.flatnonzero(normal.present)[0])
    rows, columns = np.nonzero(normal.masks[view] & IGNORED)
    y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    width, height = x1 - x0, y1 - y0
    boxes = np.array(
        [
            [x0, y0, x1, y1],
            [x0 - width, y0 - height, x1 + width, y1 + height],
            [x0 - 0.6 * width, y0, x0 + 0.4 * width, y1],
            [x0 - 0.8 * width, y0, x0 + 0.2 * width, y1],
        ],
        dtype=np.float64,
    )
    result = image_result(normal, view, (boxes, np.arange(4) / 4))
    assert result.scores.tolist() == [0.75]
    assert Froc.of([result]).false_scores.tolist() == [0.75]
    mass = exams[2]
    everywhere = replace(mass, masks=mass.masks | IGNORED)
    view = int(mass.box_views[0])
    found = mass.boxes[mass.masses(view)].astype(float), np.array([0.9])
    assert image_result(everywhere, view, found).scores.tolist() == [0.9]
    away = found[0] + 80, found[1]
    assert not len(image_result(everywhere, view, away).scores)


def test_views_that_are_not_there_are_not_counted(readings: list[ViewReading]) -> None:
    """Each exam has two of four views: eight images in all, none of them read twice."""
    counts = counts_of({"oracle": readings})
    assert {(str(group), each.patients, each.images, each.masses) for group, each in counts.items()} == {
        ("SET (digital)", 4, 8, 6)
    }


def test_an_oracle_has_all_and_the_blob_less(exams: list[CanonicalExam], readings: list[ViewReading]) -> None:
    """Recall is 1 at every rate and size for the truth; the plain row is what the others are compared with."""
    silent = [replace(each, boxes=np.zeros((0, 4)), scores=np.zeros(0), outlines=[]) for each in readings]
    figures = detection_figures({"oracle": readings, "plain": silent, "blob": read_all(BlobReader(), exams)}, {})
    for size, count in (("all sizes", 6), ("< 10 mm", 2), ("10-20 mm", 2), ("> 20 mm", 2)):
        found = one(figures, table=recall.BY_BOX, system="oracle", of=size, measure="at 0.25")
        assert (found.value, found.high, found.count) == (1, 1, count)  # few patients: some resamples hold no mass
    beside = one(figures, table=recall.DIFFERENCE, system="oracle", of="minus plain", measure="at 1")
    assert (beside.value, beside.low) == (1, 1)
    assert one(figures, table=recall.BY_BOX, system="plain", of="all sizes", measure="at 2").value == 0


def test_sizes_are_judged_at_one_threshold(readings: list[ViewReading]) -> None:
    """A false mark that outscores the small masses costs them alone, not the large ones."""
    changed = []
    for each in readings:
        small = len(each.scores) and recall.sizes_mm(each.exam, each.view)[0] < 10
        scores = np.full(len(each.scores), 0.4 if small else 0.9)
        boxes, outlines = each.boxes, each.outlines
        if not len(scores):
            boxes, scores, outlines = np.array([[1.0, 1, 9, 9]]), np.array([0.6]), [ellipse(np.array([1.0, 1, 9, 9]))]
        changed.append(replace(each, boxes=boxes, scores=scores, outlines=outlines))
    figures = recall.recall_figures("x", Group("SET", "digital"), changed)
    lost = one(figures, table=recall.BY_BOX, of="< 10 mm", measure="at 0.25")
    kept = one(figures, table=recall.BY_BOX, of="> 20 mm", measure="at 0.25")
    # Two false marks in eight images are a quarter an image, which is allowed: then the small ones are found as well.
    assert (lost.value, kept.value) == (1, 1)
    doubled = [replace(each, boxes=each.boxes.repeat(2, 0), scores=each.scores.repeat(2)) for each in changed[-2:]]
    more = [*changed[:-2], *(replace(each, outlines=each.outlines * 2) for each in doubled)]
    figures = recall.recall_figures("x", Group("SET", "digital"), more)
    assert one(figures, table=recall.BY_BOX, of="< 10 mm", measure="at 0.25").value == 0
    assert one(figures, table=recall.BY_BOX, of="> 20 mm", measure="at 0.25").value == 1


def test_the_papers_rule_counts_outlines(readings: list[ViewReading]) -> None:
    """Only images all of whose masses are outlined count; an outline that covers another part misses there."""
    outlined = [each for each in readings if each.outlined]
    assert len(outlined) == 4
    figures = recall.recall_figures("x", Group("SET", "digital"), readings)
    assert one(figures, table=recall.BY_OUTLINE, measure="at 1").count == 2
    assert one(figures, table=recall.BY_OUTLINE, measure="at 1").value == 1
    thin = [replace(each, outlines=[np.array([[0.0, 0], [4, 0], [4, 4]]) for _ in each.outlines]) for each in readings]
    figures = recall.recall_figures("x", Group("SET", "digital"), thin)
    assert one(figures, table=recall.BY_OUTLINE, measure="at 1").value == 0
    assert one(figures, table=recall.BY_BOX, of="all sizes", measure="at 1").value == 1


def test_the_second_view_is_counted_where_it_is(readings: list[ViewReading]) -> None:
    """A route's gain is measured on breasts with both views; masses found in one view alone are not found in both."""
    group = Group(data="SET", medium="digital")
    blind = [
        replace(each, boxes=each.boxes[:0], scores=each.scores[:0], outlines=[])
        if VIEWS[each.view].position is ViewPosition.MLO
        else each
        for each in readings
    ]
    routes = {"two": {route: readings if route is Route.IPSI else blind for route in Route}}
    rows = rows_of(TWO, routes, {"two": readings, "other": readings})
    assert list(rows) == ["two, single", "two, ipsi", "other"]
    assert not any(map(len, rows_of(FOUR, routes, {}).values()))
    figures = route_figures(group, TWO, rows)
    values = {(each.system, each.table, each.measure): each.value for each in figures}
    assert values["two, single", BY_ROUTE, "at 0.5"] == 0.5
    assert values["two, ipsi", BY_ROUTE, "at 0.5"] == 1.0
    assert values["two, ipsi", ROUTE_DIFFERENCE, "at 0.5"] == 0.5
    assert values["two, single", BOTH, ANY_VIEW] == values["two, ipsi", BOTH, BOTH_VIEWS] == 1.0
    assert values["two, single", BOTH, BOTH_VIEWS] == 0.0
    assert "| two, ipsi | 1.00 [1.00, 1.00] |" in "\n".join(route_table(figures, part=TWO))


def test_a_miss_has_a_cause(readings: list[ViewReading]) -> None:
    """Size comes first, then the edge; a mass that stands out in the middle of the breast has no excuse."""
    causes = [cause(reading, box) for reading in readings for box in reading.by_box().truth]
    assert causes == [Cause.SMALL, Cause.SMALL, *[Cause.NONE] * 4]
    large = readings[4]
    at_edge = replace(large, exam=replace(large.exam, masks=np.roll(large.exam.masks, 150, axis=1)))
    (box,) = large.by_box().truth
    assert cause(large, box) is Cause.NONE
    assert cause(at_edge, box) is Cause.EDGE
    flat = replace(large.exam, images=np.full_like(large.exam.images, 100))
    assert cause(replace(large, exam=flat), box) is Cause.FAINT
    silent = [replace(each, boxes=each.boxes[:0], scores=each.scores[:0], outlines=[]) for each in readings]
    figures = missed_figures("silent", Group(data="SET", medium="digital"), silent)
    assert {each.of: (each.count, each.value) for each in figures} == {"small": (2, 1.0), "none of these": (4, 1.0)}


def test_an_ellipse_fills_its_box() -> None:
    """The polygon drawn in a box covers π/4 of it, where the box is."""
    plane = filled(ellipse(np.array([10.0, 20, 50, 80])), (100, 60))
    assert plane.sum() == pytest.approx(np.pi / 4 * 40 * 60, rel=0.05)
    assert not plane[:20].any()
    assert plane[49, 11:48].all()


def test_nipples_are_measured_where_they_are_marked(exams: list[CanonicalExam], readings: list[ViewReading]) -> None:
    """The breast's foremost point lies on these marks; without confidence none is found, and unmarked views are out."""
    figures = nipples.nipple_figures("blob", Group("SET", "digital"), read_all(BlobReader(), exams))
    assert {each.of for each in figures} == {nipples.BOTH, "CC"}
    assert one(figures, of="CC", measure=nipples.FOUND).value == 1
    assert one(figures, of="CC", measure=nipples.FOUND).count == 4
    assert one(figures, of="CC", measure=nipples.MEDIAN).value < 2
    marked = [replace(each, nipple=(0.0, 0.0, 0.9 if i < 4 else 0.1)) for i, each in enumerate(readings)]
    figures = nipples.nipple_figures("x", Group("SET", "digital"), marked)
    assert one(figures, of="CC", measure=nipples.FOUND).value == 0.5
    assert one(figures, of="CC", measure=nipples.FAR).value == 1
    assert not nipples.nipple_figures("oracle", Group("SET", "digital"), readings)


def test_the_apex_is_the_foremost_point() -> None:
    """A breast that reaches furthest in its middle rows has its apex there; without a breast there is none."""
    breast = np.zeros((40, 20), dtype=np.bool_)
    breast[10:30, :8] = True
    breast[18:22, :12] = True
    assert apex(breast, spacing_mm=1.0) == (12.0, 20.0, 1.0)
    assert apex(np.zeros((4, 4), dtype=np.bool_), spacing_mm=1.0) is None


def test_a_folder_is_evaluated_by_one_command(folder: Path, tmp_path: Path) -> None:
    """Training, finishing and evaluating the plain network on a folder leave the page, its figures and sheets."""
    places = ["--data", str(folder), "--cache-root", str(tmp_path / "cache"), "--threads", "1", "--workers", "1"]
    out = tmp_path / "out"
    for command in ("train", "finish"):
        options = ["--preset", "tiny", "--mix", "SET=1", "--steps", "4", "--out", str(out)]
        result = CliRunner().invoke(app, ["plain", command, *places, *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    own = ["--weights", f"plain={out / 'weights.safetensors'}", "--system", "plain", "--system", "crunet_segmenter"]
    command = ["evaluate", *places, *own, "--system", "rescunet", "--split", "all", "--out", str(out)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    text = (out / "real.md").read_text(encoding="utf-8")
    assert "4 patients, 8 images, 6 masses" in text
    for row in ("| blob |", "| plain |", "inscribed ellipse", "all benign", "Ribli"):
        assert row in text
    assert "--split all" in text
    assert str(tmp_path) not in text
    with (out / "real.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tables = {row["table"] for row in rows}
    assert {recall.BY_BOX, recall.BY_OUTLINE, nipples.NIPPLE, outlines.DICE, malignancy.AUC} <= tables
    benign = [row for row in rows if row["system"] == malignancy.ALL_BENIGN]
    assert {row["value"] for row in benign} == {"0.5"}
    assert {(row["of"], row["count"]) for row in benign} == {("each view", "6"), ("mean of views", "3")}
    assert list((out / "sheets").glob("blob-SET-digital-*.jpg"))


def test_parts_hold_what_they_say(exams: list[CanonicalExam]) -> None:
    """The part val holds its own exams and all of a data set that nothing may learn from."""
    assert [RealPart.VALIDATION.holds(exam) for exam in exams] == [False, True, True, True]
    assert all(RealPart.VALIDATION.holds(replace(exam, source="INbreast")) for exam in exams)
    assert all(RealPart.ALL.holds(exam) for exam in exams)


def test_the_ellipse_is_the_floor_of_outlines(folder: Path, tmp_path: Path) -> None:
    """A mass that is an ellipse is outlined by the one in its true box, and less well by the one in a drawn box."""
    found = folder_lesions(folder, workers=1, root=tmp_path / "cache")
    masses = LesionSet(split=Split.TEST, lesions=tuple(found)).masses
    figures = outlines.outline_figures([], Group("SET", "digital"), masses)
    assert one(figures, of=outlines.TRUE).value > 0.97
    assert one(figures, of=outlines.DRAWN).value < 0.95
    assert one(figures, of=outlines.TRUE).count == 2


def test_sheets_show_hits_and_misses_apart(readings: list[ViewReading], tmp_path: Path) -> None:
    """Where every mass is hit there is no sheet of misses, and a picture of each view with a mass."""
    write_sheets(tmp_path / "sheets", {"oracle": readings})
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["oracle-SET-digital-hit.jpg"]
    rows, columns = SLIM.frame.height, SLIM.frame.width
    assert cv2.imread(str(tmp_path / "sheets" / "oracle-SET-digital-hit.jpg")).shape == (rows, 6 * columns, 3)


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, ".50"), (-0.07, "-.07"), (1.0, "1.00"), (12.345, "12.3"), (0.999, "1.00")]
)
def test_figures_are_printed_short(value: float, text: str) -> None:
    """Two decimals without the zero in front."""
    assert shortened(value) == text
