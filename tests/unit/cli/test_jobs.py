"""`tetraview jobs` and `tetraview requeue` beside a ledger that a service uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.support.delivering import IMAGE
from typer.testing import CliRunner, Result

from tetraview.cli.jobs import jobs_table
from tetraview.cli.main import app
from tetraview.domain.delivery import Delivery, DeliveryState, ResultKind, ResultObject
from tetraview.domain.exam import ExamState, exam_id_of
from tetraview.domain.view import View
from tetraview.errors import SettingsInvalid
from tetraview.exam import judge
from tetraview.ledger import Ledger, open_engine

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SEGMENTATION = ResultObject(
    kind=ResultKind.SEGMENTATION,
    sop_class_uid="1.2",
    sop_instance_uid="2.25.7",
    path="pacs/seg-L-CC.dcm",
    view=View.L_CC,
    output="pacs",
)
ANSWER = "north refused the SEG object: 0x0122 SOP class not supported"


@pytest.fixture
def exams(tmp_path: Path) -> list[str]:
    """Two exams, each with an object that the PACS refused and one that is owed to another destination."""
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    ledger = Ledger(engine, clock=lambda: NOW)
    found = []
    for study in ("2.25.1", "2.25.2"):
        exam_id = exam_id_of(called_ae_title="TETRAVIEW", study_instance_uid=study)
        image = replace(IMAGE, study_instance_uid=study, sop_instance_uid=f"{study}.1")
        ledger.record_instance(image)
        (waiting,) = ledger.unsettled()
        ledger.settle(waiting, judge(waiting.instances))
        ledger.open_deliveries(exam_id, 1, results=[SEGMENTATION], destinations={"north": "pacs", "south": "pacs"})
        refused = Delivery(
            exam_id=exam_id,
            generation=1,
            destination="north",
            result=SEGMENTATION,
            state=DeliveryState.REFUSED,
            attempts=4,
            detail=ANSWER,
        )
        ledger.record_delivery(refused)
        found.append(exam_id)
    engine.dispose()
    return found


@pytest.fixture
def ledger(tmp_path: Path, exams: list[str]) -> Iterator[Ledger]:
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield Ledger(engine, clock=lambda: NOW)
    engine.dispose()


def tetraview(folder: Path, *arguments: str) -> Result:
    return CliRunner(env={"TETRAVIEW_DATA_DIR": str(folder), "COLUMNS": "40"}).invoke(app, arguments)


def refused(ledger: Ledger) -> list[str]:
    return [job.exam_id for job in ledger.jobs() if job.state is DeliveryState.REFUSED]


def test_jobs_lists_what_waits_and_what_was_refused(tmp_path: Path, exams: list[str]) -> None:
    """In a pipe each object is one line that names exam and reading, destination, object, tries and last answer."""
    shown = tetraview(tmp_path, "jobs").stdout.splitlines()
    assert shown[0] == "2 waiting, 2 refused"
    assert shown[1].split("\t") == ["exam, reading", "to", "object", "state, tries", "last answer"]
    assert sorted(line.split("\t") for line in shown[2:]) == sorted(
        row
        for exam_id in exams
        for row in (
            [f"{exam_id} 1", "north", "SEG L-CC", "refused 4×", ANSWER],
            [f"{exam_id} 1", "south", "SEG L-CC", "pending", ""],
        )
    )


def test_jobs_fit_a_terminal_of_80_columns(exams: list[str], ledger: Ledger) -> None:
    """A terminal gets a table whose last answer is wrapped between words and not cut."""
    terminal = Console(width=80, file=StringIO())
    terminal.print(jobs_table(ledger.jobs()))
    shown = terminal.file.getvalue()  # type: ignore[attr-defined]
    rows = [line for line in shown.splitlines() if exams[0] in line]
    assert ["north" in row or "south" in row for row in rows] == [True, True]
    assert "…" not in shown
    words = shown.split()
    assert all(words.count(word) >= 2 for word in ANSWER.split())


def test_requeue_takes_one_exam_one_destination_or_all(tmp_path: Path, exams: list[str], ledger: Ledger) -> None:
    """Only the named objects are queued again, and the answer says how many."""
    assert "0 objects queued again" in tetraview(tmp_path, "requeue", "--destination", "south").stdout
    assert "1 object queued again" in tetraview(tmp_path, "requeue", exams[0]).stdout
    assert refused(ledger) == [exams[1]]
    assert "0 objects queued again" in tetraview(tmp_path, "requeue", exams[0], "--all").stdout
    assert "1 object queued again" in tetraview(tmp_path, "requeue", "--all").stdout
    assert refused(ledger) == []
    assert ledger.count_exams() == {ExamState.DELIVERING: 2}


def test_requeue_of_nothing_in_particular_is_a_mistake(tmp_path: Path, exams: list[str], ledger: Ledger) -> None:
    """Without an argument nothing is queued again."""
    ran = tetraview(tmp_path, "requeue")
    assert ran.exit_code == 2
    assert "--all" in ran.stderr
    assert len(refused(ledger)) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("nonsense",), "no exam is called nonsense"), (("--destination", "east"), "no destination is called east")],
)
def test_requeue_of_something_unknown_is_named(
    tmp_path: Path, exams: list[str], arguments: tuple[str, ...], sentence: str
) -> None:
    """An exam that the ledger, or a destination that neither ledger nor settings know, is an error that names it."""
    ran = tetraview(tmp_path, "requeue", *arguments)
    assert isinstance(ran.exception, SettingsInvalid)
    assert sentence in str(ran.exception)


def test_settings_without_a_ledger_make_none(tmp_path: Path) -> None:
    """A mistaken data folder is named with the settings that named it, and no empty ledger is left in it."""
    for command in ("jobs", "senders"):
        ran = tetraview(tmp_path, command)
        assert isinstance(ran.exception, SettingsInvalid)
        assert "no settings file: name it by --config or TETRAVIEW_CONFIG" in str(ran.exception)
    assert list(tmp_path.iterdir()) == []
