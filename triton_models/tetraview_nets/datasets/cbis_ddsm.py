"""CBIS-DDSM: the curated part of DDSM as DICOM, with a mask for every abnormality.

R. S. Lee et al., A curated mammography data set for use in computer-aided detection and diagnosis research, Scientific
Data 4, 170177, 2017.

Layout: ``mass_case_description_train_set.csv`` and ``..._test_set.csv`` (and two of ``calc_...``), one row per
abnormality and view, and one folder per image, ``Mass-Training_P_00001_LEFT_CC``, and per abnormality, the same name
with ``_1``. Below a folder come study, series and DICOM files, whose names differ between releases; the paths in the
spreadsheets are therefore used only for the folder's name. The contents of the files of
an abnormality decide which is the mask and which the crop.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from tetraview.errors import ImageUnreadable
from tetraview_nets.datasets.grouping import FoundView, exams_of, view_of
from tetraview_nets.datasets.pictures import DicomPicture, damage_told
from tetraview_nets.datasets.tables import Row, read_table
from tetraview_nets.datasets.truth import (
    AssumedSpacing,
    Collection,
    DatasetUnusable,
    Lesion,
    Shape,
    Skipped,
    SourceView,
    TruthUnusable,
    birads,
)

CITATION = "Lee et al., CBIS-DDSM, Scientific Data 4, 170177, 2017"
REMARKS = (
    "Every image shows a mass: false positives on normal exams, which DDSM has, are not measured.",
    "Pixel spacings are not in the images: without one that is stated, no image can be read.",
    "BENIGN_WITHOUT_CALLBACK counts as benign.",
    "Only views with a mass are in the set, so most images lack companions and are read by the route that is left.",
)
#: A mask may be that many rows or columns larger or smaller than its image.
TOLERANCE = 16
_PARTS = ("train", "test")
_NEEDED = (
    "patient_id",
    "left or right breast",
    "image view",
    "abnormality id",
    "assessment",
    "pathology",
    "image file path",
    "roi mask file path",
)
_PATHOLOGY = {"MALIGNANT": True, "BENIGN": False, "BENIGN_WITHOUT_CALLBACK": False}


@dataclass(frozen=True, kw_only=True)
class MaskFile:
    """The mask among the files of one abnormality: two values, and the image's size but for a few pixels."""

    name: str
    files: tuple[Path, ...]

    def mask(self, shape: Shape) -> NDArray[np.bool_]:
        """The mask, cut or padded at the right and the bottom to the image's size.

        Raises:
            TruthUnusable: none of the files is the mask, or several are.
        """
        masks = [mask for path in self.files if (mask := _as_mask(path, shape)) is not None]
        if len(masks) != 1:
            what = "none is a mask of the image's size" if not masks else f"{len(masks)} are masks of its size"
            raise TruthUnusable(f"Of the {len(self.files)} files of {self.name}, {what}.")
        fitted = np.zeros(shape, dtype=np.bool_)
        rows, columns = (min(sizes) for sizes in zip(shape, masks[0].shape, strict=True))
        fitted[:rows, :columns] = masks[0][:rows, :columns]
        if not fitted.any():
            raise TruthUnusable(f"The mask of {self.name} is empty.")
        return fitted


def _as_mask(path: Path, shape: Shape) -> NDArray[np.bool_] | None:
    """The pixels that are set, or None where the file is not a mask of an image of this shape."""
    try:
        pixels = _pixels(path, shape)
    except ImageUnreadable:
        return None
    if pixels is None:
        return None
    low, high = pixels.min(), pixels.max()
    if low == high or not np.isin(pixels, (low, high)).all():
        return None
    return np.asarray(pixels == high, dtype=np.bool_)


def _pixels(path: Path, shape: Shape) -> NDArray[np.integer] | None:
    """The pixels of a file, None where its header tells another size."""
    with damage_told():
        size = dcmread(path, specific_tags=["Rows", "Columns"], stop_before_pixels=True)
        if max(abs(size.Rows - shape[0]), abs(size.Columns - shape[1])) > TOLERANCE:
            return None
        pixels: NDArray[np.integer] = dcmread(path).pixel_array
    return pixels


def read(root: Path, spacing: AssumedSpacing | None = None) -> Collection:
    """All images with masses below a folder.

    Args:
        root: the folder with the spreadsheets; the images may lie some folders deeper.
        spacing: what a pixel measures in an image that does not tell; such an image is not read without it. The films
            were scanned at 42, 43.5 or 50 micrometres, and CBIS-DDSM does not say which where.

    Raises:
        DatasetUnusable: no spreadsheet is there.
    """
    tables = [(path, part) for part in _PARTS if (path := root / f"mass_case_description_{part}_set.csv").is_file()]
    if not tables:
        raise DatasetUnusable(f"{root} is not CBIS-DDSM: it holds no mass_case_description_train_set.csv or _test_set")
    folders = _folders(root)
    found: list[FoundView] = []
    skipped = _calcifications(root)
    for path, part in tables:
        images: dict[str, list[Row]] = defaultdict(list)
        for row in read_table(path, needed=_NEEDED):
            images[_folder_name(row["image file path"])].append(row)
        for name, rows in sorted(images.items()):
            try:
                found.append(_found(name, rows, folders, part=part, spacing=spacing))
            except TruthUnusable as error:
                skipped.append(Skipped(where=name, reason=str(error)))
    return Collection(
        name="cbis_ddsm", citation=CITATION, remarks=REMARKS, exams=exams_of(found), skipped=tuple(skipped)
    )


def _folders(root: Path) -> dict[str, list[Path]]:
    """Folders of images and abnormalities by name; a patient downloaded twice has them twice."""
    folders: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("Mass-*")):
        if path.is_dir():
            folders[path.name].append(path)
    return folders


def _folder_name(path: str) -> str:
    return path.partition("/")[0].strip()


def _calcifications(root: Path) -> list[Skipped]:
    """The spreadsheets without masses."""
    reason = "Calcifications: only masses are evaluated."
    return [Skipped(where=path.name, reason=reason) for path in sorted(root.glob("calc_case_description_*_set.csv"))]


def _found(
    name: str, rows: list[Row], folders: dict[str, list[Path]], *, part: str, spacing: AssumedSpacing | None
) -> FoundView:
    first = rows[0]
    files = _files(folders.get(name, []))
    if not files:
        raise TruthUnusable("The image file is missing.")
    lesions = tuple(_lesion(row, folders) for row in rows)
    view = SourceView(
        view=view_of(first["left or right breast"], first["image view"]),
        name=name,
        picture=DicomPicture(path=files[0], spacing=spacing),
        lesions=lesions,
    )
    return FoundView(patient=first["patient_id"], exam=f"{first['patient_id']}-{part}", part=part, view=view)


def _files(folders: list[Path]) -> tuple[Path, ...]:
    """The DICOM files of the first of equal folders that has any."""
    found = (tuple(sorted(folder.rglob("*.dcm"))) for folder in folders)
    return next((files for files in found if files), ())


def _lesion(row: Row, folders: dict[str, list[Path]]) -> Lesion:
    name = _folder_name(row["roi mask file path"])
    files = _files(folders.get(name, []))
    if not files:
        raise TruthUnusable(f"The mask folder {name} is missing.")
    pathology = row["pathology"].upper()
    if pathology not in _PATHOLOGY:
        raise TruthUnusable(f"Pathology {pathology or 'blank'} is not one of {', '.join(_PATHOLOGY)}.")
    return Lesion(
        label=row["abnormality id"],
        region=MaskFile(name=name, files=files),
        birads=birads(row["assessment"]),
        malignant=_PATHOLOGY[pathology],
    )
