"""Writes an exam as Digital Mammography X-Ray Images For Presentation (PS3.3 A.27)."""

from __future__ import annotations

import uuid
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from tetraview.domain.view import View, ViewPosition
from tetraview.phantom.exam import PhantomExam, PhantomView
from tetraview.phantom.recipe import GENERATOR_VERSION
from tetraview.phantom.truth import write_truth

MANUFACTURER = "tetraview phantom generator"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "tetraview.phantom")
_DATE, _TIME = "20200101", "120000"
#: View Code Sequence, CID 4014.
_VIEW_CODES = {
    ViewPosition.CC: ("399162004", "cranio-caudal"),
    ViewPosition.MLO: ("399368009", "medio-lateral oblique"),
}


def write_exam(
    exam: PhantomExam, folder: Path, *, transfer_syntax: UID = ExplicitVRLittleEndian, truth: bool = False
) -> dict[View, Path]:
    """Write the four images of an exam, named ``R-CC.dcm`` and so on, and return where each is.

    The same exam always gives the same UIDs. Everything that names a person says that there is none.

    Args:
        exam: the exam.
        folder: where to write; made when absent.
        transfer_syntax: any that pydicom can encode.
        truth: also write ``truth.json`` and the masks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {view: folder / f"{view}.dcm" for view in exam.views}
    for number, (view, path) in enumerate(paths.items(), start=1):
        _encoded(to_dataset(exam, view, number=number), transfer_syntax).save_as(path, enforce_file_format=True)
    if truth:
        write_truth(exam, folder)
    return paths


def to_dataset(exam: PhantomExam, view: View, *, number: int) -> Dataset:
    """One image as an uncompressed data set.

    Args:
        exam: the exam.
        view: which of its images.
        number: Instance Number (0020,0013).
    """
    image = exam.views[view]
    dataset = Dataset()
    _describe_patient_and_study(dataset, exam)
    _describe_series(dataset, exam)
    _describe_image(dataset, image)
    _describe_acquisition(dataset, image)
    _describe_pixels(dataset, image)
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = _uid(exam, "image", view.value)
    dataset.InstanceNumber = number
    return dataset


def _uid(exam: PhantomExam, *part: str) -> UID:
    """A UID derived from a UUID (PS3.5 B.2), the same for the same exam."""
    name = "/".join((GENERATOR_VERSION, repr(exam.recipe), str(exam.seed), *part))
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")


def _encoded(dataset: Dataset, transfer_syntax: UID) -> Dataset:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    if transfer_syntax.is_compressed:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(transfer_syntax, generate_instance_uid=False)
    return dataset


def _describe_patient_and_study(dataset: Dataset, exam: PhantomExam) -> None:
    dataset.PatientName = "Phantom^Synthetic"
    dataset.PatientID = f"PHANTOM-{exam.seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "F"
    dataset.PatientComments = "Synthetic phantom, not a patient"
    dataset.StudyInstanceUID = _uid(exam, "study")
    dataset.StudyDate, dataset.StudyTime = _DATE, _TIME
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = str(exam.seed)
    dataset.AccessionNumber = f"PH{exam.seed}"
    dataset.StudyDescription = "Synthetic screening mammography"


def _describe_series(dataset: Dataset, exam: PhantomExam) -> None:
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.SeriesInstanceUID = _uid(exam, "series")
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = "Synthetic phantom"
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = f"{exam.recipe.name} {exam.style}"
    dataset.DeviceSerialNumber = "0"
    dataset.SoftwareVersions = GENERATOR_VERSION


def _describe_image(dataset: Dataset, image: PhantomView) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.ContentDate, dataset.ContentTime = _DATE, _TIME
    dataset.AcquisitionDate, dataset.AcquisitionTime = _DATE, _TIME
    dataset.PatientOrientation = list(image.patient_orientation)
    dataset.ImageLaterality = image.laterality.value
    dataset.ViewPosition = image.position.value
    value, meaning = _VIEW_CODES[image.position]
    code = _code(value, meaning)
    code.ViewModifierCodeSequence = Sequence()
    dataset.ViewCodeSequence = Sequence([code])
    dataset.AnatomicRegionSequence = Sequence([_code("76752008", "Breast")])
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.ImageComments = "Synthetic phantom, not a patient"


def _describe_acquisition(dataset: Dataset, image: PhantomView) -> None:
    dataset.OrganExposed = "BREAST"
    dataset.BodyPartExamined = "BREAST"
    dataset.PositionerType = "MAMMOGRAPHIC"
    dataset.BreastImplantPresent = "NO"
    dataset.PartialView = "NO"
    dataset.BodyPartThickness = round(image.thickness_mm)
    dataset.DetectorType = "DIRECT"
    dataset.ImagerPixelSpacing = list(image.spacing_mm)
    dataset.AcquisitionContextSequence = Sequence()


def _describe_pixels(dataset: Dataset, image: PhantomView) -> None:
    dataset.Rows, dataset.Columns = image.pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = image.photometric_interpretation
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, image.bits_stored, image.bits_stored - 1
    dataset.PixelRepresentation = 0
    inverted = image.photometric_interpretation == "MONOCHROME1"
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.PixelIntensityRelationship = "LOG"
    # More x-rays give smaller values, unless the smallest value is shown white.
    dataset.PixelIntensityRelationshipSign = 1 if inverted else -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter, dataset.WindowWidth = str(2 ** (image.bits_stored - 1)), str(2**image.bits_stored)
    dataset.add_new("PixelData", "OW", image.pixels.astype("<u2").tobytes())


def _code(value: str, meaning: str) -> Dataset:
    """A code of SNOMED CT."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item
