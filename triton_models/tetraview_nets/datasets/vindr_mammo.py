"""VinDr-Mammo: 5,000 four-view exams with boxes around findings.

H. T. Nguyen et al., VinDr-Mammo: a large-scale benchmark dataset for computer-aided diagnosis in full-field digital
mammography, Scientific Data 10, 277, 2023.

Layout: ``images/STUDY/IMAGE.dicom``, ``finding_annotations.csv`` with one row per finding (or one row without a box for
an image that has none) and ``breast-level_annotations.csv`` with one row per image.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from pathlib import Path

from tetraview.domain.geometry import Box
from tetraview_nets.datasets.grouping import FoundView, exams_of, view_of
from tetraview_nets.datasets.pictures import DicomPicture
from tetraview_nets.datasets.regions import Rectangle
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

CITATION = "Nguyen et al., VinDr-Mammo, Scientific Data 10, 277, 2023"
REMARKS = (
    "The truth is boxes, no outlines: masks are filled boxes.",
    "Benign findings are not annotated: a detection of a mass below BI-RADS 3 is a false positive.",
    "The files do not say which exams are of the same patient; each exam counts as a patient.",
    "The views of a breast are not paired: with several masses in a breast, recall in any view is a lower bound.",
)
_PARTS = {"training": "train", "test": "test"}
_FINDINGS, _IMAGES = "finding_annotations.csv", "breast-level_annotations.csv"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FINDING_COLUMNS = ("image_id", "finding_categories", "finding_birads", *_CORNERS)
_IMAGE_COLUMNS = ("study_id", "image_id", "laterality", "view_position", "split")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def read(root: Path, spacing: AssumedSpacing | None = None) -> Collection:
    """All exams below a folder.

    Args:
        root: the folder with the spreadsheets and ``images``.
        spacing: for an image without pixel spacing.

    Raises:
        DatasetUnusable: a spreadsheet is not there.
    """
    missing = [name for name in (_FINDINGS, _IMAGES) if not (root / name).is_file()]
    if missing:
        raise DatasetUnusable(f"{root} is not VinDr-Mammo: it holds no {' and no '.join(missing)}")
    findings: dict[str, list[Row]] = defaultdict(list)
    for row in read_table(root / _FINDINGS, needed=_FINDING_COLUMNS):
        findings[row["image_id"]].append(row)
    found: list[FoundView] = []
    skipped: list[Skipped] = []
    for row in read_table(root / _IMAGES, needed=_IMAGE_COLUMNS):
        path = root / "images" / row["study_id"] / f"{row['image_id']}.dicom"
        try:
            found.append(_found(path, row, findings.get(row["image_id"]), spacing))
        except TruthUnusable as error:
            skipped.append(Skipped(where=path.name, reason=str(error)))
    return Collection(
        name="vindr_mammo", citation=CITATION, remarks=REMARKS, exams=exams_of(found), skipped=tuple(skipped)
    )


def _found(path: Path, row: Row, findings: list[Row] | None, spacing: AssumedSpacing | None) -> FoundView:
    slot = view_of(row["laterality"], row["view_position"])
    if findings is None:
        raise TruthUnusable(f"The image has no row in {_FINDINGS}.")
    if not path.is_file():
        raise TruthUnusable("The image file is missing.")
    view = SourceView(
        view=slot,
        name=path.name,
        picture=DicomPicture(path=path, spacing=spacing),
        lesions=tuple(_lesion(finding) for finding in findings if "Mass" in _categories(finding)),
    )
    part = _PARTS.get(row["split"])
    return FoundView(patient=row["study_id"], exam=row["study_id"], part=part, view=view)


def _categories(finding: Row) -> list[str]:
    """A list as Python prints it, such as ``['Mass', 'Skin Thickening']``."""
    return [single or double for single, double in _QUOTED.findall(finding["finding_categories"])]


def _lesion(finding: Row) -> Lesion:
    try:
        corners = [float(finding[name]) for name in _CORNERS]
        box = Box(*corners)
    except ValueError:
        raise TruthUnusable(f"A mass in {_FINDINGS} has no box.") from None
    if not all(math.isfinite(corner) for corner in corners):
        raise TruthUnusable(f"A mass in {_FINDINGS} has no box.")
    return Lesion(label=None, region=Rectangle(box=box), birads=birads(finding["finding_birads"]))
