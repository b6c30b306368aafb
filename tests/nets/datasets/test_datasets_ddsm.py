"""DDSM: case files, chain codes, scanners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tetraview.domain.view import View
from tetraview_nets.datasets import ddsm, overlay
from tetraview_nets.datasets.canonical import canonical_exam
from tetraview_nets.datasets.film import SCANNERS
from tetraview_nets.datasets.truth import TruthUnusable
from tetraview_nets.learning.cache import VIEWS
from tetraview_nets.mommi.presets import PRESETS

FRAME = PRESETS["tiny"].frame
SIDES = {"LEFT": "L", "RIGHT": "R"}


def chain(points: Sequence[tuple[int, int]]) -> str:
    """A closed run of neighbouring pixels as DDSM writes it."""
    ends = zip(points, [*points[1:], points[0]], strict=True)
    steps = [overlay.STEPS.index((x1 - x0, y1 - y0)) for (x0, y0), (x1, y1) in ends]
    return " ".join(str(number) for number in (*points[0], *steps)) + " #"


def abnormality(number: int, outline: str, *, kind: str = "MASS SHAPE OVAL MARGINS SPICULATED") -> str:
    """One entry of an overlay."""
    return (
        f"ABNORMALITY {number}\nLESION_TYPE {kind}\nASSESSMENT 4\nSUBTLETY 3\nPATHOLOGY MALIGNANT\n"
        f"TOTAL_OUTLINES 2\nBOUNDARY\n{outline}\n\tCORE\n10 10 0 2 4 6 #\n"
    )


class Volume:
    """Some cases of DDSM with converted images."""

    def __init__(self, root: Path, drawing: Any) -> None:
        self.root, self.drawing = root, drawing

    def case(
        self,
        name: str,
        views: Sequence[str],
        *,
        masses: Sequence[Any] = (),
        digitizer: str = "LUMISYS LASER",
        folder: str = "cancers/cancer_01/case0001",
        bits: int = 12,
        suffix: str = ".png",
    ) -> Path:
        """One case with the same masses in all its views; 500 micrometres make the small drawings a breast."""
        place = self.root / folder
        place.mkdir(parents=True, exist_ok=True)
        lines = ["ics_version 1.0", f"filename {name}", "DATE_OF_STUDY 2 7 1995", f"DIGITIZER {digitizer}", "SELECTED"]
        for view in views:
            drawn = self.drawing(SIDES[view.split("_")[0]], masses)
            stem = f"{name.replace('-', '_')}.{view}"
            # The scanner with 16 bits is linear in intensity, the others in density.
            grey = 10 ** (1.5 + drawn.pixels / 1100) if bits == 16 else drawn.pixels
            cv2.imwrite(str(place / f"{stem}{suffix}"), grey.astype(np.uint16))
            (place / f"{stem}.LJPEG").write_bytes(b"not read")
            rows, columns = drawn.pixels.shape
            state = "OVERLAY" if masses else "NON_OVERLAY"
            lines.append(f"{view} LINES {rows} PIXELS_PER_LINE {columns} BITS_PER_PIXEL {bits} RESOLUTION 500 {state}")
            if masses:
                found = [abnormality(i + 1, chain(drawn.outline(i))) for i in range(len(masses))]
                text = f"TOTAL_ABNORMALITIES {len(masses)}\n" + "".join(found)
                (place / f"{stem}.OVERLAY").write_text(text, encoding="ascii")
        (place / f"{name}.ics").write_text("\n".join(lines) + "\n", encoding="ascii")
        return place


@pytest.fixture
def volume(tmp_path: Path, drawing: Any) -> Volume:
    """An empty volume."""
    return Volume(tmp_path, drawing)


@pytest.mark.parametrize(
    ("name", "digitizer", "bits"),
    [
        ("A-0001-1", "DBA 21", 16),
        ("A-0002-1", "HOWTEK", 12),
        ("C-0003-1", "LUMISYS LASER", 12),
        ("D-4000-1", "HOWTEK 960", 12),
    ],
)
def test_outlines_land_where_they_were_drawn(  # noqa: PLR0917
    volume: Volume, mass: Any, seen: Callable[..., None], name: str, digitizer: str, bits: int
) -> None:
    """Masses given as chain codes lie on bright tissue after the scanner's inversion, in both breasts."""
    masses = [mass(), mass(x=60, y=290, across=20, down=25)]
    volume.case(name, ["LEFT_CC", "RIGHT_MLO"], masses=masses, digitizer=digitizer, bits=bits)
    (source,) = ddsm.read(volume.root).exams
    exam, skipped = canonical_exam(source, number=0, frame=FRAME)
    assert not skipped
    assert exam is not None
    for view in (View.L_CC, View.R_MLO):
        seen(exam, VIEWS.index(view), masses=2)
    assert {lesion.malignant for view in source.views for lesion in view.lesions} == {True}


def test_optical_density_falls_with_the_grey_value() -> None:
    """Every scanner's law is decreasing, stays within its range, and gives 0 to 3 over what it can measure."""
    for scanner in SCANNERS.values():
        top = 2**16 - 1 if scanner.logarithmic else 2**12 - 1
        density = scanner.density(np.linspace(0, top, 64, dtype=np.float32))
        assert (np.diff(density) <= 0).all()
        assert density[0] == 3.0
        assert density[-1] < 0.3


def test_a_patient_in_two_folders_stays_one_patient(volume: Volume) -> None:
    """Two studies of a patient in two volumes are two exams of one patient; a case met twice is read once."""
    volume.case("A-0001-1", ["LEFT_CC", "LEFT_MLO"], folder="normals/normal_01/case0001", digitizer="HOWTEK")
    volume.case("A-0001-2", ["LEFT_CC"], folder="cancers/cancer_01/case0001", digitizer="HOWTEK")
    volume.case("A-0001-1", ["LEFT_CC"], folder="normals/normal_02/case0001", digitizer="HOWTEK")
    collection = ddsm.read(volume.root)
    assert collection.patients == ["A-0001"]
    assert {exam.name: len(exam.views) for exam in collection.exams} == {"A-0001-1": 2, "A-0001-2": 1}
    assert [each.where for each in collection.skipped] == ["normals/normal_02/case0001/A-0001-1.ics"]


def test_what_cannot_be_used_is_told(volume: Volume, mass: Any) -> None:
    """An image not converted, a missing overlay, an unknown scanner and changed grey values each give a reason."""
    place = volume.case("C-0001-1", ["LEFT_CC", "LEFT_MLO", "RIGHT_CC", "RIGHT_MLO"], masses=[mass()])
    (place / "C_0001_1.LEFT_CC.png").unlink()
    (place / "C_0001_1.LEFT_MLO.OVERLAY").unlink()
    (place / "C_0001_1.RIGHT_CC.OVERLAY").write_text("TOTAL_ABNORMALITIES 2\n", encoding="ascii")
    image = cv2.imread(str(place / "C_0001_1.RIGHT_MLO.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(place / "C_0001_1.RIGHT_MLO.png"), image * 16)
    volume.case("B-0001-1", ["LEFT_CC"], folder="case2", digitizer="KODAK")
    collection = ddsm.read(volume.root)
    reasons = {each.where: each.reason for each in collection.skipped}
    assert set(reasons) == {"C-0001-1 LEFT_CC", "C-0001-1 LEFT_MLO", "C-0001-1 RIGHT_CC", "B-0001-1.ics"}
    assert "convert the LJPEG file" in reasons["C-0001-1 LEFT_CC"]
    assert "scanner KODAK" in reasons["B-0001-1.ics"]
    (source,) = collection.exams
    exam, skipped = canonical_exam(source, number=0, frame=FRAME)
    assert exam is None
    assert "exceeds the 12 bits" in skipped[0].reason


def test_an_overlay_is_read_line_by_line() -> None:
    """Calcifications are passed over, the boundary is taken and the core is not, unproven is neither."""
    text = "TOTAL_ABNORMALITIES 2\n" + abnormality(1, "5 5 2 4 6 0 #", kind="CALCIFICATION TYPE ROUND")
    text += abnormality(2, "20 30 2 2 4 4 6 6 0 0 #").replace("MALIGNANT", "UNPROVEN")
    (found,) = overlay.masses(text)
    assert (found.label, found.birads, found.malignant) == ("2", "4", None)
    mask = found.region.mask((50, 50))
    assert np.argwhere(mask).min(axis=0).tolist() == [30, 20]
    assert np.argwhere(mask).max(axis=0).tolist() == [32, 22]


@pytest.mark.parametrize("code", ["5 5 2 4", "5 5 2 9 #", "5 #", "5 x #"])
def test_an_outline_that_is_no_chain_code_is_refused(code: str) -> None:
    """A cut-off outline, a step that does not exist and a start without a row are reported, not drawn."""
    with pytest.raises(TruthUnusable):
        overlay.outline(code.split())
