"""Nine ways to break the interfaces between parts of the networks, and the test that notices each.

    usage: python -m tests.bench.mutations

Each mutation replaces one piece of text in a temporary copy of the repository and runs there the tests of all that the
networks depend on. The program ends with 1 if the text of a mutation is no longer found, if no test notices a mutation,
or if a test fails without any mutation.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NETS = Path("triton_models/tetraview_nets")
TESTS = (
    "tests/nets/mommi/test_relation.py",
    "tests/nets/mommi/test_sensitivity.py",
    "tests/nets/dualcore/test_dualcore.py::test_the_class_depends_on_both_paths",
)
_PASSED, _FAILED = 0, 1


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One fault: a piece of text that stands once in a file, and its replacement."""

    what: str
    #: Below ``NETS``.
    file: str
    before: str
    after: str


MUTATIONS = (
    Mutation(
        what="the nipple ratio's sign is turned",
        file="mommi/relation.py",
        before="return logs[0][:, :, None] - logs[1][:, None]",
        after="return logs[1][:, None] - logs[0][:, :, None]",
    ),
    Mutation(
        what="the relation block attends to its own view",
        file="mommi/ipsidual.py",
        before="x, x[index], aux_valid=aux_valid",
        after="x, x, aux_valid=aux_valid",
    ),
    Mutation(
        what="own boxes stand for the other view's in the geometry",
        file="mommi/ipsidual.py",
        before="main, aux = rois.boxes, rois.boxes[index]",
        after="main, aux = rois.boxes, rois.boxes",
    ),
    Mutation(
        what="the own nipple stands for the other view's",
        file="mommi/ipsidual.py",
        before="points=(point, point[index])",
        after="points=(point, point)",
    ),
    Mutation(
        what="the relation is added after the ReLU",
        file="mommi/ipsidual.py",
        before="""                x = x + relation(weights, x[index])
            x = functional.relu(x)
""",
        after="""                x = functional.relu(x) + relation(weights, x[index])
""",
    ),
    Mutation(
        what="the view itself stands for the opposite breast",
        file="mommi/network.py",
        before="warp(other.image[None, None]",
        after="warp(view.image[None, None]",
    ),
    Mutation(
        what="the siamese network gets one input twice",
        file="mommi/bidual.py",
        before="torch.cat([main, aux_warped])",
        after="torch.cat([main, main])",
    ),
    Mutation(
        what="the bilateral map is blanked before the fusion",
        file="mommi/network.py",
        before="torch.stack([e.bi_map for e in evidence])",
        after="torch.stack([torch.zeros_like(e.bi_map) for e in evidence])",
    ),
    Mutation(
        what="the local path's input is blanked",
        file="dualcore/network.py",
        before="self.lpl(patches), self.cgl(patches)",
        after="self.lpl(torch.zeros_like(patches)), self.cgl(patches)",
    ),
)


def apply(mutation: Mutation, root: Path) -> None:
    """Put a mutation into a copy of the repository.

    Raises:
        ValueError: the text is not there exactly once.
    """
    path = root / NETS / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.before) != 1:
        raise ValueError(f"{mutation.file} holds {text.count(mutation.before)} times, not once: {mutation.before}")
    path.write_text(text.replace(mutation.before, mutation.after), encoding="utf-8")


def failing(root: Path) -> list[str]:
    """Names of the tests that fail in a copy of the repository."""
    paths = [str(root / "service"), str(root / "triton_models")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "-rf", *TESTS]
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if run.returncode not in {_PASSED, _FAILED}:
        raise RuntimeError(f"pytest ended with {run.returncode}: {run.stdout}{run.stderr}")
    return re.findall(r"^FAILED \S+?::(\w+)", run.stdout, flags=re.MULTILINE)


@contextmanager
def copied() -> Iterator[Path]:
    """A temporary copy of the code and its tests, without weights."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copy(ROOT / "pyproject.toml", root)
        for name in ("service", "triton_models", "tests"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("repository", "__pycache__"))
        yield root


def caught(mutation: Mutation) -> list[str]:
    """The tests that notice a mutation."""
    with copied() as root:
        apply(mutation, root)
        return failing(root)


def line(mutation: Mutation, tests: Sequence[str]) -> str:
    """A row of the table: the first test that fails and how many others do."""
    named = f"`{tests[0]}`" if tests else "**none**"
    return f"| {mutation.what} | {named} | {max(len(tests) - 1, 0)} |\n"


def main() -> int:
    """Try all mutations, print the table, and say by the exit status whether each was noticed."""
    with copied() as root:
        without = failing(root)
    if without:
        sys.stdout.write(f"Without any mutation these fail: {', '.join(without)}\n")
        return 1
    sys.stdout.write("| mutation | test that fails | others |\n|---|---|--:|\n")
    missed = 0
    for mutation in MUTATIONS:
        tests = caught(mutation)
        missed += not tests
        sys.stdout.write(line(mutation, tests))
        sys.stdout.flush()
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
