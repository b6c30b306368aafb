"""Where a survey puts what it has seen until exams are together: on disk, since an archive outgrows memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Self

from tetraview.domain.instance import Instance
from tetraview.ledger.documents import instance_document


class Shelf:
    """Instances in a temporary SQLite file, which SQLite deletes when it is closed."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE instances (uid TEXT PRIMARY KEY, study TEXT, document BLOB)")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def put(self, instance: Instance) -> bool:
        """Keep an instance; False where its SOP Instance UID is known already."""
        row = instance.sop_instance_uid, instance.study_instance_uid, instance_document.dump_json(instance)
        return self._database.execute("INSERT OR IGNORE INTO instances VALUES (?, ?, ?)", row).rowcount == 1

    def studies(self) -> Iterator[list[Instance]]:
        """The instances of each study."""
        rows = self._database.execute("SELECT study, document FROM instances ORDER BY study, rowid")
        for _, of_study in groupby(rows, key=itemgetter(0)):
            yield [instance_document.validate_json(document) for _, document in of_study]
