"""`tetraview find` beside a ledger that a service uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from tests.support.delivering import IMAGE, NOW
from typer.testing import CliRunner, Result

from tetraview.cli.main import app
from tetraview.domain.exam import exam_id_of
from tetraview.domain.instance import Instance
from tetraview.errors import SettingsInvalid
from tetraview.exam import judge
from tetraview.ledger import Ledger, open_engine
from tetraview.settings import Images
from tetraview.tools.files import instance_of


@pytest.fixture
def image(phantom_exam: Path, tmp_path: Path) -> Instance:
    """An image of an order, as intake makes it of a file."""
    dataset = dcmread(phantom_exam / "L-CC.dcm")
    dataset.AccessionNumber = "A 17"
    dataset.save_as(tmp_path / "image.dcm")
    found = instance_of(tmp_path / "image.dcm", called_ae_title="TETRAVIEW", policy=Images(), digest=True)
    assert isinstance(found, Instance)
    return found


@pytest.fixture
def data(tmp_path: Path, image: Instance) -> Path:
    """A data folder that knows the image's study under two of our AE titles, and another study."""
    folder = tmp_path / "data"
    folder.mkdir()
    engine = open_engine(f"sqlite:///{folder}/ledger.sqlite")
    ledger = Ledger(engine, clock=lambda: NOW)
    ledger.record_instance(image)
    (waiting,) = ledger.unsettled()
    ledger.settle(waiting, judge(waiting.instances))
    ledger.record_instance(replace(image, called_ae_title="TETRA_B", path="b/b.dcm"))
    ledger.record_instance(replace(IMAGE, path="c/c.dcm"))
    engine.dispose()
    return folder


def tetraview(folder: Path, *arguments: str) -> Result:
    return CliRunner(env={"TETRAVIEW_DATA_DIR": str(folder), "COLUMNS": "40"}).invoke(app, ["find", *arguments])


def test_a_study_leads_to_its_exams(data: Path, image: Instance) -> None:
    """Each of our AE titles that a study was sent to has an exam, listed with state, remark, reading and page."""
    shown = tetraview(data, image.study_instance_uid).stdout
    study = image.study_instance_uid
    for title in ("TETRAVIEW", "TETRA_B"):
        exam_id = exam_id_of(called_ae_title=title, study_instance_uid=study)
        assert f"exam      {exam_id}\nAE title  {title}\n" in shown
        assert f"page      http://127.0.0.1:8080/exams/{exam_id}\n" in shown
    assert "state     reading\nremark    UNILATERAL\ndetail    no image of the right breast" in shown
    assert "\nreading   1, no findings yet\n" in shown
    assert "state     collecting\nreading   none yet\n" in shown
    assert shown.count("exam ") == 2


def test_an_accession_number_leads_to_its_exams(data: Path, image: Instance) -> None:
    """An Accession Number is compared by its digest, as the images' are kept, and is not printed."""
    assert tetraview(data, "--accession", "A 17 ").stdout == tetraview(data, image.study_instance_uid).stdout
    assert tetraview(data, "--accession", "A 17", image.study_instance_uid).exit_code == 2


@pytest.mark.parametrize("arguments", [("2.25.99",), ("--accession", "A 18")])
def test_what_has_not_come_is_said(data: Path, arguments: tuple[str, ...]) -> None:
    """A study or order without an image here gets a sentence that says where to look next."""
    ran = tetraview(data, *arguments)
    assert isinstance(ran.exception, SettingsInvalid)
    assert "`tetraview senders`" in str(ran.exception)
