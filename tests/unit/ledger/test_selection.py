"""Lists of exams and their outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.support.builders import a_finding, a_reading, a_view_reading, an_instance

from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.exam import ExamState, exam_id_of
from tetraview.domain.reading import ViewReading
from tetraview.domain.view import View
from tetraview.exam import judge
from tetraview.ledger import EVERY, Ledger, Outcome, Selection

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
#: What is read of the two views of each study that is read at all; a view is found in, clean or unread.
READ = {"2.25.1": ("clean", "found"), "2.25.2": ("clean", "clean"), "2.25.3": ("unread", "clean")}
#: By study; 2.25.4 waits, and 2.25.5 has been read without a finding but has got another image since.
CALLED = {"2.25.1": "ONE", "2.25.2": "TWO", "2.25.3": "ONE", "2.25.4": "TWO", "2.25.5": "ONE"}


def send(ledger: Ledger, study: str, view: View, *, minutes: int) -> None:
    known = {"sop_instance_uid": f"{study}.{view}", "sha256": f"{study}{view}", "path": f"{study}-{view}.dcm"}
    received_at = START + timedelta(minutes=minutes)
    ledger.record_instance(
        an_instance(view, study=study, called_ae_title=CALLED[study], received_at=received_at, **known)
    )


def read(view: View, came_to: str) -> ViewReading:
    found = [a_finding(view)] if came_to == "found" else []
    return a_view_reading(view, *found, failure="damaged" if came_to == "unread" else None)


def settle(ledger: Ledger) -> None:
    for waiting in ledger.unsettled():
        ledger.settle(waiting, judge(waiting.instances))


def note_reading(ledger: Ledger, study: str, came_to: tuple[str, str]) -> None:
    ledger.record_reading(a_reading(*map(read, (View.R_CC, View.L_CC), came_to), exam_id=name(study)))


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
    """After leaving out the newest, as many as asked for come next."""
    assert [exam.exam_id for exam in full.exams(limit=2, offset=1)] == [name("2.25.4"), name("2.25.3")]


def test_a_summary_tells_which_views_could_not_be_read(full: Ledger) -> None:
    """A view that failed in the newest reading is named in the exam's summary."""
    failed = {exam.exam_id: exam.failed for exam in full.exams(limit=9)}
    assert failed == {name(study): (View.R_CC,) if study == "2.25.3" else () for study in CALLED}


def test_ae_titles_are_told_once(full: Ledger) -> None:
    """Every AE title that an exam was sent to is there once, by name."""
    assert full.called_ae_titles() == ["ONE", "TWO"]


def test_results_are_known_without_a_destination(full: Ledger) -> None:
    """What was made of a generation is kept also where nobody is owed it; other generations have none."""
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
