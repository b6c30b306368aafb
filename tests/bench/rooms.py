"""The shape of the service's and the networks' code: ``python -m tests.bench.rooms [CHECKOUT]``."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

PACKAGES = {"tetraview": "service/tetraview", "tetraview_nets": "triton_models/tetraview_nets"}


def room_of(path: Path, package: Path) -> str:
    """The first folder below the package, or the module itself where it is loose."""
    return path.relative_to(package).with_suffix("").parts[0]


def imports(path: Path, name: str) -> Iterator[str]:
    """Rooms of the same package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (module.split(".")[1] for module in modules if module.startswith(f"{name}."))


def circles(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """Pairs of rooms each of which reaches the other."""

    def reached(start: str) -> set[str]:
        seen, left = set[str](), [start]
        while left:
            for room in edges.get(left.pop(), set()) - seen:
                seen.add(room)
                left.append(room)
        return seen

    reach = {room: reached(room) for room in edges}
    return {frozenset((a, b)) for a in reach for b in reach[a] if a != b and a in reach.get(b, set())}


def functions(path: Path) -> Iterator[int]:
    """Lines of each function of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def main() -> None:
    """Print one line of figures for each package, and the words of the README."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2]
    for name, folder in PACKAGES.items():
        package = root / folder
        files = [path for path in package.rglob("*.py") if "migrations" not in path.parts]
        edges: dict[str, set[str]] = defaultdict(set)
        for path in files:
            edges[room_of(path, package)] |= set(imports(path, name)) - {room_of(path, package)}
        loose = sorted(path.name for path in package.glob("*.py") if path.name != "__init__.py")
        rooms = {path.name for path in package.iterdir() if path.is_dir() and list(path.glob("*.py"))}
        lengths = [length for path in files for length in functions(path)]
        lines = [len(path.read_text().splitlines()) for path in files]
        tenth = quantiles(lengths, n=10)[-1]
        print(  # noqa: T201
            f"{name}: {len(rooms)} rooms, {len(loose)} loose modules, {len(circles(edges))} circles; functions of "
            f"{median(lengths):g} lines at the median, {tenth:g} at the ninth decile, {max(lengths)} at most; files of "
            f"{median(lines):g} at the median, {max(lines)} at most"
        )
    print("README:", len(re.findall(r"\S+", (root / "README.md").read_text())), "words")  # noqa: T201


if __name__ == "__main__":
    main()
