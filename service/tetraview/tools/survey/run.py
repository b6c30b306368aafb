"""The survey from the command line."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tetraview.domain.instance import SENTENCES
from tetraview.settings import Settings
from tetraview.storage.durable import write_file
from tetraview.tools.survey.look import look_at
from tetraview.tools.survey.outcome import SurveyedExam, SurveyedFile
from tetraview.tools.survey.picture import picture
from tetraview.tools.survey.sheets import Sheets
from tetraview.tools.survey.tally import Tally


def run_survey(
    files: Iterable[Path],
    *,
    settings: Settings,
    ae_title: str,
    sheet: Path | None,
    picture_path: Path | None,
    images: bool,
    console: Console,
) -> None:
    """Print the expected outcome of the exams in an archive.

    Args:
        files: files of the archive; each is looked at once.
        settings: all settings.
        ae_title: our AE title that they are taken to be sent to.
        sheet: CSV file to write, or None.
        picture_path: SVG file to write, or None.
        images: whether to list every file.
        console: prints the result.

    Raises:
        SettingsInvalid: no profile has the AE title.
        OSError: a file cannot be written.
    """
    # Nothing can be sent to a title that is none of ours: this says so.
    settings.stages_of(ae_title)
    tally, table = Tally(), _table()
    found = look_at(
        track(files, "looking at files", total=None, console=console, transient=True),
        called_ae_title=ae_title,
        policy=settings.images_of(ae_title),
        requires=settings.requires_of(ae_title),
    )
    with ExitStack() as stack:
        sheets = stack.enter_context(Sheets(sheet)) if sheet else None
        for item in found:
            tally.add(item)
            if sheets:
                sheets.add(item)
            if images:
                _add_rows(table, item)
    if images:
        console.print(table)
    for sentence in tally.sentences():
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if picture_path:
        write_file(picture_path, picture(tally).encode())


def _table() -> Table:
    table = Table()
    for column in ("file", "decision", "because", "flags"):
        table.add_column(column, overflow="fold")
    return table


def _add_rows(table: Table, item: SurveyedFile | SurveyedExam) -> None:
    for file in [item] if isinstance(item, SurveyedFile) else item.files:
        decision = f"{file.decision} {file.view}".strip()
        sentence = SENTENCES.get(file.decision, "")
        table.add_row(Path(file.path).name, decision, f"{sentence} {file.because}".strip(), "\n".join(file.flags))
