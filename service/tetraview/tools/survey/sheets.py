"""The survey as two CSV files: one row a file, one row an exam."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tetraview.tools.survey.outcome import SurveyedExam, SurveyedFile

_FILE_COLUMNS = ("file", "exam", "decision", "because", "flags", "view")
_EXAM_COLUMNS = ("exam", "study_instance_uid", "state", "reason", "detail", "views", "files")


class Sheets:
    """Rows as a survey goes on.

    Args:
        path: the file of images; that of the exams lies beside it and has ``-exams`` in its name.
    """

    def __init__(self, path: Path) -> None:
        self.exams_path = path.with_stem(f"{path.stem}-exams")
        self._stack = ExitStack()
        self._files = csv.writer(self._stack.enter_context(path.open("w", newline="", encoding="utf-8")))
        self._exams = csv.writer(self._stack.enter_context(self.exams_path.open("w", newline="", encoding="utf-8")))
        self._files.writerow(_FILE_COLUMNS)
        self._exams.writerow(_EXAM_COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, item: SurveyedFile | SurveyedExam) -> None:
        """Write the rows of a file or an exam."""
        for file in [item] if isinstance(item, SurveyedFile) else item.files:
            flags = " ".join(file.flags)
            self._files.writerow((file.path, file.exam_id, file.decision, file.because, flags, file.view))
        if isinstance(item, SurveyedExam):
            views = " ".join(item.views)
            row = (item.exam_id, item.study_instance_uid, item.state, item.reason, item.detail, views, len(item.files))
            self._exams.writerow(row)
