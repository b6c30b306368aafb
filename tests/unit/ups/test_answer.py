from __future__ import annotations

from dataclasses import replace

from tests.unit.ups.conftest import REPORT

from tetraview.domain.delivery import Delivery, DeliveryState
from tetraview.ups.answer import Archive, outputs_of

ARCHIVES = {"pacs": Archive(ae_title="PACS"), "web": Archive(url="https://pacs.example/dicom-web")}
OTHER = replace(REPORT, sop_instance_uid="2.25.902", series_instance_uid="2.25.903")


def delivery(
    destination: str, *, of: str = REPORT.sop_instance_uid, state: DeliveryState = DeliveryState.DELIVERED
) -> Delivery:
    result = REPORT if of == REPORT.sop_instance_uid else OTHER
    return Delivery(exam_id="e", generation=1, destination=destination, result=result, state=state)


def test_results_are_referenced_by_series_with_every_way_to_have_them() -> None:
    """A series that two archives have names AE title and URL; one that an archive refused does not name that one."""
    deliveries = [
        delivery("pacs"),
        delivery("web", state=DeliveryState.COMMITTED),
        delivery("pacs", of=OTHER.sop_instance_uid),
        delivery("web", of=OTHER.sop_instance_uid, state=DeliveryState.REFUSED),
    ]
    first, second = outputs_of([REPORT, OTHER], deliveries, study_instance_uid="2.25.77", archives=ARCHIVES)
    assert [place.RetrieveAETitle for place in first.DICOMRetrievalSequence] == ["PACS"]
    (place,) = first.WADORSRetrievalSequence
    assert place.RetrieveURL == "https://pacs.example/dicom-web/studies/2.25.77/series/2.25.901"
    assert [place.RetrieveAETitle for place in second.DICOMRetrievalSequence] == ["PACS"]
    assert "WADORSRetrievalSequence" not in second


def test_an_object_of_several_output_profiles_is_referenced_once() -> None:
    """Objects that two destinations get in the same form are one object and one reference."""
    (output,) = outputs_of(
        [REPORT, replace(REPORT, output="ohif")], [delivery("pacs")], study_instance_uid="2.25.77", archives=ARCHIVES
    )
    assert len(output.ReferencedSOPSequence) == 1


def test_results_that_nobody_gets_name_no_place() -> None:
    """Without a destination results are referenced, and their place is not named."""
    (output,) = outputs_of([REPORT], [], study_instance_uid="2.25.77", archives={})
    assert "DICOMRetrievalSequence" not in output
    assert "WADORSRetrievalSequence" not in output
