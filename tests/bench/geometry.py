"""How far from a mass its outlines land, after the whole way from the pixels of an image to what viewers draw.

Phantom exams are stored in many ways: turned, cut, finely, coarsely and unevenly spaced, dark on white. Each mass is
sharp on the stored pixels and evenly bright in even tissue, so that its edge is known to the pixel. Stand-ins for the
networks answer the truth as far as their own grid can hold it: the remaining error is that of our geometry. The
detector's stand-in sees the canonical frame of 0.45 mm, the segmenter's a patch of 128 by 128 around each finding.

    usage: python -m tests.bench.geometry

Errors are from the mass in the stored pixels to the Segmentation, the SCOORD of the measurement report and the graphic
of the presentation state: the distance of their centres of gravity, and how far out the edge lies on average.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tetraview.domain.delivery import ResultKind
from tetraview.domain.detection import Detection, Detections, ViewDetections
from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Box
from tetraview.domain.output import OUTPUTS
from tetraview.domain.patch import PatchShape
from tetraview.domain.reading import Model
from tetraview.domain.view import Route, View
from tetraview.imaging.decode import DecodeLimits
from tetraview.inference import DetectorView, Masks, Models, PatchAnswer
from tetraview.phantom import RECIPES, PhantomExam, generate
from tetraview.phantom.dicom import to_dataset
from tetraview.reading.reader import ExamReader
from tetraview.report import write_report
from tetraview.settings import Stages
from tetraview.tools.files import find_exams
from tetraview_nets.mommi import outline

#: Spacing of the canonical frame, millimetres, and of the phantom as it is generated.
CANONICAL_MM = PHANTOM_MM = 0.45
MODEL = Model(name="mommi", version="1", preset="slim", weights_sha256="0" * 64, generator_version="1")
_KINDS = (ResultKind.SEGMENTATION, ResultKind.MEASUREMENT_REPORT, ResultKind.PRESENTATION_STATE)
_TISSUE, _MASS, _WHITE = 2200, 4000, 4095

Segmenter = Literal["unetpp_segmenter", "none"]
Mask = NDArray[np.bool_]
Polygon = NDArray[np.float64]


class BrightnessDetector:
    """Detects a mass wherever one covers half of a pixel, and outlines it as the networks outline their map."""

    def check(self) -> Frame:
        return Frame(height=512, width=256, spacing_mm=CANONICAL_MM)

    def detect(self, exam_id: str, views: Sequence[DetectorView]) -> Detections:
        assert exam_id
        found = tuple(
            ViewDetections(
                view=view.view,
                route=Route.SINGLE,
                nipple=(0.0, 0.0),
                nipple_confidence=0.0,
                detections=(_detection(_covered(view.image)),),
            )
            for view in views
        )
        return Detections(views=found, model=MODEL, operating_points={"balanced": dict.fromkeys(Route, 0.5)})


class BrightnessSegmenter:
    """Outlines the pixels of a patch that a mass covers by half."""

    def check(self) -> PatchShape:
        return PatchShape(size=128, margin=1.5, min_side_mm=15.0)

    def read(self, exam_id: str, patches: Sequence[NDArray[np.float32]], *, size: int) -> PatchAnswer:
        assert exam_id
        batch = np.stack([_covered(patch.reshape(size, size)) for patch in patches])
        masks = Masks(probability=batch, threshold=np.full(len(batch), 0.5, np.float32))
        return PatchAnswer(model=replace(MODEL, name="brightness"), masks=masks, gradings=None)


def _covered(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of each pixel the mass covers: the mass is brightest, most other pixels are tissue or dark."""
    mass = image.max()
    between = image[(image > 0.1 * mass) & (image < 0.9 * mass)]
    # Tissue that is even to the last pixel may be the darkest grey of the breast, which becomes 0. Between lie
    # then the few pixels that a mass covers in part.
    tissue = np.median(between) if between.size > np.count_nonzero(image >= 0.9 * mass) else 0.0
    return np.clip((image - tissue) / (mass - tissue), 0.0, 1.0)


def _detection(covered: NDArray[np.float32]) -> Detection:
    y, x = np.nonzero(covered > 0.5)
    box = Box(float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1))
    points = outline.trace(torch.from_numpy(covered), torch.tensor([box.x0, box.y0, box.x1, box.y1]))
    return Detection(box=box, outline=tuple((x, y) for x, y in points.tolist()), score=0.9)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How a device stores the 518 by 398 pixels of 0.45 mm of a phantom."""

    name: str
    #: Row and column spacing, millimetres.
    spacing_mm: tuple[float, float] = (0.45, 0.45)
    #: Rows cut off above and below, columns away from the chest wall, at 0.45 mm.
    cut: tuple[int, int, int] = (0, 0, 0)
    mirrored: bool = False
    upside_down: bool = False
    transposed: bool = False
    #: MONOCHROME1.
    dark_on_white: bool = False

    def matrix(self, pixels: NDArray[Any], *, chest_wall_right: bool) -> NDArray[np.float32]:
        """Pixels of 0.45 mm as they are stored, interpolated."""
        above, below, away = self.cut
        rows, columns = pixels.shape
        side = slice(away, columns) if chest_wall_right else slice(0, columns - away)
        pixels = pixels[above : rows - below, side].astype(np.float32)
        row_mm, column_mm = self.spacing_mm
        size = round(pixels.shape[1] * PHANTOM_MM / column_mm), round(pixels.shape[0] * PHANTOM_MM / row_mm)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
        pixels = pixels[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        return np.ascontiguousarray(pixels.T if self.transposed else pixels)

    def orientation(self, directions: tuple[str, str]) -> list[str]:
        """Patient Orientation of rows and columns as they are stored."""
        along, down = directions
        opposite = str.maketrans("APLRHF", "PARLFH")
        along = along.translate(opposite) if self.mirrored else along
        down = down.translate(opposite) if self.upside_down else down
        return [down, along] if self.transposed else [along, down]

    def spacing(self) -> list[float]:
        """Row and column spacing of the rows and columns that are stored."""
        return list(self.spacing_mm[::-1] if self.transposed else self.spacing_mm)


STORAGES = (
    Storage(name="canonical"),
    Storage(name="coarse", spacing_mm=(0.5, 0.5)),
    Storage(name="fine", spacing_mm=(0.2, 0.2), cut=(0, 0, 3)),
    Storage(name="uneven, cut", spacing_mm=(0.3, 0.4), cut=(25, 60, 40)),
    Storage(name="uneven, upside down", spacing_mm=(0.5, 0.31), cut=(60, 5, 0), upside_down=True),
    Storage(name="mirrored", spacing_mm=(0.35, 0.35), mirrored=True, dark_on_white=True),
    Storage(name="transposed, mirrored", spacing_mm=(0.3, 0.4), transposed=True, mirrored=True),
    Storage(name="turned by 180", spacing_mm=(0.25, 0.25), cut=(7, 13, 5), mirrored=True, upside_down=True),
    Storage(name="native 0.1 mm", spacing_mm=(0.1, 0.1), cut=(11, 0, 2), dark_on_white=True),
    Storage(name="native 0.0941 mm, mirrored", spacing_mm=(0.0941, 0.0941), mirrored=True),
    Storage(name="native 0.07 mm", spacing_mm=(0.07, 0.07), cut=(40, 40, 60)),
)


@dataclass(frozen=True, kw_only=True)
class Landed:
    """Position of the outline of one mass in one object."""

    storage: Storage
    segmenter: Segmenter
    view: View
    #: Rows and Columns of the image.
    shape: tuple[int, int]
    #: Author of the outline, as the Segmentation names it.
    outliner: str
    #: ``SEG``, ``SR`` or ``PR``.
    kind: ResultKind
    #: From the mass to the outline, columns and rows, stored pixels.
    shift: tuple[float, float]
    #: How far the edge lies outside that of the mass on average, stored pixels; inside is negative.
    outwards: float
    dice: float

    @property
    def error(self) -> float:
        """Length of the shift, stored pixels."""
        return math.hypot(*self.shift)

    @property
    def error_mm(self) -> float:
        """Length of the shift, millimetres."""
        row_mm, column_mm = self.storage.spacing()
        return math.hypot(self.shift[0] * column_mm, self.shift[1] * row_mm)


def phantom() -> PhantomExam:
    """An exam with islands, which are in all four views."""
    return generate(3, recipe=replace(RECIPES["training"], islands_mean=3.0, area_median_mm2=600.0))


def measure(exam: PhantomExam, storage: Storage, folder: Path, *, segmenter: Segmenter) -> Iterator[Landed]:
    """Store an exam, read it, write its results and measure where the outlines lie.

    Args:
        exam: a phantom with an object in every view.
        storage: how it is stored.
        folder: an empty folder.
        segmenter: whose outlines to measure; ``none`` for the detector's.
    """
    truths = store(exam, storage, folder)
    written = read(folder, segmenter=segmenter)
    regions = _regions(written["sr.dcm"])
    for view, truth in truths.items():
        mask = written[f"seg-{view}.dcm"]
        graphic = written[f"pr-{view}.dcm"].GraphicAnnotationSequence[0].GraphicObjectSequence[0]
        source = mask.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
        pixels = mask.pixel_array.astype(np.bool_)
        found = {
            ResultKind.SEGMENTATION: (pixels, _centre(pixels)),
            ResultKind.MEASUREMENT_REPORT: _filled(regions[source], truth.shape),
            ResultKind.PRESENTATION_STATE: _filled(np.reshape(graphic.GraphicData, (-1, 2)), truth.shape),
        }
        x, y = _centre(truth)
        for kind, (area, centre) in found.items():
            yield Landed(
                storage=storage,
                segmenter=segmenter,
                view=view,
                shape=truth.shape,
                outliner=mask.SegmentSequence[0].SegmentAlgorithmName,
                kind=kind,
                shift=(centre[0] - x, centre[1] - y),
                outwards=float(area.sum() - truth.sum()) / _perimeter(truth),
                dice=2 * float((area & truth).sum()) / float(area.sum() + truth.sum()),
            )


def store(exam: PhantomExam, storage: Storage, folder: Path) -> dict[View, Mask]:
    """Write the four views with their largest object in even tissue; its mask in stored pixels by view."""
    truths = {}
    for view, image in exam.views.items():
        largest = max(image.objects, key=lambda found: found.area_mm2)
        grey = image.pixels.astype(np.float32)
        if image.photometric_interpretation == "MONOCHROME1":
            grey = grey.max() - grey
        right = view.laterality == "R"
        mass, tissue = (
            storage.matrix(part, chest_wall_right=right) > 0.5 for part in (largest.mask, grey > 0.05 * grey.max())
        )
        pixels = np.where(mass, _MASS, np.where(tissue, _TISSUE, 0)).astype(np.uint16)
        photometric = "MONOCHROME1" if storage.dark_on_white else "MONOCHROME2"
        stored = _WHITE - pixels if storage.dark_on_white else pixels
        plain = replace(image, pixels=stored, photometric_interpretation=photometric)
        dataset = to_dataset(replace(exam, views={view: plain}), view, number=1)
        dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 2048, 4096, "LINEAR"
        dataset.ImagerPixelSpacing = storage.spacing()
        dataset.PatientOrientation = storage.orientation(image.patient_orientation)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(folder / f"{view}.dcm", enforce_file_format=True)
        truths[view] = mass
    return truths


def read(folder: Path, *, segmenter: Segmenter) -> dict[str, Dataset]:
    """The result objects of the exam in a folder, by name."""
    (exam,) = find_exams([folder]).exams
    out = folder / "out"
    out.mkdir()
    models = Models(
        detectors={"mommi_detector": BrightnessDetector()},  # type: ignore[dict-item]
        patch_models={"unetpp_segmenter": BrightnessSegmenter()},  # type: ignore[dict-item]
        classifiers=frozenset(),
    )
    reader = ExamReader(
        models=models,
        stages_of=lambda _: Stages(segmenter=segmenter, classifier="none"),
        spool=Path("/"),
        limits=DecodeLimits(),
        operating_point="balanced",
    )
    reading = reader.read(exam, folder=out)
    output = replace(OUTPUTS["pacs"], objects=_KINDS)
    results = write_report(exam, reading, spool=Path("/"), folder=out, outputs=[output])
    return {Path(result.path).name: dcmread(out / result.path) for result in results}


def _regions(report: Dataset) -> dict[str, Polygon]:
    """The polygons of a report by the image that they lie on."""
    (groups,) = (item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010")
    found = {}
    for group in groups.ContentSequence:
        (region,) = (item for item in group.ContentSequence if item.ValueType == "SCOORD")
        image = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        found[image] = np.reshape(region.GraphicData, (-1, 2))
    return found


def _centre(mask: Mask) -> tuple[float, float]:
    """The centre of gravity of the pixels of a mask, column and row from the corner of the first pixel."""
    rows, columns = np.nonzero(mask)
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def _filled(polygon: Polygon, shape: tuple[int, int]) -> tuple[Mask, tuple[float, float]]:
    """The pixels whose centres lie in a closed polygon, and its centre of gravity by the formula of the trapezoids."""
    mask = np.zeros(shape, np.bool_)
    (x, y), (next_x, next_y) = polygon[:-1].T, polygon[1:].T
    for row in range(math.floor(y.min()), math.ceil(y.max())):
        passed = (y <= row + 0.5) != (next_y <= row + 0.5)
        crossings = x[passed] + (row + 0.5 - y[passed]) * (next_x - x)[passed] / (next_y - y)[passed]
        edges = np.ceil(np.sort(crossings) - 0.5).astype(int)
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            mask[row, left:right] = True
    (x, y), (next_x, next_y) = (polygon[:-1] - polygon[0]).T, (polygon[1:] - polygon[0]).T
    cross = x * next_y - next_x * y
    centre = polygon[0] + np.array([((x + next_x) * cross).sum(), ((y + next_y) * cross).sum()]) / (3 * cross.sum())
    return mask, (float(centre[0]), float(centre[1]))


def _perimeter(mask: Mask) -> float:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return float(cv2.arcLength(max(contours, key=len), closed=True))


def table(landed: Sequence[Landed]) -> Iterator[str]:
    """A row for each storage and outliner: the worst and mean error of each object over the views."""
    yield (
        "| stored | rows x columns | outline by | "
        + " | ".join(f"{kind} max, mean" for kind in _KINDS)
        + " | max mm | edge out | min Dice |"
    )
    yield "|" + "---|" * (len(_KINDS) + 6)
    rows = {(found.segmenter, found.storage.name): found for found in landed}
    for (segmenter, name), one in rows.items():
        same = [found for found in landed if (found.segmenter, found.storage.name) == (segmenter, name)]
        errors = [[found.error for found in same if found.kind is kind] for kind in _KINDS]
        cells = [f"{max(each):.2f}, {np.mean(each):.2f}" for each in errors]
        cells.append(f"{max(found.error_mm for found in same):.3f}")
        cells.append(f"{max((found.outwards for found in same), key=abs):+.2f}")
        cells.append(f"{min(found.dice for found in same):.3f}")
        outliner = "detector" if segmenter == "none" else "segmenter"
        yield f"| {name} | {one.shape[0]} x {one.shape[1]} | {outliner} | " + " | ".join(cells) + " |"


def main() -> None:
    """Measure everything and print the table; errors are stored pixels but for those in millimetres."""
    exam, landed = phantom(), []
    for segmenter in ("unetpp_segmenter", "none"):
        for storage in STORAGES:
            with tempfile.TemporaryDirectory() as folder:
                landed += measure(exam, storage, Path(folder), segmenter=segmenter)  # type: ignore[arg-type]
    sys.stdout.write("\n".join(table(landed)) + "\n")


if __name__ == "__main__":
    main()
