from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.support.builders import a_reading, a_view_reading, an_instance

from tetraview.domain.delivery import Delivery, DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import Exam, ExamState, exam_id_of
from tetraview.domain.instance import Instance, Recorded
from tetraview.domain.view import Route, View
from tetraview.errors import StorageUnavailable
from tetraview.exam import judge
from tetraview.ledger import Ledger, check_database, open_engine
from tetraview.ledger.database import migrate
from tetraview.ledger.received import compare
from tetraview.ledger.tables import metadata

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
EXAM = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid="2.25.1")
REPORT = ResultObject(
    kind=ResultKind.MEASUREMENT_REPORT,
    sop_class_uid="1.2",
    sop_instance_uid="2.25.7",
    path="ohif/sr.dcm",
    output="ohif",
)


def image(
    view: View | None, *, number: int, sha256: str | None = None, sender: str = "MODALITY", at: datetime = START
) -> Instance:
    return an_instance(
        view,
        number=number,
        calling_ae_title=sender,
        sha256=sha256 or f"{number:064d}",
        path=f"{number:02d}/{sha256 or number}-{sender}.dcm",
        received_at=at,
    )


def owed(*, state: DeliveryState, destination: str = "pacs") -> Delivery:
    return Delivery(exam_id=EXAM, generation=1, destination=destination, result=REPORT, state=state, attempts=1)


def settle(ledger: Ledger) -> Exam | None:
    (unsettled,) = ledger.unsettled()
    return ledger.settle(unsettled, judge(unsettled.instances))


def settle_exam(ledger: Ledger, exam_id: str) -> Exam | None:
    (unsettled,) = [waiting for waiting in ledger.unsettled() if waiting.exam_id == exam_id]
    return ledger.settle(unsettled, judge(unsettled.instances))


def test_commits_are_synchronous(engine: sa.Engine, ledger: Ledger) -> None:
    """Every connection waits for the disk at commit, so that a power cut loses no acknowledged row."""
    del ledger
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            return
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_database_that_answers_is_left_as_it_is(engine: sa.Engine) -> None:
    """A check whether a database answers makes no table in it."""
    check_database(engine.url.render_as_string(hide_password=False))
    assert sa.inspect(engine).get_table_names() == []


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    """Where PostgreSQL does not answer, the error says where it was looked for and keeps the password to itself."""
    with pytest.raises(StorageUnavailable, match=r"127\.0\.0\.1:1/tetraview") as caught:
        check_database("postgresql+psycopg://reader:s3cret@127.0.0.1:1/tetraview")
    assert "s3cret" not in str(caught.value)


def test_schema_equals_all_migrations(engine: sa.Engine, ledger: Ledger) -> None:
    """The migrations build exactly the tables that the code declares."""
    del ledger
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_ledger_of_the_version_before_is_upgraded(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the version before keep their identifiers, name the AE title called, and go on where they stood."""
    with monkeypatch.context() as then:
        upgrade = command.upgrade
        then.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
        migrate(engine)
    with engine.begin() as connection:
        for line in (Path(__file__).parent / "ledger_0001.sql").read_text().splitlines():
            if not line.startswith("--"):
                connection.exec_driver_sql(line)
    ledger = Ledger(engine, clock=lambda: START)
    assert {exam.exam_id: exam.called_ae_title for exam in ledger.exams(limit=9)} == {
        EXAM: "TETRAVIEW",
        exam_id_of(called_ae_title="READER", study_instance_uid="2.25.1"): "READER",
    }
    (unread,) = ledger.unread()
    assert (unread.exam_id, unread.generation, unread.called_ae_title) == (EXAM, 1, "TETRAVIEW")
    assert ledger.record_instance(image(View.L_CC, number=1, sha256="b" * 64)) is Recorded.SAME
    assert ledger.record_instance(image(View.R_CC, number=4)) is Recorded.NEW
    late = settle_exam(ledger, EXAM)
    assert late is not None
    assert (late.generation, set(late.images)) == (2, {View.L_CC, View.R_CC})


def test_a_study_sent_to_two_ae_titles_is_two_exams(ledger: Ledger) -> None:
    """The same image sent to two of our AE titles is new for each, and each exam holds its own."""
    for ae_title in ("TETRAVIEW", "TETRA_B"):
        assert ledger.record_instance(replace(image(View.L_CC, number=1), called_ae_title=ae_title)) is Recorded.NEW
    settled = {waiting.exam_id: settle_exam(ledger, waiting.exam_id) for waiting in ledger.unsettled()}
    assert {exam_id: exam and exam.called_ae_title for exam_id, exam in settled.items()} == {
        EXAM: "TETRAVIEW",
        exam_id_of(called_ae_title="TETRA_B", study_instance_uid="2.25.1"): "TETRA_B",
    }
    assert {summary.called_ae_title for summary in ledger.exams(limit=9)} == {"TETRAVIEW", "TETRA_B"}


def test_the_same_bytes_are_kept_once(ledger: Ledger) -> None:
    """A re-send of the same bytes is recognised and opens nothing new."""
    assert ledger.record_instance(image(View.L_CC, number=1)) is Recorded.NEW
    assert settle(ledger) is not None
    assert ledger.record_instance(image(View.L_CC, number=1)) is Recorded.SAME
    assert ledger.unsettled() == []


def test_other_bytes_under_a_known_uid(ledger: Ledger) -> None:
    """Changed bytes are a new version from the same sender and a conflict from another."""
    ledger.record_instance(image(View.L_CC, number=1))
    assert ledger.record_instance(image(View.L_CC, number=1, sha256="b" * 64)) is Recorded.CHANGED
    assert ledger.record_instance(image(View.L_CC, number=1, sha256="c" * 64, sender="OTHER")) is Recorded.CONFLICT
    (unsettled,) = ledger.unsettled()
    assert [instance.sha256 for instance in unsettled.instances] == ["b" * 64]


def test_a_late_image_opens_a_generation(ledger: Ledger) -> None:
    """An image that fills a slot after the reading opens the next generation; one that fills none does not."""
    ledger.record_instance(image(View.L_CC, number=1))
    first = settle(ledger)
    ledger.record_instance(image(None, number=2))
    assert settle(ledger) is None
    assert ledger.unsettled() == []
    ledger.record_instance(image(View.R_CC, number=3, at=START + timedelta(seconds=9)))
    second = settle(ledger)
    assert first is not None
    assert second is not None
    assert (first.generation, second.generation) == (1, 2)
    assert set(second.images) == {View.L_CC, View.R_CC}


def test_an_image_that_comes_while_an_exam_is_settled_is_considered(ledger: Ledger) -> None:
    """An image recorded between the look at an exam and its settling makes it wait, and is read with the others."""
    ledger.record_instance(image(View.L_CC, number=1))
    (seen,) = ledger.unsettled()
    ledger.record_instance(image(View.R_CC, number=2))
    assert ledger.settle(seen, judge(seen.instances)) is None
    exam = settle(ledger)
    assert exam is not None
    assert (exam.generation, set(exam.images)) == (1, {View.L_CC, View.R_CC})


def test_two_replicas_settle_an_exam_once(ledger: Ledger) -> None:
    """If two services look at the same waiting exam, one settles it and the other finds nothing to do."""
    ledger.record_instance(image(View.L_CC, number=1))
    (seen,) = ledger.unsettled()
    chosen = judge(seen.instances)
    assert ledger.settle(seen, chosen) is not None
    assert ledger.settle(seen, chosen) is None
    assert ledger.unsettled() == []


def test_a_resend_after_failure_reads_again(ledger: Ledger) -> None:
    """The same bytes sent again after a failed generation open a new one."""
    ledger.record_instance(image(View.L_CC, number=1))
    settle(ledger)
    ledger.fail_exam(EXAM, 1, detail="Triton's model is gone")
    assert ledger.record_instance(image(View.L_CC, number=1)) is Recorded.SAME
    again = settle(ledger)
    assert again is not None
    assert again.generation == 2


def test_an_exam_without_readable_images_is_skipped(ledger: Ledger) -> None:
    """An exam that holds no image that is read ends as skipped, not failed."""
    ledger.record_instance(image(None, number=1))
    assert settle(ledger) is None
    summary = ledger.exam(EXAM)
    assert summary is not None
    assert summary.state is ExamState.SKIPPED


def test_a_reading_survives_the_round_trip(ledger: Ledger) -> None:
    """A reading comes back from the ledger unchanged."""
    ledger.record_instance(image(View.L_CC, number=1))
    settle(ledger)
    view = a_view_reading(View.L_CC, route=Route.SINGLE, warnings=("L-CC is alone",))
    reading = a_reading(view, exam_id=EXAM, started_at=START, stage_seconds={"decode": 0.25})
    ledger.record_reading(reading)
    assert ledger.reading(EXAM) == reading


def test_an_exam_is_done_when_everything_is_delivered(ledger: Ledger) -> None:
    """An exam is done once no destination is owed anything, and owing twice changes nothing."""
    ledger.record_instance(image(View.L_CC, number=1))
    settle(ledger)
    for _ in range(2):
        ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations={"pacs": "ohif"})
    assert ledger.count_pending() == {"pacs": 1}
    assert [exam.generation for exam in ledger.unread()] == [1]
    assert not ledger.record_delivery(owed(state=DeliveryState.PENDING))
    assert ledger.record_delivery(owed(state=DeliveryState.DELIVERED))
    assert ledger.count_exams() == {ExamState.DONE: 1}
    assert ledger.unread() == []


def test_an_older_generation_does_not_end_a_newer_one(ledger: Ledger) -> None:
    """Results of an older generation that are delivered, or that fail, do not change an exam that is read anew."""
    ledger.record_instance(image(View.L_CC, number=1))
    settle(ledger)
    ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations={"pacs": "ohif"})
    ledger.record_instance(image(View.R_CC, number=2))
    settle(ledger)
    assert not ledger.record_delivery(owed(state=DeliveryState.DELIVERED))
    ledger.fail_exam(EXAM, 1, detail="too late")
    assert ledger.count_exams() == {ExamState.READING: 1}
    assert ledger.count_pending() == {}


def test_last_deliveries_at_once_end_an_exam_once(ledger: Ledger) -> None:
    """If many last deliveries end at the same moment, exactly one of them ends the exam."""
    ledger.record_instance(image(View.L_CC, number=1))
    settle(ledger)
    names = [f"pacs-{number}" for number in range(8)]
    ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations=dict.fromkeys(names, "ohif"))
    ended = [owed(destination=name, state=DeliveryState.DELIVERED) for name in names]
    with ThreadPoolExecutor(len(names)) as pool:
        assert sorted(pool.map(ledger.record_delivery, ended)) == [False] * 7 + [True]
    assert ledger.count_exams() == {ExamState.DONE: 1}


def test_who_is_late_changes_nothing_that_has_gone_on(ledger: Ledger) -> None:
    """A service whose work another has finished cannot undo the delivery, the reading or the end."""
    ledger.record_instance(image(View.R_CC, number=1))
    settle(ledger)
    first = a_reading(exam_id=EXAM)
    ledger.record_reading(first)
    assert not ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations={"pacs": "ohif"})
    ledger.record_reading(replace(first, operating_point="high_specificity"))
    assert ledger.reading(EXAM) == first
    assert ledger.record_delivery(owed(state=DeliveryState.DELIVERED))
    assert not ledger.record_delivery(owed(state=DeliveryState.PENDING))
    ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations={"pacs": "ohif"})
    ledger.fail_exam(EXAM, 1, detail="too late")
    assert ledger.count_pending() == {}
    exam = ledger.exam(EXAM)
    assert exam is not None
    assert exam.state is ExamState.DONE


def test_two_reports_at_once_owe_each_object_once(ledger: Ledger) -> None:
    """If two services write the same results, in either order, nothing fails and nothing is owed twice."""
    ledger.record_instance(image(View.R_CC, number=1))
    settle(ledger)

    def report(_number: int) -> None:
        ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations={"pacs": "ohif", "archive": "ohif"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(report, range(8)))
    assert ledger.count_pending() == {"pacs": 1, "archive": 1}


def test_an_exam_that_nobody_is_owed_is_done(ledger: Ledger) -> None:
    """Without a destination an exam is done once its results are written."""
    ledger.record_instance(image(View.L_CC, number=1))
    settle(ledger)
    assert ledger.open_deliveries(EXAM, 1, results=[REPORT], destinations={})
    assert ledger.count_exams() == {ExamState.DONE: 1}


def test_the_version_before_goes_on_with_the_tables_of_the_next(engine: sa.Engine, ledger: Ledger) -> None:
    """While services are replaced one by one, and after a step back, an older one starts on newer tables."""
    ledger.record_instance(image(View.L_CC, number=1))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert [exam.exam_id for exam in Ledger(engine, clock=lambda: START).exams(limit=9)] == [EXAM]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"


def test_a_migration_that_dies_leaves_nothing(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first start that dies between two tables leaves a database that the next start can migrate."""
    create = op.create_table

    def die_at_the_second(name: str, *columns: Any) -> None:
        if name == "exams":
            raise KeyboardInterrupt
        create(name, *columns)

    with monkeypatch.context() as dying:
        dying.setattr(op, "create_table", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            Ledger(engine, clock=lambda: START)
    assert Ledger(engine, clock=lambda: START).count_exams() == {}


def test_a_locked_ledger_is_a_transient_error(
    ledger: Ledger, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger held by another writer makes the sender try later instead of failing for good."""
    monkeypatch.setattr("tetraview.ledger.database._LOCK_SECONDS", 1)
    quick = Ledger(open_engine(engine.url.render_as_string(hide_password=False)), clock=lambda: START)
    with engine.begin() as holder:
        lock = "LOCK TABLE exams" if engine.dialect.name == "postgresql" else "UPDATE exams SET detail = ''"
        holder.exec_driver_sql(lock)
        with pytest.raises(StorageUnavailable):
            quick.record_instance(image(View.L_CC, number=1))
    quick._engine.dispose()
    assert ledger.unsettled() == []


def test_many_senders_of_one_exam(ledger: Ledger) -> None:
    """Twenty associations that send the same images at once make one row an image, none refused."""
    images = [image(view, number=number) for number, view in enumerate(View)] * 5
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(ledger.record_instance, images))
    assert sorted(outcomes) == [Recorded.NEW] * 4 + [Recorded.SAME] * 16
    (unsettled,) = ledger.unsettled()
    assert len(unsettled.instances) == 4


@pytest.mark.parametrize("first", [True, False])
def test_two_senders_of_different_bytes_at_once_conflict(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    """If two senders send two versions of one image at the same moment, one is kept and the other is a conflict."""
    if not first:
        ledger.record_instance(image(View.R_CC, number=2))
    compared = threading.Barrier(2, timeout=0.5)

    def wait_for_the_other(connection: sa.Connection, instance: Instance) -> Recorded:
        recorded = compare(connection, instance)
        # A sender that has to wait for the other's commit is not here in time, as intended.
        with suppress(threading.BrokenBarrierError):
            compared.wait()
        return recorded

    monkeypatch.setattr("tetraview.ledger.ledger.compare", wait_for_the_other)
    sent = [
        image(View.L_CC, number=1, sha256=sha256 * 64, sender=sender) for sha256, sender in (("a", "A"), ("b", "B"))
    ]
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(ledger.record_instance, sent)) == [Recorded.CONFLICT, Recorded.NEW]
