"""The conformance statement agrees with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, JPEGBaseline8Bit
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from tests.support.intake import MemoryLedger

from tetraview.domain.delivery import ResultKind
from tetraview.domain.output import OUTPUTS, CodingScheme, ReportClass
from tetraview.domain.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tetraview.intake.dimse.listener import Listener
from tetraview.settings import Dicom
from tetraview.storage.spool import Spool
from tetraview.tools.conformance.objects import MADE
from tetraview.tools.conformance.statement import conformance_statement

FILE = Path(__file__).parents[3] / "deploy" / "conformance.md"
UID = re.compile(r"\b1\.2\.840\.10008\.[\d.]*\d")


def section(title: str) -> str:
    """The text from a heading up to the next of any level."""
    return re.split(r"\n#+ ", FILE.read_text().split(f"# {title}\n", 1)[1])[0]


def test_the_statement_is_that_of_this_version() -> None:
    """The shipped file is the output of `tetraview conformance`."""
    assert FILE.read_text() == conformance_statement()


def test_the_listener_accepts_what_the_statement_says_and_nothing_else(tmp_path: Path) -> None:
    """Every SOP class is accepted in every transfer syntax that is stated, another class or syntax is not."""
    stated = [uid for uid in dict.fromkeys(UID.findall(section("2.2 Storage SCP"))) if uid != Verification]
    classes = [uid for uid in stated if uid.startswith("1.2.840.10008.5")]
    syntaxes = [uid for uid in stated if uid not in classes]
    assert len(syntaxes) > 5
    assert len(classes) > 15
    with Listener(Dicom(port=0), Spool(tmp_path), MemoryLedger()) as listener:
        for syntax in (*syntaxes, JPEGBaseline8Bit):
            entity = AE("TEST")
            for sop_class in (*classes, CTImageStorage):
                entity.add_requested_context(sop_class, syntax)
            association = entity.associate("127.0.0.1", listener.port, ae_title="TETRAVIEW")
            accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
            assert accepted == (set(classes) if syntax in syntaxes else set()), syntax
            assert association.acceptor.implementation_class_uid == IMPLEMENTATION_CLASS_UID
            assert association.acceptor.implementation_version_name == IMPLEMENTATION_VERSION_NAME
            if association.is_established:
                association.release()


@pytest.fixture
def every_object(full_desk: Any, tmp_path: Path) -> dict[str, Dataset]:
    """One exam's objects of every kind, by file name."""
    full_desk.folder.mkdir()
    for view, read in full_desk.views.items():
        preview = np.zeros((256, 208), np.uint8)
        cv2.imwrite(str(full_desk.folder / f"{view}.png"), preview)
        full_desk.views[view] = replace(read, preview=f"{view}.png", preview_scale=0.5)
    full_desk.output = replace(OUTPUTS["pacs"], objects=tuple(ResultKind), emit_birads=True)
    return dict(full_desk.written())


def test_objects_are_as_the_statement_says(full_desk: Any, every_object: Any) -> None:
    """SOP class, modality and series number of every kind of object are those of the table."""
    for result in full_desk.write():
        made, written = MADE[result.kind], every_object[Path(result.path).name]
        assert written.SOPClassUID in made.sop_classes
        assert written.Modality == made.modality
        number = f"{written.SeriesNumber} {result.view}" if "," in made.series_number else str(written.SeriesNumber)
        assert number in made.series_number
    assert {result.kind for result in full_desk.write()} == set(MADE) == set(ResultKind)
    full_desk.output = replace(full_desk.output, report_class=ReportClass.COMPREHENSIVE_3D)
    assert full_desk.report.SOPClassUID in MADE[ResultKind.MEASUREMENT_REPORT].sop_classes


def test_every_code_in_an_object_is_in_the_statement(full_desk: Any, every_object: Any) -> None:
    """No object holds a code of ours that the statement does not list."""
    stated = section("6 Coded concepts")
    full_desk.output = replace(full_desk.output, coding_scheme=CodingScheme.SRT)
    found = {code for document in (*every_object.values(), *full_desk.written().values()) for code in _codes(document)}
    assert len(found) > 50
    missing = {(value, scheme) for value, scheme in found if not re.search(rf"\| {re.escape(value)} ", stated)}
    assert missing == set()


def _codes(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Code value and scheme of every code item, but those that highdicom names itself by."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                if "CodeValue" in item:
                    yield item.CodeValue, item.CodingSchemeDesignator
                yield from _codes(item)
