"""The same exam read again says the same, to the byte: real Triton, a process for each reading."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from tetraview.domain.delivery import ResultKind
from tetraview.domain.exam import Exam
from tetraview.domain.output import OUTPUTS
from tetraview.tools.files import find_exams

pytestmark = pytest.mark.system

#: Reads a pickled exam as the service does after it settled, for every built-in output and one of all kinds.
READ = """
import pickle, sys
from dataclasses import replace
from pathlib import Path
from tetraview.roles import open_models, open_reader
from tetraview.domain.delivery import ResultKind
from tetraview.domain.output import OUTPUTS
from tetraview.report import write_report
from tetraview.settings import load_settings
exam, folder = pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
outputs = [*OUTPUTS.values(), replace(OUTPUTS["pacs"], name="all", objects=tuple(ResultKind))]
settings = load_settings()
reading = open_reader(settings, open_models(settings), probabilities=False).read(exam, folder=folder)
write_report(exam, reading, spool=Path("/"), folder=folder, outputs=outputs)
"""


def read(exam: Exam, folder: Path, *, triton: str, hash_seed: str) -> dict[str, bytes]:
    """The files that a process of its own writes for an exam, by path."""
    folder.mkdir()
    document = folder.with_suffix(".exam")
    document.write_bytes(pickle.dumps(exam))
    environment = os.environ | {"TETRAVIEW_TRITON__URL": triton, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", READ, str(document), str(folder)]
    subprocess.run(command, check=True, env=environment, cwd=folder, timeout=120)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def uids(files: dict[str, bytes]) -> set[str]:
    return {dcmread(BytesIO(file)).SOPInstanceUID for path, file in files.items() if path.endswith(".dcm")}


def test_an_exam_read_twice_makes_the_same_bytes(triton: str, phantom_exam: Path, tmp_path: Path) -> None:
    """Two processes that read one settled exam write the same files, all objects of all outputs and the previews.

    The exam must have been settled once only, because every object holds that moment. The ledger keeps it.
    """
    (exam,) = find_exams([phantom_exam]).exams
    first = read(exam, tmp_path / "first", triton=triton, hash_seed="1")
    shuffled = replace(exam, images=dict(reversed(exam.images.items())))
    second = read(shuffled, tmp_path / "second", triton=triton, hash_seed="2")
    assert {path for path in first if first[path] != second.get(path)} == set()
    assert first.keys() == second.keys()
    kinds = {Path(path).stem.split("-")[0] for path in first if path.startswith("all/")}
    assert kinds == {"seg", "sr", "cad", "pr", "sc"}
    assert len(kinds) == len(ResultKind)
    assert {Path(path).parts[0] for path in first if path.endswith(".dcm")} == {*OUTPUTS, "all"}


def test_an_exam_settled_at_another_time_is_another(triton: str, phantom_exam: Path, tmp_path: Path) -> None:
    """`tetraview read` settles the exam anew each time: its objects say so, and share no UID with earlier ones."""
    (exam,) = find_exams([phantom_exam]).exams
    first = read(exam, tmp_path / "first", triton=triton, hash_seed="1")
    later = replace(exam, settled_at=exam.settled_at + timedelta(minutes=1))
    second = read(later, tmp_path / "second", triton=triton, hash_seed="1")
    assert first.keys() == second.keys()
    assert uids(first).isdisjoint(uids(second))
    assert all(first[path] == second[path] for path in first if path.endswith(".png"))
