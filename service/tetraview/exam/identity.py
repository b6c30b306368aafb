"""Whether the images of an exam are of one patient, one order and one day."""

from __future__ import annotations

from collections.abc import Iterable

from tetraview.domain.instance import NOTED, Instance


def contradictions(instances: Iterable[Instance]) -> tuple[str, ...]:
    """The attributes in which images of one study differ although they may not.

    Only digests are compared, so that nobody has to know whose exam it is. An image without a Patient ID contradicts
    one that has it; an image that leaves Accession Number or Study Date empty says nothing about them.
    """
    images = [instance for instance in instances if instance.eligibility.decision not in NOTED]
    patients = {image.patient_key for image in images} - {None}
    accessions = {image.accession_key for image in images} - {None, ""}
    dates = {image.study_date_key for image in images} - {None, ""}
    named = (
        ("PatientID (0010,0020)", patients),
        ("AccessionNumber (0008,0050)", accessions),
        ("StudyDate (0008,0020)", dates),
    )
    return tuple(name for name, values in named if len(values) > 1)
