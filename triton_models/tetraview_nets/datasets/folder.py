"""Anybody's mammograms as one folder: images and a spreadsheet that says what is known of them.

``manifest.csv`` has one row an image. Columns that must be there: ``image``, a file below the folder or the SOP
Instance UID of a DICOM file in it; ``patient``, ``laterality`` (L, R) and ``view`` (CC, MLO). The others may be left
out or empty, and what they would say is then unknown:

* ``exam``: the same for images that were taken together; without it a patient has one exam.
* ``dataset``: the name of the data set; without it that of the folder.
* ``medium``: ``film`` or ``digital``. ``chest_wall``: ``left`` or ``right``, the side seen in the picture, which
  decides how films are turned: they may have been scanned with either side up.
* ``spacing_mm``: of square pixels. ``spacing_known``: text that begins with ``known`` where it was measured.
* ``boxes``: JSON list of x0, y0, x1, y1 around masses; ``polygons``: JSON list of outlines, each a list of x, y;
  ``mask``: a file, 255 inside masses, from which the boxes take their outlines.
* ``ignore``: a file, 255 inside what counts neither as a mass nor as a false positive.
* ``kind``: ``mass`` where the image shows one. A mass that nobody placed makes an image unusable.
* ``pathology`` of the masses: MALIGNANT or BENIGN; ``birads``: the image's category.
* ``split``: train, val or test.

``nipples.csv``, if it is there: ``image``, ``x``, ``y`` and ``in_profile`` (yes, no, unsure).

All coordinates are pixels of the stored image, continuous, origin at the outer corner of the first one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from tetraview.domain.geometry import Box, Outline
from tetraview_nets.datasets.grouping import FoundView, exams_of, view_of
from tetraview_nets.datasets.pictures import DicomPicture, PlainPicture
from tetraview_nets.datasets.regions import Polygon, Rectangle, bounds
from tetraview_nets.datasets.tables import Row, read_table
from tetraview_nets.datasets.truth import (
    AssumedSpacing,
    Collection,
    DatasetUnusable,
    Lesion,
    Nipple,
    Region,
    Shape,
    Skipped,
    SourceView,
    TruthUnusable,
    birads,
)

MANIFEST, NIPPLES = "manifest.csv", "nipples.csv"
#: Height of an image whose spacing nobody states: a film of 18 x 24 cm.
ASSUMED_HEIGHT_MM = 240.0
#: A part of the mask is a box's outline when its bounds overlap the box this well.
OUTLINE_IOU = 0.5
#: Data sets of scanned films, for manifests that do not say.
FILMS = ("CBIS-DDSM", "DDSM", "MIAS")
_NEEDED = ("image", "patient", "laterality", "view")
_PROFILE = {"yes": True, "no": False}
_PARTS = {"train": "train", "training": "train", "val": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class MaskRegion:
    """The part of a mask file that lies in a box, or all of it."""

    path: Path
    box: Box | None = None

    def mask(self, shape: Shape) -> NDArray[np.bool_]:
        """The region in stored pixels.

        Raises:
            TruthUnusable: the file cannot be read or has another size than its image.
        """
        inside = _read_mask(self.path)
        if inside.shape != shape:
            raise TruthUnusable(f"{self.path.name} has {inside.shape} pixels, its image {shape}.")
        return inside if self.box is None else _within(inside, self.box)


def read(root: Path, spacing: AssumedSpacing | None = None) -> Collection:
    """All images of a folder.

    Args:
        root: the folder with ``manifest.csv``.
        spacing: for images whose spacing the manifest does not state.

    Raises:
        DatasetUnusable: there is no manifest, or a column that it needs is missing.
    """
    if not (root / MANIFEST).is_file():
        raise DatasetUnusable(f"{root} holds no {MANIFEST}: it names the images, see `tetraview_nets.datasets.folder`")
    marks = _nipples(root / NIPPLES)
    rows = read_table(root / MANIFEST, needed=_NEEDED)
    files = _files(root, rows)
    found: list[FoundView] = []
    skipped: list[Skipped] = []
    for row in rows:
        try:
            found.append(_found(row, files[row["image"]], marks.get(row["image"]), root=root, spacing=spacing))
        except TruthUnusable as error:
            skipped.append(Skipped(where=row["image"], reason=str(error)))
    sources = {each.exam: row_source for each, row_source in zip(found, _sources(found, rows, root), strict=True)}
    exams = tuple(replace(exam, source=sources[exam.name.split("+")[0]]) for exam in exams_of(found))
    name = root.resolve().name
    return Collection(
        name=name, citation=f"{len(rows)} rows of {MANIFEST}", remarks=(), exams=exams, skipped=tuple(skipped)
    )


def _sources(found: list[FoundView], rows: list[Row], root: Path) -> list[str]:
    named = {row["image"]: _source(row, root) for row in rows}
    return [named[each.view.name] for each in found]


def _source(row: Row, root: Path) -> str:
    return row.get("dataset") or root.resolve().name


def _files(root: Path, rows: list[Row]) -> Mapping[str, Path]:
    """The file of each row; SOP Instance UIDs are looked up in the headers of all files, where one is used."""
    paths = {row["image"]: root / row["image"] for row in rows}
    if all(path.is_file() for path in paths.values()):
        return paths
    by_uid = {}
    for path in sorted(root.rglob("*.dcm")):
        by_uid[str(dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True).SOPInstanceUID)] = path
    return {name: by_uid.get(name, path) for name, path in paths.items()}


def _nipples(path: Path) -> dict[str, Nipple]:
    if not path.is_file():
        return {}
    rows = read_table(path, needed=("image", "x", "y", "in_profile"))
    return {
        row["image"]: Nipple(point=(float(row["x"]), float(row["y"])), in_profile=_PROFILE.get(row["in_profile"]))
        for row in rows
    }


def _found(row: Row, path: Path, nipple: Nipple | None, *, root: Path, spacing: AssumedSpacing | None) -> FoundView:
    slot = view_of(row["laterality"], row["view"])
    if not path.is_file():
        raise TruthUnusable("The image file is missing.")
    lesions = _lesions(row, root)
    if row.get("kind") == "mass" and not lesions:
        raise TruthUnusable("The image shows a mass that nobody placed: it is neither a positive nor a normal one.")
    film = row["medium"] == "film" if row.get("medium") else _source(row, root).startswith(FILMS)
    view = SourceView(
        view=slot,
        name=row["image"],
        picture=_picture(row, path, film=film, spacing=spacing),
        lesions=lesions,
        ignored=MaskRegion(path=root / row["ignore"]) if row.get("ignore") else None,
        nipple=nipple,
        spacing_known=path.suffix == ".dcm" or row.get("spacing_known", "").startswith("known"),
        film=film,
    )
    exam = row.get("exam") or row["patient"]
    return FoundView(patient=row["patient"], exam=exam, part=_PARTS.get(row.get("split", "").lower()), view=view)


def _picture(row: Row, path: Path, *, film: bool, spacing: AssumedSpacing | None) -> DicomPicture | PlainPicture:
    if path.suffix == ".dcm":
        return DicomPicture(path=path, spacing=spacing)
    stated = row.get("spacing_mm") or (str(spacing.mm) if spacing else "")
    side = row.get("chest_wall")
    return PlainPicture(
        path=path,
        spacing_mm=float(stated) if stated else None,
        height_mm=ASSUMED_HEIGHT_MM,
        chest_wall_right=side == "right" if film and side in {"left", "right"} else None,
    )


def _lesions(row: Row, root: Path) -> tuple[Lesion, ...]:
    """The masses of an image: outlines where they are known, else boxes."""
    malignant = _malignant(row.get("pathology", ""))
    grade = birads(row.get("birads", ""))
    regions: list[tuple[Region, bool]] = [(Polygon(points=points), True) for points in _polygons(row)]
    mask = root / row["mask"] if row.get("mask") else None
    for box in _boxes(row):
        region = _outline(mask, box) if mask else None
        regions.append((region or Rectangle(box=box), region is not None))
    return tuple(
        Lesion(label=None, region=region, birads=grade, malignant=malignant, outlined=outlined)
        for region, outlined in regions
    )


def _boxes(row: Row) -> list[Box]:
    try:
        return [Box(*(float(corner) for corner in corners)) for corners in json.loads(row.get("boxes") or "[]")]
    except (TypeError, ValueError):
        raise TruthUnusable("The column boxes is not a JSON list of x0, y0, x1, y1.") from None


def _polygons(row: Row) -> list[Outline]:
    try:
        found = json.loads(row.get("polygons") or "[]")
        return [tuple((float(x), float(y)) for x, y in points) for points in found]
    except (TypeError, ValueError):
        raise TruthUnusable("The column polygons is not a JSON list of lists of x, y.") from None


def _malignant(pathology: str) -> bool | None:
    """By the words of the column; None for what is unknown, normal or both."""
    benign, malignant = "BENIGN" in pathology.upper(), "MALIGNANT" in pathology.upper()
    return None if benign is malignant else malignant


def _outline(path: Path, box: Box) -> MaskRegion | None:
    """The part of the mask in a box, if it is as large as the box says."""
    part = _within(_read_mask(path), box)
    if not part.any():
        return None
    seen = bounds(part)
    width = min(seen.x1, box.x1) - max(seen.x0, box.x0)
    height = min(seen.y1, box.y1) - max(seen.y0, box.y0)
    shared = max(width, 0) * max(height, 0)
    whole = seen.width * seen.height + box.width * box.height - shared
    return MaskRegion(path=path, box=box) if shared >= OUTLINE_IOU * whole else None


def _within(inside: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """The pixels of a mask that a box holds."""
    part = np.zeros_like(inside)
    rows = slice(max(int(box.y0), 0), int(np.ceil(box.y1)))
    columns = slice(max(int(box.x0), 0), int(np.ceil(box.x1)))
    part[rows, columns] = inside[rows, columns]
    return part


def _read_mask(path: Path) -> NDArray[np.bool_]:
    plane = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if plane is None:
        raise TruthUnusable(f"The mask {path.name} cannot be read.")
    return np.asarray(plane > 127, dtype=np.bool_)  # noqa: PLR2004 - half of 255
