"""Lists of exams and of their results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.exam import ExamState, exam_id_of
from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box
from tetraview.domain.instance import Decision, Eligibility, Instance
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.view import Route, View
from tetraview.exam import judge
from tetraview.ledger import EVERY, Ledger, Outcome, Selection

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
BOX = Box(1, 2, 3, 4)
#: Outcomes of the two views of each study that is read: found (with a finding), clean or unread.
READ = {"2.25.1": ("clean", "found"), "2.25.2": ("clean", "clean"), "2.25.3": ("unread", "clean")}
#: AE titles by study; 2.25.4 waits, and 2.25.5 has been read without a finding but has got another image since.
CALLED = {"2.25.1": "ONE", "2.25.2": "TWO", "2.25.3": "ONE", "2.25.4": "TWO", "2.25.5": "ONE"}


def send(ledger: Ledger, study: str, view: View, *, minutes: int) -> None:
    ledger.record_instance(
        Instance(
            sop_instance_uid=f"{study}.{view}",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
            study_instance_uid=study,
            series_instance_uid=f"{study}.9",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            calling_ae_title="MODALITY",
            called_ae_title=CALLED[study],
            sha256=f"{study}{view}",
            size=1,
            path=f"{study}-{view}.dcm",
            received_at=START + timedelta(minutes=minutes),
            eligibility=Eligibility(decision=Decision.READ, view=view),
        )
    )


def read(view: View, came_to: str) -> ViewReading:
    finding = Finding(
        label="L1-CC",
        lesion="L1",
        view=view,
        box=BOX,
        outline=BOX.corners,
        score=0.5,
        route=Route.BI,
        long_axis_mm=1,
        area_mm2=1,
        nipple_distance_mm=None,
    )
    if came_to == "unread":
        return ViewReading(view=view, sop_instance_uid="1.2", route=None, failure="damaged")
    found = (finding,) if came_to == "found" else ()
    return ViewReading(view=view, sop_instance_uid="1.2", route=Route.BI, findings=found)


def settle(ledger: Ledger) -> None:
    for waiting in ledger.unsettled():
        ledger.settle(waiting, judge(waiting.instances))


def note_reading(ledger: Ledger, study: str, came_to: tuple[str, str]) -> None:
    views = zip((View.R_CC, View.L_CC), came_to, strict=True)
    reading = Reading(
        exam_id=name(study),
        generation=1,
        started_at=START,
        views=tuple(read(view, what) for view, what in views),
        model=None,
        operating_point="balanced",
        stage_seconds={},
    )
    ledger.record_reading(reading)


def name(study: str) -> str:
    return exam_id_of(called_ae_title=CALLED[study], study_instance_uid=study)


@pytest.fixture
def full(ledger: Ledger) -> Ledger:
    """Five exams, each sent a minute after the one before."""
    came_to = READ | {"2.25.5": ("clean", "clean")}
    for minutes, study in enumerate(CALLED):
        send(ledger, study, View.R_CC, minutes=minutes)
        send(ledger, study, View.L_CC, minutes=minutes)
    settle(ledger)
    for study, views in came_to.items():
        note_reading(ledger, study, views)
    ledger.fail_exam(name("2.25.4"), 1, detail="a test")
    send(ledger, "2.25.5", View.R_MLO, minutes=5)
    settle(ledger)
    return ledger


@pytest.mark.parametrize(
    ("selection", "studies"),
    [
        (EVERY, ["5", "4", "3", "2", "1"]),
        (Selection(state=ExamState.FAILED), ["4"]),
        (Selection(called_ae_title="TWO"), ["4", "2"]),
        (Selection(called_ae_title="' OR ''='"), []),
        (Selection(outcome=Outcome.FINDINGS), ["1"]),
        (Selection(outcome=Outcome.NO_FINDINGS), ["2"]),
        (Selection(outcome=Outcome.UNREAD_VIEWS), ["3"]),
        (Selection(state=ExamState.READING, called_ae_title="ONE"), ["5", "3", "1"]),
        (Selection(state=ExamState.DONE, outcome=Outcome.FINDINGS), []),
    ],
)
def test_a_selection_is_what_fits_all_of_it(full: Ledger, selection: Selection, studies: list[str]) -> None:
    """State, AE title and the outcome of the newest generation are held together, newest first, and counted alike."""
    expected = [name(f"2.25.{study}") for study in studies]
    assert [exam.exam_id for exam in full.exams(limit=9, selection=selection)] == expected
    assert sum(full.count_exams(selection).values()) == len(expected)


def test_a_list_can_begin_later(full: Ledger) -> None:
    """If the newest are left out, the next ones follow, as many as requested."""
    assert [exam.exam_id for exam in full.exams(limit=2, offset=1)] == [name("2.25.4"), name("2.25.3")]


def test_a_summary_tells_which_views_could_not_be_read(full: Ledger) -> None:
    """A view that failed in the newest reading is named in the exam's summary."""
    failed = {exam.exam_id: exam.failed for exam in full.exams(limit=9)}
    assert failed == {name(study): (View.R_CC,) if study == "2.25.3" else () for study in CALLED}


def test_ae_titles_are_told_once(full: Ledger) -> None:
    """Every AE title that an exam was sent to is listed once, by name."""
    assert full.called_ae_titles() == ["ONE", "TWO"]


def test_results_are_known_without_a_destination(full: Ledger) -> None:
    """The results of a generation are kept even if they are owed to nobody; other generations have none."""
    report = ResultObject(
        kind=ResultKind.MEASUREMENT_REPORT,
        sop_class_uid="1.2",
        sop_instance_uid="2.25.7",
        path="pacs/sr.dcm",
        output="pacs",
    )
    full.open_deliveries(name("2.25.1"), 1, results=[report], destinations={})
    assert full.results(name("2.25.1"), 1) == (report,)
    assert full.results(name("2.25.1"), 2) == full.results(name("2.25.2"), 1) == ()
