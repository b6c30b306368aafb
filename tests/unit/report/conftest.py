"""A desk where reports are written: small source images in a spool, and readings made by hand."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian
from tests.support.builders import a_finding, a_reading, a_view_reading, an_instance

from tetraview.domain.delivery import ResultObject
from tetraview.domain.exam import Exam
from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box, Outline, Point
from tetraview.domain.instance import Instance
from tetraview.domain.output import OUTPUTS, Output
from tetraview.domain.reading import Model, Reading, ViewReading
from tetraview.domain.stage import Stage
from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import Route, View
from tetraview.report import write_report

SETTLED = datetime(2026, 3, 1, 23, 30, 15, tzinfo=UTC)
STUDY = "2.25.1000"
MODEL = Model(
    name="mommi_detector",
    version="1",
    preset="slim",
    weights_sha256="0123456789abcdef" * 4,
    generator_version="1",
    data_sets=("CBIS-DDSM", "CDD-CESM", "synthetic phantoms"),
)

DCIODVFY, DSRDUMP, DSR2XML, XML2DSR = (
    Path("/usr/bin") / tool for tool in ("dciodvfy", "dsrdump", "dsr2xml", "xml2dsr")
)
#: An attribute younger than the validator; what an image of nobody cannot give; a private scheme, which is nobody's to
#: recognise.
KNOWN_WARNINGS = (
    "/DeviceUID(0018,1002)> - Attribute is not present in standard",
    "needed to build DICOMDIR",
    "CodingSchemeDesignator(0008,0102)[1]> - Unrecognized defined term = <99TETRAVIEW>",
)
#: Remarks on checks that are not made.
HARMLESS = ("VR checker does not support", "Check for template constraints not yet supported")


def image(view: View, *, shape: tuple[int, int] = (512, 416), **attributes: Any) -> FileDataset:
    """A For Presentation mammogram; keyword arguments set or, with None, remove attributes."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID(f"2.25.{list(View).index(view) + 1}")
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, "2.25.2000"
    dataset.PatientName, dataset.PatientID = "ZZCANARY^PATIENT", "ZZCANARY"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19600101", "F", "066Y"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20260301", "101530", "7", "ACC7"
    dataset.ReferringPhysicianName, dataset.StudyDescription = "REFERRER^ONE", "Screening"
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = "MG", "Maker", "Model 1"
    dataset.ImageLaterality, dataset.ViewPosition = view.laterality.value, view.position.value
    dataset.Rows, dataset.Columns = shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImagerPixelSpacing, dataset.PatientOrientation = [0.1, 0.1], ["A", "R"]
    dataset.PixelData = np.zeros(shape, np.uint16).tobytes()
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def digest(path: Path) -> str:
    """SHA-256 of the data set in a file, as intake takes it on receipt."""
    content = path.read_bytes()
    return hashlib.sha256(content[144 + int.from_bytes(content[140:144], "little") :]).hexdigest()


def circle(centre: Point, radius: float) -> Outline:
    """A polygon of 64 points."""
    turns = [2 * math.pi * k / 64 for k in range(64)]
    return tuple((centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn)) for turn in turns)


def finding(
    view: View, *, number: int = 1, centre: Point = (200.0, 250.0), radius: float = 40.0, **fields: Any
) -> Finding:
    """A round mass."""
    outline = fields.pop("outline", circle(centre, radius))
    known = {
        "box": Box.around(outline),
        "outline": outline,
        "score": 0.875,
        "long_axis_mm": radius * 0.2,
        "area_mm2": math.pi * radius**2 * 0.01,
        "nipple_distance_mm": 31.25,
    }
    return a_finding(view, number=number, **(known | fields))


@dataclass(kw_only=True)
class Desk:
    """A spool with images and their readings."""

    spool: Path
    folder: Path
    images: dict[View, Instance] = field(default_factory=dict)
    views: dict[View, ViewReading] = field(default_factory=dict)
    output: Output = OUTPUTS["ohif"]
    model: Model | None = MODEL
    segmenter: Model | None = None
    classifier: Model | None = None
    generation: int = 1

    def add(
        self,
        view: View,
        *findings: Finding,
        source: Dataset | Path | None = None,
        failure: str | None = None,
        route: Route = Route.TRI,
        warnings: Sequence[str] = (),
    ) -> Dataset:
        """Put an image into the spool with its reading."""
        if isinstance(source, Path):
            dataset, path = dcmread(source, stop_before_pixels=True), str(source)
        else:
            dataset, path = source or image(view), f"{view}.dcm"
            dataset.save_as(self.spool / path, enforce_file_format=True)
        self.images[view] = an_instance(
            view,
            sop_instance_uid=str(dataset.SOPInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            study_instance_uid=str(dataset.StudyInstanceUID),
            series_instance_uid=str(dataset.SeriesInstanceUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            sha256=digest(self.spool / path),
            path=path,
        )
        self.views[view] = a_view_reading(
            view,
            *findings,
            sop_instance_uid=str(dataset.SOPInstanceUID),
            route=None if failure else route,
            failure=failure,
            warnings=tuple(warnings),
        )
        return dataset

    def receive(self, view: View) -> None:
        """Take the bytes that a view's file holds now for those that were received."""
        image = self.images[view]
        self.images[view] = replace(image, sha256=digest(self.spool / image.path))

    def tell(self, states: Mapping[View, str]) -> None:
        """Put an image into the spool for each view that ``failed``, is ``empty`` or has a mass ``found``."""
        for view, state in states.items():
            failure = "The image's pixels cannot be decoded." if state == "failed" else None
            self.add(view, *([finding(view)] if state == "found" else []), failure=failure)
        if set(states.values()) == {"failed"}:
            self.model = None

    def show(self, view: View, *, white: tuple[int, int, int, int] = (160, 210, 240, 290)) -> None:
        """Give a view of 512 by 416 a preview of half its size, black but for a box of stored pixels."""
        preview = np.zeros((256, 208), np.uint8)
        left, top, right, bottom = (edge // 2 for edge in white)
        preview[top:bottom, left:right] = 200
        self.folder.mkdir(exist_ok=True)
        cv2.imwrite(str(self.folder / f"{view}.png"), preview)
        self.views[view] = replace(self.views[view], preview=f"{view}.png", preview_scale=0.5)

    @property
    def out(self) -> Path:
        """Where the result objects are."""
        return self.folder / self.output.name

    @property
    def exam(self) -> Exam:
        """The exam of the images."""
        return Exam(exam_id="e" * 16, generation=self.generation, images=self.images, settled_at=SETTLED)

    @property
    def reading(self) -> Reading:
        """The reading of the exam."""
        return a_reading(
            *self.views.values(),
            exam_id="e" * 16,
            generation=self.generation,
            started_at=SETTLED,
            model=self.model,
            stage_seconds={"decode": 1.0},
            segmenter=self.segmenter,
            classifier=self.classifier,
        )

    def write(
        self, outputs: Iterable[Output] = (), *, time_zone: str | None = None, predecessors: Iterable[ResultObject] = ()
    ) -> tuple[ResultObject, ...]:
        """The result objects, of the desk's own output or others."""
        return write_report(
            self.exam,
            self.reading,
            spool=self.spool,
            folder=self.folder,
            outputs=list(outputs) or [self.output],
            time_zone=time_zone,
            predecessors=tuple(predecessors),
        )

    def written(self) -> dict[str, Dataset]:
        """The result objects by file name, parsed."""
        return {Path(result.path).name: dcmread(self.folder / result.path) for result in self.write()}

    @property
    def report(self) -> Dataset:
        """The measurement report."""
        return self.written()["sr.dcm"]


def new_desk(folder: Path) -> Desk:
    """An empty desk."""
    (folder / "spool").mkdir()
    return Desk(spool=folder / "spool", folder=folder / "results")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty desk."""
    return new_desk(tmp_path)


@pytest.fixture
def full_desk(desk: Desk) -> Desk:
    """Four views: a lesion in both left views, a second mass in L-CC, nothing on the right."""
    desk.add(View.R_CC)
    second = finding(View.L_CC, number=2, centre=(300, 400), radius=25, score=0.5)
    desk.add(View.L_CC, finding(View.L_CC, lesion_certainty=0.9337), second)
    desk.add(View.R_MLO)
    desk.add(View.L_MLO, finding(View.L_MLO, lesion_certainty=0.9337, nipple_distance_mm=None))
    return desk


@pytest.fixture
def graded_desk(desk: Desk) -> Desk:
    """Two findings in L-CC, read alone, one graded high and one low."""
    desk.classifier = replace(MODEL, name="mommi_classifier", version="2", weights_sha256="fedcba9876543210" * 4)
    high = {"malignancy": 0.8125, "birads_score": 0.7, "suspicion": Suspicion.HIGH}
    low = {"malignancy": 0.0625, "birads_score": 0.1, "suspicion": Suspicion.LOW}
    desk.add(
        View.L_CC,
        finding(View.L_CC, route=Route.SINGLE, **high),
        finding(View.L_CC, number=2, centre=(300, 400), radius=25, score=0.5, route=Route.SINGLE, **low),
        route=Route.SINGLE,
    )
    return desk


@pytest.fixture
def segmented_desk(desk: Desk) -> Desk:
    """Two findings in L-CC, the first with the outline of a model that also graded both, the second with none of it."""
    desk.segmenter = desk.classifier = replace(MODEL, name="dualcore", version="3", weights_sha256="aaaabbbbcccc" * 5)
    stairs = tuple((float(x), float(y)) for k in range(20) for x, y in ((180 + k, 230 + k), (181 + k, 230 + k)))
    outline = (*stairs, (200.0, 250.0), (180.0, 250.0))
    desk.add(
        View.L_CC,
        finding(View.L_CC, outline=outline, malignancy=0.75, outlined_by=Stage.SEGMENTER),
        finding(View.L_CC, number=2, centre=(300, 400), radius=25, score=0.5, malignancy=0.25),
        warnings=("L2-CC: the segmenter marked nothing in its box; the outline is the detector's.",),
    )
    return desk


def items(dataset: Dataset, code: str) -> list[Dataset]:
    """All content items of a report with this concept name, in document order."""
    found = []
    for item in dataset.get("ContentSequence", []):
        # Items by reference and images of a CAD report have no name.
        if any(name.CodeValue == code for name in item.get("ConceptNameCodeSequence", [])):
            found.append(item)
        found += items(item, code)
    return found


def at(document: Dataset, path: list[int]) -> Dataset:
    """The item that a path of ordinals leads to."""
    item = document
    assert path[0] == 1
    for ordinal in path[1:]:
        item = item.ContentSequence[ordinal - 1]
    return item


def sources(item: Dataset, document: Dataset) -> list[str]:
    """SOP Instance UIDs of the library images that the items by reference under an item lead to."""
    found = []
    for child in item.get("ContentSequence", []):
        if "ReferencedContentItemIdentifier" in child:
            entry = at(document, list(child.ReferencedContentItemIdentifier))
            assert (entry.ValueType, entry.RelationshipType) == ("IMAGE", "CONTAINS")
            found.append(str(entry.ReferencedSOPSequence[0].ReferencedSOPInstanceUID))
        found += sources(child, document)
    return found


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """A validator's answer."""
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, errors="replace", check=False
    )


def complaints(path: Path) -> list[str]:
    """Complaints of dciodvfy and, about a report, dsrdump."""
    found = [line for line in run(DCIODVFY, "-new", path).stderr.splitlines() if line.startswith(("Error", "Warning"))]
    if dcmread(path, stop_before_pixels=True).Modality == "SR":
        dumped = run(DSRDUMP, "+Pn", path)
        found += [line for line in dumped.stderr.splitlines() if line.startswith(("E:", "F:", "W:"))]
        found += [] if dumped.returncode == 0 else ["dsrdump cannot read it"]
    return [line for line in found if not any(part in line for part in (*KNOWN_WARNINGS, *HARMLESS))]


def survives_xml(path: Path) -> bool:
    """Whether DCMTK, having read every content item, writes the same document again."""
    with TemporaryDirectory() as folder:
        xml, again = Path(folder) / "report.xml", Path(folder) / "again.dcm"
        codes = [run(DSR2XML, path, xml).returncode, run(XML2DSR, xml, again).returncode]
        return codes == [0, 0] and run(DSRDUMP, "+Pl", again).stdout == run(DSRDUMP, "+Pl", path).stdout


def judged(paths: Sequence[Path]) -> dict[Path, list[str]]:
    """Findings of PixelMed's validator in reports, the first line of each saying which root template it recognised.

    One virtual machine for all of them: to load the templates takes it longer than to check a report.
    """
    jars = ("pixelmed", "slf4j-api", "slf4j-simple", "commons-codec")
    path = ":".join(f"/usr/share/java/{jar}.jar" for jar in jars)
    # The templates' style sheet is larger than what Java permits by default.
    limits = [f"-Djdk.xml.xpath{limit}Limit=0" for limit in ("ExprGrp", "ExprOp", "TotalOp")]
    source = Path(__file__).with_name("Validate.java")
    said = run("java", *limits, "-Xmx2g", "-cp", path, source, *paths)
    assert said.returncode == 0, said.stderr
    parts = said.stdout.split("\f")[1:]
    kept = [
        [line for line in part.splitlines() if line.startswith(("Found Root", "Error", "Warning"))] for part in parts
    ]
    return dict(zip(paths, kept, strict=True))


@pytest.fixture(name="complaints", scope="session")
def _complaints() -> Any:
    if not all(tool.exists() for tool in (DCIODVFY, DSRDUMP, DSR2XML, XML2DSR)):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("dicom3tools and DCMTK are missing")
    return complaints


@pytest.fixture(name="survives_xml", scope="session")
def _survives_xml(complaints: Any) -> Any:
    return survives_xml


@pytest.fixture(name="judged", scope="session")
def _judged() -> Any:
    if not Path("/usr/bin/DicomSRValidator").exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("PixelMed is missing (pixelmed-apps)")
    return judged


@pytest.fixture(name="sources", scope="session")
def _sources() -> Any:
    return sources


@pytest.fixture(name="items", scope="session")
def _items() -> Any:
    return items


@pytest.fixture(name="image", scope="session")
def _image() -> Any:
    return image


@pytest.fixture(name="finding", scope="session")
def _finding() -> Any:
    return finding


@pytest.fixture(name="new_desk", scope="session")
def _new_desk() -> Any:
    return new_desk
