"""The device that makes our results: this software with the models that read the exam."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from highdicom.sr.coding import CodedConcept
from pydicom import Dataset
from pydicom.sr.coding import Code

from tetraview.domain.finding import Finding
from tetraview.domain.product import MANUFACTURER
from tetraview.domain.reading import Model
from tetraview.domain.stage import Stage
from tetraview.report import codes
from tetraview.report.header import Header
from tetraview.report.moment import Moment
from tetraview.report.text import ascii_text

MODEL_NAME = "tetraview mass CAD"
_LONG_STRING = 64


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """A model, named as an algorithm (PS3.16 TID 4019)."""

    #: None where it did not run.
    model: Model | None

    @property
    def name(self) -> str:
        """Algorithm Name: the model."""
        return ascii_text(self.model.name, limit=_LONG_STRING) if self.model else "none"

    @property
    def version(self) -> str:
        """Algorithm Version: the model's version, preset and weights."""
        if self.model is None:
            return "none"
        weights = f"{self.model.version} {self.model.preset} {self.serial_number}"
        return ascii_text(weights, limit=_LONG_STRING)

    @property
    def serial_number(self) -> str:
        """The start of the weights' SHA-256, which tells one copy of the device from another."""
        return ascii_text(self.model.weights_sha256, limit=12) if self.model else "none"

    @property
    def software(self) -> str:
        """Name and version."""
        return ascii_text(f"{self.name} {self.version}", limit=_LONG_STRING)


@dataclass(frozen=True, kw_only=True)
class Device:
    """Software and models, named as General Equipment (PS3.3 C.7.5.1) names a machine."""

    #: Its model is None where no view could be read.
    detector: Algorithm
    #: None where no segmenter is set.
    segmenter: Algorithm | None = None
    #: None where nothing was classified.
    classifier: Algorithm | None = None
    #: New for every change of software, models or settings.
    uid: str

    @property
    def serial_number(self) -> str:
        """That of the detector."""
        return self.detector.serial_number

    @property
    def software(self) -> str:
        """The software with its version."""
        return f"tetraview {software_version()}"

    @property
    def algorithms(self) -> list[Algorithm]:
        """The algorithms that ran; an algorithm that outlines and grades is listed once."""
        all_set = (self.detector, self.segmenter, self.classifier)
        return list(dict.fromkeys(algorithm for algorithm in all_set if algorithm and algorithm.model))

    def outliner(self, finding: Finding) -> Algorithm:
        """Whose outline a finding has."""
        if self.segmenter and finding.outlined_by is Stage.SEGMENTER:
            return self.segmenter
        return self.detector

    @property
    def software_versions(self) -> list[str]:
        """Software Versions: the software and the models that ran."""
        return [self.software, *(algorithm.software for algorithm in self.algorithms)]


def software_version() -> str:
    """The version of the installed package."""
    return version("tetraview")


def contributing_equipment(device: Device, *, header: Header, moment: Moment) -> list[Dataset]:
    """Items of Contributing Equipment Sequence (PS3.3 C.12.1.1.5): the modality, then the algorithms."""
    items = [] if "Manufacturer" not in header.equipment else [_acquisition(header)]
    items.append(_processing(device.detector, device, moment, what="Search for masses"))
    if device.segmenter:
        items.append(_processing(device.segmenter, device, moment, what="Outlining of masses"))
    if device.classifier:
        items.append(_processing(device.classifier, device, moment, what="Grading of masses"))
    return items


def _acquisition(header: Header) -> Dataset:
    item = Dataset()
    for element in header.equipment:
        item.add(element)
    item.PurposeOfReferenceCodeSequence = [concept(codes.ACQUISITION_EQUIPMENT)]
    return item


def _processing(algorithm: Algorithm, device: Device, moment: Moment, *, what: str) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [concept(codes.PROCESSING_EQUIPMENT)]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = algorithm.name
    item.SoftwareVersions = [device.software, algorithm.software] if algorithm.model else [device.software]
    item.DeviceSerialNumber = algorithm.serial_number
    item.DeviceUID = device.uid
    item.ContributionDateTime = moment.date_time
    item.ContributionDescription = what
    return item


def concept(code: Code) -> CodedConcept:
    """A code as highdicom wants it."""
    return CodedConcept(code.value, code.scheme_designator, code.meaning)
