"""DICOM files on disk as exams, without a listener or a ledger."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from pydicom.misc import is_dicom
from pydicom.uid import UID

from tetraview.domain.exam import Exam, exam_id_of
from tetraview.domain.instance import SENTENCES, Decision, Instance
from tetraview.encoding.part10 import Part10
from tetraview.errors import InstanceRefused
from tetraview.exam.choice import Choice, choose_images
from tetraview.intake.accept import describe
from tetraview.intake.dimse.negotiation import TRANSFER_SYNTAXES
from tetraview.intake.file_meta import StoreRequest
from tetraview.intake.header import read_header
from tetraview.settings import Dicom, Images

#: Why a file is left out whose image another file holds.
SAME_INSTANCE = "another file holds the same SOP instance"


@dataclass(frozen=True, kw_only=True)
class FileExams:
    """The exams that a set of files holds."""

    exams: tuple[Exam, ...]
    #: Files that are not read, and why.
    left_out: tuple[tuple[Path, str], ...]


def find_exams(
    paths: Iterable[Path], *, called_ae_title: str = Dicom().ae_title, policy: Images | None = None
) -> FileExams:
    """The exams in files and folders, one for each study, each with the images that would be read.

    Args:
        paths: files and folders of any depth.
        called_ae_title: our AE title that they are taken to be sent to.
        policy: which images are read; None for the usual ones.
    """
    instances: list[Instance] = []
    left_out: list[tuple[Path, str]] = []
    known: set[str] = set()
    for path in files_in(paths):
        instance = instance_of(path, called_ae_title=called_ae_title, policy=policy or Images())
        if isinstance(instance, str):
            left_out.append((path, instance))
        elif instance.sop_instance_uid in known:
            left_out.append((path, SAME_INSTANCE))
        elif instance.eligibility.decision is not Decision.READ:
            eligibility = instance.eligibility
            left_out.append((path, _told(eligibility.decision, eligibility.because)))
        else:
            known.add(instance.sop_instance_uid)
            instances.append(instance)
    instances.sort(key=lambda instance: instance.study_instance_uid)
    studies = groupby(instances, key=lambda instance: instance.study_instance_uid)
    exams = []
    for _, images in studies:
        of_study = tuple(images)
        choice = choose_images(of_study)
        left_out += [(Path(path), _told(decision, because)) for path, (decision, because) in choice.others.items()]
        if choice.images:
            exams.append(_exam(of_study[0], choice))
    return FileExams(exams=tuple(exams), left_out=tuple(left_out))


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files below a folder, whatever their names; modalities often write no extension."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and is_dicom(path)]


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Files, and the files below folders, a folder at a time."""
    for path in paths:
        if not path.is_dir():
            yield path
        for root, folders, names in os.walk(path):
            folders.sort()
            yield from (file for file in map(Path(root).joinpath, sorted(names)) if file.is_file())


def instance_of(path: Path, *, called_ae_title: str, policy: Images, digest: bool = True) -> Instance | str:
    """The file as an instance, or why it is none.

    Args:
        path: any file.
        called_ae_title: our AE title that it is taken to be sent to.
        policy: which images are read.
        digest: whether to read all of it for its SHA-256, which stays empty otherwise.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            head = Part10.of(buffer)
            request = _request(head, called_ae_title)
            if request.transfer_syntax_uid not in TRANSFER_SYNTAXES:
                return f"its transfer syntax is not accepted: {_syntax_name(request.transfer_syntax_uid)}"
            header = read_header(buffer, offset=head.offset, transfer_syntax_uid=request.transfer_syntax_uid)
            sha256 = hashlib.sha256(memoryview(buffer)[head.offset :]).hexdigest() if digest else ""
            size = len(buffer) - head.offset
        instance = describe(header, request, sha256=sha256, size=size, received_at=datetime.now(UTC), policy=policy)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    except InstanceRefused as error:
        return str(error)
    except ValueError:  # of a file without bytes, which cannot be mapped, too
        return "not a DICOM file (Part 10)"
    return replace(instance, path=str(path.resolve()))


def _request(file: Part10, called_ae_title: str) -> StoreRequest:
    """The request that a sender of the file would make."""
    return StoreRequest(
        sop_class_uid=file.sop_class_uid,
        sop_instance_uid=file.sop_instance_uid,
        transfer_syntax_uid=file.transfer_syntax_uid,
        calling_ae_title="FILES",
        called_ae_title=called_ae_title,
    )


def _told(decision: Decision, because: str) -> str:
    """A decision in a sentence, with what decided and the code that other pages and the metrics have."""
    return f"{SENTENCES[decision].removesuffix('.')} ({because}; {decision})"


def _syntax_name(uid: str) -> str:
    """A transfer syntax by its name in the standard; another may be anything and is not repeated."""
    name = UID(uid).name
    return name if name != uid else "none of DICOM's"


def _exam(first: Instance, choice: Choice) -> Exam:
    return Exam(
        exam_id=exam_id_of(called_ae_title=first.called_ae_title, study_instance_uid=first.study_instance_uid),
        generation=1,
        images=choice.images,
        settled_at=datetime.now(UTC),
    )
