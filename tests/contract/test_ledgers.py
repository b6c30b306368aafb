"""The ledgers that tests keep in memory answer intake and pages as the real one does in each of its databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from tests.support import intake, web
from tests.support.builders import MOMENT, a_finding, a_reading, a_view_reading, an_instance
from tests.support.postgresql import new_database

from tetraview.domain.delivery import DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import ExamState, Remark, exam_id_of
from tetraview.domain.instance import Recorded
from tetraview.domain.view import View
from tetraview.exam import judge
from tetraview.intake.accept import InstanceLedger
from tetraview.ledger import EVERY, Ledger, Outcome, Selection, open_engine
from tetraview.web.protocol import WebLedger

#: Studies by what became of them; the first two came at the same moment, the others later and in this order.
REFUSED, DELIVERED, OWED, COLLECTING, READ_ANEW = (f"2.25.{number}" for number in range(1, 6))
CALLED = {REFUSED: "ONE", DELIVERED: "TWO", OWED: "ONE", COLLECTING: "THREE", READ_ANEW: "TWO"}
MINUTES = {REFUSED: 0, DELIVERED: 0, OWED: 1, COLLECTING: 2, READ_ANEW: 3}
FOUND, CLEAN = a_view_reading(View.R_CC, a_finding(View.R_CC)), a_view_reading(View.R_CC)
UNREAD = a_view_reading(View.R_CC, failure="the JPEG stream ends early")
READ = {REFUSED: FOUND, DELIVERED: CLEAN, OWED: UNREAD, READ_ANEW: FOUND}
BECAME = {REFUSED: DeliveryState.REFUSED, DELIVERED: DeliveryState.DELIVERED, READ_ANEW: DeliveryState.DELIVERED}
NOBODY = "0" * 16

IMAGE = an_instance(path="a")
CHANGED = replace(IMAGE, sha256="b" * 64, path="b")


def name(study: str) -> str:
    return exam_id_of(called_ae_title=CALLED[study], study_instance_uid=study)


def result(study: str, file: str) -> ResultObject:
    return ResultObject(
        kind=ResultKind.MEASUREMENT_REPORT,
        sop_class_uid="1.2",
        sop_instance_uid=f"{study}.{file}",
        path=file,
        output="o",
    )


def receive(ledger: Ledger, study: str, view: View) -> None:
    known = {"called_ae_title": CALLED[study], "path": f"{study}-{view}.dcm", "sha256": f"{study}-{view}"}
    received_at = MOMENT + timedelta(minutes=MINUTES[study])
    number = list(View).index(view)
    ledger.record_instance(an_instance(view, number=number, study=study, received_at=received_at, **known))


def settle(ledger: Ledger, study: str) -> None:
    (waiting,) = [waiting for waiting in ledger.unsettled() if waiting.exam_id == name(study)]
    ledger.settle(waiting, judge(waiting.instances))


def read(ledger: Ledger, study: str) -> None:
    """Record the reading, write two results for two destinations, and say what becomes of them."""
    settle(ledger, study)
    ledger.record_reading(a_reading(READ[study], exam_id=name(study)))
    results = [result(study, file) for file in ("b", "a")]
    ledger.open_deliveries(name(study), 1, results=results, destinations={"south": "o", "north": "o"})
    for delivery in ledger.deliveries(name(study)):
        if study in BECAME:
            ledger.record_delivery(replace(delivery, state=BECAME[study], attempts=4))


def fill(ledger: Ledger) -> None:
    for study in CALLED:
        receive(ledger, study, View.R_CC)
        if study in READ:
            read(ledger, study)
    receive(ledger, READ_ANEW, View.L_CC)
    settle(ledger, READ_ANEW)


def in_memory(ledger: Ledger) -> web.MemoryLedger:
    """All that a ledger holds, the other way round."""
    exams = ledger.exams(limit=99)[::-1]
    generations = [(exam.exam_id, number) for exam in exams for number in range(exam.generation, 0, -1)]
    return web.MemoryLedger(
        summaries=exams,
        readings=[reading for generation in generations if (reading := ledger.reading(*generation))],
        owed=[delivery for exam in exams for delivery in ledger.deliveries(exam.exam_id)[::-1]],
        written={generation: ledger.results(*generation) for generation in generations},
    )


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "memory"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def opened(url: str) -> Iterator[Ledger]:
    engine = open_engine(url)
    try:
        yield Ledger(engine, clock=lambda: MOMENT)
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def new(kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes an empty database; for a ledger in memory, the one that it is filled from."""
    if kind == "postgresql":
        server, number = request.getfixturevalue("_postgresql_server"), count()
        return lambda: new_database(server, f"contract_{next(number)}")
    return lambda: f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.sqlite"


@pytest.fixture
def received(kind: str, new: Callable[[], str]) -> Iterator[InstanceLedger]:
    """An empty ledger as intake sees it."""
    with opened(new()) as ledger:
        yield intake.MemoryLedger() if kind == "memory" else ledger


@contextmanager
def filled(kind: str, url: str) -> Iterator[WebLedger]:
    """A ledger with five exams as the pages see it."""
    with opened(url) as ledger:
        fill(ledger)
        yield in_memory(ledger) if kind == "memory" else ledger


@pytest.fixture(scope="module")
def shown(kind: str, new: Callable[[], str]) -> Iterator[WebLedger]:
    """A ledger for tests that leave it as it is."""
    with filled(kind, new()) as ledger:
        yield ledger


@pytest.fixture
def own(kind: str, new: Callable[[], str]) -> Iterator[WebLedger]:
    """A ledger for a test that changes it."""
    with filled(kind, new()) as ledger:
        yield ledger


def test_an_instance_is_new_once(received: InstanceLedger) -> None:
    """An instance is new when it comes first, and the same when its bytes come again, whoever sends them."""
    assert received.record_instance(IMAGE) is Recorded.NEW
    assert received.record_instance(IMAGE) is Recorded.SAME
    assert received.record_instance(replace(IMAGE, calling_ae_title="PACS", path="b")) is Recorded.SAME
    assert list(received.paths()) == ["a"]


def test_other_bytes_from_the_same_sender_are_a_new_version(received: InstanceLedger) -> None:
    """Other bytes of one SOP Instance UID from the sender of the first change the image, and both files are kept."""
    received.record_instance(IMAGE)
    assert received.record_instance(CHANGED) is Recorded.CHANGED
    assert received.record_instance(CHANGED) is Recorded.SAME
    assert sorted(received.paths()) == ["a", "b"]


def test_other_bytes_from_another_sender_are_not_kept(received: InstanceLedger) -> None:
    """Other bytes of one SOP Instance UID from another sender are a conflict that leaves no row."""
    received.record_instance(IMAGE)
    assert received.record_instance(replace(CHANGED, calling_ae_title="PACS")) is Recorded.CONFLICT
    assert [received.has_path(path) for path in "ab"] == [True, False]


def test_a_sender_can_go_back_to_an_earlier_version(received: InstanceLedger) -> None:
    """A superseded version that comes again is in force again and has one row; then it is the same once more."""
    answers = [received.record_instance(image) for image in (IMAGE, CHANGED, IMAGE, IMAGE, CHANGED)]
    assert answers == [Recorded.NEW, *[Recorded.CHANGED] * 2, Recorded.SAME, Recorded.CHANGED]
    assert sorted(received.paths()) == ["a", "b"]


def test_another_sender_cannot_go_back_to_an_earlier_version(received: InstanceLedger) -> None:
    """A superseded version is a conflict where another sender than its own sends it."""
    for image in (IMAGE, CHANGED):
        received.record_instance(image)
    assert received.record_instance(replace(IMAGE, calling_ae_title="PACS")) is Recorded.CONFLICT


def test_each_ae_title_called_has_instances_of_its_own(received: InstanceLedger) -> None:
    """One image that is sent to two of our AE titles is new to each."""
    received.record_instance(IMAGE)
    assert (
        received.record_instance(replace(CHANGED, called_ae_title="TETRA_B", calling_ae_title="PACS")) is Recorded.NEW
    )


def test_a_path_without_a_row_is_unknown(received: InstanceLedger) -> None:
    """An empty ledger refers to no file."""
    assert not received.has_path("a")
    assert list(received.paths()) == []


def test_exams_stand_newest_first(shown: WebLedger) -> None:
    """Exams stand by the moment of their last image, those of one moment by their identifiers, on pages of any size."""
    order = [*map(name, (READ_ANEW, COLLECTING, OWED)), *sorted(map(name, (REFUSED, DELIVERED)))]
    for size in (1, 2, 5, 9):
        pages = [shown.exams(limit=size, offset=offset, selection=EVERY) for offset in range(0, 10, size)]
        assert [exam.exam_id for page in pages for exam in page] == order


@pytest.mark.parametrize(
    ("selection", "studies"),
    [
        (EVERY, set(CALLED)),
        (Selection(state=ExamState.FAILED), {REFUSED}),
        (Selection(called_ae_title="ONE"), {REFUSED, OWED}),
        (Selection(called_ae_title="one"), set()),
        (Selection(outcome=Outcome.FINDINGS), {REFUSED}),
        (Selection(outcome=Outcome.NO_FINDINGS), {DELIVERED}),
        (Selection(outcome=Outcome.UNREAD_VIEWS), {OWED}),
        (Selection(called_ae_title="ONE", outcome=Outcome.FINDINGS), {REFUSED}),
        (Selection(state=ExamState.DONE, outcome=Outcome.FINDINGS), set()),
    ],
)
def test_a_selection_holds_for_list_and_numbers(shown: WebLedger, selection: Selection, studies: set[str]) -> None:
    """The exams of a selection have all in common that it names, and are as many as are counted."""
    exams = shown.exams(limit=9, offset=0, selection=selection)
    assert {exam.exam_id for exam in exams} == set(map(name, studies))
    states = [exam.state for exam in exams]
    assert dict(shown.count_exams(selection)) == {state: states.count(state) for state in states}


def test_ae_titles_stand_by_name(shown: WebLedger) -> None:
    """Every AE title of ours that an exam was sent to is named once."""
    assert list(shown.called_ae_titles()) == ["ONE", "THREE", "TWO"]


def test_an_exam_is_found_by_its_identifier(shown: WebLedger) -> None:
    """An exam by itself is the exam of the list."""
    for exam in shown.exams(limit=9, offset=0, selection=EVERY):
        assert shown.exam(exam.exam_id) == exam


def test_an_unknown_exam_has_nothing_and_takes_nothing(shown: WebLedger) -> None:
    """An identifier of no exam finds nothing, and no request about it is taken."""
    assert (shown.exam(NOBODY), shown.reading(NOBODY)) == (None, None)
    assert [*shown.results(NOBODY, 1), *shown.deliveries(NOBODY)] == []
    assert (shown.force(NOBODY), shown.requeue(exam_id=NOBODY), shown.discard(NOBODY)) == (False, 0, False)


def test_any_exam_can_be_asked_to_be_read(own: WebLedger) -> None:
    """A request to read an exam is taken in every state, as often as it is made, and changes no state itself."""
    for exam_id in map(name, CALLED):
        before = own.exam(exam_id)
        assert (own.force(exam_id), own.force(exam_id)) == (True, True)
        assert own.exam(exam_id) == before


def test_refused_results_are_sent_again(own: WebLedger) -> None:
    """A request to send again gives each refused object one new round, and its exam is delivering."""
    assert (own.requeue(exam_id=name(REFUSED)), own.requeue(exam_id=name(REFUSED))) == (4, 0)
    assert {(owed.state, owed.round) for owed in own.deliveries(name(REFUSED))} == {(DeliveryState.PENDING, 1)}
    exam = own.exam(name(REFUSED))
    assert exam is not None
    assert (exam.state, exam.detail) == (ExamState.DELIVERING, "")


@pytest.mark.parametrize("study", [DELIVERED, OWED, COLLECTING])
def test_without_a_refusal_nothing_is_sent_again(shown: WebLedger, study: str) -> None:
    """A request to send again leaves everything as it is where nothing was refused."""
    before = shown.exam(name(study)), list(shown.deliveries(name(study)))
    assert shown.requeue(exam_id=name(study)) == 0
    assert (shown.exam(name(study)), list(shown.deliveries(name(study)))) == before


def test_an_exam_at_rest_can_be_discarded(own: WebLedger) -> None:
    """A discarded exam is skipped, has no image in force, and says that it can be sent anew."""
    for exam_id in map(name, (REFUSED, DELIVERED, COLLECTING)):
        assert own.discard(exam_id)
        exam = own.exam(exam_id)
        assert exam is not None
        assert (exam.state, exam.remark, exam.views) == (ExamState.SKIPPED, Remark.NO_IMAGE, frozenset())
        assert exam.detail == "its images were discarded: send it anew"


@pytest.mark.parametrize("study", [OWED, READ_ANEW])
def test_an_exam_under_way_cannot_be_discarded(shown: WebLedger, study: str) -> None:
    """An exam that is being read or delivered keeps its images and its state."""
    before = shown.exam(name(study))
    assert not shown.discard(name(study))
    assert shown.exam(name(study)) == before


def test_the_newest_reading_counts(shown: WebLedger) -> None:
    """Without a generation the newest one that was read is shown, and a generation that is not read has none."""
    exam, first = shown.exam(name(READ_ANEW)), shown.reading(name(READ_ANEW), 1)
    assert exam is not None
    assert (exam.generation, exam.findings) == (2, None)
    assert first == shown.reading(name(READ_ANEW)) == a_reading(FOUND, exam_id=name(READ_ANEW))
    assert shown.reading(name(READ_ANEW), 2) is None


def test_results_belong_to_their_generation(shown: WebLedger) -> None:
    """The results of a generation stand as they were written; one without results has none."""
    assert list(shown.results(name(READ_ANEW), 1)) == [result(READ_ANEW, "b"), result(READ_ANEW, "a")]
    assert list(shown.results(name(READ_ANEW), 2)) == []
    assert list(shown.results(name(COLLECTING), 1)) == []


def test_deliveries_stand_by_destination_and_file(shown: WebLedger) -> None:
    """Every destination's objects stand together, by the names of their files."""
    owed = [(delivery.destination, delivery.result.path) for delivery in shown.deliveries(name(OWED))]
    assert owed == [("north", "a"), ("north", "b"), ("south", "a"), ("south", "b")]
