"""INbreast: file names, spreadsheet, property lists."""

from __future__ import annotations

import plistlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tetraview.domain.view import View
from tetraview_nets.datasets import inbreast
from tetraview_nets.datasets.canonical import canonical_exam
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning.cache import VIEWS
from tetraview_nets.mommi.presets import PRESETS

FRAME = PRESETS["tiny"].frame
HEAD = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"


class Release:
    """A small INbreast."""

    def __init__(self, root: Path, drawing: Any) -> None:
        self.root, self.drawing, self.rows = root, drawing, [HEAD]

    def image(
        self,
        number: int,
        patient: str,
        side: str,
        view: str,
        *,
        masses: Sequence[Any] = (),
        grade: str = "1",
        date: str = "201001",
        names: Sequence[str] = ("Mass",),
        findings: bool = True,
    ) -> Any:
        """One image with its row and, where it has masses, its XML file."""
        drawn = self.drawing(side, masses)
        drawn.write(self.root / "AllDICOMs" / f"{number}_{patient}_MG_{side}_{view}_ANON.dcm")
        self.row(number, side, "MLO" if view == "ML" else view, grade=grade, date=date)
        if masses and findings:
            outlines = [drawn.outline(i) for i in range(len(masses))]
            self.xml(number, [(names[i % len(names)], outline) for i, outline in enumerate(outlines)])
        return drawn

    def row(self, number: int, side: str, view: str, *, grade: str, date: str) -> None:
        """A line of the spreadsheet."""
        self.rows.append(f"removed;removed;{side};{view};{date};{number};     ;{grade}")

    def xml(self, number: int, regions: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> None:
        """Regions as OsiriX exports them."""
        listed = [
            {
                "Area": 1.0,
                "IndexInImage": i,
                "Name": name,
                "NumberOfPoints": len(points),
                "Point_mm": [f"({x}, {y}, 0.0)" for x, y in points],
                "Point_px": [f"({x + 0.5:f}, {y + 0.5:f})" for x, y in points],
            }
            for i, (name, points) in enumerate(regions)
        ]
        document = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(listed), "ROIs": listed}]}
        path = self.root / "AllXML" / f"{number}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plistlib.dumps(document))

    def read(self) -> Any:
        """Exams as the loader reads them."""
        (self.root / "INbreast.csv").write_text("\n".join(self.rows) + "\n", encoding="utf-8")
        return inbreast.read(self.root)


@pytest.fixture
def release(tmp_path: Path, drawing: Any) -> Release:
    """An empty release."""
    (tmp_path / "AllDICOMs").mkdir()
    return Release(tmp_path, drawing)


@pytest.mark.parametrize(("side", "view"), [("L", "CC"), ("R", "CC"), ("R", "ML")])
def test_masses_land_where_they_were_outlined(
    release: Release, mass: Any, seen: Callable[..., None], side: str, view: str
) -> None:
    """Two outlined masses of one image lie, in canonical pixels, on bright tissue in either breast."""
    release.image(100, "aa11", side, view, masses=[mass(), mass(x=60, y=290, across=20, down=25)], grade="4b")
    (source,) = release.read().exams
    exam, skipped = canonical_exam(source, number=7, frame=FRAME)
    slot = VIEWS.index(View(f"{side}-{'MLO' if view == 'ML' else view}"))
    assert exam is not None
    assert not skipped
    assert exam.present.tolist() == [i == slot for i in range(4)]
    seen(exam, slot, masses=2)
    assert {lesion.birads for lesion in source.views[0].lesions} == {"4B"}
    assert len(set(exam.labels)) == 2


def test_exams_are_a_patients_images_of_one_date(release: Release) -> None:
    """The patient comes from the file name, the exam from the date; a second image of a view is read by itself."""
    for number, view in ((1, "CC"), (2, "ML"), (3, "CC")):
        release.image(number, "aa11", "L", view)
    release.image(4, "aa11", "L", "CC", date="201106")
    release.image(5, "bb22", "L", "CC")
    collection = release.read()
    assert collection.patients == ["aa11", "bb22"]
    views = sorted(len(exam.views) for exam in collection.exams if exam.patient == "aa11")
    assert views == [1, 1, 2]
    assert len({exam.name for exam in collection.exams}) == 4


def test_the_only_mass_of_each_view_is_one_mass(release: Release, mass: Any) -> None:
    """One mass in either view of a breast has one name, so that finding it in either view counts."""
    release.image(1, "aa11", "L", "CC", masses=[mass()], grade="5")
    release.image(2, "aa11", "L", "ML", masses=[mass()], grade="5")
    (source,) = release.read().exams
    exam, _ = canonical_exam(source, number=0, frame=FRAME)
    assert exam is not None
    assert len(exam.labels) == 2
    assert len(set(exam.labels)) == 1


def test_only_outlined_masses_count(release: Release, mass: Any) -> None:
    """Other findings are no masses, and a mass of two points is reported and left out; the image stays."""
    drawn = release.image(1, "aa11", "L", "CC", masses=[mass()], findings=False, grade="2")
    release.xml(1, [("Mass", drawn.outline()), ("Mass", drawn.outline()[:2]), ("Spiculated Region", drawn.outline())])
    collection = release.read()
    assert [len(view.lesions) for exam in collection.exams for view in exam.views] == [1]
    (note,) = collection.skipped
    assert (note.where, "2 points" in note.reason) == ("1.xml", True)


def test_what_cannot_be_used_is_told(release: Release, mass: Any) -> None:
    """A damaged or missing XML file, an odd view and a missing image each cost that image and give a reason."""
    release.image(1, "aa11", "L", "CC", masses=[mass()], grade="5")
    (release.root / "AllXML" / "1.xml").write_text("<plist><dict><key>Images</key>", encoding="utf-8")
    release.image(2, "aa11", "R", "CC", masses=[mass()], grade="4a", findings=False)
    release.image(3, "aa11", "R", "FB")
    release.row(4, "R", "MLO", grade="1", date="201001")
    release.image(5, "aa11", "L", "ML")
    release.xml(6, [])
    release.image(6, "bb22", "L", "CC")
    (release.root / "AllXML" / "6.xml").write_bytes(plistlib.dumps({"Images": [{"ROIs": [{"Name": "Mass"}]}]}))
    collection = release.read()
    reasons = {each.where.split("_")[0]: each.reason for each in collection.skipped}
    assert set(reasons) == {"1", "2", "3", "4", "6"}
    assert "cannot be read" in reasons["1"]
    assert "BI-RADS 4A" in reasons["2"]
    assert "no standard view" in reasons["3"]
    assert "missing" in reasons["4"]
    assert [view.name.split("_")[0] for exam in collection.exams for view in exam.views] == ["5"]


def test_damaged_pixels_cost_one_view(release: Release) -> None:
    """An image that cannot be decoded is listed when it is read, and the other view is used without it."""
    release.image(1, "aa11", "L", "CC")
    release.image(2, "aa11", "L", "ML")
    path = next((release.root / "AllDICOMs").glob("2_*"))
    path.write_bytes(path.read_bytes()[:5000])
    (source,) = release.read().exams
    exam, skipped = canonical_exam(source, number=0, frame=FRAME)
    assert exam is not None
    assert [VIEWS[i] for i in range(4) if exam.present[i]] == [View.L_CC]
    assert [each.where for each in skipped] == [path.name]


def test_the_spreadsheet_must_be_saved_as_text(release: Release) -> None:
    """Without the CSV the person is told how to make it."""
    with pytest.raises(DatasetUnusable, match="save its first sheet as CSV"):
        inbreast.read(release.root)
