from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tetraview.domain.delivery import ResultKind
from tetraview.domain.output import OUTPUTS, CodingScheme, ReportClass, SegmentationGeometry, TrackingScope
from tetraview.domain.stage import Stage
from tetraview.domain.view import Route, View
from tetraview.errors import ReportImpossible, StorageUnavailable

#: Writes the pickled desk's results in a process of its own.
WRITE = """
import pickle, sys
from pathlib import Path
from tetraview.report import write_report
exam, reading, outputs = pickle.loads(Path(sys.argv[1]).read_bytes())
write_report(exam, reading, spool=Path(sys.argv[2]), folder=Path(sys.argv[3]), outputs=outputs)
"""


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_results_are_named_and_described(full_desk: Any) -> None:
    """Each result names its kind, class, instance, file and view, as the file does."""
    results = full_desk.write()
    assert [(result.kind, result.view, result.path) for result in results] == [
        (ResultKind.SEGMENTATION, View.L_CC, "ohif/seg-L-CC.dcm"),
        (ResultKind.SEGMENTATION, View.L_MLO, "ohif/seg-L-MLO.dcm"),
        (ResultKind.MEASUREMENT_REPORT, None, "ohif/sr.dcm"),
    ]
    for result in results:
        written = dcmread(full_desk.folder / result.path)
        assert (written.SOPClassUID, written.SOPInstanceUID) == (result.sop_class_uid, result.sop_instance_uid)
        assert written.Modality == result.kind


def test_only_the_owner_can_read_a_result_and_no_part_is_left(full_desk: Any) -> None:
    """Files have mode 0600 in a folder of mode 0700, whole or absent."""
    full_desk.write()
    assert {path.name for path in full_desk.out.iterdir()} == {"seg-L-CC.dcm", "seg-L-MLO.dcm", "sr.dcm"}
    assert {path.stat().st_mode & 0o777 for path in full_desk.out.iterdir()} == {0o600}
    assert full_desk.out.stat().st_mode & 0o777 == 0o700


def test_writing_again_writes_the_same_bytes_in_another_process(full_desk: Any, tmp_path: Path) -> None:
    """The same reading makes byte-identical files of all built-in outputs with another hash seed, at another time."""
    full_desk.write(OUTPUTS.values())
    (tmp_path / "desk").write_bytes(pickle.dumps((full_desk.exam, full_desk.reading, list(OUTPUTS.values()))))
    for seed in ("1", "2"):
        out = tmp_path / seed
        arguments = [str(tmp_path / "desk"), str(full_desk.spool), str(out)]
        command = [sys.executable, "-W", "error", "-c", WRITE, *arguments]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        for output in OUTPUTS:
            assert files(out / output) == files(full_desk.folder / output)


def test_the_order_of_images_and_views_does_not_matter(full_desk: Any) -> None:
    """Images that arrive in another order make the same files."""
    full_desk.write()
    before = files(full_desk.out)
    full_desk.images = dict(reversed(full_desk.images.items()))
    full_desk.views = dict(reversed(full_desk.views.items()))
    full_desk.write()
    assert files(full_desk.out) == before


def _change_score(desk: Any) -> None:
    view = desk.views[View.L_CC]
    desk.views[View.L_CC] = replace(view, findings=(replace(view.findings[0], score=0.5), *view.findings[1:]))


def _change_bytes(desk: Any) -> None:
    desk.images[View.R_CC] = replace(desk.images[View.R_CC], sha256="cd" * 32)


def _change_weights(desk: Any) -> None:
    desk.model = replace(desk.model, weights_sha256="f" * 64)


def _segment(desk: Any) -> None:
    desk.segmenter = desk.model


def _change_the_outliner(desk: Any) -> None:
    view = desk.views[View.L_CC]
    found = tuple(replace(finding, outlined_by=Stage.SEGMENTER) for finding in view.findings)
    desk.views[view.view] = replace(view, findings=found)


def _classify(desk: Any) -> None:
    desk.classifier = desk.model


def _send_to_another_ae_title(desk: Any) -> None:
    desk.images.update({view: replace(image, called_ae_title="TETRA_B") for view, image in desk.images.items()})


def _fail_a_view(desk: Any) -> None:
    desk.views[View.R_CC] = replace(desk.views[View.R_CC], route=None, failure="not decoded")


def _degrade_a_view(desk: Any) -> None:
    desk.views[View.R_CC] = replace(desk.views[View.R_CC], route=Route.IPSI)


def _open_a_generation(desk: Any) -> None:
    desk.generation = 2


@pytest.mark.parametrize(
    ("change", "same_series"),
    [
        (_change_score, True),
        (_change_bytes, True),
        (_change_weights, False),
        (_segment, False),
        (_change_the_outliner, True),
        (_classify, False),
        (_send_to_another_ae_title, False),
        (_fail_a_view, True),
        (_degrade_a_view, True),
        (_open_a_generation, True),
    ],
)
def test_whatever_changes_the_result_changes_its_uid(full_desk: Any, change: Any, same_series: bool) -> None:  # noqa: FBT001
    """No UID is used for two contents; a new model also opens new series and tracks anew."""
    before = full_desk.written()
    change(full_desk)
    after = full_desk.written()
    assert not {result.SOPInstanceUID for result in before.values()} & {
        result.SOPInstanceUID for result in after.values()
    }
    for name, result in before.items():
        assert (result.SeriesInstanceUID == after[name].SeriesInstanceUID) is same_series
    tracks = [
        {segment.TrackingUID for segment in written["seg-L-MLO.dcm"].SegmentSequence} for written in (before, after)
    ]
    assert (tracks[0] == tracks[1]) is same_series


@pytest.mark.parametrize(
    ("form", "changed"),
    [
        ({"emit_malignancy": False}, {"sr.dcm"}),
        ({"seg_geometry": SegmentationGeometry.NONE}, {"seg-L-CC.dcm", "seg-L-MLO.dcm"}),
        ({"report_class": ReportClass.COMPREHENSIVE_3D}, {"sr.dcm"}),
        ({"coding_scheme": CodingScheme.SRT}, {"cad.dcm"}),
    ],
)
def test_another_form_makes_other_objects_of_the_same_findings(full_desk: Any, form: Any, changed: Any) -> None:
    """Objects that another form changes get other UIDs and series, others stay; a finding keeps its Tracking UID."""
    full_desk.output = OUTPUTS["pacs"]
    before = full_desk.written()
    full_desk.output = replace(full_desk.output, **form)
    after = full_desk.written()
    for name, result in before.items():
        assert (result.SOPInstanceUID != after[name].SOPInstanceUID) is (name in changed)
        assert (result.SeriesInstanceUID != after[name].SeriesInstanceUID) is (name in changed)
    segments = [written["seg-L-MLO.dcm"].SegmentSequence for written in (before, after)]
    assert segments[0][0].TrackingUID == segments[1][0].TrackingUID


def test_no_uid_is_used_for_other_bytes(graded_desk: Any) -> None:
    """With any output, objects of one UID have the same bytes, and an option changes only the kinds that it shapes."""
    graded_desk.folder.mkdir()
    graded_desk.show(View.L_CC)
    findings = [
        replace(found, calibrated=0.25, malignancy_calibrated=0.5) for found in graded_desk.views[View.L_CC].findings
    ]
    graded_desk.views[View.L_CC] = replace(graded_desk.views[View.L_CC], findings=tuple(findings))
    every = replace(OUTPUTS["pacs"], objects=tuple(ResultKind))
    changes: list[dict[str, Any]] = [
        {},
        *({"seg_geometry": geometry} for geometry in SegmentationGeometry),
        *({"report_class": report_class} for report_class in ReportClass),
        *({"coding_scheme": scheme} for scheme in CodingScheme),
        *({"tracking_scope": scope} for scope in TrackingScope),
        {"emit_malignancy": False},
        {"emit_birads": True},
        {"emit_probability": True},
    ]
    seen: dict[str, dict[str, bytes]] = {}
    for change, zone in [*((change, None) for change in changes), ({}, "UTC"), ({}, "Asia/Tokyo")]:
        graded_desk.output = replace(every, **change)
        results = graded_desk.write(time_zone=zone)
        for result in results:
            content = (graded_desk.folder / result.path).read_bytes()
            seen.setdefault(result.path, {}).setdefault(result.sop_instance_uid, content)
            assert seen[result.path][result.sop_instance_uid] == content, (result.path, change, zone)
    for path, versions in seen.items():
        assert len(set(versions.values())) == len(versions), path


def test_destinations_that_get_the_same_form_get_the_same_object(full_desk: Any) -> None:
    """An output profile's name and its other objects change nothing in an object."""
    before = full_desk.written()
    full_desk.output = replace(full_desk.output, name="other", objects=(ResultKind.MEASUREMENT_REPORT,))
    assert full_desk.written() == {"sr.dcm": before["sr.dcm"]}


def test_findings_of_a_lesion_share_their_tracking_where_that_is_asked_for(full_desk: Any, items: Any) -> None:
    """In scope `lesion` the findings of one lesion have its name and one UID, in report and Segmentations alike."""
    full_desk.output = replace(full_desk.output, tracking_scope=TrackingScope.LESION)
    written = full_desk.written()
    segments = [segment for view in ("L-CC", "L-MLO") for segment in written[f"seg-{view}.dcm"].SegmentSequence]
    tracked = {(segment.TrackingID, segment.TrackingUID) for segment in segments}
    groups = items(written["sr.dcm"], "125007")
    assert len(segments) == len(groups) == 3
    assert tracked == {(items(group, "112039")[0].TextValue, items(group, "112040")[0].UID) for group in groups}
    assert sorted(name for name, _ in tracked) == ["L1", "L2"]


def test_a_preview_is_no_part_of_the_result(full_desk: Any) -> None:
    """The place of the page's picture does not change any result."""
    full_desk.write()
    before = files(full_desk.out)
    full_desk.views[View.R_CC] = replace(full_desk.views[View.R_CC], preview="r-cc.png", preview_scale=0.25)
    full_desk.write()
    assert files(full_desk.out) == before


def test_every_result_says_who_made_it_and_when(full_desk: Any) -> None:
    """Equipment is ours with its versions, the modality is named, and all times are the start of the reading."""
    for result in full_desk.written().values():
        assert result.Manufacturer == "tetraview"
        assert result.ManufacturerModelName == "tetraview mass CAD"
        assert result.DeviceSerialNumber == "0123456789ab"
        assert result.SoftwareVersions[1] == "mommi_detector 1 slim 0123456789ab"
        acquired, processed = result.ContributingEquipmentSequence
        assert (acquired.Manufacturer, acquired.PurposeOfReferenceCodeSequence[0].CodeValue) == ("Maker", "109101")
        assert processed.DeviceUID.startswith("2.25.")
        assert processed.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert result.ContentDate == result.SeriesDate == result.InstanceCreationDate
        assert processed.ContributionDateTime.startswith(result.ContentDate + result.ContentTime)


def test_times_follow_the_zone_of_the_images(desk: Any, image: Any, finding: Any) -> None:
    """The start, 23:30 in UTC, is the next day where the images were made."""
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, TimezoneOffsetFromUTC="+0100"))
    for result in desk.written().values():
        assert (result.ContentDate, result.ContentTime) == ("20260302", "003015")
        assert result.TimezoneOffsetFromUTC == "+0100"


def _lose_a_view(desk: Any) -> None:
    del desk.views[View.R_CC]


def _swap_images(desk: Any) -> None:
    desk.images[View.R_CC], desk.images[View.L_CC] = desk.images[View.L_CC], desk.images[View.R_CC]


def _forget_to_read(desk: Any) -> None:
    desk.views[View.R_CC] = replace(desk.views[View.R_CC], route=None)


def _fail_with_findings(desk: Any) -> None:
    desk.views[View.L_CC] = replace(desk.views[View.L_CC], route=None, failure="not decoded")


def _misplace_a_finding(desk: Any) -> None:
    desk.views[View.R_CC] = replace(desk.views[View.R_CC], findings=desk.views[View.L_CC].findings)


@pytest.mark.parametrize(
    "spoil", [_lose_a_view, _swap_images, _forget_to_read, _fail_with_findings, _misplace_a_finding]
)
def test_a_reading_that_contradicts_its_exam_is_not_reported(full_desk: Any, spoil: Any) -> None:
    """A view lost or swapped on the way must not become a view without findings."""
    spoil(full_desk)
    with pytest.raises(ReportImpossible):
        full_desk.write()
    assert not full_desk.out.exists()


def test_a_folder_that_cannot_be_written_is_reported_as_such(full_desk: Any) -> None:
    """A fault of the disk is temporary, so that the step is tried again."""
    full_desk.folder.write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable):
        full_desk.write()


def test_no_error_names_the_patient(desk: Any) -> None:
    """The message of a fault can be logged."""
    desk.add(View.L_CC)
    desk.views.clear()
    with pytest.raises(ReportImpossible) as caught:
        desk.write()
    assert "ZZCANARY" not in str(caught.value)
