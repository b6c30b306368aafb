"""A mass from the pixels of an image to its mask in the Segmentation: nothing on the way may move it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tetraview.domain.detection import Detection, Detections, ViewDetections
from tetraview.domain.geometry import Box
from tetraview.domain.output import OUTPUTS
from tetraview.domain.reading import Model
from tetraview.domain.view import Route, View
from tetraview.files import find_exams
from tetraview.imaging.decode import DecodeLimits
from tetraview.inference import DetectorInput, DetectorView, Masks, Models, PatchAnswer, PatchInput
from tetraview.phantom import RECIPES, PhantomExam, generate
from tetraview.phantom.dicom import to_dataset
from tetraview.reader import ExamReader
from tetraview.report import write_report
from tetraview.settings import Stages

torch = pytest.importorskip("torch")
outline = pytest.importorskip("tetraview_nets.outline")

MODEL = Model(
    name="mommi", version="1", preset="slim", weights_sha256="0" * 64, generator_version="1", training_data="none"
)
Mask = NDArray[np.bool_]


class BrightnessDetector:
    """Takes for a mass what is brighter than half of full scale, outlined as the networks outline their map."""

    def check(self) -> DetectorInput:
        return DetectorInput(height=512, width=256, spacing_mm=0.45)

    def detect(self, exam_id: str, views: Sequence[DetectorView]) -> Detections:
        assert exam_id
        found = tuple(
            ViewDetections(
                view=view.view,
                route=Route.SINGLE,
                nipple=(0.0, 0.0),
                nipple_confidence=0.0,
                detections=(brightest(view.image),),
            )
            for view in views
        )
        return Detections(views=found, model=MODEL, operating_points={"balanced": dict.fromkeys(Route, 0.5)})


class BrightnessSegmenter:
    """Outlines what is brighter than half of full scale in a patch."""

    def check(self) -> PatchInput:
        return PatchInput(size=128, margin=1.5, min_side_mm=15.0)

    def read(self, exam_id: str, patches: Sequence[NDArray[np.float32]], *, size: int) -> PatchAnswer:
        assert exam_id
        batch = np.asarray(patches, np.float32).reshape(-1, size, size)
        masks = Masks(probability=batch, threshold=np.full(len(batch), 0.5, np.float32))
        return PatchAnswer(model=replace(MODEL, name="brightness"), masks=masks, gradings=None)


def brightest(image: NDArray[np.float32]) -> Detection:
    y, x = np.nonzero(image > 0.5)
    box = Box(float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1))
    points = outline.trace(torch.from_numpy(image.copy()), torch.tensor([box.x0, box.y0, box.x1, box.y1]))
    return Detection(box=box, outline=tuple((x, y) for x, y in points.tolist()), score=0.9)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How a device stores the 518 by 398 pixels of 0.45 mm of a phantom."""

    #: Row and column spacing, millimetres.
    spacing_mm: tuple[float, float] = (0.45, 0.45)
    #: Rows cut off above and below, columns away from the chest wall, at 0.45 mm.
    cut: tuple[int, int, int] = (0, 0, 0)
    mirrored: bool = False
    upside_down: bool = False
    transposed: bool = False

    def matrix(self, pixels: NDArray[Any], *, chest_wall_right: bool) -> NDArray[Any]:
        above, below, away = self.cut
        rows, columns = pixels.shape
        side = slice(away, columns) if chest_wall_right else slice(0, columns - away)
        pixels = pixels[above : rows - below, side]
        size = round(pixels.shape[1] * 0.45 / self.spacing_mm[1]), round(pixels.shape[0] * 0.45 / self.spacing_mm[0])
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
        pixels = pixels[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        return np.ascontiguousarray(pixels.T if self.transposed else pixels)

    def orientation(self, directions: tuple[str, str]) -> list[str]:
        along, down = directions
        opposite = str.maketrans("APLRHF", "PARLFH")
        along = along.translate(opposite) if self.mirrored else along
        down = down.translate(opposite) if self.upside_down else down
        return [down, along] if self.transposed else [along, down]

    def spacing(self) -> list[float]:
        return list(self.spacing_mm[::-1] if self.transposed else self.spacing_mm)


@pytest.fixture(scope="module")
def phantom() -> PhantomExam:
    """An exam with islands, which are in all four views."""
    return generate(3, recipe=replace(RECIPES["training"], islands_mean=3.0, area_median_mm2=600.0))


def store(phantom: PhantomExam, storage: Storage, folder: Path) -> dict[View, Mask]:
    """Write the four views with their largest object far brighter than all else; its mask in stored pixels by view."""
    folder.mkdir()
    truth = {}
    for view, image in phantom.views.items():
        largest = max(image.objects, key=lambda found: found.area_mm2)
        right = view.laterality == "R"
        mask = storage.matrix(largest.mask.astype(np.float32), chest_wall_right=right)
        grey = storage.matrix(image.pixels.astype(np.float32), chest_wall_right=right)
        if image.photometric_interpretation == "MONOCHROME1":
            grey = 4095 - grey
        pixels = np.round((0.25 * grey) * (1 - mask) + 4000 * mask).astype(np.uint16)
        plain = replace(image, pixels=pixels, photometric_interpretation="MONOCHROME2")
        dataset = to_dataset(replace(phantom, views={view: plain}), view, number=1)
        dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 2048, 4096, "LINEAR"
        dataset.ImagerPixelSpacing = storage.spacing()
        dataset.PatientOrientation = storage.orientation(image.patient_orientation)
        save(dataset, folder / f"{view}.dcm")
        truth[view] = mask > 0.5
    return truth


def save(dataset: Dataset, path: Path) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


def read(folder: Path, *, segmenter: Literal["unetpp_segmenter", "none"]) -> Mapping[str, Dataset]:
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
    results = write_report(exam, reading, spool=Path("/"), folder=out, outputs=[OUTPUTS["ohif"]])
    return {Path(result.path).name: dcmread(out / result.path) for result in results}


def dice(one: Mask, other: Mask) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def centre_mm(mask: Mask, storage: Storage) -> tuple[float, float]:
    """The middle of a mask, down and across the stored image, millimetres."""
    rows, columns = np.nonzero(mask)
    row_mm, column_mm = storage.spacing()
    return float(rows.mean() + 0.5) * row_mm, float(columns.mean() + 0.5) * column_mm


def regions(report: Dataset) -> dict[str, NDArray[np.int32]]:
    """The polygons of a report by the image that they lie on, [n, 2] as OpenCV fills them."""
    groups = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    found = {}
    for group in groups[0].ContentSequence:
        (region,) = (item for item in group.ContentSequence if item.ValueType == "SCOORD")
        points = np.array(region.GraphicData).reshape(-1, 2) - 0.5
        image = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        found[str(image)] = np.round(points * 16).astype(np.int32)
    return found


@pytest.mark.parametrize(
    "storage",
    [
        Storage(),
        Storage(spacing_mm=(0.2, 0.2)),
        Storage(spacing_mm=(0.3, 0.4), cut=(25, 60, 40)),
        Storage(spacing_mm=(0.5, 0.31), cut=(60, 5, 0), upside_down=True),
        Storage(spacing_mm=(0.35, 0.35), mirrored=True),
        Storage(spacing_mm=(0.3, 0.4), transposed=True, mirrored=True),
    ],
    ids=["plain", "fine", "cut", "upside-down", "mirrored", "transposed"],
)
@pytest.mark.parametrize("segmenter", ["none", "unetpp_segmenter"])
def test_a_mass_comes_back_where_it_is(phantom: PhantomExam, storage: Storage, segmenter: Any, tmp_path: Path) -> None:
    """However an image is stored and whoever outlines, Segmentation and report cover the mass that is in its pixels."""
    truth = store(phantom, storage, tmp_path / "exam")
    written = read(tmp_path / "exam", segmenter=segmenter)
    polygons = regions(written["sr.dcm"])
    for view, mask in truth.items():
        segmentation = written[f"seg-{view}.dcm"]
        segment = segmentation.pixel_array.astype(np.bool_)
        outliner = "mommi" if segmenter == "none" else "brightness"
        assert [found.SegmentAlgorithmName for found in segmentation.SegmentSequence] == [outliner]
        assert dice(segment, mask) >= 0.98, view
        # Half a canonical pixel aside would be 0.22 mm.
        assert centre_mm(segment, storage) == pytest.approx(centre_mm(mask, storage), abs=0.15), view
        source = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
        region = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(region, [polygons[str(source)]], 1, shift=4)
        assert dice(region > 0, segment) >= 0.98, view
