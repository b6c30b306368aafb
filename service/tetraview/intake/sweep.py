"""Tidying of the spool at a start: nothing acknowledged is lost, nothing unfinished is left."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path

import structlog
from pydicom.errors import InvalidDicomError

from tetraview.domain.instance import Instance, Recorded
from tetraview.errors import InstanceRefused
from tetraview.intake.accept import InstanceLedger, describe
from tetraview.intake.file_meta import read_file_meta
from tetraview.intake.header import read_header
from tetraview.settings import Images
from tetraview.storage.spool import Spool

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """Results of a sweep."""

    #: Unfinished files that were deleted; their senders had no answer.
    parts: int
    #: Whole files that the ledger did not know, now recorded: the service died between file and row.
    adopted: int
    #: Files without a row that cannot be recorded, relative to the spool; left where they are.
    unusable: tuple[str, ...]
    #: Rows whose file is gone, relative to the spool.
    missing: tuple[str, ...]


def sweep(spool: Spool, ledger: InstanceLedger, *, policy_of: Callable[[str], Images]) -> SweepReport:
    """Bring spool and ledger together, before anything is received here; others may receive meanwhile.

    Args:
        spool: the files.
        ledger: the rows.
        policy_of: which images are read of those sent to one of our AE titles.

    Raises:
        StorageUnavailable: the ledger does not answer.
    """
    parts = spool.delete_parts()
    files, rows = set(spool.paths()), set(ledger.paths())
    orphans = sorted(files - rows)
    unusable = tuple(path for path in orphans if not _adopt(spool, path, ledger, policy_of))
    # One that came meanwhile may have its row in the one list and not its file in the other.
    missing = tuple(path for path in sorted(rows - files) if not (spool.folder / path).is_file())
    report = SweepReport(parts=parts, adopted=len(orphans) - len(unusable), unusable=unusable, missing=missing)
    for name, count in (("parts_deleted", parts), ("files_adopted", report.adopted)):
        if count:
            _log.info(name, count=count)
    for name, paths in (("files_unusable", unusable), ("files_missing", report.missing)):
        if paths:
            _log.error(name, count=len(paths), detail=paths[0])
    return report


def _adopt(spool: Spool, path: str, ledger: InstanceLedger, policy_of: Callable[[str], Images]) -> bool:
    """Record a file without a row; False where its content does not fit its name."""
    with spool.held(Path(path).name):
        try:
            instance = _read_instance(spool.folder / path, policy_of)
        except FileNotFoundError:
            # The service that was receiving it has refused it since.
            return True
        except (InstanceRefused, InvalidDicomError, AttributeError, OSError, ValueError):
            return False
        return instance.path == path and ledger.record_instance(instance) is not Recorded.CONFLICT


def _read_instance(path: Path, policy_of: Callable[[str], Images]) -> Instance:
    request, offset = read_file_meta(path)
    with path.open("rb") as file:
        received_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        file.seek(offset)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        with mmap(file.fileno(), 0, access=ACCESS_READ) as buffer:
            header = read_header(buffer, offset=offset, transfer_syntax_uid=request.transfer_syntax_uid)
            return describe(
                header,
                request,
                sha256=sha256,
                size=len(buffer) - offset,
                received_at=received_at,
                policy=policy_of(request.called_ae_title),
            )
