"""Anybody's mammograms from one folder: its spreadsheet, and the fate of everything that the spreadsheet omits."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tetraview.domain.view import View
from tetraview_nets.datasets import folder as data_folder
from tetraview_nets.datasets.canonical import canonical_exams
from tetraview_nets.datasets.folder_exams import folder_exams, left_out
from tetraview_nets.datasets.material import DataRequest, exam_material, lesion_material
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning.cache import BREAST, IGNORED, MASS, VIEWS, CacheKey, CanonicalExam, Split
from tetraview_nets.mommi.presets import PRESETS

FRAME = PRESETS["slim"].frame
L_CC, R_CC, L_MLO = (VIEWS.index(view) for view in (View.L_CC, View.R_CC, View.L_MLO))

Row = dict[str, Any]


class Folder:
    """A folder that a test fills."""

    def __init__(self, root: Path, drawing: Any) -> None:
        self.root, self.drawing = root, drawing
        self.rows: list[Row] = []

    def add(self, name: str, drawn: Any, *, mirrored: bool = False, **row: Any) -> Row:
        """Write an image and its row."""
        pixels = drawn.pixels[:, ::-1] if mirrored else drawn.pixels
        cv2.imwrite(str(self.root / name), pixels)
        side, view = row.pop("slot", "L-CC").split("-")
        self.rows.append(
            {
                "image": name,
                "patient": "p1",
                "laterality": side,
                "view": view,
                "spacing_mm": 0.5,
                "split": "train",
                "boxes": "[]",
            }
            | row
        )
        return self.rows[-1]

    def plane(self, name: str, inside: Any) -> str:
        """Write a mask."""
        cv2.imwrite(str(self.root / name), inside.astype(np.uint8) * 255)
        return name

    def write(self) -> Path:
        """Write the spreadsheet."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with (self.root / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        return self.root

    def exams(self) -> list[CanonicalExam]:
        """All exams that can be used."""
        found = canonical_exams(data_folder.read(self.write()), frame=FRAME)
        return [exam for exam, _ in found if exam is not None]

    def reasons(self) -> dict[str, str]:
        """The images left out, each with its reason."""
        return {each.where: each.reason for each in data_folder.read(self.write()).skipped}


@pytest.fixture
def folder(tmp_path: Path, drawing: Any) -> Folder:
    """An empty folder."""
    return Folder(tmp_path, drawing)


def boxes(*drawn: Any) -> str:
    """The column of boxes of the masses of one drawing."""
    return json.dumps([[int(corner) for corner in each.box(mass)] for each in drawn for mass in range(len(each.masks))])


def test_an_exam_holds_the_views_that_are_there(folder: Folder, mass: Any, seen: Callable[..., None]) -> None:
    """Two of four views make an exam with two present views, whose boxes lie on the visible masses."""
    left, right = folder.drawing("L", [mass()]), folder.drawing("R")
    folder.add("l.png", left, boxes=boxes(left), dataset="SET")
    folder.add("r.png", right, slot="R-CC", dataset="SET")
    (exam,) = folder.exams()
    assert np.flatnonzero(exam.present).tolist() == sorted([L_CC, R_CC])
    assert (exam.source, exam.part) == ("SET", "train")
    assert not exam.images[L_MLO].any()
    assert not exam.film.any()
    seen(exam, L_CC, masses=1)
    assert not len(exam.masses(R_CC))


def test_films_are_turned_by_what_is_seen(folder: Folder, mass: Any) -> None:
    """A film of a left breast that was scanned the other way round becomes the same view; a digital image does not."""
    drawn = folder.drawing("L", [mass()])
    x0, y0, x1, y1 = (int(corner) for corner in drawn.box())
    width = drawn.pixels.shape[1]
    mirrored = json.dumps([[width - x1, y0, width - x0, y1]])
    folder.add("a.png", drawn, boxes=boxes(drawn), medium="film", chest_wall="left", patient="a")
    folder.add("b.png", drawn, mirrored=True, boxes=mirrored, medium="film", chest_wall="right", patient="b")
    folder.add("c.png", drawn, boxes=boxes(drawn), medium="digital", chest_wall="right", patient="c")
    straight, turned, digital = folder.exams()
    assert straight.film[L_CC]
    assert np.array_equal(straight.images, turned.images)
    assert np.allclose(straight.boxes, turned.boxes)
    assert np.array_equal(straight.images, digital.images)


def test_a_mask_outlines_the_box_that_it_fills(folder: Folder, mass: Any) -> None:
    """A mass with a mask is its outline, one without is its box, and a mask of something else is no outline."""
    drawn = folder.drawing("L", [mass(x=80, y=120), mass(x=90, y=250)])
    stray = np.zeros_like(drawn.masks[0])
    stray[250:254, 85:95] = True
    folder.add("a.png", drawn, boxes=boxes(drawn), mask=folder.plane("a.mask.png", drawn.masks[0] | stray))
    exam = folder.exams()[0]
    lesions = data_folder.read(folder.write()).exams[0].views[0].lesions
    assert [lesion.outlined for lesion in lesions] == [True, False]
    filled = []
    for box in exam.boxes:
        x0, y0, x1, y1 = np.rint(box).astype(int)
        filled.append(float(((exam.masks[L_CC, y0:y1, x0:x1] & MASS) > 0).mean()))
    assert filled == [pytest.approx(np.pi / 4, abs=0.05), pytest.approx(1, abs=0.05)]


def test_what_counts_neither_way_is_kept_apart(folder: Folder, mass: Any) -> None:
    """The mask of the column ``ignore`` becomes ignored pixels and no mass."""
    drawn = folder.drawing("L", [mass()])
    folder.add("a.png", drawn, ignore=folder.plane("a.ignore.png", drawn.masks[0]))
    (exam,) = folder.exams()
    ignored = (exam.masks[L_CC] & IGNORED) > 0
    assert ignored[exam.images[L_CC] > 128].mean() > 0.9
    assert not ((exam.masks[L_CC] & MASS) > 0).any()
    assert ((exam.masks[L_CC] & BREAST) > 0)[ignored].all()
    assert not len(exam.boxes)


def test_a_nipple_is_known_where_somebody_was_sure(folder: Folder) -> None:
    """Marks in profile or not are known, an unsure mark and none are unknown; the point moves with the image."""
    for name, patient in (("a.png", "a"), ("b.png", "b"), ("c.png", "c"), ("d.png", "d")):
        folder.add(name, folder.drawing("L"), patient=patient)
    marks = "image,x,y,in_profile\na.png,198,200,yes\nb.png,150,180,no\nc.png,198,200,unsure\n"
    (folder.root / "nipples.csv").write_text(marks, encoding="utf-8")
    exams = folder.exams()
    assert [bool(exam.nipple_known[L_CC]) for exam in exams] == [True, True, False, False]
    assert exams[0].nipples[L_CC, 2] == 1
    scale = 0.5 / exams[0].spacing_mm[L_CC]
    moved = exams[0].nipples[L_CC, :2] - exams[1].nipples[L_CC, :2]
    assert moved.tolist() == pytest.approx([48 * scale, 20 * scale], abs=0.1)
    assert not exams[3].nipples[L_CC].any()


def test_a_mass_that_nobody_placed_makes_an_image_unusable(folder: Folder, mass: Any) -> None:
    """Such an image is neither a positive nor a normal one, so it is left out by name."""
    drawn = folder.drawing("L", [mass()])
    folder.add("a.png", drawn, kind="mass")
    folder.add("b.png", folder.drawing("R"), kind="normal", slot="R-CC")
    assert "nobody placed" in folder.reasons()["a.png"]
    assert folder.exams()[0].present.sum() == 1


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("boxes", "[[1, 2, 3"),
        ("boxes", "[[1, 2, 3]]"),
        ("boxes", '{"x": 1}'),
        ("boxes", '[["a", 0, 1, 1]]'),
        ("polygons", "[[1, 2], [3]]"),
        ("polygons", "7"),
    ],
)
def test_a_column_that_is_no_list_is_named(folder: Folder, column: str, text: str) -> None:
    """A row whose boxes or polygons cannot be read is left out, and the reason names the column."""
    folder.add("a.png", folder.drawing("L"), **{column: text})
    folder.add("b.png", folder.drawing("L"), patient="other")
    reasons = folder.reasons()
    assert list(reasons) == ["a.png"]
    assert column in reasons["a.png"]


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("spacing_mm", "0.362 mm", "spacing_mm says '0.362 mm'"),
        ("spacing_mm", "-1", "spacing_mm says '-1'"),
        ("split", "valid", "split says 'valid'"),
        ("kind", "unknown", "Nobody said"),
        ("boxes", "", "Nobody said"),
    ],
)
def test_what_a_row_does_not_say_well_leaves_it_out(folder: Folder, column: str, text: str, said: str) -> None:
    """An invalid number, an unknown part and an image that nobody described are reported by name."""
    folder.add("a.png", folder.drawing("L"), **{column: text})
    folder.add("b.png", folder.drawing("L"), patient="other")
    reasons = folder.reasons()
    assert list(reasons) == ["a.png"]
    assert said in reasons["a.png"]


def test_data_sets_stay_apart_whatever_their_names_of_exams_and_patients(folder: Folder) -> None:
    """Patient and exam 1 of one data set differ from those of another, in either order of the rows."""
    for name, dataset, slot in (("a.png", "ONE", "L-CC"), ("b.png", "TWO+", "L-MLO"), ("c.png", "ONE", "L-MLO")):
        folder.add(name, folder.drawing("L"), dataset=dataset, slot=slot, patient="p+5", exam="1")
    for _ in range(2):
        exams = data_folder.read(folder.write()).exams
        assert {exam.source: sorted(view.name for view in exam.views) for exam in exams} == {
            "ONE": ["a.png", "c.png"],
            "TWO+": ["b.png"],
        }
        assert len({exam.patient for exam in exams}) == 2
        folder.rows.reverse()


def test_a_patient_in_two_parts_is_refused(folder: Folder) -> None:
    """Choices made on one part must not rest on patients of another."""
    folder.add("a.png", folder.drawing("L"), patient="x")
    folder.add("b.png", folder.drawing("L"), patient="x", split="val", exam="2")
    with pytest.raises(DatasetUnusable, match=r"patient \S+ x is in train and val"):
        data_folder.read(folder.write())


def test_a_mask_alone_tells_masses(folder: Folder, mass: Any, seen: Callable[..., None]) -> None:
    """Each piece of a mask without boxes is a mass; a polygon and the box around it are one."""
    drawn = folder.drawing("L", [mass(x=80, y=120), mass(x=90, y=250)])
    folder.add("a.png", drawn, boxes="", mask=folder.plane("a.mask.png", drawn.masks[0] | drawn.masks[1]), patient="a")
    one = folder.drawing("L", [mass()])
    outline = json.dumps([[[x + 0.5, y + 0.5] for x, y in one.outline()]])
    folder.add("b.png", one, boxes=boxes(one), polygons=outline, patient="b")
    both, single = folder.exams()
    seen(both, L_CC, masses=2)
    seen(single, L_CC, masses=1)


def test_columns_and_marks_that_cannot_be_read_are_named(folder: Folder) -> None:
    """A misspelt column, a manifest without rows and a nipple that is no point are each reported in a sentence."""
    folder.add("a.png", folder.drawing("L"), boxs="[]")
    del folder.rows[0]["boxes"]
    with pytest.raises(DatasetUnusable, match="column 'boxs', which is not read: is it 'boxes'"):
        data_folder.read(folder.write())
    folder.rows[0]["boxes"] = folder.rows[0].pop("boxs")
    for marks, said in (("a.png,1o,20,yes", "image a.png: x and y"), ("a.png,,,no", "")):
        (folder.root / "nipples.csv").write_text(f"image,x,y,in_profile\n{marks}\n", encoding="utf-8")
        if said:
            with pytest.raises(DatasetUnusable, match=said):
                data_folder.read(folder.write())
        else:
            assert data_folder.read(folder.write()).exams[0].views[0].nipple is None
    (folder.root / "manifest.csv").write_text("image,patient,laterality,view\n", encoding="utf-8")
    with pytest.raises(DatasetUnusable, match="has no rows"):
        data_folder.read(folder.root)


def test_what_is_missing_is_said(folder: Folder) -> None:
    """A missing image and an invalid view are left out by name, and the rest is read."""
    folder.add("a.png", folder.drawing("L"))
    folder.add("b.png", folder.drawing("L"), slot="L-XCCL")
    folder.add("c.png", folder.drawing("R"), slot="R-CC")
    (folder.root / "c.png").unlink()
    reasons = folder.reasons()
    assert "no standard view" in reasons["b.png"]
    assert "missing" in reasons["c.png"]


def test_a_folder_needs_its_spreadsheet_and_four_columns(folder: Folder) -> None:
    """Without a manifest, or without one of its columns, the folder is refused in a sentence."""
    with pytest.raises(DatasetUnusable, match=r"holds no manifest\.csv"):
        data_folder.read(folder.root)
    (folder.root / "manifest.csv").write_text("image,patient,view\n", encoding="utf-8")
    with pytest.raises(DatasetUnusable, match="no column laterality"):
        data_folder.read(folder.root)


def test_what_is_not_said_is_unknown(folder: Folder) -> None:
    """Spacing counts as measured only where the column begins so; an image without any is as high as a film."""
    folder.add("a.png", folder.drawing("L"), spacing_known="known (header)", patient="a")
    folder.add("b.png", folder.drawing("L"), spacing_known="estimated", patient="b")
    folder.add("c.png", folder.drawing("L"), spacing_mm="", split="", patient="c")
    known, estimated, silent = folder.exams()
    assert [bool(exam.spacing_known[L_CC]) for exam in (known, estimated, silent)] == [True, False, False]
    assert known.source == folder.root.name
    assert silent.part == ""
    breasts = [((exam.masks[L_CC] & BREAST) > 0).sum() * exam.spacing_mm[L_CC] ** 2 for exam in (known, silent)]
    rows = folder.drawing("L").pixels.shape[0]
    assert breasts[1] / breasts[0] == pytest.approx((data_folder.ASSUMED_HEIGHT_MM / rows / 0.5) ** 2, rel=0.05)


def test_polygons_are_outlines(folder: Folder, mass: Any, seen: Callable[..., None]) -> None:
    """A polygon of the spreadsheet becomes the mass's outline and its bounds the box."""
    drawn = folder.drawing("L", [mass()])
    outline = [[x + 0.5, y + 0.5] for x, y in drawn.outline()]
    folder.add("a.png", drawn, polygons=json.dumps([outline]))
    (exam,) = folder.exams()
    seen(exam, L_CC, masses=1)


def test_exams_are_kept_until_a_file_changes(
    folder: Folder, mass: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second reading takes the exams from the cache; where pixels change they are read anew."""
    drawn, root = folder.drawing("L", [mass()]), tmp_path / "cache"
    folder.add("a.png", drawn, boxes=boxes(drawn))
    folder.add("b.png", drawn, boxes="", patient="p2")
    source = tmp_path / "source"
    source.mkdir()
    folder.write()
    for path in tmp_path.iterdir():
        if path.is_file():
            path.rename(source / path.name)
    first = folder_exams(source, FRAME, workers=1, root=root)
    with monkeypatch.context() as patched:
        patched.setattr("tetraview_nets.datasets.folder_exams._render", None)
        again = folder_exams(source, FRAME, workers=1, root=root)
    assert np.array_equal(first[0].images, again[0].images)
    assert np.array_equal(first[0].boxes, again[0].boxes)
    assert again[0].source == "source"
    assert [each.where for each in left_out(source, FRAME, root=root)] == ["b.png"]
    cv2.imwrite(str(source / "a.png"), np.zeros_like(drawn.pixels))
    assert not folder_exams(source, FRAME, workers=1, root=root)
    assert [each.where for each in left_out(source, FRAME, root=root)] == ["b.png", "a.png"]


@pytest.mark.parametrize("mix", ["X=0", "X=-1", "X=nan", "X", "X=1,Y=inf"])
def test_a_mix_that_draws_nothing_is_refused(mix: str) -> None:
    """A share that is no number above zero is reported, not passed to the draw."""
    request = DataRequest(folders=[], mix=mix, workers=1, root=None)
    with pytest.raises(DatasetUnusable, match="--mix"):
        _ = request.shares


def test_what_a_training_needs_is_asked_for_before_it_begins(
    folder: Folder, mass: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without validation exams, outlines or both classes in either part nothing is learnt; omissions are reported."""
    drawn = folder.drawing("L", [mass()])
    outline = json.dumps([[[x + 0.5, y + 0.5] for x, y in drawn.outline()]])
    folder.add("a.png", drawn, boxes=boxes(drawn), pathology="BENIGN", patient="a")
    folder.add("b.png", drawn, boxes=boxes(drawn), pathology="MALIGNANT", patient="b")
    folder.add("c.png", drawn, boxes="", patient="c")
    source = tmp_path / "source"
    source.mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(source / path.name)
    folder.root = source
    request = DataRequest(folders=[source], mix=None, workers=1, root=tmp_path / "cache")

    def refused(gives: Sequence[str]) -> str:
        folder.write()
        with pytest.raises(DatasetUnusable) as error:
            lesion_material(request, weak=False, gives=gives)
        return str(error.value)

    key = CacheKey(recipe="training", frame=FRAME, split=Split.TRAIN)
    folder.write()
    with pytest.raises(DatasetUnusable, match="no exams with split val"):
        exam_material(request, key)
    assert "1 image is left out, c.png among them: 1 × Nobody said" in " ".join(capsys.readouterr().err.split())
    assert "split train has an outline" in refused(["probability"])
    assert "split val are not of both classes" in refused(["malignancy"])
    folder.rows[0]["polygons"] = outline
    assert "split val has an outline" in refused(["probability"])
    folder.add("d.png", drawn, polygons=outline, patient="d", split="val")
    cv2.imwrite(str(source / "d.png"), drawn.pixels)
    folder.write()
    assert len(lesion_material(request, weak=False, gives=["probability"]).validation.masses.outlined) == 1
    assert len(exam_material(request, key).validation) == 1
