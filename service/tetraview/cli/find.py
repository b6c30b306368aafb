"""The command that tells which exam a study or an order became."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tetraview.cli.ledger import open_ledger
from tetraview.cli.terminal import ConfigFile, console
from tetraview.errors import SettingsInvalid
from tetraview.settings import Web, load_settings

if TYPE_CHECKING:
    from tetraview.ledger import ExamSummary

StudyUid = Annotated[str | None, typer.Argument(metavar="[STUDY_UID]", help="Study Instance UID.")]
Accession = Annotated[str | None, typer.Option("--accession", metavar="NUMBER", help="Accession Number.")]


def find(study: StudyUid = None, accession: Accession = None, config: ConfigFile = None) -> None:
    """Find the exams of a study or an order, and say where each stands: elsewhere an exam has only its identifier."""
    from tetraview.domain.identity import key_of

    if bool(study) is bool(accession):
        raise typer.BadParameter("name a study by its UID, or an order by --accession")
    settings = load_settings(config)
    with open_ledger(settings, config) as ledger:
        key = key_of((accession or "").encode())
        exams = ledger.exams_of_study(study.strip()) if study else ledger.exams_of_accession(key)
    if not exams:
        raise SettingsInvalid("no image of it has come; who was not let in is shown by `tetraview senders`")
    for exam in exams:
        for name, value in _described(exam, settings.web):
            console.print(f"{name:9} {value}", markup=False, highlight=False, soft_wrap=True)


def _described(exam: ExamSummary, web: Web) -> Iterator[tuple[str, str]]:
    """An exam line by line, what there is nothing to say of left out."""
    page = f"/exams/{exam.exam_id}"
    yield "exam", exam.exam_id
    yield "AE title", exam.called_ae_title
    yield "state", exam.state_in_words
    yield from [("remark", exam.remark)] if exam.remark else []
    yield from [("detail", exam.detail)] if exam.detail else []
    yield "reading", _reading(exam)
    yield "page", f"{web.url(web.port)}{page}" if web.port else page


def _reading(exam: ExamSummary) -> str:
    if not exam.generation:
        return "none yet"
    if exam.findings is None:
        return f"{exam.generation}, no findings yet"
    return f"{exam.generation}, {exam.findings} finding{'' if exam.findings == 1 else 's'}"
