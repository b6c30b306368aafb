"""The failure table: statements of a CAD report on every exam that was read in part, not at all or incompletely."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from pydicom import Dataset

from tetraview.domain.output import OUTPUTS
from tetraview.domain.view import View
from tetraview.report import results
from tetraview.report.cad_report import cad_report
from tetraview.report.header import read_headers
from tetraview.report.moment import Moment

R_CC, L_CC, R_MLO, L_MLO = View


@pytest.fixture
def listed(desk: Any, items: Any, sources: Any) -> Any:
    """The views of the detections or analyses in the containers of a name."""

    def of(document: Dataset, code: str) -> list[list[View]]:
        view_of = {image.sop_instance_uid: view for view, image in desk.images.items()}
        return [
            [view_of[uid] for uid in sources(performed, document)]
            for listing in items(document, code)
            for performed in listing.ContentSequence
        ]

    return of


@pytest.fixture
def coded(items: Any) -> Any:
    """The coded value of the only item of a name."""

    def of(document: Dataset, code: str) -> str:
        (item,) = items(document, code)
        return str(item.ConceptCodeSequence[0].CodeValue)

    return of


#: Each row of the failure table: states of the views by summary, detections, views searched, views failed, analyses,
#: breasts analysed, breasts not.
LEFT, RIGHT = [L_CC, L_MLO], [R_CC, R_MLO]
ROWS = [
    ("found", dict.fromkeys(View, "found"), "111242", "111222", set(View), set(), "111222", [RIGHT, LEFT], []),
    ("empty", dict.fromkeys(View, "empty"), "111241", "111222", set(View), set(), "111222", [RIGHT, LEFT], []),
    (
        "one failed, found",
        {R_CC: "empty", L_CC: "found", R_MLO: "failed", L_MLO: "found"},
        *("111244", "111223", {R_CC, L_CC, L_MLO}, {R_MLO}, "111223", [LEFT], [RIGHT]),
    ),
    (
        "one failed, empty",
        {R_CC: "empty", L_CC: "empty", R_MLO: "failed", L_MLO: "empty"},
        *("111243", "111223", {R_CC, L_CC, L_MLO}, {R_MLO}, "111223", [LEFT], [RIGHT]),
    ),
    ("all failed", dict.fromkeys(View, "failed"), "111245", "111224", set(), set(View), "111225", [], []),
    (
        "incomplete, found",
        {L_CC: "found", L_MLO: "found", R_MLO: "empty"},
        *("111242", "111222", {L_CC, L_MLO, R_MLO}, set(), "111222", [LEFT], []),
    ),
    (
        "incomplete, empty",
        {L_CC: "empty", L_MLO: "empty", R_MLO: "empty"},
        *("111241", "111222", {L_CC, L_MLO, R_MLO}, set(), "111222", [LEFT], []),
    ),
    ("no side", {L_CC: "found", R_MLO: "empty"}, "111242", "111222", {L_CC, R_MLO}, set(), "111225", [], []),
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_failure_table_holds(desk: Any, items: Any, listed: Any, coded: Any, row: Any) -> None:
    """Every case has exactly its codes and lists, the measurement report agrees and only findings are segmented."""
    _, states, summary, status, searched, failed, analysis, analysed, not_analysed = row
    desk.output = OUTPUTS["pacs"]
    desk.tell(states)
    written = desk.written()
    report, measured = written["cad.dcm"], written["sr.dcm"]
    assert [coded(report, code) for code in ("111017", "111064", "111065")] == [summary, status, analysis]
    lists = {code: listed(report, code) for code in ("111063", "111025", "111062", "111024")}
    for code, views in (("111063", searched), ("111025", failed)):
        assert len(items(report, code)) == bool(views)
        assert sorted(view for performed in lists[code] for view in performed) == sorted(views)
    assert (lists["111062"], lists["111024"]) == (analysed, not_analysed)
    found = [view for view, state in states.items() if state == "found"]
    assert len(items(report, "111059")) == len(items(measured, "125007")) == len(found)
    assert len(items(report, "111034")) == len({view.laterality for view in found})
    assert coded(measured, "111017") == summary
    assert {file for file in written if file.startswith("seg")} == {f"seg-{view}.dcm" for view in found}


def test_no_failed_view_is_ever_told_as_read(desk: Any, listed: Any, coded: Any) -> None:
    """None of all 255 exams says that all succeeded if a view failed, and each image is listed exactly once."""
    told = {}
    for state in ("failed", "empty", "found"):
        desk.tell(dict.fromkeys(View, state))
        told |= {(view, state): desk.views[view] for view in View}
    images, headers = dict(desk.images), read_headers(desk.exam, spool=desk.spool)
    moment = Moment.of(desk.reading.started_at, utc_offset=None)
    for states in product((None, "failed", "empty", "found"), repeat=4):
        received = {view: state for view, state in zip(View, states, strict=True) if state}
        if not received:
            continue
        desk.images = {view: images[view] for view in received}
        desk.views = {view: told[view, state] for view, state in received.items()}
        exam, reading, output = desk.exam, desk.reading, OUTPUTS["workstation"]
        context = results._context(exam, reading, output=output, moment=moment, previews=desk.folder)
        report = cad_report(exam, reading, {view: headers[view] for view in received}, context)
        failed = {view for view, state in received.items() if state == "failed"}
        assert (coded(report, "111017") in {"111241", "111242"}) is not bool(failed), received
        searched, not_searched = (
            [view for views in listed(report, code) for view in views] for code in ("111063", "111025")
        )
        assert sorted([*searched, *not_searched]) == sorted(received)
        assert set(not_searched) == failed
