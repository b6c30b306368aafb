"""The device that makes our results: this software with the model that read the exam."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from highdicom.sr.coding import CodedConcept
from pydicom import Dataset
from pydicom.sr.coding import Code

from tetraview.domain.product import MANUFACTURER
from tetraview.domain.reading import Model
from tetraview.report import codes
from tetraview.report.header import Header
from tetraview.report.moment import Moment
from tetraview.report.text import ascii_text

MODEL_NAME = "tetraview mass CAD"
_LONG_STRING = 64


@dataclass(frozen=True, kw_only=True)
class Device:
    """Software and model, named as General Equipment (PS3.3 C.7.5.1) names a machine."""

    #: None where no view could be read.
    model: Model | None
    #: New for every change of software or model.
    uid: str

    @property
    def algorithm_name(self) -> str:
        """Algorithm Name: the model."""
        return ascii_text(self.model.name, limit=_LONG_STRING) if self.model else "none"

    @property
    def algorithm_version(self) -> str:
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
        """The software with its version."""
        return f"tetraview {software_version()}"

    @property
    def software_versions(self) -> list[str]:
        """Software Versions: the software and, where one ran, the model."""
        if self.model is None:
            return [self.software]
        return [self.software, ascii_text(f"{self.algorithm_name} {self.algorithm_version}", limit=_LONG_STRING)]


def software_version() -> str:
    """The version of the installed package."""
    return version("tetraview")


def contributing_equipment(device: Device, *, header: Header, moment: Moment) -> list[Dataset]:
    """Items of Contributing Equipment Sequence (PS3.3 C.12.1.1.5): the modality, then the algorithm."""
    items = [] if "Manufacturer" not in header.equipment else [_acquisition(header)]
    return [*items, _processing(device, moment)]


def _acquisition(header: Header) -> Dataset:
    item = Dataset()
    for element in header.equipment:
        item.add(element)
    item.PurposeOfReferenceCodeSequence = [_concept(codes.ACQUISITION_EQUIPMENT)]
    return item


def _processing(device: Device, moment: Moment) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [_concept(codes.PROCESSING_EQUIPMENT)]
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = device.algorithm_name
    item.SoftwareVersions = device.software_versions
    item.DeviceSerialNumber = device.serial_number
    item.DeviceUID = device.uid
    item.ContributionDateTime = moment.date_time
    item.ContributionDescription = "Search for masses"
    return item


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(code.value, code.scheme_designator, code.meaning)
