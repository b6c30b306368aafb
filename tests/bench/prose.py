"""How many sentences of docstrings and comments a newcomer reads twice: ``python -m tests.bench.prose [-v]``.

Three kinds are counted: sentences whose subject is fused into a clause ("Who is gone holds no lock", "What is left is
sent"), clauses of that kind within a sentence ("as soon as what was sent is there"), and fragments that begin with
"Of".
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = "service", "triton_models/tetraview_nets", "tests"
_VERBS = "is|are|was|were|has|have|had|can|cannot|may|must|will|would|does|did|comes|came|lies|stands|goes|holds|needs"
_BEFORE = "and|or|but|that|than|if|as|when|where|while|until|only|for|to|of|by|from|with|in|on|at|about|after|before"
#: Kinds of sentences, and the pattern that finds each.
KINDS = {
    "who as a subject": re.compile(rf"^Who(ever)? [^?]*$|\b({_BEFORE}),? who (?!to )[^?]*$"),
    "what as a subject": re.compile(rf"^What(ever)? (?!to )[^?]*$|\bwhat ({_VERBS})\b[^?]*$"),
    "fragment with of": re.compile(r"^Of (?!course)[^?]*$"),
}
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+(?=[A-Z])")


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Each docstring and block of comments of a file with its line."""
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                yield body[0].lineno, str(body[0].value.value)
    block: list[str] = []
    last = first = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or "noqa" in token.string:
            continue
        if token.start[0] != last + 1 and block:
            yield first, " ".join(block)
            block = []
        first = token.start[0] if not block else first
        block.append(token.string.lstrip("#: "))
        last = token.start[0]
    if block:
        yield first, " ".join(block)


def sentences(text: str) -> Iterator[str]:
    """The sentences of a docstring or comment; paragraphs, list entries and sections end one as well."""
    for paragraph in re.split(r"\n\s*\n|\n\s*(?=[\w, ]+: )|\n\s*[-*] ", text):
        yield from _SENTENCE.split(" ".join(re.sub(r"^\s*\w+: ", "", paragraph).split()))


def found(folder: Path) -> Iterator[tuple[str, Path, int, str]]:
    """Kind, file, line and sentence of everything that is counted below a folder."""
    for path in sorted(folder.rglob("*.py")):
        for line, text in prose_of(path):
            for sentence in sentences(text):
                for kind, sign in KINDS.items():
                    if sign.search(sentence.strip('"`')):
                        yield kind, path, line, sentence


def main() -> None:
    """Print the counts by folder, and with ``-v`` each sentence."""
    for folder in FOLDERS:
        hits = list(found(ROOT / folder))
        counts = Counter(kind for kind, *_ in hits)
        print(folder, len(hits), *(f"{kind}: {counts[kind]}" for kind in KINDS), sep="  ")  # noqa: T201
        for kind, path, line, sentence in hits if "-v" in sys.argv else ():
            print(f"{path.relative_to(ROOT)}:{line}: {kind}: {sentence}")  # noqa: T201


if __name__ == "__main__":
    main()
