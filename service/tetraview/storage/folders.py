"""The data folder: where the service keeps its files, and which services may use it.

<data_dir>/lock, lock-<executor>        services that use the folder
<data_dir>/log.key                      key of the hashes in the log
<data_dir>/spool/                       received instances
<data_dir>/results/<exam>/<generation>/ previews and result objects
<data_dir>/scratch/                     files of child processes
<data_dir>/ledger.sqlite, workflow.sqlite  the databases, unless PostgreSQL keeps them
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tetraview.errors import SettingsInvalid


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where the service keeps its files, all below the data folder."""

    data: Path

    def make(self) -> None:
        """Make the data folder, for its owner's eyes only, whoever made it before.

        Raises:
            SettingsInvalid: it cannot be made.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self.data.chmod(0o700)
        except OSError as error:
            raise SettingsInvalid(f"data_dir {self.data} cannot be made: {error.strerror}") from error

    @contextmanager
    def held(self, executor_id: str, *, shared: bool) -> Iterator[None]:
        """Keep others out of the data folder, until the end or that of this process.

        Args:
            executor_id: the service.
            shared: whether services of other names may use the folder, which needs a database that they share.

        Raises:
            SettingsInvalid: another service uses it.
        """
        alone = f"another service uses data_dir {self.data}: give each its own, or all the same PostgreSQL"
        named = f"another service is named executor_id {executor_id} in data_dir {self.data}: each needs a name"
        with ExitStack() as stack:
            # NFS locks a file that is open for reading and writing only, whatever the lock.
            everybody = stack.enter_context((self.data / "lock").open("a+b"))
            _lock(everybody, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, fault=alone)
            if shared:
                own = stack.enter_context((self.data / f"lock-{executor_id}").open("a+b"))
                _lock(own, fcntl.LOCK_EX, fault=named)
            yield

    @property
    def spool(self) -> Path:
        """Received instances."""
        return self.data / "spool"

    @property
    def ledger(self) -> Path:
        """The ledger, unless PostgreSQL keeps it."""
        return self.data / "ledger.sqlite"

    @property
    def workflow(self) -> Path:
        """Database of the workflow's steps, unless PostgreSQL keeps it."""
        return self.data / "workflow.sqlite"

    @property
    def log_key(self) -> Path:
        """Key of the hashes in the log."""
        return self.data / "log.key"

    @property
    def all_results(self) -> Path:
        """Results of all exams."""
        return self.data / "results"

    def results(self, exam_id: str, generation: int) -> Path:
        """Previews and result objects of one generation."""
        return self.all_results / exam_id / str(generation)


def _lock(file: IO[bytes], operation: int, *, fault: str) -> None:
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingsInvalid(fault) from None
    except OSError as error:
        raise SettingsInvalid(f"{file.name} cannot be locked ({error.strerror}): data_dir needs file locks") from error
