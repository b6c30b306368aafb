from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydicom import dcmread

from tetraview.domain.delivery import ResultKind
from tetraview.domain.output import OUTPUTS

REPORTS = {ResultKind.MEASUREMENT_REPORT, ResultKind.CAD_REPORT}


def test_a_later_generation_names_the_documents_that_it_updates(full_desk: Any, complaints: Any) -> None:
    """Both reports of a second generation refer to those of the first as predecessors, and are valid."""
    outputs = [OUTPUTS["pacs"], OUTPUTS["air"]]
    first = full_desk.write(outputs)
    full_desk.generation = 2
    second = full_desk.write(outputs, predecessors=first)
    before = {(result.output, result.kind): result for result in first}
    reports = [result for result in second if result.kind in REPORTS]
    assert len(reports) == 3
    for result in reports:
        (study,) = dcmread(full_desk.folder / result.path).PredecessorDocumentsSequence
        (series,) = study.ReferencedSeriesSequence
        (document,) = series.ReferencedSOPSequence
        old = before[result.output, result.kind]
        assert study.StudyInstanceUID == full_desk.exam.images[next(iter(full_desk.exam.images))].study_instance_uid
        assert series.SeriesInstanceUID == old.series_instance_uid
        assert document.ReferencedSOPInstanceUID == old.sop_instance_uid != result.sop_instance_uid
        assert document.ReferencedSOPClassUID == old.sop_class_uid
        assert complaints(full_desk.folder / result.path) == []


def test_the_first_generation_has_no_predecessor(full_desk: Any) -> None:
    """A first report refers to none, and so does one whose predecessor was made for another output."""
    results = full_desk.write([OUTPUTS["pacs"]])
    for predecessors in ((), [replace(result, output="air") for result in results]):
        for result in full_desk.write([OUTPUTS["pacs"]], predecessors=predecessors):
            assert "PredecessorDocumentsSequence" not in dcmread(full_desk.folder / result.path)
