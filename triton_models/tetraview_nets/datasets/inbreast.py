"""INbreast: 410 full-field digital mammograms with outlined findings.

I. C. Moreira et al., INbreast: toward a full-field digital mammographic database, Academic Radiology 19(2), 2012.

Layout: ``AllDICOMs/IMAGE_PATIENT_MG_SIDE_VIEW_ANON.dcm``, ``AllXML/IMAGE.xml`` and ``INbreast.csv``, the spreadsheet
saved as text. The patient is the second part of an image's file name, because the spreadsheet's column is blanked;
images of a patient are one exam when their acquisition dates in the spreadsheet agree. An image without an XML file has
no findings.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from tetraview_nets.datasets.grouping import FoundView, exams_of, view_of
from tetraview_nets.datasets.pictures import DicomPicture
from tetraview_nets.datasets.regions import Polygon
from tetraview_nets.datasets.tables import Row, read_table
from tetraview_nets.datasets.truth import (
    AssumedSpacing,
    Collection,
    DatasetUnusable,
    Lesion,
    Skipped,
    SourceView,
    TruthUnusable,
    birads,
)

CITATION = "Moreira et al., INbreast, Academic Radiology 19(2), 2012"
REMARKS = (
    "Only findings named Mass count, as in the paper's count of 116 masses.",
    "A detection of a spiculated region that holds no Mass, of a distortion or an asymmetry is a false positive.",
    "BI-RADS is the image's; pathology of single masses is not in the files.",
    "The views of a breast are not paired: with several masses in a breast, recall in any view is a lower bound.",
)
#: Fewer points mark a place, not an outline.
MIN_POINTS = 3
#: Images of these categories must have findings in an XML file.
SUSPICIOUS = "456"

_NAME = re.compile(r"(?P<image>\d+)_(?P<patient>[0-9a-zA-Z]+)_MG_(?P<side>[LR])_(?P<view>[A-Z]+)_ANON", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_NEEDED = ("laterality", "view", "acquisition date", "file name", "bi-rads")
#: File names shorten the oblique view.
_PROJECTIONS = {"ML": "MLO"}


def read(root: Path, spacing: AssumedSpacing | None = None) -> Collection:
    """All exams below a folder.

    Args:
        root: the release, or the folder that holds it.
        spacing: for an image without pixel spacing; the release states it in every image.

    Raises:
        DatasetUnusable: no images, or no spreadsheet that can be read.
    """
    folder = _release(root)
    rows = _rows(folder)
    paths = sorted((folder / "AllDICOMs").glob("*.dcm"))
    found: list[FoundView] = []
    skipped: list[Skipped] = []
    for path in paths:
        try:
            view, notes = _found(path, rows, spacing)
        except TruthUnusable as error:
            skipped.append(Skipped(where=path.name, reason=str(error)))
            continue
        found.append(view)
        skipped += notes
    absent = sorted(rows.keys() - {path.name.split("_")[0] for path in paths})
    skipped += [Skipped(where=image, reason="The image file is missing.") for image in absent]
    return Collection(
        name="inbreast", citation=CITATION, remarks=REMARKS, exams=exams_of(found), skipped=tuple(skipped)
    )


def _release(root: Path) -> Path:
    for folder in (root, *sorted(root.glob("*/"))):
        if (folder / "AllDICOMs").is_dir():
            return folder
    raise DatasetUnusable(f"{root} is not INbreast: it holds no folder AllDICOMs")


def _rows(folder: Path) -> dict[str, Row]:
    """The spreadsheet's rows by image."""
    path = folder / "INbreast.csv"
    if not path.is_file():
        raise DatasetUnusable(
            f"{path} is missing: open INbreast.xls in a spreadsheet program and save its first sheet as CSV, "
            "parted by semicolons, under that name"
        )
    return {row["file name"]: row for row in read_table(path, needed=_NEEDED) if row["file name"].isdigit()}


def _found(path: Path, rows: dict[str, Row], spacing: AssumedSpacing | None) -> tuple[FoundView, list[Skipped]]:
    name = _NAME.match(path.name)
    if name is None:
        raise TruthUnusable("The file name does not tell image, patient, side and view.")
    projection = name["view"].upper()
    slot = view_of(name["side"], _PROJECTIONS.get(projection, projection))
    row = rows.get(name["image"], {})
    if row.get("view", slot.position) != slot.position or row.get("laterality", slot.laterality) != slot.laterality:
        raise TruthUnusable("File name and spreadsheet disagree about side or view.")
    category = birads(row.get("bi-rads", ""))
    lesions, notes = _lesions(path.parents[1] / "AllXML" / f"{name['image']}.xml", category)
    view = SourceView(
        view=slot, name=path.name, picture=DicomPicture(path=path, spacing=spacing), lesions=tuple(lesions)
    )
    exam = f"{name['patient']}@{row.get('acquisition date', '')}"
    return FoundView(patient=name["patient"], exam=exam, view=view), notes


def _lesions(path: Path, category: str | None) -> tuple[list[Lesion], list[Skipped]]:
    """The masses of one XML file, and what in it is no outline."""
    if not path.exists():
        if category and category[0] in SUSPICIOUS:
            raise TruthUnusable(f"BI-RADS {category}, but {path.name} with its findings is missing.")
        return [], []
    lesions, notes = [], []
    for number, points in _masses(path):
        if len(points) < MIN_POINTS:
            reason = f"Mass {number} has {len(points)} points, which is no outline; it was left out of the truth."
            notes.append(Skipped(where=path.name, reason=reason))
            continue
        lesions.append(Lesion(label=None, region=Polygon(points=points), birads=category))
    return lesions, notes


def _masses(path: Path) -> Iterator[tuple[int, tuple[tuple[float, float], ...]]]:
    """Number and outline of every finding named Mass in a property list of regions."""
    try:
        document = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)
        regions = [region for image in document["Images"] for region in image["ROIs"]]
        masses = [region["Point_px"] for region in regions if str(region.get("Name", "")).strip().lower() == "mass"]
        outlines = [tuple(_point(point) for point in points) for points in masses]
    except (ExpatError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise TruthUnusable(f"{path.name} cannot be read ({type(error).__name__}).") from None
    yield from enumerate(outlines, start=1)


def _point(text: Any) -> tuple[float, float]:
    """One ``(x, y)`` in stored pixels."""
    x, y, *_ = (float(number) for number in _NUMBER.findall(text))
    return x, y
