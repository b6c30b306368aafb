"""The probe: images with known marks and their result objects, to one destination."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from rich.console import Console

from tetraview.delivery import deliver, deliver_files
from tetraview.domain.delivery import ResultObject
from tetraview.domain.exam import Exam
from tetraview.domain.view import View
from tetraview.errors import DeliveryRefused
from tetraview.report import write_report
from tetraview.report.contact_sheet import contact_sheet
from tetraview.settings import Destination, Settings
from tetraview.storage.durable import write_file
from tetraview.tools.probe.checklist import checklist
from tetraview.tools.probe.exam import probe_exam
from tetraview.tools.wait import waiting


def run_probe(settings: Settings, destination: Destination, *, out: Path, console: Console) -> None:
    """Send the probe's images and results to a destination, and list the marks that its viewers should show.

    Sending it again sends the same objects.

    Args:
        settings: all settings.
        destination: receiver of the probe, which gets it in the form of its output profile.
        out: folder for the files and a picture of the expected marks.
        console: prints the list.

    Raises:
        DeliveryRefused: the destination did not take every object.
        DestinationUnavailable: it does not answer.
        StorageUnavailable: the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    output = settings.output(destination.output)
    with waiting(console, "making the exam"):
        exam, reading = probe_exam(out)
        results = write_report(
            exam, reading, spool=Path("/"), folder=out, outputs=[output], time_zone=settings.report.time_zone
        )
        write_file(out / "views.png", contact_sheet(reading, folder=out))
    with waiting(console, f"sending to {destination.name}"):
        refused = _send(exam, results, destination, out=out, calling_ae_title=settings.dicom.ae_title)
    sent = f"{len(exam.images)} images and {len(results)} result objects"
    console.print(f"{sent} of output profile {output.name} to {destination.name}: {len(refused)} refused")
    console.print(_whose(exam), soft_wrap=True)
    console.print("It stays in the archive until it is deleted there.")
    console.print(f"Picture of what to expect: {out / 'views.png'}", soft_wrap=True)
    for line in checklist(reading, results, output=output, shapes=_shapes(exam)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if refused:
        raise DeliveryRefused("; ".join(refused))


def _send(
    exam: Exam, results: tuple[ResultObject, ...], destination: Destination, *, out: Path, calling_ae_title: str
) -> list[str]:
    """Images first, then results; why those that were refused were."""
    images = [Path(instance.path) for instance in exam.images.values()]
    stored = deliver_files(images, destination, calling_ae_title=calling_ae_title)
    refused = [f"image {path.stem}: {answer}" for path, answer in stored if answer]
    for result in results:
        try:
            deliver(out / result.path, result, destination, calling_ae_title=calling_ae_title)
        except DeliveryRefused as fault:
            refused.append(f"{result.path}: {fault}")
    return refused


def _whose(exam: Exam) -> str:
    """How a person finds the study; the phantom is nobody."""
    header = dcmread(next(iter(exam.images.values())).path, stop_before_pixels=True)
    return f"Study of {header.PatientName}, patient ID {header.PatientID}, accession number {header.AccessionNumber}"


def _shapes(exam: Exam) -> dict[View, tuple[int, int]]:
    headers = {view: dcmread(image.path, stop_before_pixels=True) for view, image in exam.images.items()}
    return {view: (header.Rows, header.Columns) for view, header in headers.items()}
