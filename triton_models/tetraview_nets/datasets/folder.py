"""Anybody's mammograms as one folder: images and a spreadsheet with the known facts about them.

``manifest.csv`` has one row an image. Columns that must be there: ``image``, a file below the folder or the SOP
Instance UID of a DICOM file in it; ``patient``, ``laterality`` (L, R) and ``view`` (CC, MLO). The others may be left
out or empty, and their content is then unknown:

* ``exam``: the same for images that were taken together; without it a patient has one exam.
* ``dataset``: the name of the data set; without it that of the folder.
* ``medium``: ``film`` or ``digital``. ``chest_wall``: ``left`` or ``right``, the side seen in the picture, which
  decides how films are turned: they may have been scanned with either side up.
* ``spacing_mm``: size of square pixels. ``spacing_known``: text that begins with ``known`` where it was measured.
* ``boxes``: JSON list of x0, y0, x1, y1 around masses; ``polygons``: JSON list of outlines, each a list of x, y;
  ``mask``: a file, 255 inside masses, from which the boxes take their outlines; without boxes each of its pieces is a
  mass. A polygon in a box is that box's mass.
* ``ignore``: a file, 255 inside regions that count neither as a mass nor as a false positive.
* ``kind``: ``mass`` where the image shows one, another word where it shows none, ``unknown`` where nobody knows. An
  image shows no mass if this says so or ``boxes`` is ``[]``; with neither, or with a mass that nobody placed, it is
  left out.
* ``pathology`` of the masses: MALIGNANT or BENIGN; ``birads``: the image's category, of which 4 to 6 stand for
  malignant where there is no pathology.
* ``split``: train, val or test; all images of a patient in the same.

``nipples.csv``, if it is there: ``image``, ``x``, ``y`` and ``in_profile`` (yes, no, unsure). Files that end in
``.dcm`` or in nothing known are DICOM, the others PNG, JPEG or TIFF.

All coordinates are pixels of the stored image, continuous, origin at the outer corner of the first one.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

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
#: Pixels of a mask's piece that is no speck.
LEAST_PIECE = 16
_NEEDED = ("image", "patient", "laterality", "view")
_COLUMNS = (
    *_NEEDED,
    *("exam", "dataset", "medium", "chest_wall", "spacing_mm", "spacing_known", "boxes", "polygons", "mask", "ignore"),
    *("kind", "pathology", "birads", "split"),
)
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
        DatasetUnusable: there is no manifest, it has no rows, a column is missing or misspelt, a mark of a nipple is no
            pair of numbers, or a patient is in two parts.
    """
    if not (root / MANIFEST).is_file():
        raise DatasetUnusable(f"{root} holds no {MANIFEST}: it names the images, see `tetraview_nets.datasets.folder`")
    marks = _nipples(root / NIPPLES)
    rows = read_table(root / MANIFEST, needed=_NEEDED)
    if not rows:
        raise DatasetUnusable(f"{root / MANIFEST} has no rows: it needs one for each image")
    _refuse_misspelt(rows[0], root / MANIFEST)
    files = _files(root, rows)
    found: list[FoundView] = []
    skipped: list[Skipped] = []
    for row in rows:
        try:
            found.append(_found(row, files[row["image"]], marks.get(row["image"]), root=root, spacing=spacing))
        except TruthUnusable as error:
            skipped.append(Skipped(where=row["image"], reason=str(error)))
    _refuse_divided(found)
    return Collection(
        name=root.resolve().name,
        citation=f"{len(rows)} rows of {MANIFEST}",
        remarks=(),
        exams=exams_of(found),
        skipped=tuple(skipped),
    )


def _refuse_misspelt(row: Row, path: Path) -> None:
    """Refuse a misspelt column, as its author believes that it is read."""
    for name in set(row) - set(_COLUMNS):
        near = get_close_matches(name, set(_COLUMNS) - set(row), n=1, cutoff=0.8)
        if near:
            raise DatasetUnusable(f"{path} has a column {name!r}, which is not read: is it {near[0]!r}?")


def _refuse_divided(found: Sequence[FoundView]) -> None:
    parts: dict[str, set[str]] = defaultdict(set)
    for each in found:
        parts[each.patient].add(each.part or "no split")
    divided = sorted(patient for patient, own in parts.items() if len(own) > 1)
    if divided:
        patient = divided[0]
        more = f", and {len(divided) - 1} more" if len(divided) > 1 else ""
        raise DatasetUnusable(
            f"patient {patient} is in {' and '.join(sorted(parts[patient]))}{more}: "
            f"what is chosen on a part must not come from patients of another"
        )


def _source(row: Row, root: Path) -> str:
    return row.get("dataset") or root.resolve().name


def _files(root: Path, rows: list[Row]) -> Mapping[str, Path]:
    """The file of each row; SOP Instance UIDs are looked up in the headers of all files, where one is used."""
    paths = {row["image"]: root / row["image"] for row in rows}
    if all(path.is_file() for path in paths.values()):
        return paths
    by_uid = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file() and _is_dicom(path)):
        with suppress(InvalidDicomError):
            by_uid[str(dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True).SOPInstanceUID)] = path
    return {name: by_uid.get(name, path) for name, path in paths.items()}


def _nipples(path: Path) -> dict[str, Nipple]:
    if not path.is_file():
        return {}
    rows = read_table(path, needed=("image", "x", "y", "in_profile"))
    marks = {}
    for row in rows:
        if not row["x"] and not row["y"]:
            continue
        try:
            point = float(row["x"]), float(row["y"])
        except ValueError:
            raise DatasetUnusable(f"{path}, image {row['image']}: x and y are not two numbers") from None
        marks[row["image"]] = Nipple(point=point, in_profile=_PROFILE.get(row["in_profile"]))
    return marks


def _found(row: Row, path: Path, nipple: Nipple | None, *, root: Path, spacing: AssumedSpacing | None) -> FoundView:
    slot = view_of(row["laterality"], row["view"])
    if not path.is_file():
        raise TruthUnusable("The image file is missing.")
    lesions = _lesions(row, root)
    _refuse_unknown(row, lesions)
    film = row["medium"] == "film" if row.get("medium") else _source(row, root).startswith(FILMS)
    view = SourceView(
        view=slot,
        name=row["image"],
        picture=_picture(row, path, film=film, spacing=spacing),
        lesions=lesions,
        ignored=MaskRegion(path=root / row["ignore"]) if row.get("ignore") else None,
        nipple=nipple,
        spacing_known=_is_dicom(path) or row.get("spacing_known", "").startswith("known"),
        film=film,
    )
    return FoundView(
        # Patients of two data sets may have one number.
        patient=f"{_source(row, root)} {row['patient']}",
        exam=row.get("exam") or row["patient"],
        part=_part(row.get("split", "")),
        source=_source(row, root),
        view=view,
    )


def _part(split: str) -> str | None:
    """Raises TruthUnusable for a word that is none of the parts."""
    if split and split.lower() not in _PARTS:
        raise TruthUnusable(f"The column split says {split!r}, not train, val or test.")
    return _PARTS.get(split.lower())


def _refuse_unknown(row: Row, lesions: Sequence[Lesion]) -> None:
    """Refuse an image that may show a mass nobody placed: it is neither a positive nor a normal image."""
    kind = row.get("kind", "").lower()
    if lesions:
        return
    if kind == "mass":
        raise TruthUnusable("The image shows a mass that nobody placed: it is neither a positive nor a normal one.")
    if kind == "unknown" or not (kind or row.get("boxes") or row.get("polygons") or row.get("mask")):
        raise TruthUnusable("Nobody said whether the image shows a mass; boxes [] or a kind say that it does not.")


def _is_dicom(path: Path) -> bool:
    """By the file's name."""
    suffix = path.suffix.lower()
    return suffix == ".dcm" or not suffix or suffix[1:].isdigit()


def _picture(row: Row, path: Path, *, film: bool, spacing: AssumedSpacing | None) -> DicomPicture | PlainPicture:
    if _is_dicom(path):
        return DicomPicture(path=path, spacing=spacing)
    side = row.get("chest_wall")
    return PlainPicture(
        path=path,
        spacing_mm=_stated_spacing(row) or (spacing.mm if spacing else None),
        height_mm=ASSUMED_HEIGHT_MM,
        chest_wall_right=side == "right" if film and side in {"left", "right"} else None,
    )


def _stated_spacing(row: Row) -> float | None:
    text = row.get("spacing_mm", "")
    try:
        found = float(text) if text else None
    except ValueError:
        found = math.nan
    if found is not None and not 0 < found < math.inf:
        raise TruthUnusable(f"The column spacing_mm says {text!r}, not how many millimetres a pixel measures.")
    return found


def _lesions(row: Row, root: Path) -> tuple[Lesion, ...]:
    """The masses of an image: outlines where they are known, else boxes."""
    malignant = _malignant(row.get("pathology", ""))
    grade = birads(row.get("birads", ""))
    outlines = _polygons(row)
    regions: list[tuple[Region, bool]] = [(Polygon(points=points), True) for points in outlines]
    mask = root / row["mask"] if row.get("mask") else None
    for box in _boxes(row) or (_pieces(mask) if mask and not outlines else []):
        if any(Box.around(points).iou(box) >= OUTLINE_IOU for points in outlines):
            continue
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


def _pieces(mask: Path) -> list[Box]:
    """The bounds of the pieces of a mask, specks left out."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(_read_mask(mask).astype(np.uint8), connectivity=8)
    return [Box(x, y, x + width, y + height) for x, y, width, height, area in stats[1:].tolist() if area >= LEAST_PIECE]


def _malignant(pathology: str) -> bool | None:
    """Malignancy by the words of the column; None where it is unknown, normal or both."""
    benign, malignant = "BENIGN" in pathology.upper(), "MALIGNANT" in pathology.upper()
    return None if benign is malignant else malignant


def _outline(path: Path, box: Box) -> MaskRegion | None:
    """The part of the mask in a box, if it is as large as the box says."""
    part = _within(_read_mask(path), box)
    if not part.any():
        return None
    return MaskRegion(path=path, box=box) if bounds(part).iou(box) >= OUTLINE_IOU else None


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
